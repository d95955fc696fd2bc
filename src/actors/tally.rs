//! Counts for the metrics. The writer adds to them once a transaction, after the commit; whoever scrapes copies them,
//! also while the writer waits for a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::{NodeId, Status, Timestamp};

/// Upper bounds of durations and lags, seconds.
pub const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Upper bounds of the number of events in a transaction.
pub const EVENTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0];

/// What was observed how often, in buckets.
#[derive(Clone, Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    counts: Vec<u64>,
    sum: f64,
}

impl Histogram {
    /// An empty one with these upper bounds, in order; above the last one there is one bucket more.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    /// One more value; what lies below zero (clocks differ) counts as zero.
    pub fn observe(&mut self, value: f64) {
        let value = value.max(0.0);
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum += value;
    }

    /// How many values.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Each bucket's upper bound and how many values are in it alone; the last bound is infinite.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        self.bounds.iter().copied().chain([f64::INFINITY]).zip(self.counts.iter().copied()).collect()
    }
}

/// What was committed of one Asterisk since the process began.
#[derive(Clone, Debug)]
pub struct NodeTally {
    /// Events by type; a type that this program doesn't know counts as [`OTHER`].
    pub events: BTreeMap<&'static str, u64>,
    /// Calls begun.
    pub started: u64,
    /// Calls ended, by outcome.
    pub ended: BTreeMap<Status, u64>,
    /// Seconds from an event's receipt to its commit.
    pub received: Histogram,
    /// Seconds from an event's time, by Asterisk's clock, to its commit, by ours.
    pub happened: Histogram,
    /// Gaps.
    pub gaps: u64,
    /// Their length.
    pub gap_seconds: f64,
    /// Frames that could not be read.
    pub bad_frames: u64,
    /// Outbound calls that ended, by trunk, at most [`MAX_TRUNKS`] of them.
    pub trunks: BTreeMap<String, TrunkTally>,
    /// When the last inbound call began, by Asterisk's clock.
    pub last_inbound: Option<Timestamp>,
}

/// Trunks that are counted; `lines.trunks` could match any number of names.
pub const MAX_TRUNKS: usize = 256;

/// What the calls of a trunk came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrunkTally {
    /// All that ended.
    pub ended: u64,
    /// Those that the trunk could not put through.
    pub failed: u64,
}

/// The label of an event type that this program doesn't know: Asterisk's modules may invent any number of them.
pub const OTHER: &str = "other";

impl Default for NodeTally {
    fn default() -> Self {
        Self {
            events: BTreeMap::new(),
            started: 0,
            ended: BTreeMap::new(),
            received: Histogram::new(SECONDS),
            happened: Histogram::new(SECONDS),
            gaps: 0,
            gap_seconds: 0.0,
            bad_frames: 0,
            trunks: BTreeMap::new(),
            last_inbound: None,
        }
    }
}

/// What was committed since the process began.
#[derive(Clone, Debug)]
pub struct Tally {
    /// By Asterisk.
    pub nodes: BTreeMap<NodeId, NodeTally>,
    /// Events in each transaction that had any.
    pub batch: Histogram,
    /// How long each transaction took, seconds.
    pub commit: Histogram,
}

impl Default for Tally {
    fn default() -> Self {
        Self { nodes: BTreeMap::new(), batch: Histogram::new(EVENTS), commit: Histogram::new(SECONDS) }
    }
}

impl Tally {
    /// What is counted of this Asterisk.
    pub fn node(&mut self, node: &NodeId) -> &mut NodeTally {
        self.nodes.entry(node.clone()).or_default()
    }
}

/// A tally that the writer and those who scrape share. It outlives a restart of the tree, so that no counter goes back.
#[derive(Clone, Debug, Default)]
pub struct SharedTally(Arc<Mutex<Tally>>);

impl SharedTally {
    /// To add to it. Hold it shortly.
    pub fn lock(&self) -> MutexGuard<'_, Tally> {
        // A panic while it was held leaves counts that are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A copy of now.
    pub fn now(&self) -> Tally {
        self.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_in_the_bucket_whose_bound_it_does_not_pass() {
        let mut histogram = Histogram::new(&[1.0, 2.0]);
        [0.5, 1.0, 1.5, 2.0, 99.0, -3.0].into_iter().for_each(|value| histogram.observe(value));
        assert_eq!(histogram.buckets(), [(1.0, 3), (2.0, 2), (f64::INFINITY, 1)]);
        assert_eq!((histogram.count(), histogram.sum()), (6, 104.0));
    }
}
