//! Where each leg's chain of events has its head, for channels that are rebuilt after a start.

use diesel::dsl::max;
use diesel::prelude::*;

use super::schema::{events, legs};
use crate::model::{NodeId, Timestamp};

/// The newest events looked through for a channel that has no leg yet: it was made just before the end.
const LATEST: i64 = 10_000;

/// The newest event of a channel that the database knows: its leg names it. A channel that belonged to no call yet
/// has no leg; its events are among the newest.
///
/// # Errors
/// When the database can't be read.
pub fn last_event(
    conn: &mut SqliteConnection,
    node: &NodeId,
    channel_id: &str,
    created: Timestamp,
) -> QueryResult<Option<i64>> {
    let head: Option<i64> = legs::table
        .filter(legs::node.eq(node))
        .filter(legs::channel_id.eq(channel_id))
        .filter(legs::channel_created_at.eq(created))
        .select(max(legs::last_event_seq))
        .first(conn)?;
    if head.is_some() {
        return Ok(head);
    }
    let newest: Option<i64> = events::table.select(max(events::seq)).first(conn)?;
    events::table
        .filter(events::seq.gt(newest.unwrap_or(0) - LATEST))
        .filter(events::node.eq(node))
        .filter(events::channel_id.eq(channel_id))
        .select(max(events::seq))
        .first(conn)
}
