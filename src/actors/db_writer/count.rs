//! What a committed transaction adds to the metrics: one lock a transaction, one look-up an event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::DbWriter;
use super::prepare::Prepared;
use crate::actors::batch::WriteBatch;
use crate::actors::messages::wall_clock;
use crate::actors::tally::{NodeTally, OTHER, SharedTally, Tally};
use crate::call::ChangeKind;
use crate::model::NodeId;

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
        match told.change.kind {
            ChangeKind::Started => node.started += 1,
            ChangeKind::Ended => {
                if let Some(row) = &told.row {
                    *node.ended.entry(row.status).or_default() += 1;
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
