//! The registry of one node: reads its stream, keeps the graph, gives each channel's actor what concerns it.
//!
//! Only this actor makes call actors. Its state is rebuilt after a start by reading the stream again from the first
//! position of the oldest open call; what was committed before is then only folded, not written again. What that did
//! not bring back is asked of the database (`border.rs`).

mod border;
#[cfg(test)]
mod caller_tests;
mod entries;
mod flow;
#[cfg(test)]
mod retry_tests;
mod scout;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

use actix::prelude::*;
use rustc_hash::FxHashMap;
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::ari_command::AriCommand;
use super::batch::{Committed, Slot, Stream, Write};
use super::call::{CallActor, Inputs, Retire};
use super::db_writer::{Recall, StreamStart};
use super::journal::{Appended, Chunk, JournalError, Position, Skipped, Trim};
use super::link::Link;
use super::messages::{Exited, Stop};
use crate::call::{ChanKey, Graph, GraphLimits, Input, Leg};
use crate::config;
use crate::model::Timestamp;
use border::Border;
use entries::Entries;
use flow::Flow;
use scout::Scout;

use super::source::Source;

/// What a registry is started with.
pub struct RegistrySetup {
    /// Its stream.
    pub stream: Stream,
    /// The Stasis application whose channels it answers for.
    pub app: String,
    /// Where it reads.
    pub source: Box<dyn Source>,
    /// Where batches go.
    pub writer: Recipient<Write>,
    /// Who asks Asterisk; none when a recording is replayed.
    pub commands: Option<Link<AriCommand>>,
    /// The journal, to be told what it may delete.
    pub journal: Option<Recipient<Trim>>,
    /// Limits.
    pub calls: config::Calls,
    /// Where the stream stands in the database.
    pub start: StreamStart,
    /// Where the source begins: at `start.oldest_open`, or later when what was there is gone.
    pub from: u64,
    /// Who tells what the database has of open calls that the stream doesn't give back; none when a recording is
    /// replayed: its calls are its own.
    pub recall: Option<Recipient<Recall>>,
    /// Bytes of the stream that open calls may hold; beyond them the oldest is let go.
    pub hold_bytes: Option<u64>,
    /// Requests are sent only for what stands behind this position; before it is the past.
    pub live_from: u64,
    /// Told when this actor ends.
    pub exited: Option<Recipient<Exited>>,
    /// Told once, when the stream has ended and all of it is committed, or why it could not be read on.
    pub finished: Option<oneshot::Sender<Result<RegistryView, String>>>,
}

/// How is the registry?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "RegistryView")]
pub struct RegistryStatus;

/// What [`RegistryStatus`] shows.
#[derive(Clone, Debug, Default, Serialize, MessageResponse)]
pub struct RegistryView {
    /// The position up to which entries were read.
    pub position: u64,
    /// The position up to which they are committed.
    pub committed: u64,
    /// Batches that are not committed yet.
    pub batches: usize,
    /// Events read since the start, those of a rebuild included.
    pub events: u64,
    /// Gaps read.
    pub gaps: u64,
    /// Frames that could not be read.
    pub bad_frames: u64,
    /// Channels alive.
    pub live_channels: usize,
    /// Call actors.
    pub call_actors: usize,
    /// Call actors whose logic failed.
    pub call_panics: u64,
    /// Failures of the graph itself.
    pub graph_panics: u64,
    /// Channels for which the journal is kept no longer, since they would fill it.
    pub let_go: u64,
    /// Open calls to which the start added what the database has, as the journal doesn't have their beginning.
    pub restored_calls: u64,
    /// Asterisk's clock minus this machine's, milliseconds, as events tell.
    pub clock_offset_ms: Option<i64>,
    /// Why the stream can't be read, if it can't.
    pub error: Option<String>,
}

/// A call actor has ended.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct CallExited {
    /// Its channel.
    pub key: ChanKey,
    /// Whether by a panic.
    pub panicked: bool,
    /// Whether its channel waits in the application.
    pub waits: bool,
}

/// Read on.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
struct Pump;

/// How long after a failed read it is tried again.
const READ_AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// The registry of one node.
pub struct Registry {
    setup: RegistrySetup,
    graph: Graph,
    actors: FxHashMap<ChanKey, Addr<CallActor>>,
    inputs: FxHashMap<ChanKey, Vec<(Timestamp, Input)>>,
    ids: FxHashMap<ChanKey, Arc<str>>,
    number: u64,
    position: u64,
    /// The journal's end, as far as it was told.
    end: u64,
    flow: Flow,
    trimmed: u64,
    pumping: bool,
    /// Whether what failed is tried again by itself soon; until then nothing else tries it.
    retry_pending: bool,
    /// What was read and not taken yet.
    rest: VecDeque<Chunk>,
    /// Where this stands to what was committed before the start.
    border: Border,
    /// Serves callers while this can't go on.
    scout: Scout,
    /// Whether a part of what was committed is missing: then nothing was rebuilt whole.
    torn: bool,
    view: RegistryView,
}

impl Registry {
    /// A registry that begins where its source stands.
    pub fn new(setup: RegistrySetup) -> Self {
        let tombstone_ms = i64::try_from(setup.calls.tombstone_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let limits = GraphLimits { tombstone_ms, ..GraphLimits::default() };
        Self {
            graph: Graph::new(&setup.app, limits),
            actors: FxHashMap::default(),
            inputs: FxHashMap::default(),
            ids: FxHashMap::default(),
            number: 0,
            position: setup.start.oldest_open,
            end: 0,
            flow: Flow::default(),
            trimmed: 0,
            pumping: false,
            retry_pending: false,
            rest: border::lost_before(&setup).into_iter().collect(),
            border: if setup.recall.is_some() { Border::Ahead } else { Border::Passed },
            scout: Scout::default(),
            torn: false,
            view: RegistryView { committed: setup.start.committed, ..RegistryView::default() },
            setup,
        }
    }

    fn pump(&mut self, ctx: &mut Context<Self>) {
        if !self.pumping {
            self.pumping = true;
            ctx.notify(Pump);
        }
    }

    /// Reads one stretch, if another may be under way.
    fn read(&mut self, ctx: &mut Context<Self>) {
        let refused = self.border == Border::Ahead && self.retry_pending;
        if self.border == Border::Asking || refused || !self.flow.may_ship(&self.setup.calls) {
            return self.look_ahead(ctx);
        }
        if self.is_behind() {
            self.serve_ahead(ctx);
        }
        if self.retry_pending || !self.worth_a_batch(ctx) {
            return;
        }
        let chunk = match self.rest.pop_front() {
            Some(chunk) => Ok(Some(chunk)),
            None => self.setup.source.read(self.setup.calls.read_bytes),
        };
        match chunk {
            Ok(Some(chunk)) => {
                self.view.error = None;
                let chunk = self.split(chunk);
                if self.border == Border::Ahead && chunk.start.offset() >= self.setup.start.committed {
                    self.rest.push_front(chunk);
                    return self.ask(ctx);
                }
                self.stretch(chunk, ctx);
                self.pump(ctx);
            }
            Ok(None) => {
                self.view.error = None;
                if self.setup.source.ends() && self.view.batches == 0 {
                    self.finish(Ok(()));
                }
            }
            Err(error) => self.read_failed(&error, ctx),
        }
    }

    /// Whether what waits in the journal is worth a batch of its own now; if not, it is a few milliseconds later.
    fn worth_a_batch(&mut self, ctx: &mut Context<Self>) -> bool {
        let live = self.setup.journal.is_some() && self.rest.is_empty();
        let waiting = self.end.saturating_sub(self.position);
        if !live || self.flow.worth(waiting) {
            return true;
        }
        if self.flow.wait() {
            ctx.run_later(flow::LONGEST_WAIT, |registry, ctx| {
                registry.flow.waited();
                registry.pump(ctx);
            });
        }
        false
    }

    fn read_failed(&mut self, error: &JournalError, ctx: &mut Context<Self>) {
        let ends = self.setup.source.ends();
        // What was read before shall be committed first: each commit leads here again.
        if ends && self.view.batches > 0 {
            return;
        }
        error!(node = %self.setup.stream.node, %error, "the stream can't be read");
        self.view.error = Some(error.to_string());
        if ends {
            self.finish(Err(error.to_string()));
        } else {
            self.read_again(ctx);
        }
    }

    /// Tries once more what failed, later. One timer for all: each try that fails asks for the next.
    fn read_again(&mut self, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.retry_pending, true) {
            ctx.run_later(READ_AGAIN, |registry, ctx| {
                registry.retry_pending = false;
                registry.pump(ctx);
            });
        }
    }

    fn finish(&mut self, result: Result<(), String>) {
        if let Some(finished) = self.setup.finished.take() {
            // Nobody waits any longer: then nobody needs to know.
            let _ = finished.send(result.map(|()| self.status()));
        }
    }

    /// What was committed is a stretch of its own: it only rebuilds. So is what was served already. That holds for a
    /// range that is missing, too.
    fn split(&mut self, mut chunk: Chunk) -> Chunk {
        let (committed, live_from) = (self.setup.start.committed, self.setup.live_from);
        for border in [committed.max(live_from), committed.min(live_from)] {
            if !(chunk.start.offset() < border && border < chunk.end.offset()) {
                continue;
            }
            let length = border - chunk.start.offset();
            let bytes = chunk.bytes.split_off(chunk.bytes.len().min(usize::try_from(length).unwrap_or(usize::MAX)));
            let border = Position(border);
            let rest = chunk.skipped.map(|s| Skipped { bytes: s.bytes.saturating_sub(length), ..s });
            chunk.skipped = chunk.skipped.map(|s| Skipped { bytes: length, ..s });
            self.rest.push_front(Chunk { start: border, end: chunk.end, bytes, skipped: rest });
            chunk.end = border;
        }
        chunk
    }

    fn stretch(&mut self, chunk: Chunk, ctx: &mut Context<Self>) {
        let committed = self.setup.start.committed;
        let live = chunk.start.offset() >= self.setup.live_from.max(committed);
        let rebuilds = chunk.end.offset() <= committed;
        #[cfg(feature = "test-hooks")]
        hold_up(&chunk, live);
        let (end, skipped) = (chunk.end.offset(), chunk.skipped);
        let mut entries = Entries::new(chunk.bytes.clone());
        if let Some(skipped) = skipped {
            self.torn |= rebuilds;
            let (since, until) = self.lost_span(rebuilds);
            entries.lost(&mut self.graph, chunk.start.offset(), since, until, skipped.reason.as_str());
        }
        entries.read(&mut self.graph, chunk.start.offset());
        if rebuilds && skipped.is_none() {
            // They are in the database; what retention took of them stays gone.
            entries.forget_gaps();
        }
        self.view.events += entries.events_read;
        self.view.gaps += entries.gaps_read;
        self.view.bad_frames += entries.bad_frames;
        self.view.graph_panics += entries.panics;
        self.position = end;
        self.let_go();
        self.ship(entries, rebuilds, live, ctx);
    }

    /// Sends what a stretch led to on its way.
    fn ship(&mut self, entries: Entries, rebuilds: bool, live: bool, ctx: &mut Context<Self>) {
        let out = self.graph.take_out();
        let oldest_open = self.graph.oldest_open().unwrap_or(self.position);
        let mut batch = entries.into_batch(self.setup.stream.clone(), self.number, self.position, oldest_open);
        batch.rebuilds = rebuilds;
        self.number += 1;
        self.view.batches += 1;
        self.flow.shipped(batch.text.len() as u64);
        for opening in out.opened {
            let (key, id) = (opening.key, opening.id.clone());
            let (leg, fact) = Leg::open(opening);
            if let crate::call::Effect::Fact(at, fact) = fact {
                batch.facts.push((key, at, fact));
            }
            self.ids.insert(key, id.clone());
            let actor = CallActor::new(key, id, leg, ctx.address(), self.setup.commands.clone());
            self.actors.insert(key, actor.start());
        }
        batch.facts.extend(out.facts);
        let slot = Arc::new(Slot::new(batch, self.setup.writer.clone()));
        for (key, at, input) in out.inputs {
            self.inputs.entry(key).or_default().push((at, input));
        }
        self.hear_of_callers(live, ctx);
        for (key, inputs) in self.inputs.drain() {
            let Some(actor) = self.actors.get(&key) else { continue };
            let message = Inputs { inputs, slot: slot.clone(), live };
            match actor.try_send(message) {
                Ok(()) | Err(SendError::Closed(_)) => {}
                // Its mailbox holds more than the batches that may be under way; should it be full all the same,
                // no record may be lost.
                Err(SendError::Full(message)) => actor.do_send(message),
            }
        }
        for key in out.retired {
            if let Some(actor) = self.actors.remove(&key) {
                actor.do_send(Retire);
            }
            self.ids.remove(&key);
        }
    }

    fn status(&self) -> RegistryView {
        RegistryView {
            position: self.position,
            live_channels: self.graph.live(),
            call_actors: self.actors.len(),
            clock_offset_ms: self.graph.clock_offset_ms(),
            ..self.view.clone()
        }
    }
}

/// For tests: an event of this name stops the thread for good. Not while the past is read: a restart goes on.
#[cfg(feature = "test-hooks")]
fn hold_up(chunk: &Chunk, live: bool) {
    if live && memchr::memmem::find(&chunk.bytes, b"callcenter-test-stuck").is_some() {
        loop {
            std::thread::park();
        }
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(256);
        if self.setup.commands.is_some() {
            self.announce();
        }
        self.pump(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(exited) = &self.setup.exited {
            let panicked = std::thread::panicking();
            exited.do_send(Exited { node: self.setup.stream.node.clone(), who: "registry", panicked });
        }
    }
}

impl Handler<Pump> for Registry {
    type Result = ();

    fn handle(&mut self, _: Pump, ctx: &mut Self::Context) {
        self.pumping = false;
        self.read(ctx);
    }
}

impl Handler<Appended> for Registry {
    type Result = ();

    fn handle(&mut self, appended: Appended, ctx: &mut Self::Context) {
        self.end = appended.end.offset();
        self.pump(ctx);
    }
}

impl Handler<Committed> for Registry {
    type Result = ();

    fn handle(&mut self, done: Committed, ctx: &mut Self::Context) {
        self.view.batches = self.view.batches.saturating_sub(1);
        self.flow.committed();
        self.view.committed = self.view.committed.max(done.end);
        let before = done.oldest_open.min(done.end);
        // What only rebuilds leaves the database's own `oldest_open` as it was: a start would look for what is gone.
        let written = done.end > self.setup.start.committed;
        if let Some(journal) = self.setup.journal.as_ref().filter(|_| written && before > self.trimmed) {
            self.trimmed = before;
            journal.do_send(Trim { before: Position(before) });
        }
        self.pump(ctx);
    }
}

impl Handler<Stop> for Registry {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

impl Handler<RegistryStatus> for Registry {
    type Result = RegistryView;

    fn handle(&mut self, _: RegistryStatus, _: &mut Self::Context) -> RegistryView {
        self.status()
    }
}

impl Registry {
    /// Says in the log what is rebuilt.
    pub fn announce(&self) {
        let (node, from) = (&self.setup.stream.node, self.setup.start.committed);
        if from > 0 {
            info!(%node, committed = from, "goes on from the committed position of the journal");
        } else {
            info!(%node, "begins a new journal");
        }
        if self.setup.live_from > from {
            warn!(%node, bytes = self.setup.live_from - from, "the journal holds entries that were not written yet");
        }
    }
}
