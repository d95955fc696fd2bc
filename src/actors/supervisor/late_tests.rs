//! What is started while everything stops.

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use super::*;
use crate::actors::connection::AriConnection;
use crate::actors::db_writer::Lines;
use crate::actors::fake_ari::{FakeAri, quick};

/// The connections that it knows.
#[derive(Message)]
#[rtype(result = "Vec<Addr<AriConnection>>")]
struct Connections;

impl Handler<Connections> for Supervisor {
    type Result = Vec<Addr<AriConnection>>;

    fn handle(&mut self, _: Connections, _: &mut Self::Context) -> Self::Result {
        self.nodes.values().map(|unit| unit.connection.clone()).collect()
    }
}

/// The wait before a fresh connection is over.
#[derive(Message)]
#[rtype(result = "()")]
struct Replace;

impl Handler<Replace> for Supervisor {
    type Result = ();

    fn handle(&mut self, _: Replace, ctx: &mut Self::Context) {
        let node = self.nodes.keys().next().unwrap().clone();
        self.put(node, "connection", wall_clock(), ctx);
    }
}

struct Bench {
    supervisor: Addr<Supervisor>,
    io: Arbiter,
    _others: (Arbiter, Arbiter, FakeAri, tempfile::TempDir),
}

impl Bench {
    /// `stuck`: the thread on which actors are started does nothing until what it gives is dropped.
    async fn start(stuck: bool) -> (Self, Option<Sender<()>>) {
        let (fake, folder) = (FakeAri::start(vec![]).await, tempfile::tempdir().unwrap());
        let (ari, password) = quick();
        let mut config = Config { ari, asterisk: vec![fake.asterisk(password)], ..Config::default() };
        config.database.path = folder.path().join("calls.db");
        let writer = DbWriter::open(&config.database, Lines::new(&config.lines).unwrap()).unwrap();
        let (io, core, database) = (Arbiter::new(), Arbiter::new(), Arbiter::new());
        let held = stuck.then(|| hold(&io));
        let supervisor = Supervisor::new(SupervisorSetup {
            shown: writer.shown(),
            writer: DbWriter::start_in_arbiter(&database.handle(), move |_| writer),
            config,
            io: io.handle(),
            core: core.handle(),
            alarms: None,
            failed: mpsc::unbounded_channel().0,
            beat: Default::default(),
        })
        .start();
        (Self { supervisor, io, _others: (core, database, fake, folder) }, held)
    }

    /// Waits until its connections are so.
    async fn until(&self, what: &str, right: impl Fn(&[Addr<AriConnection>]) -> bool) -> Vec<Addr<AriConnection>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut look = tokio::time::interval(Duration::from_millis(10));
        loop {
            look.tick().await;
            let connections = self.supervisor.send(Connections).await.unwrap();
            if right(&connections) {
                return connections;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}");
        }
    }
}

/// Keeps a thread busy until what it gives is dropped.
fn hold(arbiter: &Arbiter) -> Sender<()> {
    let (release, held) = std::sync::mpsc::channel();
    assert!(arbiter.spawn_fn(move || held.recv().unwrap_or_default()));
    release
}

#[actix::test]
async fn a_fresh_connection_that_comes_while_everything_stops_is_stopped_too() {
    let (bench, _) = Bench::start(false).await;
    let before = bench.until("it runs", |all| all.len() == 1).await.remove(0);
    let held = hold(&bench.io);
    bench.supervisor.send(Replace).await.unwrap();
    let stopping = bench.supervisor.send(Shutdown);
    drop(held);
    stopping.await.unwrap();
    let fresh = bench.until("the fresh one came", |all| all[0] != before).await.remove(0);
    bench.until("it is stopped", |_| !fresh.connected() && !before.connected()).await;
}

#[actix::test]
async fn a_node_that_comes_while_everything_stops_is_stopped_too() {
    let (bench, held) = Bench::start(true).await;
    assert!(bench.supervisor.send(Shutdown).await.unwrap());
    drop(held);
    bench.until("it came and is stopped", |all| all.len() == 1 && !all[0].connected()).await;
}
