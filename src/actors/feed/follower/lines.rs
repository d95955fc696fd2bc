//! Entries as the lines of an `append`. A feed closes the connection at a request that it can't read, and what has no
//! answer is sent again: so what would break a request is noted as a bad frame in its place.

use serde_json::value::RawValue;
use tracing::warn;

use crate::actors::feed::wire::MAX_LINE_BYTES;
use crate::actors::journal::{entry_line, frame_lines};
use crate::actors::messages::{AppendEntry, EntryBody, Frame, FrameBody};
use crate::ari::entry::{BadFrame, sample};
use crate::model::NodeId;

/// Bytes of the lines of one request. What the longest line has above that is for the request's head, and for a note of
/// each frame that one message of the connection can have (256, a sample of 256 bytes each).
const ROOM: usize = MAX_LINE_BYTES - 1024 * 1024;

/// Frames as lines.
///
/// # Errors
/// When a note can't be written as JSON.
pub(super) fn of_frames(node: &NodeId, frames: &[Frame], max_bytes: usize) -> Result<Vec<u8>, serde_json::Error> {
    let mut lines = Vec::new();
    for frame in frames {
        let line = frame_lines(std::slice::from_ref(frame), max_bytes);
        let note = if lines.len() + line.len() > ROOM {
            Some(too_long(node, line.len()))
        } else {
            // The frame by itself: `{}, "gap": {}` would make a line that is JSON, and says something else.
            text_of(frame, max_bytes).and_then(|text| serde_json::from_str::<&RawValue>(text).err()).map(|error| {
                // Counted, and kept with its sample, where the journal is read.
                format!("no JSON object: {error}")
            })
        };
        match note {
            Some(reason) => lines.extend(noted(frame.at, reason, frame.body.came(), bytes_of(frame))?),
            None => lines.extend(line),
        }
    }
    Ok(lines)
}

/// Another entry as a line.
///
/// # Errors
/// When it can't be written as JSON.
pub(super) fn of_entry(node: &NodeId, entry: &AppendEntry) -> Result<Vec<u8>, serde_json::Error> {
    let line = entry_line(entry)?;
    if line.len() <= ROOM {
        return Ok(line);
    }
    noted(entry.at, too_long(node, line.len()), line.len(), &line)
}

/// The text of a frame that becomes an event.
fn text_of(frame: &Frame, max_bytes: usize) -> Option<&str> {
    match &frame.body {
        FrameBody::Text(text) if text.len() <= max_bytes => Some(text),
        FrameBody::Text(_) | FrameBody::Binary(_) | FrameBody::TooLong { .. } => None,
    }
}

fn bytes_of(frame: &Frame) -> &[u8] {
    match &frame.body {
        FrameBody::Text(text) => text.as_bytes(),
        FrameBody::Binary(bytes) | FrameBody::TooLong { begin: bytes, .. } => bytes,
    }
}

fn too_long(node: &NodeId, bytes: usize) -> String {
    let reason = format!("longer than the feed process takes in one request ({ROOM} bytes)");
    warn!(%node, bytes, "an entry is given up and noted as bad: it is {reason}");
    reason
}

fn noted(at: f64, reason: String, length: usize, bytes: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    entry_line(&AppendEntry { at, entry: EntryBody::Bad(BadFrame { reason, length, sample: sample(bytes) }) })
}
