//! `legs`: one row for each stay of a channel in a call.

use diesel::prelude::*;

use super::insert::row;
use super::schema::legs;
use crate::model::{CallUid, NodeId, Timestamp};

/// A leg as its actor knows it. `node`, `channel_id`, `channel_created_at` and `stay` are its identity.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = legs, check_for_backend(diesel::sqlite::Sqlite))]
pub struct LegRow {
    /// The call that it belongs to.
    pub call_uid: CallUid,
    /// The Asterisk server.
    pub node: NodeId,
    /// Asterisk's id of the channel.
    pub channel_id: String,
    /// The channel's creation time: ids begin again after a restart of Asterisk.
    pub channel_created_at: Timestamp,
    /// Which stay of that channel in a call, from 0.
    pub stay: i32,
    /// The channel's name: `PJSIP/101-00000001`.
    pub channel_name: String,
    /// What it is to the call: `origin`, `dialed`, `local`, `ari`, `joined` (came by itself).
    pub role: String,
    /// The channel's name without its last part: `PJSIP/101`.
    pub endpoint: String,
    /// The number of who is on it, as it came.
    pub number: Option<String>,
    /// The name of who is on it, as it came.
    pub name: Option<String>,
    /// `number` in E.164.
    pub number_e164: Option<String>,
    /// The channel that dialled it.
    pub dialed_by: Option<String>,
    /// When it came to the call.
    pub started_at: Timestamp,
    /// When it began to ring.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it left the call; `None` while it is in it.
    pub ended_at: Option<Timestamp>,
    /// Milliseconds that it held the other side.
    pub hold_ms: i64,
    /// Q.850 cause of its end.
    pub cause: Option<i32>,
    /// SIP status of its end (Asterisk's `tech_cause`).
    pub sip_status: Option<i32>,
    /// Its SIP Call-ID.
    pub protocol_id: Option<String>,
    /// The newest event of its chain: from there `events.prev_seq` leads to all of them.
    pub last_event_seq: Option<i64>,
    /// Time of its last event.
    pub updated_at: Timestamp,
}

impl LegRow {
    /// The row of what the fold of this node's calls gave for a leg of the call `call_uid`.
    pub fn of(node: &NodeId, call_uid: &str, number_e164: Option<String>, row: crate::call::LegRow) -> Self {
        Self {
            call_uid: CallUid::from_stored(call_uid),
            node: node.clone(),
            channel_id: row.channel_id,
            channel_created_at: row.channel_created_at,
            stay: i32::try_from(row.stay).unwrap_or(i32::MAX),
            channel_name: row.channel_name,
            role: row.role.to_owned(),
            endpoint: row.endpoint,
            number: row.number,
            name: row.name,
            number_e164,
            dialed_by: row.dialed_by,
            started_at: row.started_at,
            ringing_at: row.ringing_at,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            hold_ms: row.hold_ms,
            cause: row.cause,
            sip_status: row.sip_status,
            protocol_id: row.protocol_id,
            last_event_seq: row.last_event_seq,
            updated_at: row.updated_at,
        }
    }
}

impl From<LegRow> for crate::call::LegRow {
    fn from(row: LegRow) -> Self {
        let role = ["origin", "local", "dialed", "ari"].into_iter().find(|role| *role == row.role);
        Self {
            channel_id: row.channel_id,
            channel_name: row.channel_name,
            channel_created_at: row.channel_created_at,
            stay: usize::try_from(row.stay).unwrap_or(0),
            role: role.unwrap_or("joined"),
            endpoint: row.endpoint,
            number: row.number,
            name: row.name,
            dialed_by: row.dialed_by,
            started_at: row.started_at,
            ringing_at: row.ringing_at,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            hold_ms: row.hold_ms,
            cause: row.cause,
            sip_status: row.sip_status,
            protocol_id: row.protocol_id,
            last_event_seq: row.last_event_seq,
            updated_at: row.updated_at,
        }
    }
}

/// A leg as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = legs, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredLeg {
    /// Its number in this database, in the order of first writing.
    pub id: i64,
    /// The leg.
    #[diesel(embed)]
    pub row: LegRow,
}

// A new row, or all of the row with its identity but `id`.
row! {
    LegRow => legs {
        call_uid, node, channel_id, channel_created_at, stay, channel_name, role, endpoint, number, name, number_e164,
        dialed_by, started_at, ringing_at, answered_at, ended_at, hold_ms, cause, sip_status, protocol_id,
        last_event_seq, updated_at,
    }
    unique { node, channel_id, channel_created_at, stay }
    anew {
        call_uid, channel_name, role, endpoint, number, name, number_e164, dialed_by, started_at, ringing_at,
        answered_at, ended_at, hold_ms, cause, sip_status, protocol_id, last_event_seq, updated_at,
    }
}
