//! How the writer is, for those who ask while it waits for the database.
//!
//! A locked database or a slow disk holds the writer's thread for seconds, in which it answers no message. What health and
//! metrics need then was put here before it went in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::WriterView;
use crate::actors::messages::wall_clock;

/// A wait for the database that is longer than this is told as a failure.
const SLOW: Duration = Duration::from_secs(1);
/// A writer that waits longer than this counts as stuck: no disk comes back by itself after that.
const PATIENCE: Duration = Duration::from_secs(300);

/// The writer's own word of how it is; clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Shown(Arc<Mutex<Option<Inside>>>);

/// What was known when the writer went into the database.
#[derive(Debug)]
struct Inside {
    since: Instant,
    at: f64,
    view: WriterView,
}

impl Shown {
    fn lock(&self) -> MutexGuard<'_, Option<Inside>> {
        // A panic while it was held leaves a view that is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer goes into the database.
    pub(super) fn enters(&self, view: WriterView) {
        *self.lock() = Some(Inside { since: Instant::now(), at: wall_clock(), view });
    }

    /// It came back.
    pub(super) fn leaves(&self) {
        *self.lock() = None;
    }

    /// How the writer is, if it is in the database at this moment and there is hope that it comes back.
    pub fn waiting(&self) -> Option<WriterView> {
        let guard = self.lock();
        let inside = guard.as_ref().filter(|inside| inside.since.elapsed() < PATIENCE)?;
        let mut view = inside.view.clone();
        let waited = inside.since.elapsed();
        if waited >= SLOW && view.failing.is_none() {
            view.failing_since = Some(inside.at);
            view.failing = Some(format!(
                "it has not answered for {} s: the disk is slow, or another program holds the database locked",
                waited.as_secs()
            ));
        }
        Some(view)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_wait_is_told_and_a_short_one_is_not() {
        let shown = Shown::default();
        assert!(shown.waiting().is_none());
        shown.enters(WriterView { queue: 3, ..WriterView::default() });
        let view = shown.waiting().unwrap();
        assert_eq!((view.queue, view.failing), (3, None));
        let since = |ago| shown.lock().as_mut().unwrap().since = Instant::now().checked_sub(ago).unwrap();
        since(SLOW * 3);
        let view = shown.waiting().unwrap();
        assert!(view.failing.unwrap().contains("for 3 s") && view.failing_since.is_some());
        since(PATIENCE);
        assert!(shown.waiting().is_none(), "it counts as stuck");
        shown.leaves();
        assert!(shown.waiting().is_none());
    }
}
