//! Until when everything was certainly heard in a session, and what is held back until that is known.

use std::cell::{Cell, RefCell};

use tokio::sync::Notify;

use super::control::is_for_control;
use super::outbox::Outbox;
use crate::actors::messages::{EntryBody, Frame, FrameBody, wall_clock};
use crate::ari::entry::Gap;

/// Until when everything was certainly heard. It moves only once Asterisk is known to send everything; frames that come
/// earlier are held back, so that the gap before them stands before them in the journal, whatever happens meanwhile. So
/// are those that come while a snapshot is made.
pub(super) struct Hearing {
    pub(super) certain: Cell<f64>,
    pub(super) everything: Cell<bool>,
    /// Whether a snapshot is made, which shall stand before what comes meanwhile.
    holding: Cell<bool>,
    held: RefCell<Vec<Frame>>,
    pub(super) held_bytes: Cell<usize>,
    /// Only what the control hears alone is kept.
    control: bool,
    /// Whether Asterisk still sends what it kept while nobody listened: none of it tells until when everything was heard.
    backlog: Cell<bool>,
    backlog_read: Notify,
    /// Whether the socket was closed in order, by us and by Asterisk.
    pub(super) closed: Cell<bool>,
}

impl Hearing {
    /// `backlog`: Asterisk connected to us, and sends first what it kept.
    pub(super) fn new(now: f64, control: bool, backlog: bool) -> Self {
        Self {
            certain: Cell::new(now),
            everything: Cell::new(false),
            holding: Cell::new(false),
            held: RefCell::default(),
            held_bytes: Cell::new(0),
            control,
            backlog: Cell::new(backlog),
            backlog_read: Notify::new(),
            closed: Cell::new(false),
        }
    }

    /// Whether Asterisk still sends what it kept.
    pub(super) fn in_backlog(&self) -> bool {
        self.backlog.get()
    }

    /// Asterisk has sent all that it kept.
    pub(super) fn end_backlog(&self) {
        self.backlog.set(false);
        self.until(wall_clock());
        self.backlog_read.notify_one();
    }

    /// Returns when Asterisk has sent all that it kept.
    pub(super) async fn backlog_read(&self) {
        while self.backlog.get() {
            self.backlog_read.notified().await;
        }
    }

    pub(super) fn until(&self, at: f64) {
        if self.everything.get() && !self.backlog.get() && !self.holding.get() {
            self.certain.set(at);
        }
    }

    pub(super) fn keep(&self, outbox: &Outbox, frame: Frame) {
        if let (true, FrameBody::Text(text)) = (self.control, &frame.body)
            && !is_for_control(text)
        {
            return;
        }
        if self.everything.get() && !self.holding.get() {
            self.until(frame.at);
            outbox.frame(frame);
        } else {
            self.held_bytes.set(self.held_bytes.get() + frame.body.len());
            self.held.borrow_mut().push(frame);
        }
    }

    /// From now on everything is heard: `gap`, if there was one, ends at its moment and goes into the journal, then
    /// whatever was held back.
    pub(super) fn begin(&self, outbox: &Outbox, gap: Option<(f64, Gap)>) {
        if let Some((at, gap)) = gap {
            outbox.entry_at(at, EntryBody::Gap(gap));
        }
        self.held.take().into_iter().for_each(|frame| outbox.frame(frame));
        self.held_bytes.set(0);
        self.certain.set(wall_clock());
        self.everything.set(true);
    }

    /// The state of Asterisk has been read: what comes from now on is held back until [`Self::let_on`].
    pub(super) fn hold(&self) {
        self.holding.set(true);
    }

    /// Whatever was held back goes on its way.
    pub(super) fn let_on(&self, outbox: &Outbox) {
        self.holding.set(false);
        self.held_bytes.set(0);
        for frame in self.held.take() {
            self.until(frame.at);
            outbox.frame(frame);
        }
    }

    /// The same where Asterisk kept everything since `since`: there is no gap, as long as the backlog is read to its end.
    pub(super) fn begin_backlog(&self, outbox: &Outbox, since: f64) {
        self.begin(outbox, None);
        if self.backlog.get() {
            self.certain.set(since);
        }
    }

    /// The session is over: until when everything was certainly heard, `None` if it gave the journal nothing. What came
    /// before it was known whether everything comes is kept all the same: the gap before it ends with the handshake,
    /// and the next one begins there.
    pub(super) fn end(&self, outbox: &Outbox, gap: Option<Gap>) -> Option<f64> {
        let certain = self.certain.get();
        if !self.everything.get() {
            if self.held.borrow().is_empty() {
                return None;
            }
            self.begin(outbox, gap.map(|gap| (certain, gap)));
            return Some(certain);
        }
        self.let_on(outbox);
        Some(self.certain.get())
    }
}
