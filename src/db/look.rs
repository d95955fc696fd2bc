//! A look at a database file before anything is done to it: is it ours, can this program read it?
//!
//! A file of another program must stay untouched: not a byte of it changes and no file appears beside it.
//! So its header is read as a plain file, and its tables through a connection that SQLite is told to treat as
//! a file on a read-only medium (`immutable=1`), which takes no lock and makes no `-wal` file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sqlite::Sqlite;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::open::MIGRATIONS;
use super::space::{beside, length};

/// `PRAGMA application_id` of our databases: "CCdr" (<https://sqlite.org/pragma.html#pragma_application_id>).
pub const APPLICATION_ID: i32 = 0x4343_6472;

/// Tables that are ours, with those of diesel's migrations.
const OURS: [&str; 10] = [
    "__diesel_schema_migrations",
    "calls",
    "changes",
    "commands",
    "endpoints",
    "events",
    "gaps",
    "legs",
    "positions",
    "recordings",
];

/// What a database file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is none, or an empty one.
    Nothing,
    /// One of ours.
    Ours {
        /// Names of the migrations that it still needs.
        pending: Vec<String>,
    },
}

/// Why a file can't be our database. It was not touched.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// A database of another program.
    #[error(
        "'{path}' is a database of another program ({what}); it was left untouched: name another file in \
         database.path (DB_PATH)"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// By what one sees that it isn't ours.
        what: String,
    },
    /// No database at all.
    #[error(
        "'{path}' is not a SQLite database; it was left untouched: name another file in database.path (DB_PATH). If it \
         was callcenter's, it is damaged: restore a copy that `callcenter backup` made, or move it away and start with \
         a new one; either way the journal gives back what it still holds"
    )]
    NotSqlite {
        /// The file.
        path: PathBuf,
    },
    /// A folder, a device.
    #[error(
        "'{path}' is not a file: database.path (DB_PATH) must name the database file itself, such as data/callcenter.db"
    )]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// A newer version of this program wrote it.
    #[error(
        "'{path}' was made by a newer callcenter (this version doesn't know its schema {version}); it was left \
         untouched: start that version again, or restore a copy from before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The migration that is not known here.
        version: String,
    },
    /// It can't be read as a database.
    #[error(
        "'{path}' is damaged ({detail}): stop everything that uses it, move it away with its -wal and -shm files, and \
         restore a copy that `callcenter backup` made, or start with a new one; either way the journal gives back what \
         it still holds"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
    },
    /// The operating system does not let us read it.
    #[error("'{path}' can't be read ({error}): check database.path (DB_PATH), owner and permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Its words.
        error: io::Error,
    },
    /// SQLite takes only UTF-8 paths through diesel.
    #[error("the database's path {0:?} is not UTF-8: choose another one in database.path (DB_PATH)")]
    PathNotUtf8(PathBuf),
}

/// Looks at the file at `path` and changes nothing. To be called before this process has it open: closing a
/// plain file drops the locks that SQLite holds on it in the same process.
///
/// # Errors
/// See [`Refusal`].
pub fn look(path: &Path) -> Result<Found, Refusal> {
    let Some(header) = header(path)? else { return Ok(Found::Nothing) };
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(Refusal::NotSqlite { path: path.into() });
    }
    // Offset 68 of the header, big-endian (https://sqlite.org/fileformat.html#the_database_header).
    let mark = match header.get(68..72).and_then(|bytes| bytes.try_into().ok()) {
        Some(bytes) => i32::from_be_bytes(bytes),
        None => return Err(Refusal::NotSqlite { path: path.into() }),
    };
    let foreign = |what: String| Refusal::Foreign { path: path.into(), what };
    if mark != APPLICATION_ID {
        if mark != 0 {
            return Err(foreign(format!("its application_id is {mark}")));
        }
        if has_content(path, "-wal")? || has_content(path, "-journal")? {
            return Err(foreign("it is in use".into()));
        }
        let tables = read_only(path, true).and_then(|mut conn| tables(&mut conn, path))?;
        return match tables.first() {
            Some(table) => Err(foreign(format!("it holds the table '{table}'"))),
            None => Ok(Found::Nothing),
        };
    }
    // Ours from here on: a write-ahead log, of a service that runs or of one that crashed, must be read too.
    let mut conn = read_only(path, !beside(path, "-wal").exists())?;
    let tables = tables(&mut conn, path)?;
    let pending = pending(&mut conn, path, &tables)?;
    match tables.iter().find(|table| !OURS.contains(&table.as_str())) {
        Some(table) => Err(foreign(format!("it holds the table '{table}', which callcenter did not make"))),
        None => Ok(Found::Ours { pending }),
    }
}

/// The first bytes of the file; `None` where there is no file or an empty one.
fn header(path: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let unreadable = |error| Refusal::Unreadable { path: path.into(), error };
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(Refusal::NotAFile { path: path.into() }),
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    let mut header = Vec::with_capacity(100);
    File::open(path).and_then(|file| file.take(100).read_to_end(&mut header)).map_err(unreadable)?;
    Ok(Some(header))
}

fn has_content(path: &Path, ending: &str) -> Result<bool, Refusal> {
    let length = length(&beside(path, ending)).map_err(|error| Refusal::Unreadable { path: path.into(), error })?;
    Ok(length > 0)
}

fn read_only(path: &Path, immutable: bool) -> Result<SqliteConnection, Refusal> {
    let uri = uri(path, if immutable { "mode=ro&immutable=1" } else { "mode=ro" })?;
    SqliteConnection::establish(&uri).map_err(|error| corrupt(path, &error))
}

fn corrupt(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::Corrupt { path: path.into(), detail: error.to_string() }
}

/// `file:` URI of a path, for SQLite's options behind the question mark (<https://sqlite.org/uri.html>).
pub(super) fn uri(path: &Path, options: &str) -> Result<String, Refusal> {
    /// What would end the path or begin an escape.
    const RESERVED: &AsciiSet = &CONTROLS.add(b'?').add(b'#').add(b'%').add(b' ');
    let text = path.to_str().ok_or_else(|| Refusal::PathNotUtf8(path.into()))?;
    // A path that begins with two slashes would be read as a host's name.
    let text = if text.starts_with("//") { text.trim_start_matches('/').to_owned() } else { text.to_owned() };
    let root = if path.is_absolute() && !text.starts_with('/') { "/" } else { "" };
    Ok(format!("file:{root}{}?{options}", utf8_percent_encode(&text, RESERVED)))
}

diesel::table! {
    /// SQLite's own list of what a database holds.
    sqlite_master (name) {
        /// `table`, `index`, `view` or `trigger`.
        #[sql_name = "type"]
        kind -> Text,
        /// Its name.
        name -> Text,
    }
}

/// Names of the tables, SQLite's own apart.
fn tables(conn: &mut SqliteConnection, path: &Path) -> Result<Vec<String>, Refusal> {
    sqlite_master::table
        .filter(sqlite_master::kind.eq("table"))
        .filter(sqlite_master::name.not_like("sqlite\\_%").escape('\\'))
        .select(sqlite_master::name)
        .order(sqlite_master::name)
        .load(conn)
        .map_err(|error| corrupt(path, &error))
}

diesel::table! {
    /// Diesel's list of the migrations that ran.
    __diesel_schema_migrations (version) {
        /// The digits of the migration's name.
        version -> Text,
    }
}

/// Names of the migrations that the database still needs.
fn pending(conn: &mut SqliteConnection, path: &Path, tables: &[String]) -> Result<Vec<String>, Refusal> {
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(|error| corrupt(path, &error))?;
    let ran: BTreeSet<String> = if tables.iter().any(|table| table == "__diesel_schema_migrations") {
        let rows: QueryResult<Vec<String>> =
            __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(conn);
        rows.map_err(|error| corrupt(path, &error))?.into_iter().collect()
    } else {
        BTreeSet::new()
    };
    let versions: BTreeSet<String> = known.iter().map(|one| one.name().version().to_string()).collect();
    if let Some(version) = ran.difference(&versions).last() {
        return Err(Refusal::Newer { path: path.into(), version: version.clone() });
    }
    let mut missing: Vec<String> = known
        .iter()
        .filter(|one| !ran.contains(&one.name().version().to_string()))
        .map(|one| one.name().to_string())
        .collect();
    missing.sort();
    Ok(missing)
}
