//! What a successor hears before the journal is its own: held in memory, then appended as far as the journal doesn't
//! have it, then passed on.

use std::borrow::Cow;
use std::collections::VecDeque;

use actix::prelude::*;
use memchr::memmem::Finder;
use rustc_hash::FxHashMap;
use tracing::{error, info, warn};

use crate::actors::connection::{WAITING_BYTES, kind_of};
use crate::actors::journal::{JournalError, JournalHandle, JournalReader};
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, EntryBody, Frame, FrameBody, JournalFull};
use crate::ari::entry::{Gap, Line};
use crate::model::NodeId;

/// Bytes of the journal read at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// Frames handed to the journal in one message.
const BATCH_FRAMES: usize = 256;

/// What a single entry that is no frame and no snapshot is counted as, bytes.
const ENTRY_BYTES: usize = 256;

/// What came before the journal was ours.
enum Held {
    Frame(Frame),
    Entry(AppendEntry),
}

impl Held {
    /// Nothing from this moment on is certain when it is lost.
    fn since(&self) -> f64 {
        match self {
            Self::Entry(AppendEntry { entry: EntryBody::Gap(gap), .. }) => gap.since,
            Self::Entry(AppendEntry { at, .. }) | Self::Frame(Frame { at, .. }) => *at,
        }
    }

    fn at(&self) -> f64 {
        match self {
            Self::Entry(AppendEntry { at, .. }) | Self::Frame(Frame { at, .. }) => *at,
        }
    }
}

/// Stands between a successor's connection and the journal.
pub(super) struct Relay {
    pub(super) node: NodeId,
    /// The applications of the two feeds: their names are all in which the same event differs.
    pub(super) apps: [String; 2],
    /// `ari.event_filter`: what came before the filter was set.
    pub(super) filter: Vec<String>,
    held: Vec<Held>,
    held_bytes: usize,
    journal: Option<JournalHandle>,
}

impl Relay {
    pub(super) fn new(node: NodeId, apps: [String; 2], filter: Vec<String>) -> Self {
        Self { node, apps, filter, held: Vec::new(), held_bytes: 0, journal: None }
    }

    /// Whether so many bytes more may be held.
    fn hold(&mut self, bytes: usize) -> Result<(), JournalFull> {
        self.held_bytes += bytes;
        if self.held_bytes <= WAITING_BYTES {
            return Ok(());
        }
        Err(JournalFull(format!("the feed before this one doesn't hand over, and {} bytes wait", self.held_bytes)))
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
        let held = self.hold(frames.iter().map(|frame| frame.body.len()).sum());
        if held.is_ok() {
            self.held.extend(frames.into_iter().map(Held::Frame));
        }
        Box::pin(async { held })
    }
}

fn ended() -> JournalFull {
    JournalFull("the journal is not running".into())
}

impl Handler<AppendEntry> for Relay {
    type Result = ResponseFuture<Result<(), JournalFull>>;

    /// Whether the other feed heard what we did not only shows when the journal is ours. Until then all is kept.
    fn handle(&mut self, entry: AppendEntry, _: &mut Self::Context) -> Self::Result {
        if let Some(journal) = &self.journal {
            let sent = journal.entries.send(entry);
            return Box::pin(async move { sent.await.unwrap_or_else(|_| Err(ended())) });
        }
        let held = match &entry.entry {
            // Small, and never given up.
            EntryBody::Gap(_) => Ok(()),
            EntryBody::Snapshot(snapshot) => self.hold(snapshot.get().len()),
            EntryBody::Command(_) | EntryBody::Reply(_) | EntryBody::Bad(_) => self.hold(ENTRY_BYTES),
        };
        if held.is_ok() {
            self.held.push(Held::Entry(entry));
        }
        Box::pin(async { held })
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
    /// Until when the feed before heard everything, seconds since 1970: what we missed before that is no gap.
    pub(super) covered: f64,
}

impl Handler<TakeOver> for Relay {
    type Result = AtomicResponse<Self, Result<usize, JournalError>>;

    /// Whatever comes meanwhile goes behind what was held.
    fn handle(&mut self, TakeOver { journal, reader, covered }: TakeOver, _: &mut Self::Context) -> Self::Result {
        let held = std::mem::take(&mut self.held);
        let all = held.iter().filter(|held| matches!(held, Held::Frame(_))).count();
        let missing = self.lacking(held, reader).map(|held| both_missed(held, covered));
        let node = self.node.clone();
        if missing.is_ok() {
            self.journal = Some(journal.clone());
        }
        let work = async move {
            let missing = missing?;
            let count = missing.iter().filter(|held| matches!(held, Held::Frame(_))).count();
            info!(%node, "of {all} events heard by both feeds the journal lacked {count}");
            append(&node, &journal, missing).await;
            Ok(count)
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

/// Leaves out the gaps in which the other feed heard, and of what is no frame whatever came before the first that is left: the
/// other feed's word holds there, and what we asked only concerned our own application. Where the other feed heard no more
/// before we began to, that is the first gap.
fn both_missed(mut held: Vec<Held>, covered: f64) -> Vec<Held> {
    let mut broken = false;
    if let Some(at) = held.first().map(Held::at).filter(|at| *at > covered) {
        let reason = "the feed before had no connection when it handed over".to_owned();
        held.insert(0, Held::Entry(AppendEntry { at, entry: EntryBody::Gap(Gap { since: covered, reason }) }));
    }
    let mut wanted = |held: &mut Held| match held {
        Held::Frame(_) => true,
        Held::Entry(AppendEntry { at, entry: EntryBody::Gap(gap) }) => {
            broken |= *at > covered;
            gap.since = gap.since.max(covered);
            *at > covered
        }
        Held::Entry(_) => broken,
    };
    held.into_iter().filter_map(|mut held| wanted(&mut held).then_some(held)).collect()
}

/// Appends all; from where the journal refuses, the rest is a gap.
async fn append(node: &NodeId, journal: &JournalHandle, missing: Vec<Held>) {
    let Some(until) = missing.last().map(Held::at) else { return };
    let mut frames = Vec::new();
    let mut outcome = Ok(());
    for held in missing {
        let since = held.since();
        match held {
            Held::Frame(frame) if frames.len() + 1 < BATCH_FRAMES => frames.push(frame),
            Held::Frame(frame) => {
                frames.push(frame);
                outcome = append_frames(journal, &mut frames).await;
            }
            Held::Entry(entry) => {
                outcome = append_frames(journal, &mut frames).await;
                if outcome.is_ok() {
                    let sent = journal.entries.send(entry).await.unwrap_or_else(|_| Err(ended()));
                    outcome = sent.map_err(|reason| (since, reason));
                }
            }
        }
        if outcome.is_err() {
            break;
        }
    }
    if outcome.is_ok() {
        outcome = append_frames(journal, &mut frames).await;
    }
    let Err((since, JournalFull(why))) = outcome else { return };
    let reason = format!("what was heard while one feed took over from another did not fit: {why}");
    warn!(%node, "{reason}");
    // There is room for it above what frames may use; a disk that refuses is noted as a gap by the journal itself.
    let gap = AppendEntry { at: until, entry: EntryBody::Gap(Gap { since, reason }) };
    if let Err(error) = journal.entries.send(gap).await.unwrap_or_else(|_| Err(ended())) {
        error!(%node, %error, since, until, "nor did the gap");
    }
}

/// The error has since when the frames are lost.
async fn append_frames(journal: &JournalHandle, frames: &mut Vec<Frame>) -> Result<(), (f64, JournalFull)> {
    let Some(since) = frames.first().map(|frame| frame.at) else { return Ok(()) };
    let sent = journal.frames.send(AppendFrames(std::mem::take(frames))).await;
    sent.unwrap_or_else(|_| Err(ended())).map_err(|reason| (since, reason))
}

impl Relay {
    /// What the journal doesn't have behind the reader's position, of the frames. Counted, not compared as a set: Asterisk
    /// really sends some events twice.
    fn lacking(&self, held: Vec<Held>, mut reader: JournalReader) -> Result<Vec<Held>, JournalError> {
        let mut held: Vec<Option<Held>> = held.into_iter().map(Some).collect();
        let mut places = FxHashMap::<Vec<u8>, VecDeque<usize>>::default();
        for (place, frame) in held.iter().enumerate() {
            if let Some(Held::Frame(Frame { body: FrameBody::Text(text), .. })) = frame {
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
        let unwanted = |held: &Held| match held {
            Held::Frame(Frame { body: FrameBody::Text(text), .. }) => {
                kind_of(text).is_some_and(|kind| self.filter.contains(&kind))
            }
            Held::Frame(_) | Held::Entry(_) => false,
        };
        Ok(held.into_iter().flatten().filter(|held| !unwanted(held)).collect())
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
