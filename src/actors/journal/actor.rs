//! The journal's actor: frames and entries become lines, in order; whoever follows the journal is poked.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::{Deserialize, Serialize};

use super::boot::{Mark, SPARE_BYTES};
use super::{JournalError, JournalWriter, Position, Recovered, Room, SyncJob, encode};
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, EntryBody, Exited, JournalFull, Stop};
use crate::ari::entry::Gap;
use crate::config;
use crate::model::NodeId;

/// Messages that may wait; a sender of one more is told so.
const MAILBOX: usize = 256;
/// The buffer for lines is kept up to this size, bytes; a larger one (a burst, a snapshot) is given back.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

/// What a journal's actor needs to know.
#[derive(Clone)]
pub struct Options {
    /// Whose journal it is.
    pub node: NodeId,
    /// Its folder.
    pub dir: PathBuf,
    /// `[journal]`.
    pub config: config::Journal,
    /// `ari.max_frame_bytes`: a larger frame is kept as a sample only.
    pub max_frame_bytes: usize,
    /// The journal goes on here, if it ends earlier: the position that the database has committed.
    pub start_at: Position,
    /// Told when the actor ends.
    pub parent: Option<Recipient<Exited>>,
}

/// The journal has entries up to `end`. At most one of these is under way; the last append always leads to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Message)]
#[rtype(result = "()")]
pub struct Appended {
    /// The journal's end.
    pub end: Position,
}

/// From now on poke this one, and nobody else, beginning with the present end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Subscribe(pub Recipient<Appended>);

/// Delete the segments that lie wholly before a position; the answer is how many bytes that freed.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<u64, JournalError>")]
pub struct Trim {
    /// Nothing before this is needed any more.
    pub before: Position,
}

/// Go on at this position if the journal ends before it: somebody has committed that far, so what stood between was lost
/// in a power failure, and those positions must not be used a second time.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Result<(), JournalError>")]
pub struct StartAt(pub Position);

/// Ask how the journal is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "JournalStatus")]
pub struct QueryStatus;

/// How a journal is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, MessageResponse)]
pub struct JournalStatus {
    /// Its folder.
    pub dir: PathBuf,
    /// Where the oldest segment begins.
    pub oldest: Position,
    /// Where the next entry goes.
    pub end: Position,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Segment files.
    pub segments: usize,
    /// Entries appended since the actor started.
    pub appended_entries: u64,
    /// Of those, frames that could not be kept as events.
    pub bad_frames: u64,
    /// Entries that could not be kept since the actor started.
    pub refused_entries: u64,
    /// Of those, frames. (A feed may be older than this.)
    #[serde(default)]
    pub refused_frames: u64,
    /// Whether frames are refused because `journal.max_bytes` is reached.
    pub full: bool,
    /// Whether the disk refuses at present; a gap will be written when it takes entries again.
    pub failing: bool,
    /// What went wrong last, also when it works again.
    pub last_error: Option<String>,
    /// Whether something is not on the disk yet: a power failure could take it.
    pub unsynced: bool,
    /// Milliseconds that the last fsync took.
    pub last_sync_ms: Option<f64>,
}

/// The journal of one node.
pub struct Journal {
    options: Options,
    writer: JournalWriter,
    /// `None` where it could not be set.
    mark: Option<Mark>,
    /// Lines on their way to the disk; empty between messages.
    lines: Vec<u8>,
    appended_entries: u64,
    bad_frames: u64,
    refused_entries: u64,
    refused_frames: u64,
    full: bool,
    trouble: Option<Trouble>,
    last_error: Option<String>,
    last_sync: Option<Duration>,
    syncing: bool,
    subscriber: Option<Recipient<Appended>>,
    /// Grows with each subscriber: an answer of the one before means nothing.
    generation: u64,
    poking: bool,
}

/// The disk refuses: what the gap will say.
struct Trouble {
    since: f64,
    reason: String,
}

impl Journal {
    /// Opens the journal; the actor is still to be started (any arbiter).
    ///
    /// # Errors
    /// As [`JournalWriter::open`].
    pub fn open(options: Options) -> Result<(Self, Recovered), JournalError> {
        let (mut writer, mut recovered) = JournalWriter::open(&options.dir, &options.config)?;
        if recovered.torn_bytes > 0 {
            let (node, bytes) = (&options.node, recovered.torn_bytes);
            tracing::warn!(%node, bytes, "the journal ended in the middle of a line; that is cut off");
        }
        let (mark, down) = match Mark::set(&options.dir) {
            Ok((mark, down)) => (Some(mark), down),
            Err(error) => {
                tracing::warn!(node = %options.node, %error, "a power failure beside this journal would go unnoticed");
                (None, false)
            }
        };
        let mut start_at = options.start_at;
        if down && writer.end() > Position::START {
            tracing::warn!(node = %options.node, "the machine went down with the journal open: its end may be lost");
            start_at = start_at.max(writer.end().plus(SPARE_BYTES));
        }
        writer.start_at(start_at)?;
        recovered.end = writer.end();
        let journal = Self {
            options,
            writer,
            mark,
            lines: Vec::new(),
            appended_entries: 0,
            bad_frames: 0,
            refused_entries: 0,
            refused_frames: 0,
            full: false,
            trouble: None,
            last_error: None,
            last_sync: None,
            syncing: false,
            subscriber: None,
            generation: 0,
            poking: false,
        };
        Ok((journal, recovered))
    }

    /// How it is.
    pub fn status(&self) -> JournalStatus {
        JournalStatus {
            dir: self.writer.dir().to_owned(),
            oldest: self.writer.oldest(),
            end: self.writer.end(),
            bytes: self.writer.size(),
            segments: self.writer.segment_count(),
            appended_entries: self.appended_entries,
            bad_frames: self.bad_frames,
            refused_entries: self.refused_entries,
            refused_frames: self.refused_frames,
            full: self.full,
            failing: self.trouble.is_some(),
            last_error: self.last_error.clone(),
            unsynced: self.syncing || self.writer.is_dirty(),
            last_sync_ms: self.last_sync.map(|took| took.as_secs_f64() * 1000.0),
        }
    }

    /// For tests: a disk with so many bytes left.
    #[cfg(test)]
    pub(super) fn set_disk_left(&mut self, bytes: Option<usize>) {
        self.writer.disk_left = bytes;
    }

    /// Begins the lines of one append: with the gap first, when the disk refused before.
    fn begin_lines(&mut self, at: f64) {
        self.lines.clear();
        if let Some(trouble) = &self.trouble {
            let gap = EntryBody::Gap(Gap { since: trouble.since, reason: trouble.reason.clone() });
            if let Err(error) = encode::entry(&mut self.lines, at, &gap) {
                // A gap is a number and a text, which can always be written as JSON.
                tracing::error!(node = %self.options.node, %error, "a gap could not be written");
            }
        }
    }

    /// Appends the lines; `ats` are the times of the entries among them, the gap in front not counted.
    fn append(&mut self, ats: &[f64], room: Room, ctx: &mut Context<Self>) -> Result<(), JournalFull> {
        let outcome = self.writer.append_to(room, &self.lines);
        // Fewer lines than there are when the disk refused on the way.
        let gap_in_front = usize::from(self.trouble.is_some());
        let kept = match self.writer.kept_bytes() {
            all if all == self.lines.len() => ats.len() + gap_in_front,
            some => memchr::memchr_iter(b'\n', &self.lines[..some]).count(),
        };
        if kept > 0 {
            if self.trouble.take().is_some() {
                tracing::info!(node = %self.options.node, "the journal is being written again; the gap is noted");
            }
            self.poke(ctx);
        }
        self.appended_entries += kept as u64;
        let kept = kept.saturating_sub(gap_in_front).min(ats.len());
        self.refused_entries += (ats.len() - kept) as u64;
        if self.lines.capacity() > KEPT_BUFFER_BYTES {
            self.lines = Vec::new();
        }
        match outcome {
            Ok(_) => {
                // Entries of our own fit in when frames don't: only frames that are taken, or room, say that it is not full.
                self.full = self.writer.is_full() || (self.full && room != Room::Frames);
                Ok(())
            }
            Err(error) => Err(self.refuse(&error, ats.get(kept).copied())),
        }
    }

    /// Notes why entries were refused, and since when.
    fn refuse(&mut self, error: &JournalError, first_refused_at: Option<f64>) -> JournalFull {
        let reason = error.to_string();
        let at_limit = matches!(error, JournalError::Full { .. });
        let news = if at_limit { !self.full } else { self.trouble.is_none() };
        if news {
            tracing::error!(node = %self.options.node, %reason, "the journal refuses entries");
        }
        if at_limit {
            // The connection closes its socket then, and writes the gap when it is back.
            self.full = true;
        } else if let (None, Some(since)) = (&self.trouble, first_refused_at) {
            self.trouble = Some(Trouble { since, reason: format!("journal could not be written: {reason}") });
        }
        self.last_error = Some(reason.clone());
        JournalFull(reason)
    }

    /// Notes an error that cost no entry.
    fn note(&mut self, error: &JournalError) {
        let reason = error.to_string();
        if self.last_error.as_deref() != Some(reason.as_str()) {
            tracing::warn!(node = %self.options.node, %reason, "the journal has trouble");
        }
        self.last_error = Some(reason);
    }

    /// Tells the subscriber of the present end, unless it is still busy with the last telling: then again after that.
    fn poke(&mut self, ctx: &mut Context<Self>) {
        let Some(subscriber) = self.subscriber.clone().filter(|_| !self.poking) else { return };
        self.poking = true;
        let (end, generation) = (self.writer.end(), self.generation);
        // A fresh clone's first `send` is accepted at once, however full the mailbox is; we have only one under way.
        let poke = subscriber.send(Appended { end }).into_actor(self).map(move |answer, journal, ctx| {
            if generation != journal.generation {
                return;
            }
            journal.poking = false;
            if answer.is_err() {
                // It ended. Whoever comes in its place subscribes.
                journal.subscriber = None;
            } else if journal.writer.end() > end {
                journal.poke(ctx);
            }
        });
        ctx.spawn(poke);
    }

    /// Brings what was appended to the disk, in another thread: a slow disk must not keep frames waiting.
    fn sync(&mut self, ctx: &mut Context<Self>) {
        if self.syncing || !self.writer.is_dirty() {
            return;
        }
        self.syncing = true;
        let job = self.writer.take_sync();
        let work = actix_rt::task::spawn_blocking(move || {
            let begun = Instant::now();
            let result = job.run();
            (job, result, begun.elapsed())
        });
        ctx.spawn(work.into_actor(self).map(|done, journal, _| {
            journal.syncing = false;
            match done {
                Ok((job, result, took)) => journal.synced(job, result, took),
                Err(error) => tracing::error!(node = %journal.options.node, %error, "an fsync was broken off"),
            }
        }));
    }

    fn synced(&mut self, job: SyncJob, result: std::io::Result<()>, took: Duration) {
        self.last_sync = Some(took);
        if let Err(error) = result {
            self.writer.put_back(job);
            let error = JournalError::io("sync", self.writer.dir())(error);
            self.note(&error);
        }
    }
}

impl Actor for Journal {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let interval = Duration::from_millis(self.options.config.sync_interval_ms.max(1));
        ctx.run_interval(interval, |journal, ctx| journal.sync(ctx));
        let (node, end) = (&self.options.node, self.writer.end());
        tracing::info!(%node, dir = %self.writer.dir().display(), %end, "journal open");
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let panicked = std::thread::panicking();
        if !panicked {
            let closed = self.writer.sync().and_then(|()| {
                let clear = self.mark.as_ref().map_or(Ok(()), Mark::clear);
                clear.map_err(JournalError::io("close", self.writer.dir()))
            });
            closed.unwrap_or_else(|error| self.note(&error));
        }
        // Before the parent hears of it: the next one must be able to take the lock.
        self.writer.release();
        if let Some(parent) = &self.options.parent {
            // Beyond the mailbox's bound, if need be: it is the last thing this actor says, and must arrive.
            parent.do_send(Exited { node: self.options.node.clone(), who: "journal", panicked });
        }
    }
}

impl Handler<AppendFrames> for Journal {
    type Result = Result<(), JournalFull>;

    fn handle(&mut self, AppendFrames(frames): AppendFrames, ctx: &mut Self::Context) -> Self::Result {
        let Some(first) = frames.first() else {
            let (bytes, max_bytes) = (self.writer.size(), self.options.config.max_bytes);
            let full = JournalError::Full { bytes, max_bytes };
            return if self.full || self.writer.is_full() { Err(JournalFull(full.to_string())) } else { Ok(()) };
        };
        self.begin_lines(first.at);
        let mut bad = 0;
        for frame in &frames {
            bad += u64::from(!encode::frame(&mut self.lines, frame, self.options.max_frame_bytes));
        }
        let ats: Vec<f64> = frames.iter().map(|frame| frame.at).collect();
        let refused = self.refused_entries;
        let outcome = self.append(&ats, Room::Frames, ctx);
        self.refused_frames += self.refused_entries - refused;
        outcome?;
        self.bad_frames += bad;
        Ok(())
    }
}

impl Handler<AppendEntry> for Journal {
    type Result = Result<(), JournalFull>;

    fn handle(&mut self, AppendEntry { at, entry }: AppendEntry, ctx: &mut Self::Context) -> Self::Result {
        // The connection noticed too: then its gap stands in place of ours.
        let covered = matches!((&entry, &self.trouble),
            (EntryBody::Gap(gap), Some(trouble)) if gap.since <= trouble.since);
        self.begin_lines(at);
        if covered {
            self.lines.clear();
        }
        if let Err(error) = encode::entry(&mut self.lines, at, &entry) {
            self.refused_entries += 1;
            let reason = format!("an entry of the journal can't be written as JSON: {error}");
            self.last_error = Some(reason.clone());
            return Err(JournalFull(reason));
        }
        let ats: &[f64] = if covered { &[] } else { &[at] };
        self.append(ats, encode::room(&entry), ctx)
    }
}

impl Handler<Alive> for Journal {
    type Result = ();

    fn handle(&mut self, Alive { at }: Alive, ctx: &mut Self::Context) {
        if self.trouble.is_some() {
            // What was refused must be on record before we say that everything was heard.
            self.begin_lines(at);
            if self.append(&[], Room::Small, ctx).is_err() {
                return;
            }
        }
        if let Err(error) = self.writer.note_alive(at) {
            self.note(&error);
        }
    }
}

impl Handler<Stop> for Journal {
    type Result = ();

    /// Whoever appends must have ended before: what still waits in the mailbox is not appended.
    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<Subscribe> for Journal {
    type Result = ();

    fn handle(&mut self, Subscribe(subscriber): Subscribe, ctx: &mut Self::Context) {
        self.subscriber = Some(subscriber);
        self.generation += 1;
        self.poking = false;
        self.poke(ctx);
    }
}

impl Handler<Trim> for Journal {
    type Result = Result<u64, JournalError>;

    fn handle(&mut self, Trim { before }: Trim, _: &mut Self::Context) -> Self::Result {
        let freed = self.writer.trim(before).inspect_err(|error| self.last_error = Some(error.to_string()))?;
        self.full = self.full && (freed == 0 || self.writer.is_full());
        Ok(freed)
    }
}

impl Handler<StartAt> for Journal {
    type Result = Result<(), JournalError>;

    fn handle(&mut self, StartAt(position): StartAt, ctx: &mut Self::Context) -> Self::Result {
        self.writer.start_at(position)?;
        self.poke(ctx);
        Ok(())
    }
}

impl Handler<QueryStatus> for Journal {
    type Result = JournalStatus;

    fn handle(&mut self, _: QueryStatus, _: &mut Self::Context) -> Self::Result {
        self.status()
    }
}
