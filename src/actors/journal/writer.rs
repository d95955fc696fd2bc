//! Appending to a journal: one process at a time, whole lines only.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{JournalError, MAX_LINE_BYTES, Position, segment};
use crate::config;

/// Bytes above `journal.max_bytes` that snapshots may take: without the one that tells what has ended, what fills the
/// journal could never be let go. One of the greatest length, or hundreds of the usual one.
const SNAPSHOT_BYTES: u64 = MAX_LINE_BYTES as u64;
/// Bytes above that which the small entries of our own may take: when frames are refused, there must still be room to
/// say so.
const RESERVE_BYTES: u64 = 1024 * 1024;
/// The file whose lock the writer holds; it contains the writer's process id.
const LOCK_FILE: &str = "lock";
/// The file with the time up to which we certainly heard.
const ALIVE_FILE: &str = "alive";
/// When a new segment can't be created the old one goes on; the next try is made after this many bytes.
const ROTATE_AGAIN_BYTES: u64 = 1024 * 1024;

/// The writer of one node's journal. Holds an exclusive lock on the folder for as long as it lives.
#[derive(Debug)]
pub struct JournalWriter {
    dir: PathBuf,
    config: config::Journal,
    /// In order; the last one is written.
    segments: VecDeque<Segment>,
    file: Arc<File>,
    /// When the current segment's first entry was written.
    begun: SystemTime,
    /// The length at which the current segment is closed.
    rotate_at: u64,
    /// Bytes of a line behind the current segment's last whole one: a write failed half-way.
    torn: u64,
    /// Bytes of the last append that were kept.
    kept: usize,
    /// The folder itself: its sync makes new segments survive a power failure.
    folder: Arc<File>,
    /// What is perhaps not on the disk yet.
    unsynced: Vec<Arc<File>>,
    alive: File,
    lock: File,
    #[cfg(test)]
    pub(super) disk_left: Option<usize>,
}

/// For which entries there is room when the journal is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Room {
    /// Frames: none above `journal.max_bytes`.
    Frames,
    /// Snapshots: 64 MiB above it.
    Snapshot,
    /// Gaps, commands and replies: 1 MiB above what snapshots may take.
    Small,
}

impl Room {
    fn above_max(self) -> u64 {
        match self {
            Self::Frames => 0,
            Self::Snapshot => SNAPSHOT_BYTES,
            Self::Small => SNAPSHOT_BYTES + RESERVE_BYTES,
        }
    }
}

/// One segment file.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    bytes: u64,
}

/// What was found when a journal was opened for writing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recovered {
    /// Where the next entry goes.
    pub end: Position,
    /// Where the oldest segment begins.
    pub oldest: Position,
    /// Bytes that were cut off behind the last whole entry: a write that a crash interrupted.
    pub torn_bytes: u64,
    /// The last moment at which we know that we heard everything: the later of the last entry's `at` and
    /// [`JournalWriter::note_alive`]; seconds since 1970, this machine's clock. `None` in a new journal.
    pub last_at: Option<f64>,
}

/// Files that wait for their fsync, to be given to another thread.
#[derive(Debug)]
pub struct SyncJob(Vec<Arc<File>>);

impl SyncJob {
    /// Waits until everything is on the disk. Blocks: milliseconds to seconds.
    ///
    /// # Errors
    /// What the system said.
    pub fn run(&self) -> io::Result<()> {
        self.0.iter().try_for_each(|file| file.sync_data())
    }
}

impl JournalWriter {
    /// Opens the journal in the folder `dir`, which is created if need be, and cuts off what a crash left half-written.
    ///
    /// # Errors
    /// [`JournalError::Locked`] when another writer has it, [`JournalError::Io`] when the system refuses.
    pub fn open(dir: &Path, config: &config::Journal) -> Result<(Self, Recovered), JournalError> {
        fs::create_dir_all(dir).map_err(JournalError::io("create", dir))?;
        let lock = lock(dir)?;
        let mut segments = VecDeque::new();
        for start in segment::list(dir)? {
            let path = dir.join(Position(start).segment_name());
            let bytes = fs::metadata(&path).map_err(JournalError::io("open", &path))?.len();
            segments.push_back(Segment { start, bytes });
        }
        let current = segments.back().map_or(0, |last| last.start);
        let path = dir.join(Position(current).segment_name());
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let file = file.map_err(JournalError::io("open", &path))?;
        if segments.is_empty() {
            segments.push_back(Segment { start: current, bytes: 0 });
        }
        let folder = Arc::new(File::open(dir).map_err(JournalError::io("open", dir))?);
        let first_at = segment::first_at(&file).map_err(JournalError::io("read", &path))?;
        let (alive, alive_at) = open_alive(dir)?;
        let mut writer = Self {
            dir: dir.to_owned(),
            config: config.clone(),
            segments,
            file: Arc::new(file),
            begun: first_at.and_then(moment).unwrap_or_else(SystemTime::now),
            rotate_at: config.segment_bytes,
            torn: 0,
            kept: 0,
            unsynced: vec![Arc::clone(&folder)],
            folder,
            alive,
            lock,
            #[cfg(test)]
            disk_left: None,
        };
        let (torn_bytes, entry_at) = writer.recover()?;
        let last_at = entry_at.into_iter().chain(alive_at).reduce(f64::max);
        let recovered = Recovered { end: writer.end(), oldest: writer.oldest(), torn_bytes, last_at };
        Ok((writer, recovered))
    }

    /// Appends frames: `lines` are whole lines, each with its line end.
    ///
    /// # Errors
    /// [`JournalError::Full`] at `journal.max_bytes`; [`JournalError::Io`] when the disk refuses. Lines that had gone
    /// out whole before that stay, and [`Self::kept_bytes`] tells; the rest is never part of the journal.
    pub fn append(&mut self, lines: &[u8]) -> Result<Position, JournalError> {
        self.append_to(Room::Frames, lines)
    }

    /// Appends lines of a kind, up to the limit of that kind.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_to(&mut self, room: Room, lines: &[u8]) -> Result<Position, JournalError> {
        self.append_within(lines, self.config.max_bytes.saturating_add(room.above_max()))
    }

    /// How many bytes of the last append are in the journal: all of them, or the whole lines that had gone out before
    /// the disk refused.
    pub fn kept_bytes(&self) -> usize {
        self.kept
    }

    /// Where the next entry goes.
    pub fn end(&self) -> Position {
        self.segments.back().map_or(Position::START, |last| Position(last.start + last.bytes))
    }

    /// Where the oldest segment begins.
    pub fn oldest(&self) -> Position {
        self.segments.front().map_or(Position::START, |first| Position(first.start))
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// How many segments there are, the current one included.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Whether frames are refused now: `journal.max_bytes` is reached.
    pub fn is_full(&self) -> bool {
        self.size() >= self.config.max_bytes
    }

    /// Whether something was appended since the last sync.
    pub fn is_dirty(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// The journal's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Waits until everything appended is on the disk (fdatasync).
    ///
    /// # Errors
    /// [`JournalError::Io`]; it is tried again at the next call.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        let job = self.take_sync();
        job.run().map_err(|error| {
            self.put_back(job);
            JournalError::io("sync", &self.dir)(error)
        })
    }

    /// The work of a sync, for another thread; counts as done unless it is given to [`Self::put_back`].
    pub fn take_sync(&mut self) -> SyncJob {
        SyncJob(std::mem::take(&mut self.unsynced))
    }

    /// Gives back a sync that failed, so that the next one does it again.
    pub fn put_back(&mut self, job: SyncJob) {
        job.0.into_iter().for_each(|file| self.note_unsynced(file));
    }

    /// Deletes the segments that lie wholly before `before`, never the current one, and says how many bytes that freed.
    /// Oldest first, so that whatever happens no hole is left.
    ///
    /// # Errors
    /// [`JournalError::Io`] at the first file that can't be deleted; it stays part of the journal.
    pub fn trim(&mut self, before: Position) -> Result<u64, JournalError> {
        let mut freed = 0;
        while self.segments.get(1).is_some_and(|second| second.start <= before.0) {
            let path = self.dir.join(self.oldest().segment_name());
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(JournalError::io("delete", &path)(error)),
            }
            freed += self.segments.pop_front().map_or(0, |gone| gone.bytes);
        }
        Ok(freed)
    }

    /// Lets the journal go on at `position`, if that lies after its end: a power failure can take entries whose rows
    /// the database has already, and a position that is committed must never be used a second time.
    ///
    /// # Errors
    /// [`JournalError::Io`] when the new segment can't be created.
    pub fn start_at(&mut self, position: Position) -> Result<(), JournalError> {
        if position > self.end() {
            self.begin_segment(position)?;
        }
        Ok(())
    }

    /// Notes that everything up to `at` (seconds since 1970, this machine's clock) was heard, in a small file of its
    /// own: after a crash it says when the gap began, also where no event came for hours.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn note_alive(&mut self, at: f64) -> Result<(), JournalError> {
        // Of one length for the next three centuries, so that a new time always covers the old one.
        let text = format!("{at:017.6}\n");
        self.alive.write_all_at(text.as_bytes(), 0).map_err(JournalError::io("write", &self.dir.join(ALIVE_FILE)))
    }

    /// Gives the folder to another writer. Only for a writer that will append nothing more.
    pub fn release(&self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the journal's lock could not be released; it goes with the writer");
        }
    }

    /// Cuts off what a crash left behind the last entry of the current segment; how much that was, and the `at`
    /// of the last one that was heard (an older segment's last one when the current one has none).
    fn recover(&mut self) -> Result<(u64, Option<f64>), JournalError> {
        let Some(last) = self.segments.back_mut() else { return Ok((0, None)) };
        let path = self.dir.join(Position(last.start).segment_name());
        let found = segment::last_entry(&self.file, last.bytes).map_err(JournalError::io("read", &path))?;
        let whole = found.map_or(0, |(end, _)| end);
        let mut at = segment::last_heard(&self.file, whole).map_err(JournalError::io("read", &path))?;
        let torn = last.bytes - whole;
        last.bytes = whole;
        if torn > 0 {
            self.file.set_len(whole).map_err(JournalError::io("shorten", &path))?;
            self.note_unsynced(Arc::clone(&self.file));
            if whole > 0 {
                // As after a write that failed, see `mend`.
                self.begin_segment(self.end())?;
            }
        }
        for older in self.segments.iter().rev().skip(1) {
            if at.is_some() {
                break;
            }
            let Some(file) = segment::open(&self.dir, older.start)? else { continue };
            let found = segment::last_heard(&file, older.bytes);
            let path = self.dir.join(Position(older.start).segment_name());
            at = found.map_err(JournalError::io("read", &path))?;
        }
        Ok((torn, at))
    }

    fn append_within(&mut self, lines: &[u8], max_bytes: u64) -> Result<Position, JournalError> {
        self.kept = 0;
        check_lines(lines)?;
        self.mend()?;
        let size = self.size();
        if size.saturating_add(lines.len() as u64) > max_bytes {
            // The current segment is never trimmed. If it is most of the journal, only a new one lets it go.
            if self.current_bytes() > 0 && self.current_bytes() >= size / 2 {
                self.begin_segment(self.end())?;
            }
            return Err(JournalError::Full { bytes: size, max_bytes: self.config.max_bytes });
        }
        self.rotate_if_due();
        if self.current_bytes() == 0 {
            self.begun = SystemTime::now();
        }
        self.write(lines)?;
        Ok(self.end())
    }

    /// Writes `lines` to the current segment: one system call, unless the system takes less than everything.
    fn write(&mut self, lines: &[u8]) -> Result<(), JournalError> {
        self.note_unsynced(Arc::clone(&self.file));
        let mut written = 0;
        let failure = loop {
            match self.write_some(&lines[written..]) {
                Ok(0) if written < lines.len() => break Some(io::ErrorKind::WriteZero.into()),
                Ok(some) => written += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error),
            }
            if written == lines.len() {
                break None;
            }
        };
        // Readers may have seen the whole lines among what was written: those stay.
        let whole = memchr::memrchr(b'\n', &lines[..written]).map_or(0, |at| at + 1);
        self.torn = (written - whole) as u64;
        self.kept = whole;
        if let Some(last) = self.segments.back_mut() {
            last.bytes += whole as u64;
        }
        let Some(source) = failure else { return Ok(()) };
        // If it doesn't work now, the next append tries again; what failed first is the better message.
        let _ = self.mend();
        Err(JournalError::io("write", &self.current_path())(source))
    }

    #[cfg(not(test))]
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.file).write(bytes)
    }

    /// As on a disk with so many bytes left.
    #[cfg(test)]
    fn write_some(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(left) = self.disk_left else { return (&*self.file).write(bytes) };
        if left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let written = (&*self.file).write(&bytes[..bytes.len().min(left)])?;
        self.disk_left = Some(left - written);
        Ok(written)
    }

    /// After a write that failed half-way: cuts off the rest of the line and goes on in a new segment. Not in the same
    /// one: a reader must never see the beginning of one line and the end of another that took its place.
    fn mend(&mut self) -> Result<(), JournalError> {
        if self.torn == 0 {
            return Ok(());
        }
        // A segment without a whole line has the name that the new one would get; then the torn bytes are a hole.
        let hole = if self.current_bytes() == 0 { self.torn } else { 0 };
        if let Err(error) = self.file.set_len(self.current_bytes()) {
            // Readers pass over it anyhow: it has no line end, and the next segment begins before it.
            tracing::warn!(%error, "half a line could not be cut off {}", self.current_path().display());
        }
        self.begin_segment(self.end().plus(hole))?;
        self.torn = 0;
        Ok(())
    }

    fn current_bytes(&self) -> u64 {
        self.segments.back().map_or(0, |last| last.bytes)
    }

    fn current_path(&self) -> PathBuf {
        let start = self.segments.back().map_or(0, |last| last.start);
        self.dir.join(Position(start).segment_name())
    }

    /// Begins a new segment when the current one is large or old enough. When that fails the old one goes on: better
    /// a large segment than a lost event.
    fn rotate_if_due(&mut self) {
        let bytes = self.current_bytes();
        let old = Duration::from_secs(self.config.segment_age_s);
        // A clock that went backwards makes no segment old; its size still ends it.
        let due = bytes >= self.rotate_at || self.begun.elapsed().is_ok_and(|age| age >= old);
        if bytes == 0 || !due {
            return;
        }
        if let Err(error) = self.begin_segment(self.end()) {
            tracing::warn!(%error, "the journal goes on in its old segment");
            self.rotate_at = bytes.saturating_add(ROTATE_AGAIN_BYTES);
            self.begun = SystemTime::now();
        }
    }

    fn begin_segment(&mut self, position: Position) -> Result<(), JournalError> {
        let path = self.dir.join(position.segment_name());
        let file = OpenOptions::new().read(true).append(true).create_new(true).open(&path);
        self.file = Arc::new(file.map_err(JournalError::io("create", &path))?);
        self.segments.push_back(Segment { start: position.0, bytes: 0 });
        self.begun = SystemTime::now();
        self.rotate_at = self.config.segment_bytes;
        let folder = Arc::clone(&self.folder);
        self.note_unsynced(folder);
        Ok(())
    }

    fn note_unsynced(&mut self, file: Arc<File>) {
        if !self.unsynced.iter().any(|known| Arc::ptr_eq(known, &file)) {
            self.unsynced.push(file);
        }
    }
}

/// Refuses what is no whole lines, or holds one over the limit.
fn check_lines(lines: &[u8]) -> Result<(), JournalError> {
    if lines.last().is_some_and(|last| *last != b'\n') {
        return Err(JournalError::NotLines);
    }
    // Seldom: usually everything together is far below the limit.
    if lines.len() > MAX_LINE_BYTES
        && let Some(line) = lines.split_inclusive(|b| *b == b'\n').find(|line| line.len() > MAX_LINE_BYTES)
    {
        return Err(JournalError::TooLong { bytes: line.len() });
    }
    Ok(())
}

/// Takes the folder's lock, which the system releases when the process ends, however that happens.
fn lock(dir: &Path) -> Result<File, JournalError> {
    let path = dir.join(LOCK_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let mut file = file.map_err(JournalError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message: whoever holds the lock may be writing its id at this moment.
            let _ = Read::by_ref(&mut file).take(20).read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "?" } else { holder.trim() }.to_owned();
            return Err(JournalError::Locked { dir: dir.to_owned(), holder });
        }
        Err(TryLockError::Error(error)) => return Err(JournalError::io("lock", &path)(error)),
    }
    let note = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    // The lock holds without the note too, also on a disk that is full.
    if let Err(error) = note(&mut file) {
        tracing::warn!(%error, "the process id could not be noted in {}", path.display());
    }
    Ok(file)
}

/// Opens the file of [`JournalWriter::note_alive`] and reads what it says.
fn open_alive(dir: &Path) -> Result<(File, Option<f64>), JournalError> {
    let path = dir.join(ALIVE_FILE);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(JournalError::io("open", &path))?;
    let mut text = [0; 64];
    let length = file.read_at(&mut text, 0).map_err(JournalError::io("read", &path))?;
    let text = String::from_utf8_lossy(&text[..length]);
    let at = text.lines().next().and_then(|line| line.parse::<f64>().ok()).filter(|at| at.is_finite());
    Ok((file, at))
}

/// The moment `at` seconds after 1970, if there is one.
fn moment(at: f64) -> Option<SystemTime> {
    Duration::try_from_secs_f64(at).ok().and_then(|since| UNIX_EPOCH.checked_add(since))
}
