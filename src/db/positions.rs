//! `positions`: how far each stream is in the database, committed together with the rows that it led to.

use diesel::prelude::*;

use super::insert::row;
use super::schema::positions;
use crate::model::{NodeId, Timestamp};

/// How far a stream is. `node` and `stream` are its identity.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = positions, check_for_backend(diesel::sqlite::Sqlite))]
pub struct Position {
    /// The Asterisk server.
    pub node: NodeId,
    /// The node's journal, or the name of a replayed file.
    pub stream: String,
    /// Everything before it is in the database.
    pub position: i64,
    /// Where the oldest open call began; `position` when none is open. A start reads on from here.
    pub oldest_open: i64,
    /// When it was written: the stream's own time.
    pub updated_at: Timestamp,
}

/// The position of a stream, if any of it was ever written.
///
/// # Errors
/// When the database can't be read.
pub fn get(conn: &mut SqliteConnection, node: &NodeId, stream: &str) -> QueryResult<Option<Position>> {
    positions::table
        .filter(positions::node.eq(node))
        .filter(positions::stream.eq(stream))
        .select(Position::as_select())
        .first(conn)
        .optional()
}

/// The position of a stream, and the highest number that it gave to an event.
pub(super) fn committed(conn: &mut SqliteConnection, node: &NodeId, stream: &str) -> QueryResult<Option<(i64, i64)>> {
    positions::table
        .filter(positions::node.eq(node))
        .filter(positions::stream.eq(stream))
        .select((positions::position, positions::event_seq))
        .first(conn)
        .optional()
}

/// A position with the highest number that its stream gave to an event so far.
pub(super) struct NewPosition<'p> {
    node: &'p NodeId,
    stream: &'p str,
    position: i64,
    oldest_open: i64,
    event_seq: i64,
    updated_at: Timestamp,
}

row! {
    <'p> NewPosition => positions { node, stream, position, oldest_open, event_seq, updated_at }
    unique { node, stream }
    anew { position, oldest_open, event_seq, updated_at }
}

impl Position {
    /// As it is written.
    pub(super) fn with(&self, event_seq: i64) -> NewPosition<'_> {
        let Self { node, stream, position, oldest_open, updated_at } = self;
        NewPosition { node, stream, position: *position, oldest_open: *oldest_open, event_seq, updated_at: *updated_at }
    }
}
