//! Segment files: their names, their order, and finding their last whole line from behind.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{JournalError, MAX_LINE_BYTES, Position};

/// How a segment's file name ends.
pub(super) const SUFFIX: &str = ".jsonl";

/// Bytes read at once when a file is searched from behind.
const BLOCK: u64 = 64 * 1024;
/// Looks at a folder whose segments are trimmed faster than they can be listed.
pub(super) const LOOKS: usize = 5;

/// Where each segment in `dir` begins, in order; nothing when there is no such folder. Other files are passed over.
///
/// Listing is not one moment: it can show a segment that was created meanwhile and not the one before it. Whatever is
/// older than something seen before is surely seen the second time.
pub(super) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    for _ in 0..LOOKS {
        let Some(newest) = scan(dir)?.into_iter().max() else { break };
        let mut starts = scan(dir)?;
        starts.retain(|start| *start <= newest);
        starts.sort_unstable();
        // Nothing left: all that was seen first has been trimmed meanwhile.
        if !starts.is_empty() {
            return Ok(starts);
        }
    }
    Ok(Vec::new())
}

fn scan(dir: &Path) -> Result<Vec<u64>, JournalError> {
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
    Ok(at_of(&String::from_utf8_lossy(&head[..length])))
}

/// The `at` of the line from `start` to `end`, if that is an entry as we write them. Of which kind it is doesn't
/// matter, so that an older program keeps what a younger one wrote; nor whether all of it is JSON, as a frame is kept
/// as it came. A power failure can leave blocks of zeros in a file, a crash a line without its end.
fn entry_at(file: &File, start: u64, end: u64) -> io::Result<Option<f64>> {
    if end - start > MAX_LINE_BYTES as u64 {
        return Ok(None);
    }
    let mut line = vec![0; (end - start) as usize];
    file.read_exact_at(&mut line, start)?;
    let text = std::str::from_utf8(&line).ok().filter(|text| text.ends_with('}') && !text.contains('\0'));
    Ok(text.and_then(at_of))
}

/// The `at` with which an entry's line begins.
fn at_of(line: &str) -> Option<f64> {
    let at = line.strip_prefix("{\"at\":")?.split([',', '}']).next()?;
    at.trim().parse::<f64>().ok().filter(|at| at.is_finite())
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
