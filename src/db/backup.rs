//! A consistent copy of a live database.
//!
//! `VACUUM INTO` (<https://sqlite.org/lang_vacuum.html#vacuuminto>) through a connection that only reads: it copies
//! one state of the database, the writer goes on meanwhile and never waits. The online backup begins anew whenever
//! another process writes, so beside a busy service it would not end. The price is that the write-ahead log can't be
//! folded while the copy is made: it grows by what is written in that time.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::dsl::count_star;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::look::{Found, Refusal, look, uri};
use super::schema::calls;
use super::space::{beside, folder_of, length};
use super::trouble::Trouble;

/// How long a lock of another program is waited for, milliseconds.
const BUSY_MS: u32 = 5_000;

/// A finished copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its length.
    pub bytes: u64,
    /// How many calls it holds.
    pub calls: i64,
}

/// Why there is no copy. What was at the target before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// What was to be copied isn't our database, or can't be read.
    #[error(transparent)]
    Source(#[from] Refusal),
    /// There is nothing to copy.
    #[error("there is no database at '{0}': name the one to be copied in --db, or in database.path (DB_PATH)")]
    NoSource(PathBuf),
    /// The target is there.
    #[error("'{0}' exists already: name another file, or overwrite it by --force")]
    Exists(PathBuf),
    /// The target is the database itself or one of SQLite's files beside it.
    #[error("'{0}' is the database itself or belongs to it: name another file for the copy")]
    Itself(PathBuf),
    /// The target is a folder or a device.
    #[error("'{0}' is not a file: name the file that the copy shall be, such as /backup/callcenter.db")]
    NotAFile(PathBuf),
    /// SQLite would take such a file for a part of the copy.
    #[error("'{0}' lies there: a program has that database open, or left it so; close it, or name another file")]
    InUse(PathBuf),
    /// It doesn't fit.
    #[error(
        "{} MiB are free in '{folder}', the copy needs up to {} MiB: make room, or name a file on another disk",
        free / 1_048_576, needed.div_ceil(1_048_576)
    )]
    NoSpace {
        /// The target's folder.
        folder: PathBuf,
        /// Bytes free there.
        free: u64,
        /// Bytes needed at most.
        needed: u64,
    },
    /// The operating system refuses the target.
    #[error("'{path}' can't be written ({error}): see whether its folder is there, and its owner and permissions")]
    Target {
        /// The target, or the unfinished copy beside it.
        path: PathBuf,
        /// The system's words.
        error: io::Error,
    },
    /// SQLite could not copy.
    #[error("the copy could not be made ({detail}): {}", advice(*trouble))]
    Copy {
        /// SQLite's words.
        detail: String,
        /// What kind of trouble it is.
        trouble: Trouble,
    },
    /// The copy is there and is not right; it was thrown away.
    #[error("the copy is not whole ({0}) and was thrown away: try again, and look at the disk (dmesg)")]
    NotWhole(String),
}

/// [`Trouble::advice`] speaks of the service's database; here both files are meant.
const fn advice(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Full => "the copy's disk is full: make room, or name a file on another disk",
        Trouble::ReadOnly => "the database's folder or the copy's can't be used: run it as the service's user",
        Trouble::Locked | Trouble::Io | Trouble::Corrupt | Trouble::Other => trouble.advice(),
    }
}

/// Copies the database at `source` to `target`, while others read and write it; blocks until the copy is checked and
/// on the disk. It appears there whole or not at all. A file that is there already is replaced only with `force`.
///
/// # Errors
/// See [`BackupError`]; nothing was changed then.
pub fn backup(source: &Path, target: &Path, force: bool) -> Result<Copied, BackupError> {
    if look(source)? == Found::Nothing {
        return Err(BackupError::NoSource(source.into()));
    }
    may_be_written(source, target, force)?;
    let mut conn = read_only(source)?;
    fits(target, needed(&mut conn)?)?;
    let claimed = if force { None } else { Some(Claimed::new(target)?) };
    let part = Part::new(target)?;
    let into = uri(&part.0, "mode=rw")?;
    diesel::sql_query("VACUUM INTO ?1").bind::<Text, _>(into).execute(&mut conn).map_err(failed)?;
    let calls = check(&part.0)?;
    let done = part.put(source, target)?;
    if let Some(claimed) = claimed {
        claimed.kept();
    }
    Ok(Copied { bytes: done, calls })
}

/// Whether the target is one that we may write.
fn may_be_written(source: &Path, target: &Path, force: bool) -> Result<(), BackupError> {
    let of = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    match std::fs::metadata(target) {
        Ok(_) if ["", "-wal", "-shm", "-journal", ".lock"].iter().any(|e| of(&beside(source, e)) == of(target)) => {
            return Err(BackupError::Itself(target.into()));
        }
        Ok(found) if !found.is_file() => return Err(BackupError::NotAFile(target.into())),
        Ok(_) if !force => return Err(BackupError::Exists(target.into())),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(BackupError::Target { path: target.into(), error }),
    }
    // SQLite would play back what such a file of an older database holds into the copy.
    for ending in ["-wal", "-journal"] {
        let left = beside(target, ending);
        if length(&left).map_err(|error| BackupError::Target { path: left.clone(), error })? > 0 {
            return Err(BackupError::InUse(left));
        }
    }
    Ok(())
}

fn read_only(path: &Path) -> Result<SqliteConnection, BackupError> {
    let refused = |error: ConnectionError| BackupError::Copy {
        trouble: Trouble::of_text(&error.to_string()),
        detail: error.to_string(),
    };
    let mut conn = SqliteConnection::establish(&uri(path, "mode=ro")?).map_err(refused)?;
    conn.batch_execute(&format!("PRAGMA busy_timeout = {BUSY_MS}")).map_err(failed)?;
    Ok(conn)
}

fn failed(error: diesel::result::Error) -> BackupError {
    BackupError::Copy { trouble: Trouble::of(&error), detail: error.to_string() }
}

/// SQLite's pragmas as a table: what the copy takes at most is its pages in use.
#[derive(QueryableByName)]
struct Size {
    #[diesel(sql_type = BigInt)]
    bytes: i64,
}

fn needed(conn: &mut SqliteConnection) -> Result<u64, BackupError> {
    let Size { bytes } = diesel::sql_query(
        "SELECT (page_count - freelist_count) * page_size AS bytes
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .get_result(conn)
    .map_err(failed)?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

fn fits(target: &Path, needed: u64) -> Result<(), BackupError> {
    let folder = folder_of(target);
    let disk = rustix::fs::statvfs(folder)
        .map_err(|error| BackupError::Target { path: target.into(), error: error.into() })?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    if free < needed {
        return Err(BackupError::NoSpace { folder: folder.into(), free, needed });
    }
    Ok(())
}

/// The target's name, taken by an empty file so that nobody else takes it meanwhile; given back if no copy comes.
struct Claimed<'a>(Option<&'a Path>);

impl<'a> Claimed<'a> {
    fn new(target: &'a Path) -> Result<Self, BackupError> {
        match File::create_new(target) {
            Ok(_) => Ok(Self(Some(target))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Exists(target.into())),
            Err(error) => Err(BackupError::Target { path: target.into(), error }),
        }
    }

    fn kept(mut self) {
        self.0 = None;
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if let Some(target) = self.0 {
            // Nothing to be done about a file that can't be deleted: it is empty.
            let _ = std::fs::remove_file(target);
        }
    }
}

/// The copy while it is made; deleted unless it is put in its place.
struct Part(PathBuf);

impl Part {
    fn new(target: &Path) -> Result<Self, BackupError> {
        let path = beside(target, &format!(".{}.part", std::process::id()));
        // One of a process of the same number that was killed.
        let _ = std::fs::remove_file(&path);
        // Nobody else may read it before it has the database's own permissions.
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) => Err(BackupError::Target { path, error }),
        }
    }

    /// On the disk, with the permissions of the source, under its name; its length.
    fn put(self, source: &Path, target: &Path) -> Result<u64, BackupError> {
        let folder = folder_of(target);
        let put = || -> io::Result<u64> {
            let mode: Permissions = std::fs::metadata(source)?.permissions();
            let file = File::open(&self.0)?;
            file.set_permissions(mode)?;
            file.sync_all()?;
            std::fs::rename(&self.0, target)?;
            File::open(folder)?.sync_all()?;
            Ok(file.metadata()?.len())
        };
        put().map_err(|error| BackupError::Target { path: target.into(), error })
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // After `put` there is nothing under this name any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A pragma's answer: its column bears the pragma's name.
#[derive(QueryableByName)]
struct QuickCheck {
    #[diesel(sql_type = Text)]
    quick_check: String,
}

/// Whether the copy is one of ours and whole; how many calls it holds.
fn check(copy: &Path) -> Result<i64, BackupError> {
    let not_whole = |error: &dyn std::fmt::Display| BackupError::NotWhole(error.to_string());
    match look(copy).map_err(|error| not_whole(&error))? {
        Found::Ours { .. } => {}
        Found::Nothing => return Err(BackupError::NotWhole("it is empty".into())),
    }
    let mut conn = read_only(copy)?;
    let QuickCheck { quick_check } =
        diesel::sql_query("PRAGMA quick_check(1)").get_result(&mut conn).map_err(|error| not_whole(&error))?;
    if quick_check != "ok" {
        return Err(BackupError::NotWhole(quick_check));
    }
    calls::table.select(count_star()).first(&mut conn).map_err(|error| not_whole(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_that_does_not_fit_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("copy.db");
        assert!(fits(&target, 1).is_ok());
        let refused = fits(&target, u64::MAX).unwrap_err().to_string();
        assert!(refused.contains("MiB are free") && refused.contains("make room"), "{refused}");
    }
}
