//! What a successor hears before the journal is its own: held in memory, then appended as far as the journal doesn't
//! have it, then passed on.

use std::borrow::Cow;
use std::collections::VecDeque;

use actix::prelude::*;
use memchr::memmem::Finder;
use rustc_hash::FxHashMap;
use tracing::{info, warn};

use crate::actors::connection::{WAITING_BYTES, kind_of};
use crate::actors::journal::{JournalError, JournalHandle, JournalReader};
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, Frame, FrameBody, JournalFull};
use crate::ari::entry::Line;
use crate::model::NodeId;

/// Bytes of the journal read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Frames handed to the journal in one message.
const BATCH_FRAMES: usize = 256;

/// Stands between a successor's connection and the journal.
pub(super) struct Relay {
    pub(super) node: NodeId,
    /// The applications of the two feeds: their names are all in which the same event differs.
    pub(super) apps: [String; 2],
    /// `ari.event_filter`: what came before the filter was set.
    pub(super) filter: Vec<String>,
    held: Vec<Frame>,
    held_bytes: usize,
    journal: Option<JournalHandle>,
}

impl Relay {
    pub(super) fn new(node: NodeId, apps: [String; 2], filter: Vec<String>) -> Self {
        Self { node, apps, filter, held: Vec::new(), held_bytes: 0, journal: None }
    }
}

impl Actor for Relay {
    type Context = Context<Self>;
}

impl Handler<AppendFrames> for Relay {
    type Result = ResponseFuture<Result<(), JournalFull>>;

    fn handle(&mut self, AppendFrames(frames): AppendFrames, _: &mut Self::Context) -> Self::Result {
        if let Some(journal) = &self.journal {
            let sent = journal.frames.send(AppendFrames(frames));
            return Box::pin(async move { sent.await.unwrap_or_else(|_| Err(ended())) });
        }
        self.held_bytes += frames.iter().map(|frame| frame.body.len()).sum::<usize>();
        if self.held_bytes > WAITING_BYTES {
            let reason = format!("the feed before this one doesn't hand over, and {} bytes wait", self.held_bytes);
            return Box::pin(async move { Err(JournalFull(reason)) });
        }
        self.held.extend(frames);
        Box::pin(async { Ok(()) })
    }
}

fn ended() -> JournalFull {
    JournalFull("the journal is not running".into())
}

impl Handler<AppendEntry> for Relay {
    type Result = ResponseFuture<Result<(), JournalFull>>;

    /// Until the journal is ours the other feed's word holds: it heard all this time, so there is no gap, and what we
    /// asked only concerned our own application.
    fn handle(&mut self, entry: AppendEntry, _: &mut Self::Context) -> Self::Result {
        let Some(journal) = &self.journal else { return Box::pin(async { Ok(()) }) };
        let sent = journal.entries.send(entry);
        Box::pin(async move { sent.await.unwrap_or_else(|_| Err(ended())) })
    }
}

impl Handler<Alive> for Relay {
    type Result = ();

    fn handle(&mut self, alive: Alive, _: &mut Self::Context) {
        if let Some(journal) = &self.journal {
            // The next one will do.
            let _ = journal.alive.try_send(alive);
        }
    }
}

/// The journal is ours now; `reader` stands where it ended before our own socket began. How many frames it lacked.
#[derive(Message)]
#[rtype(result = "Result<usize, JournalError>")]
pub(super) struct TakeOver {
    pub(super) journal: JournalHandle,
    pub(super) reader: JournalReader,
}

impl Handler<TakeOver> for Relay {
    type Result = Result<usize, JournalError>;

    fn handle(&mut self, TakeOver { journal, reader }: TakeOver, _: &mut Self::Context) -> Self::Result {
        let held = std::mem::take(&mut self.held);
        let all = held.len();
        let mut missing = self.lacking(held, reader)?;
        let count = missing.len();
        while !missing.is_empty() {
            let rest = missing.split_off(missing.len().min(BATCH_FRAMES));
            // Beyond the mailbox's bound: what was held is bounded, and whatever comes next goes behind it.
            journal.frames.do_send(AppendFrames(std::mem::replace(&mut missing, rest)));
        }
        self.journal = Some(journal);
        info!(node = %self.node, "of {all} events heard by both feeds the journal lacked {count}");
        Ok(count)
    }
}

impl Relay {
    /// The frames that the journal doesn't have behind the reader's position. Counted, not compared as a set: Asterisk
    /// really sends some events twice.
    fn lacking(&self, held: Vec<Frame>, mut reader: JournalReader) -> Result<Vec<Frame>, JournalError> {
        let mut held: Vec<Option<Frame>> = held.into_iter().map(Some).collect();
        let mut places = FxHashMap::<Vec<u8>, VecDeque<usize>>::default();
        for (place, frame) in held.iter().enumerate() {
            if let Some(Frame { body: FrameBody::Text(text), .. }) = frame {
                places.entry(self.without_app(text).into_owned()).or_default().push_back(place);
            }
        }
        while let Some(chunk) = reader.read(CHUNK_BYTES)? {
            if let Some(skipped) = chunk.skipped {
                warn!(node = %self.node, bytes = skipped.bytes, "what the feed before this one wrote has a hole");
            }
            for (_, line) in chunk.lines() {
                let Ok(Line { event: Some(event), .. }) = serde_json::from_slice::<Line<'_>>(line) else { continue };
                let known = places.get_mut(self.without_app(event.get()).as_ref()).and_then(VecDeque::pop_front);
                if let Some(slot) = known.and_then(|place| held.get_mut(place)) {
                    *slot = None;
                }
            }
        }
        let unwanted = |frame: &Frame| match &frame.body {
            FrameBody::Text(text) => kind_of(text).is_some_and(|kind| self.filter.contains(&kind)),
            FrameBody::Binary(_) | FrameBody::TooLong { .. } => false,
        };
        Ok(held.into_iter().flatten().filter(|frame| !unwanted(frame)).collect())
    }

    /// An event's text on one line and without the value of `application`, where that is one of the two feeds'.
    pub(super) fn without_app<'a>(&self, text: &'a str) -> Cow<'a, [u8]> {
        let mut bytes = Cow::Borrowed(text.as_bytes());
        if memchr::memchr2(b'\n', b'\r', &bytes).is_some() {
            bytes.to_mut().iter_mut().filter(|b| matches!(b, b'\n' | b'\r')).for_each(|b| *b = b' ');
        }
        // Within a string the quotes would have a backslash before them.
        let name = Finder::new(b"\"application\"");
        let Some(value) = name.find(&bytes).map(|at| at + b"\"application\"".len()) else { return bytes };
        let blank = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_whitespace() || **b == b':').count();
        let start = value + blank(value);
        let found =
            self.apps.iter().map(|app| format!("\"{app}\"")).find(|app| bytes[start..].starts_with(app.as_bytes()));
        if let Some(app) = found {
            bytes.to_mut().drain(start..start + app.len());
        }
        bytes
    }
}
