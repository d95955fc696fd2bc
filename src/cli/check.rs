//! `callcenter check`: the configuration in force, secrets hidden, and every mistake in it.

use std::io::Write;

use clap::Args;
use serde_json::json;

use super::Exit;
use crate::config::{Loaded, Transport, environment_name};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Reads the whole configuration and prints what is in force, each key with the file or variable that \
    it is from and secrets hidden, then each mistake with file, key and what is allowed. Starts nothing \
    and changes nothing.";

/// `callcenter check`.
#[derive(Debug, Args)]
#[command(after_long_help = "Exit codes: 0 the service can start, 2 there are mistakes.")]
pub struct CheckArgs {
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

/// Prints the report; 0 without mistakes, else 2.
pub(super) fn run(args: CheckArgs, loaded: &Loaded) -> Exit {
    let report = if args.json { json_report(loaded) } else { text_report(loaded) };
    if std::io::stdout().write_all(report.as_bytes()).is_err() {
        return Exit::Failed;
    }
    if loaded.mistakes.is_empty() { Exit::Ok } else { Exit::Usage }
}

/// The report for people.
pub(super) fn text_report(loaded: &Loaded) -> String {
    let mut lines = Vec::new();
    let files: Vec<_> = loaded.files.iter().map(|path| path.display().to_string()).collect();
    lines.push(format!("# files read, later ones win: {}", or_none(&files)));
    lines.push(format!("# variables used: {}", or_none(&loaded.variables)));
    if let Some(levels) = &loaded.rust_log {
        lines.push(format!("# RUST_LOG={levels} overrides log.level"));
    }
    if !loaded.is_configured() {
        let url = environment_name("asterisk[1].url");
        lines.push(format!("# no Asterisk server is configured: set {url} and the other ARI_ names, or [[asterisk]]"));
    }
    let mut section = String::new();
    for setting in loaded.settings() {
        let of = setting.key.split('.').next().unwrap_or_default();
        if of != section {
            lines.push(String::new());
            section = of.to_owned();
        }
        lines.push(setting.to_string());
    }
    lines.push(String::new());
    lines.extend(notes(loaded).map(|note| format!("note: {note}")));
    lines.extend(loaded.mistakes.iter().map(|mistake| format!("mistake: {mistake}")));
    lines.push(match loaded.mistakes.len() {
        0 => "The configuration is right.".to_owned(),
        1 => "One mistake: the service would not start.".to_owned(),
        count => format!("{count} mistakes: the service would not start."),
    });
    lines.push(String::new());
    lines.join("\n")
}

/// The report for programs.
pub(super) fn json_report(loaded: &Loaded) -> String {
    let report = json!({
        "ok": loaded.mistakes.is_empty(),
        "configured": loaded.is_configured(),
        "files": loaded.files,
        "variables": loaded.variables,
        "rust_log": loaded.rust_log,
        "settings": loaded.settings(),
        "notes": notes(loaded).collect::<Vec<_>>(),
        "mistakes": loaded.mistakes,
    });
    format!("{report:#}\n")
}

/// What is no mistake; also what only the server knows, which is not asked here.
fn notes(loaded: &Loaded) -> impl Iterator<Item = String> {
    let wish = loaded.config.ari.transport == Transport::Websocket;
    let transport = "ari.transport is \"websocket\": Asterisk 20.14, 21.9 and 22.4 take requests there; `callcenter doctor` \
                     sees whether yours does, otherwise they go over HTTP, with a warning";
    loaded.notes.iter().cloned().chain(wish.then(|| transport.to_owned()))
}

/// A list for people.
fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
