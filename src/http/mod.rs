//! HTTP: health, the state of the system, metrics. It binds to the loopback interface only, and serves nothing that
//! changes anything before there is authentication.

mod gaps;
mod health;
mod metrics;
mod system;

use std::io;
use std::net::{Ipv4Addr, TcpListener};

use actix::Addr;
use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use crate::actors::supervisor::Supervisor;
use crate::actors::tally::SharedTally;
use crate::config::Config;
use crate::db::pool::ReadPool;
use metrics::Limits;

/// Connections at once, at most.
const MAX_CONNECTIONS: usize = 1_024;

/// A running server.
pub struct Server {
    /// The port it listens on.
    pub port: u16,
    handle: ServerHandle,
}

impl Server {
    /// Answers what is under way, then ends.
    pub async fn stop(self) {
        self.handle.stop(true).await;
    }
}

/// What handlers need.
pub(crate) struct State {
    supervisor: Addr<Supervisor>,
    pool: ReadPool,
    counted: Counted,
    limits: Limits,
}

/// What is counted outside the actor tree, for `/metrics`.
#[derive(Clone, Debug)]
pub struct Counted {
    /// What the writer committed.
    pub tally: SharedTally,
    /// How often the whole tree was started again.
    pub restarts: u64,
    /// Tells how many panics there were.
    pub panics: fn() -> u64,
}

/// Starts the server on `http.port` of the loopback interface; 0 takes a free one.
///
/// # Errors
/// When the port can't be used.
pub fn start(config: &Config, supervisor: Addr<Supervisor>, pool: ReadPool, counted: Counted) -> io::Result<Server> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.http.port))?;
    let port = listener.local_addr()?.port();
    let state = web::Data::new(State { supervisor, pool, counted, limits: Limits::of(config) });
    let server = HttpServer::new(move || App::new().app_data(state.clone()).configure(routes))
        .workers(1)
        .max_connections(MAX_CONNECTIONS)
        .disable_signals()
        .shutdown_timeout(1)
        .listen(listener)?
        .run();
    let handle = server.handle();
    actix::spawn(server);
    Ok(Server { port, handle })
}

fn routes(app: &mut web::ServiceConfig) {
    app.service(health::live)
        .service(health::ready)
        .service(system::system)
        .service(gaps::gaps)
        .service(metrics::metrics);
}
