//! `callcenter backup`: a consistent copy of a live database.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;

use super::Exit;
use crate::config::Loaded;
use crate::db::backup::backup;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Makes a consistent copy of the database, also while the service runs: all rows and journal positions of one \
    moment. The service is not held up. The copy is checked, then it appears under its name, whole or not at \
    all.\n\nTo restore one: stop the service, delete `callcenter.db-wal` and `callcenter.db-shm`, put the copy in the \
    database's place, start the service. It goes on from the position in the copy, as far as the journal still reaches; \
    what is missing is recorded as a gap.";

/// `callcenter backup`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  callcenter backup /backup/callcenter-$(date +%F).db\n  callcenter backup latest.db --force"
)]
pub struct BackupArgs {
    /// The copy; it must not exist yet.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The database to be copied; `database.path` when not given.
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// Replace FILE if it exists.
    #[arg(long)]
    pub force: bool,
}

/// Makes the copy.
pub(super) fn run(args: &BackupArgs, loaded: &Loaded) -> Exit {
    let source = args.db.as_ref().unwrap_or(&loaded.config.database.path);
    let begun = Instant::now();
    match backup(source, &args.file, args.force) {
        Ok(copied) => {
            println!(
                "'{}' copied to '{}': {} calls, {} bytes, checked, in {:.1} s",
                source.display(),
                args.file.display(),
                copied.calls,
                copied.bytes,
                begun.elapsed().as_secs_f64()
            );
            Exit::Ok
        }
        Err(error) => {
            eprintln!("{error}");
            Exit::Failed
        }
    }
}
