//! `gaps`: spans in which something could not be seen.

use diesel::prelude::*;

use super::insert::row;
use super::schema::gaps;
use crate::model::{NodeId, Timestamp};

/// A gap. `node`, `stream` and `position` are its identity.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = gaps, check_for_backend(diesel::sqlite::Sqlite))]
pub struct GapRow {
    /// The Asterisk server.
    pub node: NodeId,
    /// The stream (journal or file) that holds its entry.
    pub stream: String,
    /// Where in that stream.
    pub position: i64,
    /// The last moment at which everything was seen.
    pub since: Timestamp,
    /// The moment from which everything is seen again.
    pub until: Timestamp,
    /// Why, for people.
    pub reason: String,
    /// How many calls it touched.
    pub calls_touched: i32,
    /// The beginning of a frame that could not be read, where that is the reason.
    pub sample: Option<String>,
}

/// A gap as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = gaps, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredGap {
    /// Its number in this database.
    pub id: i64,
    /// The gap.
    #[diesel(embed)]
    pub row: GapRow,
}

// One that is there already stays as it is.
row! {
    GapRow => gaps { node, stream, position, since, until, reason, calls_touched, sample }
    unique { node, stream, position }
    anew {}
}

/// The gaps whose numbers are above `id`, in order, at most `limit`.
///
/// # Errors
/// When the database can't be read.
pub fn after(conn: &mut SqliteConnection, id: i64, limit: i64) -> QueryResult<Vec<StoredGap>> {
    gaps::table.filter(gaps::id.gt(id)).order(gaps::id).limit(limit).select(StoredGap::as_select()).load(conn)
}

/// The number of the newest gap.
///
/// # Errors
/// When the database can't be read.
pub fn newest(conn: &mut SqliteConnection) -> QueryResult<Option<i64>> {
    gaps::table.select(diesel::dsl::max(gaps::id)).first(conn)
}
