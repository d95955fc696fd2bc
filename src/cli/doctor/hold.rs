//! Holding the application for a while: the event socket stays open, and each channel that enters goes on in the
//! dialplan at once, so that no caller waits for doctor.

use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use super::events::{self, Entered, Watch};
use crate::actors::ari_http::{AriClient, AriHttp, Socket};
use crate::ari::outcome::Outcome;
use crate::ari::request::{ApplicationAction, ChannelAction, ContinueAt, Request};

/// Connections for continuing channels.
const CONNECTIONS: usize = 2;
/// How long the farewell may take; what entered meanwhile is still continued.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Between two refreshes of the guard.
const PULSE: Duration = Duration::from_secs(1);

/// What was seen by the socket first.
pub(super) enum Seen {
    /// A channel entered; what became of continuing it.
    Call(Entered, Outcome),
    /// The socket can't tell any more; why.
    End(String),
}

/// The application, held by doctor.
pub(super) struct Held {
    seen: mpsc::Receiver<Seen>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Held {
    /// Holds it from now on.
    pub(super) fn new(http: &AriHttp, socket: Socket, guard: &str) -> Self {
        // One is enough: only the first is told of.
        let (tell, seen) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let (app, guard) = (http.app().to_owned(), guard.to_owned());
        let watch = Watch::new(&app);
        let holder = Holder { app, watch, guard, client: Rc::new(http.client(CONNECTIONS)), socket, tell };
        Self { seen, stop, task: actix::spawn(holder.run(stopped)) }
    }

    /// The first call, or why there can't be one any more; `None` when nothing came in time.
    pub(super) async fn wait(&mut self, limit: Duration) -> Option<Seen> {
        tokio::time::timeout(limit, self.seen.recv()).await.ok().flatten()
    }

    /// Gives the application back.
    pub(super) async fn release(self) {
        drop(self.stop);
        // The task has a limit of its own; a failure of it has nothing more to say.
        let _ = self.task.await;
    }
}

struct Holder {
    app: String,
    watch: Watch,
    /// The variable by which the dialplan sees that the application is held; empty: none.
    guard: String,
    client: Rc<AriClient>,
    socket: Socket,
    tell: mpsc::Sender<Seen>,
}

impl Holder {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut pulse = tokio::time::interval(PULSE);
        let end = loop {
            tokio::select! {
                _ = pulse.tick(), if !self.guard.is_empty() => self.refresh().await,
                _ = &mut stopped => break None,
                message = self.socket.next() => match message {
                    Some(Ok(Message::Close(_))) | None => break Some("Asterisk closed the event socket".to_owned()),
                    Some(Err(error)) => break Some(format!("the event socket failed: {error}")),
                    Some(Ok(message)) => if let Some(text) = text_of(&message) {
                        if events::replaced(text, &self.app) {
                            break Some("another client took the application".to_owned());
                        }
                        self.text(text).await;
                    },
                },
            }
        };
        if !self.guard.is_empty() {
            let stale = Request::SetGlobalVariable { name: self.guard.clone(), value: String::new() };
            // If it can't be emptied, it is stale in a few seconds.
            let _ = self.client.ask(&stale).await;
        }
        if let Some(reason) = end {
            // Full when a call was told of before: then nobody asks for this.
            let _ = self.tell.try_send(Seen::End(reason));
        }
        // Asterisk 22.10.1 can hang when a socket closes while a device state is on its way to it (`connection/session.rs`).
        let (client, sources) = (self.client.clone(), ApplicationAction::Unsubscribe(vec!["deviceState:".into()]));
        let quieten = Request::application(self.app.as_str(), sources);
        let _ = tokio::time::timeout(CLOSE_LIMIT, self.hearing_until(client.ask(&quieten))).await;
        let _ = self.socket.send(Message::Close(None)).await;
        let _ = tokio::time::timeout(CLOSE_LIMIT, self.hearing_until(std::future::pending::<()>())).await;
    }

    /// Channels that enter before Asterisk has seen our close go on as well.
    async fn hearing_until<T>(&mut self, over: impl Future<Output = T>) {
        let mut over = std::pin::pin!(over);
        loop {
            tokio::select! {
                _ = &mut over => return,
                message = self.socket.next() => match message {
                    Some(Ok(message)) => if let Some(text) = text_of(&message) {
                        self.text(text).await;
                    },
                    Some(Err(_)) | None => return,
                },
            }
        }
    }

    /// As the service does while it holds the application.
    async fn refresh(&self) {
        if let Some(at) = self.client.ask(&Request::Ping).await.epoch_second() {
            // A refusal was told by the step that tried to write.
            let _ = self.client.ask(&Request::Heartbeat { name: self.guard.clone(), at }).await;
        }
    }

    async fn text(&mut self, text: &str) {
        let Some(entered) = self.watch.frame(text) else { return };
        let go_on = ChannelAction::Continue(ContinueAt::default());
        let answer = self.client.ask(&Request::channel(entered.channel.as_str(), go_on)).await;
        // Full when a call was told of before.
        let _ = self.tell.try_send(Seen::Call(entered, answer.outcome));
    }
}

/// An event's text: what Asterisk sends as text comes unchecked, as bytes (`ari_http/unchecked.rs`).
fn text_of(message: &Message) -> Option<&str> {
    match message {
        Message::Text(text) => Some(text),
        Message::Binary(bytes) => std::str::from_utf8(bytes).ok(),
        Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => None,
    }
}
