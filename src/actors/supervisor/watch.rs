//! Looks again and again whether every actor answers. Who doesn't is named in health within a second; when one stays silent, the
//! process ends, for the service manager to start it again: a thread that is stuck can't be ended alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use tracing::error;

use super::Supervisor;
use super::pulse::Pulse;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// An actor that takes longer to answer is named.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// So many looks in a row at least must have found an actor silent before the process ends. While the whole process was frozen
/// time passed, but no looks.
const LEAST_LOOKS: u32 = 5;

/// Counts looks: whoever sees that it stands still knows that the supervisor itself is stuck.
#[derive(Clone, Debug, Default)]
pub struct Beat(Arc<AtomicU64>);

impl Beat {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Who doesn't answer, since when, and how many looks found it so.
#[derive(Debug, Default)]
pub(super) struct Silence(BTreeMap<String, (Instant, u32)>);

impl Silence {
    /// A look at `now` found these silent, and all others answering.
    fn looked(&mut self, silent: Vec<String>, now: Instant) {
        let before = std::mem::take(&mut self.0);
        for name in silent {
            let (since, looks) = before.get(&name).copied().unwrap_or((now, 0));
            self.0.insert(name, (since, looks + 1));
        }
    }

    /// For people, one sentence for each.
    pub(super) fn reasons(&self, now: Instant) -> Vec<String> {
        let sentence = |(name, (since, _)): (&String, &(Instant, u32))| {
            let seconds = (now.saturating_duration_since(*since) + ANSWER_WITHIN).as_secs_f64();
            format!("the {name} hasn't answered for {seconds:.1} s")
        };
        self.0.iter().map(sentence).collect()
    }

    /// Who has been silent for longer than `limit`.
    fn beyond(&self, limit: Duration, now: Instant) -> Option<&str> {
        let beyond =
            |(since, looks): &(Instant, u32)| *looks >= LEAST_LOOKS && now.saturating_duration_since(*since) >= limit;
        self.0.iter().find(|(_, silent)| beyond(silent)).map(|(name, _)| name.as_str())
    }
}

impl Supervisor {
    /// One look; it makes the next.
    pub(super) fn watch(&mut self, ctx: &mut Context<Self>) {
        self.setup.beat.beat();
        let look = ctx.address().send(Pulse(ANSWER_WITHIN));
        ctx.spawn(look.into_actor(self).map(|silent, supervisor, ctx| {
            supervisor.looked(silent.unwrap_or_default());
            ctx.run_later(LOOK_EVERY, Self::watch);
        }));
    }

    fn looked(&mut self, silent: Vec<String>) {
        if self.stopping {
            // Who has stopped doesn't answer.
            return;
        }
        let now = Instant::now();
        for name in silent.iter().filter(|name| !self.silence.0.contains_key(*name)) {
            error!("the {name} doesn't answer");
        }
        self.silence.looked(silent, now);
        let limit = Duration::from_secs(self.setup.config.watchdog.stuck_after_s);
        if let Some(name) = self.silence.beyond(limit, now) {
            end(&format!("the {name} has not answered for {} s", limit.as_secs()));
        }
    }
}

/// Ends the process at once: what is stuck can't be asked to stop, and the journal has whatever is not written.
#[expect(clippy::disallowed_methods, reason = "a thread that is stuck would keep an orderly end waiting for ever")]
pub fn end(reason: &str) -> ! {
    error!(
        "{reason}: the process ends, for the service manager to start it again; the journal keeps what is not written"
    );
    std::process::exit(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stays_silent_is_named_and_only_many_looks_end_the_process() {
        let (mut silence, start, limit) = (Silence::default(), Instant::now(), Duration::from_secs(10));
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        silence.looked(vec!["registry of 'main'".into()], at(0));
        assert_eq!(silence.reasons(at(2)), ["the registry of 'main' hasn't answered for 2.5 s"]);
        // The process was frozen for a minute.
        silence.looked(vec!["registry of 'main'".into()], at(60));
        assert_eq!(silence.beyond(limit, at(60)), None);
        silence.looked(Vec::new(), at(61));
        assert!(silence.reasons(at(61)).is_empty());
        for second in 61..75 {
            silence.looked(vec!["db_writer".into()], at(second));
            let ends = silence.beyond(limit, at(second));
            assert_eq!(ends, (second >= 71).then_some("db_writer"), "after {} s", second - 61);
        }
    }
}
