//! From waiting batches to one transaction.
//!
//! Preparing adds the batches' facts to the books and folds them, once; a prepared transaction can be written
//! as often as it takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use diesel::SqliteConnection;
use rustc_hash::FxHashMap;
use tracing::{error, warn};

use super::{DbWriter, StreamState, rows};
use crate::actors::batch::{AuditEntry, RecordingState, Stream, WriteBatch};
use crate::call::{CallChange, CallRow, ChanKind, Fact, Folded, LineRules};
use crate::db;
use crate::db::batch::{Advance, Batch, Part, WriteError};
use crate::db::events::NewEvent;
use crate::db::heads::LegHead;
use crate::db::recordings::RecordingRow;
use crate::model::{CallUid, NodeId, Timestamp};

/// A transaction with fewer events than this also writes the heads of chains: there is time for it.
const FEW: usize = 512;

/// A change to be told once it is committed.
pub(super) struct Told {
    pub(super) stream: Stream,
    pub(super) change: CallChange,
    pub(super) row: Option<Arc<CallRow>>,
}

/// One batch with everything that it leads to but the text of its events, which is borrowed when it is written.
pub(super) struct Prep {
    pub(super) batch: Box<WriteBatch>,
    pub(super) from: u64,
    /// Of each event: its number and that of the one before it in its chain.
    pub(super) seqs: Vec<(i64, Option<i64>)>,
    part: Part<'static>,
}

/// One transaction.
pub(super) struct Prepared {
    pub(super) preps: Vec<Prep>,
    /// Heads of chains that have grown, of any stream.
    heads: Vec<LegHead>,
    told: Vec<Told>,
}

impl Prepared {
    pub(super) fn len(&self) -> usize {
        self.preps.len()
    }

    pub(super) fn events(&self) -> usize {
        self.preps.iter().map(|p| p.seqs.len()).sum()
    }

    /// Bytes of the events' text.
    pub(super) fn bytes(&self) -> usize {
        self.preps.iter().filter(|p| !p.batch.rebuilds).map(|p| p.batch.text.len()).sum()
    }

    /// Whether there is anything to write: a rebuild writes at most that part of the journal is missing.
    pub(super) fn writes(&self) -> bool {
        !self.heads.is_empty() || self.preps.iter().any(|p| !p.batch.rebuilds || !p.part.gaps.is_empty())
    }

    /// Its batches, and how many events of each it writes.
    pub(super) fn written(&self) -> impl Iterator<Item = (&WriteBatch, usize)> {
        self.preps.iter().map(|p| (&*p.batch, p.seqs.len()))
    }

    pub(super) fn gaps(&self) -> impl Iterator<Item = &db::gaps::GapRow> {
        self.preps.iter().flat_map(|p| &p.part.gaps)
    }

    /// Whether this batch needs a transaction of its own: what a rebuild folds is in the database and not written, which
    /// must not take along what an earlier batch of the stream has to write (a call whose logic failed).
    fn ends_before(&self, next: &WriteBatch) -> bool {
        next.rebuilds && self.preps.iter().any(|p| !p.batch.rebuilds && p.batch.stream == next.stream)
    }

    pub(super) fn told(&self) -> &[Told] {
        &self.told
    }

    pub(super) fn into_batches(self) -> impl Iterator<Item = Box<WriteBatch>> {
        self.preps.into_iter().map(|p| p.batch)
    }

    /// Writes it in one transaction.
    pub(super) fn write(&mut self, connection: &mut SqliteConnection) -> Result<(), WriteError> {
        if !self.writes() {
            return Ok(());
        }
        // The rows are lent to the batch, not copied: a full transaction has thousands of them.
        let rows: Vec<Part<'static>> = self.preps.iter_mut().map(|p| std::mem::take(&mut p.part)).collect();
        let mut parts: Vec<Part<'_>> = self.preps.iter().zip(rows).map(|(p, rows)| p.part(rows)).collect();
        parts.push(Part { heads: std::mem::take(&mut self.heads), ..Part::default() });
        let mut batch = Batch { parts };
        let written = db::batch::write(connection, &batch).map(drop);
        self.heads = batch.parts.pop().map(|part| part.heads).unwrap_or_default();
        let rows: Vec<Part<'static>> = batch.parts.into_iter().map(rows_of).collect();
        self.preps.iter_mut().zip(rows).for_each(|(p, rows)| p.part = rows);
        written
    }
}

impl Prep {
    fn part(&self, rows: Part<'static>) -> Part<'_> {
        if self.batch.rebuilds {
            return rows;
        }
        let node = self.batch.stream.node.as_str();
        let events = self.batch.events.iter().zip(&self.seqs).map(|(event, (seq, prev))| NewEvent {
            seq: *seq,
            node,
            at: event.at,
            kind: &event.kind,
            channel_id: event.channel_id.as_ref().map(|id| id.read(&self.batch.text)),
            bridge_id: event.bridge_id.as_ref().map(|id| id.read(&self.batch.text)),
            prev_seq: *prev,
            body: event.compact.as_deref().or_else(|| self.batch.text.get(event.body.clone())).unwrap_or("{}"),
        });
        // A batch without entries (an actor failed) leads to rows, but no further.
        let advances = self.batch.end > self.from;
        Part { events: events.collect(), advance: advances.then(|| self.advance()), ..rows }
    }

    fn advance(&self) -> Advance {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        Advance {
            from: number(self.from),
            to: db::positions::Position {
                node: self.batch.stream.node.clone(),
                stream: self.batch.stream.name.to_string(),
                position: number(self.batch.end),
                oldest_open: number(self.batch.oldest_open),
                updated_at: self.batch.received,
            },
        }
    }
}

/// A part without what is borrowed.
fn rows_of(part: Part<'_>) -> Part<'static> {
    let Part {
        advance: _,
        events: _,
        calls,
        legs,
        heads,
        recordings,
        merges,
        endpoints,
        gaps,
        commands,
        replies,
        changes,
    } = part;
    Part {
        advance: None,
        events: Vec::new(),
        calls,
        legs,
        heads,
        recordings,
        merges,
        endpoints,
        gaps,
        commands,
        replies,
        changes,
    }
}

impl StreamState {
    /// Folds what changed; recordings follow calls that turned out to be part of another.
    fn fold(&mut self, lines: &dyn LineRules) -> Folded {
        let folded = self.book.fold(lines);
        for call in &folded.failed {
            error!(%call, "the record of one call could not be worked out; its row is plain and marked, all others go on");
        }
        for channel in &folded.crowded {
            warn!(%channel, "so many crossings of bridges came at once that not all are kept; its calls are marked");
        }
        for change in &folded.changes {
            if let Some(survivor) = &change.survivor {
                self.recordings.merged(&change.uid, survivor);
            }
        }
        folded
    }
}

impl DbWriter {
    /// Takes what waits, up to `database.batch_rows` events, and folds it.
    pub(super) fn prepare(&mut self) -> Option<Prepared> {
        let mut prepared = Prepared { preps: Vec::new(), heads: Vec::new(), told: Vec::new() };
        let mut rows = 0;
        while rows < self.config.batch_rows {
            let Some(batch) = self.queue.pop_front_if(|next| !prepared.ends_before(next)) else { break };
            rows += batch.events.len().max(1);
            if let Some(prep) = self.prepare_one(batch) {
                prepared.preps.push(prep);
            }
        }
        // Each call is folded once in a transaction, with the last batch of its stream.
        for index in 0..prepared.preps.len() {
            let last = prepared.preps[index + 1..].iter().all(|p| p.batch.stream != prepared.preps[index].batch.stream);
            let prep = &mut prepared.preps[index];
            let Some(state) = self.streams.get_mut(&prep.batch.stream).filter(|_| last && !prep.batch.rebuilds) else {
                continue;
            };
            let folded = state.fold(&self.lines);
            self.view.fold_panics += folded.failed.len() as u64;
            fill(prep, folded, &self.lines, &mut prepared.told);
        }
        if prepared.events() < FEW || self.next_seq - self.heads_written >= db::heads::BEHIND {
            prepared.heads = self.take_heads();
        }
        (!prepared.preps.is_empty() || !prepared.heads.is_empty()).then_some(prepared)
    }

    /// A transaction of the heads alone that are not written yet, if there are any.
    pub(super) fn prepare_heads(&mut self) -> Option<Prepared> {
        let heads = self.take_heads();
        (!heads.is_empty()).then_some(Prepared { preps: Vec::new(), heads, told: Vec::new() })
    }

    fn take_heads(&mut self) -> Vec<LegHead> {
        self.heads_written = self.next_seq;
        let of = |(stream, state): (&Stream, &mut StreamState)| {
            let node = stream.node.clone();
            state.book.take_heads().into_iter().map(move |head| LegHead { node: node.clone(), head })
        };
        self.streams.iter_mut().flat_map(of).collect()
    }

    fn prepare_one(&mut self, mut batch: Box<WriteBatch>) -> Option<Prep> {
        let state = self.streams.get_mut(&batch.stream)?;
        let node = batch.stream.node.clone();
        for (key, at, fact) in std::mem::take(&mut batch.facts) {
            // A helper of Asterisk has no leg, and so no chain that is followed.
            let opened = matches!(&fact, Fact::Opened(opening) if opening.kind != ChanKind::Hidden);
            state.book.add(key, at, fact);
            if opened && batch.rebuilds {
                // Its chain in the raw log goes on where the database has it.
                let head = state.book.identity(key).and_then(|(id, created)| {
                    db::heads::last_event(&mut self.connection, &node, id, created)
                        .inspect_err(|error| warn!(%error, "a leg's chain of events can't be read"))
                        .ok()
                        .flatten()
                });
                if let Some(head) = head {
                    state.book.resume_chain(key, head);
                }
            }
        }
        let from = std::mem::replace(&mut state.end, batch.end);
        let mut seqs = Vec::new();
        // Of a rebuild: that part of the journal is missing, which no earlier run could know.
        let gaps = std::mem::take(&mut batch.gaps).into_iter().map(|g| rows::gap(&batch.stream, g)).collect();
        let mut part = Part { gaps, ..Part::default() };
        let connection = &mut self.connection;
        let recordings: Vec<_> = std::mem::take(&mut batch.recordings)
            .into_iter()
            .map(|recording| recording_row(state, connection, &node, batch.received, recording))
            .collect();
        if batch.rebuilds {
            // All of it is in the database; the fold only learns what was told.
            self.view.fold_panics += state.fold(&self.lines).failed.len() as u64;
        } else {
            part.recordings = recordings;
            seqs.reserve(batch.events.len());
            for event in &batch.events {
                let seq = self.next_seq;
                self.next_seq += 1;
                seqs.push((seq, event.chan.and_then(|key| state.book.extend_chain(key, seq))));
            }
            part.endpoints =
                std::mem::take(&mut batch.endpoints).into_iter().map(|e| rows::endpoint(&node, e)).collect();
            audit(&mut batch, &node, &mut part);
        }
        Some(Prep { batch, from, seqs, part })
    }
}

fn recording_row(
    state: &mut StreamState,
    connection: &mut SqliteConnection,
    node: &NodeId,
    received: Timestamp,
    recording: RecordingState,
) -> RecordingRow {
    let call = recording.chan.and_then(|key| state.book.call_uid(key)).map(|uid| CallUid::from_stored(&uid));
    let (name, at) = (recording.name.clone(), recording.at);
    let stored = || {
        db::recordings::latest(connection, node, &name, at)
            .inspect_err(|error| warn!(%error, "the row of a recording can't be read"))
            .ok()
            .flatten()
    };
    state.recordings.take(received, node, recording, call, stored)
}

fn audit(batch: &mut WriteBatch, node: &NodeId, part: &mut Part<'static>) {
    for entry in std::mem::take(&mut batch.audit) {
        match entry {
            AuditEntry::Command(at, command) => part.commands.push(db::commands::NewCommand {
                node: node.clone(),
                id: command.id,
                at,
                who: command.who,
                method: command.method,
                path: path_and_query(&command.path, &command.query),
                body: command.body.map(|b| b.to_string()),
                about: command.about,
            }),
            AuditEntry::Reply(at, reply) => part.replies.push(db::commands::ReplyRow {
                node: node.clone(),
                id: reply.id,
                outcome: reply.outcome,
                status: i32::from(reply.status),
                answered_at: at,
                ms: reply.ms,
            }),
        }
    }
}

fn path_and_query(path: &str, query: &[(String, String)]) -> String {
    if query.is_empty() {
        return path.to_owned();
    }
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{path}?{}", pairs.join("&"))
}

/// Puts the folded rows into the part, and notes what to tell.
fn fill(prep: &mut Prep, folded: Folded, lines: &dyn LineRules, told: &mut Vec<Told>) {
    let (stream, node) = (prep.batch.stream.clone(), prep.batch.stream.node.clone());
    prep.part.calls = folded.calls.iter().map(|row| db::calls::CallRow::of(&node, row.clone())).collect();
    prep.part.legs = folded
        .legs
        .into_iter()
        .map(|(uid, leg)| {
            // What strangers call their number must not be able to end the writer.
            let e164 = || leg.number.as_deref().and_then(|n| lines.e164(n));
            let e164 = catch_unwind(AssertUnwindSafe(e164)).ok().flatten();
            db::legs::LegRow::of(&node, &uid, e164, leg)
        })
        .collect();
    let calls: Vec<Arc<CallRow>> = folded.calls.into_iter().map(Arc::new).collect();
    let by_uid: FxHashMap<&str, &Arc<CallRow>> = calls.iter().map(|row| (row.uid.as_str(), row)).collect();
    for change in folded.changes {
        let row = by_uid.get(change.uid.as_str()).map(|row| Arc::clone(row));
        prep.part.changes.push(rows::change(&node, &change, row.as_deref()));
        if let (None, Some(survivor)) = (&row, &change.survivor) {
            prep.part.merges.push(db::calls::Merge {
                gone: CallUid::from_stored(&change.uid),
                survivor: CallUid::from_stored(survivor),
            });
        }
        told.push(Told { stream: stream.clone(), change, row });
    }
}
