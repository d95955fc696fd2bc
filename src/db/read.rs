//! Questions to the database. Each takes any connection: the pool's, or the writer's own after a start.

use diesel::dsl::{count_star, max, min};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::calls::StoredCall;
use super::changes::StoredChange;
use super::commands::StoredCommand;
use super::endpoints::EndpointRow;
use super::events::StoredEvent;
use super::gaps::StoredGap;
use super::legs::StoredLeg;
use super::positions::Position;
use super::recordings::StoredRecording;
use super::schema::{calls, changes, commands, endpoints, gaps, legs, positions, recordings};
use crate::model::{CallUid, NodeId, Status};

/// The last calls, the newest first.
///
/// # Errors
/// When the database can't be read.
pub fn last_calls(conn: &mut SqliteConnection, limit: i64) -> QueryResult<Vec<StoredCall>> {
    calls::table.order(calls::created_at.desc()).limit(limit).select(StoredCall::as_select()).load(conn)
}

/// One call with its legs in the order in which they came.
///
/// # Errors
/// When the database can't be read.
pub fn call(conn: &mut SqliteConnection, uid: &CallUid) -> QueryResult<Option<(StoredCall, Vec<StoredLeg>)>> {
    let found = calls::table.filter(calls::uid.eq(uid)).select(StoredCall::as_select()).first(conn).optional()?;
    let Some(found) = found else { return Ok(None) };
    let legs = legs::table
        .filter(legs::call_uid.eq(uid))
        .order((legs::started_at, legs::id))
        .select(StoredLeg::as_select())
        .load(conn)?;
    Ok(Some((found, legs)))
}

/// The events of a call in the order of receipt, at most `limit` of them: from each leg's newest one back along its chain.
/// Where retention took the beginning, what is left. A bridge's and a device's own events are of no leg.
///
/// # Errors
/// When the database can't be read.
pub fn call_events(conn: &mut SqliteConnection, uid: &CallUid, limit: i64) -> QueryResult<Vec<StoredEvent>> {
    diesel::sql_query(CALL_EVENTS).bind::<Text, _>(uid).bind::<BigInt, _>(limit).load(conn)
}

/// The query builder has no recursion. CROSS JOIN keeps SQLite from scanning all events: it looks each up by its number.
pub(super) const CALL_EVENTS: &str = "\
    WITH RECURSIVE chain(seq) AS (
        SELECT last_event_seq FROM legs WHERE call_uid = ?1 AND last_event_seq IS NOT NULL
        UNION
        SELECT events.prev_seq FROM chain CROSS JOIN events
        WHERE events.seq = chain.seq AND events.prev_seq IS NOT NULL
    )
    SELECT events.seq, events.node, events.at, events.type AS kind, events.channel_id, events.bridge_id,
           events.prev_seq, events.body
    FROM chain CROSS JOIN events
    WHERE events.seq = chain.seq
    ORDER BY events.seq
    LIMIT ?2";

/// How many calls there are of each status.
///
/// # Errors
/// When the database can't be read.
pub fn counts_by_status(conn: &mut SqliteConnection) -> QueryResult<Vec<(Status, i64)>> {
    calls::table.group_by(calls::status).select((calls::status, count_star())).order(calls::status).load(conn)
}

/// The calls of a node that are not over, the oldest first.
///
/// # Errors
/// When the database can't be read.
pub fn open_calls(conn: &mut SqliteConnection, node: &NodeId) -> QueryResult<Vec<StoredCall>> {
    calls::table
        .filter(calls::node.eq(node))
        .filter(calls::ended_at.is_null())
        .order((calls::created_at, calls::id))
        .select(StoredCall::as_select())
        .load(conn)
}

/// The legs of a node that are not over, with the newest event of each chain.
///
/// # Errors
/// When the database can't be read.
pub fn open_legs(conn: &mut SqliteConnection, node: &NodeId) -> QueryResult<Vec<StoredLeg>> {
    legs::table
        .filter(legs::node.eq(node))
        .filter(legs::ended_at.is_null())
        .order((legs::started_at, legs::id))
        .select(StoredLeg::as_select())
        .load(conn)
}

/// The last gaps, the newest first.
///
/// # Errors
/// When the database can't be read.
pub fn last_gaps(conn: &mut SqliteConnection, limit: i64) -> QueryResult<Vec<StoredGap>> {
    gaps::table.order(gaps::id.desc()).limit(limit).select(StoredGap::as_select()).load(conn)
}

/// Gaps with a number above `after` in their order, at most `limit`, each with how many calls `reconcile` added inside it.
///
/// # Errors
/// When the database can't be read.
pub fn gaps_after(conn: &mut SqliteConnection, after: i64, limit: i64) -> QueryResult<Vec<(StoredGap, i64)>> {
    let found: Vec<StoredGap> = gaps::table
        .filter(gaps::id.gt(after))
        .order(gaps::id)
        .limit(limit)
        .select(StoredGap::as_select())
        .load(conn)?;
    let mut all = Vec::with_capacity(found.len());
    for gap in found {
        // By the index on created_at, which equals started_at.
        let inside = calls::table
            .filter(calls::node.eq(&gap.row.node))
            .filter(calls::created_at.ge(gap.row.since.plus_millis(-1_000)))
            .filter(calls::created_at.le(gap.row.until))
            .filter(calls::ended_at.le(gap.row.until))
            .filter(calls::reconciled);
        let count = inside.count().get_result(conn)?;
        all.push((gap, count));
    }
    Ok(all)
}

/// How far each stream is.
///
/// # Errors
/// When the database can't be read.
pub fn all_positions(conn: &mut SqliteConnection) -> QueryResult<Vec<Position>> {
    positions::table.order((positions::node, positions::stream)).select(Position::as_select()).load(conn)
}

/// The numbers of the oldest and the newest change that are kept; `None` before the first one.
///
/// # Errors
/// When the database can't be read.
pub fn change_span(conn: &mut SqliteConnection) -> QueryResult<Option<(i64, i64)>> {
    // Two queries: SQLite answers each from one end of the key, but scans for both at once.
    let oldest: Option<i64> = changes::table.select(min(changes::seq)).first(conn)?;
    let newest: Option<i64> = changes::table.select(max(changes::seq)).first(conn)?;
    Ok(oldest.zip(newest))
}

/// The changes after this number in their order, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub fn changes_after(conn: &mut SqliteConnection, seq: i64, limit: i64) -> QueryResult<Vec<StoredChange>> {
    changes::table
        .filter(changes::seq.gt(seq))
        .order(changes::seq)
        .limit(limit)
        .select(StoredChange::as_select())
        .load(conn)
}

/// All endpoints of a node.
///
/// # Errors
/// When the database can't be read.
pub fn all_endpoints(conn: &mut SqliteConnection, node: &NodeId) -> QueryResult<Vec<EndpointRow>> {
    endpoints::table
        .filter(endpoints::node.eq(node))
        .order((endpoints::tech, endpoints::resource))
        .select(EndpointRow::as_select())
        .load(conn)
}

/// The recordings of a call, the oldest first.
///
/// # Errors
/// When the database can't be read.
pub fn call_recordings(conn: &mut SqliteConnection, uid: &CallUid) -> QueryResult<Vec<StoredRecording>> {
    recordings::table
        .filter(recordings::call_uid.eq(uid))
        .order((recordings::started_at, recordings::id))
        .select(StoredRecording::as_select())
        .load(conn)
}

/// The last commands, the newest first.
///
/// # Errors
/// When the database can't be read.
pub fn last_commands(conn: &mut SqliteConnection, limit: i64) -> QueryResult<Vec<StoredCommand>> {
    commands::table.order(commands::seq.desc()).limit(limit).select(StoredCommand::as_select()).load(conn)
}
