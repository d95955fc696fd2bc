//! From what the service knows of itself to readings. Pure but for what it remembers: counts a while ago.

use std::collections::{BTreeMap, VecDeque};

use super::core::{Reading, Verdict};
use super::event::{Detail, Key, Kind};
use super::hours::Hours;
use crate::config::{self, Config};

/// One look at the service.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) nodes: Vec<NodeSeen>,
    pub(super) disks: Vec<Disk>,
    /// Why the database takes nothing.
    pub(super) failing: Option<String>,
    /// The last inbound call's beginning, seconds since 1970.
    pub(super) last_inbound: Option<f64>,
    /// What each trunk's calls came to since the process began: node, trunk, ended, failed.
    pub(super) trunks: Vec<(String, String, u64, u64)>,
}

/// One Asterisk.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeSeen {
    pub(super) name: String,
    pub(super) connected: bool,
    /// Since when it is as it is, seconds since 1970.
    pub(super) since: Option<f64>,
    pub(super) error: String,
    /// Where the journal ends; none where it didn't answer.
    pub(super) end: Option<u64>,
    /// Up to where it is committed.
    pub(super) committed: Option<u64>,
}

/// Room on one disk, bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) holds: &'static str,
    pub(super) folder: String,
    pub(super) free: u64,
    pub(super) total: u64,
}

/// What of one look the next ones need.
#[derive(Debug)]
pub(super) struct Judge {
    alarms: config::Alarms,
    hours: Hours,
    started: f64,
    trunks: Option<BTreeMap<(String, String), Window>>,
    /// By node: a journal's end that was not committed when it was noted, and when.
    marks: BTreeMap<String, (u64, f64)>,
}

impl Judge {
    /// From the start of the service at `started`.
    pub(super) fn new(config: &Config, started: f64) -> Self {
        let hours = Hours::of(&config.alarms, &config.report.time_zone);
        Self { alarms: config.alarms.clone(), hours, started, trunks: None, marks: BTreeMap::new() }
    }

    /// Another configuration; what is remembered stays.
    pub(super) fn reconfigure(&mut self, config: &Config) {
        self.hours = Hours::of(&config.alarms, &config.report.time_zone);
        self.alarms.clone_from(&config.alarms);
    }

    /// The readings of this look. `silent_since`: since when the alarm of no inbound call is raised, if it is.
    pub(super) fn judge(&mut self, now: f64, seen: &Seen, silent_since: Option<f64>) -> Vec<Reading> {
        let mut readings = Vec::new();
        for node in &seen.nodes {
            readings.extend(self.unreachable(node));
            readings.extend(self.behind(now, node, seen.failing.as_ref()));
        }
        readings.extend(self.no_inbound(now, seen, silent_since));
        readings.extend(seen.disks.iter().filter_map(|disk| self.disk(disk)));
        readings.extend(self.failures(now, seen));
        readings
    }

    fn unreachable(&self, node: &NodeSeen) -> Option<Reading> {
        let key = Key { kind: Kind::AsteriskUnreachable, node: node.name.clone(), subject: String::new() };
        let verdict = if node.connected { Verdict::Good } else { Verdict::Bad };
        let detail = Detail::Error(node.error.clone());
        (self.alarms.asterisk_unreachable_s > 0).then_some(Reading { key, verdict, since: None, detail })
    }

    /// A mark at the journal's end is committed some time later; how long that takes is the delay, at least.
    fn behind(&mut self, now: f64, node: &NodeSeen, failing: Option<&String>) -> Option<Reading> {
        let limit = self.alarms.writer_behind_s as f64;
        let mark = self.marks.get(&node.name).copied();
        let left = mark.filter(|(end, _)| node.committed.is_none_or(|committed| committed < *end));
        let mark = left.or_else(|| node.end.filter(|end| Some(*end) > node.committed).map(|end| (end, now)));
        match mark {
            Some(mark) => self.marks.insert(node.name.clone(), (mark.0, mark.1.min(now))),
            None => self.marks.remove(&node.name),
        };
        let delay = mark.map_or(0.0, |(_, at)| now - at);
        let verdict = match delay {
            bad if bad >= limit => Verdict::Bad,
            good if good < limit / 2.0 => Verdict::Good,
            _ => Verdict::Unknown,
        };
        let key = Key { kind: Kind::WriterBehind, node: node.name.clone(), subject: String::new() };
        let detail = Detail::Behind { seconds: delay as u64, error: failing.cloned() };
        let since = mark.map(|(_, at)| at);
        (limit > 0.0).then_some(Reading { key, verdict, since, detail })
    }

    /// While no Asterisk is connected there is a more exact alarm. It ends with the next call, not with the working day.
    fn no_inbound(&self, now: f64, seen: &Seen, raised_since: Option<f64>) -> Option<Reading> {
        let limit = self.alarms.no_inbound_min as f64 * 60.0;
        let heard = seen.nodes.iter().filter(|node| node.connected).filter_map(|node| node.since);
        let heard = heard.min_by(f64::total_cmp);
        let begun = self.hours.begun(now).zip(heard);
        let quiet =
            |(begun, heard): (f64, f64)| begun.max(heard).max(self.started).max(seen.last_inbound.unwrap_or(0.0));
        let quiet = begun.map(quiet);
        let called = seen.last_inbound.zip(raised_since).is_some_and(|(last, since)| last > since);
        let verdict = match quiet {
            Some(_) | None if called => Verdict::Good,
            Some(since) if now - since >= limit => Verdict::Bad,
            Some(_) | None => Verdict::Unknown,
        };
        let key = Key { kind: Kind::NoInbound, node: String::new(), subject: String::new() };
        let since = raised_since.or(quiet);
        let detail = Detail::Minutes(since.map_or(0, |since| ((now - since) / 60.0) as u64));
        (limit > 0.0).then_some(Reading { key, verdict, since, detail })
    }

    fn disk(&self, disk: &Disk) -> Option<Reading> {
        let (mb, percent) = (self.alarms.disk_free_mb, self.alarms.disk_free_percent);
        let limit = (mb * 1024 * 1024).max(disk.total / 100 * percent);
        let verdict = match disk.free {
            low if low < limit => Verdict::Bad,
            // A tenth more, so that what swings around the limit is one alarm.
            high if high >= limit.saturating_add(limit / 10) => Verdict::Good,
            _ => Verdict::Unknown,
        };
        let key = Key { kind: Kind::DiskLow, node: String::new(), subject: disk.holds.into() };
        let detail = Detail::Free { mb: disk.free / 1024 / 1024, folder: disk.folder.clone() };
        (limit > 0).then_some(Reading { key, verdict, since: None, detail })
    }

    fn failures(&mut self, now: f64, seen: &Seen) -> Vec<Reading> {
        let span = self.alarms.trunk_failures_min as f64 * 60.0;
        let (percent, least) = (self.alarms.trunk_failures_percent, self.alarms.trunk_failures_calls);
        // Counts at the first look are of a time that isn't known: this actor may be younger than the process.
        let first = self.trunks.is_none();
        let windows = self.trunks.get_or_insert_default();
        let mut readings = Vec::new();
        for (node, trunk, ended, failed) in &seen.trunks {
            let window = windows.entry((node.clone(), trunk.clone())).or_default();
            if first {
                window.counted = (*ended, *failed);
            }
            let (ended, failed) = window.add(now, span, *ended, *failed);
            let verdict = match failed * 100 {
                bad if ended >= least && bad >= percent * ended => Verdict::Bad,
                // Clearly below the limit: four fifths of it. No call at all says nothing.
                good if ended > 0 && good * 5 < percent * ended * 4 => Verdict::Good,
                _ => Verdict::Unknown,
            };
            let key = Key { kind: Kind::TrunkFailures, node: node.clone(), subject: trunk.clone() };
            readings.push(Reading { key, verdict, since: window.began(), detail: Detail::Calls { ended, failed } });
        }
        if percent == 0 { Vec::new() } else { readings }
    }
}

/// Parts into which the window is cut: it moves on by one of them.
const PARTS: f64 = 60.0;

/// What a trunk's calls came to in the last while.
#[derive(Debug, Default)]
struct Window {
    /// The totals at the last look.
    counted: (u64, u64),
    /// When each part began, and its calls, at most [`PARTS`] and one.
    parts: VecDeque<(f64, u64, u64)>,
}

impl Window {
    /// Takes the totals of now; gives ended and failed calls of the last `span` seconds.
    fn add(&mut self, now: f64, span: f64, ended: u64, failed: u64) -> (u64, u64) {
        let more = (ended.saturating_sub(self.counted.0), failed.saturating_sub(self.counted.1));
        self.counted = (ended, failed);
        if more.0 > 0 {
            match self.parts.back_mut().filter(|(at, ..)| (0.0..span / PARTS).contains(&(now - at))) {
                Some(part) => *part = (part.0, part.1 + more.0, part.2 + more.1),
                None => self.parts.push_back((now, more.0, more.1)),
            }
        }
        self.parts.retain(|(at, ..)| (0.0..span).contains(&(now - at)));
        self.parts.iter().fold((0, 0), |sum, part| (sum.0 + part.1, sum.1 + part.2))
    }

    /// When the first failures in it were.
    fn began(&self) -> Option<f64> {
        self.parts.iter().find(|(_, _, failed)| *failed > 0).map(|(at, ..)| *at)
    }
}

#[cfg(test)]
mod tests;
