//! From the fold's rows and the registry's entries to the database's rows.

use serde::Serialize;

use crate::actors::batch::{EndpointState, GapRow, RecordingState, Stream};
use crate::call::{CallChange, CallRow};
use crate::db::changes::NewChange;
use crate::db::endpoints::EndpointRow;
use crate::db::gaps::GapRow as DbGap;
use crate::db::recordings::RecordingRow;
use crate::model::{CallUid, NodeId, Timestamp};

/// What followers of a call see of it in each change; empty fields are left out.
#[derive(Serialize)]
struct Body<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    caller: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dialed: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    callee: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'a str>,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    talk_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<i32>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reconciled: bool,
}

pub(super) fn change(node: &NodeId, change: &CallChange, row: Option<&CallRow>) -> NewChange {
    let body = match row {
        Some(row) => body(row, false),
        // A plain string can always be written as JSON.
        None => {
            serde_json::to_string(&serde_json::json!({ "survivor": change.survivor })).unwrap_or_else(|_| "{}".into())
        }
    };
    NewChange {
        node: node.clone(),
        at: change.at,
        kind: change.kind.as_str().to_owned(),
        call_uid: Some(CallUid::from_stored(&change.uid)),
        body,
    }
}

/// The change that tells of a call added from Asterisk's CDR.
pub(crate) fn reconciled(node: &NodeId, row: &CallRow, at: Timestamp) -> NewChange {
    NewChange {
        node: node.clone(),
        at,
        kind: "call_reconciled".to_owned(),
        call_uid: Some(CallUid::from_stored(&row.uid)),
        body: body(row, true),
    }
}

fn body(row: &CallRow, reconciled: bool) -> String {
    let body = Body {
        status: row.status.as_str(),
        caller: row.caller_number.as_deref(),
        dialed: row.dialed_number.as_deref(),
        callee: row.callee_number.as_deref(),
        kind: row.answered_kind.map(|k| k.as_str()),
        started_at: row.started_at,
        answered_at: row.answered_at,
        ended_at: row.ended_at,
        talk_ms: row.talk_ms.filter(|_| row.ended_at.is_some()),
        ended_by: row.ended_by.map(|b| b.as_str()),
        cause: row.cause,
        incomplete: row.incomplete,
        reconciled,
    };
    // Plain strings and numbers can always be written as JSON.
    serde_json::to_string(&body).unwrap_or_else(|_| "{}".to_owned())
}

pub(super) fn gap(stream: &Stream, gap: GapRow) -> DbGap {
    DbGap {
        node: stream.node.clone(),
        stream: stream.name.to_string(),
        position: i64::try_from(gap.position).unwrap_or(i64::MAX),
        since: gap.since,
        until: gap.until,
        reason: gap.reason,
        calls_touched: i32::try_from(gap.calls_touched).unwrap_or(i32::MAX),
        sample: gap.sample,
    }
}

pub(super) fn endpoint(node: &NodeId, state: EndpointState) -> EndpointRow {
    EndpointRow {
        node: node.clone(),
        tech: state.tech,
        resource: state.resource,
        state: state.state,
        updated_at: state.at,
    }
}

pub(super) fn recording(node: &NodeId, recording: RecordingState, call_uid: Option<CallUid>) -> RecordingRow {
    RecordingRow {
        node: node.clone(),
        name: recording.name,
        target: recording.target,
        format: recording.format,
        state: recording.state,
        duration_s: recording.duration_s,
        call_uid,
        started_at: recording.at,
        ended_at: Some(recording.at).filter(|_| !recording.begins),
    }
}
