//! A thread of its own that sees when the supervisor itself is stuck, and ends the process then.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use crate::actors::supervisor::Beat;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The thread; it ends when this is dropped.
pub(super) struct Deadman {
    _alive: Sender<()>,
}

impl Deadman {
    /// Calls `end` when the supervisor has not looked for `limit`. Looks are counted, not time: while the process
    /// was frozen there were none of either.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(beat: Beat, limit: Duration, end: impl FnOnce() + Send + 'static) -> std::io::Result<Self> {
        Self::looking(beat, limit, LOOK_EVERY, end)
    }

    fn looking(
        beat: Beat,
        limit: Duration,
        every: Duration,
        end: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (alive, dropped) = channel::<()>();
        let most = limit.as_millis().div_ceil(every.as_millis().max(1)).max(2);
        std::thread::Builder::new().name("deadman".into()).spawn(move || {
            let (mut last, mut still) = (beat.count(), 0);
            while dropped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let now = beat.count();
                still = if now == last { still + 1 } else { 0 };
                last = now;
                if still >= most {
                    return end();
                }
            }
        })?;
        Ok(Self { _alive: alive })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_supervisor_that_no_longer_looks_ends_the_process() {
        let (beat, (ends, ended)) = (Beat::default(), channel());
        let every = Duration::from_millis(20);
        let end = move || ends.send(()).unwrap_or_default();
        let _deadman = Deadman::looking(beat.clone(), every * 25, every, end).unwrap();
        for _ in 0..50 {
            beat.beat();
            assert_eq!(ended.recv_timeout(every), Err(RecvTimeoutError::Timeout), "it looks, so nothing ends");
        }
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Ok(()));
    }

    #[test]
    fn dropped_it_ends_nothing() {
        let (ends, ended) = channel::<()>();
        let every = Duration::from_millis(5);
        drop(Deadman::looking(Beat::default(), every * 4, every, move || ends.send(()).unwrap_or_default()).unwrap());
        assert_eq!(ended.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected));
    }
}
