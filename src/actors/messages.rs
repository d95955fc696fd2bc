//! What actors say to each other about the connection, the journal and requests to Asterisk.

use std::time::{SystemTime, UNIX_EPOCH};

use actix::Message;
use bytes::Bytes;
use serde_json::value::RawValue;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::ari::entry;
use crate::model::NodeId;

/// This machine's clock, seconds since 1970: the journal's `at`.
pub fn wall_clock() -> f64 {
    // A clock before 1970 is a machine without a clock; 0 then says "unknown" instead of ending the program.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |t| t.as_secs_f64())
}

/// One WebSocket frame from Asterisk.
#[derive(Debug)]
pub struct Frame {
    /// When it came, seconds since 1970 by this machine's clock.
    pub at: f64,
    /// What came.
    pub body: FrameBody,
}

/// The payload of a frame.
#[derive(Debug)]
pub enum FrameBody {
    /// Text, as every event is: UTF-8, not checked to be JSON.
    Text(Utf8Bytes),
    /// What is no UTF-8 (Asterisk sends none).
    Binary(Bytes),
    /// A frame above `ari.max_frame_bytes`, which is not kept.
    TooLong {
        /// Its length, bytes.
        length: usize,
        /// Its beginning, for a sample.
        begin: Bytes,
    },
}

impl FrameBody {
    /// How many bytes of it are held.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::TooLong { begin: bytes, .. } => bytes.len(),
        }
    }

    /// How many bytes came.
    pub fn came(&self) -> usize {
        match self {
            Self::Text(_) | Self::Binary(_) => self.len(),
            Self::TooLong { length, .. } => *length,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Append these frames to the journal, in this order. Answered when the operating system has them. None at all asks
/// whether frames would be taken.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalFull>")]
pub struct AppendFrames(pub Vec<Frame>);

/// Append one entry of another kind to the journal. Answered when the operating system has it.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), JournalFull>")]
pub struct AppendEntry {
    /// The entry's time, seconds since 1970 by this machine's clock.
    pub at: f64,
    /// What it says.
    pub entry: EntryBody,
}

/// An entry that is no frame.
#[derive(Debug)]
pub enum EntryBody {
    /// A span in which nothing could be heard; it ends at the entry's time.
    Gap(entry::Gap),
    /// What REST showed after a connect: JSON in the form of [`entry::Snapshot`].
    Snapshot(Box<RawValue>),
    /// A request of ours that changes something, before it is sent.
    Command(entry::Command),
    /// What came back for it.
    Reply(entry::Reply),
    /// A frame that could not be kept.
    Bad(entry::BadFrame),
}

/// The journal can't keep what it was given: its size limit is reached, or the disk refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal can't take more: {0}")]
pub struct JournalFull(pub String);

/// While connected, once each ping interval: everything until `at` was certainly heard. After a crash this bounds
/// the gap when Asterisk had nothing to say.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Alive {
    /// Seconds since 1970 by this machine's clock.
    pub at: f64,
}

/// Stop in order: no new work, what is under way is finished within its limits, then the actor ends.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// An actor has ended; its address is of no use any more.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Exited {
    /// The Asterisk it served.
    pub node: NodeId,
    /// Which actor: `connection`, `ari_command`.
    pub who: &'static str,
    /// Whether by a panic; otherwise it was told to stop.
    pub panicked: bool,
}
