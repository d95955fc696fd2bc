//! Retention: what is old goes, in steps so small that the writer between them is not held up.
//!
//! The log has no index on time. It is walked along its numbers from the oldest row: they grow as time does,
//! but for clocks that were wrong and files that were replayed. The newest row of each table stays, so that
//! its number is not given again.

use diesel::prelude::*;

use super::schema::{calls, changes, commands, events, gaps, legs, recordings};
use super::transaction::immediate;
use crate::model::Timestamp;

/// Rows that a step looks at, and so the most that it deletes: a few milliseconds.
pub const STEP_ROWS: i64 = 500;

/// Calls that a step deletes at most, with their legs.
const STEP_CALLS: i64 = 100;

/// A row whose time is further ahead than this comes from a clock that was wrong: it tells nothing of the rows behind it.
const AHEAD_MS: i64 = 86_400_000;

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Days of `events` and `changes`; 0 keeps all.
    pub events_days: u32,
    /// Days of `calls` with their legs, and of `commands`, `gaps` and `recordings`; 0 keeps all. Open calls stay.
    pub calls_days: u32,
}

/// Where a sweep over all tables is. Begin with the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sweep {
    stage: Stage,
    /// The number of the last row looked at in this stage's table.
    after: i64,
}

/// The tables in the order of the sweep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Events,
    Changes,
    Calls,
    Commands,
    Gaps,
    Recordings,
}

impl Stage {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Events => Some(Self::Changes),
            Self::Changes => Some(Self::Calls),
            Self::Calls => Some(Self::Commands),
            Self::Commands => Some(Self::Gaps),
            Self::Gaps => Some(Self::Recordings),
            Self::Recordings => None,
        }
    }

    const fn days(self, keep: Keep) -> u32 {
        match self {
            Self::Events | Self::Changes => keep.events_days,
            Self::Calls | Self::Commands | Self::Gaps | Self::Recordings => keep.calls_days,
        }
    }
}

/// What a step did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Rows deleted from the raw log.
    pub events: usize,
    /// Changes deleted.
    pub changes: usize,
    /// Calls deleted.
    pub calls: usize,
    /// Commands, gaps and recordings deleted.
    pub others: usize,
    /// Whether the sweep has more to do: call again. Otherwise it is over and begins anew.
    pub more: bool,
}

impl Step {
    /// All rows deleted.
    pub const fn rows(&self) -> u64 {
        (self.events + self.changes + self.calls + self.others) as u64
    }
}

/// How one stage's step went.
struct Walked {
    deleted: usize,
    /// Where to go on in the same table; `None` when nothing old is left in it.
    after: Option<i64>,
}

impl Walked {
    const OVER: Self = Self { deleted: 0, after: None };
}

/// One step of a sweep, in a transaction of its own. `now` is the time by which days are counted.
///
/// # Errors
/// When the database can't be written; the sweep stays where it was.
pub fn step(conn: &mut SqliteConnection, keep: Keep, now: Timestamp, sweep: &mut Sweep) -> QueryResult<Step> {
    let (stage, days) = (sweep.stage, sweep.stage.days(keep));
    let walked = if days == 0 {
        Walked::OVER
    } else {
        let span = Span { cutoff: now.plus_millis(-i64::from(days) * 86_400_000), ahead: now.plus_millis(AHEAD_MS) };
        immediate(conn, |conn| walk(conn, stage, &span, sweep.after))?
    };
    let mut step = Step::default();
    match stage {
        Stage::Events => step.events = walked.deleted,
        Stage::Changes => step.changes = walked.deleted,
        Stage::Calls => step.calls = walked.deleted,
        Stage::Commands | Stage::Gaps | Stage::Recordings => step.others = walked.deleted,
    }
    let next = match walked.after {
        Some(after) => Some(Sweep { stage, after }),
        None => stage.next().map(|stage| Sweep { stage, after: 0 }),
    };
    step.more = next.is_some();
    *sweep = next.unwrap_or_default();
    Ok(step)
}

/// The moments that decide.
struct Span {
    /// What is older goes.
    cutoff: Timestamp,
    /// What is later can't be right.
    ahead: Timestamp,
}

/// Looks at the next rows of a table in the order of their numbers and deletes the old ones among them.
macro_rules! walk_table {
    ($conn:ident, $table:ident, $seq:ident, $at:ident, $span:ident, $after:ident) => {{
        let newest: Option<i64> = $table::table.select(diesel::dsl::max($table::$seq)).first($conn)?;
        let rows: Vec<(i64, Timestamp)> = $table::table
            .filter($table::$seq.gt($after))
            .filter($table::$seq.lt(newest.unwrap_or(0)))
            .order($table::$seq)
            .limit(STEP_ROWS)
            .select(($table::$seq, $table::$at))
            .load($conn)?;
        let Some(&(last, _)) = rows.last() else { return Ok(Walked::OVER) };
        let deleted = diesel::delete($table::table)
            .filter($table::$seq.gt($after))
            .filter($table::$seq.le(last))
            .filter($table::$at.lt($span.cutoff))
            .execute($conn)?;
        // Rows in their time that stay say that those behind them stay too.
        let settled = deleted == 0 && rows.iter().any(|(_, at)| *at <= $span.ahead);
        let full = rows.len() as i64 == STEP_ROWS;
        Ok(Walked { deleted, after: (full && !settled).then_some(last) })
    }};
}

fn walk(conn: &mut SqliteConnection, stage: Stage, span: &Span, after: i64) -> QueryResult<Walked> {
    match stage {
        Stage::Events => walk_table!(conn, events, seq, at, span, after),
        Stage::Changes => walk_table!(conn, changes, seq, at, span, after),
        Stage::Calls => old_calls(conn, span.cutoff),
        Stage::Commands => walk_table!(conn, commands, seq, at, span, after),
        Stage::Gaps => walk_table!(conn, gaps, id, until, span, after),
        Stage::Recordings => walk_table!(conn, recordings, id, started_at, span, after),
    }
}

/// Deletes the oldest calls that are over, with their legs.
fn old_calls(conn: &mut SqliteConnection, cutoff: Timestamp) -> QueryResult<Walked> {
    let old: Vec<String> = calls::table
        .filter(calls::created_at.lt(cutoff))
        .filter(calls::ended_at.is_not_null())
        .order(calls::created_at)
        .limit(STEP_CALLS)
        .select(calls::uid)
        .load(conn)?;
    diesel::delete(legs::table.filter(legs::call_uid.eq_any(&old))).execute(conn)?;
    let deleted = diesel::delete(calls::table.filter(calls::uid.eq_any(&old))).execute(conn)?;
    Ok(Walked { deleted, after: (old.len() as i64 == STEP_CALLS).then_some(0) })
}
