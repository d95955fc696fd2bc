//! The heads of chains: written apart from the legs' rows, found again after a crash.

use diesel::prelude::*;

use super::{commit, event, fresh, leg, node};
use crate::call::ChainHead;
use crate::db::batch::Part;
use crate::db::heads::{BEHIND, LegHead, repair};
use crate::db::legs::LegRow;
use crate::db::schema::legs;
use crate::model::NodeId;

/// The heads of all legs, in the order in which they were written.
fn heads(conn: &mut SqliteConnection) -> Vec<Option<i64>> {
    legs::table.order(legs::id).select(legs::last_event_seq).load(conn).unwrap()
}

fn headed(number: i64, channel: &str, head: i64) -> LegRow {
    LegRow { last_event_seq: Some(head), ..leg(number, channel) }
}

#[test]
fn a_head_goes_to_every_stay_of_its_channel_and_to_no_other_leg() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let other_node = LegRow { node: NodeId::new("other"), ..headed(1, "100", 3) };
    let namesake = headed(2, "100", 4);
    let rows = vec![headed(1, "100", 1), LegRow { stay: 1, ..headed(1, "100", 1) }, other_node, namesake];
    let created = rows[0].channel_created_at;
    commit(conn, Part { legs: rows, ..Part::default() });
    let head = ChainHead { channel_id: "100".into(), created, seq: 9 };
    commit(conn, Part { heads: vec![LegHead { node: node(), head }], ..Part::default() });
    assert_eq!(heads(conn), [Some(9), Some(9), Some(3), Some(4)]);
}

#[test]
fn heads_that_a_crash_left_behind_are_found_by_their_chains() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(
        conn,
        Part {
            events: vec![
                event(1, Some("100"), None),
                event(2, Some("101"), None),
                event(3, Some("100"), Some(1)),
                event(4, None, None),
                event(5, Some("100"), Some(3)),
                // The channel 101 lived before these events: its chain is known by the number 2.
                event(6, Some("101"), Some(2)),
                // An older channel of the same id: another chain, and its leg is as it should be.
                event(7, Some("102"), None),
            ],
            legs: vec![headed(1, "100", 1), headed(2, "101", 2), headed(3, "102", 7), leg(4, "103")],
            ..Part::default()
        },
    );
    assert_eq!(repair(conn).unwrap(), 2);
    assert_eq!(heads(conn), [Some(5), Some(6), Some(7), None]);
    assert_eq!(repair(conn).unwrap(), 0);
}

#[test]
fn a_channel_whose_id_came_again_keeps_its_own_chain() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let events = vec![event(1, Some("100"), None), event(2, Some("100"), None), event(3, Some("100"), Some(2))];
    commit(conn, Part { events, legs: vec![headed(1, "100", 1), headed(2, "100", 2)], ..Part::default() });
    assert_eq!(repair(conn).unwrap(), 1);
    assert_eq!(heads(conn), [Some(1), Some(3)]);
}

#[test]
fn chains_are_followed_as_far_back_as_heads_may_be_behind() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    // The head in the database is exactly as far behind as it may be.
    let mut events = vec![event(1, Some("100"), None), event(2, Some("100"), Some(1))];
    events.extend((3..=BEHIND + 1).map(|seq| event(seq, None, None)));
    commit(conn, Part { events, legs: vec![headed(1, "100", 1)], ..Part::default() });
    assert_eq!(repair(conn).unwrap(), 1);
    assert_eq!(heads(conn), [Some(2)]);
}
