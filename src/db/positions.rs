//! `positions`: how far each stream is in the database, committed together with the rows that it led to.

use diesel::prelude::*;

use super::schema::positions;
use super::upsert::{Upsert, names};
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

/// Writes a position, with the highest number given to an event so far.
pub(super) fn upsert(conn: &mut SqliteConnection, row: &Position, event_seq: i64) -> QueryResult<()> {
    let values = (
        positions::node.eq(&row.node),
        positions::stream.eq(&row.stream),
        positions::position.eq(row.position),
        positions::oldest_open.eq(row.oldest_open),
        positions::event_seq.eq(event_seq),
        positions::updated_at.eq(row.updated_at),
    );
    let key = names!(positions: node, stream);
    let anew = names!(positions: position, oldest_open, event_seq, updated_at);
    Upsert { insert: diesel::insert_into(positions::table).values(values), key, anew }.write(conn)
}
