//! How much may be under way between the registry and the writer, and when a batch is worth making.
//!
//! What is under way is bounded by bytes, not by batches: a database that takes nothing must not keep the call actors from
//! what they have to decide now (a caller may be waiting in the application), and in quiet times batches are small.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::config;

/// Bytes that a new batch waits for, for each batch that is under way: so batches grow with the load, and with none
/// under way anything is worth one.
const WAIT_FOR_BYTES: u64 = 32 * 1024;
/// How long it waits for that.
pub(super) const LONGEST_WAIT: Duration = Duration::from_millis(5);
/// What a batch counts at least, for what it holds beside its text.
const LEAST_BYTES: u64 = 1024;
/// Without a commit for so long the database is taken to be stalled.
pub(super) const STALLED: Duration = Duration::from_secs(1);
/// How many times as much may be under way then.
const STALLED_TIMES: u64 = 5;

/// What is under way.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The bytes of each batch, the oldest first.
    batches: VecDeque<u64>,
    bytes: u64,
    /// When the oldest of them became that: it was made, or the one before it committed.
    since: Option<Instant>,
    /// Whether a batch is being waited with, and whether that was long enough.
    waiting: bool,
    waited: bool,
}

impl Flow {
    /// Whether another batch may be made.
    pub(super) fn may_ship(&self, calls: &config::Calls) -> bool {
        let usual = (calls.max_batches as u64).saturating_mul(calls.read_bytes as u64);
        self.bytes < if self.stalled() { usual.saturating_mul(STALLED_TIMES) } else { usual }
    }

    /// Whether nothing has been committed for long.
    pub(super) fn stalled(&self) -> bool {
        self.since.is_some_and(|since| since.elapsed() > STALLED)
    }

    /// Whether so many bytes are worth a batch now.
    pub(super) fn worth(&self, bytes: u64) -> bool {
        self.waited || bytes >= self.batches.len() as u64 * WAIT_FOR_BYTES
    }

    /// A batch is waited with; whether somebody must call `waited` after [`LONGEST_WAIT`].
    pub(super) fn wait(&mut self) -> bool {
        !std::mem::replace(&mut self.waiting, true)
    }

    /// It was waited long enough.
    pub(super) fn waited(&mut self) {
        self.waiting = false;
        self.waited = true;
    }

    /// A batch of so many bytes is under way.
    pub(super) fn shipped(&mut self, bytes: u64) {
        self.waited = false;
        self.since.get_or_insert_with(Instant::now);
        let bytes = bytes.max(LEAST_BYTES);
        self.bytes += bytes;
        self.batches.push_back(bytes);
    }

    /// The oldest batch is committed.
    pub(super) fn committed(&mut self) {
        self.bytes -= self.batches.pop_front().unwrap_or(0);
        self.since = (!self.batches.is_empty()).then(Instant::now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calls() -> config::Calls {
        config::Calls { max_batches: 2, read_bytes: 10_000, ..config::Calls::default() }
    }

    #[test]
    fn bytes_are_the_bound_and_small_batches_hold_nothing_up() {
        let mut flow = Flow::default();
        for _ in 0..19 {
            flow.shipped(10);
            assert!(flow.may_ship(&calls()));
        }
        flow.shipped(1_000);
        assert!(!flow.may_ship(&calls()), "20 of them count 1 KiB each");
        flow.committed();
        assert!(flow.may_ship(&calls()));
        flow.shipped(50_000);
        assert!(!flow.may_ship(&calls()));
        // Nothing was committed for long: more is let through, so that callers are served.
        flow.since = Instant::now().checked_sub(STALLED * 2);
        assert!(flow.may_ship(&calls()));
        flow.shipped(300_000);
        assert!(!flow.may_ship(&calls()), "but not without bound");
    }

    #[test]
    fn batches_grow_with_what_is_under_way_and_wait_a_moment_at_most() {
        let mut flow = Flow::default();
        assert!(flow.worth(1), "with nothing under way anything is worth a batch");
        flow.shipped(100);
        assert!(!flow.worth(100));
        assert!(flow.worth(WAIT_FOR_BYTES));
        assert!(flow.wait() && !flow.wait(), "one timer at a time");
        flow.waited();
        assert!(flow.worth(100));
        flow.shipped(100);
        assert!(!flow.worth(WAIT_FOR_BYTES) && flow.worth(2 * WAIT_FOR_BYTES));
    }
}
