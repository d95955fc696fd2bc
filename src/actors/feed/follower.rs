//! The service's side: what the journal's actor is elsewhere, where a feed process writes the journal.

mod lines;
mod link;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use super::wire::{Answer, FeedStatus};
use crate::actors::journal::{Appended, JournalError, JournalStatus, Position, QueryStatus, Subscribe, Trim};
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, Exited, JournalFull, Stop};
use crate::actors::registry::RegistryStatus;
use crate::model::NodeId;
use link::Link;

/// Messages that may wait; a sender of one more is told so.
const MAILBOX: usize = 256;
/// Without a feed for so long nothing more is kept for it, and the control socket is closed: callers must not wait in
/// an application that nobody can record.
pub(super) const AWAY_LIMIT: Duration = Duration::from_secs(2);
/// Bytes of entries that may wait for the feed.
const WAITING_BYTES: usize = 8 * 1024 * 1024;
/// Between two looks at how far the database is, and whether the feed has been away for too long.
const LOOK: Duration = Duration::from_millis(250);
/// Looks that are remembered to tell how old the oldest entry is that is not committed: ten minutes.
const LOOKS_KEPT: usize = 2_400;

/// What the actor is started with.
#[derive(Clone)]
pub struct FollowOptions {
    /// Whose journal it is.
    pub node: NodeId,
    /// Its folder.
    pub dir: PathBuf,
    /// Larger frames are kept as a sample only.
    pub max_frame_bytes: usize,
    /// Up to where the database has the journal.
    pub committed: Position,
    /// Whether the feed takes entries: told to the control socket.
    pub open: watch::Sender<bool>,
    /// Told when the actor ends.
    pub parent: Recipient<Exited>,
}

/// Ask this one how far the database is, for the feed and for health.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch(pub Recipient<RegistryStatus>);

/// Ask how the feed is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "FollowView")]
pub struct FollowStatus;

/// The feed as the service behind it knows it.
#[derive(Clone, Debug, PartialEq, Serialize, MessageResponse)]
pub struct FollowView {
    /// Whether the feed process is there.
    pub connected: bool,
    /// Why not.
    pub last_error: Option<String>,
    /// Its process.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// The application of its socket.
    pub app: Option<String>,
    /// Whether its socket to Asterisk is open and everything comes.
    pub feed_connected: bool,
    /// What went wrong last there.
    pub feed_error: Option<String>,
    /// Bytes of the journal that are not committed yet.
    pub behind_bytes: u64,
    /// Milliseconds since the oldest of these was seen; a quarter of a second is not told from nothing.
    pub behind_ms: u64,
    /// Bytes of entries that wait for the feed.
    pub waiting_bytes: usize,
    /// Connections to the feed so far.
    pub connects: u64,
}

/// What waits for the feed.
#[derive(Default)]
struct Pending {
    items: VecDeque<Item>,
    /// How many of the first ones this connection has been given.
    sent: usize,
    bytes: usize,
    next_id: u64,
    trim: Option<Position>,
    /// Up to where the database has the journal.
    committed: Option<Position>,
    /// The same as long as the feed was not told.
    told: Option<Position>,
}

struct Item {
    id: u64,
    /// The request, with its line end.
    line: Rc<Vec<u8>>,
    answer: oneshot::Sender<Result<(), JournalFull>>,
}

/// Follows the journal of one node that a feed process writes.
pub struct FollowedJournal {
    options: FollowOptions,
    pending: Rc<RefCell<Pending>>,
    filled: Rc<tokio::sync::Notify>,
    end: Position,
    oldest: Position,
    committed: Position,
    /// Where the journal ended when, the oldest first: what is committed is left out.
    ends: VecDeque<(Instant, Position)>,
    feed: Option<FeedStatus>,
    connected: bool,
    since: Instant,
    connects: u64,
    last_error: Option<String>,
    subscriber: Option<Recipient<Appended>>,
    generation: u64,
    poking: bool,
    registry: Option<Recipient<RegistryStatus>>,
}

impl FollowedJournal {
    /// Starts it on the arbiter of the present thread; `oldest` and `end` are what the journal's files say.
    pub fn start_with(options: FollowOptions, (oldest, end): (Position, Position)) -> Addr<Self> {
        let committed = options.committed;
        Self {
            options,
            pending: Rc::default(),
            filled: Rc::default(),
            end,
            oldest,
            committed,
            ends: VecDeque::new(),
            feed: None,
            connected: false,
            since: Instant::now(),
            connects: 0,
            last_error: None,
            subscriber: None,
            generation: 0,
            poking: false,
            registry: None,
        }
        .start()
    }

    /// The feed has gone, or could not be reached.
    fn away(&mut self, reason: String) {
        if self.connected {
            self.since = Instant::now();
            warn!(node = %self.options.node, "the feed process has gone: {reason}");
        } else if self.last_error.as_deref() != Some(&reason) {
            warn!(node = %self.options.node, "the feed process can't be followed: {reason}");
        }
        self.connected = false;
        self.last_error = Some(reason);
    }

    fn take(&mut self, answer: Answer, ctx: &mut Context<Self>) {
        match answer {
            Answer::Following { oldest, end } => {
                self.connected = true;
                self.connects += 1;
                self.last_error = None;
                self.oldest = oldest;
                info!(node = %self.options.node, %end, "follows the feed process");
                self.options.open.send_replace(true);
                self.ended_at(end, ctx);
            }
            Answer::End(end) => self.ended_at(end, ctx),
            Answer::Status(status) => {
                self.ended_at(status.journal.end, ctx);
                self.feed = Some(*status);
            }
            Answer::Done { id } => self.answer(id, Ok(())),
            Answer::Refused { id, reason } => self.answer(id, Err(JournalFull(reason))),
            Answer::Error { reason } => self.last_error = Some(reason),
            Answer::Hello(_) | Answer::HandedOver { .. } => {}
        }
    }

    fn ended_at(&mut self, end: Position, ctx: &mut Context<Self>) {
        if end > self.end {
            self.end = end;
            self.poke(ctx);
        }
    }

    fn answer(&mut self, id: u64, answer: Result<(), JournalFull>) {
        let mut pending = self.pending.borrow_mut();
        if pending.items.front().is_none_or(|item| item.id != id) {
            error!(node = %self.options.node, id, "the feed answered what it was not asked");
            return;
        }
        if let Some(item) = pending.items.pop_front() {
            pending.sent = pending.sent.saturating_sub(1);
            pending.bytes = pending.bytes.saturating_sub(item.line.len());
            // Who asked may have given up.
            let _ = item.answer.send(answer);
        }
    }

    /// Puts lines of the journal on their way.
    fn append(&mut self, lines: Result<Vec<u8>, serde_json::Error>) -> ResponseFuture<Result<(), JournalFull>> {
        let lines = match lines {
            Ok(lines) => lines,
            Err(error) => {
                let reason = format!("an entry of the journal can't be written as JSON: {error}");
                return Box::pin(async move { Err(JournalFull(reason)) });
            }
        };
        let mut pending = self.pending.borrow_mut();
        let away = !self.connected && self.since.elapsed() > AWAY_LIMIT;
        if away || pending.bytes > WAITING_BYTES {
            return Box::pin(async move { Err(nobody()) });
        }
        let id = pending.next_id;
        pending.next_id += 1;
        let mut line = format!("{{\"append\":{{\"id\":{id},\"lines\":[").into_bytes();
        for (place, entry) in lines.split(|b| *b == b'\n').filter(|entry| !entry.is_empty()).enumerate() {
            line.extend_from_slice(if place == 0 { b"" } else { b"," });
            line.extend_from_slice(entry);
        }
        line.extend_from_slice(b"]}}\n");
        pending.bytes += line.len();
        let (answer, answered) = oneshot::channel();
        pending.items.push_back(Item { id, line: Rc::new(line), answer });
        self.filled.notify_one();
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(nobody())) })
    }

    /// After too long without a feed nobody waits any more.
    fn give_up(&mut self) {
        if self.connected || self.since.elapsed() <= AWAY_LIMIT {
            return;
        }
        self.options.open.send_if_modified(|open| std::mem::replace(open, false));
        let mut pending = self.pending.borrow_mut();
        pending.bytes = 0;
        pending.sent = 0;
        for item in pending.items.drain(..) {
            let _ = item.answer.send(Err(nobody()));
        }
    }

    /// Tells the subscriber of the present end, as the journal's own actor does.
    fn poke(&mut self, ctx: &mut Context<Self>) {
        let Some(subscriber) = self.subscriber.clone().filter(|_| !self.poking) else { return };
        self.poking = true;
        let (end, generation) = (self.end, self.generation);
        let poke = subscriber.send(Appended { end }).into_actor(self).map(move |answer, follower, ctx| {
            if generation != follower.generation {
                return;
            }
            follower.poking = false;
            if answer.is_err() {
                follower.subscriber = None;
            } else if follower.end > end {
                follower.poke(ctx);
            }
        });
        ctx.spawn(poke);
    }

    /// Asks how far the database is.
    fn look(&mut self, ctx: &mut Context<Self>) {
        self.give_up();
        if self.ends.back().is_none_or(|(_, end)| *end != self.end) && self.ends.len() < LOOKS_KEPT {
            self.ends.push_back((Instant::now(), self.end));
        }
        let Some(registry) = &self.registry else { return };
        let asked = registry.send(RegistryStatus).into_actor(self);
        ctx.spawn(asked.map(|view, follower, _| {
            if let Ok(view) = view {
                follower.committed = follower.committed.max(Position(view.committed));
                let committed = follower.committed;
                while follower.ends.front().is_some_and(|(_, end)| *end <= committed) {
                    follower.ends.pop_front();
                }
                let mut pending = follower.pending.borrow_mut();
                if pending.committed.replace(committed) != Some(committed) {
                    pending.told = Some(committed);
                    follower.filled.notify_one();
                }
            }
        }));
    }

    fn view(&self) -> FollowView {
        let feed = self.feed.as_ref().filter(|_| self.connected);
        let behind = self.ends.front().map_or(Duration::ZERO, |(at, _)| at.elapsed());
        FollowView {
            connected: self.connected,
            last_error: self.last_error.clone(),
            pid: feed.map(|feed| feed.pid),
            version: feed.map(|feed| feed.version.clone()),
            app: feed.map(|feed| feed.app.clone()),
            feed_connected: feed.is_some_and(|feed| feed.connected),
            feed_error: feed.and_then(|feed| feed.last_error.clone()),
            behind_bytes: self.end.since(self.committed),
            behind_ms: u64::try_from(behind.as_millis()).unwrap_or(u64::MAX),
            waiting_bytes: self.pending.borrow().bytes,
            connects: self.connects,
        }
    }
}

fn nobody() -> JournalFull {
    JournalFull("the feed process takes no entries: see whether `callcenter feed` runs".into())
}

impl Actor for FollowedJournal {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        let link = Link {
            dir: self.options.dir.clone(),
            committed: self.options.committed,
            pending: self.pending.clone(),
            filled: self.filled.clone(),
            actor: ctx.address(),
        };
        // It ends with the actor; a panic in it ends the actor, and its supervisor starts everything again.
        ctx.spawn(actix::spawn(Box::pin(link.run())).into_actor(self).map(|_, _, ctx| ctx.stop()));
        ctx.run_interval(LOOK, Self::look);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let panicked = std::thread::panicking();
        self.options.parent.do_send(Exited { node: self.options.node.clone(), who: "journal", panicked });
    }
}

/// What the feed said.
#[derive(Message)]
#[rtype(result = "()")]
struct Said(Answer);

/// The connection to the feed is gone; why.
#[derive(Message)]
#[rtype(result = "()")]
struct Gone(String);

impl Handler<Said> for FollowedJournal {
    type Result = ();

    fn handle(&mut self, Said(answer): Said, ctx: &mut Self::Context) {
        self.take(answer, ctx);
    }
}

impl Handler<Gone> for FollowedJournal {
    type Result = ();

    fn handle(&mut self, Gone(reason): Gone, _: &mut Self::Context) {
        self.away(reason);
    }
}

impl Handler<AppendFrames> for FollowedJournal {
    type Result = ResponseFuture<Result<(), JournalFull>>;

    fn handle(&mut self, AppendFrames(frames): AppendFrames, _: &mut Self::Context) -> Self::Result {
        self.append(lines::of_frames(&self.options.node, &frames, self.options.max_frame_bytes))
    }
}

impl Handler<AppendEntry> for FollowedJournal {
    type Result = ResponseFuture<Result<(), JournalFull>>;

    fn handle(&mut self, entry: AppendEntry, _: &mut Self::Context) -> Self::Result {
        self.append(lines::of_entry(&self.options.node, &entry))
    }
}

impl Handler<Alive> for FollowedJournal {
    type Result = ();

    /// The feed notes that itself.
    fn handle(&mut self, _: Alive, _: &mut Self::Context) {}
}

impl Handler<Subscribe> for FollowedJournal {
    type Result = ();

    fn handle(&mut self, Subscribe(subscriber): Subscribe, ctx: &mut Self::Context) {
        self.subscriber = Some(subscriber);
        self.generation += 1;
        self.poking = false;
        self.poke(ctx);
    }
}

impl Handler<Trim> for FollowedJournal {
    type Result = Result<u64, JournalError>;

    /// The feed does it, and says in its status what is left.
    fn handle(&mut self, Trim { before }: Trim, _: &mut Self::Context) -> Self::Result {
        self.pending.borrow_mut().trim = Some(before);
        self.filled.notify_one();
        Ok(0)
    }
}

impl Handler<QueryStatus> for FollowedJournal {
    type Result = JournalStatus;

    fn handle(&mut self, _: QueryStatus, _: &mut Self::Context) -> Self::Result {
        let own = JournalStatus {
            dir: self.options.dir.clone(),
            oldest: self.oldest,
            end: self.end,
            bytes: self.end.since(self.oldest),
            segments: 0,
            appended_entries: 0,
            bad_frames: 0,
            refused_entries: 0,
            refused_frames: 0,
            full: false,
            failing: false,
            last_error: None,
            unsynced: false,
            last_sync_ms: None,
        };
        JournalStatus { end: self.end, ..self.feed.as_ref().map_or(own, |feed| feed.journal.clone()) }
    }
}

impl Handler<Watch> for FollowedJournal {
    type Result = ();

    fn handle(&mut self, Watch(registry): Watch, _: &mut Self::Context) {
        self.registry = Some(registry);
    }
}

impl Handler<FollowStatus> for FollowedJournal {
    type Result = FollowView;

    fn handle(&mut self, _: FollowStatus, _: &mut Self::Context) -> FollowView {
        self.view()
    }
}

impl Handler<Stop> for FollowedJournal {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
