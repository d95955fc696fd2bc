//! Who was when in which bridge, as far as ties between channels need it.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::key::ChanKey;
use super::links::Links;
use crate::model::Timestamp;

/// From so many visits in one bridge, or bridges of one channel, on, old visits are let go.
const MANY_VISITS: usize = 64;
/// Milliseconds after which a visit is old: no event of it comes so late. What was first met so long ago stays.
pub(super) const OLD_MS: i64 = 60_000;

/// A stay of a channel in a bridge.
#[derive(Clone, Copy, Debug)]
pub(super) struct Visit {
    pub(super) key: ChanKey,
    pub(super) from: Timestamp,
    pub(super) to: Option<Timestamp>,
}

/// Who was when in which bridge.
#[derive(Debug, Default)]
pub(super) struct Bridges(pub(super) FxHashMap<Arc<str>, Vec<Visit>>);

impl Bridges {
    pub(super) fn forget(&mut self, key: ChanKey, links: &Links) {
        for bridge in &links.bridges {
            if let Some(visits) = self.0.get_mut(bridge) {
                visits.retain(|v| v.key != key);
                if visits.is_empty() {
                    self.0.remove(bridge);
                }
            }
        }
    }

    /// The bridges in which this channel is now.
    pub(super) fn open_of(&self, key: ChanKey, links: &Links) -> Vec<Arc<str>> {
        let inside = |b: &&Arc<str>| self.0.get(*b).is_some_and(|v| v.iter().any(|v| v.key == key && v.to.is_none()));
        links.bridges.iter().filter(inside).cloned().collect()
    }

    /// The channel that entered this bridge first, of those that are in it.
    pub(super) fn first_in(&self, bridge: &str) -> Option<ChanKey> {
        let inside = self.0.get(bridge)?.iter().filter(|v| v.to.is_none());
        inside.min_by_key(|v| (v.from, v.key)).map(|v| v.key)
    }

    /// Lets go of visits that ended before a moment, where a channel has many of them.
    pub(super) fn let_go(&mut self, key: ChanKey, links: &mut Links, bridge: &str, before: Timestamp) {
        let old = |v: &Visit| v.key == key && v.to.is_some_and(|to| to < before);
        if let Some(visits) = self.0.get_mut(bridge).filter(|v| v.len() >= MANY_VISITS) {
            visits.retain(|v| !old(v));
        }
        if links.bridges.len() < MANY_VISITS {
            return;
        }
        for bridge in &links.bridges {
            if let Some(visits) = self.0.get_mut(bridge) {
                visits.retain(|v| !old(v));
                if visits.is_empty() {
                    self.0.remove(bridge);
                }
            }
        }
        links.bridges.retain(|b| self.0.get(b).is_some_and(|visits| visits.iter().any(|v| v.key == key)));
    }

    pub(super) fn name(&self, bridge: &str) -> Arc<str> {
        self.0.get_key_value(bridge).map_or_else(|| Arc::from(bridge), |(name, _)| name.clone())
    }
}
