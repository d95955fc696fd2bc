//! What one stretch of the journal leads to, on its way from the registry through the call actors to the writer.
//!
//! The registry makes a [`Slot`] for each stretch and gives a share of it to every call actor that the stretch
//! concerns. Each puts its facts in and lets go; when the last share is gone (also when an actor panicked with it
//! in hand) the slot is full, and the batch goes to the writer. Nobody waits for anybody, and a batch can't be lost.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use actix::prelude::*;
use bytestring::ByteString;

use crate::ari::entry::{Command, Reply};
use crate::call::{ChanKey, Fact};
use crate::model::{NodeId, Timestamp};

/// Which stream of entries a batch comes from: a node's journal, or a file that is replayed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stream {
    /// The Asterisk.
    pub node: NodeId,
    /// `journal`, or `replay:` and the file's fingerprint.
    pub name: Arc<str>,
}

/// An event for the raw log; its body is a range of the batch's text.
#[derive(Debug)]
pub struct RawEvent {
    /// When it happened, Asterisk's clock.
    pub at: Timestamp,
    /// When it was received, this machine's clock.
    pub received: Timestamp,
    /// Its type; borrowed where this program knows it.
    pub kind: Cow<'static, str>,
    /// The channel in whose chain it stands.
    pub chan: Option<ChanKey>,
    /// The id of the channel that it is mainly about.
    pub channel_id: Option<Word>,
    /// The id of the bridge that it is mainly about.
    pub bridge_id: Option<Word>,
    /// Where its JSON stands in the batch's text.
    pub body: Range<usize>,
    /// Its JSON without needless whitespace, where there is some.
    pub compact: Option<Box<str>>,
}

/// A word out of an event: where it stands in the batch's text, or a copy where it stands there escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// Its place.
    At(Range<usize>),
    /// The word.
    Copy(Box<str>),
}

impl Word {
    /// The word `word`, which may be borrowed from `text`.
    pub fn of(word: &str, text: &str) -> Self {
        let place = (word.as_ptr() as usize).checked_sub(text.as_ptr() as usize);
        match place.map(|start| start..start + word.len()).filter(|range| range.end <= text.len()) {
            Some(range) => Self::At(range),
            None => Self::Copy(word.into()),
        }
    }

    /// The word, given the text that it was made with.
    pub fn read<'a>(&'a self, text: &'a str) -> &'a str {
        match self {
            Self::At(range) => text.get(range.clone()).unwrap_or_default(),
            Self::Copy(word) => word,
        }
    }
}

/// A gap or a frame that could not be read, for `gaps`.
#[derive(Clone, Debug, PartialEq)]
pub struct GapRow {
    /// Position of its entry.
    pub position: u64,
    /// Its beginning, this machine's clock.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
    /// How many calls were open.
    pub calls_touched: usize,
    /// Of a bad frame: its beginning.
    pub sample: Option<String>,
}

/// An endpoint's or device's state.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointState {
    /// `PJSIP` ...
    pub tech: String,
    /// Its name.
    pub resource: String,
    /// `online`, `offline`, or a device state: `INUSE`, `RINGING` ...
    pub state: String,
    /// When.
    pub at: Timestamp,
}

/// A recording's state.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingState {
    /// Its name.
    pub name: String,
    /// `channel:ID` or `bridge:ID`.
    pub target: String,
    /// `wav` ...
    pub format: String,
    /// `recording`, `done`, `failed` ...
    pub state: String,
    /// Seconds.
    pub duration_s: Option<i64>,
    /// When.
    pub at: Timestamp,
    /// Whether this is its beginning.
    pub begins: bool,
    /// A channel that it records.
    pub chan: Option<ChanKey>,
}

/// What of an own command is for the audit.
#[derive(Clone, Debug)]
pub enum AuditEntry {
    /// Before it was sent.
    Command(Timestamp, Command),
    /// What came back.
    Reply(Timestamp, Reply),
}

/// Everything that one stretch of a stream leads to.
#[derive(Debug)]
pub struct WriteBatch {
    /// Whose.
    pub stream: Stream,
    /// Counts the stream's batches, from 0 in each run of the registry.
    pub number: u64,
    /// The position after its last entry.
    pub end: u64,
    /// The position from which everything still open can be rebuilt.
    pub oldest_open: u64,
    /// Whether all of it was written before, and it only rebuilds what is open.
    pub rebuilds: bool,
    /// The receipt time of its last entry, this machine's clock; for the lag.
    pub received: Timestamp,
    /// The text of its entries, as long as the stretch itself.
    pub text: ByteString,
    /// Events for the raw log, in order.
    pub events: Vec<RawEvent>,
    /// Facts of the graph, then those of the legs.
    pub facts: Vec<(ChanKey, Timestamp, Fact)>,
    /// Gaps.
    pub gaps: Vec<GapRow>,
    /// Endpoint states, the last of each counts.
    pub endpoints: Vec<EndpointState>,
    /// Recordings.
    pub recordings: Vec<RecordingState>,
    /// Own commands and what came back.
    pub audit: Vec<AuditEntry>,
}

/// A batch for the writer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Write(pub Box<WriteBatch>);

/// Tells a registry that a batch of its stream is committed.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Committed {
    /// The batch's number.
    pub number: u64,
    /// The position up to which the stream is committed.
    pub end: u64,
    /// The batch's oldest open position.
    pub oldest_open: u64,
}

/// A batch that call actors still add to.
#[derive(Debug)]
pub struct Slot {
    batch: Option<Box<WriteBatch>>,
    facts: Mutex<Vec<(ChanKey, Timestamp, Fact)>>,
    writer: Recipient<Write>,
}

impl Slot {
    /// A slot for this batch.
    pub fn new(batch: WriteBatch, writer: Recipient<Write>) -> Self {
        Self { batch: Some(Box::new(batch)), facts: Mutex::default(), writer }
    }

    /// Adds facts.
    pub fn add(&self, facts: impl IntoIterator<Item = (ChanKey, Timestamp, Fact)>) {
        // A panic while it was held leaves a vector that is whole.
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).extend(facts);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(mut batch) = self.batch.take() else { return };
        let facts = self.facts.get_mut().unwrap_or_else(PoisonError::into_inner);
        batch.facts.append(facts);
        // The registry bounds what is under way (`registry/flow.rs`), so this can't pile up.
        self.writer.do_send(Write(batch));
    }
}
