//! Starting a simulated Asterisk, and everything that a test or the demo does to it.

use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use tokio::sync::{oneshot, watch};

use super::SimError;
use super::clock::now_ms;
use super::config::{PlayedCall, RestOverride, SimConfig, Truth};
use super::library::MixEntry;
use super::line::{self, Trouble};
use super::server::{self, Shared};
use super::world::{Frame, World};
use crate::config::Secret;

/// The simulated Asterisk; `Sim::start` gives the handle of a running one.
#[derive(Debug)]
pub struct Sim;

/// How Asterisk is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartKind {
    /// As `core restart now`: the hangup events of every channel, then the socket ends without a close frame.
    Now,
    /// As `kill -9`: connections are reset; no event tells of the channels' end.
    Killed,
}

/// A running simulated Asterisk. It stops when the handle is dropped.
pub struct SimHandle {
    pub(super) shared: Arc<Shared>,
    trouble: watch::Sender<Trouble>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sim {
    /// Starts one in a thread of its own and returns when it listens.
    ///
    /// # Errors
    /// When the configuration makes no sense, names a recording that is not there, or the port is taken.
    pub fn start(config: SimConfig) -> Result<SimHandle, SimError> {
        Self::start_with(config, false)
    }

    /// `obliging`: answers 204 to commands for channels that it does not know.
    pub(super) fn start_with(config: SimConfig, obliging: bool) -> Result<SimHandle, SimError> {
        config.check()?;
        let port = config.port;
        let mut world = World::new(config)?;
        world.obliging = obliging;
        let shared = Shared::new(world);
        let (trouble, troubles) = watch::channel(Trouble::default());
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let of_thread = shared.clone();
        let io = |what: &str| {
            let what = what.to_owned();
            move |source| SimError::Io { what, source }
        };
        let thread = std::thread::Builder::new()
            .name("simulated-asterisk".to_owned())
            .spawn(move || {
                actix_web::rt::System::new().block_on(serve(of_thread, port, troubles, stopped, &ready));
            })
            .map_err(io("the thread of the simulated Asterisk can't be started"))?;
        let address = is_ready
            .recv()
            .unwrap_or_else(|_| Err(std::io::Error::other("its thread ended at once")))
            .map_err(io("the simulated Asterisk can't listen"))?;
        Ok(SimHandle { shared, trouble, address, stop: Some(stop), thread: Some(thread) })
    }
}

async fn serve(
    shared: Arc<Shared>,
    port: u16,
    troubles: watch::Receiver<Trouble>,
    stopped: oneshot::Receiver<()>,
    ready: &mpsc::Sender<std::io::Result<SocketAddr>>,
) {
    let data = web::Data::from(shared.clone());
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(server::handle)))
        .workers(1)
        .disable_signals()
        .shutdown_timeout(0)
        .bind(("127.0.0.1", 0));
    let bound = async {
        let server = server?;
        let inner = server.addrs().first().copied().ok_or_else(|| std::io::Error::other("no address"))?;
        let listener = line::listen(port).await?;
        let address = listener.local_addr()?;
        Ok((server, inner, listener, address))
    };
    let (server, inner, listener) = match bound.await {
        Ok((server, inner, listener, address)) => {
            let _ = ready.send(Ok(address));
            (server.run(), inner, listener)
        }
        Err(error) => {
            let _ = ready.send(Err(error));
            return;
        }
    };
    let handle = server.handle();
    tokio::select! {
        _ = stopped => {}
        _ = server => {}
        () = line::run(listener, inner, troubles) => {}
        () = play(&shared) => {}
    }
    handle.stop(false).await;
}

/// Plays what is due, for ever.
async fn play(shared: &Shared) {
    // When nothing is due, something still may come: `SimHandle::play`, an arrival.
    const IDLE: i64 = 1_000;
    loop {
        let now = now_ms();
        let next = shared.world().advance(now).map_or(IDLE, |at| (at - now).clamp(0, IDLE));
        let wait = Duration::from_millis(u64::try_from(next).unwrap_or(0));
        tokio::select! {
            () = actix_web::rt::time::sleep(wait) => {}
            () = shared.wake.notified() => {}
        }
    }
}

impl SimHandle {
    /// ARI's root: `http://127.0.0.1:PORT/asterisk/ari`.
    pub fn url(&self) -> String {
        format!("http://{}{}/ari", self.address, self.shared.world().config.prefix)
    }

    /// The port that it listens at.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The ARI user.
    pub fn username(&self) -> String {
        self.shared.world().config.username.clone()
    }

    /// That user's password.
    pub fn password(&self) -> Secret {
        self.shared.world().config.password.clone()
    }

    /// The app that the simulated dialplan names.
    pub fn app(&self) -> String {
        self.shared.world().config.app.clone()
    }

    /// What was played so far.
    pub fn truth(&self) -> Truth {
        self.shared.world().truth.clone()
    }

    /// The playings that are over, the oldest first (the last 100,000).
    pub fn played(&self) -> Vec<PlayedCall> {
        self.shared.world().played.iter().cloned().collect()
    }

    /// How many calls live.
    pub fn live_calls(&self) -> usize {
        self.shared.world().calls.len()
    }

    /// How many channels live.
    pub fn live_channels(&self) -> usize {
        self.shared.world().state.channels.len()
    }

    /// Starts one call now, as recorded.
    ///
    /// # Errors
    /// When there is no recording of this name.
    pub fn play(&self, recording: &str) -> Result<(), SimError> {
        self.play_entry(&MixEntry::new(recording, 1))
    }

    /// Starts one call now.
    ///
    /// # Errors
    /// When there is no recording of this name.
    pub fn play_entry(&self, entry: &MixEntry) -> Result<(), SimError> {
        self.shared.world().play(entry, now_ms())?;
        self.shared.wake.notify_one();
        Ok(())
    }

    /// No further call starts by itself; those that live go on.
    pub fn stop_arrivals(&self) {
        self.shared.world().next_arrival = None;
    }

    /// Resets all TCP connections.
    pub fn drop_connection(&self) {
        self.trouble.send_modify(|t| t.aborts += 1);
    }

    /// Closes every client's WebSocket with a close frame (1000).
    pub fn close_clean(&self) {
        self.shared.world().send_all(|| Frame::Close(1000));
    }

    /// Ends every client's WebSocket without a close frame; their HTTP connections stay.
    pub fn end_sockets(&self) {
        self.shared.world().send_all(|| Frame::Drop);
    }

    /// Lets nothing pass in either direction any more, pongs included, or lets it pass again. Connections stay.
    pub fn freeze(&self, frozen: bool) {
        self.trouble.send_modify(|t| t.frozen = frozen);
    }

    /// Refuses new connections, or accepts them again. Those that are open stay.
    pub fn refuse_connections(&self, refusing: bool) {
        self.trouble.send_modify(|t| t.refusing = refusing);
    }

    /// Sends this text to every client, whatever it is.
    pub fn send_raw_text(&self, text: &str) {
        self.shared.world().send_all(|| Frame::Text(text.to_owned()));
    }

    /// Sends these bytes as a binary frame to every client.
    pub fn send_raw_binary(&self, bytes: &[u8]) {
        self.shared.world().send_all(|| Frame::Binary(bytes.to_vec()));
    }

    /// Sends these bytes to every client as the payload of a text message, whether they are text or not, in `frames`
    /// frames (at least two, the last of which may be empty).
    pub fn send_raw_bytes(&self, bytes: &[u8], frames: usize) {
        self.shared.world().send_all(|| Frame::Raw(bytes.to_vec(), frames));
    }

    /// Each HTTP answer waits so long from now on.
    pub fn delay_rest(&self, delay: Duration) {
        self.shared.world().rest_delay = delay;
    }

    /// Answers some requests otherwise than right, or (`None`) all rightly again.
    pub fn override_rest(&self, answer: Option<RestOverride>) {
        self.shared.world().rest_override = answer;
    }

    /// Restarts Asterisk: all channels end, ids and names begin again. It can be connected to again at once, but for
    /// `refuse_connections`.
    pub fn restart(&self, kind: RestartKind) {
        let mut world = self.shared.world();
        world.restart(kind == RestartKind::Now, now_ms());
        match kind {
            RestartKind::Now => world.send_all(|| Frame::Drop),
            RestartKind::Killed => self.trouble.send_modify(|t| t.aborts += 1),
        }
    }

    /// Stops it and waits until it is gone.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for SimHandle {
    fn drop(&mut self) {
        self.end();
    }
}
