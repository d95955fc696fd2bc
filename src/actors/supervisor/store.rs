//! Whose journal a node's is: written by this process, or by a feed process that it follows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::node::{Places, on};
use crate::actors::connection::FeedGate;
use crate::actors::feed::{FeedClient, FeedError, FollowOptions, FollowedJournal, socket_path};
use crate::actors::journal::{self, Journal, JournalHandle, Options, Position};
use crate::ari::entry::Gap;
use crate::config::{Config, FeedMode};
use crate::model::NodeId;

/// A feed that was there a moment ago (its socket's file is left) is waited for so long: it may be starting again.
const BACK_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks whether it is.
const LOOK: Duration = Duration::from_millis(50);

/// A node's journal as the other actors need it.
pub(super) struct Store {
    pub(super) journal: JournalHandle,
    /// Where it begins and ends now.
    pub(super) oldest: Position,
    pub(super) end: Position,
    /// Since when nothing was heard.
    pub(super) heard: Option<Gap>,
    /// The feed that is followed, if one is.
    pub(super) followed: Option<Addr<FollowedJournal>>,
    pub(super) gate: FeedGate,
}

/// The folder of a node's journal.
pub(super) fn dir(node: &NodeId, config: &Config) -> PathBuf {
    config.journal_dir().join(node.as_str())
}

/// Opens the journal, or follows it, as `feed.mode` says.
///
/// # Errors
/// Why it can't be, and what to do.
pub(super) async fn open(node: &NodeId, places: &Places, committed: u64) -> Result<Store, String> {
    let dir = dir(node, &places.config);
    // Where Asterisk connects to the feed nothing else may listen: it would keep events for a feed that never comes.
    let accepts = places.config.asterisk.iter().any(|asterisk| asterisk.name == node.as_str() && asterisk.accepts());
    let follows = match places.config.feed.mode {
        FeedMode::Auto if accepts => true,
        FeedMode::Own => false,
        FeedMode::Process => true,
        FeedMode::Auto => feed_runs(&dir).await?,
    };
    if follows { follow(node, places, dir, committed).await } else { own(node, places, dir, committed) }
}

async fn feed_runs(dir: &Path) -> Result<bool, String> {
    let until = Instant::now() + BACK_LIMIT;
    loop {
        match FeedClient::connect(dir).await {
            Ok(_) => return Ok(true),
            Err(FeedError::None) if socket_path(dir).exists() && Instant::now() < until => sleep(LOOK).await,
            Err(FeedError::None) => return Ok(false),
            Err(error) => return Err(error.to_string()),
        }
    }
}

async fn follow(node: &NodeId, places: &Places, dir: PathBuf, committed: u64) -> Result<Store, String> {
    std::fs::create_dir_all(&dir).map_err(|e| format!("can't make {}: {e}", dir.display()))?;
    let (oldest, end) = journal::extent(&dir).map_err(|e| e.to_string())?;
    info!(%node, %oldest, %end, "the journal is a feed process's");
    let (open, feed) = watch::channel(false);
    let options = FollowOptions {
        node: node.clone(),
        dir,
        max_frame_bytes: places.config.ari.max_frame_bytes,
        committed: Position(committed),
        open,
        parent: places.exited.clone(),
    };
    let followed = on(&places.io, move || FollowedJournal::start_with(options, (oldest, end))).await?;
    let journal = JournalHandle::new(&followed);
    Ok(Store { journal, oldest, end, heard: None, followed: Some(followed), gate: FeedGate::control(feed) })
}

fn own(node: &NodeId, places: &Places, dir: PathBuf, committed: u64) -> Result<Store, String> {
    let (journal, found) = Journal::open(Options {
        node: node.clone(),
        dir: dir.clone(),
        config: places.config.journal.clone(),
        max_frame_bytes: places.config.ari.max_frame_bytes,
        start_at: Position(committed),
        parent: Some(places.exited.clone()),
    })
    .map_err(|e| e.to_string())?;
    // What a feed left that was killed: nobody listens there, as the journal's lock was free.
    let _ = std::fs::remove_file(socket_path(&dir));
    if found.torn_bytes > 0 {
        warn!(%node, bytes = found.torn_bytes, "the journal's last entry was torn by a crash and is cut off");
    }
    info!(%node, oldest = %found.oldest, end = %found.end, "journal opened");
    let journal = Journal::start_in_arbiter(&places.io, move |_| journal);
    let heard = found.last_at.map(|since| Gap { since, reason: "the service was not running".into() });
    let journal = JournalHandle::from(&journal);
    Ok(Store { journal, oldest: found.oldest, end: found.end, heard, followed: None, gate: FeedGate::default() })
}
