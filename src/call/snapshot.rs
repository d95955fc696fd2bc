//! Gaps, and the snapshot that ends one.
//!
//! A gap touches every channel that is alive at its mark. The snapshot that follows says what is true now:
//! channels in it go on or are opened; a channel that was alive before the gap, is not in it and of which no
//! event came since, ended unseen, at the latest moment at which it certainly lived: the beginning of the first gap
//! since it was heard of.
//! (A channel that was made after the reconnect may be missing in the snapshot: its events came since.)

use super::graph::Graph;
use super::input::{DialStatus, Input};
use super::key::{ChanKey, ChanKind};
use crate::ari::entry::{Gap, Snapshot};
use crate::ari::objects::{Bridge, Channel};
use crate::model::Timestamp;

/// What of a snapshot could not be read.
#[derive(Debug, thiserror::Error)]
#[error("a channel or bridge of a snapshot can't be read: {0}")]
pub struct SnapshotError(#[from] serde_json::Error);

impl Graph {
    /// Takes a gap that ended at `at`. Returns how many calls were open.
    pub fn gap(&mut self, gap: &Gap, at: Timestamp) -> usize {
        let since = gap.begin(at);
        let theirs = self.in_asterisk_time(since);
        self.gap_since = Some(theirs);
        self.advance(at);
        self.epoch += 1;
        self.offset_fresh = false;
        for node in self.nodes.values_mut().filter(|n| !n.ended) {
            node.unsure.get_or_insert(theirs);
        }
        let mut live: Vec<ChanKey> =
            self.nodes.iter().filter(|(_, n)| !n.ended && n.kind != ChanKind::Hidden).map(|(k, _)| *k).collect();
        live.sort_unstable();
        for key in &live {
            if let Some(node) = self.nodes.get(key) {
                let last = node.last;
                self.input(*key, last, Input::Touched);
            }
        }
        let mut calls: Vec<ChanKey> =
            live.iter().filter_map(|k| self.nodes.get(k)).filter_map(|n| n.stays.last()).map(|s| s.call).collect();
        calls.sort_unstable();
        calls.dedup();
        calls.len()
    }

    /// Takes a snapshot that was taken at `at`.
    ///
    /// # Errors
    /// When a channel or bridge in it is not one; nothing has been taken then.
    pub fn snapshot(&mut self, snapshot: &Snapshot<'_>, at: Timestamp, position: u64) -> Result<(), SnapshotError> {
        let channels: Vec<Channel<'_>> =
            snapshot.channels.iter().map(|raw| serde_json::from_str(raw.get())).collect::<Result<_, _>>()?;
        let mut bridges: Vec<Bridge<'_>> =
            snapshot.bridges.iter().map(|raw| serde_json::from_str(raw.get())).collect::<Result<_, _>>()?;
        bridges.retain(|bridge| !bridge.holds());
        self.advance(at);
        if let Some(theirs) = snapshot.asterisk_at {
            // HTTP's Date has whole seconds: only good enough while nothing better is known.
            if self.offset.is_none() {
                self.offset = Some(Timestamp::from_secs_f64(theirs).since(at));
            }
        }
        let now = self.in_asterisk_time(at);
        let mut present = Vec::new();
        for channel in &channels {
            let Some((key, opened)) = self.find_or_open(channel, now, position) else { continue };
            if self.nodes.get(&key).is_none_or(|n| n.ended) {
                continue;
            }
            present.push((key, channel));
            self.shown(key, channel, opened, now);
        }
        for (key, channel) in &present {
            self.infer(*key, channel, &present, &bridges, snapshot);
        }
        for (key, channel) in &present {
            self.show_bridges(*key, channel, &bridges, snapshot, now);
        }
        let present: Vec<ChanKey> = present.into_iter().map(|(k, _)| k).collect();
        self.vanish(&present);
        Ok(())
    }

    fn shown(&mut self, key: ChanKey, channel: &Channel<'_>, opened: bool, now: Timestamp) {
        let Some(node) = self.nodes.get_mut(&key) else { return };
        if opened {
            node.links.real = true;
            let created = node.created;
            let (number, name) = (channel.caller.number.as_ref().into(), channel.caller.name.as_ref().into());
            self.input(key, now, Input::Party { rank: 1, number, name });
            if !channel.protocol_id.is_empty() {
                self.input(key, now, Input::Protocol(channel.protocol_id.as_ref().into()));
            }
            if !matches!(&*channel.dialplan.exten, "" | "s") && !channel.dialplan.app_name.starts_with("AppDial") {
                let exten = channel.dialplan.exten.as_ref().into();
                let context = channel.dialplan.context.as_ref().into();
                self.input(key, created, Input::Exten { rank: 1, exten, context });
            }
            self.relabel(key);
        }
        if let Some(app) = super::facts::AppKind::of(&channel.dialplan.app_name) {
            self.input(key, now, Input::App(app));
        }
        if channel.waits_in(&self.app) {
            self.input(key, now, Input::WaitsInApp);
        }
    }

    /// Finds who dialled a channel that a snapshot shows as dialled and whose Dial events the gap took.
    fn infer(
        &mut self,
        key: ChanKey,
        channel: &Channel<'_>,
        present: &[(ChanKey, &Channel<'_>)],
        bridges: &[Bridge<'_>],
        snapshot: &Snapshot<'_>,
    ) {
        let dialed = |c: &Channel<'_>| matches!(&*c.dialplan.app_name, "AppDial" | "AppQueue");
        let known = self.nodes.get(&key).is_some_and(|n| n.links.dialed.is_some() || n.links.made);
        if known || !dialed(channel) {
            return;
        }
        let together = |other: &Channel<'_>| {
            bridges.iter().any(|b| b.channels.contains(&channel.id) && b.channels.contains(&other.id))
        };
        let linked = |c: &Channel<'_>| snapshot.variables.get(&*c.id).and_then(|v| v.get("CHANNEL(linkedid)"));
        let mine = linked(channel);
        let candidates = || present.iter().filter(|(k, c)| *k != key && !dialed(c));
        let earliest =
            |found: &mut dyn Iterator<Item = &(ChanKey, &Channel<'_>)>| found.min_by_key(|(k, _)| *k).map(|(k, _)| *k);
        let by = earliest(&mut candidates().filter(|(_, c)| together(c)))
            .or_else(|| earliest(&mut candidates().filter(|(_, c)| mine.is_some() && linked(c) == mine)));
        if let Some(by) = by {
            let at = self.nodes.get(&key).map_or(self.now, |n| n.created);
            self.dialed(key, Some(by), "", at, true);
        }
    }

    /// A Dial call's bridge has the answer's time; other channels that are Up say it by their CDR, or not at all.
    fn show_bridges(
        &mut self,
        key: ChanKey,
        channel: &Channel<'_>,
        bridges: &[Bridge<'_>],
        snapshot: &Snapshot<'_>,
        now: Timestamp,
    ) {
        let Some(node) = self.nodes.get(&key) else { return };
        let (created, stale, was_up, dialed) =
            (node.created, node.epoch < self.epoch, node.up.is_some(), node.links.dialed.is_some());
        let open = self.bridges.open_of(key, &node.links);
        let mut answered = None;
        for bridge in bridges.iter().filter(|b| b.channels.contains(&channel.id)) {
            let mut since = bridge.creationtime.parse::<Timestamp>().map_or(now, |t| t.max(created));
            if stale && !open.iter().any(|b| **b == *bridge.id) {
                // It was not there before the gap.
                since = since.max(self.gap_since.unwrap_or(since));
            }
            if &*bridge.bridge_class == "basic" {
                answered = Some(answered.map_or(since, |a: Timestamp| a.min(since)));
            }
            if !open.iter().any(|b| **b == *bridge.id) {
                self.entered(key, &bridge.id, since);
            }
        }
        let left = self.gap_since.map(|g| g.max(created));
        for bridge in
            open.iter().filter(|b| stale && !bridges.iter().any(|s| *s.id == ***b && s.channels.contains(&channel.id)))
        {
            self.left(key, bridge, left.unwrap_or(now));
        }
        if &*channel.state != "Up" || was_up {
            return;
        }
        let cdr = snapshot.variables.get(&*channel.id).and_then(|v| v.get("CDR(answer,u)"));
        let cdr = cdr.and_then(|t| t.parse::<f64>().ok()).filter(|t| *t > 0.0).map(Timestamp::from_secs_f64);
        let at = answered.or(cdr).unwrap_or(now).max(created);
        if let Some(node) = self.nodes.get_mut(&key) {
            node.up = Some(at);
        }
        self.input(key, at, Input::State(super::input::ChannelState::Up));
        if dialed && answered.is_some() {
            self.input(key, at, Input::DialStatus(DialStatus::Answer));
        }
    }

    fn vanish(&mut self, present: &[ChanKey]) {
        let epoch = self.epoch;
        let mut gone: Vec<ChanKey> = self
            .nodes
            .iter()
            .filter(|(k, n)| !n.ended && n.epoch < epoch && !present.contains(k))
            .map(|(k, _)| *k)
            .collect();
        gone.sort_unstable();
        for key in gone {
            let Some(node) = self.nodes.get(&key) else { continue };
            let at = node.unsure.map_or(node.last, |since| since.max(node.last));
            self.input(key, at, Input::Vanished);
            self.ended(key);
        }
        for key in present {
            if let Some(node) = self.nodes.get_mut(key) {
                node.epoch = epoch;
                node.unsure = None;
            }
        }
    }
}
