//! The facts of one channel: a set that grows in any order to the same end.

use std::sync::Arc;

use super::input::Opening;
use super::key::{ChanKey, ChanKind, Stay};
use super::settle::{MANY, MARGIN_MS};
use super::talk::ordered;
use crate::model::Timestamp;

/// Dialplan applications that say who takes a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppKind {
    /// `Queue`.
    Queue,
    /// `VoiceMail` and its kin.
    Voicemail,
    /// `ParkedCall`: fetches a call that is parked.
    Fetch,
}

impl AppKind {
    /// The kind of this application, if it matters.
    pub fn of(app: &str) -> Option<Self> {
        match app {
            "Queue" => Some(Self::Queue),
            "ParkedCall" => Some(Self::Fetch),
            "VoiceMail" | "MiniVM" | "MinivmRecord" | "VoiceMailPlayMsg" => Some(Self::Voicemail),
            _ => None,
        }
    }
}

/// How a channel came to be, as far as the facts tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// It came by itself (a phone or trunk called in).
    Caller,
    /// Another channel dialled it.
    Dialed(ChanKey),
    /// ARI or an originate made it.
    Made,
}

/// One fact about a channel. Each carries its own time; order and repetition don't matter.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The channel exists.
    Opened(Box<Opening>),
    /// Which calls it belongs to, oldest stay first; replaces what was said before.
    Stays(Box<[Stay]>),
    /// How it came to be.
    Origin(Origin),
    /// The other half of a Local channel.
    Pair(ChanKey),
    /// Its creation was seen.
    CreationSeen,
    /// See `Input::Party`.
    Party(u8, Box<str>, Box<str>),
    /// See `Input::Exten`.
    Exten(u8, Box<str>, Box<str>),
    /// SIP Call-ID.
    Protocol(Box<str>),
    /// What was dialled to reach it.
    Dialstring(Box<str>),
    /// Rang.
    Ringing,
    /// Was up.
    Up,
    /// Answered a dial.
    Answered,
    /// A dial of it ended without an answer.
    DialEnded,
    /// Entered this bridge.
    Entered(Arc<str>),
    /// Left this bridge.
    Left(Arc<str>),
    /// Put its peer on hold (true) or off (false).
    Hold(bool),
    /// Ran this application.
    App(AppKind),
    /// This channel fetched it from where it was parked.
    Fetched(ChanKey),
    /// Its phone asked for the hangup, or transferred the call away.
    HungUp,
    /// Ended.
    Destroyed(i32, Option<i32>),
    /// Is gone unseen.
    Vanished,
    /// A gap touched it.
    Touched,
    /// Its logic failed; it counts as ended.
    Broken,
    /// It needn't be kept any longer.
    Forgotten,
    /// A test wants the fold of its calls to panic.
    #[cfg(any(test, feature = "test-hooks"))]
    FoldFails,
}

/// Entering and leaving bridges.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Crossing {
    pub(super) at: Timestamp,
    pub(super) bridge: Arc<str>,
    pub(super) entered: bool,
}

/// Number and name with the rank and time at which they were seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranked {
    pub(super) rank: u8,
    pub(super) at: Timestamp,
    pub(super) first: Box<str>,
    pub(super) second: Box<str>,
}

/// How a channel ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct End {
    pub(super) at: Timestamp,
    pub(super) cause: Option<i32>,
    pub(super) sip: Option<i32>,
}

/// All that is known of one channel.
#[derive(Clone, Debug)]
pub struct ChanFacts {
    pub(super) id: Arc<str>,
    pub(super) name: Box<str>,
    pub(super) kind: ChanKind,
    pub(super) created: Timestamp,
    pub(super) origin: Origin,
    pub(super) pair: Option<ChanKey>,
    pub(super) stays: Box<[Stay]>,
    pub(super) party: Option<Ranked>,
    pub(super) exten: Option<Ranked>,
    pub(super) protocol: Option<Box<str>>,
    pub(super) dialstring: Option<(Timestamp, Box<str>)>,
    pub(super) ringing: Option<Timestamp>,
    pub(super) up: Option<Timestamp>,
    pub(super) answered: Option<Timestamp>,
    pub(super) dial_ended: Option<Timestamp>,
    pub(super) crossings: Vec<Crossing>,
    pub(super) holds: Vec<(Timestamp, bool)>,
    pub(super) queue: Option<Timestamp>,
    pub(super) voicemail: Option<Timestamp>,
    /// Who fetched it last from where it was parked, and when.
    pub(super) fetched: Option<(Timestamp, ChanKey)>,
    pub(super) hung_up: Vec<Timestamp>,
    pub(super) end: Option<End>,
    pub(super) vanished: Option<Timestamp>,
    pub(super) creation_seen: bool,
    pub(super) touched: bool,
    pub(super) broken: Option<Timestamp>,
    pub(super) last: Timestamp,
    /// What happened in bridges and on hold before is only kept as sums of its calls (`settle.rs`).
    pub(super) settled: Timestamp,
    /// Head of the chain of its events in the raw log.
    pub(super) last_event: Option<i64>,
    #[cfg(any(test, feature = "test-hooks"))]
    pub(super) fold_fails: bool,
}

/// The hangup requests of one channel that are kept; a phone asks once, twice at most.
const MAX_HANGUPS: usize = 8;
/// The crossings, and as many holds, of one channel that are kept one by one. The book settles old ones long before
/// (`settle.rs`); so many within a minute are no telephone call. Beyond, nothing new begins, and the row is marked.
const MAX_HISTORY: usize = 8_192;

impl ChanFacts {
    pub(super) fn new(opening: &Opening) -> Self {
        Self {
            id: opening.id.clone(),
            name: opening.name.clone(),
            kind: opening.kind,
            created: opening.created,
            origin: Origin::Caller,
            pair: None,
            stays: Box::default(),
            party: None,
            exten: None,
            protocol: None,
            dialstring: None,
            ringing: None,
            up: None,
            answered: None,
            dial_ended: None,
            crossings: Vec::new(),
            holds: Vec::new(),
            queue: None,
            voicemail: None,
            fetched: None,
            hung_up: Vec::new(),
            end: None,
            vanished: None,
            creation_seen: false,
            touched: false,
            broken: None,
            last: opening.created,
            settled: Timestamp::from_millis(0),
            last_event: None,
            #[cfg(any(test, feature = "test-hooks"))]
            fold_fails: false,
        }
    }

    /// Adds a fact; whether that changed anything.
    pub(super) fn add(&mut self, at: Timestamp, fact: Fact) -> bool {
        // What the graph concludes is no event of the channel.
        let concluded = matches!(
            fact,
            Fact::Stays(_) | Fact::Origin(_) | Fact::Pair(_) | Fact::Touched | Fact::Opened(_) | Fact::Fetched(_)
        );
        let later = at > self.last && !concluded;
        if later {
            self.last = at;
        }
        self.keep(at, fact) | later
    }

    fn keep(&mut self, at: Timestamp, fact: Fact) -> bool {
        match fact {
            Fact::Opened(_) | Fact::Forgotten => false,
            Fact::Stays(stays) => replace(&mut self.stays, stays),
            Fact::Origin(origin) => replace(&mut self.origin, origin),
            Fact::Pair(key) => replace(&mut self.pair, Some(key)),
            Fact::CreationSeen => replace(&mut self.creation_seen, true),
            Fact::Touched => replace(&mut self.touched, true),
            Fact::Party(rank, number, name) => least(&mut self.party, Ranked { rank, at, first: number, second: name }),
            Fact::Exten(rank, exten, context) => {
                least(&mut self.exten, Ranked { rank, at, first: exten, second: context })
            }
            Fact::Protocol(id) => self.protocol.is_none() && replace(&mut self.protocol, Some(id)),
            Fact::Dialstring(text) => match &self.dialstring {
                Some((was, old)) if (*was, old) <= (at, &text) => false,
                Some(_) | None => replace(&mut self.dialstring, Some((at, text))),
            },
            Fact::Ringing => earliest(&mut self.ringing, at),
            Fact::Up => earliest(&mut self.up, at),
            Fact::Answered => earliest(&mut self.answered, at) | earliest(&mut self.up, at),
            Fact::DialEnded => earliest(&mut self.dial_ended, at),
            Fact::Entered(bridge) => self.cross(Crossing { at, bridge, entered: true }),
            Fact::Left(bridge) => self.cross(Crossing { at, bridge, entered: false }),
            Fact::Hold(on) => self.hold(at, on),
            Fact::App(AppKind::Queue) => earliest(&mut self.queue, at),
            Fact::App(AppKind::Voicemail) => earliest(&mut self.voicemail, at),
            Fact::App(AppKind::Fetch) => false,
            Fact::Fetched(by) => {
                let last = self.fetched.max(Some((at, by)));
                replace(&mut self.fetched, last)
            }
            Fact::HungUp => insert(&mut self.hung_up, at, MAX_HANGUPS),
            Fact::Destroyed(cause, sip) => match self.end {
                Some(end) if end.at <= at => false,
                Some(_) | None => replace(&mut self.end, Some(End { at, cause: Some(cause), sip })),
            },
            Fact::Vanished => earliest(&mut self.vanished, at),
            Fact::Broken => earliest(&mut self.broken, at),
            #[cfg(any(test, feature = "test-hooks"))]
            Fact::FoldFails => replace(&mut self.fold_fails, true),
        }
    }

    fn cross(&mut self, crossing: Crossing) -> bool {
        let place = self
            .crossings
            .partition_point(|c| (c.at, &c.bridge, c.entered) < (crossing.at, &crossing.bridge, crossing.entered));
        if self.crossings.get(place) == Some(&crossing) || crossing.at < self.known_from() {
            return false;
        }
        if self.crossings.len() >= MAX_HISTORY {
            let last = self.crossings.iter().rev().find(|c| c.bridge == crossing.bridge);
            if crossing.entered || last.is_none_or(|c| !c.entered) {
                return replace(&mut self.touched, true);
            }
        }
        self.crossings.insert(place, crossing);
        true
    }

    fn hold(&mut self, at: Timestamp, on: bool) -> bool {
        if at < self.known_from() {
            return false;
        }
        let held = self.holds.last().is_some_and(|(_, on)| *on);
        if self.holds.len() >= MAX_HISTORY && (on || !held) {
            return replace(&mut self.touched, true);
        }
        insert(&mut self.holds, (at, on), usize::MAX)
    }

    /// Since when crossings and holds are known one by one.
    fn known_from(&self) -> Timestamp {
        self.settled.plus_millis(-MARGIN_MS)
    }

    /// Whether it collected so many crossings or holds that it is time to settle what is old of them.
    pub(super) fn is_long(&self) -> bool {
        self.crossings.len().max(self.holds.len()) >= MANY
    }

    /// Lets go of crossings and holds before a moment, but for those that say how it stands now. Returns the bridges
    /// of which it knows nothing any more.
    pub(super) fn settle(&mut self, until: Timestamp) -> Vec<Arc<str>> {
        self.settled = self.settled.max(until);
        let known = self.known_from();
        let old = self.crossings.partition_point(|c| c.at < known);
        let fresh = self.crossings.split_off(old);
        let past = std::mem::take(&mut self.crossings);
        let mut gone: Vec<Arc<str>> = past.iter().map(|c| c.bridge.clone()).collect();
        for crossing in ordered(&past) {
            let place = self.crossings.iter().position(|c| c.bridge == crossing.bridge);
            match (crossing.entered, place) {
                (true, None) => self.crossings.push(crossing.clone()),
                (false, Some(place)) => drop(self.crossings.remove(place)),
                (true, Some(_)) | (false, None) => {}
            }
        }
        self.crossings.extend(fresh);
        gone.sort_unstable();
        gone.dedup();
        gone.retain(|bridge| !self.crossings.iter().any(|c| c.bridge == *bridge));
        let old = self.holds.partition_point(|(at, _)| *at < known);
        let held = self.holds[..old].last().copied().filter(|(_, on)| *on);
        self.holds.drain(..old);
        if let Some(held) = held {
            self.holds.insert(0, held);
        }
        gone
    }

    /// When and how it ended, if it did: seen, or found gone after a gap, or given up after a failure.
    pub(super) fn ended(&self) -> Option<End> {
        let unseen = |at| End { at, cause: None, sip: None };
        // What was heard of after it seemed gone lives.
        let vanished = self.vanished.filter(|at| *at >= self.last);
        self.end.or_else(|| vanished.map(unseen)).or_else(|| self.broken.map(unseen))
    }

    /// What it is in a call.
    pub(super) fn role(&self, is_origin: bool) -> &'static str {
        match (self.kind, self.origin) {
            _ if is_origin => "origin",
            (ChanKind::LocalOne | ChanKind::LocalTwo, _) => "local",
            (_, Origin::Dialed(_)) => "dialed",
            (_, Origin::Made) => "ari",
            (_, Origin::Caller) => "joined",
        }
    }

    /// Whether its row can't be whole.
    pub(super) fn incomplete(&self) -> bool {
        self.touched || !self.creation_seen || self.broken.is_some() || self.vanished.is_some()
    }
}

fn replace<T: PartialEq>(slot: &mut T, value: T) -> bool {
    if *slot == value {
        return false;
    }
    *slot = value;
    true
}

fn earliest(slot: &mut Option<Timestamp>, at: Timestamp) -> bool {
    match *slot {
        Some(was) if was <= at => false,
        Some(_) | None => {
            *slot = Some(at);
            true
        }
    }
}

fn least(slot: &mut Option<Ranked>, value: Ranked) -> bool {
    let order = |r: &Ranked| (r.rank, r.at, r.first.is_empty(), r.first.clone(), r.second.clone());
    match slot {
        Some(was) if order(was) <= order(&value) => false,
        Some(_) | None => {
            *slot = Some(value);
            true
        }
    }
}

fn insert<T: Ord>(set: &mut Vec<T>, value: T, limit: usize) -> bool {
    match set.binary_search(&value) {
        Ok(_) => false,
        Err(_) if set.len() >= limit => false,
        Err(place) => {
            set.insert(place, value);
            true
        }
    }
}
