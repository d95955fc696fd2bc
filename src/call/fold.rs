//! The fold: facts in, rows out.
//!
//! | the call | status |
//! |---|---|
//! | a person answered | `answered`, kind `person` |
//! | nobody did, a dialled Local channel without a person behind it did | `answered`, kind `system` |
//! | the caller's line was Up in a queue | `abandoned` if the caller hung up, else `no_answer`; `answered`/`voicemail` when a voicemail box took it after the queue |
//! | the caller's line was Up otherwise | `answered`, kind `voicemail` or `system` |
//! | the caller hung up before that | `abandoned` |
//! | else by the Q.850 cause of the caller's channel (of the called one, where ARI rang the caller first) | 17 `busy`; 21, 29 `rejected`; 0, 16, 18, 19, 26, 31, 102 and none `no_answer`; others `failed` |
//!
//! While the call lives: `active` once somebody or something took it, `ringing` before.

use super::direction::{Came, direction_of};
use super::facts::{ChanFacts, Origin};
use super::key::{ChanKey, ChanKind, endpoint};
use super::numbers::dialed_number;
use super::settle::Settled;
use super::talk::{Spans, Talk, View, hold_spans, span};
use crate::model::{AnsweredKind, Direction, EndedBy, Status, Timestamp};

/// Which endpoints and contexts are the outside world.
pub trait LineRules {
    /// Whether the owner named any trunk or inbound context; without, no direction can be told.
    fn configured(&self) -> bool;
    /// Whether this endpoint (`PJSIP/trunk-a`) is a trunk.
    fn is_trunk(&self, endpoint: &str) -> bool;
    /// Whether calls that begin in this context come from outside.
    fn is_inbound_context(&self, context: &str) -> bool;
    /// The number in E.164, where it is a whole one.
    fn e164(&self, number: &str) -> Option<String>;
}

/// A row of `calls`; durations in milliseconds.
#[derive(Clone, Debug, PartialEq, Hash)]
#[expect(missing_docs, reason = "each is the column of its name; the design and README say what they mean")]
pub struct CallRow {
    pub uid: String,
    pub status: Status,
    pub direction: Option<Direction>,
    pub trunk: Option<String>,
    pub did: Option<String>,
    pub caller_number: Option<String>,
    pub caller_name: Option<String>,
    pub dialed_number: Option<String>,
    pub callee_number: Option<String>,
    pub callee_name: Option<String>,
    pub caller_e164: Option<String>,
    pub dialed_e164: Option<String>,
    pub callee_e164: Option<String>,
    pub answered_kind: Option<AnsweredKind>,
    pub started_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub wait_ms: Option<i64>,
    pub ring_ms: Option<i64>,
    pub talk_ms: Option<i64>,
    pub hold_ms: Option<i64>,
    pub ended_by: Option<EndedBy>,
    pub cause: Option<i32>,
    pub sip_status: Option<i32>,
    pub protocol_id: Option<String>,
    pub incomplete: bool,
    pub legs: usize,
    /// Whether a phone has rung for it (no column: a change is told by it).
    pub rings: bool,
    pub updated_at: Timestamp,
}

/// A row of `legs`.
#[derive(Clone, Debug, PartialEq, Hash)]
#[expect(missing_docs, reason = "each is the column of its name; the design and README say what they mean")]
pub struct LegRow {
    pub channel_id: String,
    pub channel_name: String,
    pub channel_created_at: Timestamp,
    pub stay: usize,
    pub role: &'static str,
    pub endpoint: String,
    pub number: Option<String>,
    pub name: Option<String>,
    pub dialed_by: Option<String>,
    pub started_at: Timestamp,
    pub ringing_at: Option<Timestamp>,
    pub answered_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub hold_ms: i64,
    pub cause: Option<i32>,
    pub sip_status: Option<i32>,
    pub protocol_id: Option<String>,
    pub last_event_seq: Option<i64>,
    pub updated_at: Timestamp,
}

/// A call's row and those of its legs.
pub(super) type Rows = (CallRow, Vec<(ChanKey, LegRow)>);

/// One member of the call being folded.
struct Member<'a> {
    key: ChanKey,
    chan: &'a ChanFacts,
    from: Timestamp,
    to: Option<Timestamp>,
    /// See `Stay::calling`.
    calling: bool,
}

impl Member<'_> {
    /// Whether it is part of the calling side: the origin, the other half of it, or who took its place.
    fn calls(&self, origin: ChanKey) -> bool {
        self.key == origin || self.chan.pair == Some(origin) || self.calling
    }

    fn is_dialed(&self) -> bool {
        matches!(self.chan.origin, Origin::Dialed(_))
    }

    /// When somebody answered here, as part of this call.
    fn answered(&self) -> Option<Timestamp> {
        let dialed = matches!(self.chan.origin, Origin::Dialed(_) | Origin::Made);
        // One that came by a transfer is here from then on.
        self.chan.answered.or(if dialed { self.chan.up } else { None }).map(|at| at.max(self.from))
    }

    fn holds(&self, spans: &mut Spans) {
        hold_spans(self.chan, self.from, self.to.unwrap_or(self.chan.last), spans);
    }
}

/// Who took the call and when.
struct Taken<'a> {
    kind: AnsweredKind,
    at: Timestamp,
    callee: Option<&'a Member<'a>>,
}

/// Folds one call. `members` are all channels with a stay in it, by key.
pub(super) fn fold_call(
    node: &str,
    call: ChanKey,
    members: &[ChanKey],
    view: &View<'_>,
    settled: Option<&Settled>,
    rules: &dyn LineRules,
) -> Option<Rows> {
    let mut members: Vec<Member<'_>> = members
        .iter()
        .filter_map(|key| {
            let chan = view.chans.get(key)?;
            let (from, to) = span(chan, call)?;
            let calling = chan.stays.iter().any(|s| s.call == call && s.calling);
            Some(Member { key: *key, chan, from, to, calling })
        })
        .collect();
    let rung_first = rung_first(&members, call);
    if let Some(member) = rung_first.and_then(|place| members.get_mut(place)) {
        member.calling = true;
    }
    let origin = members.iter().find(|m| m.key == call)?;
    #[cfg(any(test, feature = "test-hooks"))]
    assert!(members.iter().all(|m| !m.chan.fold_fails), "a test wants this fold to fail");
    let caller = rung_first.and_then(|place| members.get(place)).unwrap_or(origin);
    let over = members.iter().all(|m| m.to.is_some());
    let ended_at = if over { members.iter().filter_map(|m| m.to).max() } else { None };
    let updated_at = members.iter().map(|m| m.to.map_or(m.chan.last, |to| to.min(m.chan.last).max(m.from))).max()?;
    let keys: Vec<ChanKey> = members.iter().map(|m| m.key).collect();
    let talk = view.talk(call, &keys, updated_at);
    let talk = settled.map_or(talk, |s| s.talk.and(talk));
    let fetchers = fetchers(&members, view);
    let folding = Folding { members: &members, fetchers: &fetchers, origin, caller, ended_at, talk, settled };
    let taken = folding.taken();
    let status = folding.status(taken.as_ref());
    let row = folding.row(node, status, taken.as_ref(), updated_at, rules);
    let legs = members.iter().map(|m| (m.key, folding.leg(m, view))).collect();
    Some((row, legs))
}

/// Click-to-call through a Local channel: one half dials the first phone and, once that is taken, the other half
/// dials on. The place of that first phone, which is the caller as it is where ARI rings it without a Local channel.
fn rung_first(members: &[Member<'_>], call: ChanKey) -> Option<usize> {
    let origin = members.iter().find(|m| m.key == call)?;
    if origin.chan.origin != Origin::Made || !origin.chan.kind.is_local() {
        return None;
    }
    let by = |m: &Member<'_>, by: ChanKey| m.chan.kind == ChanKind::Real && m.chan.origin == Origin::Dialed(by);
    let second = members.iter().find(|m| m.chan.kind == ChanKind::LocalTwo && m.chan.pair == Some(call))?.key;
    members.iter().find(|m| by(m, call))?;
    let first = members.iter().enumerate().filter(|(_, m)| by(m, second) && m.chan.answered.is_some());
    first.min_by_key(|(_, m)| (m.chan.answered, m.key)).map(|(place, _)| place)
}

/// Those who fetched a channel of the call from where it was parked. They came by themselves and are calls of their own.
fn fetchers<'a>(members: &[Member<'a>], view: &View<'a>) -> Vec<Member<'a>> {
    let fetched = members.iter().filter_map(|m| m.chan.fetched.filter(|(at, _)| *at >= m.from));
    let outside = fetched.filter(|(_, by)| members.iter().all(|m| m.key != *by));
    let fetcher = |(from, key)| Some(Member { key, chan: view.chans.get(&key)?, from, to: None, calling: false });
    outside.filter_map(fetcher).collect()
}

struct Folding<'a> {
    members: &'a [Member<'a>],
    /// See [`fetchers`].
    fetchers: &'a [Member<'a>],
    origin: &'a Member<'a>,
    /// The origin, or the phone that was rung first for it.
    caller: &'a Member<'a>,
    ended_at: Option<Timestamp>,
    talk: Talk,
    settled: Option<&'a Settled>,
}

impl<'a> Folding<'a> {
    fn others(&self) -> impl Iterator<Item = &'a Member<'a>> + use<'a> {
        let origin = self.origin.key;
        self.members.iter().filter(move |m| !m.calls(origin))
    }

    /// A channel that ARI rang and that nothing else belongs to is the called party itself.
    fn lone_callee(&self) -> bool {
        self.origin.chan.origin == Origin::Made
            && self.origin.chan.kind == ChanKind::Real
            && self.others().next().is_none()
    }

    /// When the caller's line was first Up, of the half that runs the dialplan for a Local channel.
    fn line_up(&self) -> Option<Timestamp> {
        let calling = self.members.iter().filter(|m| m.calls(self.origin.key));
        if self.origin.chan.origin == Origin::Made && !self.caller.chan.kind.is_local() {
            // ARI rang the caller first: that it answered says nothing of the called party.
            return if self.others().next().is_some() { None } else { self.origin.chan.up };
        }
        calling.filter_map(|m| m.chan.up).min()
    }

    fn seen(&self, which: fn(&ChanFacts) -> Option<Timestamp>) -> Option<Timestamp> {
        self.members
            .iter()
            .filter(|m| m.calls(self.origin.key) || m.chan.kind == ChanKind::LocalTwo)
            .filter_map(|m| which(m.chan))
            .min()
    }

    fn taken(&self) -> Option<Taken<'a>> {
        let people = || self.others().filter(|m| m.chan.kind == ChanKind::Real);
        let first = people().filter_map(Member::answered).min();
        let fetcher = || self.fetchers.iter().max_by_key(|m| (m.from, m.key));
        if let Some(first) = first {
            let callee = people().filter(|m| m.answered().is_some()).max_by_key(|m| (m.answered(), m.key));
            let callee = fetcher().filter(|f| callee.is_none_or(|c| c.answered() <= Some(f.from))).or(callee);
            return Some(Taken { kind: AnsweredKind::Person, at: first.max(self.origin.from), callee });
        }
        if self.lone_callee() {
            let at = self.origin.answered()?;
            return Some(Taken { kind: AnsweredKind::Person, at, callee: Some(self.origin) });
        }
        if let Some(at) = self.talk.first {
            return Some(Taken { kind: AnsweredKind::Person, at, callee: fetcher() });
        }
        let machine = self.others().filter(|m| m.is_dialed()).filter_map(|m| m.chan.answered).min();
        if let Some(at) = machine {
            return Some(Taken { kind: AnsweredKind::System, at, callee: None });
        }
        let up = self.line_up()?;
        let voicemail = self.seen(|c| c.voicemail);
        let kind = if voicemail.is_some() { AnsweredKind::Voicemail } else { AnsweredKind::System };
        let queue = self.seen(|c| c.queue);
        let after_queue = queue.is_none_or(|queue| voicemail.is_some_and(|v| v >= queue));
        after_queue.then_some(Taken { kind, at: up, callee: None })
    }

    fn status(&self, taken: Option<&Taken<'_>>) -> Status {
        match (self.ended_at, taken) {
            (None, None) if self.line_up().is_none() => Status::Ringing,
            (None, Some(_) | None) => Status::Active,
            (Some(_), Some(_)) => Status::Answered,
            (Some(_), None) if self.caller_hung_up() => Status::Abandoned,
            (Some(_), None) if self.line_up().is_some() => Status::NoAnswer,
            (Some(_), None) => by_cause(self.cause().0),
        }
    }

    fn caller_hung_up(&self) -> bool {
        !self.lone_callee() && !self.caller.chan.hung_up.is_empty()
    }

    /// Q.850 cause and SIP status of the caller's channel; of the last called one where ARI rang the caller.
    fn cause(&self) -> (Option<i32>, Option<i32>) {
        let made = self.origin.chan.origin == Origin::Made;
        let second = self
            .members
            .iter()
            .find(|m| made && m.chan.kind == ChanKind::LocalTwo && m.chan.pair == Some(self.caller.key));
        let called =
            || self.others().filter(|m| m.is_dialed() || m.chan.origin == Origin::Made).max_by_key(|m| (m.to, m.key));
        let decides = match second {
            Some(second) => second,
            None if made && self.talk.ms == 0 && self.caller.chan.hung_up.is_empty() => called().unwrap_or(self.caller),
            None => self.caller,
        };
        decides.chan.ended().map_or((None, None), |e| (e.cause, e.sip))
    }

    /// Who ended it: the first phone that hung up when the last conversation ended; before any, the caller who
    /// gave up or the called party that refused.
    fn ended_by(&self, status: Status, taken: Option<&Taken<'_>>) -> Option<EndedBy> {
        self.ended_at?;
        let side = |m: &Member<'_>| {
            if m.calls(self.origin.key) && !self.lone_callee() { EndedBy::Caller } else { EndedBy::Callee }
        };
        match status {
            Status::Abandoned => return Some(EndedBy::Caller),
            Status::Busy | Status::Rejected => return Some(EndedBy::Callee),
            Status::NoAnswer | Status::Failed => return Some(EndedBy::System),
            Status::Answered | Status::Ringing | Status::Active => {}
        }
        // Phones that hang up within a second of the end of the talk ended it; what came before did not.
        let from = self.talk.last.or(taken.map(|t| t.at)).map(|t| t.plus_millis(-1_000));
        let first = |local: bool| {
            let all = self.members.iter().chain(self.fetchers);
            all.filter(|m| m.chan.kind.is_local() == local)
                .flat_map(|m| m.chan.hung_up.iter().map(move |at| (*at, m)))
                .filter(|(at, m)| from.is_none_or(|from| *at >= from) && m.to.is_none_or(|to| *at <= to))
                .min_by_key(|(at, m)| (*at, m.calls(self.origin.key), m.key))
        };
        // Halves of Local channels hang up one after another, within a millisecond perhaps: the far side began.
        Some(first(false).or_else(|| first(true)).map_or(EndedBy::System, |(_, m)| side(m)))
    }

    fn ring_ms(&self, until: Option<Timestamp>) -> i64 {
        let mut spans = Spans::default();
        let called =
            self.members.iter().filter(|m| !m.calls(self.origin.key) || self.origin.chan.origin == Origin::Made);
        for m in called.filter(|m| m.chan.kind == ChanKind::Real) {
            let Some(from) = m.chan.ringing else { continue };
            let ends = [m.chan.up, m.chan.dial_ended.filter(|d| *d >= from), m.to, until];
            if let Some(to) = ends.into_iter().flatten().min() {
                spans.add(from, to);
            }
        }
        spans.total()
    }

    fn row(
        &self,
        node: &str,
        status: Status,
        taken: Option<&Taken<'_>>,
        updated_at: Timestamp,
        rules: &dyn LineRules,
    ) -> CallRow {
        let chan = self.origin.chan;
        let started_at = self.origin.from;
        let person = taken.filter(|t| t.kind == AnsweredKind::Person);
        let over = self.ended_at.is_some();
        let waited = person.map(|t| t.at).or(taken.map(|t| t.at)).or(self.ended_at);
        let mut hold = Spans::default();
        self.members.iter().for_each(|m| m.holds(&mut hold));
        let hold_ms = hold.total() + self.settled.map_or(0, |s| s.hold_ms);
        let caller = if self.lone_callee() {
            (None, None)
        } else {
            number_of(self.caller, self.origin.chan.origin == Origin::Made)
        };
        let dialed = self.dialed();
        let callee = person.and_then(|t| t.callee).map_or((None, None), |m| number_of(m, true));
        let (cause, sip_status) = if over { self.cause() } else { (None, None) };
        let (direction, trunk) = self.direction(rules);
        let e164 = |number: &Option<String>| number.as_deref().and_then(|n| rules.e164(n));
        CallRow {
            uid: format!("{node}/{}/{}", chan.id, chan.created.millis()),
            status,
            direction,
            trunk,
            did: dialed.clone().filter(|_| direction == Some(Direction::Inbound)),
            caller_e164: e164(&caller.0),
            dialed_e164: e164(&dialed),
            callee_e164: e164(&callee.0),
            caller_number: caller.0,
            caller_name: caller.1,
            dialed_number: dialed,
            callee_number: callee.0,
            callee_name: callee.1,
            answered_kind: taken.map(|t| t.kind),
            started_at,
            answered_at: taken.map(|t| t.at),
            ended_at: self.ended_at,
            wait_ms: waited.map(|at| at.since(started_at).max(0)),
            ring_ms: Some(self.ring_ms(person.map(|t| t.at).or(self.ended_at)))
                .filter(|ms| over || taken.is_some() || *ms > 0),
            talk_ms: Some(self.talk.ms).filter(|_| over || taken.is_some()),
            hold_ms: Some(hold_ms).filter(|_| over || taken.is_some()),
            ended_by: self.ended_by(status, taken),
            cause,
            sip_status,
            protocol_id: chan.protocol.as_deref().map(str::to_owned),
            incomplete: self.members.iter().any(|m| m.chan.incomplete()),
            legs: self.members.len(),
            rings: self.members.iter().any(|m| m.chan.kind == ChanKind::Real && m.chan.ringing.is_some()),
            updated_at,
        }
    }

    /// The number that was called: what the caller dialled, or what ARI had rung.
    fn dialed(&self) -> Option<String> {
        let origin = self.origin.chan;
        if self.lone_callee() {
            return number_of(self.origin, true).0;
        }
        let own = |chan: &ChanFacts| {
            chan.exten.as_ref().map(|e| e.first.to_string()).filter(|e| !matches!(e.as_str(), "" | "s"))
        };
        let second =
            self.members.iter().find(|m| m.chan.kind == ChanKind::LocalTwo && m.chan.pair == Some(self.origin.key));
        // What the Local channel was made for rang the caller.
        let by_exten =
            second.and_then(|m| own(m.chan)).or_else(|| own(origin)).filter(|_| self.caller.key == self.origin.key);
        let first_dialed =
            || self.others().filter(|m| m.chan.kind == ChanKind::Real).min_by_key(|m| (m.chan.created, m.key));
        by_exten.or_else(|| first_dialed().and_then(|m| number_of(m, true).0))
    }

    fn direction(&self, rules: &dyn LineRules) -> (Option<Direction>, Option<String>) {
        let real = |m: &&Member<'_>| m.chan.kind == ChanKind::Real;
        let origin = self.origin.chan;
        let came = Came {
            by_itself: origin.origin == Origin::Caller,
            endpoint: Some(self.origin).filter(real).map(|m| endpoint(&m.chan.name)),
            context: origin.exten.as_ref().map(|e| &*e.second),
        };
        direction_of(rules, &came, self.members.iter().filter(real).map(|m| endpoint(&m.chan.name)))
    }

    fn leg(&self, m: &Member<'_>, view: &View<'_>) -> LegRow {
        let chan = m.chan;
        let stay = chan.stays.iter().position(|s| s.call == self.origin.key).unwrap_or(0);
        let mut hold = Spans::default();
        m.holds(&mut hold);
        let (number, name) = number_of(m, !m.calls(self.origin.key) || chan.origin == Origin::Made);
        let end = chan.ended().filter(|_| stay + 1 == chan.stays.len());
        let by =
            if let Origin::Dialed(by) = chan.origin { view.chans.get(&by).map(|c| c.id.to_string()) } else { None };
        LegRow {
            channel_id: chan.id.to_string(),
            channel_name: chan.name.to_string(),
            channel_created_at: chan.created,
            stay,
            role: chan.role(m.key == self.origin.key),
            endpoint: endpoint(&chan.name).to_owned(),
            number,
            name,
            dialed_by: by,
            started_at: m.from,
            ringing_at: chan.ringing,
            answered_at: chan.answered.or(chan.up),
            ended_at: m.to,
            hold_ms: hold.total() + self.settled.map_or(0, |s| s.leg(m.key)),
            cause: end.and_then(|e| e.cause),
            sip_status: end.and_then(|e| e.sip),
            protocol_id: chan.protocol.as_deref().map(str::to_owned),
            last_event_seq: chan.last_event,
            updated_at: m.to.unwrap_or(chan.last),
        }
    }
}

/// A party's number and name. Of a called party: the number that was dialled through a trunk, else its own.
fn number_of(m: &Member<'_>, called: bool) -> (Option<String>, Option<String>) {
    let some = |text: &str| Some(text.to_owned()).filter(|t| !t.is_empty());
    let (number, name) = m.chan.party.as_ref().map_or((None, None), |p| (some(&p.first), some(&p.second)));
    if m.chan.kind.is_local() {
        return (number, name);
    }
    if called && let Some((number, true)) = m.chan.dialstring.as_ref().map(|(_, text)| dialed_number(text)) {
        return (some(number), name);
    }
    let resource = || endpoint(&m.chan.name).split_once('/').and_then(|(_, r)| some(r)).filter(|_| called);
    (number.or_else(resource), name)
}

/// The outcome of a call that nobody took, by its Q.850 cause.
fn by_cause(cause: Option<i32>) -> Status {
    match cause {
        Some(17) => Status::Busy,
        Some(21 | 29) => Status::Rejected,
        None | Some(0 | 16 | 18 | 19 | 26 | 31 | 102) => Status::NoAnswer,
        Some(_) => Status::Failed,
    }
}
