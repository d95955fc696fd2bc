//! A feed process beside the service, both stopped and killed while calls go on: nothing is missed, nobody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::stage::{answered_record, close, story};
use crate::kit::asterisk::{Mark, USER};
use crate::kit::records::Cel;
use crate::kit::rows::Call;
use crate::kit::sipp::Sipp;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Feed, Service, aloud, live};

/// The callers: SIP scenario, from, settings, calls in ten seconds, what each row must be.
const CALLERS: &[(&str, u16, &str, u32, &str)] = &[
    ("uac", 100, "to=101 talk=1000", 40, "100 -> 101 answered 101 caller"),
    ("uac", 106, "to=102 talk=60000", 30, "106 -> 102 answered 102 callee"),
    ("uac", 107, "to=103", 15, "107 -> 103 busy - *"),
    ("uac", 108, "to=105", 8, "108 -> 105 rejected - *"),
    ("uac_cancel", 109, "to=104 talk=1000", 7, "109 -> 104 abandoned - caller"),
];
/// From the caller's channel to the callee's, milliseconds: what Asterisk needs on a busy machine, and the longest
/// that anybody may have been held up.
const POST_DIAL_LIMIT_MS: f64 = 1_000.0;

pub(super) fn soak() -> bool {
    std::env::var_os("SOAK").is_some()
}

/// Calls at ten a second for so many times ten seconds; with `SOAK=1` at twenty a second.
pub(super) struct Traffic {
    phones: Vec<Sipp>,
    callers: Vec<Sipp>,
    wanted: usize,
    until: Instant,
    mark: Mark,
}

impl Traffic {
    fn start(asterisk: &Asterisk, rounds: u32) -> Self {
        if soak() { Self::paced(asterisk, rounds * 2, 5) } else { Self::paced(asterisk, rounds, 10) }
    }

    /// So many times all calls, each time within so many seconds.
    pub(super) fn paced(asterisk: &Asterisk, rounds: u32, seconds: u64) -> Self {
        let phones = vec![
            asterisk.answerer(101, 200, 3_600_000),
            asterisk.answerer(102, 200, 700),
            asterisk.callee("uas_busy", 103, &[]),
            asterisk.callee("uas_reject", 105, &["ring=300"]),
            asterisk.callee("uas_noanswer", 104, &[]),
        ];
        let mark = asterisk.mark();
        let spread = (seconds * 1_000).to_string();
        let start = |(scenario, from, settings, count, _): &(&str, u16, &str, u32, &str)| {
            let (all, rate) = ((count * rounds).to_string(), count.to_string());
            let more = ["--", "-m", &all, "-l", "200", "-r", &rate, "-rp", &spread];
            let settings: Vec<&str> = settings.split(' ').chain(more).collect();
            asterisk.caller(scenario, *from, &settings)
        };
        let callers = CALLERS.iter().map(start).collect();
        let wanted = CALLERS.iter().map(|(_, _, _, count, _)| (count * rounds) as usize).sum();
        Self { phones, callers, wanted, until: Instant::now() + s(u64::from(rounds) * seconds), mark }
    }

    /// Whether new calls still come.
    pub(super) fn goes_on(&self) -> bool {
        Instant::now() < self.until
    }

    /// Returns when every caller is done.
    pub(super) fn finish(mut self, asterisk: &Asterisk) -> (usize, Mark) {
        for caller in &mut self.callers {
            caller.succeed(s(120));
        }
        asterisk.quiet(s(60));
        drop(self.phones);
        (self.wanted, self.mark)
    }
}

/// Lets `least` to `most` milliseconds pass, which of them is left to chance.
pub(super) fn pass(least: u64, most: u64) {
    use std::hash::{BuildHasher, Hasher};
    let chance = std::collections::hash_map::RandomState::new().build_hasher().finish();
    let end = Instant::now() + Duration::from_millis(least + chance % (most - least + 1));
    let _ = wait::within(end - Instant::now(), || None::<()>);
}

/// A service that follows a feed process, and the feed.
fn pair(asterisk: &Asterisk) -> (Service, Feed) {
    let url = asterisk.url();
    let user =
        [("ARI_URL", &*url), ("ARI_USERNAME", USER.0), ("ARI_PASSWORD", USER.1), ("ARI_APP_NAME", "callcenter-app")];
    let mut service = Service::prepared("", &user);
    let feed = Feed::start(&service);
    service.restart();
    assert_eq!(service.system()["nodes"][0]["feed"]["mode"], "process");
    (service, feed)
}

/// Every call that Asterisk has a record of, once, over.
#[track_caller]
pub(super) fn all_calls(asterisk: &Asterisk, service: &Service, wanted: usize, mark: Mark) -> Vec<Call> {
    let calls = wait::until("the end of every call", s(60), || {
        let calls = service.rows().try_calls("1")?;
        let over = calls.iter().filter(|call| !call.open() && call.ended_at.is_some()).count();
        if over >= wanted && over == calls.len() { Ok(calls) } else { Err(format!("{over} over of {}", calls.len())) }
    });
    let known: BTreeSet<&str> = calls.iter().map(Call::channel).collect();
    assert_eq!(known.len(), calls.len(), "a call is there twice");
    let records: BTreeSet<String> = asterisk.cdr_since(mark).into_iter().map(|record| record.uniqueid).collect();
    let missing: Vec<&String> = records.iter().filter(|id| !known.contains(id.as_str())).collect();
    assert!(missing.is_empty(), "of Asterisk's records these are no calls: {missing:?}");
    assert_eq!(calls.len(), wanted, "more calls than were made");
    calls
}

/// Every call is what it was, and none is flagged.
#[track_caller]
pub(super) fn all_right(asterisk: &Asterisk, calls: &[Call], mark: Mark) {
    let mut stories = BTreeMap::<String, u32>::new();
    for call in calls {
        *stories.entry(story(call)).or_default() += 1;
    }
    let total: u32 = CALLERS.iter().map(|(_, _, _, count, _)| count).sum();
    let rounds = u32::try_from(calls.len()).unwrap() / total;
    for (_, _, _, count, expected) in CALLERS {
        let fits = |(story, _): &(&String, &u32)| story.starts_with(expected.trim_end_matches('*'));
        let found: u32 = stories.iter().filter(fits).map(|(_, count)| count).sum();
        assert_eq!(found, count * rounds, "{expected}; all: {stories:#?}");
    }
    let flagged: Vec<_> = calls.iter().filter(|call| call.incomplete != 0).collect();
    assert!(flagged.is_empty(), "flagged without a gap: {flagged:#?}");
    let records = asterisk.cdr_since(mark);
    for call in calls.iter().filter(|call| call.status == "answered") {
        let record = answered_record(&records, call).unwrap_or_else(|| panic!("no record of {call:?}"));
        close(&call.uid, call.talk_ms, (record.end - record.answer) * 1000.0);
    }
}

/// The longest time from a caller's channel to the callee's, by Asterisk's channel events, milliseconds.
#[track_caller]
fn nobody_waited(asterisk: &Asterisk, mark: Mark) {
    let events = asterisk.cel_since(mark);
    let began = |event: &&Cel| event.event_type == "CHAN_START";
    let mut callers = BTreeMap::new();
    let mut longest: f64 = 0.0;
    for event in events.iter().filter(began) {
        if event.unique_id == event.linked_id {
            callers.insert(&event.linked_id, event.event_time);
        }
    }
    let mut seen = 0;
    for event in events.iter().filter(began).filter(|event| event.unique_id != event.linked_id) {
        if let Some(caller) = callers.get(&event.linked_id) {
            longest = longest.max((event.event_time - caller) * 1000.0);
            seen += 1;
        }
    }
    aloud(&format!("{seen} calls, the longest post-dial delay {longest:.0} ms"));
    assert!(seen * 2 > callers.len(), "{seen} dialled of {}", callers.len());
    assert!(longest < POST_DIAL_LIMIT_MS, "a caller waited {longest:.0} ms until the phone was dialled");
}

#[test]
fn a_service_that_is_killed_and_a_feed_that_is_restarted_miss_nothing_and_hold_up_nobody() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let (mut service, mut feed) = pair(&asterisk);
    let gaps = service.rows().gaps();
    let traffic = Traffic::start(&asterisk, if soak() { 10 } else { 1 });
    let (mut kills, mut restarts) = (0, 0);
    while traffic.goes_on() {
        pass(300, 1_200);
        service.sigkill();
        kills += 1;
        pass(0, if soak() { 5_000 } else { 2_000 });
        service.restart();
        pass(100, 500);
        feed.succeed(&service);
        restarts += 1;
    }
    let (wanted, mark) = traffic.finish(&asterisk);
    let calls = all_calls(&asterisk, &service, wanted, mark);
    aloud(&format!("{} calls, the service killed {kills} times, the feed restarted {restarts} times", calls.len()));
    assert_eq!(service.rows().gaps(), gaps, "nothing was missed, so there is no gap");
    all_right(&asterisk, &calls, mark);
    nobody_waited(&asterisk, mark);
    assert!(kills >= 2 && restarts >= 2, "{kills} kills, {restarts} restarts");
    let doubled = "SELECT COUNT(*) AS number FROM (SELECT 1 FROM events WHERE type = 'ChannelCreated' GROUP BY \
                   channel_id HAVING COUNT(*) > 1)";
    assert_eq!(service.rows().number(doubled), 0, "an event that both feeds heard counts once");
    // Each feed ended its device states before it closed its socket: Asterisk hangs otherwise (`Session::quieten`).
    let asked =
        "SELECT method || ' ' || path || ' ' || COALESCE(outcome, '-') AS word FROM commands WHERE path LIKE '%-feed%'";
    let asked = service.rows().words(asked);
    let quiet = asked.iter().filter(|word| word.starts_with("DELETE ") && word.ends_with(" done")).count();
    assert_eq!(quiet, restarts, "{asked:?}");
    service.sigterm();
    feed.signal("TERM");
    assert!(feed.ends());
}

/// Milliseconds since 1970.
fn now_ms() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64() * 1e3
}

/// Asterisk 22.10.1 hangs for every client, at about one kill in twenty under calls, when the socket of an application with
/// `subscribeAll` breaks off while a device state is on its way to it (`Session::quieten`): so this is no test for
/// every day; `feed.rs` has the same one with the simulated Asterisk.
#[test]
fn a_feed_that_is_killed_leaves_gaps_that_are_known() {
    if !soak() || !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let (mut service, mut feed) = pair(&asterisk);
    let before = service.rows().gaps().len();
    let traffic = Traffic::start(&asterisk, if soak() { 10 } else { 1 });
    let mut away: Vec<(f64, f64)> = Vec::new();
    while traffic.goes_on() {
        pass(800, 2_500);
        let killed = now_ms();
        feed.sigkill();
        feed = Feed::start(&service);
        away.push((killed, now_ms()));
    }
    let (wanted, mark) = traffic.finish(&asterisk);
    service.ready();
    let records = asterisk.cdr_since(mark);
    let calls = wait::until("the end of every call that was heard of", s(60), || {
        let calls = service.rows().try_calls("1")?;
        let open = calls.iter().filter(|call| call.open() || call.ended_at.is_none()).count();
        // A call wholly in a gap is in no row; its gap is.
        let whole = |record: &&crate::kit::records::Cdr| {
            away.iter().all(|(from, to)| record.end * 1e3 < *from - 1e3 || record.end * 1e3 > *to + 8e3)
        };
        let missing = records.iter().filter(whole).find(|record| calls.iter().all(|c| c.channel() != record.uniqueid));
        match missing {
            None if open == 0 => Ok(calls),
            missing => Err(format!("{open} open of {}, missing {missing:?}", calls.len())),
        }
    });
    let known: BTreeSet<&str> = calls.iter().map(Call::channel).collect();
    assert_eq!(known.len(), calls.len(), "a call is there twice");
    assert!(calls.len() <= wanted, "more calls than were made");
    let flagged = calls.iter().filter(|call| call.incomplete != 0).count();
    aloud(&format!("{} of {wanted} calls, {flagged} flagged, the feed killed {} times", calls.len(), away.len()));
    let right = |call: &Call| {
        CALLERS.iter().any(|(.., expected)| story(call).starts_with(expected.trim_end_matches('*')))
            || call.incomplete != 0
    };
    let wrong: Vec<_> = calls.iter().filter(|call| !right(call)).collect();
    assert!(wrong.is_empty(), "wrong and not flagged: {wrong:#?}");
    let gaps = service.rows().gaps();
    assert_eq!(gaps.len() - before, away.len(), "each absence of the feed is one gap: {gaps:?}");
    nobody_waited(&asterisk, mark);
    service.sigterm();
}
