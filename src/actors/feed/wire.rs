//! What goes over a feed's socket: one JSON object a line.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::actors::journal::{JournalStatus, Position};
use crate::actors::messages::{AppendEntry, EntryBody, Frame, FrameBody};
use crate::ari::entry::Line;

/// The protocol of this version; another one is refused.
pub const PROTOCOL: u32 = 1;
/// The longest line, bytes: twice the largest frame of the default configuration.
pub const MAX_LINE_BYTES: usize = 32 * 1024 * 1024;

/// To a feed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request<'a> {
    /// From the service: tell me the journal's end from now on.
    Follow {
        /// The service's process.
        pid: u32,
        /// Up to where its database has the journal.
        committed: Position,
    },
    /// Append these entries, in the form that they have in the journal.
    Append {
        /// Given back with the answer.
        id: u64,
        /// Each is one line of the journal.
        #[serde(borrow)]
        lines: Vec<&'a RawValue>,
    },
    /// Nothing before this is needed any more.
    Trim {
        /// Where what is needed begins.
        before: Position,
    },
    /// Up to where the service's database has the journal.
    Committed {
        /// The position.
        position: Position,
    },
    /// How are you?
    Status {},
    /// From a successor that hears everything: stop, free the journal, and end.
    Handover {
        /// The successor's process.
        pid: u32,
    },
}

/// From a feed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// The first line on each connection.
    Hello(Hello),
    /// Where the journal begins and ends: the answer to `follow`.
    Following {
        /// Where the oldest segment begins.
        oldest: Position,
        /// Where the next entry goes.
        end: Position,
    },
    /// The journal's new end.
    End(Position),
    /// How the feed is: on request, and each second to whoever follows.
    Status(Box<FeedStatus>),
    /// The entries of this `append` stand in the journal.
    Done {
        /// Of the request.
        id: u64,
    },
    /// They could not be appended.
    Refused {
        /// Of the request.
        id: u64,
        /// For people.
        reason: String,
    },
    /// The journal is free: the answer to `handover`, and the last line.
    HandedOver {
        /// Where it ends.
        end: Position,
    },
    /// The request was none, or can't be done; the connection is closed.
    Error {
        /// For people.
        reason: String,
    },
}

/// Who is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The feed's process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// Whose events it hears.
    pub node: String,
    /// The application of its socket.
    pub app: String,
    /// Where the journal ends.
    pub end: Position,
}

/// How a feed is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedStatus {
    /// Whose events it hears.
    pub node: String,
    /// Its process.
    pub pid: u32,
    /// The program's version.
    pub version: String,
    /// The application of its socket.
    pub app: String,
    /// Whether its socket is open and Asterisk sends everything.
    pub connected: bool,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Frames heard since its start.
    pub frames: u64,
    /// Bytes that wait for the journal.
    pub waiting_bytes: usize,
    /// The journal that it writes.
    pub journal: JournalStatus,
    /// The service behind it; `None` while none follows.
    pub follower: Option<Follower>,
}

/// The service behind a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follower {
    /// Its process.
    pub pid: u32,
    /// Up to where its database has the journal, as it said last.
    pub committed: Position,
    /// Bytes of the journal behind that.
    pub behind_bytes: u64,
}

/// Why a line could not be had.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side has gone.
    #[error("the connection was closed")]
    Closed,
    /// The operating system refused.
    #[error("the connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// A line without an end.
    #[error("a line is longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// Something else than this protocol.
    #[error("a line is none of this protocol ({0}): use the same version of callcenter for `feed` and `serve`")]
    Garbage(String),
    /// The socket's path is too long for the system.
    #[error("{}: {source}", path.display())]
    Path {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Reads on until `line` holds one whole line. May be broken off and called again with the same `line`.
///
/// # Errors
/// [`WireError::Closed`] at the end, [`WireError::TooLong`] beyond the limit, [`WireError::Io`].
pub async fn read_line<R: AsyncBufRead + Unpin>(from: &mut R, line: &mut Vec<u8>) -> Result<(), WireError> {
    let room = (MAX_LINE_BYTES + 1).saturating_sub(line.len()) as u64;
    from.take(room).read_until(b'\n', line).await?;
    match line.last() {
        Some(b'\n') => Ok(()),
        _ if line.len() > MAX_LINE_BYTES => Err(WireError::TooLong),
        _ => Err(WireError::Closed),
    }
}

/// What a line says.
///
/// # Errors
/// [`WireError::Garbage`].
pub fn parse<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, WireError> {
    serde_json::from_slice(line).map_err(|error| WireError::Garbage(error.to_string()))
}

/// One line, with its line end.
///
/// # Errors
/// [`WireError::Garbage`] for what can't be JSON.
pub fn line<T: Serialize>(what: &T) -> Result<Vec<u8>, WireError> {
    let mut line = serde_json::to_vec(what).map_err(|error| WireError::Garbage(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

/// Sends one line.
///
/// # Errors
/// [`WireError::Io`] when the other side has gone.
pub async fn send<W: AsyncWrite + Unpin, T: Serialize>(to: &mut W, what: &T) -> Result<(), WireError> {
    Ok(to.write_all(&line(what)?).await?)
}

/// A line of an `append`, as the journal takes it.
#[derive(Debug)]
pub enum Piece {
    /// An event.
    Frame(Frame),
    /// Another entry.
    Entry(AppendEntry),
}

/// What a line of an `append` says.
///
/// # Errors
/// When it is no entry of a journal that this version knows.
pub fn piece(raw: &RawValue) -> Result<Piece, WireError> {
    let Line { at, event, gap, snapshot, command, reply, bad } = parse(raw.get().as_bytes())?;
    if let Some(event) = event {
        return Ok(Piece::Frame(Frame { at, body: FrameBody::Text(event.get().into()) }));
    }
    let entry = (gap.map(EntryBody::Gap))
        .or(snapshot.map(|raw| EntryBody::Snapshot(raw.to_owned())))
        .or(command.map(EntryBody::Command))
        .or(reply.map(EntryBody::Reply))
        .or(bad.map(EntryBody::Bad))
        .ok_or_else(|| WireError::Garbage("an entry of no kind that this version knows".into()))?;
    Ok(Piece::Entry(AppendEntry { at, entry }))
}
