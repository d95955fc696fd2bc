//! Where each leg's chain of events has its head, for channels that are rebuilt after a start.

use diesel::dsl::max;
use diesel::prelude::*;

use super::schema::legs;
use crate::model::{NodeId, Timestamp};

/// The newest event of a channel that the database knows.
///
/// # Errors
/// When the database can't be read.
pub fn last_event(
    conn: &mut SqliteConnection,
    node: &NodeId,
    channel_id: &str,
    created: Timestamp,
) -> QueryResult<Option<i64>> {
    legs::table
        .filter(legs::node.eq(node))
        .filter(legs::channel_id.eq(channel_id))
        .filter(legs::channel_created_at.eq(created))
        .select(max(legs::last_event_seq))
        .first(conn)
}
