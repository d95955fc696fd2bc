//! `recordings`: recordings that Asterisk made.

use diesel::prelude::*;

use super::insert::row;
use super::schema::recordings;
use crate::model::{CallUid, NodeId, Timestamp};

/// A recording. `node`, `name` and `started_at` are its identity: Asterisk can use a name again.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = recordings, check_for_backend(diesel::sqlite::Sqlite))]
pub struct RecordingRow {
    /// The Asterisk server.
    pub node: NodeId,
    /// Asterisk's name of it.
    pub name: String,
    /// What was recorded: `channel:1795352366.0`, `bridge:...`.
    pub target: String,
    /// The file format: `wav`.
    pub format: String,
    /// Asterisk's word for its state: `recording`, `done`, `failed`.
    pub state: String,
    /// Its length in seconds, once it is over.
    pub duration_s: Option<i64>,
    /// The call that it belongs to.
    pub call_uid: Option<CallUid>,
    /// When it began; where that was not seen, the first moment that it was heard of.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A recording as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = recordings, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredRecording {
    /// Its number in this database.
    pub id: i64,
    /// The recording.
    #[diesel(embed)]
    pub row: RecordingRow,
}

// A new row, or all of the row with its identity but `id`.
row! {
    RecordingRow => recordings { node, name, target, format, state, duration_s, call_uid, started_at, ended_at }
    unique { node, name, started_at }
    anew { target, format, state, duration_s, call_uid, ended_at }
}

/// The latest recording of this name that had begun at `at`, or `None`. An event without a remembered beginning
/// belongs to it.
///
/// # Errors
/// When the database can't be read.
pub fn latest(
    conn: &mut SqliteConnection,
    node: &NodeId,
    name: &str,
    at: Timestamp,
) -> QueryResult<Option<RecordingRow>> {
    recordings::table
        .filter(recordings::node.eq(node))
        .filter(recordings::name.eq(name))
        .filter(recordings::started_at.le(at))
        .order(recordings::started_at.desc())
        .select(RecordingRow::as_select())
        .first(conn)
        .optional()
}
