//! What the database knows of calls that a start finds open, for those that the journal doesn't give back whole.

use diesel::prelude::*;

use super::calls::CallRow;
use super::legs::{LegRow, StoredLeg};
use super::read;
use super::schema::legs;
use crate::model::{CallUid, NodeId, Timestamp};

/// A call with all its legs.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownCall {
    /// Its row.
    pub call: CallRow,
    /// Its legs in the order in which they came.
    pub legs: Vec<LegRow>,
}

/// The open calls of a node of which a channel (id, creation time) is not `whole`, the oldest first and at most `limit`;
/// then the calls, open or not, in which one of their channels was as well.
///
/// # Errors
/// When the database can't be read.
pub fn unfinished(
    conn: &mut SqliteConnection,
    node: &NodeId,
    whole: impl Fn(&str, Timestamp) -> bool,
    limit: usize,
) -> QueryResult<Vec<KnownCall>> {
    let mut found: Vec<KnownCall> = Vec::new();
    for open in read::open_calls(conn, node)? {
        if found.len() >= limit {
            break;
        }
        let Some(known) = known(conn, &open.row.uid)? else { continue };
        if known.legs.is_empty() || known.legs.iter().any(|leg| !whole(&leg.channel_id, leg.channel_created_at)) {
            found.push(known);
        }
    }
    let mut next = 0;
    while let Some(call) = found.get(next) {
        next += 1;
        let channels: Vec<_> = call.legs.iter().map(|l| (l.channel_id.clone(), l.channel_created_at)).collect();
        for (id, created) in channels {
            for leg in legs_of(conn, node, &id)? {
                // Transfers tie few calls together; the bound is the same.
                let news = leg.channel_created_at == created
                    && found.len() < limit.saturating_mul(2)
                    && found.iter().all(|c| c.call.uid != leg.call_uid);
                if news && let Some(known) = known(conn, &leg.call_uid)? {
                    found.push(known);
                }
            }
        }
    }
    Ok(found)
}

fn known(conn: &mut SqliteConnection, uid: &CallUid) -> QueryResult<Option<KnownCall>> {
    let found = read::call(conn, uid)?;
    Ok(found.map(|(call, legs)| KnownCall { call: call.row, legs: legs.into_iter().map(|leg| leg.row).collect() }))
}

/// The legs of the channels with this id, the oldest channel first, one for each of its stays, in their order.
///
/// # Errors
/// When the database can't be read.
pub fn legs_of(conn: &mut SqliteConnection, node: &NodeId, channel_id: &str) -> QueryResult<Vec<LegRow>> {
    let found: Vec<StoredLeg> = legs::table
        .filter(legs::node.eq(node))
        .filter(legs::channel_id.eq(channel_id))
        .order((legs::channel_created_at, legs::stay))
        .select(StoredLeg::as_select())
        .load(conn)?;
    Ok(found.into_iter().map(|leg| leg.row).collect())
}
