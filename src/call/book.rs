//! The book of open calls: facts come in, rows that changed come out.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::facts::{ChanFacts, Fact};
use super::fold::{CallRow, LegRow, LineRules, Rows, fold_call};
use super::key::{ChanKey, ChanKind};
use super::plain::plain_call;
use super::settle::Settled;
use super::talk::View;
use crate::model::{Status, Timestamp};

/// What became of a call, for those who follow live.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChangeKind {
    /// A new call.
    Started,
    /// A phone rings.
    Ringing,
    /// A person or machine took it.
    Answered,
    /// It is with somebody else now.
    Transferred,
    /// Something else of it changed.
    Updated,
    /// It is over.
    Ended,
    /// It turned out to be part of another call.
    Merged,
}

impl ChangeKind {
    /// The word in `changes.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "call_started",
            Self::Ringing => "call_ringing",
            Self::Answered => "call_answered",
            Self::Transferred => "call_transferred",
            Self::Updated => "call_updated",
            Self::Ended => "call_ended",
            Self::Merged => "call_merged",
        }
    }
}

/// A change of a call, with its row after it.
#[derive(Clone, Debug, PartialEq)]
pub struct CallChange {
    /// What changed.
    pub kind: ChangeKind,
    /// The call's uid.
    pub uid: String,
    /// When, by Asterisk's clock.
    pub at: Timestamp,
    /// For `Merged`: the uid of the call that it is part of.
    pub survivor: Option<String>,
}

/// What a fold of everything that changed gave.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// Calls to write.
    pub calls: Vec<CallRow>,
    /// Their legs, with the call's uid.
    pub legs: Vec<(String, LegRow)>,
    /// Calls that are no longer one: their uid.
    pub removed: Vec<String>,
    /// What to tell.
    pub changes: Vec<CallChange>,
    /// Calls whose fold failed now: their uid. Their rows are plain and marked from here on.
    pub failed: Vec<String>,
    /// Channels of which so much came at once that not all of it could be kept: their id. Their calls are marked.
    pub crowded: Vec<String>,
}

/// The newest event of a channel's chain in the raw log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The channel's id.
    pub channel_id: Arc<str>,
    /// Its creation time.
    pub created: Timestamp,
    /// The event's number.
    pub seq: i64,
}

/// What is remembered of a call beside its channels.
#[derive(Debug, Default)]
pub(super) struct Call {
    pub(super) members: Vec<ChanKey>,
    written: Option<Written>,
    /// Digests of its leg rows as they were last given out.
    legs: Vec<(ChanKey, u64)>,
    /// What is long over.
    pub(super) settled: Option<Box<Settled>>,
    /// Its fold failed once: from then on its rows are plain.
    failed: bool,
}

/// The parts of the row last given out by which a change is told.
#[derive(Debug, PartialEq)]
struct Written {
    uid: String,
    status: Status,
    callee: Option<String>,
    over: bool,
    rings: bool,
    /// Digest of the whole row.
    digest: u64,
    /// See [`shown`].
    shown: u64,
}

/// All channels and calls of one node that are open, or ended a short while ago.
#[derive(Debug)]
pub struct Book {
    node: Box<str>,
    // Boxed, as the nodes of the graph: a table has room for up to twice its entries, and these are large.
    pub(super) chans: FxHashMap<ChanKey, Box<ChanFacts>>,
    pub(super) bridges: FxHashMap<Arc<str>, Vec<ChanKey>>,
    pub(super) calls: FxHashMap<ChanKey, Box<Call>>,
    dirty: FxHashSet<ChanKey>,
    forgotten: Vec<ChanKey>,
    /// Channels whose chain has grown since its head was last given out.
    grown: FxHashSet<ChanKey>,
    /// The heads of those of them that are forgotten.
    parted: Vec<ChainHead>,
    /// Channels that collected many crossings or holds.
    pub(super) long: FxHashSet<ChanKey>,
    /// See `Folded::failed`.
    failed: Vec<String>,
    /// See `Folded::crowded`.
    crowded: Vec<String>,
}

impl Book {
    /// An empty book of this node.
    pub fn new(node: &str) -> Self {
        Self {
            node: node.into(),
            chans: FxHashMap::default(),
            bridges: FxHashMap::default(),
            calls: FxHashMap::default(),
            dirty: FxHashSet::default(),
            forgotten: Vec::new(),
            grown: FxHashSet::default(),
            parted: Vec::new(),
            long: FxHashSet::default(),
            failed: Vec::new(),
            crowded: Vec::new(),
        }
    }

    /// Calls that are not over.
    pub fn open_calls(&self) -> usize {
        self.calls.values().filter(|c| c.written.as_ref().is_some_and(|w| !w.over)).count()
    }

    /// The newest event of a channel's chain, as the database has it.
    pub fn resume_chain(&mut self, key: ChanKey, seq: i64) {
        if let Some(chan) = self.chans.get_mut(&key) {
            chan.last_event = Some(seq);
        }
    }

    /// Adds an event to a channel's chain in the raw log; returns the one before it.
    pub fn extend_chain(&mut self, key: ChanKey, seq: i64) -> Option<i64> {
        let before = self.chans.get_mut(&key)?.last_event.replace(seq);
        self.grown.insert(key);
        before
    }

    /// How many chains have grown since their heads were last given out, with a row or by [`Book::take_heads`].
    pub fn grown_chains(&self) -> usize {
        self.grown.len() + self.parted.len()
    }

    /// The heads of the chains that have grown. Most events change nothing but their chain: giving its head out apart
    /// from the rows spares a row for each of them.
    pub fn take_heads(&mut self) -> Vec<ChainHead> {
        let mut heads = std::mem::take(&mut self.parted);
        let grown = self.grown.drain().filter_map(|key| self.chans.get(&key));
        heads.extend(grown.filter_map(|chan| head(chan)));
        heads
    }

    /// A channel's id and creation time, by which older rows of it are found.
    pub fn identity(&self, key: ChanKey) -> Option<(&str, Timestamp)> {
        self.chans.get(&key).map(|c| (&*c.id, c.created))
    }

    /// The uid of the call to which a channel belongs.
    pub fn call_uid(&self, key: ChanKey) -> Option<String> {
        self.uid(self.chans.get(&key)?.stays.last()?.call)
    }

    /// Adds one fact.
    pub fn add(&mut self, key: ChanKey, at: Timestamp, fact: Fact) {
        match fact {
            Fact::Opened(opening) => {
                self.chans.entry(key).or_insert_with(|| Box::new(ChanFacts::new(&opening)));
            }
            Fact::Forgotten => self.forgotten.push(key),
            Fact::Stays(stays) => self.stays(key, at, stays),
            Fact::Entered(ref bridge) | Fact::Left(ref bridge) => {
                let bridge = bridge.clone();
                let members = self.bridges.entry(bridge).or_default();
                if !members.contains(&key) {
                    members.push(key);
                }
                let others = members.clone();
                if self.add_to(key, at, fact) {
                    // Who meets whom concerns the calls of all who are there.
                    others.into_iter().for_each(|other| self.touch(other));
                }
            }
            Fact::Origin(_)
            | Fact::Pair(_)
            | Fact::CreationSeen
            | Fact::Party(..)
            | Fact::Exten(..)
            | Fact::Protocol(_)
            | Fact::Dialstring(_)
            | Fact::Ringing
            | Fact::Up
            | Fact::Answered
            | Fact::DialEnded
            | Fact::Hold(_)
            | Fact::App(_)
            | Fact::Fetched(_)
            | Fact::HungUp
            | Fact::Destroyed(..)
            | Fact::Vanished
            | Fact::Touched
            | Fact::Broken => self.add_touching(key, at, fact),
            #[cfg(any(test, feature = "test-hooks"))]
            Fact::FoldFails => self.add_touching(key, at, fact),
        }
    }

    fn add_touching(&mut self, key: ChanKey, at: Timestamp, fact: Fact) {
        if self.add_to(key, at, fact) {
            self.touch(key);
        }
    }

    fn add_to(&mut self, key: ChanKey, at: Timestamp, fact: Fact) -> bool {
        let Some(chan) = self.chans.get_mut(&key) else { return false };
        let marks = matches!(fact, Fact::Touched) || chan.touched;
        let news = chan.add(at, fact);
        if chan.touched && !marks {
            self.crowded.push(chan.id.to_string());
        }
        if news && chan.is_long() {
            self.long.insert(key);
        }
        news
    }

    fn touch(&mut self, key: ChanKey) {
        if let Some(chan) = self.chans.get(&key) {
            self.dirty.extend(chan.stays.iter().map(|s| s.call));
        }
    }

    fn stays(&mut self, key: ChanKey, at: Timestamp, stays: Box<[super::key::Stay]>) {
        let Some(chan) = self.chans.get(&key) else { return };
        for stay in &chan.stays {
            if let Some(call) = self.calls.get_mut(&stay.call) {
                call.members.retain(|k| *k != key);
            }
            self.dirty.insert(stay.call);
        }
        for stay in &stays {
            let members = &mut self.calls.entry(stay.call).or_default().members;
            if !members.contains(&key) {
                members.push(key);
                members.sort_unstable();
            }
            self.dirty.insert(stay.call);
        }
        self.add_to(key, at, Fact::Stays(stays));
    }

    /// Folds every call that changed since the last fold.
    pub fn fold(&mut self, rules: &dyn LineRules) -> Folded {
        let mut folded = Folded::default();
        let mut dirty: Vec<ChanKey> = self.dirty.drain().collect();
        dirty.sort_unstable();
        self.carry_sums(&dirty);
        for key in dirty {
            self.fold_one(key, rules, &mut folded);
        }
        self.settle_the_long();
        let gone = std::mem::take(&mut self.forgotten);
        self.settle_before_forgetting(&gone);
        for key in gone {
            self.forget(key);
        }
        folded.failed = std::mem::take(&mut self.failed);
        folded.crowded = std::mem::take(&mut self.crowded);
        folded
    }

    fn fold_one(&mut self, key: ChanKey, rules: &dyn LineRules, folded: &mut Folded) {
        let Some(row) = self.rows_of(key, rules) else { return };
        let survivor = self.chans.get(&key).and_then(|c| c.stays.first()).map(|s| s.call);
        let at = self.chans.get(&key).map_or(Timestamp::from_millis(0), |c| c.last);
        let Some((row, legs)) = row else {
            // Its origin belongs to another call now, or never was one.
            let Some(call) = self.calls.remove(&key) else { return };
            if let Some(written) = call.written {
                let survivor = survivor.and_then(|s| self.uid(s));
                folded.removed.push(written.uid.clone());
                folded.changes.push(CallChange { kind: ChangeKind::Merged, uid: written.uid, at, survivor });
            }
            return;
        };
        let now = Written {
            uid: row.uid.clone(),
            status: row.status,
            callee: row.callee_number.clone(),
            over: row.ended_at.is_some(),
            rings: row.rings,
            digest: digest(&row),
            shown: shown(&row),
        };
        let Some(call) = self.calls.get_mut(&key) else { return };
        let same = call.written.as_ref().is_some_and(|before| before.digest == now.digest);
        let kinds = if same { Vec::new() } else { kinds(call.written.as_ref(), &now) };
        for kind in kinds {
            folded.changes.push(CallChange { kind, uid: row.uid.clone(), at: row.updated_at, survivor: None });
        }
        call.written = Some(now);
        let legs = legs.into_iter().map(|(key, mut leg)| (key, leg_digest(&mut leg), leg));
        let fresh: Vec<_> = legs.filter(|(key, digest, _)| !call.legs.contains(&(*key, *digest))).collect();
        for (key, digest, leg) in fresh {
            call.legs.retain(|(k, _)| *k != key);
            call.legs.push((key, digest));
            if self.chans.get(&key).is_some_and(|chan| chan.stays.len() == 1) {
                self.grown.remove(&key);
            }
            folded.legs.push((row.uid.clone(), leg));
        }
        if !same {
            folded.calls.push(row);
        }
    }

    /// The rows of a call, `None` within when it is none any more. A fold that fails fails for this call only: it would
    /// fail again at each try, and after each start.
    fn rows_of(&mut self, key: ChanKey, rules: &dyn LineRules) -> Option<Option<Rows>> {
        let call = self.calls.get(&key)?;
        let view = View { chans: &self.chans, bridges: &self.bridges };
        if !call.failed {
            let settled = call.settled.as_deref();
            let fold = || fold_call(&self.node, key, &call.members, &view, settled, rules);
            if let Ok(rows) = catch_unwind(AssertUnwindSafe(fold)) {
                return Some(rows);
            }
            self.fails(key);
        }
        let call = self.calls.get(&key)?;
        let view = View { chans: &self.chans, bridges: &self.bridges };
        Some(plain_call(&self.node, key, &call.members, &view))
    }

    /// From now on the rows of this call are plain.
    pub(super) fn fails(&mut self, key: ChanKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if !std::mem::replace(&mut call.failed, true) {
            self.failed.extend(self.chans.get(&key).map(|c| uid(&self.node, c)));
            self.dirty.insert(key);
        }
    }

    fn uid(&self, key: ChanKey) -> Option<String> {
        self.chans.get(&key).map(|c| uid(&self.node, c))
    }

    fn forget(&mut self, key: ChanKey) {
        let Some(chan) = self.chans.remove(&key) else { return };
        if self.grown.remove(&key) {
            self.parted.extend(head(&chan));
        }
        for crossing in &chan.crossings {
            if let Some(members) = self.bridges.get_mut(&crossing.bridge) {
                members.retain(|k| *k != key);
                if members.is_empty() {
                    self.bridges.remove(&crossing.bridge);
                }
            }
        }
        for stay in &chan.stays {
            if let Some(call) = self.calls.get_mut(&stay.call) {
                call.members.retain(|k| *k != key);
                if call.members.is_empty() {
                    self.calls.remove(&stay.call);
                }
            }
        }
    }

    /// Live channels that the book holds; helpers of Asterisk don't count.
    pub fn live_channels(&self) -> usize {
        self.chans.values().filter(|c| c.kind != ChanKind::Hidden && c.ended().is_none()).count()
    }
}

/// The head of a channel's chain.
fn head(chan: &ChanFacts) -> Option<ChainHead> {
    chan.last_event.map(|seq| ChainHead { channel_id: chan.id.clone(), created: chan.created, seq })
}

/// Tells whether a leg's row is as it was, the head of its chain apart.
fn leg_digest(leg: &mut LegRow) -> u64 {
    let head = leg.last_event_seq.take();
    let digest = digest(leg);
    leg.last_event_seq = head;
    digest
}

fn uid(node: &str, chan: &ChanFacts) -> String {
    format!("{node}/{}/{}", chan.id, chan.created.millis())
}

/// Tells whether a row is as it was.
fn digest(row: &impl std::hash::Hash) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault};
    BuildHasherDefault::<rustc_hash::FxHasher>::default().hash_one(row)
}

/// A hash of everything in a row that a follower sees of it; times that run on by themselves are left out. A call that is
/// talking changes its row with almost every event, and nobody needs to hear of that.
fn shown(row: &CallRow) -> u64 {
    let mut hasher = FxHasher::default();
    let numbers = (&row.caller_number, &row.caller_name, &row.dialed_number, &row.callee_number, &row.callee_name);
    let kinds = (row.status.as_str(), row.answered_kind.map(|k| k.as_str()), row.direction.map(|d| d.as_str()));
    let end =
        (row.ended_at, row.ended_by.map(|b| b.as_str()), row.cause, row.talk_ms.filter(|_| row.ended_at.is_some()));
    (numbers, kinds, row.started_at, row.answered_at, end, row.incomplete, row.legs).hash(&mut hasher);
    hasher.finish()
}

/// What a follower is told of the step from one row to the next.
fn kinds(before: Option<&Written>, now: &Written) -> Vec<ChangeKind> {
    let mut kinds = Vec::new();
    let taken = |w: &Written| w.status != Status::Ringing;
    if before.is_none() {
        kinds.push(ChangeKind::Started);
    }
    if now.rings && before.is_none_or(|b| !b.rings) {
        kinds.push(ChangeKind::Ringing);
    }
    let answered = matches!(now.status, Status::Active | Status::Answered);
    if answered && before.is_none_or(|b| !taken(b)) {
        kinds.push(ChangeKind::Answered);
    } else if before.is_some_and(|b| b.callee.is_some() && b.callee != now.callee) {
        kinds.push(ChangeKind::Transferred);
    }
    if now.over && before.is_none_or(|b| !b.over) {
        kinds.push(ChangeKind::Ended);
    } else if kinds.is_empty() && before.is_none_or(|b| b.shown != now.shown) {
        kinds.push(ChangeKind::Updated);
    }
    kinds
}
