//! `callcenter routes test`: what the rules would do with a call.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::NaiveDateTime;
use clap::Args;
use serde_json::json;

use super::{Done, FILE, rules_of};
use crate::cli::Exit;
use crate::model::{Direction, Timestamp};
use crate::routing::CallFacts;
use crate::routing::calendar::Zone;
use crate::routing::check;
use crate::routing::rule::Decision;
use crate::routing::walk::{self, End, Walk};

/// `callcenter routes test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The rules.
    #[arg(value_name = "FILE", default_value = FILE)]
    pub file: PathBuf,
    /// The caller's number.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub from: String,
    /// The dialled number.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub to: String,
    /// When: `2026-12-24 10:00` on the clock of the file's time zone, or with an offset, `2026-12-24T10:00:00Z`; now without it.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// The caller's name.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub name: String,
    /// The dialplan's context.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub context: String,
    /// `inbound`, `outbound` or `internal`; not known without it.
    #[arg(long, value_name = "WORD", value_parser = direction)]
    pub direction: Option<Direction>,
    /// A Stasis argument; several in order.
    #[arg(long = "arg", value_name = "TEXT")]
    pub args: Vec<String>,
    /// A channel variable; several.
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,
    /// The Asterisk server's name in the configuration.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub node: String,
    /// Calls that a rule has at this moment; several.
    #[arg(long, value_name = "RULE=COUNT", value_parser = count)]
    pub live: Vec<(String, u32)>,
    /// How the steps that can end in several ways end, in order: `busy,answered,1,timeout`; digits for `menu` and `collect`.
    #[arg(long, value_name = "OUTCOMES", value_delimiter = ',')]
    pub answers: Vec<String>,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

fn direction(text: &str) -> Result<Direction, String> {
    let known = Direction::ALL.iter().find(|direction| direction.as_str() == text).copied();
    known.ok_or_else(|| "inbound, outbound or internal is expected".to_owned())
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn count(text: &str) -> Result<(String, u32), String> {
    // A rule's name may hold the sign.
    let (name, count) = text.rsplit_once('=').ok_or("RULE=COUNT is expected")?;
    Ok((name.to_owned(), count.parse().map_err(|_| "a whole number is expected behind =")?))
}

/// Decides and plays out.
pub(super) fn run(args: &TestArgs) -> Done {
    let file = rules_of(&args.file)?;
    let usage = |message: String| (message, Exit::Usage);
    let at = match &args.at {
        Some(text) => moment("--at", text, file.rules.zone()).map_err(usage)?,
        None => Timestamp::from_millis(chrono::Utc::now().timestamp_millis()),
    };
    let facts = facts(args, at);
    let decision = file.rules.decide(&facts);
    let walk = walk::walk((&file.rules, &file.dial), &decision, &facts, &args.answers).map_err(usage)?;
    let local = file.rules.zone().local(at).to_string();
    let mistakes = check::check(&file, None);
    let report = if args.json {
        let report = json!({
            "version": file.rules.version(),
            "at": at,
            "rule": decision.rule,
            "passed_over": decision.passed_over,
            "steps": walk.steps,
            "end": walk.end,
            "unused_answers": walk.unused,
            "fallback": &*decision.fallback,
            "mistakes": mistakes,
        });
        format!("{report:#}\n")
    } else {
        let mut report = format!("version {}, {local}\n", file.rules.version());
        report.push_str(&told(&decision, &walk));
        report.push_str(&super::lines(&args.file, &mistakes));
        report
    };
    Ok((report, Exit::Ok))
}

fn facts(args: &TestArgs, at: Timestamp) -> CallFacts {
    CallFacts {
        node: args.node.clone(),
        dialed: args.to.clone(),
        context: args.context.clone(),
        caller_number: args.from.clone(),
        caller_name: args.name.clone(),
        direction: args.direction,
        args: args.args.clone(),
        variables: args.variables.iter().cloned().collect::<BTreeMap<_, _>>(),
        at,
        live: args.live.iter().cloned().collect(),
    }
}

/// A moment on the clock of this zone, or one with its own offset.
pub(super) fn moment(option: &str, text: &str, zone: Zone) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let forms = ["%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let local = forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let local = local
        .ok_or_else(|| format!("{option} '{text}' is no time; write '2026-12-24 10:00' or '2026-12-24T10:00:00Z'"))?;
    zone.moment(local).ok_or_else(|| format!("{option} '{text}': clocks in {zone} leave this time out"))
}

/// The story for people.
fn told(decision: &Decision, walk: &Walk) -> String {
    let mut lines = vec![match decision.passed_over.len() {
        0 => format!("'{}' takes the call", decision.rule),
        _ => format!("'{}' takes the call; before it", decision.rule),
    }];
    lines.extend(
        decision.passed_over.iter().map(|passed| format!("  not '{}': {}", passed.rule, passed.why.join("; "))),
    );
    lines.push("steps".to_owned());
    for step in &walk.steps {
        let name = step.name.as_ref().map_or_else(String::new, |name| format!(" \"{name}\""));
        let does = if step.does.is_empty() { String::new() } else { format!(" {}", step.does) };
        let outcome = match (&step.outcome, step.from) {
            (Some(outcome), Some("answers")) => format!(" -> {outcome} (as answered)"),
            (Some(outcome), _) => format!(" -> {outcome}"),
            (None, _) => String::new(),
        };
        lines.push(format!("  {}.{}{name}: {}{does}{outcome}", step.rule, step.path, step.verb));
    }
    lines.push(match &walk.end {
        End::HungUp { cause } => format!("end: hung up, cause {cause}"),
        End::InDialplan => "end: goes on in the dialplan".to_owned(),
        End::Fallback => "end: the rule's fallback takes the call".to_owned(),
        End::Abandoned => "end: the caller gave up".to_owned(),
        End::TooLong => format!("end: given up after {} steps", walk::MAX_WALK),
    });
    if !walk.unused.is_empty() {
        lines.push(format!("answers that no step took: {}", walk.unused.join(", ")));
    }
    lines.push(String::new());
    lines.join("\n")
}
