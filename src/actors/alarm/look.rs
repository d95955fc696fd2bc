//! One look at the service: its own view, the disks, gaps that are new in the database.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use actix::Recipient;
use tracing::debug;

use super::Sources;
use super::judge::{Disk, NodeSeen, Seen};
use crate::actors::connection::State;
use crate::actors::messages::wall_clock;
use crate::actors::supervisor::{NodeView, SystemStatus, SystemView};
use crate::actors::tally::Tally;
use crate::config::Config;
use crate::db::gaps::{self, StoredGap};
use crate::db::{calls, space};
use crate::model::Timestamp;

/// What one look is made with.
pub(super) struct Look {
    pub(super) config: Config,
    pub(super) sources: Sources,
    pub(super) last_gap: Option<i64>,
    pub(super) inbound_before: Option<f64>,
}

/// What came out.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) seen: Seen,
    /// Gaps after `last_gap`, in order.
    pub(super) gaps: Vec<StoredGap>,
    /// Where `last_gap` begins in a database without a state, or in place of another one.
    pub(super) newest_gap: Option<i64>,
    pub(super) inbound_before: Option<f64>,
}

/// Gaps that one look takes; the next one takes the next.
const MAX_GAPS: i64 = 1_000;
/// How far back the last inbound call is looked for at the start: further than any limit of `alarms.no_inbound_min`.
const INBOUND_MS: i64 = 2 * 86_400_000;

impl Look {
    /// Looks. None when the supervisor doesn't answer: then nothing is known.
    pub(super) async fn now(self, system: Recipient<SystemStatus>) -> Option<Looked> {
        let view = system.send(SystemStatus).await.ok()?;
        // Files and queries may take their time.
        tokio::task::spawn_blocking(move || self.with(&view)).await.ok()
    }

    fn with(self, view: &SystemView) -> Looked {
        let tally = self.sources.tally.now();
        let mut looked = Looked { seen: self.seen(view, &tally), ..Looked::default() };
        if let Err(error) = self.ask_database(&mut looked) {
            debug!("alarms can't read the database: {error}");
        }
        let begun = looked.inbound_before.or(self.inbound_before);
        let counted = tally.nodes.values().filter_map(|node| node.last_inbound).max().map(Timestamp::secs_f64);
        looked.seen.last_inbound = begun.into_iter().chain(counted).max_by(f64::total_cmp);
        looked
    }

    fn ask_database(&self, looked: &mut Looked) -> Result<(), crate::db::pool::ReadError> {
        let pool = &self.sources.pool;
        let newest = pool.read(gaps::newest)?.unwrap_or(0);
        match self.last_gap {
            Some(last) if last <= newest => looked.gaps = pool.read(|conn| gaps::after(conn, last, MAX_GAPS))?,
            // Numbers don't fall: it is another database.
            Some(_) | None => looked.newest_gap = Some(newest),
        }
        if self.config.alarms.no_inbound_min > 0 && self.inbound_before.is_none() {
            let since = Timestamp::from_secs_f64(wall_clock()).plus_millis(-INBOUND_MS);
            let last = pool.read(|conn| calls::last_inbound(conn, since))?;
            looked.inbound_before = Some(last.map_or(0.0, Timestamp::secs_f64));
        }
        Ok(())
    }

    fn seen(&self, view: &SystemView, tally: &Tally) -> Seen {
        let node = |name: &String| {
            let found = view.nodes.iter().find(|node| node.name == *name);
            found.map_or_else(|| starting(name), node_seen)
        };
        let trunks = tally.nodes.iter().flat_map(|(node, tally)| {
            let counts = tally.trunks.iter();
            counts.map(|(trunk, count)| (node.to_string(), trunk.clone(), count.ended, count.failed))
        });
        let journal = self.config.journal_dir().join("file");
        let disks = [("database", self.config.database.path.as_path()), ("journal", journal.as_path())];
        let mut disks: Vec<(u64, Disk)> = disks.into_iter().filter_map(|(holds, path)| disk(holds, path)).collect();
        // One disk is one alarm. Which are one must not depend on their room: an alarm would be lost with its disk.
        disks.dedup_by_key(|(device, _)| *device);
        Seen {
            nodes: self.config.asterisk.iter().map(|asterisk| node(&asterisk.name)).collect(),
            disks: disks.into_iter().map(|(_, disk)| disk).collect(),
            failing: view.writer.as_ref().and_then(|writer| writer.failing.clone()),
            last_inbound: None,
            trunks: trunks.collect(),
        }
    }
}

/// The disk below a file, and the kernel's number for it.
fn disk(holds: &'static str, path: &Path) -> Option<(u64, Disk)> {
    let space = space::measure(path).ok()?;
    let folder = space::folder_of(path);
    let device = std::fs::metadata(folder).ok()?.dev();
    Some((
        device,
        Disk { holds, folder: folder.display().to_string(), free: space.free_bytes, total: space.total_bytes },
    ))
}

fn starting(name: &str) -> NodeSeen {
    NodeSeen { name: name.to_owned(), error: "its actors are being started".into(), ..NodeSeen::default() }
}

fn node_seen(node: &NodeView) -> NodeSeen {
    let connection = node.connection.as_ref();
    let open = connection.map(|view| (view.state == State::Connected && view.prepared, view.last_error.as_deref()));
    let (connected, error) = hears(open, node.feed.reason());
    NodeSeen {
        name: node.name.clone(),
        connected,
        since: connection.map(|view| view.since.secs_f64()),
        error,
        end: node.journal.as_ref().map(|journal| journal.end.offset()),
        committed: node.registry.as_ref().map(|registry| registry.committed),
    }
}

/// Whether Asterisk is heard, or why not: our own socket must be open, and where a feed process listens, that must hear
/// it, too.
fn hears(connection: Option<(bool, Option<&str>)>, deaf: Option<String>) -> (bool, String) {
    let Some((open, error)) = connection else {
        return (false, "the connection actor doesn't answer".to_owned());
    };
    let why = error.unwrap_or("it is being connected").to_owned();
    (open && deaf.is_none(), deaf.filter(|_| open).unwrap_or(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_does_not_hear_asterisk_is_no_connection() {
        let deaf = || Some("the feed process is not connected".to_owned());
        let open = Some((true, None));
        assert!(hears(open, None).0);
        assert_eq!(hears(open, deaf()), (false, "the feed process is not connected".to_owned()));
        assert_eq!(hears(Some((false, Some("refused"))), deaf()), (false, "refused".to_owned()));
        assert!(!hears(None, None).0);
    }

    #[test]
    fn what_lies_on_one_disk_has_one_number() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a"), folder.path().join("b"));
        let number = |path: &Path| disk("database", path).unwrap().0;
        assert_eq!(number(&one), number(&other));
        assert_ne!(number(&one), number(Path::new("/proc/self/status")));
    }
}
