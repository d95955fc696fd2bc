//! What is long over is kept as sums: memory and work don't grow with the age of a call.
//!
//! A channel that goes in and out of bridges or on and off hold for days, and a room through which hundreds of
//! visitors pass, would collect crossings without end. So the past of channels that met (directly, or one through
//! another) is settled together, at one moment for all of them: the talk and hold of each of their calls until then is
//! added to the call's sums, and the crossings before it go, but for those that say who is in a bridge now. It happens
//! when a channel has collected many, and before one is forgotten that others met. The moment lies so far back that
//! events which come late, doubled or in another order still find the crossings that they need.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustc_hash::{FxHashMap, FxHashSet};

use super::book::Book;
use super::facts::ChanFacts;
use super::key::{ChanKey, ChanKind};
use super::talk::{Spans, Talk, View, hold_spans, span};
use crate::model::Timestamp;

/// What of a call's past is only kept as sums.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Settled {
    pub(super) talk: Talk,
    /// Milliseconds in which somebody held somebody.
    pub(super) hold_ms: i64,
    /// The same of each leg.
    pub(super) legs: Vec<(ChanKey, i64)>,
}

impl Settled {
    /// Both together, `later` being what came after this.
    fn and(self, later: Self) -> Self {
        let mut legs = self.legs;
        for (key, ms) in later.legs {
            match legs.iter_mut().find(|(k, _)| *k == key) {
                Some((_, sum)) => *sum += ms,
                None => legs.push((key, ms)),
            }
        }
        Self { talk: self.talk.and(later.talk), hold_ms: self.hold_ms + later.hold_ms, legs }
    }

    /// What one leg held.
    pub(super) fn leg(&self, key: ChanKey) -> i64 {
        self.legs.iter().find(|(k, _)| *k == key).map_or(0, |(_, ms)| *ms)
    }
}

/// From so many crossings and holds of one channel on, what is old enough is settled.
pub(super) const MANY: usize = 256;
/// Old enough: milliseconds before the channel's last event.
const OLD_MS: i64 = 60_000;
/// Facts from so long before the settled moment are still known one by one, so that a fact that comes twice is known.
pub(super) const MARGIN_MS: i64 = 10_000;

impl Book {
    /// Settles the past of channels that collected many crossings or holds.
    pub(super) fn settle_the_long(&mut self) {
        for key in std::mem::take(&mut self.long) {
            let Some(chan) = self.chans.get(&key) else { continue };
            let until = chan.last.plus_millis(-OLD_MS);
            if until > chan.settled {
                self.settle(key, until);
            }
        }
    }

    /// Settles what others have in common with channels that are about to be forgotten.
    pub(super) fn settle_before_forgetting(&mut self, gone: &[ChanKey]) {
        let end = |key: &ChanKey| self.chans.get(key).map(|c| c.ended().map_or(c.last, |e| e.at));
        let Some(until) = gone.iter().filter_map(end).max() else { return };
        let mut done: FxHashSet<ChanKey> = FxHashSet::default();
        for key in gone {
            let Some(chan) = self.chans.get(key).filter(|_| !done.contains(key)) else { continue };
            let met = |key: &ChanKey| !gone.contains(key) && self.chans.contains_key(key);
            let mut others = chan.crossings.iter().filter_map(|c| self.bridges.get(&c.bridge)).flatten();
            if others.any(met) {
                done.extend(self.settle(*key, until));
            }
        }
    }

    /// Settles everything until a moment, of this channel and of all whose talk or call depends on it. Returns them.
    fn settle(&mut self, start: ChanKey, until: Timestamp) -> Vec<ChanKey> {
        let channels = self.component(start);
        let stays = channels.iter().filter_map(|k| self.chans.get(k)).flat_map(|c| c.stays.iter());
        let calls: FxHashSet<ChanKey> = stays.map(|s| s.call).collect();
        let view = View { chans: &self.chans, bridges: &self.bridges };
        let all = catch_unwind(AssertUnwindSafe(|| {
            let talks = view.talks_until(&channels, until);
            let talk = |key| talks.get(key).copied().unwrap_or_default();
            let members = |key| self.calls.get(key).map_or(&[][..], |call| &call.members);
            calls.iter().map(|key| (*key, sums(*key, members(key), &self.chans, talk(key), until))).collect::<Vec<_>>()
        }));
        // A failure here is one of the fold: these calls go on with plain rows, and what made it fail is let go.
        let Ok(all) = all else {
            calls.iter().for_each(|key| self.fails(*key));
            self.let_go(&channels, until);
            return channels;
        };
        for (key, sums) in all.into_iter().filter(|(_, sums)| *sums != Settled::default()) {
            let Some(call) = self.calls.get_mut(&key) else { continue };
            call.settled = Some(Box::new(call.settled.take().map(|s| *s).unwrap_or_default().and(sums)));
        }
        self.let_go(&channels, until);
        channels
    }

    fn let_go(&mut self, channels: &[ChanKey], until: Timestamp) {
        for key in channels {
            let Some(chan) = self.chans.get_mut(key) else { continue };
            for bridge in chan.settle(until) {
                if let Some(members) = self.bridges.get_mut(&bridge) {
                    members.retain(|k| k != key);
                    if members.is_empty() {
                        self.bridges.remove(&bridge);
                    }
                }
            }
        }
    }

    /// Crossings and holds that are kept one by one, and who was in which bridge.
    #[cfg(test)]
    pub(super) fn held(&self) -> (usize, usize) {
        let history = self.chans.values().map(|c| c.crossings.len() + c.holds.len()).sum();
        (history, self.bridges.values().map(Vec::len).sum())
    }

    /// All channels that met this one in a bridge or belong to its calls, that met one of those, and so on.
    fn component(&self, start: ChanKey) -> Vec<ChanKey> {
        let mut found = vec![start];
        let mut seen: FxHashSet<ChanKey> = FxHashSet::from_iter([start]);
        let mut next = 0;
        while let Some(key) = found.get(next).copied() {
            next += 1;
            let Some(chan) = self.chans.get(&key) else { continue };
            let met = chan.crossings.iter().filter_map(|c| self.bridges.get(&c.bridge)).flatten();
            let own = chan.stays.iter().filter_map(|s| self.calls.get(&s.call)).flat_map(|c| &c.members);
            found.extend(met.chain(own).chain(&chan.pair).filter(|k| seen.insert(**k)));
        }
        found
    }

    /// Sums of a call whose origin turned out to belong to another are that one's.
    pub(super) fn carry_sums(&mut self, dirty: &[ChanKey]) {
        for key in dirty {
            let Some(chan) = self.chans.get(key).filter(|c| c.stays.iter().all(|s| s.call != *key)) else { continue };
            let Some(survivor) = chan.stays.first().map(|s| s.call) else { continue };
            let Some(sums) = self.calls.get_mut(key).and_then(|call| call.settled.take()) else { continue };
            if let Some(call) = self.calls.get_mut(&survivor) {
                // What both had at the same time is counted twice: their rows can't be told apart any more.
                let both = call.settled.is_some();
                call.settled = Some(Box::new(call.settled.take().map(|s| *s).unwrap_or_default().and(*sums)));
                if both && let Some(origin) = self.chans.get_mut(&survivor) {
                    origin.touched = true;
                }
            }
        }
    }
}

/// What a call's members held, and its talk, until a moment.
fn sums(
    call: ChanKey,
    members: &[ChanKey],
    chans: &FxHashMap<ChanKey, Box<ChanFacts>>,
    talk: Talk,
    until: Timestamp,
) -> Settled {
    let mut all = Spans::default();
    let mut legs = Vec::new();
    for key in members {
        let Some(chan) = chans.get(key).filter(|c| c.kind != ChanKind::Hidden && !c.holds.is_empty()) else { continue };
        let Some((from, to)) = span(chan, call) else { continue };
        let mut own = Spans::default();
        hold_spans(chan, from, to.map_or(until, |to| to.min(until)), &mut all);
        hold_spans(chan, from, to.map_or(until, |to| to.min(until)), &mut own);
        legs.push((*key, own.total()));
    }
    legs.retain(|(_, ms)| *ms > 0);
    Settled { talk, hold_ms: all.total(), legs }
}
