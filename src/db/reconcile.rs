//! Calls from Asterisk's CDR written into the spans of `gaps`, also beside a running service.
//!
//! That is safe though the service has a writer of its own: SQLite lets one transaction write at a time and the others
//! wait; what the service numbers by itself (events) is not written here; `changes` and the ids are numbered by SQLite in the
//! transaction; and the rows are of calls that are over and that the service has never heard of, so no book holds them.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel_migrations::MigrationHarness;

use super::calls::CallRow;
use super::changes::{self, NewChange};
use super::insert;
use super::legs::LegRow;
use super::look::{Found, look, uri};
use super::open::{MIGRATIONS, OpenError, open_write};
use super::schema;
use super::transaction::immediate;
use crate::config::Database;
use crate::model::{NodeId, Timestamp};

/// A call to be added.
#[derive(Clone, Debug)]
pub struct Missed {
    /// Its row.
    pub call: CallRow,
    /// Its legs.
    pub legs: Vec<LegRow>,
    /// What followers of `changes` are told.
    pub change: NewChange,
}

/// Calls of one transaction: the service's own batches wait for no more than that.
const STEP: usize = 100;

/// Opens the database for this: brought up to date where nobody else writes to it, else beside the service.
///
/// # Errors
/// See [`OpenError`]; there must be a database already.
pub fn open(config: &Database) -> Result<SqliteConnection, OpenError> {
    let path = config.path.as_path();
    let failed = |detail: String| {
        let trouble = super::trouble::Trouble::of_text(&detail);
        OpenError::Database { path: path.into(), detail, trouble }
    };
    if look(path)? == Found::Nothing {
        return Err(failed("there is no database there, so there are no gaps either".into()));
    }
    match open_write(config) {
        // The lock goes: a service may start meanwhile.
        Ok(opened) => return Ok(opened.connection),
        Err(OpenError::InUse { .. }) => {}
        Err(error) => return Err(error),
    }
    let mut conn = SqliteConnection::establish(&uri(path, "mode=rw")?).map_err(|e| failed(e.to_string()))?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", config.busy_timeout_ms))
        .map_err(|e| failed(e.to_string()))?;
    // Asked of the database itself: a look at the file doesn't see what stands in its write-ahead log only.
    match conn.has_pending_migration(MIGRATIONS) {
        Ok(false) => Ok(conn),
        Ok(true) => {
            Err(failed("the service that uses it is of an older version: restart it with this one first".into()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The spans of a node's gaps in their order; those that meet are one. Frames that could not be read are no span.
///
/// # Errors
/// When the database can't be read.
pub fn spans(conn: &mut SqliteConnection, node: &NodeId) -> QueryResult<Vec<(Timestamp, Timestamp)>> {
    use schema::gaps;
    let all: Vec<(Timestamp, Timestamp)> =
        gaps::table.filter(gaps::node.eq(node)).order(gaps::since).select((gaps::since, gaps::until)).load(conn)?;
    let mut spans: Vec<(Timestamp, Timestamp)> = Vec::new();
    for (since, until) in all.into_iter().filter(|(since, until)| until > since) {
        match spans.last_mut().filter(|(_, end)| since <= *end) {
            Some((_, end)) => *end = until.max(*end),
            None => spans.push((since, until)),
        }
    }
    Ok(spans)
}

/// Whether any of these channels is known already, as a leg or by its call.
///
/// # Errors
/// When the database can't be read.
pub fn is_known<'a>(
    conn: &mut SqliteConnection,
    node: &NodeId,
    channels: impl IntoIterator<Item = &'a str>,
) -> QueryResult<bool> {
    use diesel::dsl::exists;
    for channel in channels {
        let leg = schema::legs::table.filter(schema::legs::node.eq(node)).filter(schema::legs::channel_id.eq(channel));
        // A uid is node/channel/milliseconds, and '0' is what follows '/': the span of all uids with this beginning.
        let (from, to) = (format!("{node}/{channel}/"), format!("{node}/{channel}0"));
        let call = schema::calls::table.filter(schema::calls::uid.ge(from)).filter(schema::calls::uid.lt(to));
        if diesel::select(exists(leg)).get_result(conn)? || diesel::select(exists(call)).get_result(conn)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Adds those that are still not known, in small transactions, and gives how many those were.
///
/// # Errors
/// The database's; what was committed before stays, and running it again goes on.
pub fn add(conn: &mut SqliteConnection, missed: &[Missed]) -> QueryResult<usize> {
    let mut added = 0;
    for step in missed.chunks(STEP) {
        added += immediate(conn, |conn| {
            let mut added = 0;
            for one in step {
                let channels = one.legs.iter().map(|leg| leg.channel_id.as_str());
                if is_known(conn, &one.call.node, channels)? {
                    continue;
                }
                insert::insert(conn, std::slice::from_ref(&one.call))?;
                insert::insert(conn, &one.legs)?;
                changes::insert(conn, std::slice::from_ref(&one.change))?;
                added += 1;
            }
            QueryResult::Ok(added)
        })?;
    }
    Ok(added)
}
