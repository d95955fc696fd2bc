//! `calls`: one row for each call, written whole each time that its fold changed.

use diesel::prelude::*;

use super::insert::row;
use super::schema::{calls, legs, recordings};
use crate::model::{AnsweredKind, CallUid, Direction, EndedBy, NodeId, Status, Timestamp};

/// A call as the fold knows it.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = calls, check_for_backend(diesel::sqlite::Sqlite))]
pub struct CallRow {
    /// Its identity for ever.
    pub uid: CallUid,
    /// The Asterisk server.
    pub node: NodeId,
    /// State while it lives, outcome afterwards.
    pub status: Status,
    /// Seen from the company; `None` where the configuration names no trunk.
    pub direction: Option<Direction>,
    /// The trunk's endpoint, for calls that came or went by one.
    pub trunk: Option<String>,
    /// The number that the outside caller dialled to reach the company.
    pub did: Option<String>,
    /// The caller's number, as it came.
    pub caller_number: Option<String>,
    /// The caller's name, as it came.
    pub caller_name: Option<String>,
    /// What the caller dialled.
    pub dialed_number: Option<String>,
    /// The person who answered last.
    pub callee_number: Option<String>,
    /// That person's name.
    pub callee_name: Option<String>,
    /// Who took it: a person or a machine.
    pub answered_kind: Option<AnsweredKind>,
    /// When the origin's channel was created.
    pub started_at: Timestamp,
    /// When somebody took it.
    pub answered_at: Option<Timestamp>,
    /// When its last leg ended; `None` while it lives.
    pub ended_at: Option<Timestamp>,
    /// Milliseconds from the start to the answer, or to the end where nobody answered.
    pub wait_ms: Option<i64>,
    /// Milliseconds that a phone rang.
    pub ring_ms: Option<i64>,
    /// Milliseconds that the caller spent with people.
    pub talk_ms: Option<i64>,
    /// Milliseconds on hold.
    pub hold_ms: Option<i64>,
    /// Who ended it.
    pub ended_by: Option<EndedBy>,
    /// Q.850 cause of the end.
    pub cause: Option<i32>,
    /// SIP status of the end (Asterisk's `tech_cause`).
    pub sip_status: Option<i32>,
    /// A gap touched it, or its logic failed: the row may not tell all.
    pub incomplete: bool,
    /// Equals `started_at`; never changed once written.
    pub created_at: Timestamp,
    /// Time of the last event.
    pub updated_at: Timestamp,
    /// `caller_number` in E.164.
    pub caller_e164: Option<String>,
    /// `dialed_number` in E.164.
    pub dialed_e164: Option<String>,
    /// `callee_number` in E.164.
    pub callee_e164: Option<String>,
    /// The SIP Call-ID of the origin: links the rows of one call over two nodes.
    pub protocol_id: Option<String>,
    /// How many legs it has had.
    pub legs: i32,
    /// It ran wholly inside a gap and was added from Asterisk's CDR ([`super::reconcile`]).
    pub reconciled: bool,
}

impl CallRow {
    /// The row of what the fold of this node's calls gave.
    pub fn of(node: &NodeId, row: crate::call::CallRow) -> Self {
        Self {
            uid: CallUid::from_stored(&row.uid),
            node: node.clone(),
            status: row.status,
            direction: row.direction,
            trunk: row.trunk,
            did: row.did,
            caller_number: row.caller_number,
            caller_name: row.caller_name,
            dialed_number: row.dialed_number,
            callee_number: row.callee_number,
            callee_name: row.callee_name,
            answered_kind: row.answered_kind,
            started_at: row.started_at,
            answered_at: row.answered_at,
            ended_at: row.ended_at,
            wait_ms: row.wait_ms,
            ring_ms: row.ring_ms,
            talk_ms: row.talk_ms,
            hold_ms: row.hold_ms,
            ended_by: row.ended_by,
            cause: row.cause,
            sip_status: row.sip_status,
            incomplete: row.incomplete,
            created_at: row.started_at,
            updated_at: row.updated_at,
            caller_e164: row.caller_e164,
            dialed_e164: row.dialed_e164,
            callee_e164: row.callee_e164,
            protocol_id: row.protocol_id,
            legs: i32::try_from(row.legs).unwrap_or(i32::MAX),
            reconciled: false,
        }
    }
}

/// A call as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = calls, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredCall {
    /// Its number in this database, in the order of first writing.
    pub id: i64,
    /// The call.
    #[diesel(embed)]
    pub row: CallRow,
}

// A new row, or all of the row with its `uid` but `id`, `created_at`.
row! {
    CallRow => calls {
        uid, node, status, direction, trunk, did, caller_number, caller_name, dialed_number, callee_number, callee_name,
        answered_kind, started_at, answered_at, ended_at, wait_ms, ring_ms, talk_ms, hold_ms, ended_by, cause, sip_status,
        incomplete, created_at, updated_at, caller_e164, dialed_e164, callee_e164, protocol_id, legs, reconciled,
    }
    unique { uid }
    anew {
        node, status, direction, trunk, did, caller_number, caller_name, dialed_number, callee_number, callee_name,
        answered_kind, started_at, answered_at, ended_at, wait_ms, ring_ms, talk_ms, hold_ms, ended_by, cause,
        sip_status, incomplete, updated_at, caller_e164, dialed_e164, callee_e164, protocol_id, legs, reconciled,
    }
}

/// Two rows that turned out to be one call: the younger goes, what belonged to it moves.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The call whose row goes.
    pub gone: CallUid,
    /// The call that it is part of.
    pub survivor: CallUid,
}

/// Carries out a merge. One that was carried out before changes nothing.
pub(super) fn merge(conn: &mut SqliteConnection, merge: &Merge) -> QueryResult<()> {
    diesel::delete(calls::table.filter(calls::uid.eq(&merge.gone))).execute(conn)?;
    diesel::update(legs::table.filter(legs::call_uid.eq(&merge.gone)))
        .set(legs::call_uid.eq(&merge.survivor))
        .execute(conn)?;
    diesel::update(recordings::table.filter(recordings::call_uid.eq(&merge.gone)))
        .set(recordings::call_uid.eq(&merge.survivor))
        .execute(conn)
        .map(drop)
}

/// The beginning of the last inbound call that began at `since` or later.
///
/// # Errors
/// When the database can't be read.
pub fn last_inbound(conn: &mut SqliteConnection, since: Timestamp) -> QueryResult<Option<Timestamp>> {
    let inbound = calls::direction.eq(Direction::Inbound);
    let recent = calls::table.filter(inbound).filter(calls::created_at.ge(since));
    recent.order(calls::created_at.desc()).select(calls::created_at).first(conn).optional()
}
