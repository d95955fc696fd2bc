//! Following a journal: whole lines in chunks, also while another process appends.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use rustix::buffer::spare_capacity;

use super::{JournalError, MAX_LINE_BYTES, Position, segment};

/// A folder whose last change is older than this has settled: a further one gives it another time of change, however
/// coarse the file system's clock is. So it need not be listed again before that.
const SETTLED_AFTER: Duration = Duration::from_secs(1);

/// A reader of one node's journal. At the present end it can be asked again at any time.
#[derive(Debug)]
pub struct JournalReader {
    dir: PathBuf,
    position: Position,
    current: Option<Current>,
    /// Kept between reads as long as nobody holds its bytes.
    buffer: Vec<u8>,
    /// Bytes behind the position that are known to hold no line end: an overlong line, being skipped.
    scanned: u64,
    /// The folder's time of change when it was listed last, if it had settled by then.
    listed: Option<SystemTime>,
    max_line: usize,
}

/// The segment being read.
#[derive(Debug)]
struct Current {
    start: u64,
    file: File,
    /// Where the next segment begins, once there is one: nothing is appended to this one any more.
    next: Option<u64>,
}

/// Whole lines of the journal, or the note that a range can't be given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Where it begins.
    pub start: Position,
    /// Where what follows begins.
    pub end: Position,
    /// The lines, each with its line end; empty when the range was skipped.
    pub bytes: Bytes,
    /// Set when the journal has no lines to give for this range.
    pub skipped: Option<Skipped>,
}

/// A range of the journal that could not be given to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its length.
    pub bytes: u64,
    /// Why.
    pub reason: SkipReason,
}

/// Why a range of the journal could not be given to a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// A line longer than the limit.
    LineTooLong,
    /// A segment ended before the next one begins: a power failure took its end, or a file was deleted.
    Missing,
}

impl SkipReason {
    /// For people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LineTooLong => "a line of the journal is too long",
            Self::Missing => "a part of the journal is missing",
        }
    }
}

impl Chunk {
    /// The lines without their line ends, each with its position.
    pub fn lines(&self) -> Lines<'_> {
        Lines { rest: &self.bytes, position: self.start }
    }
}

/// Iterator over a chunk's lines, see [`Chunk::lines`].
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    rest: &'a [u8],
    position: Position,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (Position, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = memchr::memchr(b'\n', self.rest)?;
        let line = (self.position, &self.rest[..length]);
        self.rest = &self.rest[length + 1..];
        self.position = self.position.plus(length as u64 + 1);
        Some(line)
    }
}

impl JournalReader {
    /// A reader that begins at `position`. The journal need not exist yet when that is its start.
    ///
    /// # Errors
    /// [`JournalError::Trimmed`] when the oldest segment begins later, [`JournalError::Beyond`] when the journal ends
    /// earlier, [`JournalError::Misplaced`] when no line begins there, [`JournalError::Io`] when the system refuses.
    pub fn open(dir: &Path, position: Position) -> Result<Self, JournalError> {
        let mut reader = Self {
            dir: dir.to_owned(),
            position,
            current: None,
            buffer: Vec::new(),
            scanned: 0,
            listed: None,
            max_line: MAX_LINE_BYTES,
        };
        reader.locate()?;
        reader.check_place()?;
        Ok(reader)
    }

    /// A reader of what is appended from now on.
    ///
    /// # Errors
    /// [`JournalError::Io`] when the system refuses.
    pub fn open_at_end(dir: &Path) -> Result<Self, JournalError> {
        let start = segment::list(dir)?.last().copied().unwrap_or_default();
        let whole = match segment::open(dir, start)? {
            Some(file) => file.metadata().and_then(|meta| segment::whole_length(&file, meta.len())),
            None => Ok(0),
        };
        let path = dir.join(Position(start).segment_name());
        Self::open(dir, Position(start).plus(whole.map_err(JournalError::io("read", &path))?))
    }

    /// Another reader of the same journal, from `position` on.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn another(&self, position: Position) -> Result<Self, JournalError> {
        Self::open(&self.dir, position)
    }

    /// The same reader with another limit for one line than [`MAX_LINE_BYTES`].
    pub fn with_max_line(self, bytes: usize) -> Self {
        Self { max_line: bytes, ..self }
    }

    /// Where the next chunk begins.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The next whole lines, about `max_bytes` of them (a longer line comes alone, up to the limit for lines), or
    /// `None` at the present end. A range that can't be given is a chunk of its own with [`Chunk::skipped`].
    ///
    /// # Errors
    /// [`JournalError::Trimmed`] when the segment went before it was read, [`JournalError::Io`] when the system
    /// refuses; the position stays in both cases.
    pub fn read(&mut self, max_bytes: usize) -> Result<Option<Chunk>, JournalError> {
        let max_bytes = max_bytes.max(1);
        loop {
            if self.current.is_none() && !self.locate()? {
                return Ok(None);
            }
            if let Some(chunk) = self.read_segment(max_bytes)? {
                return Ok(Some(chunk));
            }
            match self.current.as_ref().and_then(|current| current.next) {
                // Known only after the last look at this segment: everything in it has been seen.
                Some(next) => {
                    if let Some(hole) = self.advance(next) {
                        return Ok(Some(hole));
                    }
                }
                None => {
                    // When it is found, one more look at this segment: something may have come before it was closed.
                    if !self.find_next()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Opens the segment in which the position lies; false when there is none yet.
    fn locate(&mut self) -> Result<bool, JournalError> {
        // More than one look only when the segment was trimmed between the listing and the opening.
        for _ in 0..segment::LOOKS {
            let starts = segment::list(&self.dir)?;
            let Some(&oldest) = starts.first() else { return Ok(false) };
            let index = starts.partition_point(|start| *start <= self.position.0);
            let Some(&start) = index.checked_sub(1).and_then(|before| starts.get(before)) else {
                return Err(JournalError::Trimmed { position: self.position, oldest: Position(oldest) });
            };
            if let Some(file) = segment::open(&self.dir, start)? {
                self.current = Some(Current { start, file, next: starts.get(index).copied() });
                self.listed = None;
                return Ok(true);
            }
        }
        Err(JournalError::io("open a segment in", &self.dir)(io::ErrorKind::NotFound.into()))
    }

    /// Whether a line begins at the position, for a reader that is being opened.
    fn check_place(&self) -> Result<(), JournalError> {
        use std::os::unix::fs::FileExt;
        let position = self.position;
        let Some(current) = &self.current else {
            let nothing = position == Position::START;
            return if nothing { Ok(()) } else { Err(JournalError::Beyond { position, end: Position::START }) };
        };
        let path = self.dir.join(Position(current.start).segment_name());
        let length = current.file.metadata().map_err(JournalError::io("read", &path))?.len();
        let offset = position.since(Position(current.start));
        if offset > length {
            // Within a hole before the next segment: reading says so.
            let end = Position(current.start).plus(length);
            return if current.next.is_some() { Ok(()) } else { Err(JournalError::Beyond { position, end }) };
        }
        let mut before = [b'\n'];
        if offset > 0 {
            current.file.read_exact_at(&mut before, offset - 1).map_err(JournalError::io("read", &path))?;
        }
        if before == *b"\n" { Ok(()) } else { Err(JournalError::Misplaced { position }) }
    }

    /// Whole lines from the current segment; `None` when it has no more of them now.
    fn read_segment(&mut self, max_bytes: usize) -> Result<Option<Chunk>, JournalError> {
        if self.scanned > 0 {
            return self.skip_line(max_bytes);
        }
        if self.buffer.capacity() != max_bytes {
            self.buffer = Vec::with_capacity(max_bytes);
        }
        self.buffer.clear();
        let closed = self.current.as_ref().is_some_and(|current| current.next.is_some());
        loop {
            let searched = self.buffer.len();
            let more = self.fill(searched as u64)?;
            let new = &self.buffer[searched..];
            // A line for which the buffer had to grow comes alone, so that the next chunk is of the usual size again.
            let grown = self.buffer.len() > max_bytes;
            let end = if grown { memchr::memchr(b'\n', new) } else { memchr::memrchr(b'\n', new) };
            if let Some(end) = end {
                return Ok(Some(self.give(searched + end + 1)));
            }
            let room = self.buffer.len() < self.buffer.capacity();
            if !more || (room && !closed) {
                return Ok(None);
            }
            if self.buffer.len() > self.max_line {
                self.scanned = self.buffer.len() as u64;
                return self.skip_line(max_bytes);
            }
            if !room {
                self.buffer.reserve_exact(self.buffer.len());
            }
            if !closed {
                // What is there may be cut off again (half a line): a line is only whole when one look saw all of it.
                self.buffer.clear();
            }
        }
    }

    /// Reads behind what the buffer holds, which begins at `offset - buffer.len()` bytes behind the position. False at
    /// the segment's present end.
    fn fill(&mut self, offset: u64) -> Result<bool, JournalError> {
        let Some(current) = &self.current else { return Ok(false) };
        let from = self.position.plus(offset);
        let before = self.buffer.len();
        rustix::io::retry_on_intr(|| {
            rustix::io::pread(&current.file, spare_capacity(&mut self.buffer), from.since(Position(current.start)))
        })
        .map_err(|errno| {
            JournalError::io("read", &self.dir.join(Position(current.start).segment_name()))(errno.into())
        })?;
        if let Some(next) = current.next {
            let room = Position(next).since(from);
            self.buffer.truncate(before.saturating_add(usize::try_from(room).unwrap_or(usize::MAX)));
        }
        Ok(self.buffer.len() > before)
    }

    /// Takes the first `length` bytes of the buffer as a chunk.
    fn give(&mut self, length: usize) -> Chunk {
        let bytes = if length < self.buffer.capacity() / 4 {
            // A few lines shall not hold a large buffer, which is wanted again at once.
            Bytes::copy_from_slice(&self.buffer[..length])
        } else {
            self.buffer.truncate(length);
            Bytes::from(std::mem::take(&mut self.buffer))
        };
        let start = self.position;
        self.position = start.plus(length as u64);
        Chunk { start, end: self.position, bytes, skipped: None }
    }

    /// Looks for the end of an overlong line and goes behind it; `None` while it has none.
    fn skip_line(&mut self, max_bytes: usize) -> Result<Option<Chunk>, JournalError> {
        self.buffer = Vec::with_capacity(max_bytes);
        while self.fill(self.scanned)? {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer) {
                let bytes = self.scanned + at as u64 + 1;
                self.scanned = 0;
                return Ok(Some(self.skip(bytes, SkipReason::LineTooLong)));
            }
            self.scanned += self.buffer.len() as u64;
            self.buffer.clear();
        }
        // It may be the rest of a failed write, which is cut off again. Then look anew.
        let unfinished = self.current.as_ref().map(|current| current.file.metadata().map(|meta| (meta, current.start)));
        if let Some(Ok((meta, start))) = unfinished
            && Position(start).plus(meta.len()) < self.position.plus(self.scanned)
        {
            self.scanned = 0;
        }
        Ok(None)
    }

    fn skip(&mut self, bytes: u64, reason: SkipReason) -> Chunk {
        let start = self.position;
        self.position = start.plus(bytes);
        Chunk { start, end: self.position, bytes: Bytes::new(), skipped: Some(Skipped { bytes, reason }) }
    }

    /// Looks whether a segment follows the current one.
    fn find_next(&mut self) -> Result<bool, JournalError> {
        let Some(current) = &mut self.current else { return Ok(false) };
        // Usually it begins where this one ends: its name is known.
        let follower = self.dir.join(self.position.segment_name());
        if self.position.0 > current.start && follower.exists() {
            current.next = Some(self.position.0);
            return Ok(true);
        }
        // After a hole it has another name, and a segment that was trimmed has no follower here: list the folder.
        let changed = fs::metadata(&self.dir).and_then(|folder| folder.modified()).ok();
        if changed.is_some() && changed == self.listed {
            return Ok(false);
        }
        self.listed = changed.filter(|at| at.elapsed().is_ok_and(|age| age >= SETTLED_AFTER));
        let starts = segment::list(&self.dir)?;
        let trimmed = !starts.contains(&current.start);
        current.next = starts.into_iter().find(|start| *start > current.start);
        let oldest = current.next.map_or(self.position, Position);
        if trimmed && (current.next.is_none() || oldest > self.position) {
            // The file that is open here was deleted, and others that this reader has not seen.
            self.current = None;
            return Err(JournalError::Trimmed { position: self.position, oldest });
        }
        Ok(current.next.is_some())
    }

    /// Goes to the segment that begins at `next`; what is missing before it is a chunk.
    fn advance(&mut self, next: u64) -> Option<Chunk> {
        self.current = None;
        self.scanned = 0;
        let hole = Position(next).since(self.position);
        (hole > 0).then(|| self.skip(hole, SkipReason::Missing))
    }
}
