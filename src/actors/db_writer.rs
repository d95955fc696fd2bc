//! The writer: owns the write connection, folds facts into rows, commits them with their positions.
//!
//! Group commit: whatever came while one transaction ran is the next one. That needs no timer, gives low latency
//! when little happens and full batches when much does. A batch that can't be written is kept and tried again;
//! meanwhile registries stop reading (they have a limit of batches under way) and the journal holds the rest.

mod count;
mod failing;
mod lines;
mod overlap;
mod prepare;
mod recall;
mod recordings;
mod retain;
pub(crate) mod rows;
mod shown;
mod story;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use diesel::prelude::*;
use serde::Serialize;
use tracing::{error, info, warn};

use super::batch::{Committed, Stream, Write, WriteBatch};
use super::messages::Exited;
use super::tally::SharedTally;
use crate::call::Book;
use crate::config;
use crate::db;
use crate::db::batch::WriteError;
use crate::db::checkpoint::{self, Checkpointer};
use crate::db::open::{OpenError, WriteLock};
use crate::db::retention::Sweep;
use crate::db::trouble::Trouble;
use crate::model::{NodeId, Timestamp};
pub use lines::Lines;
use prepare::Prepared;
pub use recall::{Recall, Recalled};
use recordings::Recordings;
pub use shown::Shown;

/// The name of the stream that is a node's own journal.
pub const JOURNAL: &str = "journal";

/// The shortest and the longest wait before a batch that could not be written is tried again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How often the writer looks whether it is idle and has something to do then.
const IDLE_TICK: Duration = Duration::from_millis(250);

/// Tells the writer who wants to know what of a stream is committed, and begins the stream anew.
#[derive(Message)]
#[rtype(result = "Result<StreamStart, String>")]
pub struct Attach {
    /// The stream.
    pub stream: Stream,
    /// Who wants to know.
    pub registry: Option<Recipient<Committed>>,
}

/// Where a stream stands in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStart {
    /// Whether anything of it was ever written.
    pub known: bool,
    /// Up to where it is committed.
    pub committed: u64,
    /// From where everything open can be rebuilt.
    pub oldest_open: u64,
    /// When the last entry before `committed` was received.
    pub committed_at: Option<Timestamp>,
}

/// Names who wants to know what of a stream is committed.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Follow {
    /// The stream.
    pub stream: Stream,
    /// Who.
    pub registry: Recipient<Committed>,
}

/// Names who is told when the writer fails.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch(pub Recipient<Exited>);

/// How is the writer?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "WriterView")]
pub struct WriterStatus;

/// New rules for lines and retention, from a configuration that was read again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reconfigure {
    /// Trunks, contexts, country.
    pub lines: Lines,
    /// Retention.
    pub database: config::Database,
}

/// What [`WriterStatus`] shows.
#[derive(Clone, Debug, Default, Serialize, MessageResponse)]
pub struct WriterView {
    /// Batches waiting.
    pub queue: usize,
    /// Transactions since the start.
    pub transactions: u64,
    /// Events written since the start.
    pub events: u64,
    /// Calls begun since the start.
    pub calls: u64,
    /// Calls ended since the start.
    pub calls_ended: u64,
    /// Calls that are open now.
    pub open_calls: usize,
    /// The same by Asterisk, for the metrics.
    #[serde(skip)]
    pub open_by_node: BTreeMap<NodeId, usize>,
    /// Events in the last transaction.
    pub last_batch_events: usize,
    /// How long the last transaction took, milliseconds.
    pub last_commit_ms: f64,
    /// Failed tries since the start.
    pub failures: u64,
    /// Why nothing can be written now, and what to do.
    pub failing: Option<String>,
    /// Since when, seconds since 1970.
    pub failing_since: Option<f64>,
    /// Calls whose record could not be worked out: a mistake in the program. Their rows are plain and marked.
    pub fold_panics: u64,
    /// Rows that retention took since the start.
    pub retired_rows: u64,
    /// How long the longest step of retention took, milliseconds.
    pub longest_step_ms: f64,
    /// Batches that overlapped what was committed and were cut; a mistake in the program.
    pub overlaps: u64,
}

#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct Flush;

/// What is known of one stream.
struct StreamState {
    book: Book,
    next: u64,
    early: BTreeMap<u64, Box<WriteBatch>>,
    end: u64,
    registry: Option<Recipient<Committed>>,
    /// What was committed before the registry was known: it is told as soon as it is.
    untold: Vec<Committed>,
    recordings: Recordings,
}

/// The writer. Give it an arbiter of its own: it blocks its thread while SQLite works.
pub struct DbWriter {
    /// `None` where it could not be started: the connection checkpoints by itself.
    checkpoint: Option<Checkpointer>,
    connection: SqliteConnection,
    _lock: WriteLock,
    config: config::Database,
    lines: Lines,
    streams: BTreeMap<Stream, StreamState>,
    queue: VecDeque<Box<WriteBatch>>,
    prepared: Option<Prepared>,
    next_seq: i64,
    /// The next event's number when the heads of chains were written last.
    heads_written: i64,
    flushing: bool,
    retry: Duration,
    sweep: Sweep,
    rest_until: Instant,
    /// Whether the next step of the sweep has its moment.
    step_due: bool,
    view: WriterView,
    tally: SharedTally,
    failed: Option<Recipient<Exited>>,
    shown: Shown,
    /// Whether what a crash left behind could not be repaired at the start.
    repair_due: bool,
}

/// Why the writer can't begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl DbWriter {
    /// Opens the database and brings its schema up to date.
    ///
    /// # Errors
    /// When it can't be opened, read, or is not ours; each says what to do.
    pub fn open(config: &config::Database, lines: Lines) -> Result<Self, StartError> {
        let mut opened = db::open::open_write(config)?;
        let failed = |error: diesel::result::Error| db::open::trouble(&config.path, error.to_string());
        let next_seq = db::events::next_seq(&mut opened.connection).map_err(failed)?;
        let repaired = db::heads::repair(&mut opened.connection);
        let repair_due = match &repaired {
            // Calls must be heard meanwhile; the first batch that is taken waits for it.
            Err(error) if Trouble::of(error).may_pass() => {
                warn!(%error, "the database can't be written yet: {}", Trouble::of(error).advice());
                true
            }
            Ok(_) | Err(_) => false,
        };
        if !repair_due {
            repaired.map_err(failed)?;
        }
        let checkpoint = Checkpointer::start(&config.path)
            .inspect_err(|error| warn!(%error, "checkpoints are not made beside the writer"))
            .ok();
        let path = config.path.display();
        if opened.created {
            info!("database {path} made");
        } else if opened.migrations.is_empty() {
            info!("database {path} opened, its schema is current");
        } else {
            info!("database {path} opened, migrated: {}", opened.migrations.join(", "));
        }
        Ok(Self {
            checkpoint,
            connection: opened.connection,
            _lock: opened.lock,
            config: config.clone(),
            lines,
            streams: BTreeMap::new(),
            queue: VecDeque::new(),
            prepared: None,
            next_seq,
            heads_written: next_seq,
            flushing: false,
            retry: RETRY.0,
            sweep: Sweep::default(),
            rest_until: Instant::now(),
            step_due: false,
            view: WriterView::default(),
            tally: SharedTally::default(),
            failed: None,
            shown: Shown::default(),
            repair_due,
        })
    }

    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if self.flushing {
            return;
        }
        self.flushing = true;
        if self.config.batch_wait_ms == 0 {
            ctx.notify(Flush);
        } else {
            ctx.notify_later(Flush, Duration::from_millis(self.config.batch_wait_ms));
        }
    }

    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.repair_due
            && let Err(error) = self.inside(Self::repaired)
        {
            return self.failed(&error.into(), ctx);
        }
        // Preparing reads from the database, so it may wait for it too.
        let Some((mut prepared, written, took)) = self.inside(Self::write_next) else { return };
        match written {
            Ok(()) => {
                self.works();
                self.view.last_commit_ms = took.as_secs_f64() * 1_000.0;
                self.count(&prepared, took);
                if let Some(checkpoint) = &mut self.checkpoint {
                    checkpoint.wrote(prepared.bytes());
                }
                self.committed(prepared);
                if !self.queue.is_empty() {
                    self.flush_soon(ctx);
                }
            }
            Err(failure) => {
                let cut = self.cut_overlap(&mut prepared, &failure);
                self.prepared = Some(prepared);
                if cut {
                    self.flush_soon(ctx);
                } else {
                    self.failed(&failure, ctx);
                }
            }
        }
    }

    /// Writes what is prepared, or else what waits: that, what came of it, and how long writing took.
    fn write_next(&mut self) -> Option<(Prepared, Result<(), WriteError>, Duration)> {
        let mut prepared = self.prepared.take().or_else(|| self.prepare())?;
        let begun = Instant::now();
        let written = prepared.write(&mut self.connection);
        Some((prepared, written, begun.elapsed()))
    }

    fn committed(&mut self, prepared: Prepared) {
        self.view.transactions += u64::from(prepared.writes());
        if prepared.events() > 0 {
            self.view.last_batch_events = prepared.events();
        }
        self.view.events += prepared.events() as u64;
        for told in prepared.told() {
            story::tell(&told.stream, &told.change, told.row.as_deref());
            match told.change.kind {
                crate::call::ChangeKind::Started => self.view.calls += 1,
                crate::call::ChangeKind::Ended => self.view.calls_ended += 1,
                crate::call::ChangeKind::Ringing
                | crate::call::ChangeKind::Answered
                | crate::call::ChangeKind::Transferred
                | crate::call::ChangeKind::Updated
                | crate::call::ChangeKind::Merged => {}
            }
        }
        for batch in prepared.into_batches() {
            let Some(stream) = self.streams.get_mut(&batch.stream) else { continue };
            let done = Committed { number: batch.number, end: batch.end, oldest_open: batch.oldest_open };
            match &stream.registry {
                Some(registry) => registry.do_send(done),
                // Bounded: a registry that hears nothing stops reading.
                None => stream.untold.push(done),
            }
        }
    }

    /// Heads of chains that a full transaction left out, while nothing waits to be written. Not while a flush is due:
    /// one that fails is due again by itself, and each more would be so for ever beside it.
    fn write_heads(&mut self, ctx: &mut Context<Self>) {
        if !self.flushing && self.queue.is_empty() && self.prepared.is_none() {
            self.prepared = self.prepare_heads();
            self.flush(ctx);
        }
    }

    /// Folds the write-ahead log into the database, as the last connection that closes would: others may be open.
    fn close(&mut self) {
        // Its thread ends first, so that nothing is in the way.
        self.checkpoint = None;
        match self.inside(|writer| checkpoint::whole(&mut writer.connection)) {
            Ok(true) => {}
            Ok(false) => {
                info!("another program uses the database: the write-ahead log beside it keeps the newest rows")
            }
            Err(error) => warn!(%error, "the write-ahead log beside the database keeps the newest rows"),
        }
    }

    fn start_of(&mut self, stream: &Stream) -> QueryResult<StreamStart> {
        let found = db::positions::get(&mut self.connection, &stream.node, &stream.name)?;
        let number = |value: i64| u64::try_from(value).unwrap_or(0);
        Ok(found.map_or_else(StreamStart::default, |p| StreamStart {
            known: true,
            committed: number(p.position),
            oldest_open: number(p.oldest_open),
            committed_at: Some(p.updated_at),
        }))
    }
}

impl Actor for DbWriter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(1_024);
        ctx.run_interval(IDLE_TICK, |writer, ctx| {
            writer.write_heads(ctx);
            writer.retain(ctx);
        });
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if std::thread::panicking() {
            error!("the writer failed; everything is started again, the journal holds what is not written");
            if let Some(failed) = &self.failed {
                failed.do_send(Exited { node: NodeId::new(""), who: "db_writer", panicked: true });
            }
        }
    }
}

impl Handler<Attach> for DbWriter {
    type Result = Result<StreamStart, String>;

    fn handle(&mut self, attach: Attach, _: &mut Self::Context) -> Self::Result {
        // A registry that begins anew numbers its batches from 0 and rebuilds the book.
        self.queue.retain(|b| b.stream != attach.stream);
        let start = self
            .inside(|writer| writer.start_of(&attach.stream))
            .map_err(|e| format!("the position of a stream can't be read: {e}"))?;
        let state = StreamState {
            book: Book::new(attach.stream.node.as_str()),
            next: 0,
            early: BTreeMap::new(),
            end: start.oldest_open,
            registry: attach.registry,
            untold: Vec::new(),
            recordings: Recordings::default(),
        };
        self.streams.insert(attach.stream, state);
        Ok(start)
    }
}

impl Handler<Watch> for DbWriter {
    type Result = ();

    fn handle(&mut self, Watch(who): Watch, _: &mut Self::Context) {
        self.failed = Some(who);
    }
}

impl Handler<Follow> for DbWriter {
    type Result = ();

    fn handle(&mut self, follow: Follow, _: &mut Self::Context) {
        if let Some(state) = self.streams.get_mut(&follow.stream) {
            state.untold.drain(..).for_each(|done| follow.registry.do_send(done));
            state.registry = Some(follow.registry);
        }
    }
}

impl Handler<Write> for DbWriter {
    type Result = ();

    fn handle(&mut self, Write(batch): Write, ctx: &mut Self::Context) {
        let Some(state) = self.streams.get_mut(&batch.stream) else {
            warn!(node = %batch.stream.node, "a batch of a stream that nobody attached is dropped");
            return;
        };
        // Slots fill in any order; the stream goes on in its own.
        state.early.insert(batch.number, batch);
        while let Some(batch) = state.early.remove(&state.next) {
            state.next += 1;
            self.queue.push_back(batch);
        }
        if !self.queue.is_empty() {
            self.flush_soon(ctx);
        }
    }
}

impl Handler<Flush> for DbWriter {
    type Result = ();

    fn handle(&mut self, _: Flush, ctx: &mut Self::Context) {
        self.flushing = false;
        self.flush(ctx);
    }
}

impl Handler<super::messages::Stop> for DbWriter {
    type Result = ();

    fn handle(&mut self, _: super::messages::Stop, ctx: &mut Self::Context) {
        self.write_heads(ctx);
        self.close();
        ctx.stop();
    }
}

impl Handler<WriterStatus> for DbWriter {
    type Result = WriterView;

    fn handle(&mut self, _: WriterStatus, _: &mut Self::Context) -> WriterView {
        self.seen()
    }
}

impl Handler<Reconfigure> for DbWriter {
    type Result = ();

    fn handle(&mut self, new: Reconfigure, _: &mut Self::Context) {
        self.lines = new.lines;
        self.config.events_retention_days = new.database.events_retention_days;
        self.config.calls_retention_days = new.database.calls_retention_days;
        self.rest_until = Instant::now();
    }
}

/// The name of a node's own journal as a stream.
pub fn journal_of(node: &NodeId) -> Stream {
    Stream { node: node.clone(), name: Arc::from(JOURNAL) }
}
