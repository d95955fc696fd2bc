//! `callcenter demo`: the service against a simulated Asterisk.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Exit;
use crate::app::{Demo, DemoOptions};
use crate::config::Loaded;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Runs the service against a built-in simulated Asterisk that plays recorded real calls in a steady \
    random mix, so that everything can be seen without a PBX. Configured servers are left alone, and \
    the calls go into a database of their own.";

/// `callcenter demo`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter demo\n  callcenter demo --rate 600 --for 60 --db /tmp/demo.db")]
pub struct DemoArgs {
    /// New calls a minute.
    #[arg(long, value_name = "CALLS_PER_MINUTE", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub rate: u32,
    /// Stop after so many seconds; without it the demo runs until it is told to stop.
    #[arg(long = "for", value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub seconds: Option<u64>,
    /// The demo's database.
    #[arg(long, value_name = "PATH", default_value = "data/demo.db")]
    pub db: PathBuf,
    /// The HTTP port on the loopback interface, 0 for a free one; `http.port` when not given.
    #[arg(long)]
    pub port: Option<u16>,
}

/// Runs until the time is over or it is told to stop.
pub(super) fn run(args: DemoArgs, loaded: Loaded) -> Exit {
    let options = DemoOptions {
        calls_per_minute: args.rate,
        lasts: args.seconds.map(Duration::from_secs),
        database: args.db,
        port: args.port,
    };
    match Demo::start(&options, loaded).and_then(|demo| demo.serve()) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}
