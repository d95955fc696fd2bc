//! The service killed at random moments under load, again and again: the database opens each time, what was committed
//! stays as it was, nothing is there twice.

use std::collections::BTreeMap;

use callcenter::sim::{MixEntry, PlayedCall, Sim, SimConfig};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::demo::{as_played, by_channel, rows_of};
use crate::kit::aloud;
use crate::kit::rows::{Call, Rows};
use crate::kit::wait::{self, s};
use crate::sim_load::{beside, now_ms};

/// How much there is of it.
struct Plan {
    kills: usize,
    calls_per_second: f64,
    /// Events that are heard before the next kill, at most.
    longest_life: i64,
}

impl Plan {
    /// The full form (some 5,000 events a second) wants the program as it is shipped: `make soak`.
    fn new() -> Self {
        if std::env::var_os("SOAK").is_some() {
            Self { kills: 500, calls_per_second: 100.0, longest_life: 5_000 }
        } else {
            Self { kills: 20, calls_per_second: 15.0, longest_life: 500 }
        }
    }
}

/// What a reader sees at one moment.
struct Seen {
    newest: i64,
    events: i64,
}

impl Seen {
    fn of(rows: &Rows) -> Self {
        let newest = rows.number("SELECT COALESCE(MAX(seq), 0) AS number FROM events");
        Self { newest, events: events_until(rows, newest) }
    }
}

fn events_until(rows: &Rows, newest: i64) -> i64 {
    rows.number(&format!("SELECT COUNT(*) AS number FROM events WHERE seq <= {newest}"))
}

/// What of a call that is over may never change again.
fn settled(call: &Call) -> String {
    format!("{} {:?} {:?} {:?} {:?}", call.status, call.callee_number, call.answered_at, call.ended_at, call.ended_by)
}

#[test]
fn killed_again_and_again_the_database_keeps_what_was_committed() {
    let plan = Plan::new();
    let mix = ["answered", "callee_hangs_up", "busy", "abandoned", "rejected"].map(|name| MixEntry::new(name, 1));
    let config = SimConfig { mix: mix.to_vec(), calls_per_second: plan.calls_per_second, ..SimConfig::default() };
    let sim = Sim::start(config).unwrap();
    let mut service = beside(&sim.url());
    let (ready, rows) = (now_ms(), service.rows());
    let seed = rand::random();
    aloud(&format!("the moments of the kills have the seed {seed}"));
    let mut random = StdRng::seed_from_u64(seed);
    let mut over: BTreeMap<String, String> = BTreeMap::new();
    let mut spans = Vec::new();
    for kill in 0..plan.kills {
        let next = Seen::of(&rows).newest + random.random_range(1..plan.longest_life);
        let seen = wait::until("events between two kills", s(60), || {
            let seen = Seen::of(&rows);
            if seen.newest >= next { Ok(seen) } else { Err(format!("{} of {next}", seen.newest)) }
        });
        let ended = rows.calls("ended_at IS NOT NULL AND id > (SELECT MAX(id) FROM calls) - 2000");
        let before = now_ms();
        service.sigkill();
        assert_eq!(events_until(&rows, seen.newest), seen.events, "events were lost by kill {kill}");
        assert_eq!(rows.words("SELECT quick_check AS word FROM pragma_quick_check"), ["ok"], "after kill {kill}");
        over.extend(ended.iter().map(|call| (call.uid.clone(), settled(call))));
        service.restart();
        spans.push((before, now_ms()));
    }
    let last = spans.last().map_or(0, |(_, after)| *after);
    wait::until("calls after the last kill", s(60), || {
        let later = sim.played().iter().filter(|call| call.started_at > last + 1_000).count();
        if later >= 10 { Ok(()) } else { Err(later) }
    });
    sim.stop_arrivals();
    wait::until("the end of every call", s(120), || {
        let open = rows.try_calls("ended_at IS NULL")?.len();
        if sim.live_calls() == 0 && open == 0 { Ok(()) } else { Err(format!("{open} open")) }
    });
    assert_eq!(rows.gaps().len(), spans.len(), "a gap for each kill");
    kept(&over, &rows);
    once(&rows);
    let played: Vec<PlayedCall> = sim.played().into_iter().filter(|call| call.started_at > ready).collect();
    let whole = spared(&played, &spans, &by_channel(&rows));
    aloud(&format!(
        "{} kills, {} calls were seen to be over before one, {whole} ran between two",
        plan.kills,
        over.len()
    ));
    service.sigterm();
}

/// Calls that a reader once saw ended are there, and as they were.
#[track_caller]
fn kept(over: &BTreeMap<String, String>, rows: &Rows) {
    let now: BTreeMap<String, String> = rows.calls("1").iter().map(|call| (call.uid.clone(), settled(call))).collect();
    let changed: Vec<_> = over.iter().filter(|(uid, was)| now.get(*uid) != Some(was)).collect();
    assert!(!over.is_empty() && changed.is_empty(), "of {} calls changed: {changed:#?}", over.len());
}

/// No event, no leg and no call is there twice. (A channel is made and destroyed once.)
#[track_caller]
fn once(rows: &Rows) {
    let twice = rows.words(
        "SELECT type || ' ' || channel_id AS word FROM events WHERE type IN ('ChannelCreated', 'ChannelDestroyed') \
         GROUP BY type, channel_id HAVING COUNT(*) > 1",
    );
    assert_eq!(twice, Vec::<String>::new(), "events that are there twice");
    let twice: Vec<_> = by_channel(rows).into_values().filter(|calls| calls.len() > 1).collect();
    assert!(twice.is_empty(), "calls that have two rows: {twice:#?}");
}

/// Calls that no kill touched are right and not flagged; how many those were.
#[track_caller]
fn spared(played: &[PlayedCall], spans: &[(i64, i64)], all: &BTreeMap<String, Vec<Call>>) -> usize {
    let apart = |call: &PlayedCall| {
        spans.iter().all(|(before, after)| call.ended_at < before - 1_000 || call.started_at > after + 1_000)
    };
    let whole: Vec<&PlayedCall> = played.iter().filter(|call| apart(call)).collect();
    for call in &whole {
        let found = rows_of(call, all);
        assert!(as_played(call, &found), "played: {call:#?}\nfound: {found:#?}");
        assert!(found.iter().all(|row| row.incomplete == 0), "flagged, but not touched: {found:#?}");
    }
    assert!(whole.len() >= 10, "only {} calls were touched by no kill", whole.len());
    whole.len()
}
