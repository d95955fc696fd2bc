//! What ties channels together into calls.
//!
//! Three things do: a dial (the dialled channel belongs to the call of the one that dialled it first), the two halves
//! of a Local channel, and, for a channel that ARI made and nobody dialled, the first meeting with another channel
//! in a bridge. A tie is taken back only when an earlier dial or meeting turns out to have been the first. Channels tied together are a *group*; its origin is the
//! earliest channel that nobody dialled. A group whose origin is only a channel that Asterisk has just made,
//! and of which nothing else is known yet, is no call yet.
//!
//! An attended transfer moves one channel from its call to another: that channel has two *stays*. Who moves:
//! the target comes to the transferred party's call when that party is its origin, otherwise the transferred
//! party comes to the call of the consultation; two origins both stay what they are.

use std::sync::Arc;

use super::facts::Fact;
use super::graph::{Graph, Node};
use super::input::{DialStatus, Input};
use super::key::{ChanKey, ChanKind, Stay};
use super::visits::{OLD_MS, Visit};
use crate::ari::bodies::{BridgeAttendedTransfer, Dial};
use crate::ari::objects::Bridge;
use crate::model::Timestamp;

/// What ties one channel to others.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// Who dialled it, and when that was seen first; a guess from a snapshot yields to a Dial event.
    pub(super) dialed: Option<(bool, Timestamp, ChanKey)>,
    /// To whom that tied it: the dialling channel, or the one to which a transfer had moved that.
    tied: Option<ChanKey>,
    /// ARI or an originate dialled it.
    pub(super) made: bool,
    /// Half of this Local channel.
    pub(super) local: Option<Box<str>>,
    /// It was in a bridge, or a snapshot shows it.
    pub(super) real: bool,
    /// The first channel that it met in a bridge, and when; for channels that ARI made.
    met: Option<(Timestamp, ChanKey)>,
    /// Its ties, both ways.
    ties: Vec<ChanKey>,
    /// Its moves to the call of another channel, and whether it takes the caller's part there.
    pub(super) moves: Vec<(Timestamp, ChanKey, bool)>,
    /// Whom it fetched from where they were parked, or who fetched it.
    fetched: Vec<ChanKey>,
    /// Bridges that it was in.
    pub(super) bridges: Vec<Arc<str>>,
}

/// How many channels one group may tie together before new ties are ignored: a bound against runaway dialplans.
const MAX_GROUP: usize = 512;

impl Graph {
    /// Bridges remembered of channels, and visits.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let links = self.nodes.values().map(|n| n.links.bridges.len()).sum();
        (links, self.bridges.0.values().map(Vec::len).sum())
    }

    /// Takes a Dial event. It is mainly about the dialled channel.
    pub(super) fn dial(&mut self, e: &Dial<'_>, ts: Timestamp, position: u64) -> Option<ChanKey> {
        let caller = e.caller.as_ref().and_then(|c| self.see(c, ts, position));
        let peer = self.see(&e.peer, ts, position)?;
        let status = DialStatus::of(&e.dialstatus);
        if e.caller.is_none() || caller.is_some() {
            self.dialed(peer, caller, &e.dialstring, ts, false);
        }
        self.input(peer, ts, Input::DialStatus(status));
        if let (Some(forwarded), Some(caller)) = (&e.forwarded, caller)
            && let Some(key) = self.see(forwarded, ts, position)
        {
            self.dialed(key, Some(caller), "", ts, false);
        }
        Some(peer)
    }

    /// `peer` was dialled by `by`, or by ARI or an originate.
    pub(super) fn dialed(&mut self, peer: ChanKey, by: Option<ChanKey>, string: &str, ts: Timestamp, guess: bool) {
        let Some(node) = self.nodes.get_mut(&peer) else { return };
        let news = match (by, node.links.dialed) {
            (None, Some(_)) => false,
            (None, None) => !std::mem::replace(&mut node.links.made, true),
            (Some(by), was) => {
                let better = was.is_none_or(|was| (guess, ts, by) < was);
                if better {
                    node.links.dialed = Some((guess, ts, by));
                }
                better && was.is_none_or(|(_, _, old)| old != by)
            }
        };
        if !news && string.is_empty() {
            return;
        }
        self.input(peer, ts, Input::Dialed { by: self.dialer(peer), dialstring: string.into() });
        if let (true, Some(by)) = (news, by) {
            // A channel that an attended transfer moved dials for the call that it moved to.
            let anchor = self.nodes.get(&by).and_then(|n| n.links.moves.iter().rev().find(|(at, ..)| *at <= ts));
            let tied = anchor.map_or(by, |(_, anchor, _)| *anchor);
            let was = self.nodes.get_mut(&peer).and_then(|n| n.links.tied.replace(tied));
            if let Some(was) = was.filter(|was| *was != tied) {
                self.untie(peer, was);
            }
            self.tie(peer, tied);
        } else if news {
            self.meet(peer);
            self.relabel(peer);
        }
    }

    fn dialer(&self, key: ChanKey) -> Option<ChanKey> {
        self.nodes.get(&key).and_then(|n| n.links.dialed).map(|(_, _, by)| by)
    }

    /// The two halves of a Local channel find each other by name; the same name comes again after a restart.
    pub(super) fn pair(&mut self, key: ChanKey, kind: ChanKind, base: &str, created: Timestamp) {
        let other = self.locals.insert(base.into(), key);
        if let Some(node) = self.nodes.get_mut(&key) {
            node.links.local = Some(base.into());
        }
        let fits = |n: &Node| n.kind != kind && n.created.since(created).abs() <= 1_000;
        if let Some(other) = other.filter(|o| self.nodes.get(o).is_some_and(|n| fits(n))) {
            let at = created;
            self.out.facts.push((key, at, Fact::Pair(other)));
            self.out.facts.push((other, at, Fact::Pair(key)));
            self.tie(key, other);
        }
    }

    /// Takes ChannelEnteredBridge.
    pub(super) fn enters(&mut self, key: ChanKey, bridge: &Bridge<'_>, ts: Timestamp) {
        if bridge.holds() {
            self.real(key);
        } else {
            self.entered(key, &bridge.id, ts);
        }
    }

    /// Takes ChannelLeftBridge.
    pub(super) fn leaves(&mut self, key: ChanKey, bridge: &Bridge<'_>, ts: Timestamp) {
        if bridge.holds() {
            self.real(key);
        } else {
            self.left(key, &bridge.id, ts);
        }
    }

    /// It is more than a channel that Asterisk has just made.
    fn real(&mut self, key: ChanKey) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if !std::mem::replace(&mut node.links.real, true) {
            self.relabel(key);
        }
    }

    /// Who met an older channel can be rebuilt only from that one's birth on, though it may be forgotten by then.
    fn need(&mut self, key: ChanKey, other: ChanKey) {
        let Some(node) = self.nodes.get(&other) else { return };
        // Behind half of a Local channel stand those of its group.
        let group = if node.kind.is_local() { self.group(other) } else { vec![other] };
        let oldest = group.iter().filter_map(|k| self.nodes.get(k)).map(|n| n.birth).min();
        let birth = self.nodes.get(&key).map_or(0, |n| n.birth);
        if let Some(oldest) = oldest.filter(|oldest| *oldest < birth) {
            let need = self.needs.entry(key).or_insert(oldest);
            *need = oldest.min(*need);
        }
    }

    pub(super) fn entered(&mut self, key: ChanKey, bridge: &str, ts: Timestamp) {
        let name = self.bridges.name(bridge);
        let Some(node) = self.nodes.get_mut(&key) else { return };
        let first = !std::mem::replace(&mut node.links.real, true);
        if !node.links.bridges.contains(&name) {
            node.links.bridges.push(name.clone());
        }
        let visits = self.bridges.0.entry(name.clone()).or_default();
        let known = visits.iter().any(|v| v.key == key && (v.from == ts || (v.from < ts && v.to.is_none())));
        // A leave that overtook its enter has made the visit already.
        let early = visits.iter_mut().find(|v| v.key == key && v.from > ts && v.to.is_some_and(|to| to == v.from));
        match early {
            Some(visit) => visit.from = ts,
            None if !known => visits.push(Visit { key, from: ts, to: None }),
            None => {}
        }
        self.input(key, ts, Input::Entered(name.clone()));
        if first {
            self.relabel(key);
        }
        let others: Vec<ChanKey> =
            self.bridges.0.get(&name).map_or_else(Vec::new, |v| v.iter().map(|v| v.key).collect());
        for other in others {
            self.need(key, other);
            self.need(other, key);
            self.meet(other);
            self.fetched(key, other, &name);
            self.fetched(other, key, &name);
        }
    }

    /// Who fetches a parked call meets it in its first bridge. It takes the call, though it stays one of its own.
    fn fetched(&mut self, by: ChanKey, parked: ChanKey, bridge: &Arc<str>) {
        let Some(node) = self.nodes.get_mut(&by) else { return };
        let first = node.links.bridges.first() == Some(bridge);
        if by == parked || !first || node.fetches.is_none() || node.links.fetched.len() >= MAX_GROUP {
            return;
        }
        let since = |key| self.bridges.0.get(bridge)?.iter().filter(|v| v.key == key).map(|v| v.from).min();
        let Some(at) = since(by).max(since(parked)) else { return };
        self.out.facts.push((parked, at, Fact::Fetched(by)));
        for (one, other) in [(by, parked), (parked, by)] {
            if let Some(node) = self.nodes.get_mut(&one)
                && !node.links.fetched.contains(&other)
            {
                node.links.fetched.push(other);
            }
        }
    }

    pub(super) fn left(&mut self, key: ChanKey, bridge: &str, ts: Timestamp) {
        let name = self.bridges.name(bridge);
        if let Some(node) = self.nodes.get_mut(&key) {
            node.links.real = true;
            if !node.links.bridges.contains(&name) {
                node.links.bridges.push(name.clone());
            }
        }
        let visits = self.bridges.0.entry(name.clone()).or_default();
        let open = visits.iter_mut().filter(|v| v.key == key && v.from <= ts).max_by_key(|v| v.from);
        match open {
            Some(visit) => visit.to = Some(visit.to.map_or(ts, |to| to.min(ts))),
            None => visits.push(Visit { key, from: ts, to: Some(ts) }),
        }
        if let Some(node) = self.nodes.get_mut(&key) {
            self.bridges.let_go(key, &mut node.links, &name, ts.plus_millis(-OLD_MS));
        }
        self.input(key, ts, Input::Left(name));
    }

    /// Ties a channel that ARI made to the first one that it met in a bridge.
    fn meet(&mut self, key: ChanKey) {
        let Some(node) = self.nodes.get(&key) else { return };
        if !node.links.made || node.links.dialed.is_some() || node.kind == ChanKind::Hidden {
            return;
        }
        if node.links.met.is_some_and(|(at, _)| node.last.since(at) > OLD_MS) {
            return;
        }
        let mut first: Option<(Timestamp, Timestamp, &str, ChanKey)> = None;
        for bridge in &node.links.bridges {
            let Some(visits) = self.bridges.0.get(bridge) else { continue };
            for mine in visits.iter().filter(|v| v.key == key) {
                for theirs in visits.iter().filter(|v| v.key != key) {
                    let Some(other) = self.nodes.get(&theirs.key).filter(|n| n.kind != ChanKind::Hidden) else {
                        continue;
                    };
                    let start = mine.from.max(theirs.from);
                    let over = |end: Option<Timestamp>| end.is_some_and(|end| end <= start);
                    if over(mine.to) || over(theirs.to) {
                        continue;
                    }
                    let candidate = (start, other.created, &*other.id, theirs.key);
                    if first.is_none_or(|f| candidate < f) {
                        first = Some(candidate);
                    }
                }
            }
        }
        let Some((at, _, _, other)) = first else { return };
        let was = node.links.met;
        if was == Some((at, other)) {
            return;
        }
        if let Some((_, old)) = was.filter(|(_, old)| *old != other) {
            self.untie(key, old);
        }
        if let Some(node) = self.nodes.get_mut(&key) {
            node.links.met = Some((at, other));
        }
        if was.is_none_or(|(_, old)| old != other) {
            self.tie(key, other);
        }
    }

    pub(super) fn tie(&mut self, a: ChanKey, b: ChanKey) {
        if a == b || self.group(a).len() + self.group(b).len() > MAX_GROUP {
            return;
        }
        for (from, to) in [(a, b), (b, a)] {
            if let Some(node) = self.nodes.get_mut(&from)
                && !node.links.ties.contains(&to)
            {
                node.links.ties.push(to);
            }
        }
        self.relabel(a);
    }

    fn untie(&mut self, a: ChanKey, b: ChanKey) {
        for (from, to) in [(a, b), (b, a)] {
            if let Some(node) = self.nodes.get_mut(&from) {
                node.links.ties.retain(|k| *k != to);
            }
        }
        self.relabel(a);
        self.relabel(b);
    }

    /// All channels tied to this one, itself included.
    pub(super) fn group(&self, key: ChanKey) -> Vec<ChanKey> {
        let mut group = vec![key];
        let mut next = 0;
        while let Some(key) = group.get(next).copied() {
            next += 1;
            let Some(node) = self.nodes.get(&key) else { continue };
            for tie in &node.links.ties {
                if !group.contains(tie) {
                    group.push(*tie);
                }
            }
        }
        group
    }

    /// All channels whose rows need each other: those of a group, those that a transfer moved from or to it, and who fetched
    /// one of them from where it was parked. What a
    /// channel had in common with others in a bridge is settled in the book before it is forgotten.
    pub(super) fn kin(&self, key: ChanKey) -> Vec<ChanKey> {
        let mut kin = vec![key];
        let mut next = 0;
        while let Some(key) = kin.get(next).copied() {
            next += 1;
            let Some(node) = self.nodes.get(&key) else { continue };
            let moved = node.links.moves.iter().map(|(_, anchor, _)| *anchor);
            let movers = self.moved.iter().copied().filter(|m| {
                self.nodes.get(m).is_some_and(|n| n.links.moves.iter().any(|(_, anchor, _)| *anchor == key))
            });
            let fetched = node.links.fetched.iter().copied();
            for other in node.links.ties.iter().copied().chain(moved).chain(movers).chain(fetched) {
                if !kin.contains(&other) {
                    kin.push(other);
                }
            }
            if kin.len() > MAX_GROUP {
                return self.group(kin[0]);
            }
        }
        kin
    }

    /// The origin of a group: the earliest channel that nobody dialled; of a Local channel its first half.
    fn origin(&self, group: &[ChanKey]) -> Option<ChanKey> {
        let order = |key: &&ChanKey| {
            let node = self.nodes.get(key);
            let dialed = node.is_none_or(|n| n.links.dialed.is_some());
            let second = node.is_some_and(|n| {
                n.kind == ChanKind::LocalTwo && n.links.ties.iter().any(|t| self.is_first_half(*t, n))
            });
            (dialed || second, node.map(|n| n.created), node.map(|n| n.id.clone()))
        };
        group.iter().min_by_key(order).copied()
    }

    fn is_first_half(&self, key: ChanKey, second: &Node) -> bool {
        self.nodes.get(&key).is_some_and(|n| n.kind == ChanKind::LocalOne && n.links.local == second.links.local)
    }

    /// Works out anew to which calls the channels of this one's group belong, and tells what changed.
    pub(super) fn relabel(&mut self, key: ChanKey) {
        let group = self.group(key);
        for key in &group {
            self.label(*key, &group);
        }
        for key in self.moved.clone() {
            if !group.contains(&key) {
                let group = self.group(key);
                self.label(key, &group);
            }
        }
    }

    fn label(&mut self, key: ChanKey, group: &[ChanKey]) {
        let Some(node) = self.nodes.get(&key) else { return };
        let mut stays = Vec::new();
        if node.kind != ChanKind::Hidden {
            if let Some(call) = self.call_of(group) {
                stays.push(Stay { from: node.created, call, calling: false });
            }
            for (from, anchor, calling) in &node.links.moves {
                if let Some(call) = self.call_of(&self.group(*anchor))
                    && stays.last().is_none_or(|s: &Stay| s.call != call)
                {
                    stays.push(Stay { from: *from, call, calling: *calling });
                }
            }
        }
        if *node.stays != *stays {
            let stays: Box<[Stay]> = stays.into();
            let at = node.last;
            self.out.facts.push((key, at, Fact::Stays(stays.clone())));
            if let Some(node) = self.nodes.get_mut(&key) {
                node.stays = stays;
            }
        }
    }

    /// The call of a group: its origin, once it is more than a channel that Asterisk has just made.
    fn call_of(&self, group: &[ChanKey]) -> Option<ChanKey> {
        let origin = self.origin(group)?;
        let node = self.nodes.get(&origin)?;
        let came = !node.born_down && !node.kind.is_local();
        let known = |k: &ChanKey| self.nodes.get(k).is_some_and(|n| n.links.made || n.links.real);
        let visible = node.kind != ChanKind::Hidden && (came || group.iter().any(known));
        visible.then_some(origin)
    }

    /// The call to which a channel belongs at this moment.
    fn call_at(&self, key: ChanKey, ts: Timestamp) -> Option<ChanKey> {
        self.nodes.get(&key)?.stays.iter().rev().find(|s| s.from <= ts).map(|s| s.call)
    }

    /// Takes an attended transfer.
    pub(super) fn attended(&mut self, e: &BridgeAttendedTransfer<'_>, ts: Timestamp, position: u64) -> Option<ChanKey> {
        let first = self.see(&e.transferer_first_leg, ts, position);
        let second = self.see(&e.transferer_second_leg, ts, position);
        let transferee = e.transferee.as_ref().and_then(|c| self.see(c, ts, position));
        let target = e.transfer_target.as_ref().and_then(|c| self.see(c, ts, position));
        if &*e.result == "Success" {
            for key in [first, second].into_iter().flatten() {
                self.input(key, ts, Input::Transferred);
            }
            // Connected with what runs an application (a queue): the transferred party takes the transferer's place there.
            let target = target.or(if e.destination_application.is_empty() { None } else { second });
            if let (Some(transferee), Some(target)) = (transferee, target) {
                self.transfer(transferee, target, ts);
            }
        }
        first
    }

    fn transfer(&mut self, transferee: ChanKey, target: ChanKey, ts: Timestamp) {
        let before = ts.plus_millis(-1);
        let (from, to) = (self.call_at(transferee, before), self.call_at(target, before));
        if from.is_none() || from == to {
            return;
        }
        let (mover, anchor, calling) = if from == Some(transferee) {
            if to == Some(target) {
                return;
            }
            (target, transferee, false)
        } else {
            (transferee, target, true)
        };
        if let Some(node) = self.nodes.get_mut(&mover)
            && !node.links.moves.contains(&(ts, anchor, calling))
        {
            node.links.moves.push((ts, anchor, calling));
            node.links.moves.sort_unstable();
        }
        if !self.moved.contains(&mover) {
            self.moved.push(mover);
        }
        self.relabel(mover);
    }
}
