//! `callcenter routes dry-run`: the calls of the past against new rules.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use chrono::NaiveDate;
use clap::Args;
use serde_json::json;

use super::{Done, FILE, rules_of};
use crate::ari::event::{Event, decode};
use crate::cli::Exit;
use crate::db::calls::StoredCall;
use crate::db::events::StoredEvent;
use crate::db::past;
use crate::model::Timestamp;
use crate::routing::CallFacts;
use crate::routing::compare::{Comparison, Difference, Tally};
use crate::routing::file::{self, RoutingFile};

/// Calls read at once.
const PAGE: i64 = 500;
/// Longer texts of a line are cut.
const WIDTH: usize = 60;

/// `callcenter routes dry-run`.
#[derive(Debug, Args)]
pub struct DryRunArgs {
    /// The rules to be tried.
    #[arg(long, value_name = "FILE")]
    pub rules: PathBuf,
    /// Calls from this day or moment on: `2026-11-01`, `2026-11-01 09:00`, on the clock of the new rules' time zone.
    #[arg(long, value_name = "TIME")]
    pub since: String,
    /// Calls before this day or moment; all without it.
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The rules as they are; with none there, every call goes on in the dialplan.
    #[arg(long, value_name = "FILE")]
    pub current: Option<PathBuf>,
    /// The database; `database.path` when not given.
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// How many calls are listed; the counts are of all.
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub list: usize,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

/// A call that is listed.
struct Listed {
    call: StoredCall,
    at: Timestamp,
    difference: Difference,
}

/// Compares.
pub(super) fn run(args: &DryRunArgs, database: Option<&Path>) -> Done {
    let failed = |error: String| (error, Exit::Failed);
    let then = rules_of(&args.rules)?;
    let now = current(args.current.as_deref())?;
    let since = moment("--since", &args.since, &then)?;
    let until = args.until.as_deref().map(|text| moment("--until", text, &then)).transpose()?;
    let until = until.unwrap_or(Timestamp::from_millis(i64::MAX / 2));
    let path = args.db.as_deref().or(database).ok_or_else(|| failed("name the database with --db".into()))?;
    let mut conn = past::open(path).map_err(|error| failed(error.to_string()))?;
    let mut comparison = Comparison::new(&now, &then);
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let read = past::calls(&mut conn, since, until, after, PAGE).and_then(|calls| {
            let with = |call: StoredCall| past::entrance(&mut conn, &call.row.uid).map(|event| (call, event));
            calls.into_iter().map(with).collect::<Result<Vec<_>, _>>()
        });
        let calls =
            read.map_err(|error| failed(format!("the calls in '{}' can't be read: {error}", path.display())))?;
        let Some((last, _)) = calls.last() else { break };
        after = Some((last.row.created_at, last.id));
        for (call, event) in calls {
            let facts = facts(&call, event.as_ref());
            if let Some(difference) = comparison.take(&facts, call.row.ended_at)
                && listed.len() < args.list
            {
                listed.push(Listed { call, at: facts.at, difference });
            }
        }
    }
    let tally = comparison.tally();
    Ok((if args.json { as_json(&listed, &tally, &now, &then) } else { told(&listed, &tally, &then) }, Exit::Ok))
}

/// The rules as they are.
fn current(path: Option<&Path>) -> Result<RoutingFile, (String, Exit)> {
    match path {
        Some(path) => rules_of(path),
        None if Path::new(FILE).exists() => rules_of(Path::new(FILE)),
        None => file::read("").map_err(|_| ("no rules at all are refused".to_owned(), Exit::Failed)),
    }
}

/// A moment, or the beginning of a day.
fn moment(option: &str, text: &str, rules: &RoutingFile) -> Result<Timestamp, (String, Exit)> {
    let midnight = text.parse::<NaiveDate>().map(|day| format!("{day} 00:00"));
    super::trial::moment(option, midnight.as_deref().unwrap_or(text), rules.rules.zone())
        .map_err(|why| (why, Exit::Usage))
}

/// What a rule would have seen: the entrance, as far as it is still there, else what the call's row tells.
fn facts(call: &StoredCall, event: Option<&StoredEvent>) -> CallFacts {
    let row = &call.row;
    let node = row.node.as_str();
    let seen = event.and_then(|stored| {
        let frame = decode(&stored.body).ok()?;
        match &frame.event {
            Event::StasisStart(start) => {
                let args = start.args.iter().map(|arg| &**arg);
                Some(CallFacts::of_channel(node, &start.channel, args, stored.at))
            }
            Event::ChannelCreated(made) => Some(CallFacts::of_channel(node, &made.channel, [], stored.at)),
            _ => None,
        }
    });
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let facts = seen.unwrap_or_else(|| CallFacts {
        node: node.to_owned(),
        dialed: text(&row.dialed_number),
        caller_number: text(&row.caller_number),
        caller_name: text(&row.caller_name),
        at: row.started_at,
        ..CallFacts::default()
    });
    CallFacts { direction: row.direction, ..facts }
}

fn told(listed: &[Listed], tally: &Tally, then: &RoutingFile) -> String {
    let mut out = String::new();
    // Writing to a String can't fail.
    for Listed { call, at, difference } in listed {
        let number = |number: &Option<String>| number.clone().unwrap_or_else(|| "?".to_owned());
        let (from, to) = (number(&call.row.caller_number), number(&call.row.dialed_number));
        let Difference { now, then: after } = difference;
        let _ = writeln!(out, "{}  {from} -> {to}  {} => {}", then.rules.zone().local(*at), now.rule, after.rule);
        if now.rule == after.rule {
            let _ = writeln!(out, "    now  {}\n    then {}", cut(&now.steps), cut(&after.steps));
        }
    }
    if tally.otherwise > listed.len() as u64 {
        let _ = writeln!(out, "... and {} more (--list)", tally.otherwise - listed.len() as u64);
    }
    let _ = writeln!(out, "{} of {} calls would be routed otherwise", tally.otherwise, tally.calls);
    for one in &tally.from_to {
        let _ = writeln!(out, "{:>8}  {} => {}", one.calls, one.now, one.then);
    }
    for (name, calls) in &tally.unknown_variables {
        let _ = writeln!(
            out,
            "the variable {name} is not on record for {calls} calls: conditions on it count as not met (channelvars in ari.conf \
             puts variables on record)"
        );
    }
    out
}

/// The steps in a line.
fn cut(steps: &[String]) -> String {
    let line = steps.join("; ");
    match line.char_indices().nth(WIDTH) {
        Some((end, _)) => format!("{}...", &line[..end]),
        None => line,
    }
}

fn as_json(listed: &[Listed], tally: &Tally, now: &RoutingFile, then: &RoutingFile) -> String {
    let calls = listed.iter().map(|Listed { call, at, difference }| {
        json!({
            "uid": call.row.uid.as_str(), "at": at, "from": call.row.caller_number, "to": call.row.dialed_number,
            "now": difference.now, "then": difference.then,
        })
    });
    let report = json!({
        "version_now": now.rules.version(), "version_then": then.rules.version(), "tally": tally,
        "listed": calls.collect::<Vec<_>>(),
    });
    format!("{report:#}\n")
}
