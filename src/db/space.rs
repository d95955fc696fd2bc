//! Room on the disk, and what the database takes of it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Room on the disk, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// Free for this user on the database's disk.
    pub free_bytes: u64,
    /// The size of that disk.
    pub total_bytes: u64,
    /// The database file.
    pub database_bytes: u64,
    /// Its write-ahead log, which SQLite folds into the file from time to time.
    pub wal_bytes: u64,
}

/// Looks how much room there is and how much the database at `path` takes.
///
/// # Errors
/// When the database's folder is not there or can't be looked at.
pub fn measure(path: &Path) -> io::Result<Space> {
    let disk = rustix::fs::statvfs(folder_of(path))?;
    Ok(Space {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        total_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        database_bytes: length(path)?,
        wal_bytes: length(&beside(path, "-wal"))?,
    })
}

/// The length of a file, 0 where there is none.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// The file beside the database whose name has this ending added: SQLite's `-wal`, `-journal`, our `.lock`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(ending);
    name.into()
}

/// The folder that holds the file.
pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_room_and_files_have_lengths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let nothing = measure(&path).unwrap();
        assert!(nothing.free_bytes > 0 && nothing.total_bytes >= nothing.free_bytes);
        assert_eq!((nothing.database_bytes, nothing.wal_bytes), (0, 0));
        std::fs::write(&path, [0; 4_096]).unwrap();
        std::fs::write(beside(&path, "-wal"), [0; 100]).unwrap();
        let some = measure(&path).unwrap();
        assert_eq!((some.database_bytes, some.wal_bytes), (4_096, 100));
        assert!(measure(&folder.path().join("missing/calls.db")).is_err());
    }

    #[test]
    fn a_bare_name_lies_in_this_folder() {
        assert_eq!(folder_of(Path::new("calls.db")), Path::new("."));
        assert_eq!(folder_of(Path::new("data/calls.db")), Path::new("data"));
    }
}
