//! How everything is, for health and the administrator.

use std::path::Path;
use std::time::{Duration, Instant};

use actix::MessageResponse;
use serde::Serialize;

use super::guard::GuardView;
use crate::actors::alarm::AlarmsView;
use crate::actors::ari_command::CommandView;
use crate::actors::connection::{ConnectionView, State};
use crate::actors::db_writer::WriterView;
use crate::actors::feed::FollowView;
use crate::actors::journal::JournalStatus;
use crate::actors::messages::wall_clock;
use crate::actors::registry::RegistryView;
use crate::db::space;
use crate::model::Timestamp;

/// Whether an actor runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It failed and waits for its restart.
    Restarting,
}

/// One actor as its supervisor keeps it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    name: &'static str,
    node: Option<String>,
    state: PartState,
    since: f64,
    restarts: u64,
    last_failure: Option<(f64, String)>,
    last_start: Instant,
    wait: Duration,
}

/// A part that ran this long without failing begins again with the shortest wait.
const STEADY: Duration = Duration::from_secs(60);

impl Part {
    pub(super) fn new(name: &'static str, node: Option<&str>) -> Self {
        Self {
            name,
            node: node.map(str::to_owned),
            state: PartState::Starting,
            since: wall_clock(),
            restarts: 0,
            last_failure: None,
            last_start: Instant::now(),
            wait: Duration::ZERO,
        }
    }

    pub(super) fn running(&mut self) {
        self.state = PartState::Running;
        self.since = wall_clock();
        self.last_start = Instant::now();
    }

    /// Notes a failure; how long to wait before the next start.
    pub(super) fn fail(&mut self, panicked: bool, min_ms: u64, max_ms: u64) -> Duration {
        let steady = self.last_start.elapsed() >= STEADY;
        let (min, max) = (Duration::from_millis(min_ms), Duration::from_millis(max_ms));
        self.wait = if steady || self.wait.is_zero() { min } else { (self.wait * 2).min(max) };
        self.state = PartState::Restarting;
        self.since = wall_clock();
        self.restarts += 1;
        let what = if panicked { "its logic failed (see the log)" } else { "it ended" };
        self.last_failure = Some((wall_clock(), what.to_owned()));
        self.wait
    }

    pub(super) fn view(&self, mailbox: Option<usize>) -> ActorView {
        let moment = |at: f64| Timestamp::from_secs_f64(at);
        ActorView {
            name: self.name,
            node: self.node.clone(),
            state: self.state,
            since: moment(self.since),
            restarts: self.restarts,
            last_failure: self.last_failure.as_ref().map(|(_, what)| what.clone()),
            last_failure_at: self.last_failure.as_ref().map(|(at, _)| moment(*at)),
            mailbox,
        }
    }
}

/// One actor of the tree.
#[derive(Clone, Debug, Serialize)]
pub struct ActorView {
    /// `connection`, `journal`, `registry`, `ari_command`, `db_writer`, `alarms`.
    pub name: &'static str,
    /// The Asterisk it serves.
    pub node: Option<String>,
    /// Whether it runs.
    pub state: PartState,
    /// Since when.
    pub since: Timestamp,
    /// How often it was started again.
    pub restarts: u64,
    /// What went wrong last.
    pub last_failure: Option<String>,
    /// When.
    pub last_failure_at: Option<Timestamp>,
    /// What waits for it; `None` when it doesn't answer.
    pub mailbox: Option<usize>,
}

/// One Asterisk and the actors that serve it.
#[derive(Clone, Debug, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// The connection; `None` when it doesn't answer, as with the others.
    pub connection: Option<ConnectionView>,
    /// The journal.
    pub journal: Option<JournalStatus>,
    /// Who listens to Asterisk.
    pub feed: FeedView,
    /// The registry.
    pub registry: Option<RegistryView>,
    /// The command actor.
    pub commands: Option<CommandView>,
    /// The guard; `None` where `guard.variable` is empty.
    pub guard: Option<GuardView>,
    #[serde(skip)]
    pub(super) actors: Vec<ActorView>,
}

/// Who listens to Asterisk.
#[derive(Clone, Debug, Serialize)]
pub struct FeedView {
    /// `own`: this service; `process`: a feed process that it follows.
    pub mode: &'static str,
    /// The feed process; `None` where there is none, or its follower doesn't answer.
    #[serde(flatten)]
    pub process: Option<FollowView>,
}

impl FeedView {
    pub(super) fn new(follows: bool, process: Option<FollowView>) -> Self {
        Self { mode: if follows { "process" } else { "own" }, process }
    }

    /// Why what is recorded is not complete, or not told.
    pub(in crate::actors) fn reason(&self) -> Option<String> {
        let feed = self.process.as_ref()?;
        if !feed.connected {
            let why = feed.last_error.as_deref().unwrap_or("being looked for");
            return Some(format!("waits for the feed process ({why}): start `callcenter feed`"));
        }
        let why = feed.feed_error.as_deref().unwrap_or("connecting");
        (!feed.feed_connected).then(|| format!("the feed process is not connected: {why}"))
    }
}

/// The database and its disk.
#[derive(Clone, Debug, Serialize)]
pub struct DatabaseView {
    /// Its file.
    pub path: String,
    /// Bytes of the file.
    pub bytes: Option<u64>,
    /// Bytes of its write-ahead log.
    pub wal_bytes: Option<u64>,
    /// Bytes free on its disk.
    pub free_bytes: Option<u64>,
}

/// `GET /api/v1/system`.
#[derive(Clone, Debug, Serialize, MessageResponse)]
pub struct SystemView {
    /// Version of the program.
    pub version: &'static str,
    /// Since when it runs.
    pub started_at: Timestamp,
    /// Events seen since then.
    pub events: u64,
    /// Calls seen since then.
    pub calls: u64,
    /// Calls that are open now.
    pub open_calls: usize,
    /// The actor tree.
    pub actors: Vec<ActorView>,
    /// By Asterisk.
    pub nodes: Vec<NodeView>,
    /// The writer.
    pub writer: Option<WriterView>,
    /// The database.
    pub database: DatabaseView,
    /// Alarms and the ways by which they are told; none where the actor doesn't answer.
    pub alarms: Option<AlarmsView>,
    /// What somebody should look at, though it works.
    pub warnings: Vec<String>,
}

/// A clock that is off by more than this is told; rows take Asterisk's times all the same.
const CLOCK_LIMIT_MS: i64 = 5_000;

impl SystemView {
    pub(super) fn new(
        started: f64,
        nodes: Vec<NodeView>,
        part: Part,
        writer: Option<WriterView>,
        path: &Path,
        min_free: u64,
    ) -> Self {
        let mut actors = vec![part.view(writer.as_ref().map(|w| w.queue))];
        actors.extend(nodes.iter().flat_map(|n| n.actors.iter().cloned()));
        let space = space::measure(path).ok();
        let mut view = Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: Timestamp::from_secs_f64(started),
            events: nodes.iter().filter_map(|n| n.registry.as_ref()).map(|r| r.events).sum(),
            calls: writer.as_ref().map_or(0, |w| w.calls),
            open_calls: writer.as_ref().map_or(0, |w| w.open_calls),
            actors,
            nodes,
            writer,
            database: DatabaseView {
                path: path.display().to_string(),
                bytes: space.map(|s| s.database_bytes),
                wal_bytes: space.map(|s| s.wal_bytes),
                free_bytes: space.map(|s| s.free_bytes),
            },
            alarms: None,
            warnings: Vec::new(),
        };
        view.warnings = view.look_for_warnings(min_free);
        view
    }

    pub(super) fn add_alarms(&mut self, part: &Part, alarms: Option<AlarmsView>) {
        self.actors.push(part.view(alarms.as_ref().map(|alarms| alarms.channels.iter().map(|c| c.waiting).sum())));
        self.warnings.extend(alarms.iter().flat_map(AlarmsView::warnings));
        self.alarms = alarms;
    }

    fn look_for_warnings(&self, min_free: u64) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(free) = self.database.free_bytes.filter(|free| *free < min_free) {
            warnings.push(format!("only {} MiB are free on the database's disk", free / 1024 / 1024));
        }
        if let Some(failed) = self.writer.as_ref().map(|w| w.fold_panics).filter(|failed| *failed > 0) {
            warnings.push(format!("the records of {failed} calls failed and are plain; please report the log"));
        }
        if let Some(overlaps) = self.writer.as_ref().map(|w| w.overlaps).filter(|n| *n > 0) {
            warnings
                .push(format!("{overlaps} batches overlapped what was committed and were cut; please report the log"));
        }
        for node in &self.nodes {
            let name = &node.name;
            if let Some(held) = node.registry.as_ref().map(|r| r.let_go).filter(|n| *n > 0) {
                warnings.push(format!(
                    "'{name}': for {held} long-lived channels the journal is kept no longer, so a restart marks their calls \
                     incomplete: raise journal.max_bytes, or see whether those channels should be there"
                ));
            }
            let guard = node.guard.as_ref().filter(|guard| !guard.fresh);
            if let (None, Some(reason)) = (node.reason(), guard.and_then(|guard| guard.reason.as_ref())) {
                warnings.push(format!("calls go past the application of '{name}': {reason}"));
            }
            if let Some(transport) = node.commands.as_ref().map(|c| &c.transport).filter(|t| t.is_unwanted()) {
                warnings.push(format!(
                    "'{name}': ari.transport is \"websocket\", but requests go over HTTP: {}",
                    transport.why
                ));
            }
            let offset = node.registry.as_ref().and_then(|r| r.clock_offset_ms).unwrap_or(0);
            if offset.abs() > CLOCK_LIMIT_MS {
                warnings
                    .push(format!("the clock of '{name}' is {} s off this machine's: use NTP on both", offset / 1000));
            }
            if let Some(registry) = node.registry.as_ref().filter(|r| r.call_panics + r.graph_panics > 0) {
                let failed = registry.call_panics + registry.graph_panics;
                warnings.push(format!("the logic of {failed} calls of '{name}' failed; please report the log"));
            }
        }
        warnings
    }

    /// Why the service is not ready; empty when it is.
    pub(super) fn reasons(&self, configured: &[String]) -> Vec<String> {
        let mut reasons = Vec::new();
        match &self.writer {
            None => reasons.push("the database writer doesn't answer".to_owned()),
            Some(writer) => {
                reasons.extend(writer.failing.iter().map(|why| format!("the database takes nothing: {why}")))
            }
        }
        for name in configured {
            match self.nodes.iter().find(|n| n.name == *name) {
                None => reasons.push(format!("Asterisk '{name}': being started")),
                Some(node) => reasons.extend(node.reason()),
            }
        }
        reasons
    }
}

impl NodeView {
    fn reason(&self) -> Option<String> {
        let name = &self.name;
        let Some(connection) = &self.connection else {
            return Some(format!("Asterisk '{name}': the connection actor doesn't answer"));
        };
        if let Some(error) = self.journal.as_ref().and_then(|j| j.last_error.as_ref().filter(|_| j.full || j.failing)) {
            return Some(format!("Asterisk '{name}': the journal takes nothing: {error}"));
        }
        if let Some(error) = self.registry.as_ref().and_then(|r| r.error.as_ref()) {
            return Some(format!("Asterisk '{name}': the journal can't be read: {error}"));
        }
        if self.commands.as_ref().is_some_and(|c| c.failed.contains_key("refused")) {
            return Some(format!(
                "Asterisk '{name}': its ARI user is read-only, so calls that enter the application wait there: set \
                 read_only = no for it in ari.conf"
            ));
        }
        if let Some(reason) = self.feed.reason() {
            return Some(format!("Asterisk '{name}': {reason}"));
        }
        let error = connection.last_error.as_deref().unwrap_or("connecting");
        match connection.state {
            State::Connected if connection.prepared => None,
            State::Connected => Some(format!("Asterisk '{name}': connected, its state is being read")),
            State::Connecting | State::BackingOff => Some(format!("Asterisk '{name}': not connected: {error}")),
            State::Yielded => Some(format!("Asterisk '{name}': another client has taken the application: {error}")),
            State::Stopped => Some(format!("Asterisk '{name}': the connection is stopped")),
        }
    }
}
