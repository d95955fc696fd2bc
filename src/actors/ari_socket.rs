//! Requests over the event socket: whoever asks puts a frame in line, the session that holds the socket sends it and
//! gives the answer back, matched by the request's id. Nothing here waits for the socket, and the socket's reader waits
//! for nothing here.
//!
//! Whether the server takes requests there is found out anew after each connect: its version may say that it can't
//! (such a server is never sent a frame that it doesn't know), else one `GET asterisk/ping` must be answered soon. A
//! server whose socket ended over that question twice in a row is not asked again while its version is the same, so that
//! the question doesn't cost session after session. Until it is known, and whenever it is not so, requests go over HTTP.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustc_hash::FxBuildHasher;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::ari::request::Request;
use crate::ari::socket_rest::{self, Heard, Response};
use crate::config;
use crate::model::NodeId;

/// Frames that may wait for a socket that takes no bytes: several times the most that are under way at once
/// (`ari.max_in_flight`); one more is refused.
const QUEUE: usize = 256;
/// How long the question whether the server takes requests may stay unanswered.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
/// So many sessions in a row may end over that question.
const LOST_SESSIONS: u32 = 2;

/// How requests travel now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InUse {
    /// Over HTTP.
    Http,
    /// Over the event socket.
    Websocket,
}

/// What is shown of the transport.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TransportView {
    /// `ari.transport`.
    pub configured: config::Transport,
    /// How requests travel now.
    pub in_use: InUse,
    /// Why.
    pub why: String,
    /// Whether the server was found not to take requests on the socket, though it is connected.
    pub refused: bool,
    /// Answers on the socket for which nobody waited (late, doubled or unreadable), since the start.
    pub stray_answers: u64,
}

impl TransportView {
    /// Whether the event socket was asked for and the server doesn't take requests there.
    pub fn is_unwanted(&self) -> bool {
        self.refused && self.configured == config::Transport::Websocket
    }
}

/// What became of a request.
#[derive(Debug)]
pub(super) enum Fate {
    /// Asterisk answered.
    Answered {
        /// HTTP's status.
        status: u16,
        /// HTTP's body.
        body: Bytes,
    },
    /// It was not sent: the socket is of no use for it.
    NotSent,
    /// Too many frames wait for the socket; it was not sent.
    Full,
    /// The socket ended before the answer: it may or may not have been done.
    Lost,
}

#[derive(Debug)]
enum Support {
    NotConnected,
    /// Connected; not known yet.
    Unknown,
    Yes,
    No(String),
}

struct Outgoing {
    number: u64,
    text: String,
}

struct Line {
    session: u64,
    to: mpsc::Sender<Outgoing>,
    awaited: HashMap<u64, oneshot::Sender<Fate>, FxBuildHasher>,
}

struct State {
    line: Option<Line>,
    support: Support,
    /// The last request's number; also numbers sessions.
    last: u64,
    /// Sessions in a row that ended over the question, and the version of the server then.
    lost: (u32, String),
    stray_answers: u64,
}

struct Inner {
    node: NodeId,
    configured: config::Transport,
    state: Mutex<State>,
}

/// One Asterisk's way for requests over its event socket; clones are the same way.
#[derive(Clone)]
pub struct SocketRest(Arc<Inner>);

impl SocketRest {
    /// A way without a socket yet.
    pub fn new(node: NodeId, configured: config::Transport) -> Self {
        let support = Support::NotConnected;
        let state = State { line: None, support, last: 0, lost: (0, String::new()), stray_answers: 0 };
        Self(Arc::new(Inner { node, configured, state: Mutex::new(state) }))
    }

    /// How requests travel now, and why.
    pub fn view(&self) -> TransportView {
        let state = self.state();
        let (in_use, why) = match (&state.support, self.0.configured) {
            (_, config::Transport::Http) => (InUse::Http, "ari.transport is \"http\"".to_owned()),
            (Support::NotConnected, _) => (InUse::Http, "the event socket is not connected".to_owned()),
            (Support::Unknown, _) => (InUse::Http, "whether the server takes requests is being found out".to_owned()),
            (Support::Yes, _) => (InUse::Websocket, "the server takes requests on the event socket".to_owned()),
            (Support::No(why), _) => (InUse::Http, why.clone()),
        };
        TransportView {
            configured: self.0.configured,
            in_use,
            why,
            refused: matches!(state.support, Support::No(_)),
            stray_answers: state.stray_answers,
        }
    }

    /// Sends a request over the socket, if there is one that takes requests. It has no limit of its own; giving up
    /// (dropping this) takes the request back if it has not been sent.
    pub(super) async fn ask(&self, request: &Request, transaction_id: &str) -> Fate {
        match self.put(request, transaction_id) {
            // The sender is only lost together with the session.
            Ok((mut waiting, _guard)) => (&mut waiting).await.unwrap_or(Fate::Lost),
            Err(fate) => fate,
        }
    }

    fn put(&self, request: &Request, transaction_id: &str) -> Result<(oneshot::Receiver<Fate>, Awaited), Fate> {
        let mut state = self.state();
        if !matches!(state.support, Support::Yes) || !socket_rest::takes(request) {
            return Err(Fate::NotSent);
        }
        let number = state.next();
        let text = socket_rest::frame(request, &request_id(number), transaction_id).ok_or(Fate::NotSent)?;
        let line = state.line.as_mut().ok_or(Fate::NotSent)?;
        match line.to.try_send(Outgoing { number, text }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(Fate::Full),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(Fate::NotSent),
        }
        let (give, take) = oneshot::channel();
        line.awaited.insert(number, give);
        Ok((take, Awaited { rest: self.clone(), number }))
    }

    /// A request got no answer in time: others go over HTTP until the next connect, which finds out anew.
    pub(super) fn doubt(&self) {
        let mut state = self.state();
        if matches!(state.support, Support::Yes) {
            let why = "a request on the event socket got no answer in time; the next connect finds out anew";
            warn!(node = %self.0.node, "requests go over HTTP from now on: {why}");
            state.support = Support::No(why.to_owned());
        }
    }

    /// A session has begun: from now on this end serves the requests.
    pub(super) fn begin(&self) -> Serving {
        let (to, outgoing) = mpsc::channel(QUEUE);
        let mut state = self.state();
        let session = state.next();
        state.line = Some(Line { session, to, awaited: HashMap::default() });
        state.support = Support::Unknown;
        Serving { rest: self.clone(), session, outgoing, probe: None, asked: false }
    }

    /// Notes whether the server takes requests, and says so.
    fn settle(&self, support: Support) {
        let node = &self.0.node;
        match (&support, self.0.configured) {
            (Support::Yes, _) => info!(%node, "requests go over the event socket"),
            (Support::No(why), config::Transport::Websocket) => {
                warn!(%node, "ari.transport is \"websocket\", but requests go over HTTP: {why}");
            }
            (Support::No(why), _) => info!(%node, "requests go over HTTP: {why}"),
            (Support::NotConnected | Support::Unknown, _) => {}
        }
        self.state().support = support;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is whole before the lock is let go.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn awaited(&mut self, number: u64) -> Option<oneshot::Sender<Fate>> {
        self.line.as_mut()?.awaited.remove(&number)
    }
}

fn request_id(number: u64) -> String {
    format!("r{number}")
}

/// Somebody waits for the answer to this request, until this is dropped.
struct Awaited {
    rest: SocketRest,
    number: u64,
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.rest.state().awaited(self.number);
    }
}

/// The session's end of the way; dropping it ends what is under way.
pub(super) struct Serving {
    rest: SocketRest,
    session: u64,
    outgoing: mpsc::Receiver<Outgoing>,
    probe: Option<Probe>,
    /// Whether anything was sent: before that no answer can come.
    asked: bool,
}

/// The question whether the server takes requests.
struct Probe {
    number: u64,
    /// `None` once it is sent.
    text: Option<String>,
    until: Instant,
    version: String,
}

impl Serving {
    /// Asterisk is known by now: finds out whether it takes requests.
    pub(super) fn prepared(&mut self, version: Option<&str>) {
        let version = version.unwrap_or("of unknown version");
        match self.rest.0.configured {
            config::Transport::Http => return,
            config::Transport::Auto | config::Transport::Websocket => {}
        }
        if socket_rest::is_in_version(version) == Some(false) {
            let why = format!("Asterisk {version} takes none on the event socket (20.14, 21.9 and 22.4 do)");
            return self.rest.settle(Support::No(why));
        }
        let (lost, of) = self.rest.state().lost.clone();
        if lost >= LOST_SESSIONS && of == version {
            let why = format!("the event socket ended {lost} times when Asterisk {version} was asked for it there");
            return self.rest.settle(Support::No(why));
        }
        let number = self.rest.state().next();
        let text = socket_rest::frame(&Request::Ping, &request_id(number), "probe");
        self.probe = Some(Probe { number, text, until: Instant::now() + PROBE_LIMIT, version: version.to_owned() });
    }

    /// The next frame to send, as soon as there is one. May be dropped and called again.
    pub(super) async fn next(&mut self) -> String {
        loop {
            if let Some(text) = self.probe.as_mut().and_then(|probe| probe.text.take()) {
                self.asked = true;
                return text;
            }
            let until = self.probe.as_ref().map(|probe| probe.until);
            let late = async { sleep_until(until.unwrap_or_else(Instant::now)).await };
            tokio::select! {
                next = self.outgoing.recv() => match next {
                    // One that was given up meanwhile is not sent any more.
                    Some(next) if self.is_awaited(next.number) => return next.text,
                    Some(_) => {}
                    None => std::future::pending::<()>().await,
                },
                () = late, if until.is_some() => {
                    let ms = PROBE_LIMIT.as_millis();
                    self.found(Support::No(format!("the server didn't answer on the event socket within {ms} ms")));
                }
            }
        }
    }

    /// Whether the frame was an answer, and no event. Who waited for it has it now.
    pub(super) fn takes(&mut self, text: &str) -> bool {
        if !self.asked {
            return false;
        }
        match socket_rest::hear(text) {
            Heard::Event => return false,
            Heard::Response(response) => self.answer(&response),
            Heard::Unreadable(why) => self.stray(&why),
        }
        true
    }

    fn answer(&mut self, response: &Response<'_>) {
        let number = response.request_id.strip_prefix('r').and_then(|n| n.parse().ok());
        if let Some(probe) = self.probe.as_ref().filter(|probe| Some(probe.number) == number) {
            let (status, version) = (response.status_code, &probe.version);
            let support = match status {
                200..300 => Support::Yes,
                _ => Support::No(format!(
                    "Asterisk {version} answered {status} to GET asterisk/ping on the event socket"
                )),
            };
            return self.found(support);
        }
        let waiting = number.and_then(|number| self.rest.state().awaited(number));
        let body = response.message_body.as_deref().map_or_else(Bytes::new, |body| Bytes::from(body.to_owned()));
        let fate = Fate::Answered { status: response.status_code, body };
        if waiting.is_none_or(|waiting| waiting.send(fate).is_err()) {
            self.stray(&format!("nobody waits for the answer to '{}'", response.request_id));
        }
    }

    fn stray(&self, why: &str) {
        debug!(node = %self.rest.0.node, "an answer on the event socket is of no use: {why}");
        self.rest.state().stray_answers += 1;
    }

    fn found(&mut self, support: Support) {
        self.probe = None;
        self.rest.state().lost = (0, String::new());
        self.rest.settle(support);
    }

    fn is_awaited(&self, number: u64) -> bool {
        self.rest.state().line.as_ref().is_some_and(|line| line.awaited.contains_key(&number))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let mut state = self.rest.state();
        if let Some(probe) = self.probe.take().filter(|probe| probe.text.is_none()) {
            let before = if state.lost.1 == probe.version { state.lost.0 } else { 0 };
            state.lost = (before + 1, probe.version);
        }
        // A session that has begun since keeps its line.
        let Some(mut line) = state.line.take_if(|line| line.session == self.session) else { return };
        state.support = Support::NotConnected;
        drop(state);
        self.outgoing.close();
        while let Ok(unsent) = self.outgoing.try_recv() {
            if let Some(waiting) = line.awaited.remove(&unsent.number) {
                // Who gave up meanwhile needs no word.
                let _ = waiting.send(Fate::NotSent);
            }
        }
        for (_, waiting) in line.awaited.drain() {
            let _ = waiting.send(Fate::Lost);
        }
    }
}
