//! The feed as a process of its own (`callcenter feed`), and what `serve` needs to follow it.
//!
//! The feed process holds one socket to each Asterisk, of an application that no dialplan names, and appends the journal:
//! whatever happens to the service, every event stands on the disk. The service reads the journal's files; all else goes
//! over a Unix socket in the journal's folder, one JSON object a line ([`wire`]):
//!
//! | who | what |
//! |---|---|
//! | feed -> service | the journal's new end, how the feed is, which entries stand |
//! | service -> feed | entries to append (what its control socket heard, commands, replies), what may be deleted |
//! | a successor -> feed | "hand over": the feed stops, flushes, frees the journal, says so and ends |
//!
//! A usual restart overlaps: the successor listens under a second application name, holds what it hears, takes the
//! journal over, and appends what that doesn't have yet (`relay`).

mod client;
mod follower;
mod node;
mod relay;
mod server;
#[cfg(test)]
mod tests;
pub mod wire;

use std::path::{Path, PathBuf};

pub use client::{FeedClient, FeedError};
pub use follower::{FollowOptions, FollowStatus, FollowView, FollowedJournal, Watch};
pub use node::{FeedNode, FeedSetup, Over, start};

/// The socket's file name in the journal's folder.
const SOCKET: &str = "feed.sock";

/// Where a node's feed listens.
pub fn socket_path(journal: &Path) -> PathBuf {
    journal.join(SOCKET)
}

/// The feed's application beside the one that channels enter; a successor takes the other one of the two.
pub fn app_beside(app: &str, predecessor: Option<&str>) -> String {
    let first = format!("{app}-feed");
    if predecessor == Some(first.as_str()) { format!("{first}-2") } else { first }
}
