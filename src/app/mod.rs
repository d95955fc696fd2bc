//! Start and shutdown order of the whole service.
//!
//! Start: database, writer, supervisor (which starts each node's journal, registry, commands, connection), HTTP.
//! Stop: sockets closed, what is in the journals committed, HTTP closed, the database closed as the last. A tree that fails is started again in
//! the same process; one that keeps failing ends it, for the system's own supervisor.

mod alarms;
mod deadman;
mod demo;
mod feed;
mod notify;
mod replay;
mod signals;

use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use crate::actors::alarm::Sources;
use crate::actors::db_writer::{DbWriter, Lines};
use crate::actors::messages::Stop;
use crate::actors::supervisor::{Beat, ConnectNow, NewConfig, Shutdown, Supervisor, SupervisorSetup, end};
use crate::actors::tally::SharedTally;
use crate::config::{Config, Loaded};
use crate::db::pool::ReadPool;
use crate::http::{self, Counted};
use crate::telemetry::{self, Telemetry};
pub use alarms::alarms_test;
use deadman::Deadman;
pub use demo::{Demo, DemoError, DemoOptions};
pub use feed::feed;
pub use replay::{Replayed, replay};
use signals::{Signal, Signals};

/// How often the tree may fail in [`FAILURE_SPAN`] before the process ends.
const MAX_FAILURES: usize = 5;
/// See [`MAX_FAILURES`].
const FAILURE_SPAN: Duration = Duration::from_secs(60);
/// How long the whole shutdown may take.
const SHUTDOWN_LIMIT: Duration = Duration::from_millis(4_500);
/// How long the threads may take to end behind it: the last of them closes the database.
const JOIN_LIMIT: Duration = Duration::from_millis(400);

/// Who runs the service.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// `callcenter serve`: until it is told to stop, and SIGHUP reads the configuration again.
    Service,
    /// `callcenter demo`: its configuration is its own, and it may end by itself.
    Demo {
        /// When.
        ends_at: Option<Instant>,
    },
}

impl Run {
    /// Whether the service manager is told how it is.
    fn told(self) -> bool {
        match self {
            Self::Service => true,
            Self::Demo { .. } => false,
        }
    }

    /// Returns when the run is over by itself.
    async fn over(self) {
        match self {
            Self::Demo { ends_at: Some(at) } => tokio::time::sleep_until(at.into()).await,
            Self::Demo { ends_at: None } | Self::Service => std::future::pending().await,
        }
    }
}

/// How a run of the service ended.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// It was told to stop.
    Stopped,
    /// Part of it can't go on; the reason.
    Failed(String),
}

/// Why the service can't be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database can't be used.
    #[error("{0}")]
    Database(String),
    /// The port can't be used.
    #[error("HTTP can't listen on 127.0.0.1:{port} ({error}): name another port in http.port (HTTP_PORT)")]
    Port {
        /// The port.
        port: u16,
        /// The operating system's words.
        error: std::io::Error,
    },
    /// It failed again and again.
    #[error("the service failed {MAX_FAILURES} times within a minute, the last time because: {0}")]
    GivesUp(String),
    /// No signals, no threads.
    #[error("the operating system refuses what the service needs: {0}")]
    System(std::io::Error),
}

/// Serves until it is told to stop.
///
/// # Errors
/// When it can't be started, or fails again and again; each says what to do.
pub fn serve(loaded: Loaded, telemetry: &Telemetry) -> Result<(), ServeError> {
    serve_as(Run::Service, loaded, Some(telemetry))
}

fn serve_as(how: Run, mut loaded: Loaded, telemetry: Option<&Telemetry>) -> Result<(), ServeError> {
    let mut failures: Vec<Instant> = Vec::new();
    let mut counted = Counted { tally: SharedTally::default(), restarts: 0, panics: telemetry::panics };
    loop {
        match System::new().block_on(run(how, &mut loaded, telemetry, counted.clone()))? {
            Ended::Stopped => return Ok(()),
            Ended::Failed(reason) => {
                failures.retain(|at| at.elapsed() < FAILURE_SPAN);
                failures.push(Instant::now());
                if failures.len() >= MAX_FAILURES {
                    return Err(ServeError::GivesUp(reason));
                }
                counted.restarts += 1;
                warn!("everything is started again; what is open is rebuilt from the journal");
            }
        }
    }
}

async fn run(
    how: Run,
    loaded: &mut Loaded,
    telemetry: Option<&Telemetry>,
    counted: Counted,
) -> Result<Ended, ServeError> {
    let config = loaded.config.clone();
    say_what_is_in_force(loaded);
    let lines = Lines::new(&config.lines).map_err(|e| ServeError::Database(e.to_string()))?;
    let writer = DbWriter::open(&config.database, lines).map_err(|e| ServeError::Database(e.to_string()))?;
    let writer = writer.counting(counted.tally.clone());
    let pool = ReadPool::open(&config.database).map_err(|e| ServeError::Database(e.to_string()))?;
    let mut signals = Signals::listen().map_err(ServeError::System)?;
    let arbiters = [Arbiter::new(), Arbiter::new(), Arbiter::new()];
    let [io, core, database] = &arbiters;
    let beat = Beat::default();
    let (failed, mut failures) = mpsc::unbounded_channel();
    let shown = writer.shown();
    let writer = DbWriter::start_in_arbiter(&database.handle(), move |_| writer);
    let supervisor = Supervisor::new(SupervisorSetup {
        shown,
        writer: writer.clone(),
        config: config.clone(),
        io: io.handle(),
        core: core.handle(),
        alarms: Some(Sources { pool: pool.clone(), tally: counted.tally.clone() }),
        failed,
        beat: beat.clone(),
    })
    .start();
    let stuck = Duration::from_secs(config.watchdog.stuck_after_s);
    let deadman = Deadman::start(beat, stuck, || end("the supervisor is stuck")).map_err(ServeError::System)?;
    let server = http::start(&config, supervisor.clone(), pool, counted)
        .map_err(|error| ServeError::Port { port: config.http.port, error })?;
    info!("http://127.0.0.1:{}/health/ready says whether it is ready, /api/v1/system how everything is", server.port);
    let watchdog = how.told().then(|| {
        notify::ready();
        actix::spawn(notify::feed_watchdog(supervisor.clone()))
    });
    let ended = loop {
        tokio::select! {
            reason = failures.recv() => break Ended::Failed(reason.unwrap_or_default()),
            () = how.over() => {
                info!("the time is over: stops in order; a signal stops at once");
                break Ended::Stopped;
            }
            signal = signals.next() => match signal {
                Signal::Reload => reload(how, loaded, telemetry, &supervisor),
                Signal::Connect => {
                    info!("SIGUSR1: what waits to be connected is connected now");
                    supervisor.do_send(ConnectNow);
                }
                Signal::Stop(name) => {
                    info!("{name}: stops in order; a second signal stops at once");
                    break Ended::Stopped;
                }
            },
        }
    };
    if let Some(watchdog) = watchdog {
        watchdog.abort();
        if ended == Ended::Stopped {
            notify::stopping();
        }
    }
    let in_time = stop(&supervisor, &writer, server, &mut signals).await;
    // It is not to look at what has stopped; what doesn't end has a limit of its own here.
    drop(deadman);
    arbiters.iter().for_each(|arbiter| {
        arbiter.stop();
    });
    match ended {
        Ended::Stopped if in_time => {
            if !joined(arbiters, JOIN_LIMIT).await {
                warn!("not every thread ended in time; the next start finds the newest rows in the write-ahead log");
            }
        }
        // Nobody waits for what hangs.
        Ended::Stopped => {}
        // The journal's and the database's locks are free when the threads have ended.
        Ended::Failed(_) => {
            if !joined(arbiters, stuck).await {
                end("a thread of the service doesn't end");
            }
        }
    }
    Ok(ended)
}

/// Waits for the threads; whether all have ended within the limit.
async fn joined(arbiters: [Arbiter; 3], limit: Duration) -> bool {
    let (done, all) = oneshot::channel();
    let join = move || {
        for arbiter in arbiters {
            if arbiter.join().is_err() {
                warn!("a thread of the service had failed");
            }
        }
        // Nobody listens only when the limit is over.
        let _ = done.send(());
    };
    let waits = std::thread::Builder::new().name("join".into()).spawn(join);
    waits.is_ok() && tokio::time::timeout(limit, all).await.is_ok()
}

/// Stops the tree and HTTP in order, then the writer, within the limit; a signal ends it at once. Whether all stopped.
async fn stop(
    supervisor: &Addr<Supervisor>,
    writer: &Addr<DbWriter>,
    server: http::Server,
    signals: &mut Signals,
) -> bool {
    let orderly = async {
        let written = supervisor.send(Shutdown).await.unwrap_or(false);
        server.stop().await;
        // As the last, behind all that read: it folds the write-ahead log into the database file.
        writer.send(Stop).await.is_ok() && written
    };
    tokio::select! {
        written = orderly => {
            match written {
                true => info!("stopped: sockets closed, everything written"),
                false => warn!("stopped: sockets closed; the journal keeps what is not written"),
            }
            true
        }
        () = tokio::time::sleep(SHUTDOWN_LIMIT) => {
            error!("not everything stopped in time; the journal keeps what is not written");
            false
        }
        signal = signals.next() => {
            warn!("{}: stops at once", signal.name());
            false
        }
    }
}

fn say_what_is_in_force(loaded: &Loaded) {
    let files: Vec<String> = loaded.files.iter().map(|f| f.display().to_string()).collect();
    let files = if files.is_empty() { "no file".to_owned() } else { files.join(", ") };
    info!(
        "callcenter {}: configuration from {files} and {} variables",
        env!("CARGO_PKG_VERSION"),
        loaded.variables.len()
    );
    if loaded.config.asterisk.is_empty() {
        warn!("no Asterisk is configured: name one in ARI_URL, or see everything work by `callcenter demo`");
    }
    for asterisk in &loaded.config.asterisk {
        info!(node = %asterisk.name, "Asterisk at {}, application {}", asterisk.shown_url(), asterisk.app);
    }
}

/// SIGHUP: takes what may change while running; a wrong configuration changes nothing.
fn reload(how: Run, loaded: &mut Loaded, telemetry: Option<&Telemetry>, supervisor: &Addr<Supervisor>) {
    if let Run::Demo { .. } = how {
        return info!("SIGHUP: the demo has a configuration of its own, which stays");
    }
    let new = match loaded.reload().accept() {
        Ok(new) => new,
        Err(refused) => return error!("SIGHUP: the configuration is refused, what was in force stays: {refused}"),
    };
    let changes = Config::diff_reloadable(&loaded.config, &new.config);
    if !changes.restart.is_empty() {
        warn!("SIGHUP: these take effect at the next start: {}", changes.restart.join(", "));
    }
    if changes.reloadable.is_empty() {
        return info!("SIGHUP: nothing else has changed");
    }
    let config = loaded.config.with_reloadable(&new.config);
    if let Some(Err(error)) = telemetry.map(|log| log.set_level(&config.log.level)) {
        error!("SIGHUP: {error}");
    }
    info!("SIGHUP: in force now: {}", changes.reloadable.join(", "));
    supervisor.do_send(NewConfig(Box::new(config.clone())));
    loaded.config = config;
}
