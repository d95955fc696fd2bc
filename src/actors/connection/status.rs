//! What the connection shows of itself.

use std::cell::RefCell;
use std::rc::Rc;

use actix::MessageResponse;
use serde::Serialize;
use tokio::time::Instant;

use crate::actors::messages::wall_clock;
use crate::model::{NodeId, Timestamp};

/// How long an estimate of Asterisk's clock is kept, seconds: clocks drift and are set.
const OFFSET_KEPT_S: f64 = 600.0;

/// Where the connection is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// A connect is under way.
    Connecting,
    /// The socket is open.
    Connected,
    /// Waits before the next connect.
    BackingOff,
    /// Another client took the application; we wait until it is free.
    Yielded,
    /// Told to stop, or ended.
    Stopped,
}

/// Whether Asterisk sends everything, not only what concerns our application's own channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubscribeAll {
    /// Not looked at yet.
    Unknown,
    /// In force since the connect.
    Ok,
    /// Was not in force and has been repaired.
    Repaired,
    /// Is not in force and can't be repaired.
    Failed,
}

/// What [`super::ConnectionStatus`] shows.
#[derive(Clone, Debug, Serialize, MessageResponse)]
pub struct ConnectionView {
    /// The Asterisk's name.
    pub node: String,
    /// Its address, without credentials.
    pub url: String,
    /// Where the connection is in its life.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Whether, in this session, Asterisk's state has been read: from then on what is recorded is complete.
    pub prepared: bool,
    /// The last thing that went wrong, with what to do about it.
    pub last_error: Option<String>,
    /// Sessions so far.
    pub sessions: u64,
    /// Frames so far.
    pub frames: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, frames that were not given to the journal, since it had just refused others.
    pub shed_frames: u64,
    /// Sessions that ended because nothing came any more, not even a pong.
    pub dead_links: u64,
    /// Whether Asterisk sends everything.
    pub subscribe_all: SubscribeAll,
    /// While backing off: milliseconds until the next connect.
    pub next_try_in_ms: Option<u64>,
    /// Asterisk's version.
    pub asterisk_version: Option<String>,
    /// Asterisk's clock minus ours, milliseconds: from its events, else from an HTTP answer (within a second).
    pub clock_offset_ms: Option<i64>,
    /// Bytes that wait for the journal.
    pub waiting_bytes: usize,
}

/// The state as the life keeps it, shared with the actor on the same thread.
pub(super) type Shared = Rc<RefCell<Status>>;

pub(super) struct Status {
    pub(super) view: ConnectionView,
    next_try: Option<Instant>,
    offset: ClockOffset,
}

impl Status {
    pub(super) fn shared(node: &NodeId, url: &str) -> Shared {
        let view = ConnectionView {
            node: node.to_string(),
            url: url.to_owned(),
            state: State::Connecting,
            since: Timestamp::from_secs_f64(wall_clock()),
            prepared: false,
            last_error: None,
            sessions: 0,
            frames: 0,
            bytes: 0,
            shed_frames: 0,
            dead_links: 0,
            subscribe_all: SubscribeAll::Unknown,
            next_try_in_ms: None,
            asterisk_version: None,
            clock_offset_ms: None,
            waiting_bytes: 0,
        };
        Rc::new(RefCell::new(Self { view, next_try: None, offset: ClockOffset::default() }))
    }

    /// Enters a state; `since` stays if it is the same one.
    pub(super) fn enter(&mut self, state: State) {
        if self.view.state != state {
            self.view.state = state;
            self.view.since = Timestamp::from_secs_f64(wall_clock());
        }
        self.next_try = None;
        self.view.prepared = false;
        // A failure stays to be seen until the next look.
        if state != State::Connected && self.view.subscribe_all != SubscribeAll::Failed {
            self.view.subscribe_all = SubscribeAll::Unknown;
        }
    }

    /// Asterisk is to connect to `address`.
    pub(super) fn awaits(&mut self, address: &str) {
        let hint = "see `callcenter asterisk-config` for its websocket_client.conf and ari.conf";
        self.view.last_error.get_or_insert_with(|| format!("waits for Asterisk to connect to {address}: {hint}"));
    }

    pub(super) fn back_off(&mut self, until: Instant) {
        self.enter(State::BackingOff);
        self.next_try = Some(until);
    }

    /// Asterisk's clock stood at `theirs` when ours stood at `ours`; `exact` when from an event.
    pub(super) fn saw_clock(&mut self, theirs: f64, ours: f64, exact: bool) {
        self.offset.saw(theirs, ours, exact);
        self.view.clock_offset_ms = self.offset.millis();
    }

    pub(super) fn view(&self) -> ConnectionView {
        let left = self.next_try.map(|t| t.saturating_duration_since(Instant::now()).as_millis());
        ConnectionView { next_try_in_ms: left.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)), ..self.view.clone() }
    }
}

/// Asterisk's clock minus ours. Events come late, never early, so the greatest difference is nearest the truth.
#[derive(Debug, Default)]
struct ClockOffset {
    best: Option<f64>,
    exact: bool,
    since: f64,
}

impl ClockOffset {
    fn saw(&mut self, theirs: f64, ours: f64, exact: bool) {
        let old = (ours - self.since).abs() > OFFSET_KEPT_S;
        let better = self.best.is_none_or(|best| theirs - ours > best);
        if old || (exact && !self.exact) || (exact == self.exact && better) {
            *self = Self { best: Some(theirs - ours), exact, since: ours };
        }
    }

    fn millis(&self) -> Option<i64> {
        self.best.map(|seconds| (seconds * 1e3).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_events_do_not_spoil_the_clock_offset() {
        let mut offset = ClockOffset::default();
        offset.saw(1_000.5, 1_001.0, false);
        assert_eq!(offset.millis(), Some(-500));
        offset.saw(1_299.998, 1_001.0, true);
        offset.saw(1_295.0, 1_002.0, true);
        assert_eq!(
            offset.millis(),
            Some(298_998),
            "an event is better than a Date header, a quick one than a late one"
        );
        offset.saw(2_000.0, 1_003.0, false);
        assert_eq!(offset.millis(), Some(298_998));
        offset.saw(1_604.0, 1_604.0, true);
        assert_eq!(offset.millis(), Some(0), "an old estimate makes room");
    }
}
