//! A look at a database file before anything is done to it: is it ours, can this program read it?
//!
//! A file of another program must stay untouched: not a byte of it changes and no file appears beside it.
//! So its header and its tables are read through a connection that SQLite is told to treat as a file on a read-only
//! medium (`immutable=1`), which takes no lock and makes no `-wal` file. Never as a plain file: closing one drops the
//! locks of every connection that this process has to it (<https://sqlite.org/howtocorrupt.html>, 2.2), and at a
//! start anew in the same process there may still be one.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::MigrationSource;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel::sqlite::Sqlite;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use rustix::fs::{Access, access};

use super::open::MIGRATIONS;
use super::space::{beside, length};
use super::trouble::Trouble;

/// `PRAGMA application_id` of our databases: "CCdr" (<https://sqlite.org/pragma.html#pragma_application_id>).
pub const APPLICATION_ID: i32 = 0x4343_6472;

/// How long a look waits for who has the database locked: longer than the last checkpoint of a service that stops.
const PATIENCE: Duration = Duration::from_secs(5);

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
    /// It can't be read now, and nothing says that it is damaged.
    #[error("'{path}' can't be read ({detail}): {}", trouble.advice())]
    Trouble {
        /// The file.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
        /// What kind of trouble it is.
        trouble: Trouble,
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

/// Looks at the file at `path` and changes nothing.
///
/// # Errors
/// See [`Refusal`].
pub fn look(path: &Path) -> Result<Found, Refusal> {
    look_within(PATIENCE, path)
}

/// A look that waits so long for who has the database locked.
fn look_within(patience: Duration, path: &Path) -> Result<Found, Refusal> {
    let Some(mark) = mark(path)? else { return Ok(Found::Nothing) };
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
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", patience.as_millis()))
        .map_err(|error| refused(path, &error))?;
    let tables = tables(&mut conn, path)?;
    let pending = pending(&mut conn, path, &tables)?;
    match tables.iter().find(|table| !OURS.contains(&table.as_str())) {
        Some(table) => Err(foreign(format!("it holds the table '{table}', which callcenter did not make"))),
        None => Ok(Found::Ours { pending }),
    }
}

/// `PRAGMA application_id`.
#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = Integer)]
    application_id: i32,
}

/// The mark in the header of the file itself; `None` where there is no file or an empty one.
fn mark(path: &Path) -> Result<Option<i32>, Refusal> {
    let unreadable = |error| Refusal::Unreadable { path: path.into(), error };
    match std::fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(Refusal::NotAFile { path: path.into() }),
        Ok(found) if found.len() == 0 => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    }
    access(path, Access::READ_OK).map_err(|errno| unreadable(errno.into()))?;
    let mark: QueryResult<Mark> = diesel::sql_query("PRAGMA application_id").get_result(&mut read_only(path, true)?);
    mark.map(|mark| Some(mark.application_id)).map_err(|error| refused(path, &error))
}

fn has_content(path: &Path, ending: &str) -> Result<bool, Refusal> {
    let length = length(&beside(path, ending)).map_err(|error| Refusal::Unreadable { path: path.into(), error })?;
    Ok(length > 0)
}

fn read_only(path: &Path, immutable: bool) -> Result<SqliteConnection, Refusal> {
    let uri = uri(path, if immutable { "mode=ro&immutable=1" } else { "mode=ro" })?;
    SqliteConnection::establish(&uri).map_err(|error| refused(path, &error))
}

/// What an error of SQLite means: a database that is locked is not damaged.
fn refused(path: &Path, error: &dyn std::fmt::Display) -> Refusal {
    let (path, detail) = (path.to_path_buf(), error.to_string());
    match Trouble::of_text(&detail) {
        // SQLITE_NOTADB, of the header (https://sqlite.org/rescode.html#notadb).
        Trouble::Corrupt if detail.contains("not a database") => Refusal::NotSqlite { path },
        Trouble::Corrupt => Refusal::Corrupt { path, detail },
        trouble => Refusal::Trouble { path, detail, trouble },
    }
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
        .map_err(|error| refused(path, &error))
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
    let known = MigrationSource::<Sqlite>::migrations(&MIGRATIONS).map_err(|error| refused(path, &error))?;
    let ran: BTreeSet<String> = if tables.iter().any(|table| table == "__diesel_schema_migrations") {
        let rows: QueryResult<Vec<String>> =
            __diesel_schema_migrations::table.select(__diesel_schema_migrations::version).load(conn);
        rows.map_err(|error| refused(path, &error))?.into_iter().collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Database;
    use crate::db::open::open_write;

    fn made(folder: &Path) -> PathBuf {
        let config = Database { path: folder.join("calls.db"), ..Database::default() };
        drop(open_write(&config).unwrap());
        config.path
    }

    #[test]
    fn a_locked_database_is_waited_for_and_is_not_called_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = made(folder.path());
        let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        other.batch_execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE VIEW some AS SELECT 1").unwrap();
        // A write-ahead log beside it, as of a service that runs: then the look takes a lock itself.
        other.batch_execute("COMMIT; BEGIN EXCLUSIVE").unwrap();
        assert!(beside(&path, "-wal").exists());
        let (begun, patience) = (std::time::Instant::now(), Duration::from_millis(200));
        let error = look_within(patience, &path).unwrap_err();
        assert!(matches!(error, Refusal::Trouble { trouble: Trouble::Locked, .. }), "{error}");
        assert!(begun.elapsed() >= patience, "it waited for {:?}", begun.elapsed());
        assert!(!error.to_string().contains("damaged"), "{error}");
        drop(other);
        assert_eq!(look(&path).unwrap(), Found::Ours { pending: Vec::new() });
    }

    /// The locks of this process on the file, as the system lists them.
    #[cfg(target_os = "linux")]
    fn locks(path: &Path) -> usize {
        use std::os::unix::fs::MetadataExt;
        let inode = format!(":{} ", std::fs::metadata(path).unwrap().ino());
        let ours = format!(" {} ", std::process::id());
        let all = std::fs::read_to_string("/proc/locks").unwrap();
        all.lines().filter(|line| line.contains(&inode) && line.contains(&ours)).count()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_look_drops_no_locks_of_this_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = made(folder.path());
        let mut open = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
        open.batch_execute("BEGIN; SELECT COUNT(*) FROM calls").unwrap();
        let before = locks(&path);
        assert!(before > 0, "a connection to a database with a write-ahead log holds a lock on it");
        look(&path).unwrap();
        assert_eq!(locks(&path), before);
    }
}
