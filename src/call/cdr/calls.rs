//! Records -> calls: which belong together, and the rows that they give.
//!
//! | the call's records | status |
//! |---|---|
//! | a phone was dialled and `ANSWERED` | `answered`, kind `person` |
//! | else the caller's line was up and the voicemail was last | `answered`, kind `voicemail` |
//! | else the caller's line was up, no queue, or a dialled Local channel was answered | `answered`, kind `system` |
//! | else it ended within `Dial` or `Queue` before their time was over | `abandoned` |
//! | else by the last disposition | `BUSY` `busy`; `FAILED`, `CONGESTION` `failed`; others `no_answer` |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Record, ZONE_MS};
use crate::call::direction::{Came, direction_of};
use crate::call::fold::{CallRow, LegRow, LineRules};
use crate::call::key::{ChanKind, endpoint, local_base};
use crate::call::numbers::dialed_number;
use crate::call::talk::Spans;
use crate::model::{AnsweredKind, Direction, EndedBy, Status, Timestamp};

/// A call as its records tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct CdrCall {
    /// Its row; what CDR can't tell is `None`.
    pub row: CallRow,
    /// The legs whose ids CDR knows: channels that have records of their own.
    pub legs: Vec<LegRow>,
    /// The first channels of the calls for which its channels were dialled, by `linkedid`.
    pub linked: Vec<String>,
}

impl CdrCall {
    /// The ids of all its channels that CDR knows, and of those for which they were dialled.
    pub fn channels(&self) -> impl Iterator<Item = &str> {
        self.legs.iter().map(|leg| leg.channel_id.as_str()).chain(self.linked.iter().map(String::as_str))
    }
}

/// The calls of these records, the earliest first. Parts of calls whose beginning isn't among the records are left out.
pub fn calls(node: &str, records: &[Record], rules: &dyn LineRules) -> Vec<CdrCall> {
    let groups = groups(records);
    let whole = groups.iter().filter_map(|group| Group::of(group)).filter(Group::is_whole);
    let mut calls: Vec<CdrCall> = whole.map(|group| group.call(node, rules)).collect();
    calls.sort_by(|a, b| (a.row.started_at, &a.row.uid).cmp(&(b.row.started_at, &b.row.uid)));
    calls
}

/// Records with a common id, of the two halves of a Local channel, and of a dialled channel with who dialled it are one
/// call. Names come again after a restart of Asterisk: they tie only while the channel lived, or within one `linkedid`.
/// That alone ties only channels that were dialled: callers in one conference have it in common too.
fn groups(records: &[Record]) -> Vec<Vec<&Record>> {
    let mut sets = Sets((0..records.len()).collect());
    let mut owners: HashMap<&str, usize> = HashMap::new();
    let parts = || records.iter().enumerate().filter(|(_, r)| is_part(&r.channel));
    for (index, record) in parts() {
        let owner = *owners.entry(record.uniqueid.as_str()).or_insert(index);
        sets.join(owner, index);
    }
    tie_names(records, &mut sets);
    for (index, record) in parts().filter(|(_, r)| was_dialed(r)) {
        if let Some(first) = record.linkedid.as_deref().and_then(|id| owners.get(id)) {
            sets.join(*first, index);
        }
    }
    let mut groups: BTreeMap<usize, Vec<&Record>> = BTreeMap::new();
    for (index, record) in parts() {
        groups.entry(sets.root(index)).or_default().push(record);
    }
    groups.into_values().collect()
}

/// Joins what names the same channel at the same time.
fn tie_names(records: &[Record], sets: &mut Sets) {
    let until = |r: &Record| r.end.plus_millis(r.precision_ms);
    let mut lives: HashMap<&str, (Timestamp, Timestamp)> = HashMap::new();
    for r in records {
        let life = lives.entry(r.uniqueid.as_str()).or_insert((r.start, until(r)));
        *life = (life.0.min(r.start), life.1.max(until(r)));
    }
    let mut uses: HashMap<&str, Vec<(Timestamp, Timestamp, usize)>> = HashMap::new();
    let mut linked: HashMap<(&str, &str), usize> = HashMap::new();
    for (index, r) in records.iter().enumerate().filter(|(_, r)| is_part(&r.channel)) {
        let own = lives.get(r.uniqueid.as_str()).copied().unwrap_or((r.start, until(r)));
        let other = Some((r.dstchannel.as_str(), (r.start, until(r)))).filter(|(n, _)| !n.is_empty() && is_part(n));
        for (name, (from, to)) in [Some((r.channel.as_str(), own)), other].into_iter().flatten() {
            uses.entry(line(name)).or_default().push((from, to, index));
            if let Some(id) = &r.linkedid {
                let owner = *linked.entry((line(name), id.as_str())).or_insert(index);
                sets.join(owner, index);
            }
        }
    }
    for mut of_one in uses.into_values() {
        of_one.sort_unstable();
        let mut last: Option<(Timestamp, usize)> = None;
        for (from, to, index) in of_one {
            match last.filter(|(end, _)| from <= *end) {
                Some((end, with)) => {
                    sets.join(with, index);
                    last = Some((end.max(to), with));
                }
                None => last = Some((to, index)),
            }
        }
    }
}

/// Whether somebody else's call made this record's channel.
fn was_dialed(record: &Record) -> bool {
    ChanKind::of(&record.channel).is_local() || record.lastapp == "AppDial"
}

fn is_part(channel: &str) -> bool {
    ChanKind::of(channel) != ChanKind::Hidden
}

/// The name by which a channel's records find each other.
fn line(channel: &str) -> &str {
    if ChanKind::of(channel).is_local() { local_base(channel) } else { channel }
}

/// Disjoint sets of records.
struct Sets(Vec<usize>);

impl Sets {
    fn root(&mut self, mut of: usize) -> usize {
        while let Some(&up) = self.0.get(of).filter(|up| **up != of) {
            let next = self.0.get(up).copied().unwrap_or(up);
            if let Some(slot) = self.0.get_mut(of) {
                *slot = next;
            }
            of = next;
        }
        of
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.0.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}

/// One call's records in the order of time.
struct Group<'a> {
    records: Vec<&'a Record>,
    /// The first record of the channel that began it.
    origin: &'a Record,
    started_at: Timestamp,
    ended_at: Timestamp,
}

impl<'a> Group<'a> {
    fn of(records: &[&'a Record]) -> Option<Self> {
        let mut records = records.to_vec();
        // Within one second: what the dialplan did after a try has no other channel, and younger channels have greater names.
        records.sort_by(|a, b| {
            let key = |r: &Record| (r.start, r.end, r.dstchannel.is_empty());
            (key(a), &a.channel, &a.dstchannel).cmp(&(key(b), &b.channel, &b.dstchannel))
        });
        let dialed = |r: &&&Record| records.iter().any(|o| o.dstchannel == r.channel && o.uniqueid != r.uniqueid);
        let local = |r: &&&Record| ChanKind::of(&r.channel).is_local();
        let origin = records.iter().find(|r| !dialed(r) && !local(r)).or(records.iter().find(|r| !dialed(r)));
        let origin = *origin.or(records.first())?;
        let own = || records.iter().filter(|r| r.uniqueid == origin.uniqueid);
        let started_at = own().map(|r| r.start).min()?;
        let ended_at = records.iter().map(|r| r.end).max()?;
        Some(Self { origin, started_at, ended_at, records })
    }

    /// Whether its beginning is here: a channel that somebody dialled began no call, unless `linkedid` says that it did; and
    /// the first record of the channel that began it is of about the second in its id.
    fn is_whole(&self) -> bool {
        let first = self.origin.linkedid.as_deref();
        let begun = !was_dialed(self.origin) || self.records.iter().any(|r| Some(r.uniqueid.as_str()) == first);
        begun && self.origin.made().is_none_or(|made| self.started_at.since(made).abs() <= ZONE_MS)
    }

    /// Records in which a phone that was dialled took the call.
    fn taken(&self) -> impl Iterator<Item = &&'a Record> {
        let phone = |r: &&&Record| !r.dstchannel.is_empty() && ChanKind::of(&r.dstchannel) == ChanKind::Real;
        self.records.iter().filter(phone).filter(|r| r.disposition == "ANSWERED" && r.answer.is_some())
    }

    /// When this try was answered, as far as CDR tells: where the dialplan had answered the caller's line before, the
    /// record says that moment instead, which is its start. What follows on a conversation goes on with it.
    fn answered(&self, record: &Record) -> Option<Timestamp> {
        let follows = self.taken().any(|r| r.uniqueid == record.uniqueid && r.end <= record.start && self.told(r));
        record.answer.filter(|_| follows || self.told(record))
    }

    fn told(&self, record: &Record) -> bool {
        let margin = if record.precision_ms > 1 { record.precision_ms } else { 20 };
        record.answer.is_some_and(|at| at.since(record.start) >= margin)
    }

    fn status(&self) -> (Status, Option<AnsweredKind>) {
        if self.taken().next().is_some() {
            return (Status::Answered, Some(AnsweredKind::Person));
        }
        let own = || self.records.iter().filter(|r| r.uniqueid == self.origin.uniqueid);
        let up = own().any(|r| r.answer.is_some());
        let app = |name: &str| self.records.iter().any(|r| r.lastapp == name);
        if up && (app("VoiceMail") || app("Voicemail")) {
            return (Status::Answered, Some(AnsweredKind::Voicemail));
        }
        if up && !app("Queue") {
            return (Status::Answered, Some(AnsweredKind::System));
        }
        let last = own().max_by_key(|r| (r.end, r.start)).unwrap_or(&self.origin);
        let status = match last.disposition.as_str() {
            "BUSY" => Status::Busy,
            "FAILED" | "CONGESTION" => Status::Failed,
            _ if self.gave_up(last) => Status::Abandoned,
            _ => Status::NoAnswer,
        };
        (status, None)
    }

    /// Whether the call ended while `Dial` or `Queue` still had time: then the caller hung up, since after either the dialplan
    /// goes on, and the record names what came then.
    fn gave_up(&self, last: &Record) -> bool {
        let arguments: Vec<&str> = last.lastdata.split(',').collect();
        let timeout = match last.lastapp.as_str() {
            "Dial" => arguments.get(1),
            "Queue" => arguments.get(4),
            _ => return false,
        };
        let timeout = timeout.and_then(|text| text.trim().parse::<i64>().ok()).map(|seconds| seconds * 1_000);
        let began = self.records.iter().filter(|r| (&r.lastapp, &r.lastdata) == (&last.lastapp, &last.lastdata));
        let began = began.map(|r| r.start).min().unwrap_or(last.start);
        timeout.is_none_or(|timeout| last.end.since(began) + last.precision_ms <= timeout)
    }

    fn ring_ms(&self) -> i64 {
        let mut rings = Spans::default();
        for r in self.records.iter().filter(|r| !r.dstchannel.is_empty()) {
            if ChanKind::of(&r.dstchannel) == ChanKind::Real && matches!(r.lastapp.as_str(), "Dial" | "Queue") {
                let answered = r.disposition == "ANSWERED";
                let until = if answered { self.answered(r).unwrap_or(r.start) } else { r.end };
                rings.add(r.start, until);
            }
        }
        rings.total()
    }

    /// `None` where a conversation's beginning isn't known.
    fn talk_ms(&self) -> Option<i64> {
        let mut talk = Spans::default();
        for r in self.taken() {
            talk.add(self.answered(r)?, r.end);
        }
        Some(talk.total())
    }

    fn call(self, node: &str, rules: &dyn LineRules) -> CdrCall {
        let (status, answered_kind) = self.status();
        let person = answered_kind == Some(AnsweredKind::Person);
        let answered_at = if person {
            self.taken().map(|r| self.answered(r)).min().flatten()
        } else {
            self.origin.answer.filter(|_| status == Status::Answered)
        };
        let waited = if status == Status::Answered { answered_at } else { Some(self.ended_at) };
        let callee = self.taken().last().map(|r| callee_of(r));
        let (caller_number, caller_name) = caller_of(self.origin);
        let dialed = Some(self.origin.dst.clone()).filter(|d| !matches!(d.as_str(), "" | "s"));
        let (direction, trunk) = self.direction(rules);
        let e164 = |number: &Option<String>| number.as_deref().and_then(|n| rules.e164(n));
        let legs = self.legs();
        let others = self.records.iter().filter(|r| was_dialed(r)).filter_map(|r| r.linkedid.clone());
        let linked: BTreeSet<String> = others.filter(|id| legs.iter().all(|leg| leg.channel_id != *id)).collect();
        let row = CallRow {
            uid: format!("{node}/{}/{}", self.origin.uniqueid, self.started_at.millis()),
            status,
            direction,
            trunk,
            did: dialed.clone().filter(|_| direction == Some(Direction::Inbound)),
            caller_e164: e164(&caller_number),
            dialed_e164: e164(&dialed),
            callee_e164: e164(&callee),
            caller_number,
            caller_name,
            dialed_number: dialed,
            callee_number: callee,
            callee_name: None,
            answered_kind,
            started_at: self.started_at,
            answered_at,
            ended_at: Some(self.ended_at),
            wait_ms: waited.map(|at| at.since(self.started_at).max(0)),
            ring_ms: Some(self.ring_ms()),
            talk_ms: self.talk_ms(),
            hold_ms: None,
            ended_by: match status {
                Status::Abandoned => Some(EndedBy::Caller),
                Status::Busy | Status::Rejected => Some(EndedBy::Callee),
                Status::NoAnswer | Status::Failed => Some(EndedBy::System),
                Status::Answered | Status::Ringing | Status::Active => None,
            },
            cause: None,
            sip_status: None,
            protocol_id: None,
            // It was not heard: what CDR doesn't tell is missing.
            incomplete: true,
            legs: legs.len(),
            rings: false,
            updated_at: self.ended_at,
        };
        CdrCall { row, legs, linked: linked.into_iter().collect() }
    }

    fn direction(&self, rules: &dyn LineRules) -> (Option<Direction>, Option<String>) {
        let real = |channel: &&str| !channel.is_empty() && ChanKind::of(channel) == ChanKind::Real;
        let came = Came {
            by_itself: !self.origin.lastapp.starts_with("AppDial"),
            endpoint: Some(self.origin.channel.as_str()).filter(real).map(endpoint),
            context: Some(&self.origin.dcontext),
        };
        let channels = self.records.iter().flat_map(|r| [r.channel.as_str(), r.dstchannel.as_str()]);
        direction_of(rules, &came, channels.filter(real).map(endpoint))
    }

    /// One leg for each channel with records of its own.
    fn legs(&self) -> Vec<LegRow> {
        let mut legs: Vec<LegRow> = Vec::new();
        for r in &self.records {
            if let Some(leg) = legs.iter_mut().find(|leg| leg.channel_id == r.uniqueid) {
                leg.ended_at = leg.ended_at.max(Some(r.end));
                leg.updated_at = leg.updated_at.max(r.end);
                leg.answered_at = [leg.answered_at, r.answer].into_iter().flatten().min();
                continue;
            }
            let origin = r.uniqueid == self.origin.uniqueid;
            let local = ChanKind::of(&r.channel).is_local();
            let (number, name) = caller_of(r);
            legs.push(LegRow {
                channel_id: r.uniqueid.clone(),
                channel_name: r.channel.clone(),
                channel_created_at: r.start,
                stay: 0,
                role: if origin {
                    "origin"
                } else if local {
                    "local"
                } else {
                    "dialed"
                },
                endpoint: endpoint(&r.channel).to_owned(),
                number,
                name,
                dialed_by: None,
                started_at: r.start,
                ringing_at: None,
                answered_at: r.answer,
                ended_at: Some(r.end),
                hold_ms: 0,
                cause: None,
                sip_status: None,
                protocol_id: None,
                last_event_seq: None,
                updated_at: r.end,
            });
        }
        legs
    }
}

/// Number and name of `"Name" <number>`.
fn caller_of(record: &Record) -> (Option<String>, Option<String>) {
    let some = |text: &str| Some(text.trim().to_owned()).filter(|t| !t.is_empty());
    let clid = record.clid.trim();
    let (name, number) = match clid.strip_suffix('>').and_then(|head| head.rsplit_once('<')) {
        Some((name, number)) => (name.trim(), number),
        None => ("", ""),
    };
    let name = name.strip_prefix('"').and_then(|n| n.strip_suffix('"')).unwrap_or(name);
    (some(number).or_else(|| some(&record.src)), some(name))
}

/// The number of who took it: what was dialled through a trunk, else the phone's own.
fn callee_of(record: &Record) -> String {
    let at = endpoint(&record.dstchannel);
    let targets = record.lastdata.split(',').next().unwrap_or_default();
    let resource = at.split_once('/').map_or(at, |(_, resource)| resource);
    let through = |target: &&str| target.ends_with(&format!("@{resource}")) || target.starts_with(&format!("{at}/"));
    let number = targets.split('&').find(through).filter(|_| record.lastapp == "Dial").map(dialed_number);
    number.and_then(|(number, outside)| outside.then_some(number)).unwrap_or(resource).to_owned()
}
