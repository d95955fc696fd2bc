//! What the journal is kept for, and what is restored from the database when it is not there any more.

use std::collections::BTreeSet;

use super::*;

/// A line of an event about a channel.
fn event(at_ms: i64, kind: &str, id: &str, name: &str, state: &str) -> String {
    let time = |ms: i64| format!("2026-11-22T12:00:{:02}.{:03}+0000", ms / 1_000 % 60, ms % 1_000);
    let at = 1_795_348_800.0 + at_ms as f64 / 1_000.0;
    format!(
        r#"{{"at": {at:.3}, "event": {{"type": "{kind}", "timestamp": "{}", "application": "callcenter-app", "cause": 16,
        "cause_txt": "", "channel": {{"id": "{id}", "name": "{name}", "state": "{state}", "protocol_id": "",
        "caller": {{"name": "", "number": "100"}}, "connected": {{"name": "", "number": ""}}, "accountcode": "",
        "dialplan": {{"context": "in", "exten": "101", "priority": 1, "app_name": "", "app_data": ""}},
        "creationtime": "2026-11-22T12:00:00.000+0000", "language": "en"}}}}}}"#,
        time(at_ms)
    )
    .replace('\n', "")
}

fn driver(lines: &[String]) -> Driver {
    let mut driver = Driver::new();
    lines.iter().for_each(|line| driver.line(line));
    driver
}

#[test]
fn a_helper_of_asterisk_does_not_hold_the_journal() {
    for name in ["Announcer/ARI-00000001;2", "UnicastRTP/10.0.0.1:4000-0x1", "Snoop/1.1-00000000"] {
        let mut driver = driver(&[event(0, "ChannelCreated", "1.1", name, "Up")]);
        assert_eq!(driver.graph.oldest_open(), None, "{name}");
    }
    let mut driver = driver(&[event(0, "ChannelCreated", "1.1", "PJSIP/100-00000001", "Ring")]);
    assert_eq!(driver.graph.oldest_open(), Some(1));
}

#[test]
fn an_ended_channel_holds_the_journal_as_long_as_its_tombstone_stands() {
    let name = "PJSIP/100-00000001";
    let mut driver = driver(&[
        event(0, "ChannelCreated", "1.1", name, "Ring"),
        event(100, "ChannelDestroyed", "1.1", name, "Ring"),
        event(10_000, "ChannelCreated", "1.2", "PJSIP/100-00000002", "Ring"),
    ]);
    assert_eq!(driver.graph.oldest_open(), Some(1), "a late event of it must find its tombstone after a start");
    let mut later = event(10_000, "ChannelDtmfReceived", "1.2", "PJSIP/100-00000002", "Ring");
    later = later.replacen("1795348810.000", "1795348900.000", 1);
    driver.line(&later);
    assert_eq!(driver.graph.oldest_open(), Some(3));
}

#[test]
fn births_behind_a_long_lived_channel_are_cleared_away() {
    let mut driver = driver(&[event(0, "ChannelCreated", "1.0", "PJSIP/100-00000001", "Ring")]);
    for n in 1..3_000 {
        // A minute and a half apart, so that no tombstone stands.
        let at = 1_795_348_800.0 + f64::from(n) * 90.0;
        for kind in ["ChannelCreated", "ChannelDestroyed"] {
            let line = event(0, kind, &format!("1.{n}"), "PJSIP/101-00000002", "Ring");
            driver.line(&line.replacen("1795348800.000", &format!("{at:.3}"), 1));
        }
    }
    assert_eq!(driver.graph.oldest_open(), Some(1));
    assert!(driver.graph.births.len() < 200, "{}", driver.graph.births.len());
}

#[test]
fn a_birth_that_is_let_go_holds_the_journal_no_longer_and_its_channel_lives_on() {
    let mut driver = driver(&[
        event(0, "ChannelCreated", "1.1", "PJSIP/100-00000001", "Ring"),
        event(1, "ChannelCreated", "1.2", "PJSIP/100-00000002", "Ring"),
    ]);
    let gone: Vec<String> = driver.graph.let_go(2).iter().map(ToString::to_string).collect();
    assert_eq!(gone, ["1.1"]);
    assert_eq!(driver.graph.oldest_open(), Some(2));
    assert_eq!(driver.graph.live(), 2);
    assert!(driver.graph.let_go(2).is_empty(), "said once");
}

type Channel = (String, Timestamp);

/// The calls of `driver` as the database would give them: the open ones, and those that share a channel with them.
fn stored(driver: &Driver, with_log: bool) -> Vec<StoredCall> {
    let mut uids: BTreeSet<&str> =
        driver.rows.values().filter(|r| r.ended_at.is_none()).map(|r| r.uid.as_str()).collect();
    let open = uids.clone();
    let channel = |l: &LegRow| -> Channel { (l.channel_id.clone(), l.channel_created_at) };
    loop {
        let of_them = driver.legs_rows.iter().filter(|((uid, ..), _)| uids.contains(uid.as_str()));
        let channels: BTreeSet<Channel> = of_them.map(|(_, leg)| channel(leg)).collect();
        let more = driver.legs_rows.iter().filter(|(_, leg)| channels.contains(&channel(leg)));
        let more: BTreeSet<&str> = more.map(|((uid, ..), _)| uid.as_str()).collect();
        if more.is_subset(&uids) {
            break;
        }
        uids.extend(more);
    }
    let call = |uid: &str| {
        let legs: Vec<LegRow> =
            driver.legs_rows.iter().filter(|((u, ..), _)| u == uid).map(|(_, leg)| leg.clone()).collect();
        let channels: BTreeSet<Channel> = legs.iter().map(channel).collect();
        let of_it = driver.log.iter().filter(|((id, at), _)| channels.contains(&(id.to_string(), *at)));
        StoredCall {
            origin: channel(legs.iter().find(|l| l.role == "origin").unwrap()),
            open: open.contains(uid),
            dialed: driver.rows[uid].dialed_number.clone(),
            events: of_it.map(|(_, body)| body.clone()).filter(|_| with_log).collect(),
            legs,
        }
    };
    uids.into_iter().map(call).collect()
}

/// Plays a stream, with a start of the service behind line `cut` that finds nothing in the journal before line `from`;
/// also the uids that were in the database then.
fn play_without_journal(lines: &[String], from: usize, cut: usize, with_log: bool) -> (Driver, Vec<String>) {
    let mut before = driver(&lines[..cut]);
    before.fold();
    let mut after = driver(&lines[from..cut]);
    after.fold();
    let known: Vec<KnownChannel> = after.graph.channels().collect();
    let is =
        |l: &LegRow, k: &KnownChannel| *l.channel_id == *k.id && may_show(l.channel_created_at, l.ended_at, k.created);
    let same = |l: &LegRow, k: &KnownChannel| *l.channel_id == *k.id && l.channel_created_at == k.created;
    let whole = |leg: &LegRow| known.iter().any(|k| k.whole && same(leg, k));
    let mut calls = stored(&before, with_log);
    if calls.iter().filter(|c| c.open).all(|c| c.legs.iter().all(whole)) {
        calls.clear();
    }
    for half in known.iter().filter(|k| k.lives && !k.whole) {
        if calls.iter().flat_map(|c| &c.legs).any(|leg| is(leg, half)) {
            continue;
        }
        let last = before.legs_rows.values().filter(|leg| is(leg, half)).max_by_key(|leg| leg.stay);
        if let Some((leg, at)) = last.and_then(|leg| leg.ended_at.map(|at| (leg, at))) {
            let (id, created) = (leg.channel_id.clone(), half.created);
            after.graph.bury(&EndedChannel { id, created, at, cause: leg.cause, sip: leg.sip_status });
        }
    }
    let open = after.graph.restore(&calls, cut as u64);
    after.settle();
    after.fold();
    after.graph.touch(&open);
    after.settle();
    after.rows.clone_from(&before.rows);
    after.legs_rows.clone_from(&before.legs_rows);
    after.fold();
    for line in &lines[cut..] {
        after.line(line);
        after.fold();
    }
    (after, before.rows.into_keys().collect())
}

/// Streams in which talk (and who fetched a parked call) is known only by what a restored call has not: who met it in a bridge and belonged to another
/// call that is over, or a snapshot before (after a real start there is another one).
const MEETINGS: &[&str] = &["bridge3", "conference", "parked", "recording", "ws_drop"];

/// Where a channel was just made and is no call yet, so that what was heard of it is in no leg's chain.
const NO_CALL_YET: &[(&str, std::ops::Range<usize>)] =
    &[("click_to_call_originate2", 15..20), ("feature_blind_transfer", 6..8)];

#[test]
fn a_call_whose_beginning_the_journal_lost_goes_on_in_its_row() {
    let mut problems = BTreeSet::new();
    let mut compared = 0;
    for name in short() {
        let lines = lines(&name);
        let whole = play(&lines, 1);
        // Nothing of it is in the journal, or the last third.
        for (from, cut) in (1..lines.len()).flat_map(|cut| [(cut, cut), (cut - cut / 3, cut)]) {
            if NO_CALL_YET.iter().any(|(stream, at)| *stream == name && at.contains(&from)) {
                continue;
            }
            let (after, in_database) = play_without_journal(&lines, from, cut, true);
            let uids = |d: &Driver| d.rows.keys().cloned().collect::<Vec<_>>();
            if uids(&after) != uids(&whole) {
                problems.insert(format!("{name} cut at {from} to {cut}: {:?}, not {:?}", uids(&after), uids(&whole)));
                continue;
            }
            // Of a channel that was no call yet the database knows nothing.
            for uid in in_database.iter().filter(|uid| whole.rows.contains_key(*uid)) {
                let met = MEETINGS.contains(&name.as_str());
                let shown = |row: &CallRow| {
                    let row = CallRow { incomplete: true, ..row.clone() };
                    let by = row.ended_by.filter(|_| name != "parked");
                    let ends = (row.ended_at, by, row.caller_number.clone(), row.dialed_number.clone());
                    if met { format!("{ends:#?}") } else { format!("{row:#?}") }
                };
                let (want, got) = (shown(&whole.rows[uid]), shown(&after.rows[uid]));
                let both = want.lines().zip(got.lines()).filter(|(a, b)| a != b);
                if want != got {
                    problems.insert(format!("{name} cut at {from} to {cut}: {uid}: {:?}", both.collect::<Vec<_>>()));
                }
                compared += 1;
            }
        }
    }
    let few: Vec<&String> = problems.iter().take(12).collect();
    assert!(problems.is_empty(), "{} problems: {few:#?}", problems.len());
    assert!(compared > 1_000, "{compared}");
}

#[test]
fn without_the_raw_log_a_call_keeps_its_row_and_its_people() {
    let name = "answered";
    let lines = lines(name);
    let whole = play(&lines, 1);
    // Behind the answer.
    let cut = lines.len() - 20;
    let (after, in_database) = play_without_journal(&lines, cut, cut, false);
    assert_eq!(in_database.len(), 1);
    let (want, got) = (&whole.rows[&in_database[0]], &after.rows[&in_database[0]]);
    assert_eq!(after.rows.len(), 1);
    let people = |r: &CallRow| {
        let numbers = (r.caller_number.clone(), r.dialed_number.clone(), r.callee_number.clone());
        (numbers, r.answered_at, r.ended_at, r.status, r.legs)
    };
    assert_eq!(people(want), people(got));
    assert!(got.incomplete);
}

#[test]
fn without_the_raw_log_a_channel_that_took_anothers_place_is_the_same_one() {
    for name in ["attended_transfer_to_waiting_queue", "pickup_directed", "pickup_group"] {
        let lines = lines(name);
        // Behind the creation of all of them.
        let first = lines.iter().rposition(|line| line.contains("\"ChannelCreated\"")).unwrap() + 3;
        for (from, cut) in (first..lines.len()).flat_map(|cut| [(cut, cut), (cut - cut / 3, cut)]) {
            let (after, in_database) = play_without_journal(&lines, from, cut, false);
            let uids: Vec<&String> = after.rows.keys().filter(|uid| !in_database.contains(uid)).collect();
            let open = after.rows.values().filter(|r| r.ended_at.is_none()).count();
            assert!(uids.is_empty() && open == 0, "{name} cut at {from} to {cut}: {open} open, {uids:?}");
        }
    }
}

#[test]
fn a_channel_that_ended_before_what_was_read_is_buried_for_good() {
    let name = "PJSIP/100-00000001";
    let mut driver = driver(&[event(3_000, "ChannelDtmfReceived", "1.1", name, "Up")]);
    driver.fold();
    let channels: Vec<KnownChannel> = driver.graph.channels().collect();
    assert_eq!(channels.len(), 1, "a late event looks like a channel");
    let (id, created) = (channels[0].id.to_string(), channels[0].created);
    assert!(channels[0].lives && !channels[0].whole);
    let at = created.plus_millis(2_000);
    driver.graph.bury(&EndedChannel { id, created, at, cause: Some(16), sip: None });
    driver.settle();
    driver.fold();
    let rows = driver.rows.clone();
    assert_eq!(driver.graph.live(), 0);
    driver.line(&event(3_100, "ChannelDtmfReceived", "1.1", name, "Up"));
    driver.line(r#"{"at": 1795348804.0, "gap": {"since": 1795348803.5, "reason": "x"}}"#);
    driver.line(r#"{"at": 1795348804.1, "snapshot": {"channels": [], "bridges": []}}"#);
    driver.fold();
    assert_eq!(driver.rows, rows, "neither a late event nor a snapshot writes its row");
}

#[test]
fn a_channel_that_two_gaps_hide_ended_at_the_first() {
    let mut driver = driver(&[event(1_000, "ChannelCreated", "1.1", "PJSIP/100-00000001", "Ring")]);
    driver.line(r#"{"at": 1795348806.0, "gap": {"since": 1795348805.0, "reason": "x"}}"#);
    driver.line(r#"{"at": 1795348809.0, "gap": {"since": 1795348808.0, "reason": "x"}}"#);
    driver.line(r#"{"at": 1795348809.1, "snapshot": {"channels": [], "bridges": []}}"#);
    driver.fold();
    let ends: Vec<_> = driver.rows.values().map(|r| r.ended_at.map(|at| at.millis())).collect();
    assert_eq!(ends, [Some(1_795_348_805_000)]);
}

/// With a feed process the application's events come by another socket, and can overtake the channel's creation.
#[test]
fn a_channel_whose_creation_is_on_its_way_is_young() {
    for (ms, young) in [(300, true), (5_000, false)] {
        let mut driver = Driver::new();
        driver.line(&event(ms, "StasisStart", "1.0", "PJSIP/100-00000000", "Ring"));
        let known: Vec<bool> = driver.graph.channels().map(|channel| channel.young).collect();
        assert_eq!(known, [young], "{ms}");
    }
}
