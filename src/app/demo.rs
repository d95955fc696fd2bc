//! The service against a simulated Asterisk in the same process.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{Run, ServeError, serve_as};
use crate::config::{Alarms, Asterisk, Lines, Loaded};
use crate::sim::{Sim, SimConfig, SimError, SimHandle, demo_mix};

/// The demo's node.
const NODE: &str = "demo";
/// The simulated Asterisk's trunk, by which directions are told.
const TRUNK: &str = "PJSIP/trunk";

/// How the demo shall run.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// New calls a minute.
    pub calls_per_minute: u32,
    /// How long it runs; `None` is until it is told to stop.
    pub lasts: Option<Duration>,
    /// Its database. The journal is beside it, in a folder of the same name that ends in `.journal`.
    pub database: PathBuf,
    /// The HTTP port, instead of the configured one; 0 takes a free one.
    pub port: Option<u16>,
}

/// Why the demo can't run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The simulated Asterisk can't be started.
    #[error("the simulated Asterisk can't be started: {0}")]
    Sim(#[from] SimError),
    /// The service can't.
    #[error(transparent)]
    Serve(#[from] ServeError),
}

/// A simulated Asterisk that runs, and the configuration of a service beside it.
pub struct Demo {
    sim: SimHandle,
    loaded: Loaded,
    lasts: Option<Duration>,
}

impl Demo {
    /// Starts the simulated Asterisk. Of `loaded` everything stays but the servers, the lines, the alarms, the
    /// database and the port.
    ///
    /// # Errors
    /// When the simulated Asterisk can't listen on the loopback interface.
    pub fn start(options: &DemoOptions, mut loaded: Loaded) -> Result<Self, DemoError> {
        let calls_per_second = f64::from(options.calls_per_minute) / 60.0;
        let sim = Sim::start(SimConfig { calls_per_second, ..demo_mix() })?;
        let config = &mut loaded.config;
        config.asterisk = vec![Asterisk {
            name: NODE.to_owned(),
            url: sim.url(),
            username: sim.username(),
            password: sim.password(),
            app: sim.app(),
            ..Asterisk::default()
        }];
        config.lines = Lines { trunks: vec![TRUNK.to_owned()], ..Lines::default() };
        // Nobody is to be called because of a simulated Asterisk.
        config.alarms = Alarms::default();
        config.database.path.clone_from(&options.database);
        // Not the usual folder: a real node may be called `demo` too.
        config.journal.dir = options.database.with_extension("journal");
        config.http.port = free(options.port.unwrap_or(config.http.port));
        info!("this is a demo: a simulated Asterisk plays recorded calls, {} a minute", options.calls_per_minute);
        info!(
            "look at the calls: sqlite3 {} \"SELECT created_at, direction, caller_number, dialed_number, status, talk_ms \
             FROM calls ORDER BY created_at DESC LIMIT 10\"",
            options.database.display()
        );
        Ok(Self { sim, loaded, lasts: options.lasts })
    }

    /// The simulated Asterisk.
    pub fn sim(&self) -> &SimHandle {
        &self.sim
    }

    /// Serves until the time is over or it is told to stop.
    ///
    /// # Errors
    /// As [`serve`](super::serve).
    pub fn serve(&self) -> Result<(), DemoError> {
        let ends_at = self.lasts.and_then(|lasts| Instant::now().checked_add(lasts));
        serve_as(Run::Demo { ends_at }, self.loaded.clone(), None)?;
        let truth = self.sim.truth();
        info!("the demo is over: {} calls were begun, {} went to their end", truth.started, truth.finished);
        Ok(())
    }
}

/// The port, or 0 (a free one) if another program has it: a demo shall run beside the service.
fn free(port: u16) -> u16 {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => port,
        Err(error) => {
            warn!("port {port} can't be used ({error}): the demo takes a free one, see below");
            0
        }
    }
}
