//! The recordings that are part of the binary, and the rows that each of them must give.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::template::Template;
use super::{Direction, SimError, trace};

/// All recordings: for each a head line (name, expected rows, `continue` commands), then the trace's own lines.
/// Made from `tests/traces` by the test `recordings_are_the_traces` with `UPDATE_RECORDINGS=1`.
static PACKED: &[u8] = include_bytes!("recordings/recordings.jsonl.gz");

/// A row that `calls` must hold for a recorded call. `None` is not known (and not to be compared).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedCall {
    /// The caller's number as Asterisk had it.
    #[serde(default)]
    pub caller_number: Option<String>,
    /// What was dialled.
    #[serde(default)]
    pub dialed_number: Option<String>,
    /// The outcome, one of the words of `model::Status`.
    pub status: String,
    /// The number that answered last.
    #[serde(default)]
    pub callee_number: Option<String>,
    /// `caller`, `callee` or `system`.
    #[serde(default)]
    pub ended_by: Option<String>,
    /// The caller's time with people, milliseconds.
    #[serde(default)]
    pub talk_ms: Option<i64>,
}

/// One recording of a mix.
#[derive(Clone, Debug, PartialEq)]
pub struct MixEntry {
    /// The recording's name: `answered`; of a trace with several calls that hang not together, `dtmf/1` is one of
    /// them and `dtmf` any of them.
    pub recording: String,
    /// How often it is chosen, in proportion to the others.
    pub weight: u32,
    /// From where to where the call goes.
    pub direction: Direction,
    /// Times longer than a second (ringing, talking) are multiplied by a number between these two, both at least 1.
    pub stretch: (f64, f64),
}

impl MixEntry {
    /// A recording as it was recorded.
    pub fn new(recording: &str, weight: u32) -> Self {
        Self { recording: recording.to_owned(), weight, direction: Direction::AsRecorded, stretch: (1.0, 1.0) }
    }

    /// The same call, from and to others.
    #[must_use]
    pub fn going(mut self, direction: Direction) -> Self {
        self.direction = direction;
        self
    }

    /// The same call, lasting longer.
    #[must_use]
    pub fn stretched(mut self, from: f64, to: f64) -> Self {
        self.stretch = (from, to);
        self
    }
}

/// The first line of a packed recording.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    recording: String,
    app: String,
    calls: Vec<ExpectedCall>,
    continues: Vec<Continue>,
}

/// A `POST /channels/{id}/continue` of the recorded run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Continue {
    /// When it was sent, seconds since 1970.
    pub at: f64,
    /// The channel.
    pub channel: String,
}

/// Recordings ready to be played, by name.
pub(super) struct Library {
    templates: BTreeMap<String, Arc<Template>>,
}

impl Library {
    /// Loads what a mix names.
    ///
    /// # Errors
    /// When the mix names a recording that is not there, or one can't be read.
    pub(super) fn for_mix(mix: &[MixEntry]) -> Result<Self, SimError> {
        let text = unpack()?;
        let parts = split(&text)?;
        let mut templates = BTreeMap::new();
        for entry in mix {
            let trace_name = entry.recording.split('/').next().unwrap_or_default();
            if !templates.contains_key(&entry.recording) {
                let Some((head, lines)) = parts.iter().find(|(head, _)| head.recording == trace_name) else {
                    return Err(unknown(&entry.recording, parts.iter().map(|(h, _)| h.recording.clone())));
                };
                templates.extend(compile(head, lines)?);
            }
        }
        let library = Self { templates };
        for entry in mix {
            if library.get(&entry.recording).is_empty() {
                return Err(unknown(&entry.recording, library.templates.keys().cloned()));
            }
        }
        Ok(library)
    }

    /// Loads one more.
    ///
    /// # Errors
    /// As `for_mix`.
    pub(super) fn add(&mut self, entry: &MixEntry) -> Result<(), SimError> {
        self.templates.extend(Self::for_mix(std::slice::from_ref(entry))?.templates);
        Ok(())
    }

    /// The calls that go by this name: one, or all of a trace.
    pub(super) fn get(&self, name: &str) -> Vec<Arc<Template>> {
        let of_trace = |key: &str| key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        self.templates.iter().filter(|(key, _)| of_trace(key)).map(|(_, t)| t.clone()).collect()
    }
}

/// Every recording's name, in order.
///
/// # Errors
/// When the packed recordings can't be read (a fault of the build).
pub fn names() -> Result<Vec<String>, SimError> {
    Ok(split(&unpack()?)?.into_iter().map(|(head, _)| head.recording).collect())
}

fn unknown(name: &str, known: impl Iterator<Item = String>) -> SimError {
    SimError::UnknownRecording { name: name.to_owned(), known: known.collect::<Vec<_>>().join(", ") }
}

fn unpack() -> Result<String, SimError> {
    let mut text = String::new();
    flate2::read::GzDecoder::new(PACKED)
        .read_to_string(&mut text)
        .map_err(|source| SimError::Io { what: "the packed recordings can't be read".to_owned(), source })?;
    Ok(text)
}

/// The packed text as heads and the lines below each.
fn split(text: &str) -> Result<Vec<(Head, &str)>, SimError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
        let head: Head = serde_json::from_str(line)
            .map_err(|e| SimError::Trace(format!("{e} in the head line {}", super::short(line))))?;
        let end = below.find("\n{\"recording\"").map_or(below.len(), |i| i + 1);
        parts.push((head, &below[..end]));
        rest = &below[end..];
    }
    Ok(parts)
}

/// The calls of one trace, ready to be played.
fn compile(head: &Head, lines: &str) -> Result<Vec<(String, Arc<Template>)>, SimError> {
    let calls = trace::cut(trace::read(lines)?);
    let count = calls.len();
    let mut compiled = Vec::with_capacity(count);
    for (index, call) in calls.into_iter().enumerate() {
        let name = if count == 1 { head.recording.clone() } else { format!("{}/{}", head.recording, index + 1) };
        // A trace's rows stand in the order of its calls; a call alone in its trace can be several rows (an
        // attended transfer leaves two).
        let expected = match count {
            1 => head.calls.clone(),
            n if n == head.calls.len() => vec![head.calls[index].clone()],
            n => {
                let rows = head.calls.len();
                return Err(SimError::Trace(format!("{name}: {n} calls were cut, but {rows} rows are expected")));
            }
        };
        compiled.push((name.clone(), Arc::new(Template::new(&name, &head.app, &call, &head.continues, expected)?)));
    }
    Ok(compiled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::fmt::Write as _;
    use std::io::Write as _;
    use std::path::Path;

    /// The traces that are one unbroken stream of everything, with their rows known.
    const RECORDED: &[&str] = &[
        "abandoned",
        "answered",
        "attended_transfer",
        "blind_transfer",
        "blind_transfer_by_caller",
        "bridge3",
        "busy",
        "callee_hangs_up",
        "channelvars_answered",
        "channelvars_attended_transfer",
        "click_to_call",
        "click_to_call_dialplan",
        "click_to_call_failures",
        "click_to_call_originate2",
        "dtmf",
        "hold",
        "local_channels",
        "noanswer",
        "nonexistent",
        "plain_dial",
        "playback",
        "queue_local_agent",
        "queue_retry_abandon",
        "queue_ringall",
        "recording",
        "rejected",
        "snoop",
        "unreachable",
    ];

    fn pack(dir: &Path) -> String {
        let mut packed = String::new();
        for name in RECORDED {
            let truth = std::fs::read_to_string(dir.join("truth").join(format!("{name}.json"))).unwrap();
            let truth: Value = serde_json::from_str(&truth).unwrap();
            let continues = truth["rest"].as_array().unwrap().iter().filter_map(|command| {
                let channel = command["path"].as_str()?.strip_prefix("/channels/")?.strip_suffix("/continue")?;
                Some(Continue { at: command["at"].as_f64()?, channel: channel.to_owned() })
            });
            let head = Head {
                recording: (*name).to_owned(),
                app: truth["app"].as_str().unwrap().to_owned(),
                calls: serde_json::from_value(truth["calls"].clone()).unwrap(),
                continues: continues.collect(),
            };
            let lines = std::fs::read_to_string(dir.join(format!("{name}.jsonl"))).unwrap();
            writeln!(packed, "{}\n{}", serde_json::to_string(&head).unwrap(), lines.trim_end()).unwrap();
        }
        packed
    }

    #[test]
    fn recordings_are_the_traces() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packed = pack(&root.join("tests/traces"));
        if std::env::var_os("UPDATE_RECORDINGS").is_some() {
            let file = std::fs::File::create(root.join("src/sim/recordings/recordings.jsonl.gz")).unwrap();
            let mut gz = flate2::GzBuilder::new().mtime(0).write(file, flate2::Compression::best());
            gz.write_all(packed.as_bytes()).unwrap();
            gz.finish().unwrap();
            return;
        }
        assert!(unpack().unwrap() == packed, "run this test once with UPDATE_RECORDINGS=1, then build again");
    }

    #[test]
    fn every_recording_is_cut_into_the_calls_of_its_truth() {
        let all: Vec<MixEntry> = names().unwrap().iter().map(|n| MixEntry::new(n, 1)).collect();
        assert_eq!(all.len(), RECORDED.len());
        let library = Library::for_mix(&all).unwrap();
        let found: Vec<String> = library
            .templates
            .iter()
            .map(|(n, t)| format!("{n} {}", t.expected.len()))
            .filter(|l| l.contains('/'))
            .collect();
        assert_eq!(
            found,
            [
                "click_to_call_failures/1 1",
                "click_to_call_failures/2 1",
                "click_to_call_failures/3 1",
                "click_to_call_failures/4 1",
                "dtmf/1 1",
                "dtmf/2 1",
                "local_channels/1 1",
                "local_channels/2 1",
                "queue_local_agent/1 1",
                "queue_local_agent/2 1",
                "unreachable/1 1",
                "unreachable/2 1",
            ]
        );
        assert_eq!(library.get("attended_transfer")[0].expected.len(), 2);
        assert_eq!(library.get("dtmf").len(), 2);
        assert_eq!(library.get("dtmf/2").len(), 1);
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_with_those_that_are() {
        let error = Library::for_mix(&[MixEntry::new("lunch", 1)]).err().unwrap().to_string();
        assert!(error.contains("'lunch'") && error.contains("attended_transfer"), "{error}");
        assert!(Library::for_mix(&[MixEntry::new("dtmf/9", 1)]).is_err());
    }
}
