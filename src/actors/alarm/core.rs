//! When an alarm is raised, told again and over. Pure: readings and the time in, events out.
//!
//! | state | reading | what happens |
//! |---|---|---|
//! | quiet | bad | the hold time begins; bad until its end: raised, told once |
//! | quiet | unknown or good | the hold time is forgotten |
//! | raised | bad | told again after each reminder time |
//! | raised | good | the mending time begins; good until its end: over, told once |
//! | raised | unknown | stays raised, in silence |
//!
//! Between bad and good lies unknown (hysteresis), so that what swings around a limit is one alarm.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::event::{Alarm, Detail, Event, Gaps, Key, Kind};
use crate::config;

/// What one look says of one condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is as it must not be.
    Bad,
    /// It is well for certain.
    Good,
    /// Neither: nothing begins and nothing ends.
    Unknown,
}

/// One condition at one look.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) key: Key,
    pub(super) verdict: Verdict,
    /// Since when it is bad, where that is known better than by the looks.
    pub(super) since: Option<f64>,
    pub(super) detail: Detail,
}

/// The times that the configuration gives, seconds.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    unreachable: f64,
    writer: f64,
    remind: f64,
    burst: f64,
    gap_every: f64,
}

/// The longest mending time: who waits for the end of an alarm shall not wait long.
const MAX_MENDING_S: f64 = 30.0;
/// Events that one message may hold; what comes above in the same moment is only in the log.
const MAX_EVENTS: usize = 200;

impl Rules {
    pub(super) fn of(config: &config::Alarms) -> Self {
        Self {
            unreachable: config.asterisk_unreachable_s as f64,
            writer: config.writer_behind_s as f64,
            remind: config.remind_h as f64 * 3_600.0,
            burst: config.burst_ms as f64 / 1_000.0,
            gap_every: config.gap_every_s as f64,
        }
    }

    /// How long it must be bad. The others have their time in what they measure.
    fn hold(&self, kind: Kind) -> f64 {
        match kind {
            Kind::AsteriskUnreachable => self.unreachable,
            Kind::NoInbound | Kind::TrunkFailures | Kind::DiskLow | Kind::WriterBehind => 0.0,
        }
    }

    /// How long it must be good.
    fn mending(&self, kind: Kind) -> f64 {
        match kind {
            Kind::AsteriskUnreachable => self.unreachable.min(MAX_MENDING_S),
            Kind::WriterBehind => self.writer.min(MAX_MENDING_S),
            Kind::NoInbound | Kind::TrunkFailures | Kind::DiskLow => 0.0,
        }
    }
}

/// An alarm that was raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Raised {
    alarm: Alarm,
    /// When it was told last.
    told: f64,
}

/// All that is remembered, and what a start takes over from the process before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Core {
    raised: Vec<Raised>,
    /// What the next message will tell.
    events: Vec<Event>,
    gaps: Gaps,
    gaps_told: f64,
    #[serde(skip)]
    opened: Option<f64>,
    /// Since when a condition is bad that isn't raised yet.
    #[serde(skip)]
    holding: BTreeMap<Key, f64>,
    /// Since when a raised condition is good.
    #[serde(skip)]
    mending: BTreeMap<Key, f64>,
}

impl Core {
    /// What is raised now.
    pub(super) fn raised(&self) -> impl Iterator<Item = &Alarm> {
        self.raised.iter().map(|raised| &raised.alarm)
    }

    /// Since when this one is raised.
    pub(super) fn since(&self, kind: Kind) -> Option<f64> {
        self.raised().find(|alarm| alarm.key.kind == kind).map(|alarm| alarm.since)
    }

    /// Lets go what is no longer watched: an alarm that was switched off, an Asterisk that is no longer configured.
    pub(super) fn keep(&mut self, watched: impl Fn(&Key) -> bool) {
        self.raised.retain(|raised| watched(&raised.alarm.key));
        self.holding.retain(|key, _| watched(key));
        self.mending.retain(|key, _| watched(key));
    }

    /// Takes one look.
    pub(super) fn observe(&mut self, now: f64, readings: Vec<Reading>, rules: &Rules) {
        for reading in readings {
            match self.raised.iter().position(|raised| raised.alarm.key == reading.key) {
                Some(place) => self.while_raised(place, now, reading, rules),
                None => self.while_quiet(now, reading, rules),
            }
        }
    }

    fn while_quiet(&mut self, now: f64, reading: Reading, rules: &Rules) {
        if reading.verdict != Verdict::Bad {
            self.holding.remove(&reading.key);
            return;
        }
        let first = *self.holding.entry(reading.key.clone()).and_modify(|at| *at = at.min(now)).or_insert(now);
        if now - first < rules.hold(reading.key.kind) {
            return;
        }
        self.holding.remove(&reading.key);
        let since = reading.since.unwrap_or(first);
        let alarm = Alarm { key: reading.key, since, detail: reading.detail };
        self.tell(Event::Raised(alarm.clone()));
        self.raised.push(Raised { alarm, told: now });
    }

    fn while_raised(&mut self, place: usize, now: f64, reading: Reading, rules: &Rules) {
        match reading.verdict {
            Verdict::Unknown => {
                self.mending.remove(&reading.key);
            }
            Verdict::Bad => {
                self.mending.remove(&reading.key);
                let raised = &mut self.raised[place];
                raised.alarm.detail = reading.detail;
                if rules.remind > 0.0 && now - raised.told >= rules.remind {
                    raised.told = now;
                    let alarm = raised.alarm.clone();
                    self.tell(Event::Reminder(alarm));
                }
            }
            Verdict::Good => {
                let first = *self.mending.entry(reading.key.clone()).and_modify(|at| *at = at.min(now)).or_insert(now);
                if now - first < rules.mending(reading.key.kind) {
                    return;
                }
                self.mending.remove(&reading.key);
                let alarm = self.raised.remove(place).alarm;
                self.tell(Event::Cleared { until: first.max(alarm.since), alarm });
            }
        }
    }

    /// A gap that was committed.
    pub(super) fn gap(&mut self, node: &str, since: f64, until: f64, reason: &str, calls: u64) {
        self.gaps.add(node, since, until, reason, calls);
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
    }

    /// What is to be told now, as one message: what came within the burst time of its first event.
    pub(super) fn due(&mut self, now: f64, rules: &Rules) -> Option<Vec<Event>> {
        // A clock that was set back must not silence gaps.
        self.gaps_told = self.gaps_told.min(now);
        let gaps = self.gaps.count > 0 && now - self.gaps_told >= rules.gap_every;
        if self.events.is_empty() && !gaps {
            self.opened = None;
            return None;
        }
        let opened = self.opened.get_or_insert(now);
        *opened = opened.min(now);
        if now - *opened < rules.burst {
            return None;
        }
        self.opened = None;
        let mut events = std::mem::take(&mut self.events);
        if gaps {
            events.push(Event::Gaps(std::mem::take(&mut self.gaps)));
            self.gaps_told = now;
        }
        Some(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        let config = config::Alarms { remind_h: 1, burst_ms: 5_000, gap_every_s: 300, ..config::Alarms::default() };
        Rules::of(&config)
    }

    fn key(kind: Kind, node: &str) -> Key {
        Key { kind, node: node.into(), subject: String::new() }
    }

    fn reading(node: &str, verdict: Verdict) -> Reading {
        let key = key(Kind::AsteriskUnreachable, node);
        Reading { key, verdict, since: None, detail: Detail::Error("refused".into()) }
    }

    /// `b`ad, `g`ood, `?`, one look every 10 seconds; what is told when, as `10+` raised, `-` over, `!` reminder.
    fn told(looks: &str) -> String {
        let mut core = Core::default();
        let mut words = Vec::new();
        for (step, look) in looks.chars().enumerate() {
            let now = step as f64 * 10.0;
            let verdict = match look {
                'b' => Verdict::Bad,
                'g' => Verdict::Good,
                _ => Verdict::Unknown,
            };
            core.observe(now, vec![reading("main", verdict)], &rules());
            words.extend(std::mem::take(&mut core.events).into_iter().map(|event| match event {
                Event::Raised(alarm) => format!("{now}+{}", alarm.since),
                Event::Reminder(alarm) => format!("{now}!{}", alarm.since),
                Event::Cleared { alarm, until } => format!("{now}-{}..{until}", alarm.since),
                other => format!("{other:?}"),
            }));
        }
        words.join(" ")
    }

    #[test]
    fn raised_once_after_the_hold_time_and_over_once_after_the_mending_time() {
        for (looks, expected) in [
            ("gggg", ""),
            ("bbb", ""),
            ("bbbg", ""),
            ("bbggbb", ""),
            ("bb?bb", ""),
            ("bbbbbbbbbb", "30+0"),
            ("bbbbgggg", "30+0 70-0..40"),
            ("bbbbggbgggg", "30+0 100-0..70"),
            ("bbbb??????gggg", "30+0 130-0..100"),
            ("bbbbgg?gggg", "30+0 100-0..70"),
            ("bbbbggggbbbb", "30+0 70-0..40 110+80"),
        ] {
            assert_eq!(told(looks), expected, "{looks}");
        }
    }

    #[test]
    fn reminded_at_most_once_an_hour_and_only_while_it_is_bad() {
        let looks = "b".repeat(4) + &"b".repeat(360 * 2);
        assert_eq!(told(&looks), "30+0 3630!0 7230!0");
        assert_eq!(told(&("bbbb".to_owned() + &"?".repeat(720))), "30+0");
    }

    #[test]
    fn what_comes_within_the_burst_time_is_one_message() {
        let mut core = Core::default();
        for (at, node) in [(0.0, "a"), (1.0, "b"), (2.0, "c")] {
            let mut bad = reading(node, Verdict::Bad);
            bad.key.kind = Kind::DiskLow;
            core.observe(at, vec![bad], &rules());
            assert_eq!(core.due(at, &rules()), None);
        }
        assert_eq!(core.due(4.9, &rules()), None);
        assert_eq!(core.due(5.0, &rules()).unwrap().len(), 3);
        assert_eq!(core.due(5.1, &rules()), None);
        assert_eq!(core.raised().count(), 3);
    }

    #[test]
    fn a_flood_of_gaps_is_one_message_and_the_next_waits() {
        let mut core = Core::default();
        let rules = rules();
        let mut messages = Vec::new();
        for step in 0..1_000 {
            let now = 1_000.0 + f64::from(step);
            core.gap("main", now - 2.0, now - 1.0, "socket closed", 3);
            messages.extend(core.due(now, &rules).map(|events| (step, events)));
        }
        let steps: Vec<i32> = messages.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [5, 310, 615, 920]);
        let [Event::Gaps(first)] = &messages[0].1[..] else { panic!("{messages:?}") };
        assert_eq!((first.count, first.seconds, first.calls), (6, 6.0, 18));
        assert_eq!((first.since, first.until, first.reasons.len()), (998.0, 1_004.0, 1));
    }

    #[test]
    fn a_restart_neither_repeats_nor_forgets() {
        let mut core = Core::default();
        let bad = || vec![reading("main", Verdict::Bad)];
        core.observe(0.0, bad(), &rules());
        core.observe(30.0, bad(), &rules());
        let again = |core: &Core| serde_json::from_str::<Core>(&serde_json::to_string(core).unwrap()).unwrap();
        // Before it was told: the next process tells it.
        let mut untold = again(&core);
        assert_eq!(untold.due(100.0, &rules()), None);
        assert_eq!(untold.due(105.0, &rules()).map(|events| events.len()), Some(1));
        // Afterwards: it only tells the end.
        let mut told = again(&untold);
        told.observe(200.0, bad(), &rules());
        told.observe(260.0, bad(), &rules());
        assert_eq!(told.due(300.0, &rules()), None);
        told.observe(300.0, vec![reading("main", Verdict::Good)], &rules());
        told.observe(330.0, vec![reading("main", Verdict::Good)], &rules());
        told.due(330.0, &rules());
        let events = told.due(340.0, &rules()).unwrap();
        assert!(matches!(&events[..], [Event::Cleared { alarm, until }] if alarm.since == 0.0 && *until == 300.0));
    }

    #[test]
    fn what_is_no_longer_watched_goes_in_silence() {
        let mut core = Core::default();
        core.observe(0.0, vec![reading("main", Verdict::Bad)], &rules());
        core.observe(30.0, vec![reading("main", Verdict::Bad)], &rules());
        core.events.clear();
        core.keep(|key| key.node == "other");
        assert_eq!((core.raised().count(), core.events.len()), (0, 0));
    }
}
