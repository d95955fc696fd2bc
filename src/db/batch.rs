//! The batch: everything that one transaction writes.
//!
//! A batch has a part for each stream that it carries. A part and the position that it leads to are committed
//! together, and a part whose position is committed already is passed over, so that writing the same entries
//! again changes nothing.

use std::ops::RangeInclusive;

use diesel::prelude::*;

use super::calls::{self, CallRow, Merge};
use super::changes::{self, NewChange};
use super::commands::{self, NewCommand, ReplyRow};
use super::endpoints::EndpointRow;
use super::events::NewEvent;
use super::gaps::GapRow;
use super::heads::{self, LegHead};
use super::insert;
use super::legs::LegRow;
use super::positions::{self, Position};
use super::recordings::RecordingRow;
use super::transaction::immediate;

/// Everything that one transaction writes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch<'a> {
    /// In the order of writing. A stream may have several, in its order.
    pub parts: Vec<Part<'a>>,
}

/// What a stretch of one stream led to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part<'a> {
    /// The stretch; `None` for what comes from no stream and is written whenever it is given.
    pub advance: Option<Advance>,
    /// The raw log.
    pub events: Vec<NewEvent<'a>>,
    /// Calls that changed, each whole.
    pub calls: Vec<CallRow>,
    /// Legs that changed, each whole.
    pub legs: Vec<LegRow>,
    /// Legs of which only the chain of events has grown.
    pub heads: Vec<LegHead>,
    /// Recordings that changed, each whole.
    pub recordings: Vec<RecordingRow>,
    /// Rows that turned out to be one call; carried out after calls, legs and recordings are written.
    pub merges: Vec<Merge>,
    /// Endpoints that changed.
    pub endpoints: Vec<EndpointRow>,
    /// Spans in which something could not be seen.
    pub gaps: Vec<GapRow>,
    /// Requests of ours.
    pub commands: Vec<NewCommand>,
    /// What came back for them.
    pub replies: Vec<ReplyRow>,
    /// What became of it all; numbered here.
    pub changes: Vec<NewChange>,
}

/// A stretch of a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Advance {
    /// Where the stretch begins. A part must not straddle the committed position: half of it would be
    /// written twice or not at all.
    pub from: i64,
    /// Where it ends.
    pub to: Position,
}

/// What a transaction did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// The highest number of an event written, if any was.
    pub last_event_seq: Option<i64>,
    /// The numbers of the changes written, in their order over all parts that were not skipped; no number
    /// between them is missing.
    pub changes: Option<RangeInclusive<i64>>,
    /// Indexes of the parts that were passed over, since their positions were committed before.
    pub skipped: Vec<usize>,
}

/// Why a batch was not written. Nothing of it is in the database then.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The database refused; [`super::trouble::Trouble`] says whether trying again can help.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    /// A part begins before the committed position and ends after it.
    #[error(
        "the stream '{stream}' of {node} is committed up to {committed}, and the batch's part goes from {from} to {to}: \
         cut it at {committed}"
    )]
    Straddles {
        /// The Asterisk server.
        node: String,
        /// The stream.
        stream: String,
        /// The position in the database.
        committed: i64,
        /// Where the part begins.
        from: i64,
        /// Where it ends.
        to: i64,
    },
}

/// Writes a batch in one transaction: all of it or, with an error, nothing.
///
/// # Errors
/// See [`WriteError`].
pub fn write(conn: &mut SqliteConnection, batch: &Batch<'_>) -> Result<Committed, WriteError> {
    immediate(conn, |conn| {
        let mut done = Committed::default();
        for (index, part) in batch.parts.iter().enumerate() {
            match standing(conn, part)? {
                Standing::Written => done.skipped.push(index),
                Standing::New { event_seq } => write_part(conn, part, event_seq, &mut done)?,
            }
        }
        Ok(done)
    })
}

/// How a part stands to what is in the database.
enum Standing {
    /// It is there already.
    Written,
    /// It is not; `event_seq` is the highest number that its stream gave to an event.
    New { event_seq: i64 },
}

fn standing(conn: &mut SqliteConnection, part: &Part<'_>) -> Result<Standing, WriteError> {
    let Some(Advance { from, to }) = &part.advance else { return Ok(Standing::New { event_seq: 0 }) };
    let Some((committed, event_seq)) = positions::committed(conn, &to.node, &to.stream)? else {
        return Ok(Standing::New { event_seq: 0 });
    };
    if to.position <= committed {
        Ok(Standing::Written)
    } else if *from < committed {
        Err(WriteError::Straddles {
            node: to.node.to_string(),
            stream: to.stream.clone(),
            committed,
            from: *from,
            to: to.position,
        })
    } else {
        Ok(Standing::New { event_seq })
    }
}

fn write_part(conn: &mut SqliteConnection, part: &Part<'_>, given: i64, done: &mut Committed) -> QueryResult<()> {
    let mut highest = given;
    insert::insert(conn, &part.events)?;
    if let Some(last) = part.events.iter().map(|event| event.seq).max() {
        highest = highest.max(last);
        done.last_event_seq = done.last_event_seq.max(Some(last));
    }
    write_rows(conn, part)?;
    if let Some(numbers) = changes::insert(conn, &part.changes)? {
        let first = done.changes.as_ref().map_or(*numbers.start(), |before| *before.start());
        done.changes = Some(first..=*numbers.end());
    }
    match &part.advance {
        Some(advance) => insert::insert(conn, &[advance.to.with(highest)]),
        None => Ok(()),
    }
}

fn write_rows(conn: &mut SqliteConnection, part: &Part<'_>) -> QueryResult<()> {
    insert::insert(conn, &part.calls)?;
    insert::insert(conn, &part.legs)?;
    part.heads.iter().try_for_each(|head| heads::advance(conn, head))?;
    insert::insert(conn, &part.recordings)?;
    part.merges.iter().try_for_each(|merge| calls::merge(conn, merge))?;
    insert::insert(conn, &part.endpoints)?;
    insert::insert(conn, &part.gaps)?;
    insert::insert(conn, &part.commands)?;
    part.replies.iter().try_for_each(|reply| commands::reply(conn, reply))
}
