//! Questions: the right rows, by the right index, and readers beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{START, advance, call, change, commit, event, fresh, leg, node, uid};
use crate::db::batch::Part;
use crate::db::calls::{CallRow, last_inbound};
use crate::db::gaps::{self, GapRow};
use crate::db::legs::LegRow;
use crate::db::pool::{ReadError, ReadPool};
use crate::db::read;
use crate::model::{CallUid, Direction, NodeId, Status};

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// How SQLite would answer.
fn plan(conn: &mut SqliteConnection, sql: &str) -> String {
    let steps: Vec<Plan> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {sql}")).load(conn).unwrap();
    steps.into_iter().map(|step| step.detail).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_promised_queries_use_their_indexes() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    for (sql, index) in [
        ("SELECT * FROM calls ORDER BY created_at DESC LIMIT 10", "USING INDEX calls_by_time"),
        ("SELECT status, COUNT(*) FROM calls GROUP BY status", "USING COVERING INDEX calls_by_time"),
        ("SELECT * FROM calls WHERE node = 'main' AND ended_at IS NULL", "USING INDEX calls_open"),
        ("SELECT * FROM legs WHERE node = 'main' AND ended_at IS NULL", "USING INDEX legs_open"),
        ("SELECT * FROM legs WHERE call_uid = 'x'", "USING INDEX legs_by_call"),
    ] {
        let plan = plan(conn, sql);
        assert!(plan.contains(index), "{sql}\n{plan}");
    }
    let walk = plan(conn, read::CALL_EVENTS);
    assert!(!walk.contains("SCAN events") && walk.contains("SEARCH events USING INTEGER PRIMARY KEY"), "{walk}");
}

#[test]
fn calls_come_newest_first_and_are_counted() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let mut answered = call(2);
    answered.status = Status::Answered;
    answered.ended_at = Some(answered.started_at);
    commit(conn, Part { calls: vec![call(3), call(1), answered, call(4)], ..Part::default() });
    let last: Vec<_> = read::last_calls(conn, 3).unwrap().into_iter().map(|one| one.row.uid).collect();
    assert_eq!(last, [uid(4), uid(3), uid(2)]);
    assert_eq!(read::counts_by_status(conn).unwrap(), [(Status::Answered, 1), (Status::Ringing, 3)]);
    let open: Vec<_> = read::open_calls(conn, &node()).unwrap().into_iter().map(|one| one.row.uid).collect();
    assert_eq!(open, [uid(1), uid(3), uid(4)]);
    assert!(read::open_calls(conn, &NodeId::new("second")).unwrap().is_empty());
}

#[test]
fn a_calls_events_are_found_along_the_chains_of_its_legs() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let part = Part {
        // Two legs of the call 1 (channels 100, 101), one of the call 2, and events of no leg.
        events: vec![
            event(10, Some("100"), None),
            event(11, Some("200"), None),
            event(12, None, None),
            event(13, Some("101"), None),
            event(14, Some("100"), Some(10)),
            event(15, Some("200"), Some(11)),
            event(16, Some("101"), Some(13)),
            event(17, Some("100"), Some(14)),
        ],
        calls: vec![call(1), call(2), call(3)],
        legs: vec![
            crate::db::legs::LegRow { last_event_seq: Some(17), ..leg(1, "100") },
            crate::db::legs::LegRow { last_event_seq: Some(16), ..leg(1, "101") },
            crate::db::legs::LegRow { last_event_seq: Some(15), ..leg(2, "200") },
            leg(3, "300"),
        ],
        ..Part::default()
    };
    commit(conn, part);
    let mut of = |number: i64, limit: i64| -> Vec<i64> {
        read::call_events(conn, &uid(number), limit).unwrap().iter().map(|event| event.seq).collect()
    };
    assert_eq!(of(1, 100), [10, 13, 14, 16, 17]);
    assert_eq!(of(2, 100), [11, 15]);
    assert_eq!(of(1, 2), [10, 13]);
    assert!(of(3, 100).is_empty());
    // The beginning of a chain is gone: the rest is found.
    diesel::delete(crate::db::schema::events::table.filter(crate::db::schema::events::seq.lt(14)))
        .execute(conn)
        .unwrap();
    let rest = read::call_events(conn, &uid(1), 100).unwrap();
    assert_eq!(rest.iter().map(|event| event.seq).collect::<Vec<_>>(), [14, 16, 17]);
    assert_eq!((rest[0].kind.as_str(), rest[0].channel_id.as_deref()), ("ChannelStateChange", Some("100")));
    let heads: Vec<_> = read::open_legs(conn, &node()).unwrap().iter().map(|leg| leg.row.last_event_seq).collect();
    assert_eq!(heads, [Some(17), Some(16), Some(15), None]);
}

#[test]
fn changes_are_read_on_from_a_number() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    assert_eq!(read::change_span(conn).unwrap(), None);
    commit(conn, Part { changes: (0..5).map(change).collect(), ..Part::default() });
    assert_eq!(read::change_span(conn).unwrap(), Some((1, 5)));
    let next: Vec<_> = read::changes_after(conn, 2, 2).unwrap().into_iter().map(|one| one.seq).collect();
    assert_eq!(next, [3, 4]);
}

#[test]
fn readers_see_whole_batches_beside_the_writer_and_can_not_write() {
    let (_folder, config, mut opened) = fresh();
    let pool = ReadPool::open(&config).unwrap();
    let done = AtomicBool::new(false);
    let reads = std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let (mut reads, mut last) = (0u32, 0);
                    while !done.load(Ordering::Acquire) || reads == 0 {
                        let (calls, changes) = pool
                            .read_at_once(|conn| {
                                let calls = read::counts_by_status(conn)?.iter().map(|(_, count)| count).sum::<i64>();
                                Ok((calls, read::change_span(conn)?.map_or(0, |(_, newest)| newest)))
                            })
                            .unwrap();
                        assert_eq!(changes, calls * 2, "a batch was seen in part");
                        assert!(calls >= last);
                        (reads, last) = (reads + 1, calls);
                    }
                    reads
                })
            })
            .collect();
        for number in 0..300 {
            let part = Part {
                advance: advance("journal", number, number + 1),
                calls: vec![call(number)],
                changes: vec![change(number), change(number)],
                ..Part::default()
            };
            commit(&mut opened.connection, part);
        }
        done.store(true, Ordering::Release);
        readers.into_iter().map(|reader| reader.join().unwrap()).sum::<u32>()
    });
    assert!(reads >= 4);
    let write = pool.read(|conn| diesel::delete(crate::db::schema::calls::table).execute(conn));
    assert!(matches!(write, Err(ReadError::Database(_))), "{write:?}");
    assert_eq!(pool.read(|conn| read::last_calls(conn, 1_000)).unwrap().len(), 300);
}

#[test]
fn a_pool_without_a_database_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let error = ReadPool::open(&super::config(&folder.path().join("none.db"))).err().unwrap().to_string();
    assert!(error.contains("can't be opened for reading"), "{error}");
    assert!(!folder.path().join("none.db").exists());
}

#[test]
fn an_open_call_that_is_not_whole_is_found_with_every_call_that_shares_a_channel() {
    use crate::db::unfinished::unfinished;
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let end = Some(START.plus_millis(9_000));
    let over = |number: i64| CallRow { ended_at: end, ..call(number) };
    // Channel 200 was moved from the call 2, which is over, to the call 1; 3 is whole, 4 is over.
    let moved = LegRow { channel_created_at: START, ended_at: end, ..leg(2, "200") };
    let part = Part {
        calls: vec![call(1), over(2), call(3), over(4)],
        legs: vec![
            leg(1, "100"),
            LegRow { call_uid: uid(1), stay: 1, ended_at: None, ..moved.clone() },
            moved,
            leg(3, "300"),
            LegRow { ended_at: end, ..leg(4, "400") },
        ],
        ..Part::default()
    };
    commit(conn, part);
    let mut of = |whole: &[&str], limit: usize| -> Vec<(CallUid, usize)> {
        let found = unfinished(conn, &node(), |id, _| whole.contains(&id), limit).unwrap();
        found.into_iter().map(|known| (known.call.uid, known.legs.len())).collect()
    };
    assert_eq!(of(&["100", "300"], 10), [(uid(1), 2), (uid(2), 1)]);
    assert_eq!(of(&["100", "200", "300"], 10), []);
    assert_eq!(of(&[], 1), [(uid(1), 2), (uid(2), 1)], "the oldest first");
    assert_eq!(of(&[], 10).len(), 3);
}

#[test]
fn what_alarms_ask() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    assert_eq!((gaps::newest(conn).unwrap(), gaps::after(conn, 0, 9).unwrap().len()), (None, 0));
    let gap = |position| GapRow {
        node: node(),
        stream: "journal".into(),
        position,
        since: START,
        until: START.plus_millis(5),
        reason: "socket closed".into(),
        calls_touched: 2,
        sample: None,
    };
    let with = |n: i64, direction| CallRow { direction: Some(direction), ..call(n) };
    let calls = vec![with(1, Direction::Inbound), with(2, Direction::Inbound), with(3, Direction::Outbound)];
    let second = calls[1].created_at;
    commit(conn, Part { calls, gaps: (1..=3).map(gap).collect(), ..Part::default() });
    assert_eq!(gaps::newest(conn).unwrap(), Some(3));
    let ids = |found: Vec<gaps::StoredGap>| found.into_iter().map(|gap| gap.id).collect::<Vec<_>>();
    assert_eq!(ids(gaps::after(conn, 1, 9).unwrap()), [2, 3]);
    assert_eq!(ids(gaps::after(conn, 0, 2).unwrap()), [1, 2]);
    assert_eq!(last_inbound(conn, START).unwrap(), Some(second));
    assert_eq!(last_inbound(conn, second.plus_millis(1)).unwrap(), None);
}
