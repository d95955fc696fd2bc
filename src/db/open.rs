//! Opening the one write connection: the look first, then folder, lock, pragmas and migrations.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::look::{APPLICATION_ID, Found, Refusal, look, uri};
use super::space::{beside, folder_of, length};
use super::trouble::Trouble;
use crate::config::{Database, Synchronous};

/// The migrations, part of the program.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Bytes of a page of a new database. Measured with recorded calls: 25.3 kB a call, 25.0 kB with 8 or 16 KiB, and
/// a small commit writes half as much as with those.
const PAGE_BYTES: u32 = 4_096;

/// Pages of the write-ahead log after which the writer itself folds it into the file: 48 MiB. Before that it is done beside
/// it ([`super::checkpoint`]).
pub(super) const CHECKPOINT_PAGES: u32 = 12_288;

/// Bytes to which a write-ahead log that grew beyond that is cut again.
const WAL_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of the write connection's page cache.
const CACHE_KIB: u32 = 16 * 1024;

/// A database up to this size is checked whole at the start, which takes a fraction of a second.
const CHECK_BYTES: u64 = 32 * 1024 * 1024;

/// The database, open for writing.
pub struct Opened {
    /// The one write connection.
    pub connection: SqliteConnection,
    /// Whether it is a new database.
    pub created: bool,
    /// Names of the migrations that ran now.
    pub migrations: Vec<String>,
    /// To be kept as long as the connection.
    pub lock: WriteLock,
}

/// Keeps every other callcenter from writing to the same database: two writers would give the same numbers.
/// Ends when it is dropped, and with the process, however that ends.
#[derive(Debug)]
#[must_use = "the lock ends when it is dropped"]
pub struct WriteLock {
    /// Holds the lock; `None` where the file system has none.
    _file: Option<File>,
}

/// Why the database could not be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be our database; it was not touched.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Its folder can't be made or written to.
    #[error(
        "the database's folder '{folder}' can't be made or written to ({error}): check database.path (DB_PATH), owner and permissions"
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The operating system's words.
        error: io::Error,
    },
    /// Another callcenter writes to it.
    #[error("'{path}' is in use by another callcenter{by}: stop it, or name another file in database.path (DB_PATH)")]
    InUse {
        /// The database.
        path: PathBuf,
        /// ` (process 123)`, or nothing where that is not known.
        by: String,
    },
    /// Write-ahead logging can't be switched on.
    #[error(
        "'{path}' can't use write-ahead logging (SQLite stays in the mode '{mode}'): put the database on a local disk, \
         not on a network drive"
    )]
    NoWal {
        /// The database.
        path: PathBuf,
        /// The mode that it is in.
        mode: String,
    },
    /// SQLite refused.
    #[error("'{path}' can't be opened for writing ({detail}): {}", trouble.advice())]
    Database {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        detail: String,
        /// What kind of trouble it is.
        trouble: Trouble,
    },
}

/// Opens the database for writing: refuses what isn't ours, makes folder and file where there are none, takes
/// the lock, sets the pragmas, and brings the schema up to date.
///
/// # Errors
/// See [`OpenError`]: each says what to do.
pub fn open_write(config: &Database) -> Result<Opened, OpenError> {
    let path = config.path.as_path();
    let found = look(path)?;
    let folder = folder_of(path);
    std::fs::create_dir_all(folder).map_err(|error| OpenError::Folder { folder: folder.into(), error })?;
    let lock = lock(path)?;
    let uri = uri(path, "mode=rwc")?;
    let mut conn = SqliteConnection::establish(&uri).map_err(|error| trouble(path, error.to_string()))?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {}", config.busy_timeout_ms))
        .and_then(|()| mark(&mut conn))
        .map_err(|error| trouble(path, error.to_string()))?;
    prepare(&mut conn, config)?;
    let created = found == Found::Nothing;
    if !created {
        check(&mut conn, path)?;
    }
    let migrations = migrate(&mut conn, path)?;
    Ok(Opened { connection: conn, created, migrations, lock })
}

/// What an error of SQLite means for who starts the service.
pub fn trouble(path: &Path, detail: String) -> OpenError {
    match Trouble::of_text(&detail) {
        Trouble::Corrupt => Refusal::Corrupt { path: path.into(), detail }.into(),
        trouble => OpenError::Database { path: path.into(), detail, trouble },
    }
}

/// Takes the lock: `flock` on a file beside the database. (On the database itself it would be in the way of
/// SQLite's own locks: closing any file of it drops them.)
fn lock(path: &Path) -> Result<WriteLock, OpenError> {
    let name = beside(path, ".lock");
    let folder = || folder_of(path).to_path_buf();
    let mut file = File::options()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&name)
        .map_err(|error| OpenError::Folder { folder: folder(), error })?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // For people: who holds it. The lock does not depend on it.
            let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(WriteLock { _file: Some(file) })
        }
        Err(Errno::WOULDBLOCK) => {
            let pid = std::fs::read_to_string(&name).unwrap_or_default();
            let by = if pid.is_empty() { String::new() } else { format!(" (process {pid})") };
            Err(OpenError::InUse { path: path.into(), by })
        }
        Err(error) => {
            tracing::warn!(%error, file = %name.display(), "this file system has no locks: a second callcenter on the same database would go unnoticed");
            Ok(WriteLock { _file: None })
        }
    }
}

/// Marks a database that isn't marked yet as ours, before write-ahead logging, so that the mark is in the file
/// itself. Such a one is new, or its very first transaction was cut off by a crash.
fn mark(conn: &mut SqliteConnection) -> QueryResult<()> {
    let Mark { application_id: mark } = diesel::sql_query("PRAGMA application_id").get_result(conn)?;
    if mark == APPLICATION_ID {
        return Ok(());
    }
    conn.batch_execute(&format!("PRAGMA page_size = {PAGE_BYTES}; PRAGMA application_id = {APPLICATION_ID};"))
}

/// A pragma's answer: its column bears the pragma's name, which diesel must know.
#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = Integer)]
    application_id: i32,
}

/// See [`Mark`].
#[derive(QueryableByName)]
struct JournalMode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// See [`Mark`].
#[derive(QueryableByName)]
struct QuickCheck {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

fn prepare(conn: &mut SqliteConnection, config: &Database) -> Result<(), OpenError> {
    let path = config.path.as_path();
    let failed = |error: diesel::result::Error| trouble(path, error.to_string());
    let JournalMode { journal_mode: mode } =
        diesel::sql_query("PRAGMA journal_mode = WAL").get_result(conn).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoWal { path: path.into(), mode });
    }
    let synchronous = match config.synchronous {
        Synchronous::Normal => "NORMAL",
        Synchronous::Full => "FULL",
    };
    conn.batch_execute(&format!(
        "PRAGMA synchronous = {synchronous};
         PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES};
         PRAGMA journal_size_limit = {WAL_LIMIT_BYTES};
         PRAGMA cache_size = -{CACHE_KIB};
         PRAGMA temp_store = MEMORY;"
    ))
    .map_err(failed)
}

/// Checks a database that is small enough for it.
fn check(conn: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    if length(path).unwrap_or(u64::MAX) > CHECK_BYTES {
        return Ok(());
    }
    let found: QueryResult<QuickCheck> = diesel::sql_query("PRAGMA quick_check(1)").get_result(conn);
    match found {
        Ok(QuickCheck { quick_check }) if quick_check == "ok" => Ok(()),
        Ok(QuickCheck { quick_check: detail }) => Err(Refusal::Corrupt { path: path.into(), detail }.into()),
        Err(error) => Err(trouble(path, error.to_string())),
    }
}

/// Runs what the schema still needs, each migration in a transaction of its own.
fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<Vec<String>, OpenError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| trouble(path, error.to_string());
    let pending = conn.pending_migrations(MIGRATIONS).map_err(failed)?;
    let mut ran = Vec::with_capacity(pending.len());
    for migration in &pending {
        conn.run_migration(migration).map_err(failed)?;
        ran.push(migration.name().to_string());
    }
    Ok(ran)
}
