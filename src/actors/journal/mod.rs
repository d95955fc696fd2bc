//! The journal of one node: what came from Asterisk and what we asked of it, in order, on disk.
//!
//! A folder of segment files, one JSON object a line (`ari::entry`). Everything in the database is a function of
//! it. One process writes it ([`JournalWriter`], held by the [`Journal`] actor), any number follow it
//! ([`JournalReader`]), also from other processes: files are all that they share. A [`Position`] is a byte offset
//! over all segments, and a segment is named by the offset at which it begins, so that deleting the oldest
//! segments changes no position.
//!
//! What holds:
//! - Positions only grow, and each stands at the beginning of a line.
//! - What a reader was given is never taken back. Half a line, from a write that failed, is given to nobody; the
//!   journal goes on in a new segment.
//! - A range that a reader can't be given (a line over the limit, a file that is gone) is named in [`Chunk::skipped`].

mod actor;
mod boot;
mod encode;
mod handle;
mod reader;
mod segment;
mod writer;

#[cfg(test)]
mod actor_tests;
#[cfg(test)]
mod reader_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::messages::{AppendEntry, Frame};
use crate::config;
use crate::model::NodeId;

pub use actor::{Appended, Journal, JournalStatus, Options, QueryStatus, StartAt, Subscribe, Trim};
pub use handle::JournalHandle;
pub use reader::{Chunk, JournalReader, Lines, SkipReason, Skipped};
pub use writer::{JournalWriter, Recovered, Room, SyncJob};

/// The longest line, bytes: four times the default limit of a frame, as a snapshot of tens of thousands of channels
/// is one line. The writer refuses a longer one, the reader skips it.
pub const MAX_LINE_BYTES: usize = 64 * 1024 * 1024;

/// The folder of a node's journal: below `journal.dir`, or below `journal` beside the database when that is empty.
/// Whatever stands in the node's name, it is one folder right there.
pub fn folder(journal: &config::Journal, database: &config::Database, node: &NodeId) -> PathBuf {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_');
    let beside = || database.path.parent().unwrap_or(Path::new("")).join("journal");
    let base = if journal.dir.as_os_str().is_empty() { beside() } else { journal.dir.clone() };
    base.join(utf8_percent_encode(node.as_str(), PLAIN).to_string())
}

/// Frames as lines of the journal: what can't be an event becomes a note of it.
pub(super) fn frame_lines(frames: &[Frame], max_frame_bytes: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    for frame in frames {
        encode::frame(&mut lines, frame, max_frame_bytes);
    }
    lines
}

/// An entry as a line of the journal.
///
/// # Errors
/// When it can't be written as JSON.
pub(super) fn entry_line(entry: &AppendEntry) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = Vec::new();
    encode::entry(&mut line, entry.at, &entry.entry)?;
    Ok(line)
}

/// Where the journal in a folder begins and ends at this moment, by its files.
///
/// # Errors
/// [`JournalError::Io`].
pub fn extent(dir: &Path) -> Result<(Position, Position), JournalError> {
    let oldest = segment::list(dir)?.first().copied().map_or(Position::START, Position);
    Ok((oldest, JournalReader::open_at_end(dir)?.position()))
}

/// A place in a node's journal: bytes since its beginning, over all segments, those already deleted included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u64);

impl Position {
    /// Where a new journal begins.
    pub const START: Self = Self(0);

    /// Bytes since the journal's beginning.
    pub const fn offset(self) -> u64 {
        self.0
    }

    /// The position `bytes` further.
    pub const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }

    /// Bytes from `earlier` to this position; 0 when `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The file name of a segment that begins here: 20 digits, so that names sort as positions do.
    pub fn segment_name(self) -> String {
        format!("{:020}{}", self.0, segment::SUFFIX)
    }

    /// The position that a segment's file name says; `None` for any other file.
    pub fn from_segment_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(segment::SUFFIX)?;
        (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
        digits.parse().ok().map(Self)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Why the journal could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The operating system refused.
    #[error("can't {doing} {}: {source}", path.display())]
    Io {
        /// What was tried: `write`, `open` ...
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// `journal.max_bytes` is reached.
    #[error(
        "journal.max_bytes is reached: {bytes} bytes of at most {max_bytes}, as nothing in it could be committed and \
         deleted. See whether the database can be written, or raise the limit"
    )]
    Full {
        /// Bytes of all segments.
        bytes: u64,
        /// `journal.max_bytes`.
        max_bytes: u64,
    },
    /// The position lies before the oldest segment.
    #[error("position {position} of the journal was deleted; the oldest one kept is {oldest}")]
    Trimmed {
        /// What was asked for.
        position: Position,
        /// Where the oldest segment begins.
        oldest: Position,
    },
    /// The position lies after the journal's end: a power failure took what was not yet on the disk, or the folder
    /// is another one.
    #[error("position {position} lies after the journal's end {end}: is journal.dir the folder it was before?")]
    Beyond {
        /// What was asked for.
        position: Position,
        /// Where the journal ends.
        end: Position,
    },
    /// No line begins at the position.
    #[error("no line of the journal begins at position {position}: is journal.dir the folder it was before?")]
    Misplaced {
        /// What was asked for.
        position: Position,
    },
    /// Another process, or another part of this one, writes this journal.
    #[error(
        "the journal {} is being written by process {holder}: stop that one, or give this one another journal.dir",
        dir.display()
    )]
    Locked {
        /// The journal's folder.
        dir: PathBuf,
        /// The writer's process id, `?` when it could not be read.
        holder: String,
    },
    /// What was to be appended is no whole lines.
    #[error("what was to be appended to the journal doesn't end with a line end")]
    NotLines,
    /// A line is longer than [`MAX_LINE_BYTES`].
    #[error("a line of {bytes} bytes was to be appended to the journal; the limit is {MAX_LINE_BYTES}")]
    TooLong {
        /// The line's length.
        bytes: usize,
    },
}

impl JournalError {
    /// An error of the operating system, with what was tried on which file.
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}
