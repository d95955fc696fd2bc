//! Finding the event that a call has entered the application.

use crate::ari::entry::Line;
use crate::ari::event::{Event, decode};

/// A channel that entered the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    /// The channel's id.
    pub(super) channel: String,
    /// For people: `PJSIP/100-00000002, from 100, dialled 101 in context internal`.
    pub(super) shown: String,
}

/// What a frame says of `app`; `None` for any other event. A search of the text first: nearly every frame is another.
pub(super) fn entered(frame: &str, app: &str) -> Option<Entered> {
    if !frame.contains("StasisStart") {
        return None;
    }
    let frame = decode(frame).ok().filter(|frame| frame.application == app)?;
    let Event::StasisStart(start) = frame.event else { return None };
    let channel = &start.channel;
    let from = if channel.caller.number.is_empty() { "an unknown number" } else { &channel.caller.number };
    let at = &channel.dialplan;
    let shown = format!("{}, from {from}, dialled {} in context {}", channel.name, at.exten, at.context);
    Some(Entered { channel: channel.id.to_string(), shown })
}

/// Whether the frame says that another client took `app`.
pub(super) fn replaced(frame: &str, app: &str) -> bool {
    frame.contains("ApplicationReplaced")
        && decode(frame).is_ok_and(|f| f.kind == "ApplicationReplaced" && f.application == app)
}

/// The same in a line of the journal.
pub(super) fn entered_line(line: &[u8], app: &str) -> Option<Entered> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.contains("StasisStart"))?;
    entered(serde_json::from_str::<Line<'_>>(line).ok()?.event?.get(), app)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_call_enters_its_own_application_only() {
        let trace = include_str!("../../../tests/traces/answered.jsonl");
        let found: Vec<_> = trace.lines().filter_map(|l| entered_line(l.as_bytes(), "callcenter-app")).collect();
        let [entered] = found.as_slice() else { panic!("{found:?}") };
        assert!(entered.shown.contains("from 100, dialled 101 in context internal"), "{entered:?}");
        assert_eq!(trace.lines().filter_map(|l| entered_line(l.as_bytes(), "other")).count(), 0);
    }
}
