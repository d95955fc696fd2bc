//! Which channels there are, and what reaches the leg of each.
//!
//! The graph turns each event into inputs for the legs of the channels that it names, and keeps what ties
//! channels together (`links.rs`) and what a gap left open (`snapshot.rs`). What can be read off any event's
//! channel object (state, running application, SIP Call-ID) is taken from every event, as the earliest moment
//! at which it was so: that is the same whatever the order of the events.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::facts::Fact;
use super::input::{Input, Opening};
use super::key::{ChanKey, ChanKind, Stay};
use super::links::Links;
use super::visits::Bridges;
use crate::ari::event::{Event, Frame};
use crate::ari::objects::Channel;
use crate::model::Timestamp;

/// How long the graph remembers.
#[derive(Clone, Copy, Debug)]
pub struct GraphLimits {
    /// Milliseconds of journal time after its end in which a channel's late events still count.
    pub linger_ms: i64,
    /// Milliseconds of journal time that an ended channel's id is remembered, so that later events of it open
    /// nothing.
    pub tombstone_ms: i64,
}

impl Default for GraphLimits {
    fn default() -> Self {
        Self { linger_ms: 5_000, tombstone_ms: 60_000 }
    }
}

/// What one journal entry led to.
#[derive(Debug, Default)]
pub struct Out {
    /// New channels: a leg each is wanted.
    pub opened: Vec<Opening>,
    /// What reaches the legs, in order.
    pub inputs: Vec<(ChanKey, Timestamp, Input)>,
    /// Facts of the graph itself, for the record.
    pub facts: Vec<(ChanKey, Timestamp, Fact)>,
    /// Channels whose leg has nothing more to do.
    pub retired: Vec<ChanKey>,
}

impl Out {
    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.opened.clear();
        self.inputs.clear();
        self.facts.clear();
        self.retired.clear();
    }
}

/// One channel, as the graph needs it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: Arc<str>,
    pub(super) created: Timestamp,
    /// Position of the entry by which it became known.
    pub(super) birth: u64,
    /// Creation times of other channels that it shows since a masquerade; see [`Graph::is_same`].
    pub(super) borrowed: Box<[Timestamp]>,
    pub(super) kind: ChanKind,
    pub(super) links: Links,
    pub(super) born_down: bool,
    pub(super) creation_seen: bool,
    pub(super) protocol_seen: bool,
    pub(super) retired: bool,
    pub(super) exten: Option<Timestamp>,
    pub(super) queue: Option<Timestamp>,
    pub(super) voicemail: Option<Timestamp>,
    /// Since when it fetches parked calls.
    pub(super) fetches: Option<Timestamp>,
    pub(super) up: Option<Timestamp>,
    pub(super) ringing: Option<Timestamp>,
    pub(super) last: Timestamp,
    pub(super) ended: bool,
    pub(super) epoch: u32,
    /// The beginning of the first gap since it was last heard of: from there on it is not known whether it lives.
    pub(super) unsure: Option<Timestamp>,
    pub(super) stays: Box<[Stay]>,
}

/// All channels of one node.
#[derive(Debug)]
pub struct Graph {
    pub(super) app: Box<str>,
    pub(super) limits: GraphLimits,
    pub(super) next: u64,
    // Boxed: a table has room for up to twice its entries, and these are large.
    pub(super) nodes: FxHashMap<ChanKey, Box<Node>>,
    pub(super) ids: FxHashMap<Arc<str>, ChanKey>,
    pub(super) locals: FxHashMap<Box<str>, ChanKey>,
    pub(super) bridges: Bridges,
    pub(super) moved: Vec<ChanKey>,
    ending: VecDeque<(Timestamp, ChanKey)>,
    pub(super) tombs: FxHashSet<u64>,
    tomb_queue: VecDeque<(Timestamp, u64, ChanKey)>,
    /// Channels that have a tombstone: they are rebuilt too, so that a late event opens none of them anew.
    pub(super) entombed: FxHashSet<ChanKey>,
    /// Where in the journal each channel was first seen; by position.
    pub(super) births: VecDeque<(u64, ChanKey)>,
    /// Of channels that met older ones in a bridge: the birth of the oldest. To rebuild their talk that one is needed.
    pub(super) needs: FxHashMap<ChanKey, u64>,
    /// Journal time: the latest receipt time seen.
    pub(super) now: Timestamp,
    pub(super) epoch: u32,
    /// Asterisk's clock minus ours, milliseconds: the largest seen since the last gap (the least delayed).
    pub(super) offset: Option<i64>,
    pub(super) offset_fresh: bool,
    pub(super) gap_since: Option<Timestamp>,
    pub(super) out: Out,
}

impl Graph {
    /// An empty graph for the application `app`.
    pub fn new(app: &str, limits: GraphLimits) -> Self {
        Self {
            app: app.into(),
            limits,
            next: 0,
            nodes: FxHashMap::default(),
            ids: FxHashMap::default(),
            locals: FxHashMap::default(),
            bridges: Bridges::default(),
            moved: Vec::new(),
            ending: VecDeque::new(),
            tombs: FxHashSet::default(),
            tomb_queue: VecDeque::new(),
            entombed: FxHashSet::default(),
            births: VecDeque::new(),
            needs: FxHashMap::default(),
            now: Timestamp::from_millis(0),
            epoch: 0,
            offset: None,
            offset_fresh: false,
            gap_since: None,
            out: Out::default(),
        }
    }

    /// What the entries since the last `clear` of it led to.
    pub fn out(&mut self) -> &mut Out {
        &mut self.out
    }

    /// Channels alive.
    pub fn live(&self) -> usize {
        self.nodes.values().filter(|n| !n.ended && n.kind != ChanKind::Hidden).count()
    }

    /// Asterisk's clock minus this machine's in milliseconds, as far as events told.
    pub fn clock_offset_ms(&self) -> Option<i64> {
        self.offset
    }

    /// The handle of the channel with this id, if it is known.
    pub fn find(&self, id: &str) -> Option<ChanKey> {
        self.ids.get(id).copied()
    }

    /// Takes one event that was received at `at` and stands at `position` in the journal. Returns the channel
    /// that the event is mainly about.
    pub fn event(&mut self, frame: &Frame<'_>, at: Timestamp, position: u64) -> Option<ChanKey> {
        self.advance(at);
        let ts = frame.timestamp.unwrap_or(at);
        if frame.timestamp.is_some() {
            self.clock(ts.since(at));
        }
        self.apply(frame, ts, position)
    }

    /// Takes an event as of the moment `ts` of Asterisk's clock; journal time stays.
    pub(super) fn apply(&mut self, frame: &Frame<'_>, ts: Timestamp, position: u64) -> Option<ChanKey> {
        match &frame.event {
            Event::ChannelCreated(e) => self.created(&e.channel, ts, position),
            Event::ChannelDestroyed(e) => {
                let key = self.see(&e.channel, ts, position)?;
                let sip = e.tech_cause.and_then(|c| i32::try_from(c).ok());
                self.input(key, ts, Input::Destroyed { cause: i32::try_from(e.cause).unwrap_or(0), sip });
                self.ended(key);
                Some(key)
            }
            Event::ChannelStateChange(e) => self.see(&e.channel, ts, position),
            Event::Dial(e) => self.dial(e, ts, position),
            Event::ChannelEnteredBridge(e) => {
                let key = self.see(e.channel.as_ref()?, ts, position)?;
                self.enters(key, &e.bridge, ts);
                Some(key)
            }
            Event::ChannelLeftBridge(e) => {
                let key = self.see(&e.channel, ts, position)?;
                self.leaves(key, &e.bridge, ts);
                Some(key)
            }
            Event::ChannelHangupRequest(e) => {
                self.see_with(&e.channel, ts, position, Input::HangupRequest { hard: !e.soft })
            }
            Event::ChannelHold(e) => self.see_with(&e.channel, ts, position, Input::Hold),
            Event::ChannelUnhold(e) => self.see_with(&e.channel, ts, position, Input::Unhold),
            Event::StasisStart(e) => {
                let key = self.see(&e.channel, ts, position)?;
                if *frame.application == *self.app {
                    self.input(key, ts, Input::EnteredApp);
                }
                Some(key)
            }
            Event::StasisEnd(e) => self.see_with(&e.channel, ts, position, Input::LeftApp),
            Event::BridgeAttendedTransfer(e) => self.attended(e, ts, position),
            Event::BridgeBlindTransfer(e) => {
                if let Some(transferee) = &e.transferee {
                    self.see(transferee, ts, position);
                }
                self.see(&e.channel, ts, position)
            }
            Event::ChannelUserevent(e) => {
                let key = self.see(e.channel.as_ref()?, ts, position)?;
                #[cfg(any(test, feature = "test-hooks"))]
                match &*e.eventname {
                    "callcenter-test-panic" => self.input(key, ts, Input::Panic),
                    "callcenter-test-panic-fold" => self.input(key, ts, Input::FoldFails),
                    _ => {}
                }
                Some(key)
            }
            Event::ChannelDialplan(e) => self.see(&e.channel, ts, position),
            Event::ChannelDtmfReceived(e) => self.see(&e.channel, ts, position),
            Event::ChannelCallerId(e) => self.see(&e.channel, ts, position),
            Event::ChannelConnectedLine(e) => self.see(&e.channel, ts, position),
            Event::ChannelTalkingStarted(e) => self.see(&e.channel, ts, position),
            Event::ChannelTalkingFinished(e) => self.see(&e.channel, ts, position),
            Event::ChannelToneDetected(e) => self.see(&e.channel, ts, position),
            Event::ChannelVarset(e) => self.hear_of(e.channel.as_ref()?, ts),
            Event::CallBroadcast(e) => self.see(&e.channel, ts, position),
            Event::CallClaimed(e) => self.see(&e.channel, ts, position),
            Event::ApplicationMoveFailed(e) => self.see(&e.channel, ts, position),
            Event::ChannelTransfer(_)
            | Event::DeviceStateChanged(_)
            | Event::PlaybackStarted(_)
            | Event::PlaybackContinuing(_)
            | Event::PlaybackFinished(_)
            | Event::RecordingStarted(_)
            | Event::RecordingFinished(_)
            | Event::RecordingFailed(_)
            | Event::ApplicationRegistered
            | Event::ApplicationUnregistered
            | Event::ApplicationReplaced
            | Event::BridgeCreated(_)
            | Event::BridgeDestroyed(_)
            | Event::BridgeMerged(_)
            | Event::BridgeVideoSourceChanged(_)
            | Event::ContactStatusChange(_)
            | Event::PeerStatusChange(_)
            | Event::EndpointStateChange(_)
            | Event::TextMessageReceived(_)
            | Event::RESTResponse(_)
            | Event::Unknown => None,
        }
    }

    /// What the entries since the last call of this led to.
    pub fn take_out(&mut self) -> Out {
        std::mem::take(&mut self.out)
    }

    /// The latest receipt time seen: the journal's time.
    pub fn journal_time(&self) -> Timestamp {
        self.now
    }

    /// The time of a channel's last event.
    pub fn last_of(&self, key: ChanKey) -> Option<Timestamp> {
        self.nodes.get(&key).map(|n| n.last)
    }

    /// A channel that a recording with this target (`channel:ID`, `bridge:ID`) records.
    pub fn recorded(&self, target: &str) -> Option<ChanKey> {
        match target.split_once(':')? {
            ("channel", id) => self.find(id),
            ("bridge", id) => self.bridges.first_in(id),
            _ => None,
        }
    }

    fn clock(&mut self, offset: i64) {
        if !self.offset_fresh || self.offset.is_none_or(|was| offset > was) {
            self.offset = Some(offset);
            self.offset_fresh = true;
        }
    }

    /// This machine's moment in Asterisk's clock.
    pub(super) fn in_asterisk_time(&self, at: Timestamp) -> Timestamp {
        at.plus_millis(self.offset.unwrap_or(0))
    }

    /// Journal time goes on: what ended long enough ago is forgotten.
    pub(super) fn advance(&mut self, at: Timestamp) {
        self.now = self.now.max(at);
        while let Some((when, key)) = self.ending.front().copied() {
            if self.now.since(when) < self.limits.linger_ms {
                break;
            }
            self.ending.pop_front();
            self.retire(key);
        }
        while let Some((when, tomb, key)) = self.tomb_queue.front().copied() {
            if self.now.since(when) < self.limits.tombstone_ms {
                break;
            }
            self.tomb_queue.pop_front();
            self.tombs.remove(&tomb);
            self.entombed.remove(&key);
        }
    }

    pub(super) fn retire(&mut self, key: ChanKey) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        node.retired = true;
        self.out.retired.push(key);
        // A group's rows are folded from each other's channels: they are forgotten together.
        let group = self.kin(key);
        if group.iter().all(|k| self.nodes.get(k).is_none_or(|n| n.retired)) {
            group.into_iter().for_each(|key| self.forget(key));
        }
    }

    pub(super) fn forget(&mut self, key: ChanKey) {
        let Some(node) = self.nodes.remove(&key) else { return };
        if self.ids.get(&node.id) == Some(&key) {
            self.ids.remove(&node.id);
        }
        for created in std::iter::once(node.created).chain(node.borrowed) {
            let tomb = tomb(&node.id, created);
            self.tombs.insert(tomb);
            self.tomb_queue.push_back((self.now, tomb, key));
        }
        self.entombed.insert(key);
        if let Some(base) = &node.links.local
            && self.locals.get(base) == Some(&key)
        {
            self.locals.remove(base);
        }
        self.bridges.forget(key, &node.links);
        self.moved.retain(|k| *k != key);
        self.needs.remove(&key);
        self.out.facts.push((key, node.last, Fact::Forgotten));
    }

    pub(super) fn ended(&mut self, key: ChanKey) {
        if let Some(node) = self.nodes.get_mut(&key)
            && !node.ended
        {
            node.ended = true;
            self.ending.push_back((self.now, key));
        }
    }

    pub(super) fn input(&mut self, key: ChanKey, ts: Timestamp, input: Input) {
        if let Some(node) = self.nodes.get_mut(&key) {
            node.last = node.last.max(ts);
            if !node.retired {
                self.out.inputs.push((key, ts, input));
            }
        }
    }

    fn see_with(&mut self, channel: &Channel<'_>, ts: Timestamp, position: u64, input: Input) -> Option<ChanKey> {
        let key = self.see(channel, ts, position)?;
        self.input(key, ts, input);
        Some(key)
    }
}

/// A test names a channel so to make the graph fail at it.
#[cfg(any(test, feature = "test-hooks"))]
pub(super) fn hook(id: &str) {
    assert!(id != "callcenter-test-panic-graph", "a test wants the graph to fail");
}

pub(super) fn tomb(id: &str, created: Timestamp) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    id.hash(&mut hasher);
    created.hash(&mut hasher);
    hasher.finish()
}
