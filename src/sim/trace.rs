//! Reading a recorded stream, and cutting it into calls.
//!
//! A trace holds what one socket received: events of several calls, mixed, and events of devices, which name no
//! channel. A *call* here is all that hangs together: channels that share an event (Dial's caller and peer), a
//! bridge, a Local channel's name or a snoop. An event that names neither channel nor bridge goes to the call whose
//! event of the same device is nearest in time.

use std::collections::HashMap;

use serde_json::Value;

use super::SimError;
use crate::ari::entry::Line;
use crate::model::Timestamp;

/// One event of a recorded stream.
#[derive(Clone, Debug)]
pub(super) struct TraceEvent {
    /// Receipt, milliseconds since 1970.
    pub at: i64,
    /// Asterisk's own time of it.
    pub stamp: Timestamp,
    /// Its `type`.
    pub kind: String,
    /// The JSON text as Asterisk sent it.
    pub text: String,
    /// The channels it speaks of.
    pub channels: Vec<ChannelRef>,
    /// The ids of the bridges it speaks of.
    pub bridges: Vec<String>,
    /// Channels and bridges that it names by their ids alone: `channel:ID`, `bridge:ID`, `channel_ids`.
    pub targets: Vec<String>,
    /// The device or endpoint it is about (`PJSIP/101`), when it names no channel.
    pub device: Option<String>,
    /// Ids of playbacks and names of recordings.
    pub media: Vec<String>,
}

/// A channel as an event shows it.
#[derive(Clone, Debug)]
pub(super) struct ChannelRef {
    pub id: String,
    pub name: String,
    pub exten: String,
    pub protocol_id: String,
    pub created: Timestamp,
}

impl TraceEvent {
    fn read(at: i64, text: &str) -> Result<Self, SimError> {
        let bad = |what: &str| SimError::Trace(format!("{what} in the recorded event {}", super::short(text)));
        let value: Value = serde_json::from_str(text).map_err(|e| bad(&e.to_string()))?;
        let word = |key: &str| value.get(key).and_then(Value::as_str);
        let mut event = Self {
            at,
            stamp: word("timestamp").and_then(|t| t.parse().ok()).ok_or_else(|| bad("no timestamp"))?,
            kind: word("type").ok_or_else(|| bad("no type"))?.to_owned(),
            text: text.to_owned(),
            channels: Vec::new(),
            bridges: Vec::new(),
            targets: Vec::new(),
            device: None,
            media: Vec::new(),
        };
        event.look(&value);
        Ok(event)
    }

    /// Collects what the event speaks of, at any depth.
    fn look(&mut self, value: &Value) {
        match value {
            Value::Object(map) => {
                let word = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
                if map.contains_key("dialplan") {
                    self.channels.push(ChannelRef {
                        id: word("id"),
                        name: word("name"),
                        exten: map["dialplan"].get("exten").and_then(Value::as_str).unwrap_or_default().to_owned(),
                        protocol_id: word("protocol_id"),
                        created: word("creationtime").parse().unwrap_or_default(),
                    });
                } else if map.contains_key("bridge_class") {
                    self.bridges.push(word("id"));
                } else if map.contains_key("media_uri") {
                    self.media.push(word("id"));
                } else if map.contains_key("format") && map.contains_key("target_uri") {
                    self.media.push(word("name"));
                } else if map.contains_key("resource") {
                    self.device = Some(format!("{}/{}", word("technology"), word("resource")));
                }
                if let Some(target) = map.get("target_uri").and_then(Value::as_str).and_then(|t| t.split_once(':')) {
                    self.targets.push(target.1.to_owned());
                }
                if let Some(name) = map.get("device_state").and_then(|d| d.get("name")).and_then(Value::as_str) {
                    self.device = Some(name.to_owned());
                }
                for list in ["channels", "channel_ids"].iter().filter_map(|key| map.get(*key)?.as_array()) {
                    self.targets.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
                }
                map.values().for_each(|v| self.look(v));
            }
            Value::Array(items) => items.iter().for_each(|v| self.look(v)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// The keys under which this event hangs together with others.
    fn keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for channel in &self.channels {
            keys.push(channel.id.clone());
            if let Some(pair) = channel.name.strip_suffix(";1").or_else(|| channel.name.strip_suffix(";2")) {
                keys.push(pair.to_owned());
            }
            if let Some((of, _)) = channel.name.strip_prefix("Snoop/").and_then(|rest| rest.rsplit_once('-')) {
                keys.push(of.to_owned());
            }
        }
        keys.extend(self.bridges.iter().cloned());
        keys.extend(self.targets.iter().cloned());
        keys
    }

    fn is_about_device(&self, device: &str) -> bool {
        self.channels.iter().any(|c| c.name.strip_prefix(device).is_some_and(|rest| rest.starts_with('-')))
    }
}

/// The events of a trace; gaps and snapshots are passed over.
///
/// # Errors
/// When a line is no journal line, or an event has no type or time.
pub(super) fn read(text: &str) -> Result<Vec<TraceEvent>, SimError> {
    let mut events = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        let entry: Line<'_> = serde_json::from_str(line)
            .map_err(|e| SimError::Trace(format!("{e} in the line {}", super::short(line))))?;
        if let Some(event) = entry.event {
            events.push(TraceEvent::read(entry.at().millis(), event.get())?);
        }
    }
    Ok(events)
}

/// Cuts a stream into its calls, in the order of their first events.
pub(super) fn cut(events: Vec<TraceEvent>) -> Vec<Vec<TraceEvent>> {
    let mut groups = Groups::default();
    let mut keyed: Vec<Option<usize>> = Vec::with_capacity(events.len());
    for event in &events {
        let keys = event.keys();
        let first = keys.first().map(|k| groups.node(k));
        for key in keys.iter().skip(1) {
            let node = groups.node(key);
            groups.join(first.unwrap_or(node), node);
        }
        keyed.push(first);
    }
    let group_of: Vec<Option<usize>> =
        (0..events.len()).map(|i| keyed[i].or_else(|| nearest(&events, &keyed, i)).map(|n| groups.root(n))).collect();
    let mut order: Vec<usize> = Vec::new();
    let mut calls: Vec<Vec<TraceEvent>> = Vec::new();
    for (event, group) in events.into_iter().zip(group_of) {
        let Some(group) = group else { continue };
        match order.iter().position(|g| *g == group) {
            Some(index) => calls[index].push(event),
            None => {
                order.push(group);
                calls.push(vec![event]);
            }
        }
    }
    calls
}

/// The group of the event that lies nearest to event `i`: of the same device if there is one, else of any.
fn nearest(events: &[TraceEvent], keyed: &[Option<usize>], i: usize) -> Option<usize> {
    let event = &events[i];
    let distance = |j: usize| (events[j].stamp.since(event.stamp).abs(), i.abs_diff(j));
    let device = event.device.as_deref().unwrap_or_default();
    let all = || (0..events.len()).filter(|j| keyed[*j].is_some());
    let same = all().filter(|j| events[*j].is_about_device(device)).min_by_key(|j| distance(*j));
    same.or_else(|| all().min_by_key(|j| distance(*j))).and_then(|j| keyed[j])
}

/// Which keys hang together (union-find).
#[derive(Default)]
struct Groups {
    nodes: HashMap<String, usize>,
    parent: Vec<usize>,
}

impl Groups {
    fn node(&mut self, key: &str) -> usize {
        if let Some(node) = self.nodes.get(key) {
            return *node;
        }
        let node = self.parent.len();
        self.parent.push(node);
        self.nodes.insert(key.to_owned(), node);
        node
    }

    fn root(&self, mut node: usize) -> usize {
        while self.parent[node] != node {
            node = self.parent[node];
        }
        node
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[b.max(a)] = a.min(b);
    }
}
