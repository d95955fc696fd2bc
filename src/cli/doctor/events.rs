//! Finding the event that a call has entered the application, and what stood before it in the dialplan.
//!
//! Asterisk reports each dialplan application with its arguments worked out (22.10.1): of
//! `GotoIf($[${EPOCH} - 0${CALLCENTER_ALIVE} > 3]?direct)` comes `0?direct`. So a condition can be seen, its variable can't.

use std::collections::VecDeque;

use crate::ari::bodies::ChannelDialplan;
use crate::ari::entry::Line;
use crate::ari::event::{Event, decode};

/// A channel that entered the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entered {
    /// The channel's id.
    pub(super) channel: String,
    /// For people: `PJSIP/100-00000002, from 100, dialled 101 in context internal`.
    pub(super) shown: String,
    /// What stood before `Stasis`.
    pub(super) way: Way,
}

/// How a call came to `Stasis`, by the extension that holds that line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Past this condition: `GotoIf(0?direct)`.
    Condition(String),
    /// No condition stands before it.
    Straight,
    /// The steps before it were not seen.
    Unseen,
}

/// Steps in the dialplan that are remembered, of all channels: a call needs milliseconds from a condition to `Stasis`.
const MAX_STEPS: usize = 1_024;
/// Characters of a condition that are shown.
const MAX_SHOWN: usize = 80;

/// A step of a channel in the dialplan.
struct Step {
    channel: String,
    context: String,
    exten: String,
    what: What,
}

#[derive(Clone, PartialEq, Eq)]
enum What {
    Condition(String),
    Stasis,
    Other,
}

/// Looks at one frame after the other for calls that enter `app`.
pub(super) struct Watch {
    app: String,
    steps: VecDeque<Step>,
}

impl Watch {
    /// Nothing was seen yet.
    pub(super) fn new(app: &str) -> Self {
        Self { app: app.to_owned(), steps: VecDeque::new() }
    }

    /// The call that entered with this frame; `None` for any other. A search of the text first: nearly every frame is
    /// another.
    pub(super) fn frame(&mut self, frame: &str) -> Option<Entered> {
        if !frame.contains("StasisStart") && !frame.contains("ChannelDialplan") {
            return None;
        }
        let frame = decode(frame).ok().filter(|frame| frame.application == self.app.as_str())?;
        if let Event::ChannelDialplan(step) = &frame.event {
            self.step(step);
        }
        let Event::StasisStart(start) = frame.event else { return None };
        let channel = &start.channel;
        let from = if channel.caller.number.is_empty() { "an unknown number" } else { &channel.caller.number };
        let at = &channel.dialplan;
        let shown = format!("{}, from {from}, dialled {} in context {}", channel.name, at.exten, at.context);
        Some(Entered { channel: channel.id.to_string(), shown, way: self.way(&channel.id, &at.context, &at.exten) })
    }

    /// The same with a line of the journal.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<Entered> {
        let line = std::str::from_utf8(line).ok()?;
        if !line.contains("StasisStart") && !line.contains("ChannelDialplan") {
            return None;
        }
        self.frame(serde_json::from_str::<Line<'_>>(line).ok()?.event?.get())
    }

    fn step(&mut self, step: &ChannelDialplan<'_>) {
        if self.steps.len() >= MAX_STEPS {
            self.steps.pop_front();
        }
        let data = || step.dialplan_app_data.chars().take(MAX_SHOWN).collect::<String>();
        let what = match &*step.dialplan_app {
            "GotoIf" | "ExecIf" => What::Condition(format!("{}({})", step.dialplan_app, data())),
            "Stasis" => What::Stasis,
            _ => What::Other,
        };
        let at = &step.channel.dialplan;
        self.steps.push_back(Step {
            channel: step.channel.id.to_string(),
            context: at.context.to_string(),
            exten: at.exten.to_string(),
            what,
        });
    }

    /// Only the extension that holds `Stasis` counts: a large dialplan asks many other things before.
    fn way(&self, channel: &str, context: &str, exten: &str) -> Way {
        let here = |step: &&Step| step.channel == channel && step.context == context && step.exten == exten;
        let mut before = self.steps.iter().rev().filter(here);
        let condition = before.clone().find_map(|step| match &step.what {
            What::Condition(shown) => Some(shown.clone()),
            What::Stasis | What::Other => None,
        });
        match condition {
            Some(shown) => Way::Condition(shown),
            // StasisStart may overtake the steps before it, which keep their own order.
            None if before.any(|step| step.what == What::Stasis) => Way::Straight,
            None => Way::Unseen,
        }
    }
}

/// Whether the frame says that another client took `app`.
pub(super) fn replaced(frame: &str, app: &str) -> bool {
    frame.contains("ApplicationReplaced")
        && decode(frame).is_ok_and(|f| f.kind == "ApplicationReplaced" && f.application == app)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(trace: &str, app: &str) -> Vec<Entered> {
        let mut watch = Watch::new(app);
        trace.lines().filter_map(|line| watch.line(line.as_bytes())).collect()
    }

    #[test]
    fn a_recorded_call_enters_its_own_application_only() {
        let trace = include_str!("../../../tests/traces/answered.jsonl");
        let calls = found(trace, "callcenter-app");
        let [entered] = calls.as_slice() else { panic!("{calls:?}") };
        assert!(entered.shown.contains("from 100, dialled 101 in context internal"), "{entered:?}");
        assert_eq!(entered.way, Way::Straight);
        assert_eq!(found(trace, "other"), []);
        let starts: String = trace.lines().filter(|line| line.contains("StasisStart")).collect();
        assert_eq!(found(&starts, "callcenter-app")[0].way, Way::Unseen);
    }

    /// Steps `context application(arguments)` of one channel, as Asterisk 22.10.1 reports them.
    fn way(steps: &[(&str, &str, &str)], start: &str) -> Way {
        let event = |kind: &str, context: &str, app: &str, data: &str| {
            serde_json::json!({
                "type": kind, "timestamp": "2026-11-23T02:31:33.000+0000", "application": "cc", "asterisk_id": "a",
                "args": [], "dialplan_app": app, "dialplan_app_data": data,
                "channel": {
                    "id": "1.1", "name": "PJSIP/100-1", "state": "Up", "caller": {"name": "", "number": "100"},
                    "connected": {"name": "", "number": ""}, "accountcode": "", "language": "en",
                    "creationtime": "2026-11-23T02:31:33.000+0000",
                    "dialplan": {"context": context, "exten": "101", "priority": 3, "app_name": app, "app_data": data},
                },
            })
            .to_string()
        };
        let mut watch = Watch::new("cc");
        for (context, app, data) in steps {
            assert_eq!(watch.frame(&event("ChannelDialplan", context, app, data)), None);
        }
        watch.frame(&event("StasisStart", start, "Stasis", "cc,101")).unwrap().way
    }

    #[test]
    fn a_condition_counts_in_the_extension_that_holds_stasis_only() {
        let (noop, guard, stasis) = (("in", "NoOp", "Call"), ("in", "GotoIf", "0?direct"), ("in", "Stasis", "cc,101"));
        let condition = |shown: &str| Way::Condition(shown.to_owned());
        assert_eq!(way(&[noop, guard, stasis], "in"), condition("GotoIf(0?direct)"));
        // ExecIf calls Stasis itself, which isn't reported as a step.
        assert_eq!(way(&[("in", "ExecIf", "1?Stasis(cc,101)")], "in"), condition("ExecIf(1?Stasis(cc,101))"));
        assert_eq!(way(&[noop, stasis], "in"), Way::Straight);
        assert_eq!(way(&[("other", "GotoIf", "0?x"), noop, stasis], "in"), Way::Straight);
        assert_eq!(way(&[noop], "in"), Way::Unseen);
        let many = [vec![guard], vec![noop; MAX_STEPS]].concat();
        assert_eq!(way(&many, "in"), Way::Unseen);
    }
}
