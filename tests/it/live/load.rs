//! Two hundred calls at twenty a second, of mixed outcome; two thousand with `SOAK=1`.

use std::collections::BTreeMap;

use super::stage::{answered_record, close, story};
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

/// The callers: SIP scenario, from, settings, calls in ten seconds, what each row must be.
/// A second has 7 + 7 + 3 + 1.5 + 1.5 calls.
const CALLERS: &[(&str, u16, &str, u32, &str)] = &[
    ("uac", 100, "to=101 talk=1000", 70, "100 -> 101 answered 101 caller"),
    ("uac", 106, "to=102 talk=60000", 70, "106 -> 102 answered 102 callee"),
    ("uac", 107, "to=103", 30, "107 -> 103 busy - *"),
    ("uac", 108, "to=105", 15, "108 -> 105 rejected - *"),
    ("uac_cancel", 109, "to=104 talk=1000", 15, "109 -> 104 abandoned - caller"),
];
/// The time that these numbers of calls are spread over, milliseconds.
const SPREAD_MS: &str = "10000";

/// How many times ten seconds.
fn rounds() -> u32 {
    if std::env::var_os("SOAK").is_some() { 10 } else { 1 }
}

#[test]
fn two_hundred_calls_at_twenty_a_second_are_all_right() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut service = Service::start(&asterisk);
    let mark = asterisk.mark();
    play(&asterisk);
    let wanted: u32 = CALLERS.iter().map(|(_, _, _, count, _)| count * rounds()).sum();
    let calls = wait::until("the end of every call", s(60), || {
        let calls = service.rows().try_calls("1")?;
        let over = calls.iter().filter(|call| !call.open() && call.ended_at.is_some()).count();
        if over == wanted as usize { Ok(calls) } else { Err(format!("{over} over of {}", calls.len())) }
    });
    let mut stories = BTreeMap::<String, u32>::new();
    for call in &calls {
        *stories.entry(story(call)).or_default() += 1;
    }
    for (_, _, _, count, expected) in CALLERS {
        let fits = |(story, _): &(&String, &u32)| story.starts_with(expected.trim_end_matches('*'));
        let found: u32 = stories.iter().filter(fits).map(|(_, count)| count).sum();
        assert_eq!(found, count * rounds(), "{expected}; all: {stories:#?}");
    }
    assert_eq!(calls.len(), wanted as usize, "{stories:#?}");
    assert!(calls.iter().all(|call| call.incomplete == 0), "flagged without a gap");
    let records = asterisk.cdr_since(mark);
    for call in calls.iter().filter(|call| call.status == "answered") {
        let record = answered_record(&records, call).unwrap_or_else(|| panic!("no record of {call:?}"));
        close(&call.uid, call.talk_ms, (record.end - record.answer) * 1000.0);
    }
    service.sigterm();
}

/// Plays all calls and returns when the phones are done.
fn play(asterisk: &Asterisk) {
    let _phones = [
        asterisk.answerer(101, 200, 3_600_000),
        asterisk.answerer(102, 200, 700),
        asterisk.callee("uas_busy", 103, &[]),
        asterisk.callee("uas_reject", 105, &["ring=300"]),
        asterisk.callee("uas_noanswer", 104, &[]),
    ];
    let start = |(scenario, from, settings, count, _): &(&str, u16, &str, u32, &str)| {
        let (all, rate) = ((count * rounds()).to_string(), count.to_string());
        let more = ["--", "-m", &all, "-l", "200", "-r", &rate, "-rp", SPREAD_MS];
        let settings: Vec<&str> = settings.split(' ').chain(more).collect();
        asterisk.caller(scenario, *from, &settings)
    };
    let callers: Vec<_> = CALLERS.iter().map(start).collect();
    for mut caller in callers {
        caller.succeed(s(60 + 20 * u64::from(rounds())));
    }
    asterisk.quiet(s(60));
}
