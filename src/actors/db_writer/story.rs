//! A call's life in the log, as a story.

use tracing::{Level, event};

use crate::actors::batch::Stream;
use crate::call::{CallChange, CallRow, ChangeKind};
use crate::db::gaps::GapRow;

/// Tells one change: at `info` what happens now, at `debug` what a recording replays.
pub(super) fn tell(stream: &Stream, change: &CallChange, row: Option<&CallRow>) {
    if &*stream.name == super::JOURNAL {
        tell_at(true, stream, change, row);
    } else {
        tell_at(false, stream, change, row);
    }
}

macro_rules! say {
    ($now:expr, $($rest:tt)+) => {
        if $now { event!(Level::INFO, $($rest)+) } else { event!(Level::DEBUG, $($rest)+) }
    };
}

/// Tells of a gap that was committed. What a recording replays is no news.
pub(super) fn gap(gap: &GapRow) {
    let now = gap.stream == super::JOURNAL;
    let (node, calls_touched, length) = (&gap.node, gap.calls_touched, seconds(Some(gap.until.since(gap.since))));
    say!(now, %node, calls_touched, since = %gap.since, "gap of {length} recorded ({}), {calls_touched} calls touched", gap.reason);
}

fn tell_at(now: bool, stream: &Stream, change: &CallChange, row: Option<&CallRow>) {
    let (node, call) = (&stream.node, &change.uid);
    let Some(row) = row else {
        let into = change.survivor.as_deref().unwrap_or("another");
        say!(now, %node, %call, "call {call} is part of call {into}");
        return;
    };
    let shown = |number: &Option<String>| number.clone().unwrap_or_else(|| "?".into());
    let (from, to) = (shown(&row.caller_number), shown(&row.dialed_number));
    match change.kind {
        ChangeKind::Started => say!(now, %node, %call, "new call {from} -> {to}, channel {}", channel_of(call)),
        ChangeKind::Ringing => say!(now, %node, %call, "{from} -> {to}: ringing"),
        ChangeKind::Answered => {
            let by = row.callee_number.clone().or(row.answered_kind.map(|k| k.to_string())).unwrap_or_default();
            say!(now, %node, %call, "{from} -> {to}: answered by {by} after {}", seconds(row.wait_ms));
        }
        ChangeKind::Transferred => {
            say!(now, %node, %call, "{from} -> {to}: transferred to {}", shown(&row.callee_number))
        }
        ChangeKind::Ended => {
            let total = row.ended_at.map(|end| end.since(row.started_at));
            let by = row.ended_by.map_or("nobody", |by| by.as_str());
            say!(
                now, %node, %call, cause = row.cause, incomplete = row.incomplete,
                "{from} -> {to}: ended, {}, {} in all, {} of talk, by {by}", row.status, seconds(total), seconds(row.talk_ms)
            );
        }
        ChangeKind::Updated | ChangeKind::Merged => {}
    }
}

fn seconds(ms: Option<i64>) -> String {
    let ms = ms.unwrap_or(0);
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// The origin's channel id in a uid: `node/channel/milliseconds`.
fn channel_of(uid: &str) -> &str {
    let rest = uid.split_once('/').map_or(uid, |(_, rest)| rest);
    rest.rsplit_once('/').map_or(rest, |(id, _)| id)
}
