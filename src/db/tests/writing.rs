//! The batch: what it writes, that writing it twice changes nothing, and that it is all or nothing.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{START, advance, call, change, commit, event, fresh, leg, node, uid};
use crate::call::ChainHead;
use crate::db::batch::{Batch, Part, WriteError, write};
use crate::db::calls::{Merge, StoredCall};
use crate::db::commands::{NewCommand, ReplyRow};
use crate::db::endpoints::EndpointRow;
use crate::db::gaps::GapRow;
use crate::db::heads::LegHead;
use crate::db::recordings::RecordingRow;
use crate::db::trouble::Trouble;
use crate::db::{events, positions, read, schema};
use crate::model::{AnsweredKind, Direction, EndedBy, NodeId, Status};

fn head(channel: &str, seq: i64) -> LegHead {
    let head = ChainHead { channel_id: channel.into(), created: START.plus_millis(1_000), seq };
    LegHead { node: node(), head }
}

fn gap(position: i64) -> GapRow {
    GapRow {
        node: node(),
        stream: "journal".into(),
        position,
        since: START,
        until: START.plus_millis(1_500),
        reason: "socket closed".into(),
        calls_touched: 2,
        sample: None,
    }
}

fn recording() -> RecordingRow {
    RecordingRow {
        node: node(),
        name: "sale".into(),
        target: "channel:1795352366.1".into(),
        format: "wav".into(),
        state: "recording".into(),
        duration_s: None,
        call_uid: Some(uid(2)),
        started_at: START,
        ended_at: None,
    }
}

fn command() -> NewCommand {
    NewCommand {
        node: node(),
        id: "c1".into(),
        at: START,
        who: "rule:continue".into(),
        method: "POST".into(),
        path: "/channels/1795352366.1/continue".into(),
        body: None,
        about: Some("1795352366.1".into()),
    }
}

fn reply() -> ReplyRow {
    ReplyRow {
        node: node(),
        id: "c1".into(),
        outcome: "done".into(),
        status: 204,
        answered_at: START.plus_millis(3),
        ms: 2.5,
    }
}

/// A part with something for every table.
fn everything() -> Part<'static> {
    Part {
        advance: advance("journal", 0, 100),
        events: vec![event(1, Some("100"), None), event(2, None, None), event(3, Some("100"), Some(1))],
        calls: vec![call(1), call(2)],
        legs: vec![leg(1, "100"), leg(2, "102")],
        heads: vec![head("100", 3)],
        recordings: vec![recording()],
        merges: Vec::new(),
        endpoints: vec![EndpointRow {
            node: node(),
            tech: "PJSIP".into(),
            resource: "101".into(),
            state: "online".into(),
            updated_at: START,
        }],
        gaps: vec![gap(40)],
        commands: vec![command()],
        replies: vec![reply()],
        changes: vec![change(1), change(2)],
    }
}

/// Rows of every table, in a fixed order, as text.
fn dump(conn: &mut SqliteConnection) -> String {
    let events: Vec<events::StoredEvent> =
        schema::events::table.select(events::StoredEvent::as_select()).order(schema::events::seq).load(conn).unwrap();
    let legs: Vec<_> = [1, 2].map(|number| read::call(conn, &uid(number)).unwrap()).into();
    format!(
        "{events:#?}{:#?}{legs:#?}{:#?}{:#?}{:#?}{:#?}{:#?}{:#?}",
        read::last_calls(conn, 100).unwrap(),
        read::changes_after(conn, 0, 100).unwrap(),
        read::last_gaps(conn, 100).unwrap(),
        read::all_endpoints(conn, &node()).unwrap(),
        read::call_recordings(conn, &uid(2)).unwrap(),
        read::last_commands(conn, 100).unwrap(),
        read::all_positions(conn).unwrap(),
    )
}

#[test]
fn the_same_batch_twice_changes_nothing() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let first = commit(conn, everything());
    assert_eq!((first.last_event_seq, first.changes.clone(), first.skipped.len()), (Some(3), Some(1..=2), 0));
    let before = dump(conn);
    let second = commit(conn, everything());
    assert_eq!((second.last_event_seq, second.changes, second.skipped), (None, None, vec![0]));
    assert_eq!(dump(conn), before);
}

#[test]
fn what_was_written_is_read_back_the_same() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let mut row = call(1);
    row.status = Status::Answered;
    row.direction = Some(Direction::Inbound);
    row.answered_kind = Some(AnsweredKind::Person);
    row.ended_by = Some(EndedBy::Callee);
    row.answered_at = Some(START.plus_millis(2_000));
    row.ended_at = Some(START.plus_millis(9_000));
    (row.wait_ms, row.ring_ms, row.talk_ms, row.hold_ms) = (Some(2_000), Some(1_900), Some(7_000), Some(0));
    (row.cause, row.sip_status, row.incomplete, row.legs) = (Some(16), Some(200), true, 2);
    row.caller_name = Some("Žofie \"Zed\"".into());
    let mut dialed = leg(1, "101");
    dialed.role = "dialed".into();
    dialed.dialed_by = Some("100".into());
    dialed.ringing_at = Some(START);
    let part = Part { calls: vec![row.clone()], legs: vec![leg(1, "100"), dialed.clone()], ..Part::default() };
    commit(conn, part);
    let (found, legs) = read::call(conn, &uid(1)).unwrap().unwrap();
    assert_eq!(found, StoredCall { id: 1, row });
    assert_eq!(legs.into_iter().map(|leg| leg.row).collect::<Vec<_>>(), [leg(1, "100"), dialed]);
    assert_eq!(read::call(conn, &uid(7)).unwrap(), None);
}

#[test]
fn a_call_written_again_keeps_its_id_and_its_start_and_can_lose_a_value() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(conn, Part { calls: vec![call(1), call(2)], ..Part::default() });
    let mut later = call(1);
    later.status = Status::Active;
    later.caller_name = None;
    later.created_at = START.plus_millis(77_000);
    later.updated_at = START.plus_millis(88_000);
    commit(conn, Part { calls: vec![later.clone()], ..Part::default() });
    let (found, _) = read::call(conn, &uid(1)).unwrap().unwrap();
    assert_eq!(found, StoredCall { id: 1, row: crate::db::calls::CallRow { created_at: call(1).created_at, ..later } });
}

#[test]
fn a_merge_takes_the_row_and_moves_what_belonged_to_it() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(conn, everything());
    let merge = Merge { gone: uid(2), survivor: uid(1) };
    // The younger call is written once more in the very batch that takes it.
    commit(conn, Part { calls: vec![call(2)], merges: vec![merge.clone(), merge], ..Part::default() });
    assert_eq!(read::call(conn, &uid(2)).unwrap(), None);
    let (_, legs) = read::call(conn, &uid(1)).unwrap().unwrap();
    let channels: Vec<_> = legs.iter().map(|leg| leg.row.channel_id.as_str()).collect();
    assert_eq!(channels, ["100", "102"]);
    assert_eq!(read::call_recordings(conn, &uid(1)).unwrap().len(), 1);
    let orphans: i64 = schema::legs::table.filter(schema::legs::call_uid.eq(uid(2))).count().get_result(conn).unwrap();
    assert_eq!(orphans, 0);
}

#[test]
fn each_stream_has_its_own_position() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let other = || Part {
        advance: advance("old.jsonl", 0, 50),
        events: vec![event(2, None, None)],
        changes: vec![change(2)],
        ..Part::default()
    };
    commit(conn, other());
    // The next batch carries both streams, and this one's part a second time.
    let journal = Part { advance: advance("journal", 0, 80), changes: vec![change(1), change(1)], ..Part::default() };
    let next = Part { advance: advance("old.jsonl", 50, 60), changes: vec![change(3)], ..Part::default() };
    let done = write(conn, &Batch { parts: vec![other(), journal, next] }).unwrap();
    assert_eq!((done.skipped, done.changes), (vec![0], Some(2..=4)));
    let found: Vec<_> = read::all_positions(conn).unwrap().into_iter().map(|one| (one.stream, one.position)).collect();
    assert_eq!(found, [("journal".to_owned(), 80), ("old.jsonl".to_owned(), 60)]);
    assert_eq!(positions::get(conn, &node(), "journal").unwrap().unwrap().position, 80);
    assert_eq!(positions::get(conn, &NodeId::new("second"), "journal").unwrap(), None);
}

#[test]
fn a_part_that_straddles_the_committed_position_is_refused_whole() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(conn, everything());
    let before = dump(conn);
    let good = Part { advance: advance("second.jsonl", 0, 10), calls: vec![call(5)], ..Part::default() };
    let straddling = Part { advance: advance("journal", 90, 120), calls: vec![call(6)], ..Part::default() };
    let error = write(conn, &Batch { parts: vec![good, straddling] }).unwrap_err();
    assert!(matches!(error, WriteError::Straddles { committed: 100, .. }), "{error}");
    assert!(error.to_string().contains("cut it at 100"), "{error}");
    assert_eq!(dump(conn), before);
}

#[test]
fn numbers_of_events_are_never_given_again() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    assert_eq!(events::next_seq(conn).unwrap(), 1);
    commit(conn, everything());
    assert_eq!(events::next_seq(conn).unwrap(), 4);
    // Somebody empties the log by hand; a part without events follows.
    conn.batch_execute("DELETE FROM events").unwrap();
    commit(conn, Part { advance: advance("journal", 100, 110), ..Part::default() });
    assert_eq!(events::next_seq(conn).unwrap(), 4);
}

#[test]
fn a_command_gets_its_reply_once_and_an_answer_that_nobody_waits_for_does_no_harm() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(conn, Part { commands: vec![command()], ..Part::default() });
    assert_eq!(read::last_commands(conn, 1).unwrap()[0].outcome, None);
    let stray = ReplyRow { id: "gone".into(), ..reply() };
    commit(conn, Part { replies: vec![reply(), stray], ..Part::default() });
    commit(conn, Part { commands: vec![command()], ..Part::default() });
    let found = read::last_commands(conn, 10).unwrap();
    assert_eq!(found.len(), 1);
    let one = &found[0];
    assert_eq!((one.outcome.as_deref(), one.status, one.ms), (Some("done"), Some(204), Some(2.5)));
}

#[test]
fn the_last_state_of_an_endpoint_stands() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(conn, everything());
    let offline = EndpointRow {
        node: node(),
        tech: "PJSIP".into(),
        resource: "101".into(),
        state: "offline".into(),
        updated_at: START.plus_millis(-5_000), // Asterisk's clock was set back
    };
    commit(conn, Part { endpoints: vec![offline.clone()], ..Part::default() });
    assert_eq!(read::all_endpoints(conn, &node()).unwrap(), [offline]);
}

#[test]
fn a_full_disk_takes_nothing_and_the_batch_goes_in_when_there_is_room() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    commit(conn, everything());
    let before = dump(conn);
    let body = format!("\"{}\"", "x".repeat(100_000));
    let mut part = Part { advance: advance("journal", 100, 200), calls: vec![call(3)], ..Part::default() };
    part.events = (4..40).map(|seq| events::NewEvent { body: &body, ..event(seq, None, None) }).collect();
    let batch = Batch { parts: vec![part] };

    conn.batch_execute("PRAGMA max_page_count = 60").unwrap();
    let WriteError::Database(error) = write(conn, &batch).unwrap_err() else { panic!("it should be a database error") };
    assert_eq!(Trouble::of(&error), Trouble::Full, "{error}");
    assert!(Trouble::Full.may_pass());
    assert_eq!(dump(conn), before);

    conn.batch_execute("PRAGMA max_page_count = 1000000").unwrap();
    assert_eq!(write(conn, &batch).unwrap().last_event_seq, Some(39));
    assert_eq!(positions::get(conn, &node(), "journal").unwrap().unwrap().position, 200);
}

#[test]
fn a_lock_of_another_program_is_told_as_such() {
    let (_folder, config, mut opened) = fresh();
    opened.connection.batch_execute("PRAGMA busy_timeout = 20").unwrap();
    let mut other = SqliteConnection::establish(config.path.to_str().unwrap()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let batch = Batch { parts: vec![everything()] };
    let WriteError::Database(error) = write(&mut opened.connection, &batch).unwrap_err() else {
        panic!("it should be a database error")
    };
    assert_eq!(Trouble::of(&error), Trouble::Locked, "{error}");
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(write(&mut opened.connection, &batch).unwrap().last_event_seq, Some(3));
}

#[test]
fn every_statement_of_the_hot_path_is_prepared_once() {
    use diesel::connection::InstrumentationEvent;
    use std::sync::{Arc, Mutex};
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    let prepared = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&prepared);
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::CacheQuery { sql, .. } = event {
            seen.lock().unwrap().push(sql.to_owned());
        }
    });
    commit(conn, Part { events: (1..20).map(|seq| event(seq, None, None)).collect(), ..everything() });
    let statements = std::mem::take(&mut *prepared.lock().unwrap());
    let tables = ["events", "calls", "legs", "recordings", "endpoints", "gaps", "commands", "changes", "positions"];
    for table in tables {
        let insert = format!(" INTO `{table}`");
        assert!(
            statements.iter().any(|sql| sql.starts_with("INSERT") && sql.contains(&insert)),
            "{table} is not kept: {statements:#?}"
        );
    }
    commit(conn, Part { advance: advance("journal", 100, 200), ..everything_else() });
    assert_eq!(*prepared.lock().unwrap(), Vec::<String>::new(), "prepared a second time");
}

/// Another part like [`everything`], with other numbers and other values that are not known.
fn everything_else() -> Part<'static> {
    let mut other = call(9);
    (other.caller_number, other.trunk, other.cause) = (None, Some("PJSIP/trunk-a".into()), Some(16));
    let mut other_leg = leg(9, "109");
    (other_leg.number, other_leg.ringing_at) = (None, Some(START));
    Part {
        events: (100..130).map(|seq| event(seq, None, Some(3))).collect(),
        calls: vec![other],
        legs: vec![other_leg],
        gaps: vec![gap(150)],
        changes: vec![crate::db::changes::NewChange { call_uid: None, ..change(9) }],
        commands: vec![NewCommand { id: "c2".into(), body: Some("{}".into()), about: None, ..command() }],
        ..everything()
    }
}

#[test]
fn the_latest_recording_of_a_name_is_the_one_that_had_begun() {
    let (_folder, _config, mut opened) = fresh();
    let conn = &mut opened.connection;
    let later = RecordingRow { started_at: START.plus_millis(60_000), ..recording() };
    let other = RecordingRow { name: "other".into(), ..recording() };
    commit(conn, Part { recordings: vec![later.clone(), recording(), other], ..Part::default() });
    let mut at = |ms| crate::db::recordings::latest(conn, &node(), "sale", START.plus_millis(ms)).unwrap();
    assert_eq!(at(-1), None);
    assert_eq!(at(59_999), Some(recording()));
    assert_eq!(at(60_000), Some(later.clone()));
    assert_eq!(at(900_000), Some(later));
    assert_eq!(crate::db::recordings::latest(conn, &NodeId::new("elsewhere"), "sale", START).unwrap(), None);
}
