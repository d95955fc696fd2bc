//! Tests of the database layer as a whole, on databases in temporary folders.

mod backup;
mod heads;
mod opening;
mod reading;
mod retention;
mod size;
mod writing;

use std::path::Path;

use diesel::SqliteConnection;
use tempfile::TempDir;

use super::batch::{Advance, Batch, Committed, Part, write};
use super::calls::CallRow;
use super::changes::NewChange;
use super::events::NewEvent;
use super::legs::LegRow;
use super::open::{Opened, open_write};
use super::positions::Position;
use crate::config::Database;
use crate::model::{CallUid, NodeId, Status, Timestamp};

/// 2026-11-22T12:59:26.306Z, the start of the recorded calls.
const START: Timestamp = Timestamp::from_millis(1_795_352_366_306);

const DAY_MS: i64 = 86_400_000;

fn config(path: &Path) -> Database {
    Database { path: path.into(), ..Database::default() }
}

/// A new database, and the folder that it lies in.
fn fresh() -> (TempDir, Database, Opened) {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("calls.db"));
    let opened = open_write(&config).unwrap();
    (folder, config, opened)
}

fn node() -> NodeId {
    NodeId::new("main")
}

fn uid(number: i64) -> CallUid {
    CallUid::new(&node(), &format!("1795352366.{number}"), START)
}

/// A call that began `number` seconds after the start and lives.
fn call(number: i64) -> CallRow {
    let at = START.plus_millis(number * 1_000);
    CallRow {
        uid: uid(number),
        node: node(),
        status: Status::Ringing,
        direction: None,
        trunk: None,
        did: None,
        caller_number: Some("100".into()),
        caller_name: Some("Agent 100".into()),
        dialed_number: Some("101".into()),
        callee_number: None,
        callee_name: None,
        answered_kind: None,
        started_at: at,
        answered_at: None,
        ended_at: None,
        wait_ms: None,
        ring_ms: None,
        talk_ms: None,
        hold_ms: None,
        ended_by: None,
        cause: None,
        sip_status: None,
        incomplete: false,
        created_at: at,
        updated_at: at,
        caller_e164: None,
        dialed_e164: None,
        callee_e164: None,
        protocol_id: Some("1-24954".into()),
        legs: 1,
        reconciled: false,
    }
}

/// A leg of the call `number` on the channel with that id.
fn leg(number: i64, channel: &str) -> LegRow {
    let at = START.plus_millis(number * 1_000);
    LegRow {
        call_uid: uid(number),
        node: node(),
        channel_id: channel.into(),
        channel_created_at: at,
        stay: 0,
        channel_name: format!("PJSIP/{channel}-00000000"),
        role: "origin".into(),
        endpoint: format!("PJSIP/{channel}"),
        number: Some("100".into()),
        name: None,
        number_e164: None,
        dialed_by: None,
        started_at: at,
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        hold_ms: 0,
        cause: None,
        sip_status: None,
        protocol_id: None,
        last_event_seq: None,
        updated_at: at,
    }
}

fn event(seq: i64, channel: Option<&'static str>, prev_seq: Option<i64>) -> NewEvent<'static> {
    NewEvent {
        seq,
        node: "main",
        at: START.plus_millis(seq),
        kind: "ChannelStateChange",
        channel_id: channel,
        bridge_id: None,
        prev_seq,
        body: r#"{"type":"ChannelStateChange"}"#,
    }
}

fn change(number: i64) -> NewChange {
    NewChange {
        node: node(),
        at: START,
        kind: "call_updated".into(),
        call_uid: Some(uid(number)),
        body: r#"{"status":"active"}"#.into(),
    }
}

fn advance(stream: &str, from: i64, to: i64) -> Option<Advance> {
    let to = Position { node: node(), stream: stream.into(), position: to, oldest_open: from, updated_at: START };
    Some(Advance { from, to })
}

/// Writes one part and says what that did.
fn commit(conn: &mut SqliteConnection, part: Part<'_>) -> Committed {
    write(conn, &Batch { parts: vec![part] }).unwrap()
}
