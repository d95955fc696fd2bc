//! The way to the journal: the reader puts in and goes on; a task of its own hands over, one message at a time, in
//! order. Whatever came while one message was under way is the next one, so batches grow with the load.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use actix::Recipient;
use tokio::sync::Notify;

use crate::actors::audit::deliver;
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, EntryBody, Frame, wall_clock};

/// Frames of one message, at most.
const BATCH_FRAMES: usize = 256;
/// Bytes of one message, at most (a single larger frame goes alone).
const BATCH_BYTES: usize = 256 * 1024;
/// Bytes that may wait for the journal: at this limit the socket is closed on purpose.
pub const WAITING_BYTES: usize = 32 * 1024 * 1024;

enum Item {
    Frames(Vec<Frame>, usize),
    Entry(AppendEntry, usize),
    Alive(Alive),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Frames(_, bytes) | Self::Entry(_, bytes) => *bytes,
            Self::Alive(_) => 0,
        }
    }

    fn frames(&self) -> u64 {
        match self {
            Self::Frames(frames, _) => frames.len() as u64,
            Self::Entry(..) | Self::Alive(_) => 0,
        }
    }

    /// Nothing from this moment on is certain when the item is lost.
    fn since(&self) -> Option<f64> {
        match self {
            Self::Frames(frames, _) => frames.first().map(|f| f.at),
            Self::Entry(AppendEntry { at, entry }, _) => match entry {
                EntryBody::Gap(gap) => Some(gap.since),
                EntryBody::Snapshot(_) | EntryBody::Command(_) | EntryBody::Reply(_) | EntryBody::Bad(_) => Some(*at),
            },
            Self::Alive(_) => None,
        }
    }
}

struct Inner {
    queue: RefCell<VecDeque<Item>>,
    bytes: Cell<usize>,
    under_way: Cell<bool>,
    filled: Notify,
    emptied: Notify,
    /// Why the journal refused, and since when nothing is certain.
    failure: RefCell<Option<(String, f64)>>,
    failed: Notify,
    /// Frames that were not handed over after a refusal.
    shed: Cell<u64>,
}

/// The reader's side; clones are the same outbox.
#[derive(Clone)]
pub(super) struct Outbox(Rc<Inner>);

impl Outbox {
    /// The outbox, and the task that empties it for ever.
    pub(super) fn new(
        frames: Recipient<AppendFrames>,
        entries: Recipient<AppendEntry>,
        alive: Recipient<Alive>,
    ) -> (Self, impl Future<Output = ()>) {
        let outbox = Self(Rc::new(Inner {
            queue: RefCell::default(),
            bytes: Cell::new(0),
            under_way: Cell::new(false),
            filled: Notify::new(),
            emptied: Notify::new(),
            failure: RefCell::default(),
            failed: Notify::new(),
            shed: Cell::new(0),
        }));
        let pump = Pump { outbox: outbox.clone(), frames, entries, alive };
        (outbox, pump.run())
    }

    /// Puts in a frame; it joins the last batch while that has room and is not under way.
    pub(super) fn frame(&self, frame: Frame) {
        let length = frame.body.len();
        let mut queue = self.0.queue.borrow_mut();
        match queue.back_mut() {
            Some(Item::Frames(frames, bytes)) if frames.len() < BATCH_FRAMES && *bytes + length <= BATCH_BYTES => {
                frames.push(frame);
                *bytes += length;
            }
            Some(Item::Frames(..) | Item::Entry(..) | Item::Alive(_)) | None => {
                queue.push_back(Item::Frames(vec![frame], length));
            }
        }
        drop(queue);
        self.0.bytes.set(self.0.bytes.get() + length);
        self.0.filled.notify_one();
    }

    /// Puts in another entry, stamped now.
    pub(super) fn entry(&self, entry: EntryBody) {
        self.entry_at(wall_clock(), entry);
    }

    /// Puts in another entry with its own time.
    pub(super) fn entry_at(&self, at: f64, entry: EntryBody) {
        let bytes = match &entry {
            EntryBody::Snapshot(json) => json.get().len(),
            EntryBody::Gap(_) | EntryBody::Command(_) | EntryBody::Reply(_) | EntryBody::Bad(_) => 256,
        };
        self.0.queue.borrow_mut().push_back(Item::Entry(AppendEntry { at, entry }, bytes));
        self.0.bytes.set(self.0.bytes.get() + bytes);
        self.0.filled.notify_one();
    }

    /// Everything until `at` was certainly heard; said to the journal after whatever was put in before.
    pub(super) fn alive(&self, at: f64) {
        let mut queue = self.0.queue.borrow_mut();
        match queue.back_mut() {
            Some(Item::Alive(alive)) => alive.at = at,
            Some(Item::Frames(..) | Item::Entry(..)) | None => queue.push_back(Item::Alive(Alive { at })),
        }
        drop(queue);
        self.0.filled.notify_one();
    }

    /// Bytes that wait.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.0.bytes.get()
    }

    /// Frames that were not handed over, since the journal had refused others before them.
    pub(super) fn shed_frames(&self) -> u64 {
        self.0.shed.get()
    }

    /// Returns with the reason when the journal has refused something.
    pub(super) async fn failure(&self) -> String {
        loop {
            if let Some((reason, _)) = self.0.failure.borrow().as_ref() {
                return reason.clone();
            }
            self.0.failed.notified().await;
        }
    }

    /// Whether the journal has refused something.
    pub(super) fn has_failed(&self) -> bool {
        self.0.failure.borrow().is_some()
    }

    /// Begins anew after a refusal: since when nothing is certain, if there was one.
    pub(super) fn take_failure(&self) -> Option<f64> {
        self.0.failure.borrow_mut().take().map(|(_, since)| since)
    }

    /// Waits until everything is handed over, or `limit` has passed; says which.
    pub(super) async fn drained(&self, limit: Duration) -> bool {
        let empty = async {
            while self.0.under_way.get() || !self.0.queue.borrow().is_empty() {
                self.0.emptied.notified().await;
            }
        };
        tokio::time::timeout(limit, empty).await.is_ok()
    }
}

struct Pump {
    outbox: Outbox,
    frames: Recipient<AppendFrames>,
    entries: Recipient<AppendEntry>,
    alive: Recipient<Alive>,
}

impl Pump {
    async fn run(self) {
        let inner = &self.outbox.0;
        loop {
            let next = inner.queue.borrow_mut().pop_front();
            let Some(item) = next else {
                inner.emptied.notify_one();
                inner.filled.notified().await;
                continue;
            };
            inner.under_way.set(true);
            let (bytes, since) = (item.bytes(), item.since());
            // After a refusal nothing more goes in until a new session has begun: what the journal holds stays whole.
            let refused = inner.failure.borrow().is_some();
            if refused {
                inner.shed.set(inner.shed.get() + item.frames());
            }
            let handed = if refused { Ok(()) } else { self.hand_over(item).await };
            inner.bytes.set(inner.bytes.get() - bytes);
            inner.under_way.set(false);
            let mut failure = inner.failure.borrow_mut();
            match (failure.as_mut(), handed) {
                (None, Err(reason)) => {
                    *failure = Some((reason, since.unwrap_or_else(wall_clock)));
                    inner.failed.notify_one();
                }
                (Some((_, lost)), _) => *lost = since.map_or(*lost, |s| lost.min(s)),
                (None, Ok(())) => {}
            }
        }
    }

    async fn hand_over(&self, item: Item) -> Result<(), String> {
        let answer = match item {
            Item::Frames(frames, _) => deliver(&self.frames, AppendFrames(frames)).await,
            Item::Entry(entry, _) => deliver(&self.entries, entry).await,
            // It vouches for time only: when the mailbox is full the next one will do.
            Item::Alive(alive) => {
                let _ = self.alive.try_send(alive);
                return Ok(());
            }
        };
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(full)) => Err(full.to_string()),
            Err(_) => Err("the journal is not running".into()),
        }
    }
}
