//! One look at the service: its own view, the disks, gaps that are new in the database.

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
    /// Where `last_gap` begins in a database without a state.
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
        match self.last_gap {
            Some(last) => looked.gaps = pool.read(|conn| gaps::after(conn, last, MAX_GAPS))?,
            None => looked.newest_gap = Some(pool.read(gaps::newest)?.unwrap_or(0)),
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
        let mut disks: Vec<Disk> = disks.into_iter().filter_map(|(holds, path)| disk(holds, path)).collect();
        // One disk is one alarm.
        disks.dedup_by(|b, a| a.total == b.total && a.free.abs_diff(b.free) < SAME_BYTES);
        Seen {
            nodes: self.config.asterisk.iter().map(|asterisk| node(&asterisk.name)).collect(),
            disks,
            failing: view.writer.as_ref().and_then(|writer| writer.failing.clone()),
            last_inbound: None,
            trunks: trunks.collect(),
        }
    }
}

/// Two disks of one size with so nearly the same room are one disk.
const SAME_BYTES: u64 = 64 * 1024 * 1024;

fn disk(holds: &'static str, path: &Path) -> Option<Disk> {
    let space = space::measure(path).ok()?;
    let folder = space::folder_of(path).display().to_string();
    Some(Disk { holds, folder, free: space.free_bytes, total: space.total_bytes })
}

fn starting(name: &str) -> NodeSeen {
    NodeSeen { name: name.to_owned(), error: "its actors are being started".into(), ..NodeSeen::default() }
}

fn node_seen(node: &NodeView) -> NodeSeen {
    let connection = node.connection.as_ref();
    let error = match connection {
        None => "the connection actor doesn't answer".to_owned(),
        Some(view) => view.last_error.clone().unwrap_or_else(|| "it is being connected".to_owned()),
    };
    NodeSeen {
        name: node.name.clone(),
        connected: connection.is_some_and(|view| view.state == State::Connected && view.prepared),
        since: connection.map(|view| view.since.secs_f64()),
        error,
        end: node.journal.as_ref().map(|journal| journal.end.offset()),
        committed: node.registry.as_ref().map(|registry| registry.committed),
    }
}
