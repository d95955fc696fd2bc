//! `callcenter record`: copies the journal's lines while they come.

use std::path::PathBuf;

use clap::Args;

use super::Exit;
use crate::config::Loaded;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Copies the lines of the running service's journal into a file while they come, until it is told to \
    stop. `callcenter replay` reads such files.";

/// `callcenter record`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter record today.jsonl")]
pub struct RecordArgs {
    /// The file; lines are added at its end.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Of which node; needed where several are configured.
    #[arg(long, value_name = "NAME", value_parser = super::node_name)]
    pub node: Option<String>,
}

/// Copies until it is told to stop.
pub(super) fn run(_args: RecordArgs, _loaded: Loaded) -> Exit {
    eprintln!("record is not part of this build");
    Exit::Failed
}
