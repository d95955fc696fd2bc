//! A feed's socket: who connects, and what they ask.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use serde_json::value::RawValue;
use tokio::io::BufReader;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use super::node::Leaving;
use super::wire::{self, Answer, FeedStatus, Follower, Hello, PROTOCOL, Piece, Request, WireError};
use crate::actors::ari_http::AriClient;
use crate::actors::audit::{CommandIds, deliver};
use crate::actors::connection::{AriConnection, ConnectionStatus, State, release, within_limit};
use crate::actors::journal::{Journal, Position, QueryStatus, StartAt, Trim};
use crate::actors::messages::{AppendEntry, AppendFrames, EntryBody, Frame, wall_clock};
use crate::ari::entry::{BadFrame, Gap, sample};
use crate::model::NodeId;

/// Connections at once: the service, a successor, and people who look.
const MAX_CONNECTIONS: usize = 8;
/// How long the other side may take to read a line.
const SEND_LIMIT: Duration = Duration::from_secs(1);
/// How often a follower hears how the feed is.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// When, after the service has gone, callers who wait in the application are looked for: some come in while Asterisk
/// closes the control socket.
const RELEASES: [Duration; 3] = [Duration::ZERO, Duration::from_millis(100), Duration::from_millis(400)];

/// What the connections to one node's feed share.
pub(super) struct Shared {
    pub(super) node: NodeId,
    /// The application of the feed's socket.
    pub(super) app: String,
    /// The application that channels enter.
    pub(super) control: String,
    pub(super) client: AriClient,
    pub(super) ids: CommandIds,
    pub(super) journal: Addr<Journal>,
    pub(super) connection: Addr<AriConnection>,
    pub(super) ends: watch::Receiver<Position>,
    /// Where the journal ended when this feed opened it, and when that was.
    pub(super) opened: (Position, f64),
    pub(super) leaving: Rc<Leaving>,
    pub(super) follower: Cell<Option<(u32, Position)>>,
    pub(super) connections: Cell<usize>,
    pub(super) socket: SocketFile,
}

/// The socket's file, as long as it is the one that was bound here.
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and number of the file.
    file: (u64, u64),
}

impl SocketFile {
    /// Listens, so that whoever may read the folder's owner's files may connect, and nobody else.
    pub(super) fn listen(path: &Path) -> Result<(Self, UnixListener), WireError> {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let failed = |source| WireError::Path { path: path.to_owned(), source };
        // Under another name first: nobody can connect before the mode is set, and a follower never finds nothing.
        let fresh = path.with_extension(std::process::id().to_string());
        // Left over from a process of the same number.
        let _ = std::fs::remove_file(&fresh);
        let listener = UnixListener::bind(&fresh).map_err(failed)?;
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
        let file = std::fs::symlink_metadata(&fresh).map(|found| (found.dev(), found.ino())).map_err(failed)?;
        std::fs::rename(&fresh, path).map_err(failed)?;
        Ok((Self { path: path.to_owned(), file }, listener))
    }

    /// Removes it, unless a successor's stands in its place. Whoever holds the journal's lock binds, so that none comes
    /// between the look and the removal.
    pub(super) fn remove(&self) {
        use std::os::unix::fs::MetadataExt;
        let ours = std::fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Takes connections until the feed leaves.
pub(super) async fn accept(shared: Rc<Shared>, listener: UnixListener) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) if shared.connections.get() < MAX_CONNECTIONS => {
                    shared.connections.set(shared.connections.get() + 1);
                    let shared = shared.clone();
                    actix::spawn(Box::pin(async move {
                        Visit::new(shared.clone(), stream).run().await;
                        shared.connections.set(shared.connections.get() - 1);
                    }));
                }
                Ok(_) => warn!(node = %shared.node, "more than {MAX_CONNECTIONS} connections: one more is refused"),
                Err(error) => {
                    warn!(node = %shared.node, %error, "the feed's socket can't accept");
                    sleep(SEND_LIMIT).await;
                }
            },
            () = shared.leaving.asked() => return,
        }
    }
}

/// One connection.
struct Visit {
    shared: Rc<Shared>,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    follows: bool,
}

/// How a connection goes on after a request.
enum Next {
    On,
    /// The feed hands over, and this connection has been told.
    Left,
}

impl Visit {
    fn new(shared: Rc<Shared>, stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self { shared, reader: BufReader::new(reader), writer, follows: false }
    }

    async fn run(mut self) {
        match self.talk().await {
            Ok(()) | Err(WireError::Closed | WireError::Io(_)) => {}
            Err(error) => {
                warn!(node = %self.shared.node, %error, "a connection to the feed is closed");
                let _ = self.say(&Answer::Error { reason: error.to_string() }).await;
            }
        }
        if self.follows {
            self.shared.follower.set(None);
            actix::spawn(Box::pin(let_go(self.shared.clone())));
        }
    }

    async fn talk(&mut self) -> Result<(), WireError> {
        self.hello().await?;
        let mut ends = self.shared.ends.clone();
        let mut statuses = interval(STATUS_EVERY);
        statuses.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let leaving = self.shared.leaving.clone();
        let mut line = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = leaving.asked() => return Ok(()),
                changed = ends.changed(), if self.follows => {
                    if changed.is_err() {
                        return Ok(());
                    }
                    let end = *ends.borrow_and_update();
                    self.say(&Answer::End(end)).await?;
                }
                read = wire::read_line(&mut self.reader, &mut line) => {
                    read?;
                    if let Next::Left = self.request(&line).await? {
                        return Ok(());
                    }
                    line.clear();
                }
                _ = statuses.tick(), if self.follows => self.status().await?,
            }
        }
    }

    async fn hello(&mut self) -> Result<(), WireError> {
        let Shared { node, app, ends, .. } = &*self.shared;
        let hello = Hello {
            protocol: PROTOCOL,
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            node: node.to_string(),
            app: app.clone(),
            end: *ends.borrow(),
        };
        self.say(&Answer::Hello(hello)).await
    }

    async fn say(&mut self, answer: &Answer) -> Result<(), WireError> {
        match timeout(SEND_LIMIT, wire::send(&mut self.writer, answer)).await {
            Ok(sent) => sent,
            // It doesn't read: it is cut off, never waited for.
            Err(_) => Err(WireError::Closed),
        }
    }

    async fn request(&mut self, line: &[u8]) -> Result<Next, WireError> {
        match wire::parse(line)? {
            Request::Follow { pid, committed } => self.follow(pid, committed).await?,
            Request::Append { id, lines } => {
                let answer = match self.append(&lines).await {
                    Ok(()) => Answer::Done { id },
                    Err(reason) => Answer::Refused { id, reason },
                };
                self.say(&answer).await?;
            }
            Request::Trim { before } => {
                self.must_follow()?;
                if let Ok(Err(error)) = self.shared.journal.send(Trim { before }).await {
                    warn!(node = %self.shared.node, %error, "segments could not be deleted");
                }
            }
            Request::Committed { position } => {
                self.must_follow()?;
                let pid = self.shared.follower.get().map_or(0, |(pid, _)| pid);
                self.shared.follower.set(Some((pid, position)));
            }
            Request::Status {} => self.status().await?,
            Request::Handover { pid } => {
                info!(node = %self.shared.node, "process {pid} hears everything: this feed hands over to it");
                let end = self.shared.leaving.hand_over(&self.shared, 1).await;
                self.say(&Answer::HandedOver { end }).await?;
                self.shared.leaving.done(pid);
                return Ok(Next::Left);
            }
        }
        Ok(Next::On)
    }

    fn must_follow(&self) -> Result<(), WireError> {
        if self.follows {
            Ok(())
        } else {
            Err(WireError::Garbage("only who follows may say that; send `follow`".into()))
        }
    }

    async fn follow(&mut self, pid: u32, committed: Position) -> Result<(), WireError> {
        if let Some((other, _)) = self.shared.follower.get().filter(|_| !self.follows) {
            return Err(WireError::Garbage(format!("process {other} follows this feed already: stop it first")));
        }
        self.follows = true;
        self.shared.follower.set(Some((pid, committed)));
        self.lost_end(committed).await;
        let Ok(journal) = self.shared.journal.send(QueryStatus).await else { return Err(WireError::Closed) };
        info!(node = %self.shared.node, "process {pid} follows, {} bytes behind", journal.end.since(committed));
        self.say(&Answer::Following { oldest: journal.oldest, end: journal.end }).await
    }

    /// Was more committed than the journal had when this feed opened it? Then a power failure took the journal's end, and
    /// what was appended since stands where the service has read already.
    async fn lost_end(&self, committed: Position) {
        let (opened, since) = self.shared.opened;
        let Ok(journal) = self.shared.journal.send(QueryStatus).await else { return };
        if committed <= opened || committed <= journal.end {
            return;
        }
        warn!(node = %self.shared.node, %opened, %committed, "the journal's end was lost: it goes on behind that");
        if let Ok(Err(error)) = self.shared.journal.send(StartAt(committed)).await {
            warn!(node = %self.shared.node, %error, "the journal can't go on at the committed position");
        }
        let gap = Gap { since, reason: "a power failure took the journal's end".into() };
        self.shared.journal.do_send(AppendEntry { at: wall_clock(), entry: EntryBody::Gap(gap) });
    }

    /// What is no entry that this version knows is noted as bad in its place, with a sample: refused it would come again,
    /// and the service's control socket would wait behind it.
    async fn append(&self, lines: &[&RawValue]) -> Result<(), String> {
        let mut frames = Vec::new();
        for raw in lines {
            let entry = match wire::piece(raw) {
                Ok(Piece::Frame(frame)) => {
                    frames.push(frame);
                    continue;
                }
                Ok(Piece::Entry(entry)) => entry,
                Err(error) => self.unknown(raw, &error),
            };
            self.append_frames(std::mem::take(&mut frames)).await?;
            let answer = deliver(&self.shared.journal.clone().recipient(), entry).await;
            answer.map_err(|error| error.to_string())?.map_err(|full| full.to_string())?;
        }
        self.append_frames(frames).await
    }

    async fn append_frames(&self, frames: Vec<Frame>) -> Result<(), String> {
        if frames.is_empty() {
            return Ok(());
        }
        let answer = deliver(&self.shared.journal.clone().recipient(), AppendFrames(frames)).await;
        answer.map_err(|error| error.to_string())?.map_err(|full| full.to_string())
    }

    fn unknown(&self, raw: &RawValue, error: &WireError) -> AppendEntry {
        let (text, sample) = (raw.get(), sample(raw.get().as_bytes()));
        warn!(node = %self.shared.node, %error, sample, "an entry of the service is not known, and noted as bad");
        let reason =
            format!("an entry that the feed process, version {}, doesn't know: {error}", env!("CARGO_PKG_VERSION"));
        let bad = BadFrame { reason, length: text.len(), sample };
        AppendEntry { at: wall_clock(), entry: EntryBody::Bad(bad) }
    }

    async fn status(&mut self) -> Result<(), WireError> {
        match self.shared.status().await {
            Some(status) => self.say(&Answer::Status(Box::new(status))).await,
            None => Err(WireError::Closed),
        }
    }
}

impl Shared {
    /// How the feed is; `None` when an actor of it has ended.
    pub(super) async fn status(&self) -> Option<FeedStatus> {
        let connection = self.connection.send(ConnectionStatus).await.ok()?;
        let journal = self.journal.send(QueryStatus).await.ok()?;
        let follower = self.follower.get().map(|(pid, committed)| Follower {
            pid,
            committed,
            behind_bytes: journal.end.since(committed),
        });
        Some(FeedStatus {
            node: self.node.to_string(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            app: self.app.clone(),
            connected: connection.state == State::Connected && connection.prepared,
            last_error: connection.last_error.or_else(|| journal.last_error.clone()),
            frames: connection.frames,
            waiting_bytes: connection.waiting_bytes,
            journal,
            follower,
        })
    }
}

/// The service has gone: callers who had just entered its application go on, before they hear a silence.
async fn let_go(shared: Rc<Shared>) {
    for wait in RELEASES {
        sleep(wait).await;
        if shared.follower.get().is_some() || shared.leaving.is_asked() {
            return;
        }
        let journal = shared.journal.clone();
        let whose = (&shared.node, &shared.client, shared.control.as_str());
        // As many entries as callers wait.
        let record = |entry| journal.do_send(AppendEntry { at: wall_clock(), entry });
        within_limit(release(whose, &shared.ids, record)).await;
    }
}
