//! What the journal is kept for, and calls that it can't give back.
//!
//! After a start what is open is rebuilt from the journal, from the first entry of the oldest channel that still
//! counts. Two kinds of channel are missing after that. Those whose first entry the journal no longer has (it was let
//! go because the journal was filling up, or a power failure took it): their calls come from the database, the rows of
//! their legs and what the raw log holds of them ([`Graph::restore`]). And the opposite: a channel that had ended before
//! the first entry that is read, and of which a late event stands behind it, looks like a living one
//! ([`Graph::bury`]).
//!
//! Facts are sets, so it does not matter that those of a restored call come after those that the journal gave.
//! A restored call is as alive as any other: the next snapshot says whether it goes on, in the same row, or is over.

use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::facts::Fact;
use super::fold::LegRow;
use super::graph::{Graph, Node};
use super::input::{ChannelState, Input};
use super::key::{ChanKey, ChanKind};
use crate::ari::event::decode;
use crate::model::Timestamp;

/// A call as the database has it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCall {
    /// Id and creation time of its origin's channel.
    pub origin: (String, Timestamp),
    /// Whether it is open; one that is over is given along when an open one has a channel that was in it before.
    pub open: bool,
    /// What the caller dialled.
    pub dialed: Option<String>,
    /// All its legs.
    pub legs: Vec<LegRow>,
    /// The events of its channels as Asterisk sent them, in their order, as far as the raw log has them.
    pub events: Vec<String>,
}

/// A channel that ended, as the database has it.
#[derive(Clone, Debug, PartialEq)]
pub struct EndedChannel {
    /// Its id.
    pub id: String,
    /// When Asterisk made it.
    pub created: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// Q.850 cause.
    pub cause: Option<i32>,
    /// SIP status.
    pub sip: Option<i32>,
}

/// Whether a channel made at `created`, that ended at `ended`, can show the creation time `shown`: its own or, since a
/// masquerade, that of another that was there when it was. Of two channels with one id the later was made when the
/// earlier was over.
pub fn may_show(created: Timestamp, ended: Option<Timestamp>, shown: Timestamp) -> bool {
    created == shown || ended.is_none_or(|end| end >= shown)
}

/// A channel as the graph knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownChannel {
    /// Its id.
    pub id: Arc<str>,
    /// When Asterisk made it.
    pub created: Timestamp,
    /// Whether its creation was seen.
    pub whole: bool,
    /// Whether all that was heard of it is of its first moments: where nothing of the journal is lost, its creation is
    /// on its way. What is sent to an application comes by another socket than all else where a feed process listens,
    /// and can overtake it.
    pub young: bool,
    /// Whether its end was not.
    pub lives: bool,
}

/// So long a channel is young.
const YOUNG_MS: i64 = 1_000;

/// The rank of what a row tells of a channel's party and extension: anything that an event tells counts before it.
const ROW_RANK: u8 = 9;

/// Births that are dead weight are cleared away when there are so many more of them than channels.
const BIRTHS_SLACK: usize = 64;

impl Graph {
    /// The journal position from which all that is open, or ended so lately that its late events must open nothing,
    /// can be rebuilt; `None` when there is nothing.
    pub fn oldest_open(&mut self) -> Option<u64> {
        while let Some((_, key)) = self.births.front().copied() {
            if self.counts(key) {
                break;
            }
            self.births.pop_front();
        }
        let met = self.needs.values().copied().min();
        self.births.front().map(|(position, _)| met.map_or(*position, |met| met.min(*position)))
    }

    /// Holds the journal no longer for channels first seen before this position. Returns the ids of those that live.
    pub fn let_go(&mut self, before: u64) -> Vec<Arc<str>> {
        let mut gone = Vec::new();
        // Who needs somebody of that time to be rebuilt is not rebuilt whole either.
        let needy: FxHashSet<ChanKey> = self.needs.extract_if(|_, need| *need < before).map(|(key, _)| key).collect();
        if !needy.is_empty() {
            self.births.retain(|(_, key)| !needy.contains(key));
            gone.extend(needy.iter().filter_map(|key| self.nodes.get(key)).map(|node| node.id.clone()));
        }
        while let Some((_, key)) = self.births.front().copied().filter(|(position, _)| *position < before) {
            self.births.pop_front();
            gone.extend(self.nodes.get(&key).map(|node| node.id.clone()));
        }
        gone
    }

    /// A new channel holds the journal from here. A helper of Asterisk doesn't: it has no row, and one that is seen
    /// without its beginning does no harm.
    pub(super) fn born(&mut self, key: ChanKey, kind: ChanKind, position: u64) {
        if kind == ChanKind::Hidden {
            return;
        }
        self.births.push_back((position, key));
        if self.births.len() > 2 * (self.nodes.len() + self.entombed.len()) + BIRTHS_SLACK {
            let (nodes, entombed) = (&self.nodes, &self.entombed);
            // The one just born is no node yet.
            self.births.retain(|(_, k)| *k == key || nodes.contains_key(k) || entombed.contains(k));
        }
    }

    fn counts(&self, key: ChanKey) -> bool {
        self.nodes.contains_key(&key) || self.entombed.contains(&key)
    }

    /// Every channel that is known but helpers of Asterisk.
    pub fn channels(&self) -> impl Iterator<Item = KnownChannel> + use<'_> {
        self.nodes.values().filter(|n| n.kind != ChanKind::Hidden).map(|n| KnownChannel {
            id: n.id.clone(),
            created: n.created,
            whole: n.creation_seen,
            young: !n.ended && n.last.since(n.created) < YOUNG_MS,
            lives: !n.ended,
        })
    }

    /// Ends a channel that only seems to live: what was seen of it came after its end.
    pub fn bury(&mut self, ended: &EndedChannel) {
        let Some(key) = self.find(&ended.id) else { return };
        let Some(node) = self.nodes.get_mut(&key).filter(|n| n.created == ended.created) else { return };
        node.ended = true;
        let end = ended.cause.map_or(Fact::Vanished, |cause| Fact::Destroyed(cause, ended.sip));
        self.out.facts.push((key, ended.at, end));
        self.retire(key);
    }

    /// Takes calls from the database; `position` is where the journal goes on. Returns the channels of those that are
    /// open.
    pub fn restore(&mut self, calls: &[StoredCall], position: u64) -> Vec<ChanKey> {
        let first_new = self.next;
        let mut restored = Restored::default();
        for leg in calls.iter().flat_map(|c| &c.legs) {
            let channel = (leg.channel_id.clone(), leg.channel_created_at);
            let (_, stay) = restored.0.entry(channel).or_insert_with(|| (self.revive(leg, calls, position), leg.stay));
            *stay = leg.stay.max(*stay);
        }
        // Who moved where was worked out from what was seen of them; the raw log tells it again, to those tied rightly.
        for (key, _) in restored.0.values() {
            self.moved.retain(|moved| moved != key);
            if let Some(node) = self.nodes.get_mut(key) {
                node.links.moves.clear();
            }
        }
        for call in calls {
            self.tie_stored(call, &restored);
        }
        for event in calls.iter().flat_map(|c| &c.events) {
            // A body that can't be read was never an event of a channel.
            if let Ok(frame) = decode(event)
                && let Some(ts) = frame.timestamp
            {
                self.apply(&frame, ts, position);
            }
        }
        let ours: FxHashSet<ChanKey> = restored.0.values().map(|(key, _)| *key).collect();
        // Who else is named in those events belongs to calls that are over.
        for other in (first_new..self.next).map(ChanKey).filter(|key| !ours.contains(key)) {
            self.out.retired.push(other);
            self.forget(other);
        }
        for call in calls {
            self.end_stored(call, &restored);
        }
        let open = calls.iter().filter(|c| c.open).flat_map(|c| &c.legs);
        open.filter_map(|leg| restored.of(leg)).map(|(key, _)| key).collect()
    }

    /// Marks channels as touched by a gap.
    pub fn touch(&mut self, keys: &[ChanKey]) {
        for key in keys {
            if let Some(last) = self.last_of(*key) {
                self.input(*key, last, Input::Touched);
            }
        }
    }

    /// The channel of a stored leg, opened unless the journal has shown it already.
    fn revive(&mut self, leg: &LegRow, calls: &[StoredCall], position: u64) -> ChanKey {
        let (id, created) = (&leg.channel_id, leg.channel_created_at);
        let known = self.find(id).and_then(|key| self.nodes.get(&key).map(|n| (key, n)));
        let mut borrowed = Vec::new();
        let mut newer = None;
        match known {
            Some((key, node)) if node.created == created && !node.retired => return key,
            Some((key, node)) if node.created == created || is_shown_by(node, created, calls) => {
                // Half of it was seen and its leg has gone already, or it shows the creation time of another since a
                // masquerade that was not seen: it begins again.
                borrowed = std::iter::once(node.created).chain(node.borrowed.iter().copied()).collect();
                self.out.retired.push(key);
                self.forget(key);
            }
            Some((key, node)) => newer = Some(key).filter(|_| node.created > created),
            None => {}
        }
        let key = self.open_as(id, &leg.channel_name, created, leg.role != "origin", position);
        if let Some(node) = self.nodes.get_mut(&key) {
            borrowed.retain(|shown| *shown != created);
            node.borrowed = borrowed.into();
            node.last = node.last.max(leg.updated_at);
        }
        if let Some(newer) = newer {
            // The id was used again: events are about the newer one.
            self.ids.insert(Arc::from(id.as_str()), newer);
            self.input(key, leg.updated_at, Input::Vanished);
            self.ended(key);
        }
        key
    }

    /// What the rows of a call tell: that its channels belong together, and of each what a row holds.
    fn tie_stored(&mut self, call: &StoredCall, restored: &Restored) {
        let Some((origin, _)) = restored.0.get(&call.origin).copied() else { return };
        for leg in call.legs.iter().filter(|leg| leg.stay == 0) {
            let Some((key, _)) = restored.of(leg) else { continue };
            if let Some(node) = self.nodes.get_mut(&key) {
                node.links.real = true;
            }
            let by = leg.dialed_by.as_ref().and_then(|by| call.legs.iter().find(|l| l.channel_id == *by));
            if let Some((by, _)) = by.and_then(|by| restored.of(by)) {
                // Who dialled first: what was read may begin behind that.
                self.dialed(key, Some(by), "", leg.started_at, false);
            } else if leg.role == "ari" {
                self.dialed(key, None, "", leg.started_at, false);
            }
            if !self.group(origin).contains(&key) {
                self.tie(origin, key);
            }
            self.relabel(key);
            self.tell_stored(key, leg);
        }
    }

    fn tell_stored(&mut self, key: ChanKey, leg: &LegRow) {
        let text = |text: &Option<String>| text.as_deref().unwrap_or_default().into();
        let party = Input::Party { rank: ROW_RANK, number: text(&leg.number), name: text(&leg.name) };
        self.input(key, leg.started_at, party);
        if let Some(id) = leg.protocol_id.as_deref() {
            self.input(key, leg.started_at, Input::Protocol(id.into()));
        }
        for (at, state) in [(leg.ringing_at, ChannelState::Ringing), (leg.answered_at, ChannelState::Up)] {
            if let Some(at) = at {
                self.input(key, at, Input::State(state));
            }
        }
    }

    /// What was dialled, moves to other calls and ends, where the raw log does not tell them (any more).
    fn end_stored(&mut self, call: &StoredCall, restored: &Restored) {
        let origin = restored.0.get(&call.origin).map(|(key, _)| *key);
        let unseen = origin.filter(|key| self.nodes.get(key).is_some_and(|n| !n.creation_seen));
        if let (Some(key), Some(exten)) = (unseen, call.dialed.as_deref()) {
            let at = call.origin.1;
            self.input(key, at, Input::Exten { rank: ROW_RANK, exten: exten.into(), context: "".into() });
        }
        for leg in &call.legs {
            let Some((key, last_stay)) = restored.of(leg) else { continue };
            let Some(node) = self.nodes.get_mut(&key) else { continue };
            let ended = node.ended;
            if let Some(origin) = origin.filter(|_| node.links.moves.len() < leg.stay) {
                node.links.moves.push((leg.started_at, origin, false));
                if !self.moved.contains(&key) {
                    self.moved.push(key);
                }
                self.relabel(key);
            }
            if let (false, Some(at)) = (ended || leg.stay < last_stay, leg.ended_at) {
                let end = leg.cause.map_or(Input::Vanished, |cause| Input::Destroyed { cause, sip: leg.sip_status });
                self.input(key, at, end);
                self.ended(key);
            }
        }
    }
}

/// Whether this channel, of which only later events were read, is the one with a stored leg of the same id, though its
/// events show another creation time. The database saw all events: it would know a channel born at that time.
fn is_shown_by(node: &Node, created: Timestamp, calls: &[StoredCall]) -> bool {
    let legs = || calls.iter().flat_map(|c| &c.legs).filter(|leg| *leg.channel_id == *node.id);
    !node.creation_seen
        && legs().all(|leg| leg.channel_created_at != node.created)
        && legs().any(|leg| leg.channel_created_at == created && may_show(created, leg.ended_at, node.created))
}

/// The channels of stored legs by id and creation time, each with the number of its last stay.
#[derive(Default)]
struct Restored(FxHashMap<(String, Timestamp), (ChanKey, usize)>);

impl Restored {
    fn of(&self, leg: &LegRow) -> Option<(ChanKey, usize)> {
        self.0.get(&(leg.channel_id.clone(), leg.channel_created_at)).copied()
    }
}
