//! `events`: the raw log, in the order in which it was received.
//!
//! There is no index but the primary key. Each event names the one before it in its leg (`prev_seq`), and
//! each leg names its newest (`legs.last_event_seq`), so that a call's events are found by walking
//! ([`super::read::call_events`]).

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;

use super::schema::{events, positions};
use super::upsert::names;
use crate::model::Timestamp;

/// An event to be written, borrowed from the text that it came in: this is the hot path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewEvent<'a> {
    /// Its number: the caller counts on from [`next_seq`], so that chains are known before the insert.
    pub seq: i64,
    /// The Asterisk server.
    pub node: &'a str,
    /// Asterisk's timestamp, or the time of receipt where it has none.
    pub at: Timestamp,
    /// Asterisk's `type`: `ChannelCreated`, `Dial` ...
    pub kind: &'a str,
    /// The channel that it is about.
    pub channel_id: Option<&'a str>,
    /// The bridge that it is about.
    pub bridge_id: Option<&'a str>,
    /// The previous event of the same leg; `None` for its first and for an event of no leg.
    pub prev_seq: Option<i64>,
    /// The event's JSON without needless whitespace ([`super::compact::compact_body`]).
    pub body: &'a str,
}

/// An event as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, QueryableByName, Selectable)]
#[diesel(table_name = events, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredEvent {
    /// Its number, in the order of receipt.
    pub seq: i64,
    /// The Asterisk server.
    pub node: String,
    /// Asterisk's timestamp, or the time of receipt where it has none.
    pub at: Timestamp,
    /// Asterisk's `type`.
    #[diesel(column_name = "kind")]
    pub kind: String,
    /// The channel that it is about.
    pub channel_id: Option<String>,
    /// The bridge that it is about.
    pub bridge_id: Option<String>,
    /// The previous event of the same leg.
    pub prev_seq: Option<i64>,
    /// The event's JSON.
    pub body: String,
}

/// Events of one statement: what a statement costs beside its rows is then a small part.
const AT_ONCE: usize = 16;

/// Writes events in their order.
pub(super) fn insert(conn: &mut SqliteConnection, events: &[NewEvent<'_>]) -> QueryResult<()> {
    let (full, rest) = events.as_chunks::<AT_ONCE>();
    for rows in full {
        Insert(rows).execute(conn)?;
    }
    for event in rest {
        Insert(std::array::from_ref(event)).execute(conn)?;
    }
    Ok(())
}

/// An insert of so many events, prepared once a connection. Diesel's own one of several rows is prepared anew each time, and its
/// one of a single row takes several times as long to walk: it visits each column on its own.
#[derive(Debug)]
struct Insert<'r, 'e, const ROWS: usize>(&'r [NewEvent<'e>; ROWS]);

impl<const ROWS: usize> QueryId for Insert<'_, '_, ROWS> {
    type QueryId = Insert<'static, 'static, ROWS>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<const ROWS: usize> RunQueryDsl<SqliteConnection> for Insert<'_, '_, ROWS> {}

impl<const ROWS: usize> QueryFragment<Sqlite> for Insert<'_, '_, ROWS> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let columns = names!(events: seq, node, at, kind, channel_id, bridge_id, prev_seq, body);
        // FAIL: a row that is refused leaves those before it, for the transaction to take back. By default SQLite would keep a
        // copy of each page for that.
        pass.push_sql("INSERT OR FAIL INTO `events` ");
        for (index, column) in columns.iter().enumerate() {
            pass.push_sql(if index == 0 { "(" } else { ", " });
            pass.push_identifier(column)?;
        }
        for (index, row) in self.0.iter().enumerate() {
            pass.push_sql(if index == 0 { ") VALUES (" } else { "), (" });
            pass.push_bind_param::<BigInt, _>(&row.seq)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Text, _>(row.node)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Text, _>(&row.at)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Text, _>(row.kind)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Nullable<Text>, _>(&row.channel_id)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Nullable<Text>, _>(&row.bridge_id)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Nullable<BigInt>, _>(&row.prev_seq)?;
            pass.push_sql(", ");
            pass.push_bind_param::<Text, _>(row.body)?;
        }
        pass.push_sql(")");
        Ok(())
    }
}

/// The number for the next event. No number is given twice, also when the log was emptied: each position
/// remembers the highest one given.
///
/// # Errors
/// When the database can't be read.
pub fn next_seq(conn: &mut SqliteConnection) -> QueryResult<i64> {
    use diesel::dsl::max;
    let stored: Option<i64> = events::table.select(max(events::seq)).first(conn)?;
    let given: Option<i64> = positions::table.select(max(positions::event_seq)).first(conn)?;
    Ok(stored.max(given).unwrap_or(0) + 1)
}
