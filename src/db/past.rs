//! The calls of the past, each with the event by which rules would have judged it.

use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;

use super::calls::StoredCall;
use super::events::StoredEvent;
use super::look::{Found, Refusal, look, uri};
use super::schema::calls;
use crate::model::{CallUid, Timestamp};

/// Why the past can't be read.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The file is none of ours.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There is no database.
    #[error("there is no database at '{0}'; name it with --db")]
    Missing(std::path::PathBuf),
    /// It is older than this program.
    #[error("the database '{0}' has an older schema; a start of `callcenter serve` brings it up to date")]
    Older(std::path::PathBuf),
    /// It can't be opened.
    #[error("the database can't be opened: {0}")]
    Connect(#[from] ConnectionError),
}

/// A connection that only reads, also beside a running service.
///
/// # Errors
/// See [`PastError`].
pub fn open(path: &Path) -> Result<SqliteConnection, PastError> {
    match look(path)? {
        Found::Nothing => Err(PastError::Missing(path.to_owned())),
        Found::Ours { pending } if !pending.is_empty() => Err(PastError::Older(path.to_owned())),
        Found::Ours { .. } => Ok(SqliteConnection::establish(&uri(path, "mode=ro")?)?),
    }
}

/// Calls that began from `since` on and before `until`, in that order, behind the one that began at `after.0` with the number
/// `after.1`; at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub fn calls(
    conn: &mut SqliteConnection,
    since: Timestamp,
    until: Timestamp,
    after: Option<(Timestamp, i64)>,
    limit: i64,
) -> QueryResult<Vec<StoredCall>> {
    let mut query = calls::table
        .filter(calls::created_at.ge(since))
        .filter(calls::created_at.lt(until))
        .order((calls::created_at, calls::id))
        .limit(limit)
        .select(StoredCall::as_select())
        .into_boxed();
    if let Some((at, id)) = after {
        query = query.filter(calls::created_at.gt(at).or(calls::created_at.eq(at).and(calls::id.gt(id))));
    }
    query.load(conn)
}

/// The event by which a call's caller entered an application first, or else the one by which its channel was made. `None` where
/// retention took both.
///
/// # Errors
/// When the database can't be read.
pub fn entrance(conn: &mut SqliteConnection, uid: &CallUid) -> QueryResult<Option<StoredEvent>> {
    diesel::sql_query(ENTRANCE).bind::<Text, _>(uid).get_result(conn).optional()
}

/// As [`super::read`]'s walk along a call's events, along those of its origin.
pub(super) const ENTRANCE: &str = "\
    WITH RECURSIVE chain(seq) AS (
        SELECT last_event_seq FROM legs WHERE call_uid = ?1 AND role = 'origin' AND last_event_seq IS NOT NULL
        UNION
        SELECT events.prev_seq FROM chain CROSS JOIN events
        WHERE events.seq = chain.seq AND events.prev_seq IS NOT NULL
    )
    SELECT events.seq, events.node, events.at, events.type AS kind, events.channel_id, events.bridge_id,
           events.prev_seq, events.body
    FROM chain CROSS JOIN events
    WHERE events.seq = chain.seq AND events.type IN ('StasisStart', 'ChannelCreated')
    ORDER BY events.type = 'StasisStart' DESC, events.seq
    LIMIT 1";
