//! What a committed transaction adds to the metrics: one lock a transaction, one look-up an event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::DbWriter;
use super::prepare::Prepared;
use crate::actors::batch::WriteBatch;
use crate::actors::messages::wall_clock;
use crate::actors::tally::{MAX_TRUNKS, NodeTally, OTHER, SharedTally, Tally};
use crate::call::{CallRow, ChangeKind};
use crate::model::{Direction, NodeId, Status};

impl DbWriter {
    /// The same writer, counting into this tally.
    #[must_use]
    pub fn counting(self, tally: SharedTally) -> Self {
        Self { tally, ..self }
    }

    /// How many calls are open, by node.
    pub(super) fn open_by_node(&self) -> BTreeMap<NodeId, usize> {
        let mut open: BTreeMap<NodeId, usize> = BTreeMap::new();
        for (stream, state) in &self.streams {
            *open.entry(stream.node.clone()).or_default() += state.book.open_calls();
        }
        open
    }

    /// Adds a transaction that has just been committed and took so long.
    pub(super) fn count(&self, prepared: &Prepared, took: Duration) {
        add(&mut self.tally.lock(), prepared, took);
    }
}

fn add(tally: &mut Tally, prepared: &Prepared, took: Duration) {
    let now = wall_clock();
    if prepared.writes() {
        tally.commit.observe(took.as_secs_f64());
    }
    if prepared.events() > 0 {
        tally.batch.observe(prepared.events() as f64);
    }
    for (batch, written) in prepared.written() {
        events(tally.node(&batch.stream.node), batch, written, now);
    }
    for gap in prepared.gaps() {
        super::story::gap(gap);
        let node = tally.node(&gap.node);
        if gap.sample.is_some() {
            node.bad_frames += 1;
        } else {
            node.gaps += 1;
            node.gap_seconds += (gap.until.secs_f64() - gap.since.secs_f64()).max(0.0);
        }
    }
    for told in prepared.told() {
        let node = tally.node(&told.stream.node);
        if let Some(row) = told.row.as_ref().filter(|row| row.direction == Some(Direction::Inbound)) {
            node.last_inbound = node.last_inbound.max(Some(row.started_at));
        }
        match told.change.kind {
            ChangeKind::Started => node.started += 1,
            ChangeKind::Ended => {
                if let Some(row) = &told.row {
                    *node.ended.entry(row.status).or_default() += 1;
                    trunk(node, row);
                }
            }
            ChangeKind::Ringing
            | ChangeKind::Answered
            | ChangeKind::Transferred
            | ChangeKind::Updated
            | ChangeKind::Merged => {}
        }
    }
}

/// Counts an ended outbound call for its trunk. An inbound one has come through: what fails then is behind it.
fn trunk(node: &mut NodeTally, row: &CallRow) {
    let Some(trunk) = row.trunk.as_ref().filter(|_| row.direction == Some(Direction::Outbound)) else { return };
    if node.trunks.len() >= MAX_TRUNKS && !node.trunks.contains_key(trunk) {
        return;
    }
    let count = node.trunks.entry(trunk.clone()).or_default();
    count.ended += 1;
    count.failed += u64::from(is_trunks_failure(row.status, row.cause));
}

/// Whether the way failed and not the people: no busy, no unanswered, no refused call and no wrong number. A provider that
/// refuses our login can't be told from a person who refuses: both are cause 21.
fn is_trunks_failure(status: Status, cause: Option<i32>) -> bool {
    match status {
        // Q.850: 1 unallocated number, 28 its format is wrong.
        Status::Failed => !matches!(cause, Some(1 | 28)),
        Status::Ringing
        | Status::Active
        | Status::Answered
        | Status::NoAnswer
        | Status::Busy
        | Status::Abandoned
        | Status::Rejected => false,
    }
}

/// The first `written` events of a batch.
fn events(node: &mut NodeTally, batch: &WriteBatch, written: usize, now: f64) {
    let mut kinds: FxHashMap<&'static str, u64> = FxHashMap::default();
    for event in batch.events.iter().take(written) {
        let kind = match event.kind {
            Cow::Borrowed(known) => known,
            Cow::Owned(_) => OTHER,
        };
        *kinds.entry(kind).or_default() += 1;
        node.received.observe(now - event.received.secs_f64());
        node.happened.observe(now - event.at.secs_f64());
    }
    for (kind, events) in kinds {
        *node.events.entry(kind).or_default() += events;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_way_itself_is_a_trunks_failure() {
        for (status, cause, expected) in [
            // 503 and 500 of a provider (34, 38), no route (3).
            (Status::Failed, Some(34), true),
            (Status::Failed, Some(38), true),
            (Status::Failed, Some(3), true),
            (Status::Failed, Some(1), false),
            (Status::Failed, Some(28), false),
            (Status::Rejected, Some(21), false),
            (Status::Busy, Some(17), false),
            (Status::NoAnswer, Some(19), false),
            (Status::Answered, Some(16), false),
        ] {
            assert_eq!(is_trunks_failure(status, cause), expected, "{status} {cause:?}");
        }
    }
}
