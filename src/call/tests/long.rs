//! Calls that last for days, rooms that are never empty.

use super::stream::{Chan, Stream};
use super::*;

/// 100 calls 101, and they talk in bridge `b0` from 1 s on.
fn talking(stream: &mut Stream) -> (Chan, Chan) {
    let mut caller = stream.channel("1.1", "PJSIP/100-00000001", "Ring", "100", "101");
    let mut callee = stream.channel("1.2", "PJSIP/101-00000002", "Down", "101", "s");
    stream.dial(Some(&caller), &callee, "101", "");
    stream.pass(1_000);
    stream.up(&mut callee);
    stream.dial(Some(&caller), &callee, "101", "ANSWER");
    stream.up(&mut caller);
    stream.enters(&caller, "b0");
    stream.enters(&callee, "b0");
    (caller, callee)
}

fn ended(stream: &mut Stream, chans: &[&Chan]) {
    stream.hangs_up(chans[0]);
    for chan in chans {
        stream.ends(chan, 16);
    }
}

/// What is held of the past: crossings, holds, bridges, visits.
fn held(driver: &Driver) -> [usize; 4] {
    let (history, bridges) = driver.book.held();
    let (links, visits) = driver.graph.held();
    [history, bridges, links, visits]
}

#[test]
fn a_call_that_crosses_bridges_and_holds_for_days_has_exact_times_and_bounded_memory() {
    let mut stream = Stream::new();
    let (caller, callee) = talking(&mut stream);
    let (mut talk, mut hold) = (0, 0);
    let mut most = [0; 4];
    let mut driver = Driver::new();
    let mut played = 0;
    let mut bridge = "b0".to_owned();
    for round in 0..10_000 {
        stream.pass(7_000 + round % 900);
        talk += 7_000 + round % 900;
        if round % 3 == 0 {
            stream.of("ChannelHold", &callee);
            stream.pass(500);
            (talk, hold) = (talk + 500, hold + 500);
            stream.of("ChannelUnhold", &callee);
        }
        // Out to the parking lot or to music, and back to a bridge that is often a new one.
        stream.leaves(&caller, &bridge);
        if round % 2 == 0 {
            stream.enters(&caller, "park");
        }
        stream.pass(1_000 + round % 700);
        if round % 2 == 0 {
            stream.leaves(&caller, "park");
        }
        if round % 5 == 0 {
            stream.leaves(&callee, &bridge);
            bridge = format!("b{round}");
            stream.enters(&callee, &bridge);
        }
        stream.enters(&caller, &bridge);
        if round % 50 == 49 {
            stream.lines[played..].iter().for_each(|line| driver.line(line));
            played = stream.lines.len();
            driver.fold();
            most.iter_mut().zip(held(&driver)).for_each(|(most, now)| *most = now.max(*most));
            assert_eq!(driver.calls()[0].talk_ms, Some(talk), "round {round}");
        }
    }
    stream.pass(3_000);
    talk += 3_000;
    ended(&mut stream, &[&caller, &callee]);
    stream.lines[played..].iter().for_each(|line| driver.line(line));
    driver.fold();
    let row = driver.calls()[0];
    assert_eq!((row.talk_ms, row.hold_ms, row.incomplete), (Some(talk), Some(hold), false));
    assert_eq!(row.ended_by, Some(crate::model::EndedBy::Caller));
    let leg = driver.legs_rows.values().find(|l| l.channel_id == "1.2").unwrap();
    assert_eq!(leg.hold_ms, hold);
    assert!(most.iter().all(|count| *count < 1_000), "{most:?}");
    assert!(driver.calls().len() == 1 && most[0] > 100, "it is the past that is counted: {most:?}");
}

/// A room in which somebody always is: each visitor comes when the one before has been there for a while.
fn room(visitors: usize) -> Stream {
    let mut stream = Stream::new();
    let mut before: Option<Chan> = None;
    for i in 0..visitors {
        let mut visitor = stream.channel(&format!("2.{i}"), &format!("PJSIP/{i}-0"), "Ring", &i.to_string(), "room");
        stream.pass(100);
        stream.up(&mut visitor);
        stream.pass(100);
        stream.enters(&visitor, "room");
        stream.pass(10_000);
        if let Some(before) = before.take() {
            stream.leaves(&before, "room");
            ended(&mut stream, &[&before]);
        }
        stream.pass(20_000);
        before = Some(visitor);
    }
    let last = before.unwrap();
    ended(&mut stream, &[&last]);
    stream
}

#[test]
fn visitors_of_a_room_that_is_never_empty_are_forgotten_and_their_talk_is_not() {
    let stream = room(1_500);
    let mut driver = Driver::new();
    let mut most = [0; 4];
    for line in &stream.lines {
        driver.line(line);
        driver.fold();
        most.iter_mut().zip(held(&driver)).for_each(|(most, now)| *most = now.max(*most));
    }
    assert!(most.iter().all(|count| *count < 20), "{most:?}");
    assert!(driver.book.live_channels() <= 1);
    let rows = driver.calls();
    assert_eq!(rows.len(), 1_500);
    for (i, row) in rows.iter().enumerate() {
        // With the one before for ten seconds, with the one after for ten.
        let expected = if i == 0 || i == 1_499 { 10_000 } else { 20_000 };
        assert_eq!(row.talk_ms, Some(expected), "{i}: {row:?}");
    }
    assert_eq!(rows.iter().filter(|r| r.incomplete).count(), 0);
}

#[test]
fn a_rebuild_knows_whom_a_channel_met_though_that_one_is_forgotten() {
    let lines = room(6).lines;
    let whole = play(&lines, 1).rows;
    for cut in 1..lines.len() {
        let mut first = Driver::new();
        for line in &lines[..cut] {
            first.line(line);
            first.fold();
        }
        // Positions of the driver count lines from 1.
        let Some(from) = first.graph.oldest_open() else { continue };
        let mut again = Driver::new();
        for line in &lines[from as usize - 1..cut] {
            again.line(line);
            again.fold();
        }
        // What is committed stays; what follows is written.
        again.rows = first.rows.clone();
        for line in &lines[cut..] {
            again.line(line);
            again.fold();
        }
        assert_eq!(again.rows, whole, "cut before line {}", cut + 1);
    }
}

#[test]
fn those_who_wait_in_one_parking_lot_do_not_talk() {
    let mut stream = Stream::new();
    let (caller, callee) = talking(&mut stream);
    let mut other = stream.channel("1.3", "PJSIP/103-00000003", "Ring", "103", "700");
    stream.up(&mut other);
    stream.enters(&other, "park");
    stream.pass(4_000);
    // The callee parks its caller and hangs up; both wait in the lot.
    stream.leaves(&caller, "b0");
    stream.leaves(&callee, "b0");
    stream.enters(&caller, "park");
    ended(&mut stream, &[&callee]);
    stream.pass(30_000);
    stream.leaves(&caller, "park");
    ended(&mut stream, &[&caller]);
    ended(&mut stream, &[&other]);
    let driver = play(&stream.lines, 1);
    let rows = driver.calls();
    assert_eq!(rows.iter().map(|r| r.talk_ms).collect::<Vec<_>>(), [Some(4_000), Some(0)]);
    assert_eq!(rows[1].answered_kind, Some(crate::model::AnsweredKind::System));
}

#[test]
fn a_fold_that_fails_closes_and_marks_its_call_and_no_other() {
    let mut stream = Stream::new();
    let (caller, callee) = talking(&mut stream);
    let mut other = stream.channel("1.3", "PJSIP/103-00000003", "Ring", "103", "700");
    stream.up(&mut other);
    let failing = stream.lines.len();
    stream.of("ChannelUserevent", &caller);
    stream.lines[failing] = stream.lines[failing]
        .replace("\"type\"", "\"eventname\":\"callcenter-test-panic-fold\",\"userevent\":{},\"type\"");
    stream.pass(5_000);
    ended(&mut stream, &[&caller, &callee]);
    ended(&mut stream, &[&other]);
    let mut driver = Driver::new();
    for line in &stream.lines {
        driver.line(line);
        driver.fold();
    }
    assert_eq!(driver.failed, ["t/1.1/1795348800000"], "told once");
    let rows = driver.calls();
    let (broken, whole) = (rows[0], rows[1]);
    assert_eq!((broken.status.as_str(), broken.incomplete, broken.legs), ("answered", true, 2));
    assert_eq!((broken.caller_number.as_deref(), broken.callee_number.as_deref()), (Some("100"), Some("101")));
    assert_eq!(broken.ended_at.unwrap().since(broken.started_at), 6_000);
    assert!(driver.legs_rows.values().all(|l| l.ended_at.is_some()));
    assert_eq!((whole.status.as_str(), whole.incomplete, whole.talk_ms), ("answered", false, Some(0)));
}

#[test]
fn a_flood_of_crossings_is_bounded_and_marked_and_no_leave_is_lost() {
    let mut stream = Stream::new();
    let (caller, callee) = talking(&mut stream);
    for i in 0..4_200 {
        stream.pass(1);
        stream.leaves(&caller, if i == 0 { "b0" } else { "flood" });
        stream.enters(&caller, "flood");
    }
    stream.leaves(&caller, "flood");
    let mut driver = Driver::new();
    stream.lines.iter().for_each(|line| driver.line(line));
    driver.fold();
    assert_eq!(driver.crowded, ["1.1"], "told once");
    assert!(held(&driver)[0] < 17_000, "{:?}", held(&driver));
    stream.lines.clear();
    stream.pass(100_000);
    ended(&mut stream, &[&caller, &callee]);
    stream.lines.iter().for_each(|line| driver.line(line));
    driver.fold();
    let row = driver.calls()[0];
    assert!(row.incomplete && row.talk_ms < Some(1_000), "nobody talks on: {row:?}");
}

/// Seconds after which an event that comes again is certainly known for one: the tombstones stand for a minute.
const KNOWN_S: f64 = 60.0;

/// A call that crosses bridges often enough to be settled a few times.
fn crossing(rounds: i64) -> Vec<String> {
    let mut stream = Stream::new();
    let (caller, callee) = talking(&mut stream);
    for round in 0..rounds {
        stream.pass(1_500 + round % 400);
        stream.of(if round % 2 == 0 { "ChannelHold" } else { "ChannelUnhold" }, &callee);
        stream.leaves(&caller, "b0");
        stream.pass(round % 3);
        stream.enters(&caller, if round % 4 == 0 { "park" } else { "music" });
        stream.pass(800 + round % 90);
        stream.leaves(&caller, if round % 4 == 0 { "park" } else { "music" });
        stream.pass(round % 2);
        stream.enters(&caller, "b0");
    }
    stream.pass(2_000);
    ended(&mut stream, &[&caller, &callee]);
    stream.lines
}

proptest::proptest! {
    #![proptest_config(crate::cases(40))]
    /// What is settled is not counted again, and not lost, when events come doubled, late or in another order.
    #[test]
    fn settling_changes_no_row_whatever_the_order(
        visitors in proptest::bool::ANY,
        batch in 1..40usize,
        swaps in proptest::collection::vec(0..3_000usize, 0..400),
        doubles in proptest::collection::vec((0..3_000usize, 0..12usize), 0..100),
    ) {
        let original = if visitors { room(30).lines } else { crossing(400) };
        // All in one fold: nothing is settled before the end.
        let expected = rows(&original, usize::MAX);
        let mut changed = original.clone();
        for i in swaps {
            let i = i % (changed.len() - 1);
            if may_swap(&changed[i], &changed[i + 1]) {
                changed.swap(i, i + 1);
            }
        }
        for (i, far) in doubles {
            let i = i % changed.len();
            let line = changed[i].clone();
            let mut place = (i + 1 + far).min(changed.len());
            // A double of a double may come so late that the tombstone of its channel is gone.
            while at(&changed[place - 1]) - at(&line) >= KNOWN_S {
                place -= 1;
            }
            changed.insert(place, line);
        }
        proptest::prop_assert_eq!(rows(&changed, batch), expected);
    }
}
