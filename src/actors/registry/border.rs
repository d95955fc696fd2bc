//! The border between what was committed before the start and what is new, and what the journal can't give back.
//!
//! Everything before the border only rebuilds what is open. At the border the database is asked once what is open in it
//! and was not rebuilt: calls whose beginning was let go or lost go on from their rows and the raw log, marked
//! incomplete. They are not closed here, since nobody knows yet whether they live: as with every other call it is the
//! snapshot behind the next connect that says so, and a call that it still shows stays in its row. Before that Asterisk
//! has not answered, and an open row is the truth as far as it is known.

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::prelude::*;
use bytes::Bytes;
use rustc_hash::FxHashSet;
use tracing::{error, info, warn};

use super::entries::{Entries, time_of};
use super::{Registry, RegistrySetup};
use crate::actors::db_writer::{Recall, Recalled};
use crate::actors::journal::{Chunk, Position, SkipReason, Skipped};
use crate::model::Timestamp;

/// Where a registry stands to the border.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Border {
    /// Before it.
    Ahead,
    /// The database was asked.
    Asking,
    /// Behind it.
    Passed,
}

/// What the stream should have before its first entry.
pub(super) fn lost_before(setup: &RegistrySetup) -> Option<Chunk> {
    let bytes = setup.from.checked_sub(setup.start.oldest_open).filter(|bytes| *bytes > 0)?;
    let skipped = Some(Skipped { bytes, reason: SkipReason::Missing });
    Some(Chunk { start: Position(setup.start.oldest_open), end: Position(setup.from), bytes: Bytes::new(), skipped })
}

impl Registry {
    /// Since when until when a missing range was, this machine's clock. What was committed ends at the time that the
    /// database knows; what is new ends with the next entry.
    pub(super) fn lost_span(&mut self, rebuilds: bool) -> (Timestamp, Timestamp) {
        let committed_at = self.setup.start.committed_at;
        let read = Some(self.graph.journal_time()).filter(|at| at.millis() > 0);
        if self.rest.is_empty()
            // An error is told when it is read again.
            && let Ok(Some(next)) = self.setup.source.read(self.setup.calls.read_bytes)
        {
            self.rest.push_back(next);
        }
        let next = self.rest.front().and_then(|chunk| chunk.lines().find_map(|(_, line)| time_of(line)));
        let until = if rebuilds { next.into_iter().chain(committed_at).min() } else { next };
        let since = if rebuilds { read } else { read.max(committed_at) };
        // Nothing before and nothing behind it is known only of a journal that nobody ever read.
        let since = since.or(until).unwrap_or(Timestamp::from_millis(0));
        (since, until.unwrap_or(since).max(since))
    }

    /// Asks the database what is open in it.
    pub(super) fn ask(&mut self, ctx: &mut Context<Self>) {
        let Some(recall) = &self.setup.recall else { return };
        self.border = Border::Asking;
        let mut question =
            Recall { stream: self.setup.stream.clone(), whole: FxHashSet::default(), halves: Vec::new() };
        for channel in self.graph.channels() {
            let all_read = self.setup.from == self.setup.start.oldest_open && !self.torn;
            let whole = (channel.whole && !self.torn) || (channel.young && all_read);
            let lives = channel.lives;
            let channel = (channel.id, channel.created);
            if whole {
                question.whole.insert(channel);
            } else if lives {
                question.halves.push(channel);
            }
        }
        let answer = recall.send(question).into_actor(self);
        // Callers don't wait for the answer.
        self.pump(ctx);
        ctx.spawn(answer.map(
            |answer, registry, ctx| match answer.map_err(|e| e.to_string()).and_then(|answer| answer) {
                Ok(recalled) => registry.pass(&recalled, ctx),
                Err(error) => {
                    error!(node = %registry.setup.stream.node, %error, "open calls can't be restored yet");
                    registry.border = Border::Ahead;
                    registry.view.error = Some(error);
                    registry.read_again(ctx);
                }
            },
        ));
    }

    fn pass(&mut self, recalled: &Recalled, ctx: &mut Context<Self>) {
        self.border = Border::Passed;
        let committed = self.setup.start.committed;
        self.position = committed;
        let open = recalled.calls.iter().filter(|call| call.open).count();
        if open > 0 {
            let node = &self.setup.stream.node;
            info!(%node, calls = open, "of open calls whose beginning the journal doesn't have the database was read");
            self.view.restored_calls += open as u64;
        }
        let graph = &mut self.graph;
        let restored = catch_unwind(AssertUnwindSafe(|| {
            recalled.ended.iter().for_each(|ended| graph.bury(ended));
            graph.restore(&recalled.calls, committed)
        }));
        let restored = restored.unwrap_or_else(|_| {
            error!(node = %self.setup.stream.node, "the graph failed at calls of the database: please report this");
            self.view.graph_panics += 1;
            Vec::new()
        });
        if !recalled.ended.is_empty() || !recalled.calls.is_empty() {
            self.ship(Entries::new(Bytes::new()), true, false, ctx);
        }
        if !restored.is_empty() {
            // A batch of its own, as what only rebuilds is not written.
            self.graph.touch(&restored);
            self.ship(Entries::new(Bytes::new()), false, false, ctx);
        }
        self.pump(ctx);
    }

    /// Keeps open calls from filling the journal.
    pub(super) fn let_go(&mut self) {
        let Some(before) = self.setup.hold_bytes.and_then(|hold| self.position.checked_sub(hold)) else { return };
        let gone = self.graph.let_go(before);
        if let Some(first) = gone.first() {
            self.view.let_go += gone.len() as u64;
            warn!(
                node = %self.setup.stream.node, channels = gone.len(), channel = %first,
                "open calls would fill the journal, which is not kept for the oldest of them any longer; they go on, \
                 and after a restart they come from the database, marked incomplete"
            );
        }
    }
}
