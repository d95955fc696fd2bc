//! `callcenter completions SHELL`.

use std::io::Write;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, Exit};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Prints a completion script for a shell, to be put where that shell looks for such.";

/// `callcenter completions`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter completions bash > /etc/bash_completion.d/callcenter\n  \
                       callcenter completions zsh > ~/.zfunc/_callcenter\n  \
                       callcenter completions fish > ~/.config/fish/completions/callcenter.fish")]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Prints the script.
pub(super) fn run(args: CompletionsArgs) -> Exit {
    let script = script(args.shell);
    match std::io::stdout().write_all(&script) {
        Ok(()) => Exit::Ok,
        Err(_) => Exit::Failed,
    }
}

/// The script for a shell.
pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "callcenter", &mut script);
    script
}
