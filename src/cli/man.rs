//! `callcenter man DIR`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};

use super::{Cli, Exit};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Writes the manual pages (callcenter.1 and one for each command) into a folder, made of the same definitions as \
    this help. The Debian package has them already.";

/// `callcenter man`.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  callcenter man /usr/local/share/man/man1")]
pub struct ManArgs {
    /// The folder; made where it is missing. Pages in it are replaced.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

/// Writes the pages.
pub(super) fn run(args: &ManArgs) -> Exit {
    match write(&args.folder) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            eprintln!("the pages can't be written to '{}' ({error}): name a folder", args.folder.display());
            Exit::Failed
        }
    }
}

/// One page a command.
pub(super) fn write(folder: &Path) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    // The page of clap's own `help` would only send the reader here.
    clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
}
