//! The database as a reader sees it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use callcenter::model::Timestamp;
use rusqlite::{Connection, OpenFlags};

/// A reader that asks again and again.
pub(crate) struct Watch {
    path: PathBuf,
    connection: Option<Connection>,
    version: i64,
    /// Events seen so far.
    pub(crate) seen: i64,
    /// Milliseconds from each event's timestamp to the moment when it was seen.
    pub(crate) lags: Vec<i64>,
}

pub(crate) fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

impl Watch {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.into(), connection: None, version: -1, seen: 0, lags: Vec::new() }
    }

    /// Looks once; with `each`, at each new event's timestamp.
    pub(crate) fn look(&mut self, each: bool) {
        if self.connection.is_none() && self.path.exists() {
            self.connection = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok();
        }
        let Some(connection) = &self.connection else { return };
        let Ok(version) = connection.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)) else { return };
        if version == self.version {
            return;
        }
        // Until the tables are there, there is nothing to see.
        let seen = if each { self.read(connection) } else { highest(connection) };
        if let Ok((seen, lags)) = seen {
            self.version = version;
            self.seen = self.seen.max(seen);
            self.lags.extend(lags);
        }
    }

    fn read(&self, connection: &Connection) -> rusqlite::Result<(i64, Vec<i64>)> {
        let mut query = connection.prepare("SELECT seq, body FROM events WHERE seq > ?1 ORDER BY seq")?;
        let rows = query.query_map([self.seen], |row| Ok((row.get::<_, i64>(0)?, stamp(row.get_ref(1)?.as_str()?))))?;
        let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
        let now = now_ms();
        let lags = rows.iter().filter_map(|(_, at)| at.map(|at| now - at)).collect();
        Ok((rows.last().map_or(0, |(seq, _)| *seq), lags))
    }

    /// Calls by status.
    pub(crate) fn statuses(&self) -> BTreeMap<String, u64> {
        let connection = self.connection.as_ref().unwrap();
        let mut query = connection.prepare("SELECT status, COUNT(*) FROM calls GROUP BY status").unwrap();
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))).unwrap();
        rows.collect::<rusqlite::Result<_>>().unwrap()
    }
}

fn highest(connection: &Connection) -> rusqlite::Result<(i64, Vec<i64>)> {
    let seen: Option<i64> = connection.query_row("SELECT MAX(seq) FROM events", [], |row| row.get(0))?;
    Ok((seen.unwrap_or(0), Vec::new()))
}

/// The timestamp of an event, milliseconds since 1970.
fn stamp(body: &str) -> Option<i64> {
    let rest = &body[body.find("\"timestamp\":")? + 12..];
    let text = rest.trim_start().strip_prefix('"')?.split('"').next()?;
    Some(text.parse::<Timestamp>().ok()?.millis())
}
