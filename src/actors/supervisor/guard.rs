//! The guard: tells the dialplan that the service answers, so that no caller waits for one that hangs or is cut off.
//!
//! Each second, while a call that entered the application would be sent on at once, a global variable in Asterisk is set
//! to Asterisk's own epoch second, which its ping tells: clocks of two machines need not agree, and a write that was held up
//! carries an old second. The dialplan enters the application only while that is fresh (`callcenter asterisk-config`). Both
//! requests go through the command actor, the way that a caller's `continue` goes.

use std::future::Future;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;
use tracing::{info, warn};

use super::Supervisor;
use super::view::{NodeView, PartState};
use crate::actors::ari_command::{AriCommand, Ask};
use crate::actors::connection::State;
use crate::actors::link::Link;
use crate::ari::request::Request;
use crate::config;
use crate::model::NodeId;

/// Between two refreshes.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);
/// How long an actor may take to answer: a caller should not wait longer for one.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// How the guard of one node is.
#[derive(Clone, Debug, Serialize)]
pub struct GuardView {
    /// The variable in Asterisk.
    pub variable: String,
    /// Whether the dialplan leads calls into the application.
    pub fresh: bool,
    /// Refreshes since the start.
    pub refreshes: u64,
    /// Times that it was not refreshed, since a call that entered would have waited.
    pub withheld: u64,
    /// Times that Asterisk did not take it.
    pub failures: u64,
    /// Why it was not refreshed the last time.
    pub reason: Option<String>,
}

/// What one turn came to.
enum Turn {
    Refreshed,
    /// A call that entered would wait; why.
    Withheld(String),
    /// Asterisk did not take it; why.
    Failed(String),
}

/// The guard of one node.
pub(super) struct Guard {
    view: GuardView,
    max_age: Duration,
    refreshed: Option<Instant>,
    /// A turn is under way: the next one waits for its end.
    under_way: bool,
    /// The journal's end at the last turn: by now it must have been read.
    end: Option<u64>,
}

impl Guard {
    fn new(guard: &config::Guard) -> Self {
        let view = GuardView {
            variable: guard.variable.clone(),
            fresh: false,
            refreshes: 0,
            withheld: 0,
            failures: 0,
            reason: None,
        };
        let max_age = Duration::from_secs(guard.max_age_s);
        Self { view, max_age, refreshed: None, under_way: false, end: None }
    }

    pub(super) fn view(&self) -> GuardView {
        let fresh = self.refreshed.is_some_and(|at| at.elapsed() <= self.max_age);
        GuardView { fresh, ..self.view.clone() }
    }

    /// Takes what a turn that began at `began` came to; a change is told in the log.
    fn took(&mut self, node: &NodeId, began: Instant, turn: Turn) {
        self.under_way = false;
        let was_told = self.view.reason.is_some();
        let reason = match turn {
            Turn::Refreshed => {
                self.view.refreshes += 1;
                self.refreshed = Some(began);
                if was_told || self.view.refreshes == 1 {
                    info!(%node, variable = self.view.variable, "calls may enter the application");
                }
                self.view.reason = None;
                return;
            }
            Turn::Withheld(reason) => {
                self.view.withheld += 1;
                reason
            }
            Turn::Failed(reason) => {
                self.view.failures += 1;
                reason
            }
        };
        if !was_told && self.refreshed.is_some() {
            warn!(%node, variable = self.view.variable, "not refreshed, so calls go past the application: {reason}");
        }
        self.view.reason = Some(reason);
    }
}

impl Supervisor {
    /// One turn of every node whose last one is over.
    pub(super) fn refresh_guards(&mut self, ctx: &mut Context<Self>) {
        if self.stopping || self.setup.config.guard.variable.is_empty() {
            return;
        }
        for unit in self.nodes.values() {
            let node = unit.node.clone();
            let guard = self.guards.entry(node.clone()).or_insert_with(|| Guard::new(&self.setup.config.guard));
            if std::mem::replace(&mut guard.under_way, true) {
                continue;
            }
            let began = Instant::now();
            let turn = turn(unit.look(ANSWER_LIMIT), unit.handles().commands, guard.view.variable.clone(), guard.end);
            ctx.spawn(turn.into_actor(self).map(move |(end, turn), supervisor, _| {
                if let Some(guard) = supervisor.guards.get_mut(&node) {
                    guard.end = end;
                    guard.took(&node, began, turn);
                }
            }));
        }
    }
}

/// Looks, and refreshes if that is right; gives the journal's end for the next turn too.
async fn turn(
    look: impl Future<Output = NodeView>,
    commands: Link<AriCommand>,
    variable: String,
    end: Option<u64>,
) -> (Option<u64>, Turn) {
    let view = look.await;
    let next = view.journal.as_ref().map(|journal| journal.end.offset());
    if let Some(reason) = would_wait(&view, end) {
        return (next, Turn::Withheld(reason));
    }
    (next, refresh(&commands, variable).await.map_or_else(Turn::Failed, |()| Turn::Refreshed))
}

/// Why a call that entered the application now would wait there; `end` is where the journal ended a turn ago.
fn would_wait(view: &NodeView, end: Option<u64>) -> Option<String> {
    if let Some(actor) = view.actors.iter().find(|a| a.state != PartState::Running || a.mailbox.is_none()) {
        return Some(format!("the actor '{}' does not answer", actor.name));
    }
    let (Some(connection), Some(journal), Some(registry)) = (&view.connection, &view.journal, &view.registry) else {
        return Some("an actor does not answer".to_owned());
    };
    if connection.state != State::Connected || !connection.prepared {
        return Some("the service is not connected".to_owned());
    }
    if journal.full || journal.failing {
        return Some("the journal takes nothing".to_owned());
    }
    if registry.error.is_some() {
        return Some("the journal can't be read".to_owned());
    }
    match end {
        None => Some("the service has just been started".to_owned()),
        Some(end) if registry.position < end => Some("what was heard a second ago is not worked out yet".to_owned()),
        Some(_) => None,
    }
}

/// Sets the variable to Asterisk's present second.
async fn refresh(commands: &Link<AriCommand>, name: String) -> Result<(), String> {
    let ask = async |request| {
        let asked = commands.get().send(Ask { request, who: "guard".into() }).await;
        asked.map_err(|error| format!("the command actor is away: {error}"))
    };
    let pong = ask(Request::Ping).await?;
    let Some(at) = pong.epoch_second() else {
        return Err(format!("Asterisk's ping does not tell its time: {}", pong.outcome));
    };
    let answer = ask(Request::Heartbeat { name, at }).await?;
    if answer.outcome.is_done() { Ok(()) } else { Err(answer.outcome.to_string()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::db_writer::{DbWriter, Lines};
    use crate::actors::fake_ari::{FakeAri, quick};
    use crate::actors::supervisor::{SupervisorSetup, SystemStatus};
    use crate::config::Config;

    /// By the clock of `FakeAri`, whatever ours says.
    const HEARTBEAT: &str = "POST /ari/asterisk/variable?variable=CALLCENTER_ALIVE&value=1795361638";

    async fn until(supervisor: &Addr<Supervisor>, what: &str, right: impl Fn(&GuardView) -> bool) -> GuardView {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut look = tokio::time::interval(Duration::from_millis(20));
        loop {
            look.tick().await;
            let view = supervisor.send(SystemStatus).await.unwrap();
            let guard = view.nodes.first().and_then(|node| node.guard.clone());
            match guard {
                Some(guard) if right(&guard) => return guard,
                other => assert!(Instant::now() < deadline, "waited in vain until {what}: {other:?}"),
            }
        }
    }

    #[actix::test]
    async fn a_registry_that_is_stuck_lets_it_go_stale_and_nothing_of_it_is_on_record() {
        let fake = FakeAri::start(vec![]).await;
        let folder = tempfile::tempdir().unwrap();
        let (ari, password) = quick();
        let mut config = Config { ari, asterisk: vec![fake.asterisk(password)], ..Config::default() };
        config.database.path = folder.path().join("calls.db");
        let writer = DbWriter::open(&config.database, Lines::new(&config.lines).unwrap()).unwrap();
        let (io, core, database) = (Arbiter::new(), Arbiter::new(), Arbiter::new());
        let (failed, _failures) = tokio::sync::mpsc::unbounded_channel();
        let supervisor = Supervisor::new(SupervisorSetup {
            shown: writer.shown(),
            writer: DbWriter::start_in_arbiter(&database.handle(), move |_| writer),
            config,
            io: io.handle(),
            core: core.handle(),
            alarms: None,
            failed,
            beat: Default::default(),
        })
        .start();
        let first = until(&supervisor, "it is refreshed", |guard| guard.refreshes >= 2 && guard.fresh).await;
        assert_eq!((first.reason, first.failures), (None, 0));
        assert!(fake.seen(HEARTBEAT) >= 2, "{:?}", fake.server.requests.borrow());

        let (release, stuck) = std::sync::mpsc::channel::<()>();
        assert!(core.spawn_fn(move || stuck.recv().unwrap_or_default()));
        let withheld = until(&supervisor, "it is withheld", |guard| guard.withheld > first.withheld).await;
        assert_eq!(withheld.reason.as_deref(), Some("the actor 'registry' does not answer"));
        let sent = fake.seen(HEARTBEAT);
        let stale = until(&supervisor, "it is stale", |guard| !guard.fresh).await;
        assert_eq!((fake.seen(HEARTBEAT), stale.refreshes), (sent, withheld.refreshes), "refreshed though it is stuck");

        drop(release);
        until(&supervisor, "it is refreshed again", |guard| guard.fresh && guard.refreshes > stale.refreshes).await;
        let view = supervisor.send(SystemStatus).await.unwrap();
        let commands = view.nodes[0].commands.clone().unwrap();
        assert_eq!((commands.done, commands.failed.len(), commands.unrecorded), (0, 0, 0), "none is about a call");
        let journals = walk(&folder.path().join("journal"));
        assert!(journals.contains("snapshot") && !journals.contains("CALLCENTER_ALIVE"), "{journals}");
    }

    /// All that the journal holds.
    fn walk(folder: &std::path::Path) -> String {
        let nodes = std::fs::read_dir(folder).unwrap().map(|node| node.unwrap().path());
        let files = nodes.flat_map(|node| std::fs::read_dir(node).unwrap().map(|file| file.unwrap().path()));
        files
            .filter(|file| file.extension().is_some_and(|extension| extension == "jsonl"))
            .map(|file| std::fs::read_to_string(file).unwrap())
            .collect()
    }
}
