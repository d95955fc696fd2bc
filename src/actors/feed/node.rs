//! One Asterisk's feed: its socket, its journal, and the way in and out.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use super::client::{FeedClient, FeedError};
use super::relay::{Relay, TakeOver};
use super::server::{Shared, SocketFile, accept};
use super::wire::{Answer, Request};
use super::{app_beside, socket_path};
use crate::actors::ari_http::{AriHttp, Door, Listener, server_tls};
use crate::actors::ari_socket::SocketRest;
use crate::actors::audit::CommandIds;
use crate::actors::connection::{
    Accept, AriConnection, ConnectionSetup, ConnectionStatus, FeedGate, RELEASED_AT_ONCE, TakeBack, heard_before,
};
use crate::actors::journal::{
    Appended, Journal, JournalError, JournalHandle, JournalReader, Options, Position, QueryStatus, Recovered, Subscribe,
};
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, Exited, Stop, wall_clock};
use crate::ari::entry::Gap;
use crate::config::{self, Config};
use crate::model::NodeId;

/// How long a journal that somebody else still writes is waited for.
const LOCK_LIMIT: Duration = Duration::from_secs(10);
/// How long a successor may take until it hears everything, and the other feed until it has handed over.
const TAKE_OVER_LIMIT: Duration = Duration::from_secs(20);
/// How long the connection and the journal may take to stop.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// Between two looks at something that takes a moment.
const LOOK: Duration = Duration::from_millis(20);

/// What a feed is started with.
pub struct FeedSetup {
    /// The Asterisk.
    pub asterisk: config::Asterisk,
    /// `[ari]` and `[journal]` are in force.
    pub config: Config,
    /// The journal's folder.
    pub dir: PathBuf,
    /// Told when this feed is over: `Ok` when another one took over, else why it can't go on.
    pub over: mpsc::UnboundedSender<Result<Over, String>>,
}

/// Another feed took over.
#[derive(Clone, Debug)]
pub struct Over {
    /// Whose.
    pub node: NodeId,
    /// The process that goes on.
    pub to: u32,
}

/// A running feed.
pub struct FeedNode(Rc<Shared>);

impl FeedNode {
    /// Stops in order: what is heard by now is in the journal, which is free then.
    pub async fn stop(&self) {
        self.0.leaving.hand_over(&self.0, 0).await;
    }

    /// Connects now if it waits to.
    pub fn connect_now(&self) {
        self.0.connection.do_send(TakeBack);
    }

    /// How it is; `None` when part of it has ended.
    pub async fn status(&self) -> Option<super::wire::FeedStatus> {
        self.0.status().await
    }
}

/// Which parts have ended.
#[derive(Clone, Copy, Debug, Default)]
struct Ended {
    connection: bool,
    journal: bool,
}

/// How a feed ends.
pub(super) struct Leaving {
    node: NodeId,
    asked: watch::Sender<bool>,
    ended: watch::Sender<Ended>,
    over: mpsc::UnboundedSender<Result<Over, String>>,
    /// Where the journal ended when it was handed over.
    handed: OnceCell<Position>,
}

impl Leaving {
    /// Returns when the feed leaves.
    pub(super) async fn asked(&self) {
        drop(self.asked.subscribe().wait_for(|asked| *asked).await);
    }

    pub(super) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Stops reading, sees to it that all that came is in the journal, and frees that; where the journal ends. `asking`
    /// connections wait for that. Once: who asks again waits for the first, since a successor may have the journal then.
    pub(super) async fn hand_over(&self, shared: &Shared, asking: usize) -> Position {
        *self.handed.get_or_init(|| self.hand_over_once(shared, asking)).await
    }

    async fn hand_over_once(&self, shared: &Shared, asking: usize) -> Position {
        // Whoever appends finishes what is under way, with its answer, and is closed.
        self.asked.send_replace(true);
        shared.connection.do_send(Stop);
        let mut ended = self.ended.subscribe();
        if timeout(STOP_LIMIT, ended.wait_for(|ended| ended.connection)).await.is_err() {
            warn!(node = %self.node, "the connection did not stop in time");
        }
        let others = async {
            while shared.connections.get() > asking {
                sleep(LOOK).await;
            }
        };
        let _ = timeout(STOP_LIMIT, others).await;
        let end = shared.journal.send(QueryStatus).await.map_or(Position::START, |journal| journal.end);
        shared.socket.remove();
        shared.journal.do_send(Stop);
        if timeout(STOP_LIMIT, ended.wait_for(|ended| ended.journal)).await.is_err() {
            warn!(node = %self.node, "the journal did not stop in time; its lock goes with the process");
        }
        end
    }

    /// Another feed goes on.
    pub(super) fn done(&self, to: u32) {
        // Nobody listens only when the process ends already.
        let _ = self.over.send(Ok(Over { node: self.node.clone(), to }));
    }
}

/// Hears what the connection and the journal say.
struct Ears {
    leaving: Rc<Leaving>,
    ends: watch::Sender<Position>,
}

impl Actor for Ears {
    type Context = Context<Self>;
}

impl Handler<Appended> for Ears {
    type Result = ();

    fn handle(&mut self, Appended { end }: Appended, _: &mut Self::Context) {
        self.ends.send_replace(end);
    }
}

impl Handler<Exited> for Ears {
    type Result = ();

    fn handle(&mut self, exited: Exited, _: &mut Self::Context) {
        self.leaving.ended.send_modify(|ended| match exited.who {
            "connection" => ended.connection = true,
            _ => ended.journal = true,
        });
        if !self.leaving.is_asked() {
            // Nothing is mended in this process: a fresh one is as quick, and the gap is known.
            let _ = self.leaving.over.send(Err(format!("the {} of '{}' failed", exited.who, exited.node)));
        }
    }
}

/// Starts the feed of one Asterisk: takes over from the one that runs, if any does.
///
/// # Errors
/// Why it can't be started, and what to do.
pub async fn start(setup: FeedSetup) -> Result<FeedNode, String> {
    std::fs::create_dir_all(&setup.dir).map_err(|e| format!("can't make {}: {e}", setup.dir.display()))?;
    match FeedClient::connect(&setup.dir).await {
        Err(FeedError::None) => Beginning::new(setup, None)?.fresh().await,
        Ok(old) if setup.asterisk.accepts() => Beginning::new(setup, None)?.after(old).await,
        Err(error) => Err(format!("the feed that runs can't be asked to hand over: {error}")),
        Ok(old) => {
            let begun = Beginning::new(setup, Some(&old.hello().app))?;
            begun.take_over(old).await
        }
    }
}

/// A feed that is being started.
struct Beginning {
    setup: FeedSetup,
    node: NodeId,
    http: AriHttp,
    leaving: Rc<Leaving>,
    ears: Addr<Ears>,
    ends: watch::Receiver<Position>,
    /// What the listener shows, where Asterisk connects to the feed with TLS.
    tls: Option<TlsAcceptor>,
}

impl Beginning {
    fn new(setup: FeedSetup, predecessor: Option<&str>) -> Result<Self, String> {
        let node = NodeId::new(&setup.asterisk.name);
        let feed = &setup.config.feed;
        let secure = setup.asterisk.accepts() && !feed.tls_cert.as_os_str().is_empty();
        let tls = if secure { Some(server_tls(&feed.tls_cert, &feed.tls_key)?) } else { None };
        let app = app_beside(&setup.asterisk.app, predecessor);
        let http = AriHttp::new(&setup.asterisk, &setup.config.ari).and_then(|http| http.for_app(&app, true));
        let (ends, heard) = watch::channel(Position::START);
        let leaving = Rc::new(Leaving {
            node: node.clone(),
            asked: watch::Sender::new(false),
            ended: watch::Sender::new(Ended::default()),
            over: setup.over.clone(),
            handed: OnceCell::new(),
        });
        let ears = Ears { leaving: leaving.clone(), ends }.start();
        Ok(Self { http: http.map_err(|e| e.to_string())?, setup, node, leaving, ears, ends: heard, tls })
    }

    /// Nobody ran before: what came since the journal's last entry is a gap.
    async fn fresh(mut self) -> Result<FeedNode, String> {
        let accept = self.listener().await?;
        let (journal, found) = self.journal().await?;
        let since = if accept.is_some() { heard_before(&self.setup.dir, found.last_at) } else { found.last_at };
        let heard = since.map(|since| Gap { since, reason: "the feed was not running".into() });
        let handle = JournalHandle::from(&journal);
        let connection = self.connection((handle.frames, handle.entries, handle.alive), heard, accept);
        self.serve(journal, connection, found.end)
    }

    /// Another feed runs, and Asterisk connects to the feed: there is one application and one port, so the other one
    /// ends first, and Asterisk keeps what comes meanwhile.
    async fn after(self, mut old: FeedClient) -> Result<FeedNode, String> {
        let handover = old.send(&Request::Handover { pid: std::process::id() }).await;
        handover.map_err(|error| format!("the feed that runs can't be asked to hand over: {error}"))?;
        let over = timeout(TAKE_OVER_LIMIT, handed_over(&mut old)).await;
        info!(node = %self.node, "the other feed {}", if over.is_ok_and(|over| over) { "handed over" } else { "has gone" });
        self.fresh().await
    }

    /// Where Asterisk connects to the feed, if it does.
    async fn listener(&mut self) -> Result<Option<Accept>, String> {
        let asterisk = &self.setup.asterisk;
        if !asterisk.accepts() {
            return Ok(None);
        }
        let ari = &self.setup.config.ari;
        let door = Door {
            path: asterisk.feed_path(),
            username: asterisk.name.clone(),
            password: asterisk.feed_password.clone(),
            max_frame_bytes: ari.max_frame_bytes,
            handshake: Duration::from_millis(ari.connect_timeout_ms),
        };
        let listener = Listener::bind(&asterisk.feed_listen, self.tls.take(), door).await;
        let listener = listener.map_err(|error| {
            let address = &asterisk.feed_listen;
            format!("can't listen at {address}: {error}. asterisk.feed_listen must be free and of this machine")
        })?;
        Ok(Some(Accept { listener, journal: self.setup.dir.clone() }))
    }

    /// Another feed runs: this one hears everything first, then takes the journal.
    async fn take_over(self, mut old: FeedClient) -> Result<FeedNode, String> {
        let began = Instant::now();
        // It stands before all that our own socket will hear, and keeps its segment also when that is deleted.
        let reader = JournalReader::open_at_end(&self.setup.dir).map_err(|e| e.to_string())?;
        let apps = [old.hello().app.clone(), self.http.app().to_owned()];
        let relay = Relay::new(self.node.clone(), apps, self.setup.config.ari.event_filter.clone()).start();
        let ways = (relay.clone().recipient(), relay.clone().recipient(), relay.clone().recipient());
        let connection = self.connection(ways, None, None);
        let ready = async {
            while !connection.send(ConnectionStatus).await.is_ok_and(|view| view.prepared) {
                sleep(LOOK).await;
            }
        };
        let ready = tokio::select! {
            ready = timeout(TAKE_OVER_LIMIT, ready) => ready.map_err(|_| "this one doesn't get to hear everything"),
            gone = gone(&mut old) => Err(gone),
        };
        if let Err(reason) = ready {
            let _ = connection.send(Stop).await;
            return Err(format!("the feed that runs was not taken over from: {reason}"));
        }
        // A feed that is connected heard everything until it was asked to hand over; else its last entry counts.
        let connected = old.status().await.is_ok_and(|status| status.connected);
        let asked_at = wall_clock();
        if old.send(&Request::Handover { pid: std::process::id() }).await.is_ok() {
            let over = timeout(TAKE_OVER_LIMIT, handed_over(&mut old)).await.is_ok_and(|over| over);
            // One that died in between freed the journal as well, and all it could have missed was heard here.
            info!(node = %self.node, "the other feed {}", if over { "handed over" } else { "has gone" });
        }
        let (journal, found) = self.journal().await?;
        let covered = if connected { asked_at } else { found.last_at.unwrap_or_default() };
        let merge = TakeOver { journal: JournalHandle::from(&journal), reader, covered };
        relay.send(merge).await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())?;
        info!(node = %self.node, "took over in {} ms", began.elapsed().as_millis());
        self.serve(journal, connection, found.end)
    }

    /// Opens the journal; whoever still writes it is given time to stop.
    async fn journal(&self) -> Result<(Addr<Journal>, Recovered), String> {
        let until = Instant::now() + LOCK_LIMIT;
        loop {
            let options = Options {
                node: self.node.clone(),
                dir: self.setup.dir.clone(),
                config: self.setup.config.journal.clone(),
                max_frame_bytes: self.setup.config.ari.max_frame_bytes,
                start_at: Position::START,
                parent: Some(self.ears.clone().recipient()),
            };
            match Journal::open(options) {
                Ok((journal, found)) => {
                    let journal = journal.start();
                    journal.do_send(Subscribe(self.ears.clone().recipient()));
                    return Ok((journal, found));
                }
                Err(JournalError::Locked { .. }) if Instant::now() < until => sleep(LOOK).await,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn connection(
        &self,
        (frames, entries, alive): (Recipient<AppendFrames>, Recipient<AppendEntry>, Recipient<Alive>),
        heard: Option<Gap>,
        accept: Option<Accept>,
    ) -> Addr<AriConnection> {
        AriConnection::start_with(ConnectionSetup {
            node: self.node.clone(),
            http: self.http.clone(),
            // The feed asks nothing about calls.
            rest: SocketRest::new(self.node.clone(), config::Transport::Http),
            ari: self.setup.config.ari.clone(),
            frames,
            entries,
            alive,
            heard,
            gate: FeedGate::default(),
            accept,
            exited: self.ears.clone().recipient(),
        })
    }

    fn serve(self, journal: Addr<Journal>, connection: Addr<AriConnection>, end: Position) -> Result<FeedNode, String> {
        let (socket, listener) = SocketFile::listen(&socket_path(&self.setup.dir)).map_err(|e| e.to_string())?;
        let shared = Rc::new(Shared {
            app: self.http.app().to_owned(),
            control: self.setup.asterisk.app.clone(),
            client: self.http.client(RELEASED_AT_ONCE),
            ids: CommandIds::new("f"),
            journal,
            connection,
            ends: self.ends,
            opened: (end, wall_clock()),
            leaving: self.leaving,
            follower: Cell::new(None),
            connections: Cell::new(0),
            socket,
            node: self.node,
        });
        actix::spawn(accept(shared.clone(), listener));
        Ok(FeedNode(shared))
    }
}

/// Returns when the other feed has gone.
async fn gone(old: &mut FeedClient) -> &'static str {
    while old.next().await.is_ok() {}
    "it has gone meanwhile; start this one again"
}

/// Whether the other feed says that the journal is free, before it goes.
async fn handed_over(old: &mut FeedClient) -> bool {
    loop {
        match old.next().await {
            Ok(Answer::HandedOver { .. }) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}
