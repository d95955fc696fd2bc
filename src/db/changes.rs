//! `changes`: what became of the events, numbered inside the transaction that made it so.
//!
//! A reader resumes after a number; one whose number is older than retention begins anew with a snapshot.

use std::ops::RangeInclusive;

use diesel::prelude::*;

use super::insert::{self, row};
use super::schema::changes;
use crate::model::{CallUid, NodeId, Timestamp};

/// A change to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewChange {
    /// The Asterisk server.
    pub node: NodeId,
    /// When it happened.
    pub at: Timestamp,
    /// What kind of change: `call_started`, `merged` ...
    pub kind: String,
    /// The call, where it is about one.
    pub call_uid: Option<CallUid>,
    /// The rest, as JSON.
    pub body: String,
}

row! { NewChange => changes { node, at, kind, call_uid, body } unique {} anew {} }

/// A change as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = changes, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredChange {
    /// Its number; never given twice.
    pub seq: i64,
    /// The Asterisk server.
    pub node: NodeId,
    /// When it happened.
    pub at: Timestamp,
    /// What kind of change.
    pub kind: String,
    /// The call, where it is about one.
    pub call_uid: Option<CallUid>,
    /// The rest, as JSON.
    pub body: String,
}

diesel::define_sql_function! {
    /// The number of the row that this connection inserted last.
    fn last_insert_rowid() -> BigInt;
}

/// Writes changes and gives their numbers, which follow each other: `AUTOINCREMENT` counts on by one from the
/// highest ever given, and in a write transaction nobody else gives any.
pub(super) fn insert(conn: &mut SqliteConnection, all: &[NewChange]) -> QueryResult<Option<RangeInclusive<i64>>> {
    let Some(others) = i64::try_from(all.len()).ok().and_then(|count| count.checked_sub(1)).filter(|&n| n >= 0) else {
        return Ok(None);
    };
    insert::insert(conn, all)?;
    let last: i64 = diesel::select(last_insert_rowid()).get_result(conn)?;
    Ok(Some(last - others..=last))
}
