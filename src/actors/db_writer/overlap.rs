//! A batch that begins before the committed position and ends behind it.
//!
//! The registry cuts at the committed position, so this is a mistake in the program. It must not hold up the other
//! streams, nor lose what is new in the batch, nor write twice what isn't: the events before the position go, and
//! rows are whole each time and may be written again.

use rustc_hash::FxHashMap;
use tracing::error;

use super::DbWriter;
use super::prepare::{Prep, Prepared};
use crate::db::batch::WriteError;

impl DbWriter {
    /// Cuts the batch that a write failed at, if that was the reason; whether it did.
    pub(super) fn cut_overlap(&mut self, prepared: &mut Prepared, failure: &WriteError) -> bool {
        let WriteError::Straddles { node, stream, committed, .. } = failure else { return false };
        let Ok(committed) = u64::try_from(*committed) else { return false };
        let ours = |p: &&mut Prep| p.batch.stream.node.as_str() == node && *p.batch.stream.name == **stream;
        let at_fault = |p: &&mut Prep| p.from < committed && committed < p.batch.end;
        let Some(prep) = prepared.preps.iter_mut().filter(ours).find(at_fault) else { return false };
        let before = prep.seqs.len();
        prep.cut_at(committed);
        let events = before - prep.seqs.len();
        self.view.overlaps += 1;
        error!(%node, %stream, committed, events, "a batch overlapped what is committed; it was cut there: please report this");
        true
    }
}

impl Prep {
    /// Takes out what lies before this position of its stream.
    pub(super) fn cut_at(&mut self, position: u64) {
        self.from = position;
        let begin = self.batch.end.saturating_sub(self.batch.text.len() as u64);
        let mut gone = FxHashMap::default();
        let mut kept = Vec::with_capacity(self.seqs.len());
        let mut seqs = self.seqs.drain(..);
        self.batch.events.retain(|event| {
            let Some((seq, before)) = seqs.next() else { return false };
            // The chain goes on with what was before those that go.
            let before = before.and_then(|seq| gone.get(&seq).copied().unwrap_or(Some(seq)));
            // The body stands behind the beginning of its line, and no line straddles the position.
            let new = begin.saturating_add(event.body.start as u64) > position;
            if new {
                kept.push((seq, before));
            } else {
                gone.insert(seq, before);
            }
            new
        });
        drop(seqs);
        self.seqs = kept;
    }
}
