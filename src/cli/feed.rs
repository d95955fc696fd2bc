//! `callcenter feed`: the events' way into the journal as a process of its own.

use actix::System;
use clap::Args;

use super::Exit;
use crate::actors::feed::wire::FeedStatus;
use crate::actors::feed::{FeedClient, FeedError};
use crate::actors::journal::folder;
use crate::app;
use crate::config::Loaded;
use crate::model::NodeId;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Listens to each configured Asterisk and appends what comes to its journal, and does nothing else: so `callcenter \
    serve`, which then follows the journal, can be stopped, upgraded or killed without missing an event. Start it \
    before `serve`, with the same configuration and as the same user.\n\nAnother `callcenter feed`, or SIGHUP, takes \
    over without a gap: it listens beside the one that runs, which then ends. SIGTERM stops it: what comes until \
    the next start is a gap.";

/// `callcenter feed`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  callcenter feed\n  callcenter feed --status")]
pub struct FeedArgs {
    /// Says how the feed that runs is, and how far `serve` is behind; exit code 1 when something is wrong.
    #[arg(long)]
    pub status: bool,
}

/// Feeds until told to stop, or says how the one is that runs.
pub(super) fn run(args: &FeedArgs, loaded: &Loaded) -> Exit {
    if args.status {
        return System::new().block_on(status(loaded));
    }
    match app::feed(loaded) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}

async fn status(loaded: &Loaded) -> Exit {
    let config = &loaded.config;
    let mut exit = if config.asterisk.is_empty() { Exit::Failed } else { Exit::Ok };
    for asterisk in &config.asterisk {
        let dir = folder(&config.journal, &config.database, &NodeId::new(asterisk.name.as_str()));
        let asked = async { FeedClient::connect(&dir).await?.status().await };
        let (line, right) = told(&asterisk.name, asked.await);
        println!("{line}");
        if !right {
            exit = Exit::Failed;
        }
    }
    exit
}

/// A line for people, and whether all is well.
fn told(name: &str, status: Result<FeedStatus, FeedError>) -> (String, bool) {
    let status = match status {
        Ok(status) => status,
        Err(error) => return (format!("{name}: {error}"), false),
    };
    let FeedStatus { pid, version, app, connected, last_error, frames, waiting_bytes, journal, follower, .. } = status;
    let state = match (connected, last_error) {
        (true, _) => "connected".to_owned(),
        (false, None) => "connecting".to_owned(),
        (false, Some(error)) => format!("NOT connected: {error}"),
    };
    let behind = match follower {
        Some(follower) => {
            format!("serve (process {}) is {} bytes behind", follower.pid, follower.behind_bytes)
        }
        None => "no serve follows".to_owned(),
    };
    let line = format!(
        "{name}: process {pid} (callcenter {version}), application {app}, {state}; {frames} frames, {waiting_bytes} bytes \
         wait for the journal, which ends at {}; {behind}",
        journal.end
    );
    (line, connected && !journal.full && !journal.failing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::feed::wire::Follower;
    use crate::actors::journal::{JournalStatus, Position};

    fn status(connected: bool) -> FeedStatus {
        let journal = JournalStatus {
            dir: "journal".into(),
            oldest: Position(0),
            end: Position(700),
            bytes: 700,
            segments: 1,
            appended_entries: 2,
            bad_frames: 0,
            refused_entries: 0,
            refused_frames: 0,
            full: false,
            failing: false,
            last_error: None,
            unsynced: false,
            last_sync_ms: None,
        };
        FeedStatus {
            node: "main".into(),
            pid: 7,
            version: "1.2.3".into(),
            app: "cc-feed".into(),
            connected,
            last_error: (!connected).then(|| "refused".into()),
            frames: 5,
            waiting_bytes: 0,
            journal,
            follower: connected.then_some(Follower { pid: 9, committed: Position(600), behind_bytes: 100 }),
        }
    }

    #[test]
    fn the_status_says_who_is_behind_and_what_is_wrong() {
        let (line, right) = told("main", Ok(status(true)));
        assert!(right && line.contains("application cc-feed, connected"), "{line}");
        assert!(line.ends_with("ends at 700; serve (process 9) is 100 bytes behind"), "{line}");
        let (line, right) = told("main", Ok(status(false)));
        assert!(!right && line.contains("NOT connected: refused") && line.ends_with("no serve follows"), "{line}");
        let (line, right) = told("main", Err(FeedError::None));
        assert_eq!((line.as_str(), right), ("main: no feed process runs", false));
    }
}
