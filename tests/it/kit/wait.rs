//! The one place where tests wait: for a condition, until a deadline.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `look` gives something or `limit` has passed.
pub(crate) fn within<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let now = Instant::now();
        if now >= end {
            return None;
        }
        std::thread::park_timeout(LOOK.min(end - now));
    }
}

/// Looks until `look` gives `Ok`; past `limit` the test fails and says `what` was awaited and what
/// was there instead.
#[track_caller]
pub(crate) fn until<T, E: Debug>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let mut last = None;
    let found = within(limit, || look().map_err(|error| last = Some(error)).ok());
    match (found, last) {
        (Some(found), _) => found,
        (None, last) => panic!("{what}: not within {limit:?}; last seen: {last:#?}"),
    }
}

/// Seconds, to write limits shortly.
pub(crate) const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
