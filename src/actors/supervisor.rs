//! The supervisor: starts the tree, starts again what fails, and knows how everything is.
//!
//! | who fails | what happens |
//! |---|---|
//! | a call actor | its registry closes and marks the call; nobody else notices |
//! | the connection, the command actor, the alarms | a fresh one takes its place after a wait that doubles (`ari.backoff_*`) |
//! | the journal, the registry, the writer | the whole tree is started again: what is open is rebuilt from the journal |
//!
//! A tree that fails again and again ends the process (`app`), for the system's own supervisor to start it.

mod guard;
#[cfg(test)]
mod late_tests;
mod node;
mod pulse;
mod store;
mod view;
mod watch;

use std::collections::BTreeMap;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::alarm::{self, AlarmSetup, AlarmStatus, Alarms, NewAlarms, Sources};
use super::connection::TakeBack;
use super::db_writer::{DbWriter, Reconfigure, Shown, Watch, WriterStatus};
use super::messages::{Exited, Stop, wall_clock};
use crate::config::Config;
use crate::model::NodeId;
use guard::Guard;
pub use guard::GuardView;
use node::{NodeUnit, Places};
pub use pulse::Pulse;
use view::Part;
pub use view::PartState;
pub use view::{ActorView, FeedView, NodeView, SystemView};
use watch::Silence;
pub use watch::{Beat, end};

/// What a supervisor is started with.
pub struct SupervisorSetup {
    /// The configuration.
    pub config: Config,
    /// The writer, on its own arbiter.
    pub writer: Addr<DbWriter>,
    /// How it is while it waits for the database.
    pub shown: Shown,
    /// The arbiter of connections, journals and commands.
    pub io: ArbiterHandle,
    /// The arbiter of registries and calls.
    pub core: ArbiterHandle,
    /// What alarms are worked out from; none: there are no alarms.
    pub alarms: Option<Sources>,
    /// Told when the tree can't go on.
    pub failed: mpsc::UnboundedSender<String>,
    /// Counts the supervisor's own looks at its actors.
    pub beat: Beat,
}

/// How is everything?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "SystemView")]
pub struct SystemStatus;

/// Is it ready? The reasons why not; none when it is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "Vec<String>")]
pub struct Readiness;

/// Stop everything in order but the writer, which others read beside. The answer comes when all is written, or the limit is reached: whether all is.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "bool")]
pub struct Shutdown;

/// Connect now whatever waits to be: take the application back, or don't wait for the next try.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct ConnectNow;

/// A configuration that was read again; only what may change while running is taken from it.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct NewConfig(pub Box<Config>);

/// How long a status may take; an actor that doesn't answer is shown as such.
const STATUS_LIMIT: Duration = Duration::from_secs(1);
/// How long the shutdown waits for what is on its way to the database.
const DRAIN_LIMIT: Duration = Duration::from_millis(3_500);

/// The supervisor.
pub struct Supervisor {
    setup: SupervisorSetup,
    nodes: BTreeMap<NodeId, NodeUnit>,
    guards: BTreeMap<NodeId, Guard>,
    writer: Part,
    alarms: Option<Addr<Alarms>>,
    alarms_part: Part,
    started: f64,
    stopping: bool,
    silence: Silence,
}

impl Supervisor {
    /// A supervisor that starts its tree as soon as it runs.
    pub fn new(setup: SupervisorSetup) -> Self {
        Self {
            setup,
            nodes: BTreeMap::new(),
            guards: BTreeMap::new(),
            writer: Part::new("db_writer", None),
            alarms: None,
            alarms_part: Part::new(alarm::NAME, None),
            started: wall_clock(),
            stopping: false,
            silence: Silence::default(),
        }
    }

    fn start_node(&mut self, index: usize, ctx: &mut Context<Self>) {
        let Some(asterisk) = self.setup.config.asterisk.get(index).cloned() else { return };
        let places = Places {
            config: self.setup.config.clone(),
            writer: self.setup.writer.clone(),
            io: self.setup.io.clone(),
            core: self.setup.core.clone(),
            exited: ctx.address().recipient(),
        };
        let name = asterisk.name.clone();
        let start = async move { node::start(asterisk, places).await };
        ctx.spawn(start.into_actor(self).map(move |unit, supervisor, _| match unit {
            Ok(unit) => {
                info!(node = %unit.node, "started: journal, registry, commands, connection");
                if supervisor.stopping {
                    // The shutdown began without it.
                    unit.handles().stop();
                }
                supervisor.nodes.insert(unit.node.clone(), unit);
            }
            Err(reason) => supervisor.give_up(&format!("node '{name}' can't be started: {reason}")),
        }));
    }

    /// On this thread: it only waits, for others and for the network.
    fn start_alarms(&mut self, ctx: &mut Context<Self>) {
        let Some(sources) = self.setup.alarms.clone().filter(|_| !self.stopping) else { return };
        let (system, exited) = (ctx.address().recipient(), ctx.address().recipient());
        let setup = AlarmSetup { config: self.setup.config.clone(), sources, system, exited };
        self.alarms = Some(Alarms::new(setup).start());
        self.alarms_part.running();
    }

    /// The same as for others, but it serves no node.
    fn replace_alarms(&mut self, exited: &Exited, ctx: &mut Context<Self>) {
        let ari = &self.setup.config.ari;
        let wait = self.alarms_part.fail(exited.panicked, ari.backoff_min_ms, ari.backoff_max_ms);
        warn!(actor = exited.who, "restarts in {} ms", wait.as_millis());
        ctx.run_later(wait, Self::start_alarms);
    }

    fn give_up(&mut self, reason: &str) {
        if !self.stopping {
            error!("{reason}");
            // Nobody listens only when the process ends already.
            let _ = self.setup.failed.send(reason.to_owned());
        }
    }

    /// Puts a fresh actor in the place of one that failed, after a wait that doubles while it keeps failing.
    fn replace(&mut self, exited: &Exited, ctx: &mut Context<Self>) {
        let ari = self.setup.config.ari.clone();
        let Some(unit) = self.nodes.get_mut(&exited.node) else { return };
        let part = unit.part(exited.who);
        let wait = part.fail(exited.panicked, ari.backoff_min_ms, ari.backoff_max_ms);
        warn!(node = %exited.node, actor = exited.who, "restarts in {} ms", wait.as_millis());
        let (node, who) = (exited.node.clone(), exited.who);
        // Nothing is heard from here on, the wait included.
        let since = wall_clock();
        ctx.run_later(wait, move |supervisor, ctx| supervisor.put(node, who, since, ctx));
    }

    fn put(&mut self, node: NodeId, who: &'static str, since: f64, ctx: &mut Context<Self>) {
        let Some(unit) = self.nodes.get(&node).filter(|_| !self.stopping) else { return };
        let fresh = unit.fresh(who, since, ctx.address().recipient());
        ctx.spawn(fresh.into_actor(self).map(move |fresh, supervisor, _| {
            if let Some(unit) = supervisor.nodes.get_mut(&node) {
                if supervisor.stopping {
                    // The shutdown stopped the one before.
                    fresh.stop();
                }
                unit.put(fresh);
                unit.part(who).running();
                info!(%node, actor = who, "restarted");
            }
        }));
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.writer.running();
        self.setup.writer.do_send(Watch(ctx.address().recipient()));
        for index in 0..self.setup.config.asterisk.len() {
            self.start_node(index, ctx);
        }
        self.watch(ctx);
        self.start_alarms(ctx);
        ctx.run_interval(guard::INTERVAL, Self::refresh_guards);
    }
}

impl Handler<Exited> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: Exited, ctx: &mut Self::Context) {
        if self.stopping {
            return;
        }
        error!(node = %exited.node, actor = exited.who, panicked = exited.panicked, "an actor failed");
        match exited.who {
            "connection" | "ari_command" => self.replace(&exited, ctx),
            alarm::NAME => self.replace_alarms(&exited, ctx),
            who => self.give_up(&format!("the {who} of node '{}' failed; everything is started again", exited.node)),
        }
    }
}

impl Handler<SystemStatus> for Supervisor {
    type Result = ResponseFuture<SystemView>;

    fn handle(&mut self, _: SystemStatus, _: &mut Self::Context) -> Self::Result {
        let nodes: Vec<_> = self
            .nodes
            .values()
            .map(|unit| (unit.look(STATUS_LIMIT), self.guards.get(&unit.node).map(Guard::view)))
            .collect();
        let (writer, shown) = (self.setup.writer.clone(), self.setup.shown.clone());
        let part = self.writer.clone();
        let alarms = self.alarms.as_ref().map(|alarms| alarms.send(AlarmStatus).timeout(STATUS_LIMIT));
        let alarms_part = self.alarms_part.clone();
        let (path, started) = (self.setup.config.database.path.clone(), self.started);
        let min_free = self.setup.config.database.min_free_bytes;
        Box::pin(async move {
            let writer = writer.send(WriterStatus).timeout(STATUS_LIMIT).await.ok().or_else(|| shown.waiting());
            let mut views = Vec::new();
            for (look, guard) in nodes {
                views.push(NodeView { guard, ..look.await });
            }
            let mut view = SystemView::new(started, views, part, writer, &path, min_free);
            if let Some(alarms) = alarms {
                view.add_alarms(&alarms_part, alarms.await.ok());
            }
            view
        })
    }
}

impl Handler<Readiness> for Supervisor {
    type Result = ResponseFuture<Vec<String>>;

    fn handle(&mut self, _: Readiness, ctx: &mut Self::Context) -> Self::Result {
        let configured: Vec<String> = self.setup.config.asterisk.iter().map(|a| a.name.clone()).collect();
        let (stopping, silent) = (self.stopping, self.silence.reasons(std::time::Instant::now()));
        let look = ctx.address().send(SystemStatus);
        Box::pin(async move {
            if stopping {
                return vec!["the service is stopping".to_owned()];
            }
            if !silent.is_empty() {
                return silent;
            }
            match look.await {
                Ok(view) => view.reasons(&configured),
                Err(error) => vec![format!("the supervisor doesn't answer: {error}")],
            }
        })
    }
}

impl Handler<ConnectNow> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: ConnectNow, _: &mut Self::Context) {
        self.nodes.values().for_each(|unit| unit.connection.do_send(TakeBack));
    }
}

impl Handler<NewConfig> for Supervisor {
    type Result = ();

    fn handle(&mut self, NewConfig(config): NewConfig, _: &mut Self::Context) {
        match super::db_writer::Lines::new(&config.lines) {
            Ok(lines) => self.setup.writer.do_send(Reconfigure { lines, database: config.database.clone() }),
            Err(error) => warn!(%error, "lines.trunks can't be used; what was in force stays"),
        }
        if let Some(alarms) = &self.alarms {
            alarms.do_send(NewAlarms(config.clone()));
        }
        self.setup.config = *config;
    }
}

impl Handler<Shutdown> for Supervisor {
    type Result = ResponseFuture<bool>;

    fn handle(&mut self, _: Shutdown, _: &mut Self::Context) -> Self::Result {
        self.stopping = true;
        let nodes: Vec<_> = self.nodes.values().map(NodeUnit::handles).collect();
        let writer = self.setup.writer.clone();
        // With the connections that alarms read with.
        self.setup.alarms = None;
        if let Some(alarms) = self.alarms.take() {
            alarms.do_send(Stop);
        }
        Box::pin(async move {
            let begun = std::time::Instant::now();
            let mut written = true;
            for unit in &nodes {
                // Closes the socket: nothing new comes.
                unit.connection.do_send(Stop);
            }
            for unit in &nodes {
                // It lets callers go at its end, and what it says of that is written.
                while unit.connection.connected() && begun.elapsed() < DRAIN_LIMIT {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                let rest = DRAIN_LIMIT.saturating_sub(begun.elapsed());
                if tokio::time::timeout(rest, unit.drained()).await.is_err() {
                    warn!(node = %unit.node, "not everything was written; the journal keeps it for the next start");
                    written = false;
                }
                unit.stop();
            }
            // Whoever started the writer ends it: behind all that read from the database.
            let _ = writer.send(WriterStatus).timeout(STATUS_LIMIT).await;
            written
        })
    }
}
