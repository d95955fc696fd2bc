//! Whether the machine went down while a journal was open.
//!
//! Then what the kernel had not yet brought to the disk is gone, though somebody may have read it and committed what it led to.
//! A position that was given away must not be used a second time: such a journal goes on far behind its end.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The file with the id of the machine's run in which the journal is open; there is none beside one that was closed.
const FILE: &str = "boot";
/// Linux's id of the machine's run (random(4)).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// By how much a journal goes on behind its end: more than the kernel holds back. (It is synced each second; a disk that
/// takes nothing for longer shows in health.)
pub(super) const SPARE_BYTES: u64 = 1024 * 1024 * 1024;

/// The mark beside an open journal.
#[derive(Debug)]
pub(super) struct Mark(PathBuf);

impl Mark {
    /// Marks the journal in this folder as open; true if it was so when the machine went down. Where the system has no such id,
    /// nothing is known.
    ///
    /// # Errors
    /// When the mark can't be read or written.
    pub(super) fn set(dir: &Path) -> io::Result<(Self, bool)> {
        let mark = Self(dir.join(FILE));
        let Ok(now) = fs::read_to_string(BOOT_ID) else { return Ok((mark, false)) };
        let before = match fs::read_to_string(&mark.0) {
            Ok(before) => Some(before),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        if before.as_ref() != Some(&now) {
            let mut file = File::create(&mark.0)?;
            file.write_all(now.as_bytes())?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
        }
        Ok((mark, before.is_some_and(|before| before != now)))
    }

    /// All of the journal is on the disk, and nothing more comes.
    ///
    /// # Errors
    /// When the mark can't be taken away; a later power failure would count as one beside an open journal.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => self.0.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_another_run_of_the_machine_counts() {
        let dir = tempfile::tempdir().unwrap();
        let opened = || Mark::set(dir.path()).unwrap();
        assert!(!opened().1, "a new journal");
        assert!(!opened().1, "after a crash of the process");
        fs::write(dir.path().join(FILE), "another run").unwrap();
        assert!(opened().1, "the machine went down with it");
        assert!(!opened().1, "which is told once");
        fs::write(dir.path().join(FILE), "another run").unwrap();
        let mark = Mark(dir.path().join(FILE));
        mark.clear().unwrap();
        mark.clear().unwrap();
        assert!(!opened().1, "it was closed before");
    }
}
