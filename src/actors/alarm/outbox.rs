//! What waits to be sent through one channel, in order, one at a time. Pure: time in, what to send out.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::Notification;
use crate::config;

/// Messages that may wait for one channel; the oldest goes first when there are more.
const MAX_WAITING: usize = 100;
/// The longest wait between two tries, seconds.
const MAX_WAIT_S: f64 = 600.0;

/// One channel's messages and how it fares. What waits outlives the process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Outbox {
    waiting: VecDeque<Notification>,
    #[serde(skip)]
    busy: bool,
    #[serde(skip)]
    tries: u64,
    #[serde(skip)]
    next_at: f64,
    /// Messages that arrived.
    #[serde(skip)]
    pub(super) sent: u64,
    /// Messages that were given up.
    #[serde(skip)]
    pub(super) failed: u64,
    /// Tries that failed.
    #[serde(skip)]
    pub(super) failed_tries: u64,
    /// Why the last try failed; none since one arrived.
    #[serde(skip)]
    pub(super) last_error: Option<String>,
}

impl Outbox {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// One more; whether the oldest was given up for it.
    pub(super) fn push(&mut self, notification: Notification) -> bool {
        let full = self.waiting.len() >= MAX_WAITING;
        if full {
            // The first one may be under way: its answer belongs to it.
            let oldest = usize::from(self.busy);
            self.waiting.remove(oldest);
            self.failed += 1;
        }
        self.waiting.push_back(notification);
        full
    }

    /// What is to be sent now; it is under way until its answer is told.
    pub(super) fn take(&mut self, now: f64) -> Option<Notification> {
        // A clock that was set back must not silence a channel.
        self.next_at = self.next_at.min(now + MAX_WAIT_S);
        let first = self.waiting.front().filter(|_| !self.busy && now >= self.next_at).cloned();
        self.busy |= first.is_some();
        first
    }

    /// It arrived.
    pub(super) fn arrived(&mut self) {
        self.waiting.pop_front();
        self.sent += 1;
        self.last_error = None;
        (self.busy, self.tries, self.next_at) = (false, 0, 0.0);
    }

    /// It did not; whether it is given up.
    pub(super) fn refused(&mut self, now: f64, why: String, wait: Option<Duration>, config: &config::Alarms) -> bool {
        self.busy = false;
        self.tries += 1;
        self.failed_tries += 1;
        self.last_error = Some(why);
        if self.tries >= config.send_attempts {
            self.waiting.pop_front();
            self.failed += 1;
            (self.tries, self.next_at) = (0, 0.0);
            return true;
        }
        let doubled = config.send_retry_ms as f64 / 1_000.0 * 2.0_f64.powi(self.tries.min(32) as i32 - 1);
        let asked = wait.map_or(0.0, |wait| wait.as_secs_f64());
        self.next_at = now + doubled.max(asked).min(MAX_WAIT_S);
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(id: usize) -> Notification {
        Notification { id: id.to_string(), at: 0.0, events: Vec::new() }
    }

    #[test]
    fn tries_are_spread_and_bounded_and_the_next_message_follows() {
        let config = config::Alarms { send_attempts: 4, send_retry_ms: 1_000, ..config::Alarms::default() };
        let mut outbox = Outbox::default();
        outbox.push(notification(1));
        outbox.push(notification(2));
        let mut tries = Vec::new();
        for now in 0..20 {
            let now = f64::from(now);
            if let Some(taken) = outbox.take(now) {
                assert!(outbox.take(now).is_none(), "one at a time");
                tries.push((now, taken.id.clone()));
                if taken.id == "1" {
                    outbox.refused(now, "no".into(), None, &config);
                } else {
                    outbox.arrived();
                }
            }
        }
        let tries: Vec<_> = tries.iter().map(|(now, id)| (*now, id.as_str())).collect();
        assert_eq!(tries, [(0.0, "1"), (1.0, "1"), (3.0, "1"), (7.0, "1"), (8.0, "2")]);
        assert_eq!((outbox.sent, outbox.failed, outbox.failed_tries, outbox.waiting()), (1, 1, 4, 0));
        assert_eq!(outbox.last_error, None);
    }

    #[test]
    fn by_default_a_message_is_tried_for_about_a_day() {
        let (config, mut outbox, mut now) = (config::Alarms::default(), Outbox::default(), 0.0);
        outbox.push(notification(1));
        while outbox.take(now).is_none_or(|_| !outbox.refused(now, "no".into(), None, &config)) {
            now = outbox.next_at;
        }
        assert!((20.0..30.0).contains(&(now / 3_600.0)), "given up after {now} s");
    }

    #[test]
    fn the_other_side_may_ask_for_a_longer_wait() {
        let config = config::Alarms { send_retry_ms: 1_000, ..config::Alarms::default() };
        let mut outbox = Outbox::default();
        outbox.push(notification(1));
        outbox.take(0.0).unwrap();
        assert!(!outbox.refused(0.0, "slower".into(), Some(Duration::from_secs(30)), &config));
        assert!(outbox.take(29.0).is_none() && outbox.take(30.0).is_some());
    }

    #[test]
    fn it_is_bounded_and_what_is_under_way_stays() {
        let mut outbox = Outbox::default();
        outbox.push(notification(0));
        outbox.take(0.0).unwrap();
        let given_up = (1..=MAX_WAITING + 9).filter(|id| outbox.push(notification(*id))).count();
        assert_eq!((outbox.waiting(), outbox.failed, given_up), (MAX_WAITING, 10, 10));
        assert_eq!(outbox.waiting.front().unwrap().id, "0");
        let again: Outbox = serde_json::from_str(&serde_json::to_string(&outbox).unwrap()).unwrap();
        assert_eq!((again.waiting(), again.busy, again.failed), (MAX_WAITING, false, 0));
    }
}
