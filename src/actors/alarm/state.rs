//! What outlives the process: the file beside the database.
//!
//! A file and no table: alarms tell that the database takes nothing, so they must not need it to remember what they told.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::core::Core;
use super::outbox::Outbox;
use crate::db::space::beside;

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    pub(super) core: Core,
    /// By channel.
    pub(super) outboxes: BTreeMap<String, Outbox>,
    /// The newest row of `gaps` that was taken; none in a new file.
    pub(super) last_gap: Option<i64>,
}

/// The file of the database at `path`.
pub(super) fn file_of(path: &Path) -> PathBuf {
    beside(path, ".alarms")
}

/// Reads it.
///
/// # Errors
/// When it is there but can't be read.
pub(super) fn read(file: &Path) -> io::Result<State> {
    match std::fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(State::default()),
        Err(error) => Err(error),
    }
}

/// Writes it as a whole or not at all.
///
/// # Errors
/// When the disk refuses.
pub(super) fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("alarms-new");
    let mut open = File::create(&fresh)?;
    open.write_all(text)?;
    open.sync_all()?;
    std::fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_a_beginning_and_a_damaged_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = file_of(&folder.path().join("calls.db"));
        assert!(file.ends_with("calls.db.alarms"));
        assert_eq!(read(&file).unwrap().last_gap, None);
        let state = State { last_gap: Some(7), ..State::default() };
        write(&file, &serde_json::to_vec(&state).unwrap()).unwrap();
        assert_eq!(read(&file).unwrap().last_gap, Some(7));
        write(&file, b"{").unwrap();
        assert!(read(&file).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no other file is left");
    }
}
