//! Channels as events show them: opened when they are first seen, observed in every event.

use std::sync::Arc;

use super::facts::AppKind;
use super::graph::{Graph, Node, tomb};
use super::input::{ChannelState, Input, Opening};
use super::key::{ChanKey, ChanKind, local_base, second_of};
use super::links::Links;
use crate::ari::objects::{Channel, ChannelIdentity};
use crate::model::Timestamp;

/// Masquerades that one channel is followed through: a bound, far above what a dialplan makes.
const MAX_MASQUERADES: usize = 64;

/// Seconds between the moment in a channel's id and its creation time, at most.
const MAX_ID_LAG_S: i64 = 2;

impl Graph {
    pub(super) fn created(&mut self, channel: &Channel<'_>, ts: Timestamp, position: u64) -> Option<ChanKey> {
        let (key, _) = self.find_or_open(channel, ts, position)?;
        let node = self.nodes.get_mut(&key)?;
        if node.creation_seen {
            return Some(key);
        }
        node.creation_seen = true;
        node.born_down = &*channel.state == "Down";
        let kind = node.kind;
        self.input(key, ts, Input::Created);
        self.party(key, channel, ts, 0);
        // A channel that was dialled or made stands at `s`; what it shall do is known later.
        if kind == ChanKind::LocalTwo || &*channel.state != "Down" {
            self.exten(key, channel, ts, 0);
        }
        self.observe(key, channel, ts);
        self.relabel(key);
        Some(key)
    }

    /// The channel of an event, opened if it is new, with what its object tells.
    pub(super) fn see(&mut self, channel: &Channel<'_>, ts: Timestamp, position: u64) -> Option<ChanKey> {
        let (key, opened) = self.find_or_open(channel, ts, position)?;
        if opened {
            self.relabel(key);
        }
        let node = self.nodes.get(&key)?;
        if !node.creation_seen {
            let came_in = !node.born_down;
            self.party(key, channel, ts, 1);
            if came_in {
                self.exten(key, channel, ts, 1);
            }
        }
        self.observe(key, channel, ts);
        Some(key)
    }

    fn party(&mut self, key: ChanKey, channel: &Channel<'_>, ts: Timestamp, rank: u8) {
        let (number, name) = (channel.caller.number.as_ref().into(), channel.caller.name.as_ref().into());
        self.input(key, ts, Input::Party { rank, number, name });
    }

    fn exten(&mut self, key: ChanKey, channel: &Channel<'_>, ts: Timestamp, rank: u8) {
        let exten = channel.dialplan.exten.as_ref().into();
        let context = channel.dialplan.context.as_ref().into();
        self.input(key, ts, Input::Exten { rank, exten, context });
    }

    /// A sign of life of a channel that is known. One that isn't is opened by the next event that tells more of it.
    pub(super) fn hear_of(&mut self, channel: &ChannelIdentity<'_>, ts: Timestamp) -> Option<ChanKey> {
        let created: Timestamp = channel.creationtime.parse().ok()?;
        let key = self.ids.get(&*channel.id).copied().filter(|key| self.is_same(*key, created, ts))?;
        self.lives(key, ts)?;
        Some(key)
    }

    fn lives(&mut self, key: ChanKey, ts: Timestamp) -> Option<&mut Node> {
        let epoch = self.epoch;
        let node = self.nodes.get_mut(&key)?;
        node.epoch = epoch;
        node.unsure = None;
        node.last = node.last.max(ts);
        Some(node)
    }

    /// What every event's channel object tells: the earliest moment counts.
    fn observe(&mut self, key: ChanKey, channel: &Channel<'_>, ts: Timestamp) {
        let Some(node) = self.lives(key, ts) else { return };
        let earlier = |slot: &mut Option<Timestamp>| {
            let news = slot.is_none_or(|was| ts < was);
            if news {
                *slot = Some(ts);
            }
            news
        };
        let state = ChannelState::of(&channel.state);
        let news = match state {
            ChannelState::Up => earlier(&mut node.up),
            ChannelState::Ringing => earlier(&mut node.ringing),
            ChannelState::Ring | ChannelState::Down | ChannelState::Other => false,
        };
        let app = match AppKind::of(&channel.dialplan.app_name) {
            Some(AppKind::Queue) => earlier(&mut node.queue).then_some(AppKind::Queue),
            Some(AppKind::Voicemail) => earlier(&mut node.voicemail).then_some(AppKind::Voicemail),
            Some(AppKind::Fetch) => earlier(&mut node.fetches).then_some(AppKind::Fetch),
            None => None,
        };
        let protocol = !node.protocol_seen && !channel.protocol_id.is_empty();
        node.protocol_seen |= protocol;
        let runs = !matches!(&*channel.dialplan.exten, "" | "s") && !channel.dialplan.app_name.starts_with("AppDial");
        let exten = node.born_down && runs && &*channel.dialplan.app_name != "AppQueue" && earlier(&mut node.exten);
        if news {
            self.input(key, ts, Input::State(state));
        }
        if let Some(app) = app {
            self.input(key, ts, Input::App(app));
        }
        if protocol {
            self.input(key, ts, Input::Protocol(channel.protocol_id.as_ref().into()));
        }
        if exten {
            self.exten(key, channel, ts, 1);
        }
    }

    /// The channel of an object that was true at `ts`, opened if it is new.
    pub(super) fn find_or_open(
        &mut self,
        channel: &Channel<'_>,
        ts: Timestamp,
        position: u64,
    ) -> Option<(ChanKey, bool)> {
        #[cfg(any(test, feature = "test-hooks"))]
        super::graph::hook(&channel.id);
        let created: Timestamp = channel.creationtime.parse().ok()?;
        if let Some(key) = self.ids.get(&*channel.id).copied() {
            if self.is_same(key, created, ts) {
                return Some((key, false));
            }
            let node = self.nodes.get(&key)?;
            // A late event of an earlier channel of the same id.
            if created < node.created {
                return None;
            }
            // The id is used again: what was there is over, whatever we saw of it.
            if !node.ended {
                let last = node.last;
                self.input(key, last, Input::Vanished);
                self.ended(key);
            }
        }
        if self.tombs.contains(&tomb(&channel.id, created)) {
            return None;
        }
        Some((self.open(channel, created, position), true))
    }

    /// Whether an object with this channel's id and that creation time, true at `ts`, shows this channel. When a channel
    /// puts itself into another's place (pickup, an attended transfer to an application), Asterisk's masquerade
    /// leaves the ids and names of both, but swaps their creation times. So another creation time is the sign of
    /// a masquerade, unless the id may be in use again.
    fn is_same(&mut self, key: ChanKey, created: Timestamp, ts: Timestamp) -> bool {
        let Some(node) = self.nodes.get(&key) else { return false };
        if node.created == created || node.borrowed.contains(&created) {
            return true;
        }
        if node.ended || node.borrowed.len() >= MAX_MASQUERADES {
            return false;
        }
        // While it lived nobody else had its id.
        let before_its_last = created <= node.last && ts >= node.created;
        let same = before_its_last
            || is_older(&node.id, node.created, created)
            // The other may be known only since this one was last heard of. (Two halves of a Local channel are born in
            // one millisecond, but the id of one that lives is not used again.)
            || self.nodes.values().any(|n| n.created == created);
        if same && let Some(node) = self.nodes.get_mut(&key) {
            node.borrowed = node.borrowed.iter().copied().chain([created]).collect();
        }
        same
    }

    fn open(&mut self, channel: &Channel<'_>, created: Timestamp, position: u64) -> ChanKey {
        // Which it was is read off the first object that shows it; a dialled channel never shows `Ring`.
        let born_down = &*channel.state != "Ring" && channel.dialplan.app_name.is_empty() | made_by_asterisk(channel);
        self.open_as(&channel.id, &channel.name, created, born_down, position)
    }

    pub(super) fn open_as(
        &mut self,
        id: &str,
        name: &str,
        created: Timestamp,
        born_down: bool,
        position: u64,
    ) -> ChanKey {
        let key = ChanKey(self.next);
        self.next += 1;
        let id: Arc<str> = Arc::from(id);
        let kind = ChanKind::of(name);
        self.out.opened.push(Opening { key, id: id.clone(), name: name.into(), kind, created });
        self.ids.insert(id.clone(), key);
        self.born(key, kind, position);
        let node = Node {
            id,
            created,
            birth: position,
            borrowed: Box::default(),
            kind,
            links: Links::default(),
            born_down,
            creation_seen: false,
            protocol_seen: false,
            retired: false,
            exten: None,
            queue: None,
            voicemail: None,
            fetches: None,
            up: None,
            ringing: None,
            last: created,
            ended: false,
            epoch: self.epoch,
            unsure: None,
            stays: Box::default(),
        };
        self.nodes.insert(key, Box::new(node));
        if kind.is_local() {
            self.pair(key, kind, local_base(name), created);
        }
        key
    }
}

/// Whether the channel object shows one that Asterisk made, rather than one that came in.
fn made_by_asterisk(channel: &Channel<'_>) -> bool {
    channel.dialplan.app_name.starts_with("AppDial")
        || &*channel.dialplan.app_name == "AppQueue"
        || &*channel.state == "Down"
}

/// Whether the id itself says that no channel made at `shown` has it: ids that Asterisk gives hold the second of the
/// channel's birth.
fn is_older(id: &str, created: Timestamp, shown: Timestamp) -> bool {
    let near = |at: Timestamp, second: i64| (at.millis() / 1_000 - second).abs() <= MAX_ID_LAG_S;
    second_of(id).is_some_and(|second| near(created, second) && !near(shown, second))
}
