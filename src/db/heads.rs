//! Where each leg's chain of events has its head.
//!
//! Most events change nothing of a leg but the head of its chain. Under load heads are therefore written after up to
//! [`BEHIND`] events instead of with each; what a crash leaves behind is found again from the events themselves.

use diesel::dsl::max;
use diesel::prelude::*;
use rustc_hash::FxHashMap;

use super::schema::{events, legs};
use super::transaction::immediate;
use crate::call::ChainHead;
use crate::model::{NodeId, Timestamp};

/// By how many events the heads in the database may be behind what is committed.
pub const BEHIND: i64 = 16_384;

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
    events::table
        .filter(events::seq.gt(newest(conn)? - BEHIND))
        .filter(events::node.eq(node))
        .filter(events::channel_id.eq(channel_id))
        .select(max(events::seq))
        .first(conn)
}

/// The new head of a channel's chain.
#[derive(Clone, Debug, PartialEq)]
pub struct LegHead {
    /// The Asterisk server.
    pub node: NodeId,
    /// The channel and its newest event.
    pub head: ChainHead,
}

/// Writes the head of a chain that has grown to the channel's legs.
pub(super) fn advance(conn: &mut SqliteConnection, LegHead { node, head }: &LegHead) -> QueryResult<()> {
    diesel::update(legs::table)
        .filter(legs::node.eq(node))
        .filter(legs::channel_id.eq(&*head.channel_id))
        .filter(legs::channel_created_at.eq(head.created))
        .set(legs::last_event_seq.eq(head.seq))
        .execute(conn)
        .map(drop)
}

/// After a crash under load: follows the chains of the newest events, and lets the legs that name an earlier event of
/// one name its last. Gives the number of legs that were behind.
///
/// # Errors
/// When the database can't be read or written.
pub fn repair(conn: &mut SqliteConnection) -> QueryResult<usize> {
    immediate(conn, |conn| {
        let mut repaired = 0;
        for (node, channel_id, known, last) in grown(conn)? {
            repaired += diesel::update(legs::table)
                .filter(legs::node.eq(node))
                .filter(legs::channel_id.eq(channel_id))
                .filter(legs::last_event_seq.ge(known))
                .filter(legs::last_event_seq.lt(last))
                .set(legs::last_event_seq.eq(last))
                .execute(conn)?;
        }
        Ok(repaired)
    })
}

/// The chains in the newest events: node, channel, the number by which the chain was known before them (or its
/// first event's), and its last event's.
fn grown(conn: &mut SqliteConnection) -> QueryResult<Vec<(String, String, i64, i64)>> {
    type Row = (i64, String, Option<String>, Option<i64>);
    let rows: Vec<Row> = events::table
        .filter(events::seq.gt(newest(conn)? - BEHIND))
        .order(events::seq)
        .select((events::seq, events::node, events::channel_id, events::prev_seq))
        .load(conn)?;
    // By the chain's last event: each event moves its chain there from the one before it.
    let mut chains: FxHashMap<i64, (String, String, i64)> = FxHashMap::default();
    for (seq, node, channel_id, prev) in rows {
        let Some(channel_id) = channel_id else { continue };
        let chain = prev.and_then(|prev| chains.remove(&prev));
        chains.insert(seq, chain.unwrap_or((node, channel_id, prev.unwrap_or(seq))));
    }
    Ok(chains.into_iter().map(|(last, (node, channel_id, known))| (node, channel_id, known, last)).collect())
}

/// The number of the newest event; 0 with none.
fn newest(conn: &mut SqliteConnection) -> QueryResult<i64> {
    let newest: Option<i64> = events::table.select(max(events::seq)).first(conn)?;
    Ok(newest.unwrap_or(0))
}
