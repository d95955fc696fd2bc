//! `callcenter doctor`: walks the way from here to a working system.

use clap::Args;

use super::Exit;
use crate::config::Loaded;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Walks the way from here to a working system step by step and says for each what was tried, what \
    came back and what to do: Asterisk reachable, ARI enabled at this path, credentials, versions, the \
    WebSocket and its subscriptions, a dialplan that enters the application, the database and its \
    disk.\n\nAt the end it waits for a test call: make one, and it tells what it saw.";

/// `callcenter doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter doctor --wait 60\n  callcenter doctor --json --wait 0\n\n\
                       Exit codes: 0 all is well, 2 wrong configuration, 3 there is something to put right.")]
pub struct DoctorArgs {
    /// Seconds to wait for a test call; 0 doesn't wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub wait: u64,
    /// Print one JSON object instead.
    #[arg(long)]
    pub json: bool,
}

/// Walks all steps; [`Exit::Problems`] where one needs the owner.
pub(super) fn run(_args: DoctorArgs, _loaded: Loaded) -> Exit {
    eprintln!("doctor is not part of this build");
    Exit::Failed
}
