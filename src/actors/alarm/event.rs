//! What alarms speak of: which, about what, with which figures; and what is told of them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// The conditions that last. A gap is none: it is over when it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No connection to an Asterisk.
    AsteriskUnreachable,
    /// No inbound call in working time.
    NoInbound,
    /// Too many calls of a trunk fail.
    TrunkFailures,
    /// The disk is nearly full.
    DiskLow,
    /// The database doesn't keep up with what is heard, or takes nothing.
    WriterBehind,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::AsteriskUnreachable, Self::NoInbound, Self::TrunkFailures, Self::DiskLow, Self::WriterBehind];

    /// Its name in the API, the metrics and webhooks.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsteriskUnreachable => "asterisk_unreachable",
            Self::NoInbound => "no_inbound",
            Self::TrunkFailures => "trunk_failures",
            Self::DiskLow => "disk_low",
            Self::WriterBehind => "writer_behind",
        }
    }
}

/// Which alarm: its kind and what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The kind.
    pub kind: Kind,
    /// The Asterisk; empty where it is about none.
    pub node: String,
    /// The trunk, or what lies on the disk (`database`, `journal`); else empty.
    pub subject: String,
}

/// The figures of an alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detail {
    /// Why the connection fails.
    Error(String),
    /// Minutes without a call.
    Minutes(u64),
    /// Calls of a trunk.
    Calls {
        /// All in the window.
        ended: u64,
        /// Those that failed.
        failed: u64,
    },
    /// Room on a disk.
    Free {
        /// Free for this user.
        mb: u64,
        /// The folder that was looked at.
        folder: String,
    },
    /// The writer's delay.
    Behind {
        /// At least so many seconds.
        seconds: u64,
        /// Why the database takes nothing, if it takes nothing.
        error: Option<String>,
    },
}

/// Several gaps as one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gaps {
    /// How many.
    pub count: u64,
    /// The Asterisks that they concern.
    pub nodes: BTreeSet<String>,
    /// The beginning of the first one, seconds since 1970.
    pub since: f64,
    /// The end of the last one.
    pub until: f64,
    /// Their lengths together, seconds.
    pub seconds: f64,
    /// The calls that they touched; one that several touched counts several times.
    pub calls: u64,
    /// Why, different reasons only.
    pub reasons: BTreeSet<String>,
}

/// Reasons that a summary names; more are of no use to somebody who is called at night.
const MAX_REASONS: usize = 3;

impl Gaps {
    /// One more gap.
    pub fn add(&mut self, node: &str, since: f64, until: f64, reason: &str, calls: u64) {
        self.since = if self.count == 0 { since } else { self.since.min(since) };
        self.until = if self.count == 0 { until } else { self.until.max(until) };
        self.count += 1;
        self.seconds += (until - since).max(0.0);
        self.calls += calls;
        self.nodes.insert(node.to_owned());
        if self.reasons.len() < MAX_REASONS {
            self.reasons.insert(reason.chars().take(200).collect());
        }
    }
}

/// What is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Event {
    /// An alarm began.
    Raised(Alarm),
    /// It lasts.
    Reminder(Alarm),
    /// It is over.
    Cleared {
        /// What it was; its figures are those of the last look at which it was so.
        #[serde(flatten)]
        alarm: Alarm,
        /// The moment from which all was well, seconds since 1970.
        until: f64,
    },
    /// Something may be missing in the records.
    Gaps(Gaps),
    /// Somebody tries the channels.
    Test,
}

/// An alarm that is raised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Which.
    #[serde(flatten)]
    pub key: Key,
    /// Since when it is so, seconds since 1970.
    pub since: f64,
    /// The figures.
    pub detail: Detail,
}

/// What goes out as one message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its identity: who gets it twice, after a crash, knows it by this.
    pub id: String,
    /// When it was made, seconds since 1970.
    pub at: f64,
    /// What it tells.
    pub events: Vec<Event>,
}
