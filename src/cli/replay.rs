//! `callcenter replay`: recorded streams into a database.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use crate::app;
use crate::config::{self, Loaded};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Feeds recorded streams (the journal's lines: event, gap, snapshot ...) through the same registry, \
    call logic and writer as the service into a database, as fast as it goes, then prints how many \
    events, calls and gaps there were.\n\nEach batch commits how far it is in which stream: a second \
    run changes nothing, and a broken run goes on where it stopped.";

/// `callcenter replay`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter replay monday.jsonl tuesday.jsonl.gz --db week.db --node office")]
pub struct ReplayArgs {
    /// Streams in order of time, JSON lines, also gzipped (.gz).
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The database that they go into; made where there is none.
    #[arg(long, value_name = "PATH")]
    pub db: PathBuf,
    /// The node that the streams are from.
    #[arg(long, value_name = "NAME", default_value = "main", value_parser = super::node_name)]
    pub node: String,
}

/// Replays all files.
pub(super) fn run(args: ReplayArgs, loaded: Loaded) -> Exit {
    let name = config::Asterisk::default().app;
    let configured = loaded.config.asterisk.iter().find(|a| a.name == args.node).or(loaded.config.asterisk.first());
    let app = configured.map_or(name, |a| a.app.clone());
    match app::replay(&loaded.config, &args.db, &args.node, &app, &args.files) {
        Ok(done) => {
            println!(
                "{} events read, {} of them new; {} calls begun, {} open at the end; {} gaps, {} lines that could not be read",
                done.events, done.written, done.calls, done.open, done.gaps, done.bad
            );
            Exit::Ok
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}
