//! The command line: one file a command.

mod alarms;
mod asterisk_config;
mod backup;
mod check;
mod completions;
mod demo;
mod doctor;
mod exit;
mod feed;
mod health;
mod man;
mod reconcile;
mod record;
mod replay;
mod routes;
mod serve;

pub use alarms::{AlarmsArgs, AlarmsCommand};
pub use asterisk_config::{AsteriskConfigArgs, ConfPart};
pub use backup::BackupArgs;
pub use check::CheckArgs;
pub use completions::CompletionsArgs;
pub use demo::DemoArgs;
pub use doctor::DoctorArgs;
pub use exit::Exit;
pub use feed::FeedArgs;
pub use health::HealthArgs;
pub use man::ManArgs;
pub use reconcile::ReconcileArgs;
pub use record::RecordArgs;
pub use replay::ReplayArgs;
pub use routes::{CheckRoutesArgs, DryRunArgs, RoutesArgs, RoutesCommand, TestArgs};
pub use serve::ServeArgs;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::{self, Inputs, Loaded};
use crate::telemetry::{self, Telemetry};

/// A call center beside Asterisk: every call recorded correctly.
#[derive(Debug, Parser)]
#[command(
    name = "callcenter",
    version,
    long_about = "Stands beside an Asterisk PBX, listens through its REST interface (ARI), and records every call \
                  correctly into an SQLite database.\n\nWithout a command it serves. Without a PBX try `callcenter \
                  demo`; with one, `callcenter doctor` walks the way from here to a working system.",
    after_long_help = AFTER_HELP
)]
pub struct Cli {
    /// A TOML file over config/default.toml; .env and the environment win over it.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do; `serve` when none is given.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What stands below the help.
const AFTER_HELP: &str = "\
Examples:
  ARI_URL=http://127.0.0.1:8088/ari ARI_USERNAME=asterisk ARI_PASSWORD=... callcenter
  callcenter --config /etc/callcenter/office.toml check
  callcenter doctor --wait 60
  callcenter replay day.jsonl.gz --db day.db --node office

Exit codes:
  0  done
  1  failed; standard error says why
  2  wrong usage or wrong configuration; nothing was started
  3  doctor found something to put right";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service (the default).
    #[command(long_about = serve::ABOUT)]
    Serve(ServeArgs),
    /// Only write down what Asterisk says, for a `serve` that may come and go.
    #[command(long_about = feed::ABOUT)]
    Feed(FeedArgs),
    /// Show the configuration in force, and every mistake in it.
    #[command(long_about = check::ABOUT)]
    Check(CheckArgs),
    /// Walk the way from here to a working system, and say what to do.
    #[command(long_about = doctor::ABOUT)]
    Doctor(DoctorArgs),
    /// Print Asterisk's files for the configuration in force.
    #[command(long_about = asterisk_config::ABOUT)]
    AsteriskConfig(AsteriskConfigArgs),
    /// Run the service against a built-in simulated Asterisk.
    #[command(long_about = demo::ABOUT)]
    Demo(DemoArgs),
    /// Feed recorded streams into a database, as fast as it goes.
    #[command(long_about = replay::ABOUT)]
    Replay(ReplayArgs),
    /// Copy the database, also while the service runs.
    #[command(long_about = backup::ABOUT)]
    Backup(BackupArgs),
    /// Add calls that ran wholly inside a gap, from Asterisk's own CDR.
    #[command(long_about = reconcile::ABOUT)]
    Reconcile(ReconcileArgs),
    /// Copy the journal's lines into a file while they come.
    #[command(long_about = record::ABOUT)]
    Record(RecordArgs),
    /// Try the ways by which alarms reach people.
    #[command(long_about = alarms::ABOUT)]
    Alarms(AlarmsArgs),
    /// Check the owner's rules, and try them on a call.
    #[command(long_about = routes::ABOUT)]
    Routes(RoutesArgs),
    /// Ask the running service how it is.
    #[command(long_about = health::ABOUT)]
    Health(HealthArgs),
    /// Write the manual pages.
    #[command(long_about = man::ABOUT)]
    Man(ManArgs),
    /// Print a completion script for a shell.
    #[command(long_about = completions::ABOUT)]
    Completions(CompletionsArgs),
}

/// Runs the command that `args` (with the program's name first) ask for.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(answer) => {
            // Help and version come this way too. A closed pipe is no reason to fail.
            _ = answer.print();
            return if answer.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    let command = cli.command.unwrap_or(Command::Serve(ServeArgs {}));
    if let Command::Completions(args) = command {
        return completions::run(args);
    }
    if let Command::Man(args) = &command {
        return man::run(args);
    }
    if let Command::Routes(args) = &command
        && !args.needs_database()
    {
        return routes::run(args, None);
    }
    let inputs = Inputs::of_process(cli.config);
    let loaded =
        config::load(&if matches!(command, Command::Demo(_)) { inputs.without_the_machines() } else { inputs });
    if let Command::Check(args) = command {
        return check::run(args, &loaded);
    }
    if let Command::Health(args) = &command {
        return health::run(args, &loaded);
    }
    match prepare(loaded) {
        Ok((loaded, telemetry)) => dispatch(command, loaded, telemetry),
        Err(exit) => exit,
    }
}

/// Refuses a wrong configuration, naming every mistake, and starts the log.
fn prepare(loaded: Loaded) -> Result<(Loaded, Telemetry), Exit> {
    let loaded = loaded.accept().map_err(|refused| {
        eprintln!("{refused}\n`callcenter check` shows all that is in force.");
        Exit::Usage
    })?;
    let telemetry = telemetry::start(&loaded.config.log, loaded.rust_log.as_deref()).map_err(|error| {
        eprintln!("{error}");
        Exit::Usage
    })?;
    for note in &loaded.notes {
        tracing::warn!("{note}");
    }
    Ok((loaded, telemetry))
}

/// The commands that have a configuration and a log.
fn dispatch(command: Command, loaded: Loaded, telemetry: Telemetry) -> Exit {
    match command {
        Command::Serve(args) => serve::run(args, loaded, telemetry),
        Command::Feed(args) => feed::run(&args, &loaded),
        Command::Doctor(args) => doctor::run(args, loaded),
        Command::AsteriskConfig(args) => asterisk_config::run(&args, &loaded),
        Command::Demo(args) => demo::run(args, loaded),
        Command::Replay(args) => replay::run(args, loaded),
        Command::Backup(args) => backup::run(&args, &loaded),
        Command::Reconcile(args) => reconcile::run(&args, &loaded),
        Command::Record(args) => record::run(args, loaded),
        Command::Alarms(args) => alarms::run(&args, &loaded),
        // These need neither and are answered before; here only so that a new command can't be forgotten.
        Command::Check(args) => check::run(args, &loaded),
        Command::Health(args) => health::run(&args, &loaded),
        Command::Man(args) => man::run(&args),
        Command::Completions(args) => completions::run(args),
        Command::Routes(args) => routes::run(&args, Some(&loaded.config.database.path)),
    }
}

/// A node's name from the command line, by the rule of the configuration.
fn node_name(text: &str) -> Result<String, String> {
    if config::is_node_name(text) { Ok(text.to_owned()) } else { Err(config::NODE_NAME_RULE.to_owned()) }
}

#[cfg(test)]
mod tests;
