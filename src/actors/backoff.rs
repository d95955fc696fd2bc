//! How long to wait before trying again: doubling, jittered, bounded.

use std::time::Duration;

/// The longest span, whatever is configured: nobody waits longer than a day for a phone system.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Jittered exponential backoff. Each wait lies between half and all of a span that doubles from `min` to `max`, so
/// that many clients of one server don't come back in step.
pub struct Backoff {
    min: Duration,
    max: Duration,
    span: Duration,
    jitter: Box<dyn FnMut() -> f64>,
}

impl Backoff {
    /// Random jitter. `min` below 1 ms counts as 1 ms, so that doubling leads somewhere.
    pub fn new(min: Duration, max: Duration) -> Self {
        Self::with_jitter(min, max, rand::random::<f64>)
    }

    /// Jitter from `jitter`: 0 is the shortest wait, 1 the longest.
    pub fn with_jitter(min: Duration, max: Duration, jitter: impl FnMut() -> f64 + 'static) -> Self {
        let min = min.clamp(Duration::from_millis(1), LONGEST);
        Self { min, max: max.clamp(min, LONGEST), span: min, jitter: Box::new(jitter) }
    }

    /// The next wait; the one after it may be twice as long.
    pub fn next_wait(&mut self) -> Duration {
        let span = self.span;
        self.span = span.saturating_mul(2).min(self.max);
        let jitter = (self.jitter)().clamp(0.0, 1.0);
        span.mul_f64(0.5 + 0.5 * jitter)
    }

    /// The session was stable: the next wait is a first one again.
    pub fn reset(&mut self) {
        self.span = self.min;
    }
}

impl std::fmt::Debug for Backoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backoff").field("span", &self.span).field("max", &self.max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(backoff: &mut Backoff, count: usize) -> Vec<u128> {
        (0..count).map(|_| backoff.next_wait().as_millis()).collect()
    }

    #[test]
    fn it_doubles_to_its_limit_and_begins_again_after_a_reset() {
        let (min, max) = (Duration::from_millis(200), Duration::from_millis(1_500));
        let mut longest = Backoff::with_jitter(min, max, || 1.0);
        assert_eq!(millis(&mut longest, 6), [200, 400, 800, 1_500, 1_500, 1_500]);
        longest.reset();
        assert_eq!(millis(&mut longest, 2), [200, 400]);
        let mut shortest = Backoff::with_jitter(min, max, || 0.0);
        assert_eq!(millis(&mut shortest, 5), [100, 200, 400, 750, 750]);
    }

    #[test]
    fn random_waits_stay_within_half_and_all_of_the_span() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(100));
        let waits = millis(&mut backoff, 200);
        assert!(waits.iter().all(|w| (50..=100).contains(w)), "{waits:?}");
        assert!(waits.iter().any(|w| w != &waits[0]), "no jitter: {waits:?}");
    }

    #[test]
    fn absurd_limits_still_give_a_wait() {
        let mut backoff = Backoff::with_jitter(Duration::ZERO, Duration::ZERO, || f64::MAX);
        assert_eq!(backoff.next_wait(), Duration::from_millis(1));
        let mut backoff = Backoff::with_jitter(Duration::MAX, Duration::MAX, || 2.0);
        assert_eq!(backoff.next_wait(), LONGEST);
    }
}
