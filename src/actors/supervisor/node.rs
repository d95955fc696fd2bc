//! The actors that serve one Asterisk.

use std::future::Future;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::store::{self, Store};
use super::view::{FeedView, NodeView, Part};
use crate::actors::ari_command::{AriCommand, CommandSetup, CommandStatus};
use crate::actors::ari_http::AriHttp;
use crate::actors::ari_socket::SocketRest;
use crate::actors::connection::{AriConnection, ConnectionSetup, ConnectionStatus, FeedGate};
use crate::actors::db_writer::{Attach, DbWriter, Follow, journal_of};
use crate::actors::feed::{FollowStatus, FollowedJournal, Watch};
use crate::actors::journal::{JournalHandle, JournalReader, Position, QueryStatus, Subscribe};
use crate::actors::link::Link;
use crate::actors::messages::{Exited, Stop};
use crate::actors::registry::{Registry, RegistrySetup, RegistryStatus};
use crate::ari::entry::Gap;
use crate::config::{self, Config};
use crate::model::NodeId;

/// Where and with what the actors of a node are started.
pub(super) struct Places {
    pub(super) config: Config,
    pub(super) writer: Addr<DbWriter>,
    pub(super) io: ArbiterHandle,
    pub(super) core: ArbiterHandle,
    pub(super) exited: Recipient<Exited>,
}

/// The addresses of a node's actors.
#[derive(Clone)]
pub(super) struct Handles {
    pub(super) node: NodeId,
    pub(super) journal: JournalHandle,
    pub(super) followed: Option<Addr<FollowedJournal>>,
    pub(super) registry: Addr<Registry>,
    pub(super) commands: Link<AriCommand>,
    pub(super) connection: Addr<AriConnection>,
}

/// One Asterisk's actors and what is known of them.
pub(super) struct NodeUnit {
    pub(super) node: NodeId,
    journal: JournalHandle,
    followed: Option<Addr<FollowedJournal>>,
    gate: FeedGate,
    registry: Addr<Registry>,
    commands: Link<AriCommand>,
    pub(super) connection: Addr<AriConnection>,
    http: AriHttp,
    rest: SocketRest,
    ari: config::Ari,
    io: ArbiterHandle,
    parts: [Part; 4],
}

/// A fresh actor for a place that became empty.
pub(super) enum Fresh {
    Connection(Addr<AriConnection>),
    Commands(Addr<AriCommand>),
    /// The arbiter is gone: the program ends.
    None,
}

impl Fresh {
    /// Ends it.
    pub(super) fn stop(&self) {
        match self {
            Self::Connection(actor) => actor.do_send(Stop),
            Self::Commands(actor) => actor.do_send(Stop),
            Self::None => {}
        }
    }
}

/// Starts all actors of one Asterisk.
pub(super) async fn start(asterisk: config::Asterisk, places: Places) -> Result<NodeUnit, String> {
    let node = NodeId::new(&asterisk.name);
    let http = AriHttp::new(&asterisk, &places.config.ari).map_err(|e| e.to_string())?;
    let stream = journal_of(&node);
    let attach = Attach { stream: stream.clone(), registry: None };
    let begin = places.writer.send(attach).await.map_err(|e| e.to_string())??;
    let Store { journal, oldest, end, heard, followed, gate } = store::open(&node, &places, begin.committed).await?;
    let http = if followed.is_some() { http.for_app(&asterisk.app, false).map_err(|e| e.to_string())? } else { http };
    let from = begin.oldest_open.max(oldest.offset()).min(end.offset());
    let dir = store::dir(&node, &places.config);
    let reader = JournalReader::open(&dir, Position(from)).map_err(|e| e.to_string())?;
    let rest = SocketRest::new(node.clone(), places.config.ari.transport);
    let commands = commands(&places.io, &node, (&http, &rest), &places.config.ari, &journal, &places.exited).await?;
    let commands = Link::new(commands);
    let setup = RegistrySetup {
        stream: stream.clone(),
        app: asterisk.app.clone(),
        source: Box::new(reader),
        writer: places.writer.clone().recipient(),
        commands: Some(commands.clone()),
        journal: Some(journal.trim.clone()),
        calls: places.config.calls.clone(),
        start: begin,
        from,
        recall: Some(places.writer.clone().recipient()),
        hold_bytes: Some(hold_bytes(&places.config.journal)),
        live_from: end.offset(),
        exited: Some(places.exited.clone()),
        finished: None,
    };
    let registry = Registry::start_in_arbiter(&places.core, move |_| Registry::new(setup));
    places.writer.do_send(Follow { stream, registry: registry.clone().recipient() });
    journal.subscribe.do_send(Subscribe(registry.clone().recipient()));
    if let Some(followed) = &followed {
        followed.do_send(Watch(registry.clone().recipient()));
    }
    let ways = (&http, &rest, &journal, &gate);
    let connection = connection(&places.io, &node, ways, &places.config.ari, heard, &places.exited).await?;
    let name = Some(asterisk.name.as_str());
    let mut parts = ["connection", "journal", "registry", "ari_command"].map(|part| Part::new(part, name));
    parts.iter_mut().for_each(Part::running);
    let (ari, io) = (places.config.ari, places.io);
    Ok(NodeUnit { node, journal, followed, gate, registry, commands, connection, http, rest, ari, io, parts })
}

/// How much of the journal open calls may hold: with the segment in which the oldest begins, three quarters of
/// `journal.max_bytes`. The rest is for what the database has not taken yet.
fn hold_bytes(journal: &config::Journal) -> u64 {
    (journal.max_bytes / 4 * 3).saturating_sub(journal.segment_bytes)
}

pub(super) async fn on<T: Send + 'static>(
    arbiter: &ArbiterHandle,
    make: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (give, take) = oneshot::channel();
    arbiter.spawn_fn(move || {
        // Nobody takes it only when the program ends.
        let _ = give.send(make());
    });
    take.await.map_err(|_| "the thread that should run it has ended".to_owned())
}

async fn commands(
    io: &ArbiterHandle,
    node: &NodeId,
    (http, socket): (&AriHttp, &SocketRest),
    ari: &config::Ari,
    journal: &JournalHandle,
    exited: &Recipient<Exited>,
) -> Result<Addr<AriCommand>, String> {
    let setup = CommandSetup {
        node: node.clone(),
        http: http.clone(),
        socket: socket.clone(),
        ari: ari.clone(),
        journal: journal.entries.clone(),
        exited: exited.clone(),
    };
    on(io, move || AriCommand::start_with(setup)).await
}

async fn connection(
    io: &ArbiterHandle,
    node: &NodeId,
    (http, rest, journal, gate): (&AriHttp, &SocketRest, &JournalHandle, &FeedGate),
    ari: &config::Ari,
    heard: Option<Gap>,
    exited: &Recipient<Exited>,
) -> Result<Addr<AriConnection>, String> {
    let setup = ConnectionSetup {
        node: node.clone(),
        http: http.clone(),
        rest: rest.clone(),
        ari: ari.clone(),
        frames: journal.frames.clone(),
        entries: journal.entries.clone(),
        alive: journal.alive.clone(),
        heard,
        gate: gate.clone(),
        accept: None,
        exited: exited.clone(),
    };
    on(io, move || AriConnection::start_with(setup)).await
}

impl NodeUnit {
    pub(super) fn part(&mut self, who: &str) -> &mut Part {
        let place = ["connection", "journal", "registry", "ari_command"].iter().position(|p| *p == who).unwrap_or(0);
        &mut self.parts[place]
    }

    pub(super) fn handles(&self) -> Handles {
        Handles {
            node: self.node.clone(),
            journal: self.journal.clone(),
            followed: self.followed.clone(),
            registry: self.registry.clone(),
            commands: self.commands.clone(),
            connection: self.connection.clone(),
        }
    }

    /// An actor in the place of one that failed at `since`.
    pub(super) fn fresh(
        &self,
        who: &'static str,
        since: f64,
        exited: Recipient<Exited>,
    ) -> impl Future<Output = Fresh> + 'static {
        let (io, node, http, ari) = (self.io.clone(), self.node.clone(), self.http.clone(), self.ari.clone());
        let (journal, gate, rest) = (self.journal.clone(), self.gate.clone(), self.rest.clone());
        async move {
            if who == "ari_command" {
                return commands(&io, &node, (&http, &rest), &ari, &journal, &exited)
                    .await
                    .map_or(Fresh::None, Fresh::Commands);
            }
            let heard = Gap { since, reason: "the connection actor failed and was started again".into() };
            let ways = (&http, &rest, &journal, &gate);
            let fresh = connection(&io, &node, ways, &ari, Some(heard), &exited).await;
            fresh.map_or(Fresh::None, Fresh::Connection)
        }
    }

    pub(super) fn put(&mut self, fresh: Fresh) {
        match fresh {
            Fresh::Connection(actor) => self.connection = actor,
            Fresh::Commands(actor) => self.commands.replace(actor),
            Fresh::None => {}
        }
    }

    /// How all of it is; each actor has `limit` to answer.
    pub(super) fn look(&self, limit: Duration) -> impl Future<Output = NodeView> + 'static {
        let handles = self.handles();
        let parts = self.parts.clone();
        async move {
            let followed = async {
                match &handles.followed {
                    Some(followed) => followed.send(FollowStatus).timeout(limit).await.ok(),
                    None => None,
                }
            };
            let (connection, journal, registry, commands, follow) = tokio::join!(
                handles.connection.send(ConnectionStatus).timeout(limit),
                handles.journal.status.send(QueryStatus).timeout(limit),
                handles.registry.send(RegistryStatus).timeout(limit),
                handles.commands.get().send(CommandStatus).timeout(limit),
                followed,
            );
            let (connection, journal, registry, commands) =
                (connection.ok(), journal.ok(), registry.ok(), commands.ok());
            let mailboxes = [
                connection.as_ref().map(|c| c.waiting_bytes),
                journal.as_ref().map(|_| 0),
                registry.as_ref().map(|r| r.batches),
                commands.as_ref().map(|c| c.waiting),
            ];
            let actors = parts.iter().zip(mailboxes).map(|(part, mailbox)| part.view(mailbox)).collect();
            let feed = FeedView::new(handles.followed.is_some(), follow);
            let name = handles.node.to_string();
            NodeView { name, connection, journal, feed, registry, commands, guard: None, actors }
        }
    }
}

impl Handles {
    /// Ends whatever puts something into the journal or works on it.
    pub(super) fn stop(&self) {
        self.connection.do_send(Stop);
        self.commands.get().do_send(Stop);
        self.registry.do_send(Stop);
    }

    /// Returns when everything in the journal is committed; where a feed process goes on writing it, everything up to now.
    pub(super) async fn drained(&self) {
        let mut target = None;
        loop {
            let journal = self.journal.status.send(QueryStatus).await;
            let registry = self.registry.send(RegistryStatus).await;
            let (Ok(journal), Ok(registry)) = (journal, registry) else { return };
            let end = if self.followed.is_some() { *target.get_or_insert(journal.end) } else { journal.end };
            if registry.committed >= end.offset() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
