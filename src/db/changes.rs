//! `changes`: what became of the events, numbered inside the transaction that made it so.
//!
//! A reader resumes after a number; one whose number is older than retention begins anew with a snapshot.

use diesel::prelude::*;

use super::schema::changes;
use crate::model::{CallUid, NodeId, Timestamp};

/// A change to be written.
#[derive(Clone, Debug, PartialEq, Insertable)]
#[diesel(table_name = changes, treat_none_as_default_value = false, check_for_backend(diesel::sqlite::Sqlite))]
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

/// Writes a change and gives its number.
pub(super) fn insert(conn: &mut SqliteConnection, change: &NewChange) -> QueryResult<i64> {
    diesel::insert_into(changes::table).values(change).returning(changes::seq).get_result(conn)
}
