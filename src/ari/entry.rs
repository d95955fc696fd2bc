//! The journal's lines: one JSON object a line, the format of the recorded traces.
//!
//! `{"at": 1795352366.307291, "event": {...}}`, the event as Asterisk sent it, on one line; instead of
//! `event` also `gap`, `snapshot`, `command`, `reply`, `bad`. `at` is the receipt time by this machine's
//! clock, in seconds since 1970. A reader keeps going at a line whose kind it does not know.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::Timestamp;

/// One line of the journal, borrowed from its text.
#[derive(Debug, Deserialize)]
pub struct Line<'a> {
    /// Receipt time by this machine's clock, in seconds since 1970.
    pub at: f64,
    /// A frame from Asterisk, exactly as it came (whitespace between tokens apart).
    #[serde(borrow, default)]
    pub event: Option<&'a RawValue>,
    /// A span in which nothing could be heard; the line's `at` is its end.
    #[serde(default)]
    pub gap: Option<Gap>,
    /// What Asterisk's REST showed after a connect.
    #[serde(borrow, default)]
    pub snapshot: Option<&'a RawValue>,
    /// A request of ours that changes something, before it was sent.
    #[serde(default)]
    pub command: Option<Command>,
    /// What came back for a command.
    #[serde(default)]
    pub reply: Option<Reply>,
    /// A frame that could not be kept as an event.
    #[serde(default)]
    pub bad: Option<BadFrame>,
}

impl Line<'_> {
    /// Receipt time.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_secs_f64(self.at)
    }
}

/// A span in which nothing could be heard from a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// The last moment at which we know that we heard everything, seconds since 1970, this machine's clock.
    pub since: f64,
    /// Why, for people: `socket closed`, `service was not running` ...
    pub reason: String,
}

impl Gap {
    /// When it began: never after its end `until`, also when the clock was set back meanwhile.
    pub fn begin(&self, until: Timestamp) -> Timestamp {
        Timestamp::from_secs_f64(self.since).min(until)
    }
}

/// What `GET /channels`, `GET /bridges` and channel variables showed.
#[derive(Debug, Deserialize)]
pub struct Snapshot<'a> {
    /// Every channel object.
    #[serde(borrow)]
    pub channels: Vec<&'a RawValue>,
    /// Every bridge object.
    #[serde(borrow)]
    pub bridges: Vec<&'a RawValue>,
    /// By channel id: variables read for it (`CDR(answer,u)`, `CHANNEL(linkedid)`, ...). Absent in old traces.
    #[serde(default)]
    pub variables: std::collections::BTreeMap<String, std::collections::BTreeMap<String, String>>,
    /// Asterisk's clock when it was taken (its HTTP `Date` header), seconds since 1970.
    #[serde(default)]
    pub asterisk_at: Option<f64>,
}

/// A request of ours that changes something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// Ties the reply to it; unique in a journal.
    pub id: String,
    /// HTTP method.
    pub method: String,
    /// Path below the ARI root, ids percent-encoded: `/channels/1795352366.0/continue`.
    pub path: String,
    /// Query parameters in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// JSON body, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// The channel or bridge it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// Who asked: `rule:continue`, `connection`, later a user.
    pub who: String,
}

/// What came back for a command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The command's id.
    pub id: String,
    /// HTTP status; 0 when none came (unreachable, timed out).
    pub status: u16,
    /// The outcome in one word, as `ari::outcome` names them.
    pub outcome: String,
    /// Milliseconds from sending to the answer.
    pub ms: f64,
    /// The answer's body, cut to a sensible length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// A frame that could not be kept as an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BadFrame {
    /// What was wrong with it.
    pub reason: String,
    /// Its length in bytes.
    pub length: usize,
    /// Its beginning, with whatever was no UTF-8 replaced.
    pub sample: String,
}

/// Writes one line for an event frame, with its line end, to `out`. `frame` is JSON text as Asterisk sent it;
/// line breaks in it (Asterisk's `pretty = yes`) are whitespace between tokens, as a raw one can't stand
/// inside a JSON string, and become blanks so that the entry stays one line.
pub fn write_event(out: &mut Vec<u8>, at: f64, frame: &str) {
    out.extend_from_slice(b"{\"at\": ");
    write_seconds(out, at);
    out.extend_from_slice(b", \"event\": ");
    if memchr::memchr2(b'\n', b'\r', frame.as_bytes()).is_some() {
        out.extend(frame.bytes().map(|b| if b == b'\n' || b == b'\r' { b' ' } else { b }));
    } else {
        out.extend_from_slice(frame.as_bytes());
    }
    out.extend_from_slice(b"}\n");
}

/// Seconds with six decimals. By hand, since this stands before every event: the formatter takes ten times as long.
fn write_seconds(out: &mut Vec<u8>, at: f64) {
    use std::io::Write;
    let micros = (at * 1e6).round();
    // Beyond 2^53 neighbouring numbers are no longer whole microseconds.
    if !(0.0..9e15).contains(&micros) {
        // Writing to a Vec can't fail.
        let _ = write!(out, "{at:.6}");
        return;
    }
    let mut left = micros as u64;
    let mut text = [b'0'; 24];
    let mut first = text.len();
    for place in 0.. {
        if place == 6 {
            first -= 1;
            text[first] = b'.';
        }
        if place > 6 && left == 0 {
            break;
        }
        first -= 1;
        text[first] = b'0' + (left % 10) as u8;
        left /= 10;
    }
    out.extend_from_slice(&text[first..]);
}

/// Writes one line of another kind (`gap`, `snapshot`, `command`, `reply`, `bad`), with its line end, to `out`.
///
/// # Errors
/// When `body` can't be written as JSON; nothing is added to `out` then.
pub fn write_entry<T: Serialize>(out: &mut Vec<u8>, at: f64, kind: &str, body: &T) -> Result<(), serde_json::Error> {
    use std::io::Write;
    let text = serde_json::to_string(body)?;
    let _ = writeln!(out, "{{\"at\": {at:.6}, \"{kind}\": {text}}}");
    Ok(())
}

/// How much of a frame that could not be kept its sample holds, bytes.
pub const SAMPLE_BYTES: usize = 256;

/// A sample of a frame that could not be kept: its first [`SAMPLE_BYTES`] as text.
pub fn sample(bytes: &[u8]) -> String {
    let cut: Cow<'_, str> = String::from_utf8_lossy(&bytes[..bytes.len().min(SAMPLE_BYTES)]);
    cut.into_owned()
}

#[cfg(test)]
mod tests {
    use super::write_seconds;

    #[test]
    fn seconds_are_written_as_the_formatter_does() {
        for at in [0.0, 0.000_001, 0.5, 1.0, 9.999_999, 1_795_352_366.307_291, 8_999_999_999.5, -1.25, 1e18, f64::NAN] {
            let mut out = Vec::new();
            write_seconds(&mut out, at);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{at:.6}"));
        }
    }
}
