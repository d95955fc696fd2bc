//! How long people talked, and how long phones rang: sweeps over the facts of the channels concerned.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::facts::{ChanFacts, Origin};
use super::key::{ChanKey, ChanKind};
use crate::model::Timestamp;

/// The channels and bridges that a sweep may look at.
pub(super) struct View<'a> {
    pub(super) chans: &'a FxHashMap<ChanKey, ChanFacts>,
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

impl View<'_> {
    /// The time in which a channel of `call` and another person were connected: in one bridge, or through
    /// bridges that Local channels join. `horizon`: up to when spans that are still open count.
    pub(super) fn talk(&self, call: ChanKey, members: &[ChanKey], horizon: Timestamp) -> Talk {
        let channels = self.reachable(members);
        let presences = self.presences(&channels, horizon);
        let mut times: Vec<Timestamp> = presences.iter().flat_map(|p| [p.from, p.to]).collect();
        times.extend(channels.iter().filter_map(|k| self.chans.get(k)).filter_map(|c| c.up));
        times.extend(channels.iter().filter_map(|k| self.chans.get(k)).flat_map(|c| c.stays.iter().map(|s| s.from)));
        times.sort_unstable();
        times.dedup();
        let mut talk = Talk::default();
        for pair in times.windows(2) {
            let &[from, to] = pair else { continue };
            let active: Vec<&Presence<'_>> = presences.iter().filter(|p| p.from <= from && p.to >= to).collect();
            if active.len() >= 2 && self.people_talk(call, &active, from) {
                talk.ms += to.since(from);
                talk.first.get_or_insert(from);
                talk.last = Some(to);
            }
        }
        talk
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
            for crossing in ordered(chan) {
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

    /// Whether at `at` two people are connected, one of whom belongs to the call.
    fn people_talk(&self, call: ChanKey, active: &[&Presence<'_>], at: Timestamp) -> bool {
        let mut group: Vec<usize> = (0..active.len()).collect();
        for a in 0..active.len() {
            for b in 0..a {
                let (x, y) = (active[a], active[b]);
                let paired = self.chans.get(&x.key).is_some_and(|c| c.pair == Some(y.key));
                if x.bridge == y.bridge || x.key == y.key || paired {
                    let (from, to) = (group[a], group[b]);
                    if from != to {
                        group.iter_mut().filter(|g| **g == from).for_each(|g| *g = to);
                    }
                }
            }
        }
        let person = |p: &Presence<'_>| {
            self.chans.get(&p.key).is_some_and(|c| c.kind == ChanKind::Real && c.up.is_some_and(|up| up <= at))
        };
        let ours = |p: &Presence<'_>| self.chans.get(&p.key).is_some_and(|c| belongs(c, call, at));
        (0..active.len()).any(|a| {
            person(active[a])
                && ours(active[a])
                && (0..active.len())
                    .any(|b| group[a] == group[b] && active[a].key != active[b].key && person(active[b]))
        })
    }
}

/// Crossings in the order in which they make sense: at one moment, leaving what one is in comes before entering
/// it again, and entering before leaving.
fn ordered(chan: &ChanFacts) -> Vec<&super::facts::Crossing> {
    let mut list: Vec<_> = chan.crossings.iter().collect();
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

/// Whether a channel belongs to a call at a moment.
pub(super) fn belongs(chan: &ChanFacts, call: ChanKey, at: Timestamp) -> bool {
    chan.stays.iter().rev().find(|s| s.from <= at).or(chan.stays.first()).is_some_and(|s| s.call == call)
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
