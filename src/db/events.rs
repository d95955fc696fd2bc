//! `events`: the raw log, in the order in which it was received.
//!
//! There is no index but the primary key. Each event names the one before it in its leg (`prev_seq`), and
//! each leg names its newest (`legs.last_event_seq`), so that a call's events are found by walking
//! ([`super::read::call_events`]).

use diesel::prelude::*;

use super::insert::row;
use super::schema::{events, positions};
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

row! {
    <'e> NewEvent => events { seq, node, at, kind, channel_id, bridge_id, prev_seq, body } unique {} anew {}
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
