//! Retention: the old goes in small steps, the rest and every newest number stays.

use diesel::prelude::*;

use super::{DAY_MS, START, call, change, commit, event, fresh, leg, node, uid};
use crate::db::batch::Part;
use crate::db::changes::NewChange;
use crate::db::events::{NewEvent, next_seq};
use crate::db::gaps::GapRow;
use crate::db::retention::{Keep, STEP_ROWS, Step, Sweep, step};
use crate::db::{read, schema};
use crate::model::Timestamp;

const KEEP: Keep = Keep { events_days: 30, calls_days: 90 };

fn days(count: i64) -> Timestamp {
    START.plus_millis(count * DAY_MS)
}

/// A whole sweep: what its steps did together, and how many there were.
fn sweep(conn: &mut SqliteConnection, keep: Keep, now: Timestamp) -> (Step, usize) {
    let (mut sum, mut sweep, mut steps) = (Step::default(), Sweep::default(), 0);
    loop {
        let one = step(conn, keep, now, &mut sweep).unwrap();
        assert!((one.events + one.changes + one.calls + one.others) as i64 <= STEP_ROWS);
        sum.events += one.events;
        sum.changes += one.changes;
        sum.calls += one.calls;
        sum.others += one.others;
        steps += 1;
        if !one.more {
            assert_eq!(sweep, Sweep::default());
            return (sum, steps);
        }
        assert!(steps < 1_000, "the sweep does not end");
    }
}

fn event_at(seq: i64, at: Timestamp) -> NewEvent<'static> {
    NewEvent { at, ..event(seq, None, None) }
}

fn seqs(conn: &mut SqliteConnection) -> Vec<i64> {
    schema::events::table.select(schema::events::seq).order(schema::events::seq).load(conn).unwrap()
}

#[test]
fn old_events_go_in_steps_and_young_ones_stay() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let old = (1..=1_200).map(|seq| event_at(seq, days(0)));
    let young = (1_201..=1_300).map(|seq| event_at(seq, days(20)));
    commit(conn, Part { events: old.chain(young).collect(), ..Part::default() });
    let (done, steps) = sweep(conn, KEEP, days(31));
    assert_eq!(done, Step { events: 1_200, ..Step::default() });
    assert_eq!(steps, 3 + 5, "three windows of events, one look at each other table");
    assert_eq!(seqs(conn), (1_201..=1_300).collect::<Vec<_>>());
    assert_eq!(sweep(conn, KEEP, days(31)).0, Step::default());
}

#[test]
fn the_newest_event_and_change_stay_so_that_their_numbers_are_not_given_again() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let events = (1..=STEP_ROWS).map(|seq| event_at(seq, days(0))).collect();
    commit(conn, Part { events, changes: (0..9).map(change).collect(), ..Part::default() });
    let (done, _) = sweep(conn, KEEP, days(400));
    assert_eq!((done.events as i64, done.changes), (STEP_ROWS - 1, 8));
    assert_eq!(next_seq(conn).unwrap(), STEP_ROWS + 1);
    assert_eq!(read::change_span(conn).unwrap(), Some((9, 9)));
    assert_eq!(commit(conn, Part { changes: vec![change(1)], ..Part::default() }).changes, Some(10..=10));
}

#[test]
fn a_clock_that_was_years_ahead_does_not_stop_retention() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    // More than a step's rows of the future, then old ones, then young ones.
    let future = (1..=700).map(|seq| event_at(seq, days(3_000)));
    let old = (701..=900).map(|seq| event_at(seq, days(0)));
    let young = (901..=950).map(|seq| event_at(seq, days(40)));
    commit(conn, Part { events: future.chain(old).chain(young).collect(), ..Part::default() });
    assert_eq!(sweep(conn, KEEP, days(41)).0.events, 200);
    assert_eq!(seqs(conn).len(), 750);
}

#[test]
fn an_old_recording_replayed_after_young_events_takes_none_of_them_with_it() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let events = vec![event_at(1, days(100)), event_at(2, days(0)), event_at(3, days(100)), event_at(4, days(100))];
    commit(conn, Part { events, ..Part::default() });
    sweep(conn, KEEP, days(101));
    assert_eq!(seqs(conn), [1, 3, 4]);
}

#[test]
fn zero_days_keep_all() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let mut over = call(1);
    over.ended_at = Some(START);
    commit(
        conn,
        Part { events: vec![event(1, None, None), event(2, None, None)], calls: vec![over], ..Part::default() },
    );
    assert_eq!(sweep(conn, Keep { events_days: 0, calls_days: 0 }, days(10_000)).0, Step::default());
}

#[test]
fn old_calls_go_with_their_legs_and_open_ones_stay() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let mut part = Part::default();
    for number in 0..250 {
        let mut row = call(number);
        // Every 50th was never seen to end.
        row.ended_at = (number % 50 != 0).then_some(row.started_at);
        part.calls.push(row);
        part.legs.push(leg(number, "100"));
    }
    let mut young = call(999);
    young.created_at = days(80);
    young.ended_at = Some(days(80));
    part.calls.push(young);
    part.legs.push(leg(999, "100"));
    commit(conn, part);
    let (done, _) = sweep(conn, KEEP, days(100));
    assert_eq!(done, Step { calls: 245, ..Step::default() });
    let left: Vec<_> = read::last_calls(conn, 100).unwrap().into_iter().map(|one| one.row.uid).collect();
    assert_eq!(left, [uid(999), uid(200), uid(150), uid(100), uid(50), uid(0)]);
    let legs: i64 = schema::legs::table.count().get_result(conn).unwrap();
    assert_eq!(legs, 6);
}

#[test]
fn changes_go_with_events_and_gaps_with_calls() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let gap = |position: i64, at: Timestamp| GapRow {
        node: node(),
        stream: "journal".into(),
        position,
        since: at,
        until: at,
        reason: "socket closed".into(),
        calls_touched: 0,
        sample: None,
    };
    let changes = vec![change(1), change(1), NewChange { at: days(50), ..change(1) }];
    let gaps = vec![gap(1, days(0)), gap(2, days(50)), gap(3, days(51))];
    commit(conn, Part { changes, gaps, ..Part::default() });
    assert_eq!(sweep(conn, KEEP, days(52)).0, Step { changes: 2, ..Step::default() });
    assert_eq!(sweep(conn, KEEP, days(92)).0, Step { others: 1, ..Step::default() });
}
