//! What a call costs: an answered two-party call takes at most 32 KiB of database.

use diesel::connection::SimpleConnection;
use serde_json::Value;

use super::{START, advance, call, commit, fresh, leg, uid};
use crate::ari::entry::Line;
use crate::db::batch::Part;
use crate::db::changes::NewChange;
use crate::db::compact::compact_body;
use crate::db::events::NewEvent;
use crate::db::legs::LegRow;
use crate::db::{calls::CallRow, space};
use crate::model::{AnsweredKind, EndedBy, Status};

const CALLS: i64 = 200;

/// Changes of one call: begun, legs, ringing, answered, ended ...
const CHANGES: usize = 8;

/// The events of the recorded answered call but those that the default filter keeps away: type, channel, body.
fn recorded() -> Vec<(String, Option<String>, String)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/answered.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let bodies = text.lines().filter_map(|line| serde_json::from_str::<Line<'_>>(line).unwrap().event);
    let mut events = Vec::new();
    for body in bodies {
        let event: Value = serde_json::from_str(body.get()).unwrap();
        let kind = event["type"].as_str().unwrap().to_owned();
        if kind != "ChannelVarset" {
            let channel = event.get("channel").or(event.get("peer")).map(|one| one["id"].as_str().unwrap().to_owned());
            events.push((kind, channel, compact_body(body.get()).into_owned()));
        }
    }
    events
}

fn answered_call(number: i64) -> CallRow {
    let at = START.plus_millis(number * 1_000);
    CallRow {
        status: Status::Answered,
        callee_number: Some("101".into()),
        callee_name: Some("Agent 101".into()),
        answered_kind: Some(AnsweredKind::Person),
        answered_at: Some(at.plus_millis(2_000)),
        ended_at: Some(at.plus_millis(9_000)),
        wait_ms: Some(2_000),
        ring_ms: Some(1_990),
        talk_ms: Some(7_000),
        hold_ms: Some(0),
        ended_by: Some(EndedBy::Caller),
        cause: Some(16),
        legs: 2,
        reconciled: false,
        caller_e164: Some("+74951234567".into()),
        dialed_e164: Some("+74951234568".into()),
        callee_e164: Some("+74951234568".into()),
        ..call(number)
    }
}

fn ended_leg(number: i64, channel: String) -> LegRow {
    let at = START.plus_millis(number * 1_000);
    LegRow {
        channel_id: channel,
        ringing_at: Some(at),
        answered_at: Some(at),
        ended_at: Some(at),
        cause: Some(16),
        sip_status: Some(200),
        protocol_id: Some("1-24954".into()),
        last_event_seq: Some(number * 34),
        ..leg(number, "PJSIP/101-0000abcd")
    }
}

#[test]
fn an_answered_call_takes_at_most_32_kib() {
    let (_folder, config, mut opened) = fresh();
    let conn = &mut opened.connection;
    let recorded = recorded();
    assert_eq!(recorded.len(), 34, "the recorded call without ChannelVarset");
    let mut seq = 0;
    for number in 0..CALLS {
        // Ids of this call in the place of the recorded ones, as long as they are.
        let ids = |text: &str| text.replace("1795352366.", &format!("1795{:06}.", 352_366 + number));
        let events: Vec<_> = recorded
            .iter()
            .map(|(kind, channel, body)| (kind.as_str(), channel.as_deref().map(ids), ids(body)))
            .collect();
        let events: Vec<NewEvent<'_>> = events
            .iter()
            .map(|(kind, channel, body)| {
                seq += 1;
                let prev_seq = channel.is_some().then_some(seq - 2);
                let at = START.plus_millis(number * 1_000 + seq);
                NewEvent {
                    seq,
                    node: "main",
                    at,
                    kind,
                    channel_id: channel.as_deref(),
                    bridge_id: None,
                    prev_seq,
                    body,
                }
            })
            .collect();
        let body =
            format!(r#"{{"uid":"{}","status":"answered","caller_number":"100","callee_number":"101"}}"#, uid(number));
        let change = NewChange { body, ..super::change(number) };
        let legs = vec![
            ended_leg(number, format!("1795{:06}.0", 352_366 + number)),
            ended_leg(number, format!("1795{:06}.1", 352_366 + number)),
        ];
        let part = Part {
            advance: advance("journal", number, number + 1),
            events,
            calls: vec![answered_call(number)],
            legs,
            changes: vec![change; CHANGES],
            ..Part::default()
        };
        commit(conn, part);
    }
    conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let space = space::measure(&config.path).unwrap();
    let each = space.database_bytes / CALLS as u64;
    println!("{each} bytes of database for each answered call");
    assert_eq!(space.wal_bytes, 0);
    assert!(each > 16 * 1_024, "the bodies alone take more than that: is everything counted?");
    assert!(each <= 32 * 1_024, "{each} bytes for each call");
}
