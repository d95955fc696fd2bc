//! Calls from Asterisk's own call detail records (CDR), for the spans in which nothing could be heard.
//!
//! CDR is no call log: it has one record a try (a hunt, a ring group, a busy phone), knows no id of the dialled
//! channels, doesn't say who hung up, and counts the answer from the dialplan's `Answer()` where there is one. So what it
//! can't tell stays empty here.

mod calls;
mod columns;
mod line;
#[cfg(test)]
mod tests;

pub use calls::{CdrCall, calls};
pub use columns::{ColumnsError, Layout};
pub use line::{split, split_tabs};

pub use super::fold::LegRow;
pub use super::key::second_of;

use crate::model::Timestamp;

/// A channel's first record differs from the second in its id by more only where the time zone is wrong: the nearest other
/// one is a quarter of an hour away.
pub const ZONE_MS: i64 = 14 * 60 * 1_000;

/// One record.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is Asterisk's column of its name")]
pub struct Record {
    pub src: String,
    pub dst: String,
    pub dcontext: String,
    pub clid: String,
    pub channel: String,
    pub dstchannel: String,
    pub lastapp: String,
    pub lastdata: String,
    pub start: Timestamp,
    pub answer: Option<Timestamp>,
    pub end: Timestamp,
    pub disposition: String,
    pub uniqueid: String,
    pub linkedid: Option<String>,
    /// Milliseconds by which its times may be earlier than what they stand for: 1000 where it has seconds only.
    pub precision_ms: i64,
}

impl Record {
    /// The second in which its channel was made, where its id tells.
    pub fn made(&self) -> Option<Timestamp> {
        second_of(&self.uniqueid).map(|second| Timestamp::from_millis(second.saturating_mul(1_000)))
    }
}
