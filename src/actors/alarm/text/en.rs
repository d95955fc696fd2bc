//! English.

use super::{Words, span};
use crate::actors::alarm::event::{Alarm, Detail, Gaps, Kind};

/// See [`Words`].
pub(super) struct En;

impl Words for En {
    const MARKS: [&'static str; 3] = ["ALARM", "REMINDER", "OVER"];
    const MOMENT: &'static str = "%Y-%m-%d %H:%M:%S";
    const SINCE: &'static str = "Since";

    fn more(count: usize) -> String {
        format!("(and {count} more)")
    }

    fn span(seconds: f64) -> String {
        span(seconds, ["d", "h", "min", "s"])
    }

    fn alarm(alarm: &Alarm) -> (String, String) {
        let (node, subject) = (&alarm.key.node, &alarm.key.subject);
        let detail = detail(&alarm.detail);
        match alarm.key.kind {
            Kind::AsteriskUnreachable => (
                format!("no connection to Asterisk '{node}'"),
                format!(
                    "{detail}\nFor calls: if Asterisk runs, they go on by its dialplan, but none is recorded until the \
                     connection is back; if it doesn't run, nobody can call.\nFirst: see whether Asterisk runs \
                     (systemctl status asterisk), then run: callcenter doctor"
                ),
            ),
            Kind::NoInbound => (
                "no inbound calls".to_owned(),
                format!(
                    "{detail}\nFor calls: customers may not get through.\nFirst: call your own number from outside. If that \
                     fails, look at the trunk (asterisk -rx 'pjsip show registrations') and ask the provider."
                ),
            ),
            Kind::TrunkFailures => (
                format!("outbound calls through trunk {subject} of '{node}' fail"),
                format!(
                    "{detail} Busy, unanswered and refused calls and wrong numbers are no failures.\nFor calls: many don't get through this \
                     trunk.\nFirst: asterisk -rx 'pjsip show endpoints', then the provider: registration, balance, number \
                     of lines."
                ),
            ),
            Kind::DiskLow => (
                format!("little room on the disk of the {subject}"),
                format!(
                    "{detail}\nFor calls: they go on. When the disk is full nothing is recorded any more, and a gap \
                     stays.\nFirst: find what grows (df -h; du -xh / | sort -h | tail) and make room."
                ),
            ),
            Kind::WriterBehind => (
                format!("the database is behind for '{node}'"),
                format!(
                    "{detail}\nFor calls: they go on. What is heard waits in the journal, so nothing is lost until that is \
                     full; calls appear late in the database.\nFirst: run: callcenter doctor. Usual reasons: a full or \
                     slow disk, another program that keeps the database locked."
                ),
            ),
        }
    }

    fn cleared(alarm: &Alarm, lasted: &str) -> String {
        let rest = match alarm.key.kind {
            Kind::AsteriskUnreachable => "The connection is back. What was missed in between is a gap in the records.",
            Kind::NoInbound => "An inbound call came.",
            Kind::TrunkFailures => "Calls get through again.",
            Kind::DiskLow => "There is room again.",
            Kind::WriterBehind => "Everything that was heard is in the database.",
        };
        format!("It lasted {lasted}. {rest}")
    }

    fn gaps(gaps: &Gaps, from: &str, to: &str) -> (String, String) {
        let nodes = gaps.nodes.iter().cloned().collect::<Vec<_>>().join(", ");
        let reasons = gaps.reasons.iter().cloned().collect::<Vec<_>>().join("; ");
        let (what, all) = match gaps.count {
            1 => ("a gap".to_owned(), Self::span(gaps.seconds)),
            many => (format!("{many} gaps"), format!("{} altogether", Self::span(gaps.seconds))),
        };
        let body = format!(
            "From {from} to {to}, {all}: {reasons}.\nFor calls: they went on in Asterisk. {} known calls were touched and are \
             marked incomplete; calls that ran wholly inside are missing.\nFirst: nothing urgent. If it comes again, run: \
             callcenter doctor. The table `gaps` has each one.",
            gaps.calls
        );
        (format!("GAP: {what} in the records of '{nodes}'"), body)
    }

    fn test() -> (String, String) {
        let body =
            "This message was sent by `callcenter alarms test`. Alarms will come this way. Nothing has happened.";
        ("TEST: alarms arrive".to_owned(), body.to_owned())
    }
}

fn detail(detail: &Detail) -> String {
    match detail {
        Detail::Error(error) => format!("What it says: {error}."),
        Detail::Minutes(minutes) => format!("For {minutes} minutes of working time no call came from outside."),
        Detail::Calls { ended, failed } => format!("{failed} of its last {ended} calls failed."),
        Detail::Free { mb, folder } => format!("{mb} MiB are free ({folder})."),
        Detail::Behind { seconds, error: None } => format!("It is behind by {} or more.", En::span(*seconds as f64)),
        Detail::Behind { seconds, error: Some(error) } => {
            format!("It is behind by {} or more, since it takes nothing: {error}.", En::span(*seconds as f64))
        }
    }
}
