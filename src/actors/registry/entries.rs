//! Reads the entries of one stretch into the graph, and collects what of them goes to the writer directly.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use bytestring::ByteString;
use rustc_hash::FxHashMap;
use tracing::{error, warn};

use crate::actors::batch::{AuditEntry, EndpointState, GapRow, RawEvent, RecordingState, Stream, Word, WriteBatch};
use crate::ari::entry::{Gap, Line, Snapshot, sample};
use crate::ari::event::{Event, Frame, decode};
use crate::ari::objects::LiveRecording;
use crate::call::{ChanKey, Fact, Graph};
use crate::db::compact::compact_body;
use crate::model::Timestamp;

/// What one stretch of the journal holds.
pub(super) struct Entries {
    /// Its text; what is none has question marks in its place, byte for byte.
    text: ByteString,
    /// The stretch itself, where not all of it is text.
    damaged: Option<Bytes>,
    received: Timestamp,
    events: Vec<RawEvent>,
    facts: Vec<(ChanKey, Timestamp, Fact)>,
    gaps: Vec<GapRow>,
    endpoints: FxHashMap<(String, String), EndpointState>,
    recordings: Vec<RecordingState>,
    audit: Vec<AuditEntry>,
    pub(super) events_read: u64,
    pub(super) gaps_read: u64,
    pub(super) bad_frames: u64,
    pub(super) panics: u64,
}

impl Entries {
    pub(super) fn new(bytes: Bytes) -> Self {
        // Looked at once here, it is known to be text wherever it goes.
        let (text, damaged) = match ByteString::try_from(bytes.clone()) {
            Ok(text) => (text, None),
            Err(_) => (patched(&bytes), Some(bytes)),
        };
        Self {
            text,
            damaged,
            received: Timestamp::from_millis(0),
            events: Vec::new(),
            facts: Vec::new(),
            gaps: Vec::new(),
            endpoints: FxHashMap::default(),
            recordings: Vec::new(),
            audit: Vec::new(),
            events_read: 0,
            gaps_read: 0,
            bad_frames: 0,
            panics: 0,
        }
    }

    pub(super) fn fact(&mut self, key: ChanKey, at: Timestamp, fact: Fact) {
        self.facts.push((key, at, fact));
    }

    pub(super) fn into_batch(self, stream: Stream, number: u64, end: u64, oldest_open: u64) -> WriteBatch {
        WriteBatch {
            stream,
            number,
            end,
            oldest_open,
            rebuilds: false,
            received: self.received,
            text: self.text,
            events: self.events,
            facts: self.facts,
            gaps: self.gaps,
            endpoints: self.endpoints.into_values().collect(),
            recordings: self.recordings,
            audit: self.audit,
        }
    }

    /// Takes all its lines; it begins at `start`.
    pub(super) fn read(&mut self, graph: &mut Graph, start: u64) {
        let (text, damaged) = (self.text.clone(), self.damaged.take());
        let mut at = 0;
        while let Some(length) = memchr::memchr(b'\n', &text.as_bytes()[at..]) {
            let (line, position) = (&text[at..at + length], start + at as u64);
            let bytes = damaged.as_ref().map(|bytes| &bytes[at..at + length]);
            match bytes.filter(|bytes| std::str::from_utf8(bytes).is_err()) {
                Some(bytes) => self.bad(self.received, position, "a line of the journal is no UTF-8", bytes),
                None => self.line(graph, position, line),
            }
            at += length + 1;
        }
    }

    /// Takes one line, part of its text, that stands at `position`.
    fn line(&mut self, graph: &mut Graph, position: u64, line: &str) {
        if let Some((at, event)) = event_of(line) {
            self.received = at;
            return self.event(graph, position, at, event);
        }
        if line.bytes().all(|byte| byte.is_ascii_whitespace()) {
            return;
        }
        match serde_json::from_str::<Line<'_>>(line) {
            Ok(parsed) => {
                self.received = parsed.at();
                self.entry(graph, position, &parsed, line.as_bytes());
            }
            Err(error) => {
                self.bad(self.received, position, &format!("a line that is no entry: {error}"), line.as_bytes());
            }
        }
    }

    fn entry(&mut self, graph: &mut Graph, position: u64, line: &Line<'_>, text: &[u8]) {
        let at = line.at();
        if let Some(event) = line.event {
            self.event(graph, position, at, event.get());
        } else if let Some(gap) = &line.gap {
            self.gap(graph, position, at, gap);
        } else if let Some(raw) = line.snapshot {
            let taken = self.guard(position, at, text, || {
                let snapshot = serde_json::from_str::<Snapshot<'_>>(raw.get()).map_err(|e| e.to_string())?;
                graph.snapshot(&snapshot, at, position).map_err(|e| e.to_string())
            });
            if let Some(Err(error)) = taken {
                self.bad(at, position, &error, text);
            }
        } else if let Some(command) = &line.command {
            self.audit.push(AuditEntry::Command(at, command.clone()));
        } else if let Some(reply) = &line.reply {
            self.audit.push(AuditEntry::Reply(at, reply.clone()));
        } else if let Some(bad) = &line.bad {
            self.bad(at, position, &bad.reason, bad.sample.as_bytes());
        }
    }

    fn gap(&mut self, graph: &mut Graph, position: u64, at: Timestamp, gap: &Gap) {
        let calls = self.guard(position, at, gap.reason.as_bytes(), || graph.gap(gap, at)).unwrap_or(0);
        self.gaps_read += 1;
        self.gaps.push(GapRow {
            position,
            since: gap.begin(at),
            until: at,
            reason: gap.reason.clone(),
            calls_touched: calls,
            sample: None,
        });
    }

    /// A range of the journal is gone: whatever is open may have missed something from `since` to `until`.
    pub(super) fn lost(&mut self, graph: &mut Graph, position: u64, since: Timestamp, until: Timestamp, reason: &str) {
        self.received = until;
        let gap = Gap { since: since.secs_f64(), reason: reason.to_owned() };
        self.gap(graph, position, until, &gap);
    }

    /// Leaves out the gaps among these entries.
    pub(super) fn forget_gaps(&mut self) {
        self.gaps.clear();
    }

    /// A failure of the graph at one entry must not end the registry: the same entry would end it again after each
    /// start. The entry becomes a gap with a sample.
    fn guard<T>(&mut self, position: u64, at: Timestamp, text: &[u8], work: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(work)) {
            Ok(value) => Some(value),
            Err(_) => {
                self.panics += 1;
                error!(position, "the graph failed at an entry of the journal");
                self.bad(at, position, "the graph failed at this entry", text);
                None
            }
        }
    }

    fn bad(&mut self, at: Timestamp, position: u64, reason: &str, bytes: &[u8]) {
        warn!(position, reason, "a frame could not be read; it is kept as a gap with a sample");
        self.bad_frames += 1;
        self.gaps.push(GapRow {
            position,
            since: at,
            until: at,
            reason: reason.to_owned(),
            calls_touched: 0,
            sample: Some(sample(bytes)),
        });
    }

    fn event(&mut self, graph: &mut Graph, position: u64, at: Timestamp, json: &str) {
        self.events_read += 1;
        let frame = match decode(json) {
            Ok(frame) => frame,
            Err(error) => return self.bad(at, position, &error.to_string(), json.as_bytes()),
        };
        let Some(chan) = self.guard(position, at, json.as_bytes(), || graph.event(&frame, at, position)) else {
            return;
        };
        self.observe(graph, &frame, at);
        let (channel, bridge) = frame.event.subjects();
        let start = json.as_ptr() as usize - self.text.as_ptr() as usize;
        self.events.push(RawEvent {
            at: frame.timestamp.unwrap_or(at),
            received: at,
            kind: frame.event.name().map_or_else(|| Cow::Owned(frame.kind.to_string()), Cow::Borrowed),
            chan,
            channel_id: channel.map(|id| Word::of(id, &self.text)),
            bridge_id: bridge.map(|id| Word::of(id, &self.text)),
            body: start..start + json.len(),
            compact: match compact_body(json) {
                Cow::Borrowed(whole) if whole.len() == json.len() => None,
                compact => Some(compact.into()),
            },
        });
    }

    /// What has a table of its own beside the calls.
    fn observe(&mut self, graph: &Graph, frame: &Frame<'_>, at: Timestamp) {
        let at = frame.timestamp.unwrap_or(at);
        let mut endpoint = |tech: &str, resource: &str, state: &str| {
            let (tech, resource, state) = (tech.to_owned(), resource.to_owned(), state.to_owned());
            self.endpoints.insert((tech.clone(), resource.clone()), EndpointState { tech, resource, state, at });
        };
        match &frame.event {
            Event::EndpointStateChange(e) => endpoint(&e.endpoint.technology, &e.endpoint.resource, &e.endpoint.state),
            Event::DeviceStateChanged(e) => {
                if let Some((tech, resource)) = e.device_state.name.split_once('/') {
                    endpoint(tech, resource, &e.device_state.state);
                }
            }
            Event::RecordingStarted(e) => self.recording(graph, &e.recording, at, true),
            Event::RecordingFinished(e) => self.recording(graph, &e.recording, at, false),
            Event::RecordingFailed(e) => self.recording(graph, &e.recording, at, false),
            _ => {}
        }
    }

    fn recording(&mut self, graph: &Graph, recording: &LiveRecording<'_>, at: Timestamp, begins: bool) {
        self.recordings.push(RecordingState {
            name: recording.name.to_string(),
            target: recording.target_uri.to_string(),
            format: recording.format.to_string(),
            state: recording.state.to_string(),
            duration_s: recording.duration,
            at,
            begins,
            chan: graph.recorded(&recording.target_uri),
        });
    }
}

/// The text of bytes that are not all text: what is none is replaced, byte for byte.
fn patched(bytes: &[u8]) -> ByteString {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text.into()
}

/// Time and JSON of an event line in the form in which the journal itself writes it; other lines are read by serde.
fn event_of(line: &str) -> Option<(Timestamp, &str)> {
    let rest = line.strip_prefix("{\"at\": ")?;
    let (at, rest) = rest.split_once(',')?;
    let json = rest.strip_prefix(" \"event\": ")?.trim_end().strip_suffix('}')?;
    let at: f64 = at.parse().ok()?;
    Some((Timestamp::from_secs_f64(at), json))
}

/// The receipt time of a line.
pub(super) fn time_of(line: &[u8]) -> Option<Timestamp> {
    serde_json::from_slice::<Line<'_>>(line).ok().map(|line| line.at())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::GraphLimits;

    #[test]
    fn an_entry_at_which_the_graph_fails_becomes_a_gap_and_the_rest_is_read() {
        let channel = serde_json::json!({
            "id": "callcenter-test-panic-graph", "name": "PJSIP/100-00000001", "state": "Up",
            "creationtime": "2026-11-22T12:59:26.306+0000", "caller": {"name": "", "number": "100"},
            "connected": {"name": "", "number": ""}, "accountcode": "", "language": "en",
            "dialplan": {"context": "c", "exten": "1", "priority": 1, "app_name": "", "app_data": ""}
        });
        let whole = serde_json::json!({"id": "1.1", "name": "PJSIP/101-00000002", "state": "Ring"});
        let mut whole_channel = channel.clone();
        whole.as_object().unwrap().iter().for_each(|(key, value)| whole_channel[key] = value.clone());
        let created = |channel: &serde_json::Value| {
            serde_json::json!({"type": "ChannelCreated", "application": "a", "timestamp": channel["creationtime"],
                "channel": channel})
        };
        let command = serde_json::json!({"id": "c-1", "method": "POST", "path": "/p",
            "about": "1.1", "who": "rule:x"});
        let reply = serde_json::json!({"id": "c-1", "status": 204, "outcome": "done", "ms": 1.0});
        let mut graph = Graph::new("a", GraphLimits::default());
        let lines = [
            serde_json::json!({"at": 1.0, "snapshot": {"channels": [channel], "bridges": []}}),
            serde_json::json!({"at": 2.0, "command": command}),
            serde_json::json!({"at": 3.0, "reply": reply}),
            serde_json::json!({"at": 4.0, "event": created(&channel)}),
            serde_json::json!({"at": 5.0, "event": created(&whole_channel)}),
        ]
        .map(|line| line.to_string() + "\n");
        let mut entries = Entries::new(lines.concat().into());
        entries.read(&mut graph, 0);
        let fourth = lines[..3].iter().map(|line| line.len() as u64).sum();
        assert_eq!((entries.panics, entries.bad_frames, graph.live()), (2, 2, 1));
        assert_eq!(entries.gaps.iter().map(|g| g.position).collect::<Vec<_>>(), [0, fourth]);
        assert!(entries.gaps.iter().all(|g| g.reason.contains("graph failed") && g.sample.is_some()));
        assert_eq!((entries.audit.len(), entries.events.len()), (2, 1), "what was asked stays on record");
    }
    #[test]
    fn a_line_that_is_no_text_becomes_a_gap_and_those_beside_it_keep_their_places() {
        let event = |id: &str| format!("{{\"at\": 1.0, \"event\": {{\"type\":\"New{id}\",\"application\":\"ä\"}}}}\n");
        let bytes = [event("One").as_bytes(), b"\xff{\xc3}\n", event("Two").as_bytes()].concat();
        let mut entries = Entries::new(bytes.clone().into());
        entries.read(&mut Graph::new("a", GraphLimits::default()), 100);
        let position = 100 + event("One").len() as u64;
        assert_eq!(entries.gaps.iter().map(|gap| gap.position).collect::<Vec<_>>(), [position]);
        assert_eq!(entries.gaps[0].sample.as_deref(), Some("\u{fffd}{\u{fffd}}"));
        let bodies: Vec<_> = entries.events.iter().map(|event| str::from_utf8(&bytes[event.body.clone()])).collect();
        let body = |id: &str| format!("{{\"type\":\"New{id}\",\"application\":\"ä\"}}");
        assert_eq!(bodies, [Ok(body("One").as_str()), Ok(&body("Two"))]);
        assert_eq!(entries.text.len(), bytes.len());
    }

    #[test]
    fn needless_whitespace_is_taken_out_and_the_place_stays() {
        let line = "{\"at\": 1.0, \"event\": {  \"type\": \"New\", \"application\": \"a\" }}\n";
        let mut entries = Entries::new(line.into());
        entries.read(&mut Graph::new("a", GraphLimits::default()), 0);
        let event = &entries.events[0];
        assert_eq!(event.compact.as_deref(), Some("{\"type\":\"New\",\"application\":\"a\"}"));
        assert!(line[event.body.clone()].starts_with("{  \"type\""));
    }
}
