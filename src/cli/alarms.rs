//! `callcenter alarms test`: a test message through each configured channel.

use std::io::Write;

use clap::{Args, Subcommand};

use super::Exit;
use crate::app::alarms_test;
use crate::config::Loaded;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Alarms come by webhook, e-mail and Telegram; the section [alarms] of the configuration says which and when. The \
    running service shows what is raised now in /api/v1/system.";

/// `callcenter alarms`.
#[derive(Debug, Args)]
pub struct AlarmsArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: AlarmsCommand,
}

/// What can be done with alarms.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum AlarmsCommand {
    /// Send a test message through each configured channel and print what came back.
    #[command(after_long_help = "Exit codes: 0 each channel took it, 1 one did not, 2 no channel is configured.")]
    Test,
}

/// Sends; the running service is not needed.
pub(super) fn run(args: &AlarmsArgs, loaded: &Loaded) -> Exit {
    match args.command {
        AlarmsCommand::Test => test(loaded),
    }
}

fn test(loaded: &Loaded) -> Exit {
    let answers = alarms_test(&loaded.config);
    if answers.is_empty() {
        eprintln!(
            "no channel is configured: set alarms.webhook_url, alarms.smtp_host or alarms.telegram_token \
             (CALLCENTER_ALARMS_WEBHOOK_URL, ...)"
        );
        return Exit::Usage;
    }
    let mut out = std::io::stdout();
    for (name, answer) in &answers {
        let line = match answer {
            Ok(answer) => format!("{name}: sent ({answer})"),
            Err(error) => format!("{name}: NOT sent: {error}"),
        };
        if writeln!(out, "{line}").is_err() {
            return Exit::Failed;
        }
    }
    if answers.iter().all(|(_, answer)| answer.is_ok()) { Exit::Ok } else { Exit::Failed }
}
