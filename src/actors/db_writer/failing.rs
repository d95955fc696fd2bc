//! When the database takes nothing: what is said, and when it is tried again.

use actix::prelude::*;
use diesel::prelude::*;
use tracing::{error, info};

use super::shown::Shown;
use super::{DbWriter, Flush, Prepared, RETRY, WriterView};
use crate::actors::messages::wall_clock;
use crate::db;
use crate::db::batch::WriteError;
use crate::db::trouble::Trouble;

impl DbWriter {
    /// How it is, to be asked also while it waits for the database.
    pub fn shown(&self) -> Shown {
        self.shown.clone()
    }

    /// What [`super::WriterStatus`] shows.
    pub(super) fn seen(&self) -> WriterView {
        let open_by_node = self.open_by_node();
        WriterView {
            queue: self.queue.len() + self.prepared.as_ref().map_or(0, Prepared::len),
            open_calls: open_by_node.values().sum(),
            open_by_node,
            ..self.view.clone()
        }
    }

    /// Does something that may wait for the database.
    pub(super) fn inside<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> T {
        self.shown.enters(self.seen());
        let done = work(self);
        self.shown.leaves();
        done
    }

    /// What a crash left behind is repaired before anything else is read or written, as soon as the database lets it.
    ///
    /// # Errors
    /// When it doesn't.
    pub(super) fn repaired(&mut self) -> QueryResult<()> {
        if self.repair_due {
            db::heads::repair(&mut self.connection)?;
            self.repair_due = false;
            // No batch says so when none waits.
            self.works();
        }
        Ok(())
    }

    /// Says that and why the database took nothing, and tries again later.
    pub(super) fn failed(&mut self, failure: &WriteError, ctx: &mut Context<Self>) {
        let advice = match failure {
            WriteError::Database(e) => Trouble::of(e).advice(),
            WriteError::Straddles { .. } => "this is a mistake in the program: please report it",
        };
        let text = format!("{failure}: {advice}");
        self.view.failures += 1;
        if self.view.failing.as_deref() != Some(&text) {
            error!(
                "the database can't take a batch ({text}); it is kept and tried again, the journal holds what follows"
            );
            self.view.failing_since.get_or_insert_with(wall_clock);
        }
        self.view.failing = Some(text);
        self.flushing = true;
        ctx.notify_later(Flush, self.retry);
        self.retry = (self.retry * 2).min(RETRY.1);
    }

    /// It took something.
    pub(super) fn works(&mut self) {
        self.retry = RETRY.0;
        if self.view.failing.take().is_some() {
            info!("the database takes batches again");
        }
        self.view.failing_since = None;
    }
}
