//! Segment files: their names, their order, and finding their last whole line from behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;

use super::{JournalError, MAX_LINE_BYTES, Position};

/// How a segment's file name ends.
pub(super) const SUFFIX: &str = ".jsonl";

/// Bytes read at once when a file is searched from behind.
const BLOCK: u64 = 64 * 1024;

/// Where each segment in `dir` begins, in order; nothing when there is no such folder. Other files are passed over.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(JournalError::io("list", dir)(error)),
    };
    let mut starts = Vec::new();
    for entry in entries {
        let name = entry.map_err(JournalError::io("list", dir))?.file_name();
        starts.extend(name.to_str().and_then(Position::from_segment_name).map(Position::offset));
    }
    starts.sort_unstable();
    Ok(starts)
}

/// Opens the segment that begins at `start` for reading; `None` when there is none.
pub(super) fn open(dir: &Path, start: u64) -> Result<Option<File>, JournalError> {
    let path = dir.join(Position(start).segment_name());
    match File::open(&path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(JournalError::io("open", &path)(error)),
    }
}

/// The length of the whole lines within the first `length` bytes of `file`.
pub(super) fn whole_length(file: &File, length: u64) -> io::Result<u64> {
    Ok(last_line_end(file, length)?.map_or(0, |at| at + 1))
}

/// The last whole line that is an entry of ours within the first `length` bytes of `file`: where it ends, and its
/// `at`. What lies behind it is no entry: the rest of a write that a crash cut off.
pub(super) fn last_entry(file: &File, length: u64) -> io::Result<Option<(u64, f64)>> {
    let mut end = whole_length(file, length)?;
    while end > 0 {
        let start = whole_length(file, end - 1)?;
        if let Some(at) = entry_at(file, start, end - 1)? {
            return Ok(Some((end, at)));
        }
        end = start;
    }
    Ok(None)
}

/// The `at` of a file's first line; `None` when there is none yet.
pub(super) fn first_at(file: &File) -> io::Result<Option<f64>> {
    let mut head = [0; 64];
    let length = file.read_at(&mut head, 0)?;
    let text = String::from_utf8_lossy(&head[..length]);
    let at = text.strip_prefix("{\"at\":").and_then(|rest| rest.split(',').next());
    Ok(at.and_then(|at| at.trim().parse().ok()))
}

/// The `at` of the line from `start` to `end`, if that is an entry: a JSON object with a number `at`. Of which kind
/// it is doesn't matter, so that an older program keeps what a younger one wrote.
fn entry_at(file: &File, start: u64, end: u64) -> io::Result<Option<f64>> {
    #[derive(Deserialize)]
    struct Head {
        at: f64,
    }
    if end - start > MAX_LINE_BYTES as u64 {
        return Ok(None);
    }
    let mut line = vec![0; (end - start) as usize];
    file.read_exact_at(&mut line, start)?;
    // An array would do for the parser too.
    let object = std::str::from_utf8(&line).ok().filter(|text| text.starts_with('{'));
    let head = object.and_then(|text| serde_json::from_str::<Head>(text).ok());
    Ok(head.map(|head| head.at))
}

/// Where the last line end within the first `length` bytes of `file` stands.
fn last_line_end(file: &File, length: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; BLOCK.min(length) as usize];
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let part = &mut block[..(end - start) as usize];
        file.read_exact_at(part, start)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(Some(start + at as u64));
        }
        end = start;
    }
    Ok(None)
}
