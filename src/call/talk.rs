//! How long people talked, and how long phones rang: sweeps over the facts of the channels concerned.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::facts::{ChanFacts, Crossing, Origin};
use super::key::{ChanKey, ChanKind};
use crate::model::Timestamp;

/// The channels and bridges that a sweep may look at.
pub(super) struct View<'a> {
    pub(super) chans: &'a FxHashMap<ChanKey, Box<ChanFacts>>,
    pub(super) bridges: &'a FxHashMap<Arc<str>, Vec<ChanKey>>,
}

/// A channel's presence in a bridge.
struct Presence<'a> {
    key: ChanKey,
    bridge: &'a str,
    from: Timestamp,
    to: Timestamp,
}

/// Spans of time, for a union.
#[derive(Default)]
pub(super) struct Spans(Vec<(Timestamp, Timestamp)>);

impl Spans {
    pub(super) fn add(&mut self, from: Timestamp, to: Timestamp) {
        if to > from {
            self.0.push((from, to));
        }
    }

    /// The length of their union, milliseconds.
    pub(super) fn total(mut self) -> i64 {
        self.0.sort_unstable();
        let mut sum = 0;
        let mut end: Option<Timestamp> = None;
        for (from, to) in self.0 {
            let from = end.map_or(from, |e| e.max(from));
            if to > from {
                sum += to.since(from);
                end = Some(to);
            }
        }
        sum
    }
}

/// What the conversations of a call came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Talk {
    /// Milliseconds in which somebody of the call talked with another person.
    pub(super) ms: i64,
    /// When that began first and ended last.
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

/// A longer time between answer and bridge is something else: an announcement to the callee, a question to accept.
const MAX_BRIDGE_LAG_MS: i64 = 2_000;

/// Channels that one sweep looks at, at most.
const MAX_CHANNELS: usize = 512;

impl Talk {
    /// Adds a span that begins where the last one ended, or later.
    fn add(&mut self, from: Timestamp, to: Timestamp) {
        self.ms += to.since(from);
        self.first.get_or_insert(from);
        self.last = Some(to);
    }

    /// Both together, `later` being what came after this.
    pub(super) fn and(self, later: Self) -> Self {
        Self { ms: self.ms + later.ms, first: self.first.or(later.first), last: later.last.or(self.last) }
    }
}

impl View<'_> {
    /// The time in which a channel of `call` and another person were connected: in one bridge, or through
    /// bridges that Local channels join. `horizon`: up to when spans that are still open count. What is settled
    /// (`settle.rs`) is not part of it.
    pub(super) fn talk(&self, call: ChanKey, members: &[ChanKey], horizon: Timestamp) -> Talk {
        let mut talk = Talk::default();
        self.sweep(&self.reachable(members), horizon, None, &mut |from, to, people| {
            if people.iter().any(|key| self.speaks_for(*key, from) == Some(call)) {
                talk.add(from, to);
            }
        });
        talk
    }

    /// The same of every call of these channels at once, until a moment.
    pub(super) fn talks_until(&self, channels: &[ChanKey], until: Timestamp) -> FxHashMap<ChanKey, Talk> {
        let mut talks: FxHashMap<ChanKey, Talk> = FxHashMap::default();
        self.sweep(channels, until, Some(until), &mut |from, to, people| {
            for call in people.iter().filter_map(|key| self.speaks_for(*key, from)) {
                let talk = talks.entry(call).or_default();
                if talk.last != Some(to) {
                    talk.add(from, to);
                }
            }
        });
        talks
    }

    /// The call for which a channel's talk counts at a moment; none when that moment is settled.
    fn speaks_for(&self, key: ChanKey, at: Timestamp) -> Option<ChanKey> {
        self.chans.get(&key).filter(|chan| at >= chan.settled).and_then(|chan| call_at(chan, at))
    }

    /// Goes through time, and tells each span in which two or more people were connected, and who they were.
    fn sweep(
        &self,
        channels: &[ChanKey],
        horizon: Timestamp,
        until: Option<Timestamp>,
        tell: &mut dyn FnMut(Timestamp, Timestamp, &[ChanKey]),
    ) {
        let mut presences = self.presences(channels, horizon);
        presences.sort_by_key(|p| p.from);
        let chans = || channels.iter().filter_map(|k| self.chans.get(k));
        let mut times: Vec<Timestamp> = presences.iter().flat_map(|p| [p.from, p.to]).collect();
        times.extend(chans().filter_map(|c| c.up));
        times.extend(chans().flat_map(|c| c.stays.iter().map(|s| s.from).chain([c.settled])));
        times.extend(until);
        times.sort_unstable();
        times.dedup();
        let mut coming = presences.iter().peekable();
        let mut active: Vec<&Presence<'_>> = Vec::new();
        for pair in times.windows(2) {
            let &[from, to] = pair else { continue };
            if until.is_some_and(|until| from >= until) {
                return;
            }
            active.retain(|p| p.to > from);
            while let Some(presence) = coming.next_if(|p| p.from <= from) {
                active.extend(Some(presence).filter(|p| p.to > from));
            }
            if active.len() >= 2 {
                self.conversations(&active, from, &mut |people| tell(from, to, people));
            }
        }
    }

    /// Tells who is connected with whom, of those who are in bridges at `at`: groups of two people and more.
    fn conversations(&self, active: &[&Presence<'_>], at: Timestamp, tell: &mut dyn FnMut(&[ChanKey])) {
        let mut sets = Sets((0..active.len()).collect());
        let mut order: Vec<usize> = (0..active.len()).collect();
        order.sort_unstable_by_key(|i| active[*i].bridge);
        for pair in order.windows(2).filter(|p| active[p[0]].bridge == active[p[1]].bridge) {
            sets.join(pair[0], pair[1]);
        }
        order.sort_unstable_by_key(|i| active[*i].key);
        for pair in order.windows(2).filter(|p| active[p[0]].key == active[p[1]].key) {
            sets.join(pair[0], pair[1]);
        }
        for (i, presence) in active.iter().enumerate() {
            let half = self.chans.get(&presence.key).and_then(|c| c.pair);
            let place = half.and_then(|half| order.binary_search_by_key(&half, |i| active[*i].key).ok());
            if let Some(place) = place {
                sets.join(i, order[place]);
            }
        }
        let person = |c: &ChanFacts| c.kind == ChanKind::Real && c.up.is_some_and(|up| up <= at);
        let mut people: Vec<(usize, ChanKey)> = (0..active.len())
            .filter(|i| self.chans.get(&active[*i].key).is_some_and(|c| person(c)))
            .map(|i| (sets.of(i), active[i].key))
            .collect();
        people.sort_unstable();
        people.dedup();
        for group in people.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() >= 2) {
            tell(&group.iter().map(|(_, key)| *key).collect::<Vec<_>>());
        }
    }

    /// When somebody who is in this bridge answered, if that was shortly before `entered`: the connection stands from
    /// the answer on; a busy Asterisk puts the channels into their bridge only later.
    fn answer_before(&self, bridge: &str, entered: Timestamp) -> Option<Timestamp> {
        let members = self.bridges.get(bridge)?.iter().filter_map(|key| self.chans.get(key));
        let answers = members.filter(|c| matches!(c.origin, Origin::Dialed(_))).filter_map(|c| c.answered);
        answers.filter(|at| *at <= entered && entered.since(*at) <= MAX_BRIDGE_LAG_MS).max()
    }

    fn reachable(&self, members: &[ChanKey]) -> Vec<ChanKey> {
        let mut found: Vec<ChanKey> = members.to_vec();
        let mut next = 0;
        while let Some(key) = found.get(next).copied() {
            next += 1;
            let Some(chan) = self.chans.get(&key) else { continue };
            let neighbours = chan.crossings.iter().filter_map(|c| self.bridges.get(&c.bridge)).flatten().copied();
            for other in neighbours.chain(chan.pair) {
                if found.len() < MAX_CHANNELS && !found.contains(&other) {
                    found.push(other);
                }
            }
        }
        found
    }

    fn presences(&self, channels: &[ChanKey], horizon: Timestamp) -> Vec<Presence<'_>> {
        let mut presences = Vec::new();
        for key in channels {
            let Some(chan) = self.chans.get(key).filter(|c| c.kind != ChanKind::Hidden) else { continue };
            let end = chan.ended().map_or(horizon, |e| e.at);
            let mut open: Vec<(&str, Timestamp)> = Vec::new();
            for crossing in ordered(&chan.crossings) {
                let place = open.iter().position(|(b, _)| *b == &*crossing.bridge);
                match (crossing.entered, place) {
                    (true, None) => {
                        // Only for one who was nowhere else meanwhile.
                        let free = |at: &Timestamp| !chan.crossings.iter().any(|c| c.at > *at && c.at < crossing.at);
                        let since = self.answer_before(&crossing.bridge, crossing.at).filter(free);
                        open.push((&crossing.bridge, since.unwrap_or(crossing.at)));
                    }
                    (false, Some(place)) => {
                        let (bridge, from) = open.swap_remove(place);
                        presences.push(Presence { key: *key, bridge, from, to: crossing.at });
                    }
                    (true, Some(_)) | (false, None) => {}
                }
            }
            presences.extend(open.into_iter().map(|(bridge, from)| Presence {
                key: *key,
                bridge,
                from,
                to: end.max(from),
            }));
        }
        presences
    }
}

/// Disjoint sets of small numbers: each names another of its set, the first of it itself.
struct Sets(Vec<usize>);

impl Sets {
    fn of(&self, mut i: usize) -> usize {
        while self.0[i] != i {
            i = self.0[i];
        }
        i
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.of(a), self.of(b));
        // The larger yields, so a chain is as long as its joins were unlucky; those here come in order.
        self.0[a.max(b)] = a.min(b);
    }
}

/// Crossings in the order in which they make sense: at one moment, leaving what one is in comes before entering
/// it again, and entering before leaving.
pub(super) fn ordered(crossings: &[Crossing]) -> Vec<&Crossing> {
    let mut list: Vec<_> = crossings.iter().collect();
    let mut i = 0;
    while i + 1 < list.len() {
        let (a, b) = (list[i], list[i + 1]);
        // The set sorts a leave (false) before an enter (true) of the same moment.
        if a.at == b.at && a.bridge == b.bridge && !a.entered && b.entered {
            let inside = list[..i].iter().rev().find(|c| c.bridge == a.bridge).is_some_and(|c| c.entered);
            if !inside {
                list.swap(i, i + 1);
            }
            i += 1;
        }
        i += 1;
    }
    list
}

/// The call to which a channel belongs at a moment.
fn call_at(chan: &ChanFacts, at: Timestamp) -> Option<ChanKey> {
    chan.stays.iter().rev().find(|s| s.from <= at).or(chan.stays.first()).map(|s| s.call)
}

/// The span of a channel's stay in a call: its beginning and, when it is over, its end.
pub(super) fn span(chan: &ChanFacts, call: ChanKey) -> Option<(Timestamp, Option<Timestamp>)> {
    let place = chan.stays.iter().position(|s| s.call == call)?;
    let from = chan.stays.get(place)?.from;
    let moved = chan.stays.get(place + 1).map(|s| s.from);
    let ended = chan.ended().map(|e| e.at);
    let to = match (moved, ended) {
        (Some(moved), Some(ended)) => Some(moved.min(ended)),
        (one, other) => one.or(other),
    };
    Some((from, to))
}

/// Adds the spans in which a channel held its peer between two moments, but for what is settled.
pub(super) fn hold_spans(chan: &ChanFacts, from: Timestamp, to: Timestamp, spans: &mut Spans) {
    let from = from.max(chan.settled);
    let mut since = None;
    for (at, on) in &chan.holds {
        match (on, since) {
            (true, None) => since = Some(*at),
            (false, Some(begun)) => {
                spans.add(from.max(begun), to.min(*at));
                since = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    if let Some(begun) = since {
        spans.add(from.max(begun), to);
    }
}
