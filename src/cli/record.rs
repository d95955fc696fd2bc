//! `callcenter record`: copies the journal's lines while they come.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::System;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::Exit;
use crate::actors::journal::{JournalError, JournalReader, folder};
use crate::config::{Asterisk, Loaded};
use crate::model::NodeId;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Copies the lines of the running service's journal into a new file while they come, until it is told to \
    stop by Ctrl-C or SIGTERM. `callcenter replay` reads such files.\n\nIt only reads: the service is not disturbed, \
    and may be stopped and started meanwhile.";

/// Bytes of the journal that are copied at once.
const CHUNK_BYTES: usize = 256 * 1024;
/// The pause between two looks at the journal's end.
const LOOK: Duration = Duration::from_millis(50);

/// `callcenter record`.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  callcenter record today.jsonl\n  callcenter record branch.jsonl --node branch"
)]
pub struct RecordArgs {
    /// The file; it must not exist yet.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Of which node; needed where several are configured.
    #[arg(long, value_name = "NAME", value_parser = super::node_name)]
    pub node: Option<String>,
}

/// What was copied.
#[derive(Debug, Default, PartialEq, Eq)]
struct Copied {
    lines: u64,
    bytes: u64,
    /// Bytes of the journal that could not be had.
    missing: u64,
}

/// Copies until it is told to stop.
pub(super) fn run(args: RecordArgs, loaded: Loaded) -> Exit {
    match System::new().block_on(record(&args, &loaded)) {
        Ok(copied) => {
            let Copied { lines, bytes, missing } = copied;
            println!("{lines} lines ({bytes} bytes) copied to '{}'", args.file.display());
            if missing > 0 {
                println!("{missing} bytes of the journal were deleted or unreadable before they could be copied");
            }
            Exit::Ok
        }
        Err(Stopped { exit, reason }) => {
            eprintln!("{reason}");
            exit
        }
    }
}

/// Why nothing, or nothing more, is copied.
#[derive(Debug)]
struct Stopped {
    exit: Exit,
    reason: String,
}

fn failed(reason: impl Into<String>) -> Stopped {
    Stopped { exit: Exit::Failed, reason: reason.into() }
}

async fn record(args: &RecordArgs, loaded: &Loaded) -> Result<Copied, Stopped> {
    let node = node_of(args.node.as_deref(), &loaded.config.asterisk)
        .map_err(|reason| Stopped { exit: Exit::Usage, reason })?;
    let dir = folder(&loaded.config.journal, &loaded.config.database, &NodeId::new(node.as_str()));
    if !dir.is_dir() {
        return Err(failed(format!(
            "there is no journal of '{node}' at '{}': start the service first (`callcenter serve`, with the same \
             configuration)",
            dir.display()
        )));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| failed(e.to_string()))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|e| failed(e.to_string()))?;
    let mut reader = JournalReader::open_at_end(&dir).map_err(|e| failed(e.to_string()))?;
    let mut file = create(&args.file)?;
    eprintln!("copies what comes from '{node}' to '{}'; Ctrl-C ends it", args.file.display());
    let mut copied = Copied::default();
    loop {
        copy(&mut reader, &mut file, &mut copied).map_err(|error| stopped_at(&copied, &args.file, error))?;
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    // What came before the signal belongs to the recording.
    copy(&mut reader, &mut file, &mut copied).map_err(|error| stopped_at(&copied, &args.file, error))?;
    Ok(copied)
}

/// The node to be recorded.
fn node_of(wanted: Option<&str>, configured: &[Asterisk]) -> Result<String, String> {
    let names = || configured.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(", ");
    match (wanted, configured) {
        (Some(name), _) if configured.is_empty() || configured.iter().any(|a| a.name == name) => Ok(name.to_owned()),
        (Some(name), _) => Err(format!("no Asterisk '{name}' is configured; there are: {}", names())),
        (None, []) => Ok(Asterisk::default().name),
        (None, [one]) => Ok(one.name.clone()),
        (None, [_, ..]) => Err(format!("several Asterisk servers are configured: add --node with one of {}", names())),
    }
}

/// A new file: what somebody recorded before is never written over.
fn create(path: &Path) -> Result<File, Stopped> {
    File::options().write(true).create_new(true).open(path).map_err(|error| {
        let shown = path.display();
        match error.kind() {
            io::ErrorKind::AlreadyExists => Stopped {
                exit: Exit::Usage,
                reason: format!("'{shown}' exists already and is left as it is: name a new file"),
            },
            _ => failed(format!("'{shown}' can't be made ({error}): check the folder and its permissions")),
        }
    })
}

/// Why copying ended before it was told to.
enum CopyError {
    Journal(JournalError),
    File(io::Error),
}

/// Copies everything that is there now.
fn copy(reader: &mut JournalReader, file: &mut File, copied: &mut Copied) -> Result<(), CopyError> {
    loop {
        match reader.read(CHUNK_BYTES) {
            Ok(None) => return Ok(()),
            Ok(Some(chunk)) => {
                copied.missing += chunk.skipped.map_or(0, |skipped| skipped.bytes);
                // A file of the standard library has no buffer of its own: each batch is with the system at once.
                file.write_all(&chunk.bytes).map_err(CopyError::File)?;
                copied.lines += chunk.lines().count() as u64;
                copied.bytes += chunk.bytes.len() as u64;
            }
            Err(error) => return Err(CopyError::Journal(error)),
        }
    }
}

fn stopped_at(copied: &Copied, path: &Path, error: CopyError) -> Stopped {
    let why = match error {
        CopyError::Journal(error) => error.to_string(),
        CopyError::File(error) => format!("'{}' can't be written: {error}", path.display()),
    };
    failed(format!("{why}; {} lines were copied before", copied.lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(names: &[&str]) -> Vec<Asterisk> {
        names.iter().map(|name| Asterisk { name: (*name).into(), ..Asterisk::default() }).collect()
    }

    #[test]
    fn the_node_is_the_only_one_or_must_be_named() {
        assert_eq!(node_of(None, &configured(&[])).as_deref(), Ok("main"));
        assert_eq!(node_of(None, &configured(&["office"])).as_deref(), Ok("office"));
        assert_eq!(node_of(Some("b"), &configured(&["a", "b"])).as_deref(), Ok("b"));
        assert!(node_of(None, &configured(&["a", "b"])).unwrap_err().contains("--node with one of a, b"));
        assert!(node_of(Some("c"), &configured(&["a", "b"])).unwrap_err().contains("no Asterisk 'c'"));
    }

    #[test]
    fn an_existing_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.jsonl");
        std::fs::write(&path, "old\n").unwrap();
        let refused = create(&path).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.reason.contains("exists already"), "{}", refused.reason);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old\n");
    }
}
