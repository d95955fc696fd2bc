//! Frames and entries as lines of the journal.

use super::Room;
use crate::actors::messages::{EntryBody, Frame, FrameBody};
use crate::ari::entry::{self, BadFrame};

/// Writes a frame's line: an `event`, or `bad` for what can't be one. Says whether it is an event.
pub(super) fn frame(out: &mut Vec<u8>, frame: &Frame, max_bytes: usize) -> bool {
    let (bytes, reason) = match &frame.body {
        FrameBody::Binary(bytes) => (bytes.as_ref(), "no UTF-8"),
        FrameBody::TooLong { begin, .. } => (begin.as_ref(), "longer than ari.max_frame_bytes"),
        FrameBody::Text(text) if text.len() > max_bytes => (text.as_bytes(), "longer than ari.max_frame_bytes"),
        FrameBody::Text(text) if !is_braced(text) => (text.as_bytes(), "no JSON object"),
        FrameBody::Text(text) => {
            entry::write_event(out, frame.at, text);
            return true;
        }
    };
    let bad = BadFrame { reason: reason.to_owned(), length: frame.body.came(), sample: entry::sample(bytes) };
    if let Err(error) = entry::write_entry(out, frame.at, "bad", &bad) {
        // Texts and a number can always be written as JSON.
        tracing::error!(%error, "a frame that could not be kept could not be noted");
    }
    false
}

/// Writes the line of an entry of our own.
///
/// # Errors
/// When it can't be written as JSON; nothing is added to `out` then.
pub(super) fn entry(out: &mut Vec<u8>, at: f64, body: &EntryBody) -> Result<(), serde_json::Error> {
    let start = out.len();
    match body {
        EntryBody::Gap(gap) => entry::write_entry(out, at, "gap", gap)?,
        EntryBody::Snapshot(snapshot) => entry::write_entry(out, at, "snapshot", snapshot)?,
        EntryBody::Command(command) => entry::write_entry(out, at, "command", command)?,
        EntryBody::Reply(reply) => entry::write_entry(out, at, "reply", reply)?,
        EntryBody::Bad(bad) => entry::write_entry(out, at, "bad", bad)?,
    }
    // A snapshot holds JSON as Asterisk wrote it, with `pretty = yes` over many lines. Raw line ends can't stand in a
    // JSON string, so these are between tokens.
    let end = out.len() - 1;
    for byte in &mut out[start..end] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    Ok(())
}

/// Which room above `journal.max_bytes` the entry may use.
pub(super) fn room(body: &EntryBody) -> Room {
    match body {
        EntryBody::Gap(_) | EntryBody::Command(_) | EntryBody::Reply(_) => Room::Small,
        EntryBody::Snapshot(_) => Room::Snapshot,
        EntryBody::Bad(_) => Room::Frames,
    }
}

/// Whether the text begins and ends as a JSON object does. What is between is for the reader to judge.
fn is_braced(text: &str) -> bool {
    let text = text.trim_ascii();
    text.starts_with('{') && text.ends_with('}')
}
