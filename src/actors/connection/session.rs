//! One socket, from the handshake to its end. Reading waits for nothing but the socket.

use std::rc::Rc;
use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use memchr::memmem::Finder;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, sleep_until};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tracing::warn;

use super::Control;
use super::control::FeedGate;
use super::hearing::Hearing;
use super::life::{Life, NO_FEED};
use super::outbox::{Outbox, WAITING_BYTES};
use super::prepare::Prepare;
use super::status::{Shared, State};
use crate::actors::ari_http::{AriClient, Socket};
use crate::actors::ari_socket::Serving;
use crate::actors::audit::{self, CommandIds};
use crate::actors::messages::{EntryBody, Frame, FrameBody, wall_clock};
use crate::ari::entry::{BadFrame, SAMPLE_BYTES};
use crate::ari::request::{ApplicationAction, Request};
use crate::model::{NodeId, Timestamp};

/// Frames read before others on this thread get their turn.
const BATCH: usize = 256;
/// Frames that lie ready together share a look at the clock, so many at most.
const ONE_CLOCK: usize = 32;
/// How long a close that we began may take.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);
/// A socket that takes no bytes is tried again after this time.
const FULL_PAUSE: Duration = Duration::from_millis(10);
/// Events about an application are short; longer frames are not searched for them.
const ABOUT_MAX_BYTES: usize = 1_024;
/// No configured interval is longer than this, milliseconds: moments would overflow.
const DAY_MS: u64 = 24 * 3_600 * 1_000;
/// Another client took the application. The search for it, prepared once.
static REPLACED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ApplicationReplaced"));
/// Where Asterisk connected to us: it has sent all that it kept.
static REGISTERED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("ApplicationRegistered"));
/// Seconds between two looks at Asterisk's clock in its events.
const CLOCK_EVERY_S: f64 = 1.0;

/// How a session, or the try at one, ended.
pub(super) enum Ended {
    /// We were told to stop.
    Stopped,
    /// Another client took the application.
    Replaced {
        /// Whether the application was subscribed to everything then: it stays so as long as that client is there.
        whole: bool,
    },
    /// Anything else; the session had lasted so long.
    Lost {
        /// For people, and for the gap.
        reason: String,
        /// Zero when there was no session.
        lasted: Duration,
    },
}

pub(super) struct Session {
    node: NodeId,
    app: String,
    max_frame_bytes: usize,
    socket: Socket,
    outbox: Outbox,
    status: Shared,
    control: Rc<Control>,
    client: Rc<AriClient>,
    ids: Rc<CommandIds>,
    pub(super) gate: FeedGate,
    pub(super) hearing: Rc<Hearing>,
    began: Instant,
    last_heard: Instant,
    dead_after: Duration,
    ping_every: Duration,
    /// The ping whose pong is awaited: its number and when it was sent.
    ping: (u64, f64),
    clock_seen: f64,
    /// Requests on their way out, and who waits for answers.
    rest: Serving,
    /// Whether the last bytes have not left yet.
    full: bool,
    /// Whether Asterisk may be written to. One that connected to us may not before its first message: it can take 5 s to
    /// answer else (measured).
    spoken: bool,
}

impl Session {
    /// The handshake is done.
    pub(super) fn begin(life: &Life, socket: Socket) -> Self {
        let now = wall_clock();
        {
            let mut status = life.status.borrow_mut();
            status.enter(State::Connected);
            status.view.sessions += 1;
        }
        let began = Instant::now();
        Self {
            node: life.node.clone(),
            app: life.http.app().to_owned(),
            max_frame_bytes: life.http.max_frame_bytes(),
            socket,
            outbox: life.outbox.clone(),
            status: life.status.clone(),
            control: life.control.clone(),
            client: life.client.clone(),
            ids: life.ids.clone(),
            gate: life.gate.clone(),
            hearing: Rc::new(Hearing::new(now, life.gate.is_control(), life.accept.is_some())),
            spoken: life.accept.is_none(),
            began,
            last_heard: began,
            dead_after: Duration::from_millis(life.ari.dead_after_ms.clamp(1, DAY_MS)),
            ping_every: Duration::from_millis(life.ari.ping_interval_ms.clamp(1, DAY_MS)),
            ping: (0, now),
            clock_seen: 0.0,
            rest: life.rest.begin(),
            full: false,
        }
    }

    /// Reads until the end; says how it ended and what was heard.
    pub(super) async fn run(mut self, prepare: Prepare) -> (Ended, Rc<Hearing>) {
        let ended = match self.read(prepare).await {
            Ok(()) => {
                self.quieten().await;
                self.close().await;
                Ended::Stopped
            }
            Err(End::Replaced) => {
                let whole = self.hearing.everything.get() && !self.gate.is_control();
                self.close().await;
                Ended::Replaced { whole }
            }
            Err(End::OnPurpose(reason)) => {
                self.quieten().await;
                self.close().await;
                Ended::Lost { reason, lasted: self.lasted() }
            }
            Err(End::Broken(reason)) => Ended::Lost { reason, lasted: self.lasted() },
        };
        (ended, self.hearing)
    }

    /// `Ok` when told to stop.
    async fn read(&mut self, prepare: Prepare) -> Result<(), End> {
        let (control, outbox, gate) = (self.control.clone(), self.outbox.clone(), self.gate.clone());
        let mut preparing = Box::pin(prepare.run()).fuse();
        let mut pings = interval_at(self.began + self.ping_every, self.ping_every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let dead_at = self.last_heard + self.dead_after;
            tokio::select! {
                message = self.socket.next() => {
                    self.batch(message)?;
                    // Others on this thread, the way to the journal first, get their turn.
                    tokio::task::yield_now().await;
                }
                () = control.stopping() => return Ok(()),
                () = gate.closed() => return Err(End::OnPurpose(NO_FEED.to_owned())),
                reason = outbox.failure() => return Err(End::OnPurpose(reason)),
                _ = pings.tick(), if self.spoken => self.ping()?,
                prepared = &mut preparing => {
                    prepared.map_err(End::OnPurpose)?;
                    self.rest.prepared(self.status.borrow().view.asterisk_version.as_deref());
                }
                request = self.rest.next(), if !self.full => self.send(Message::text(request))?,
                () = sleep(FULL_PAUSE), if self.full => self.flush()?,
                () = sleep_until(dead_at) => self.maybe_dead()?,
            }
        }
    }

    /// A message and whatever else is there already.
    fn batch(&mut self, first: Option<Result<Message, Error>>) -> Result<(), End> {
        let mut next = Some(first);
        let mut left = BATCH;
        let mut at = wall_clock();
        while let Some(message) = next {
            self.message(message, at)?;
            left -= 1;
            if left.is_multiple_of(ONE_CLOCK) {
                at = wall_clock();
            }
            next = if left == 0 { None } else { self.socket.next().now_or_never() };
        }
        self.last_heard = Instant::now();
        self.spoken = true;
        let waiting = self.outbox.waiting_bytes() + self.hearing.held_bytes.get();
        self.status.borrow_mut().view.waiting_bytes = waiting;
        if waiting > WAITING_BYTES {
            return Err(End::OnPurpose(format!("the journal is too slow: {waiting} bytes wait for it")));
        }
        Ok(())
    }

    fn message(&mut self, message: Option<Result<Message, Error>>, at: f64) -> Result<(), End> {
        let message = match message {
            None => return Err(End::Broken("the connection broke off without a close frame".into())),
            Some(Err(error)) => return Err(self.failed(&error)),
            Some(Ok(message)) => message,
        };
        match message {
            Message::Text(text) => self.text(text, at),
            // What Asterisk sent as text comes so too, unchecked.
            Message::Binary(bytes) => match text_of(bytes, self.max_frame_bytes) {
                FrameBody::Text(text) => self.text(text, at),
                other => {
                    self.keep(at, other);
                    Ok(())
                }
            },
            Message::Pong(payload) => {
                let (number, sent) = self.ping;
                if payload.as_ref() == number.to_be_bytes() {
                    // Events before our ping came before its pong.
                    self.hearing.until(sent);
                }
                Ok(())
            }
            Message::Close(frame) => {
                let why = frame.map_or_else(String::new, |f| format!(" ({}{}{})", f.code, sep(&f.reason), f.reason));
                Err(End::Broken(format!("Asterisk closed the socket{why}")))
            }
            // A ping is answered by the library; a raw frame is never given to a reader.
            Message::Ping(_) | Message::Frame(_) => Ok(()),
        }
    }

    fn text(&mut self, text: Utf8Bytes, at: f64) -> Result<(), End> {
        if self.rest.takes(&text) {
            return Ok(());
        }
        let replaced = is_about(&REPLACED, &text, &self.app);
        if (at - self.clock_seen).abs() > CLOCK_EVERY_S {
            self.clock_seen = at;
            if let Some(theirs) = timestamp(&text) {
                self.status.borrow_mut().saw_clock(theirs.secs_f64(), at, true);
            }
        }
        let registered = self.hearing.in_backlog() && is_about(&REGISTERED, &text, &self.app);
        self.keep(at, FrameBody::Text(text));
        if registered {
            self.hearing.end_backlog();
        }
        if replaced { Err(End::Replaced) } else { Ok(()) }
    }

    fn keep(&mut self, at: f64, body: FrameBody) {
        {
            let mut status = self.status.borrow_mut();
            status.view.frames += 1;
            status.view.bytes += body.came() as u64;
        }
        self.hearing.keep(&self.outbox, Frame { at, body });
    }

    /// What an error of the socket means. A frame that can't be taken leaves a mark in the journal.
    fn failed(&self, error: &Error) -> End {
        let bad = |reason: String, length| {
            self.outbox.entry(EntryBody::Bad(BadFrame { reason: reason.clone(), length, sample: String::new() }));
            End::OnPurpose(reason)
        };
        match error {
            Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => bad(
                format!("a frame of {size} bytes is far larger than ari.max_frame_bytes: {max_size} are read"),
                *size,
            ),
            Error::ConnectionClosed | Error::AlreadyClosed => End::Broken("Asterisk closed the socket".into()),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                End::Broken("the connection broke off without a close frame".into())
            }
            other => End::Broken(format!("the socket failed: {other}")),
        }
    }

    fn ping(&mut self) -> Result<(), End> {
        if self.hearing.everything.get() {
            self.outbox.alive(self.hearing.certain.get());
        }
        self.ping = (self.ping.0 + 1, wall_clock());
        let ping = Message::Ping(self.ping.0.to_be_bytes().to_vec().into());
        self.send(ping)
    }

    /// Polled once, never awaited: a link that takes no bytes must not hold up the reading. While the last message has
    /// not left, another one would be dropped.
    fn send(&mut self, message: Message) -> Result<(), End> {
        let sent = self.socket.send(message).now_or_never();
        self.left(sent)
    }

    fn flush(&mut self) -> Result<(), End> {
        let flushed = self.socket.flush().now_or_never();
        self.left(flushed)
    }

    fn left(&mut self, all: Option<Result<(), Error>>) -> Result<(), End> {
        self.full = all.is_none();
        match all {
            Some(Err(error)) => Err(self.failed(&error)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Nothing came for too long. If this process was frozen meanwhile, something may lie ready all the same.
    fn maybe_dead(&mut self) -> Result<(), End> {
        if let Some(message) = self.socket.next().now_or_never() {
            return self.batch(message);
        }
        self.status.borrow_mut().view.dead_links += 1;
        let ms = self.dead_after.as_millis();
        Err(End::Broken(format!("dead link: nothing came for {ms} ms, not even an answer to pings")))
    }

    /// Before a close of ours: no more device states. Asterisk 22.10.1 stops answering for ever, to every client, when a
    /// socket closes while a device state is on its way to it: closing, it holds the session's lock and waits for the
    /// delivery, which waits for that lock (seen by a debugger: `stasis_app_unregister`, `stasis_unsubscribe_and_join`
    /// against `stasis_app_send`). Reading goes on meanwhile.
    async fn quieten(&mut self) {
        if self.gate.is_control() {
            return;
        }
        let (client, id) = (self.client.clone(), self.ids.next());
        let sources = ApplicationAction::Unsubscribe(vec!["deviceState:".into()]);
        let request = Request::application(self.app.as_str(), sources);
        self.outbox.entry(EntryBody::Command(request.to_command(id.as_str(), "connection")));
        let asking = tokio::time::timeout(CLOSE_LIMIT, client.ask(&request));
        let mut asking = std::pin::pin!(asking);
        let answer = loop {
            tokio::select! {
                answer = &mut asking => break answer,
                message = self.socket.next() => match message {
                    Some(Ok(message)) => self.keep_late(message),
                    // There is nothing left to close.
                    Some(Err(_)) | None => return,
                }
            }
        };
        if let Ok(answer) = answer {
            self.outbox.entry(EntryBody::Reply(audit::reply(id, &answer)));
        }
    }

    /// An event that was on its way when the session was to end.
    fn keep_late(&mut self, message: Message) {
        let body = match message {
            Message::Text(text) => FrameBody::Text(text),
            Message::Binary(bytes) => text_of(bytes, self.max_frame_bytes),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return,
        };
        match body {
            FrameBody::Text(text) if self.rest.takes(&text) => {}
            body => self.keep(wall_clock(), body),
        }
    }

    /// Closes in order; events that were on their way are kept.
    async fn close(&mut self) {
        let closing = async {
            self.socket.close(None).await.ok()?;
            while let Some(Ok(message)) = self.socket.next().await {
                self.hearing.closed.set(message.is_close());
                self.keep_late(message);
            }
            Some(())
        };
        if tokio::time::timeout(CLOSE_LIMIT, closing).await.is_err() {
            warn!(node = %self.node, "Asterisk did not answer our close within {} ms", CLOSE_LIMIT.as_millis());
        }
    }

    fn lasted(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Why reading ended.
enum End {
    Replaced,
    /// We close.
    OnPurpose(String),
    /// There is nothing left to close.
    Broken(String),
}

/// A message as text where it is text. One above the limit is let go at once, but for what a sample needs.
fn text_of(bytes: Bytes, max_frame_bytes: usize) -> FrameBody {
    if bytes.len() > max_frame_bytes {
        return FrameBody::TooLong {
            length: bytes.len(),
            begin: Bytes::copy_from_slice(&bytes[..SAMPLE_BYTES.min(bytes.len())]),
        };
    }
    match Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => FrameBody::Text(text),
        Err(_) => FrameBody::Binary(bytes),
    }
}

fn sep(reason: &Utf8Bytes) -> &'static str {
    if reason.is_empty() { "" } else { ": " }
}

/// Whether the frame is of this type and about `app`. A search of the bytes first: nearly every frame is another.
fn is_about(kind: &Finder<'_>, text: &str, app: &str) -> bool {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type")]
        kind: &'a str,
        application: &'a str,
    }
    text.len() <= ABOUT_MAX_BYTES
        && kind.find(text.as_bytes()).is_some()
        && serde_json::from_str::<Head<'_>>(text)
            .is_ok_and(|head| head.kind.as_bytes() == kind.needle() && head.application == app)
}

/// The event's timestamp.
fn timestamp(text: &str) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Head {
        timestamp: Timestamp,
    }
    serde_json::from_str::<Head>(text).ok().map(|head| head.timestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_application_taken_from_us_counts_as_replaced() {
        let yes = r#"{"type":"ApplicationReplaced","timestamp":"2026-11-22T12:55:43.350+0000","application":"cc"}"#;
        assert!(is_about(&REPLACED, yes, "cc"));
        assert!(!is_about(&REPLACED, yes, "other"));
        assert!(!is_about(&REPLACED, r#"{"type":"X","application":"cc","caller":"ApplicationReplaced"}"#, "cc"));
        assert!(!is_about(&REPLACED, "ApplicationReplaced", "cc"));
        assert_eq!(timestamp(yes).map(|t| t.to_string()).as_deref(), Some("2026-11-22T12:55:43.350Z"));
    }
}
