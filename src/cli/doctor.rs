//! `callcenter doctor`: walks the way from here to a working system.
//!
//! The order is that of the way itself: what is configured, this machine's part (port, database, disk, journal), then
//! each Asterisk from its address to a call that enters the application. A step that can't be tried because an earlier
//! one failed says so. The event socket is opened only where nobody holds the application, since opening it takes the
//! application away from whoever does.

mod asterisk;
mod events;
mod feed;
mod guard;
mod hold;
mod local;
mod report;
mod service;
mod stasis;
mod transport;

use actix::System;
use clap::Args;
use futures_util::future::join_all;

use super::Exit;
use crate::config::{Asterisk, Guard, Loaded, environment_name};
use report::{Outcome, Report, Step};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Walks the way from here to a working system step by step and says for each what was tried, what \
    came back and what to do: Asterisk reachable, ARI enabled at this path, credentials, versions, the \
    WebSocket and its subscriptions, a dialplan that enters the application, the database and its \
    disk.\n\nAt the end it waits for a test call: make one, and it tells what it saw. It does not disturb a service \
    that runs meanwhile.";

/// `callcenter doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter doctor --wait 60\n  callcenter doctor --json --wait 0\n\n\
                       Exit codes: 0 all is well, 2 wrong configuration, 3 there is something to put right.")]
pub struct DoctorArgs {
    /// Seconds to wait for a test call; 0 doesn't wait.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub wait: u64,
    /// Print one JSON list instead: of each step its name, node, result, what was tried and found, and advice.
    #[arg(long)]
    pub json: bool,
}

/// Walks all steps; [`Exit::Problems`] where one needs the owner.
pub(super) fn run(args: DoctorArgs, loaded: Loaded) -> Exit {
    let well = System::new().block_on(examine(&args, &loaded));
    if well { Exit::Ok } else { Exit::Problems }
}

/// The whole walk; whether there was no problem.
async fn examine(args: &DoctorArgs, loaded: &Loaded) -> bool {
    let config = &loaded.config;
    let mut report = Report::new(args.json);
    report.add(Step::here("configuration", "read files and environment", configuration(loaded)));
    let service = service::find(config.http.port).await;
    local::examine(&mut report, config, service.as_ref());
    let mut waits = Vec::new();
    for asterisk in &config.asterisk {
        if let Some(entered) = asterisk::walk(&mut report, asterisk, config, service.as_ref(), args.wait).await {
            waits.push((asterisk, entered));
        }
    }
    if args.wait > 0 && !waits.is_empty() {
        let apps: Vec<String> = waits.iter().map(|(a, _)| format!("'{}' of {}", a.app, a.name)).collect();
        eprintln!("waiting up to {} s for a test call into {}: make one now", args.wait, apps.join(" or "));
    }
    let calls = waits.into_iter().map(|(asterisk, entered)| test_call(asterisk, &config.guard, entered, args.wait));
    for step in join_all(calls).await {
        report.add(step);
    }
    report.finish()
}

/// What was read, and whether it names an Asterisk at all. Mistakes never come this far.
fn configuration(loaded: &Loaded) -> Outcome {
    let files: Vec<String> = loaded.files.iter().map(|file| file.display().to_string()).collect();
    let or_none = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let found = format!("files: {}; variables: {}", or_none(&files), or_none(&loaded.variables));
    if loaded.is_configured() {
        let nodes: Vec<String> =
            loaded.config.asterisk.iter().map(|a| format!("{} at {}", a.name, a.shown_url())).collect();
        return Outcome::ok(format!("{found}; Asterisk {}", nodes.join(", ")));
    }
    let name = environment_name("asterisk[1].url");
    Outcome::problem(
        format!("{found}; no Asterisk is configured"),
        format!(
            "Name one, in the environment, in .env or in a file: {name}=http://127.0.0.1:8088/ari, ARI_USERNAME, \
             ARI_PASSWORD, ARI_APP_NAME.\n`callcenter demo` shows everything without an Asterisk."
        ),
    )
}

/// Waits for the call of one Asterisk and gives the application back.
async fn test_call(asterisk: &Asterisk, guard: &Guard, entered: stasis::Entered, wait: u64) -> Step {
    let (tried, outcome) = entered.wait(&asterisk.app, guard, wait).await;
    Step::of(&asterisk.name, "test_call", tried, outcome)
}
