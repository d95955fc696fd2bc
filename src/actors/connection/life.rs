//! The connection's life: connect, listen, wait, again; for years.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use actix::Recipient;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::away::Away;
use super::control::{AT_ONCE, FeedGate};
use super::outbox::Outbox;
use super::prepare::{Application, Prepare};
use super::session::{Ended, Session};
use super::status::{Shared, State};
use super::{Accept, ConnectionSetup, Control};
use crate::actors::ari_http::{AriClient, AriHttp, Listener, Socket};
use crate::actors::ari_socket::SocketRest;
use crate::actors::audit::CommandIds;
use crate::actors::backoff::Backoff;
use crate::actors::messages::AppendFrames;
use crate::ari::entry::Gap;
use crate::ari::outcome::Outcome;
use crate::ari::request::{ApplicationAction, Request};
use crate::config;
use crate::model::NodeId;

/// REST connections of ours, beside those of the command actor.
const REST_CONNECTIONS: usize = AT_ONCE + 1;
/// Why the control socket stays closed.
pub(super) const NO_FEED: &str = "the feed process takes nothing, so callers are not asked into the application: see \
    whether `callcenter feed` runs (`callcenter feed --status`)";
/// How long the last entries may take into the journal when we stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Everything that outlives a session.
pub(super) struct Life {
    pub(super) node: NodeId,
    pub(super) http: AriHttp,
    pub(super) rest: SocketRest,
    pub(super) ari: config::Ari,
    pub(super) client: Rc<AriClient>,
    pub(super) ids: Rc<CommandIds>,
    pub(super) outbox: Outbox,
    pub(super) status: Shared,
    pub(super) control: Rc<Control>,
    /// Until when everything was certainly heard and why not since; `None` before the first session ever.
    pub(super) heard: Option<Gap>,
    /// Whether callers may wait in the application of whom nobody knows: since the start, or the end of a session.
    pub(super) stranded: bool,
    pub(super) journal: Recipient<AppendFrames>,
    pub(super) gate: FeedGate,
    pub(super) accept: Option<Accepting>,
    /// The last session was closed in order in accept mode: until when everything was certainly heard.
    closed: Option<f64>,
    backoff: Backoff,
}

/// Where Asterisk connects to us, and how sessions ended before.
pub(super) struct Accepting {
    listener: Listener,
    pub(super) away: Rc<Away>,
}

impl Life {
    /// The life, and the task that carries entries to the journal for it; whoever runs the one runs the other.
    pub(super) fn new(
        setup: ConnectionSetup,
        status: Shared,
        control: Rc<Control>,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let ConnectionSetup { node, http, rest, ari, frames, entries, alive, heard, gate, accept, exited: _ } = setup;
        let journal = frames.clone();
        let (outbox, pump) = Outbox::new(frames, entries, alive);
        let millis = Duration::from_millis;
        let life = Self {
            client: Rc::new(http.client(REST_CONNECTIONS)),
            ids: Rc::new(CommandIds::new("n")),
            backoff: Backoff::new(millis(ari.backoff_min_ms), millis(ari.backoff_max_ms)),
            node,
            http,
            rest,
            ari,
            outbox,
            status,
            control,
            heard,
            stranded: true,
            journal,
            gate,
            accept: accept
                .map(|Accept { listener, journal }| Accepting { listener, away: Rc::new(Away::beside(&journal)) }),
            closed: None,
        };
        (life, pump)
    }

    /// Runs until told to stop.
    pub(super) async fn run(mut self) {
        loop {
            match self.connect_and_listen().await {
                Ended::Stopped => break,
                Ended::Replaced { whole } => {
                    if !self.yielded(whole).await {
                        break;
                    }
                }
                Ended::Lost { reason, lasted } => {
                    if lasted >= Duration::from_millis(self.ari.stable_after_ms) {
                        self.backoff.reset();
                    }
                    if !self.wait(&reason, lasted).await {
                        break;
                    }
                }
            }
        }
        // The commands end with the service. With the socket closed nobody can enter any more.
        if self.stranded && self.accept.is_none() {
            self.let_go().await;
        }
        if let Some(since) = self.closed {
            // The journal shall vouch for that moment too.
            self.outbox.alive(since);
        }
        if !self.outbox.drained(DRAIN_LIMIT).await {
            let bytes = self.outbox.waiting_bytes();
            warn!(node = %self.node, "stopped while {bytes} bytes still waited for the journal");
        } else if let (Some(since), Some(Accepting { away, .. }), false) =
            (self.closed, &self.accept, self.outbox.has_failed())
        {
            away.closed(since);
        }
        info!(node = %self.node, "connection stopped");
    }

    async fn connect_and_listen(&mut self) -> Ended {
        if !self.wait_for_feed().await {
            return Ended::Stopped;
        }
        self.status.borrow_mut().enter(State::Connecting);
        let began = Instant::now();
        let control = self.control.clone();
        let ready = tokio::select! {
            () = control.stopping() => return Ended::Stopped,
            ready = self.may_connect() => ready,
        };
        if let Err(reason) = ready {
            return Ended::Lost { reason, lasted: Duration::ZERO };
        }
        if let Some(Accepting { listener, away }) = self.accept.as_mut() {
            self.status.borrow_mut().awaits(&listener.shown());
            let socket = tokio::select! {
                () = control.stopping() => return Ended::Stopped,
                socket = listener.accept() => socket,
            };
            away.begin();
            return self.listen(socket, Instant::now()).await;
        }
        let opened = tokio::select! {
            () = control.stopping() => return Ended::Stopped,
            opened = self.http.open_socket() => opened,
        };
        match opened {
            Ok(socket) => self.listen(socket, began).await,
            Err(failure) => Ended::Lost { reason: failure.message, lasted: Duration::ZERO },
        }
    }

    /// Waits until the feed process, where one is followed, takes entries; false when told to stop.
    async fn wait_for_feed(&mut self) -> bool {
        if self.gate.is_open() {
            return true;
        }
        {
            let mut status = self.status.borrow_mut();
            status.enter(State::BackingOff);
            status.view.last_error = Some(NO_FEED.to_owned());
        }
        warn!(node = %self.node, "not connected: {NO_FEED}");
        let (control, gate) = (self.control.clone(), self.gate.clone());
        let open = tokio::select! {
            () = control.stopping() => false,
            () = gate.opened() => true,
            never = self.let_all_go() => match never {},
        };
        if open {
            self.forget_refusals().await;
        }
        open
    }

    async fn listen(&mut self, socket: Socket, began: Instant) -> Ended {
        let session = Session::begin(self, socket);
        let prepare = Prepare::new(self, &session, began);
        let (ended, hearing) = match &mut self.accept {
            None => session.run(prepare).await,
            Some(Accepting { listener, .. }) => tokio::select! {
                ended = session.run(prepare) => ended,
                never = listener.refuse("another one lives") => match never {},
            },
        };
        // Another client's callers are its own.
        self.stranded = !matches!(ended, Ended::Replaced { .. });
        if self.gate.is_control() {
            // The feed heard everything: its absence is no gap.
            self.outbox.take_failure();
            if matches!(ended, Ended::Lost { .. }) {
                self.let_go().await;
                self.forget_refusals().await;
            }
            return ended;
        }
        let certain = hearing.end(&self.outbox, self.heard.clone());
        if self.outbox.has_failed() {
            // What waits is refused, too: behind the hole nothing may stand before the gap.
            self.outbox.drained(DRAIN_LIMIT).await;
        }
        let refused = self.outbox.take_failure();
        self.status.borrow_mut().view.shed_frames = self.outbox.shed_frames();
        let in_order = matches!(ended, Ended::Stopped) && hearing.closed.get() && !hearing.in_backlog();
        self.closed = certain.filter(|_| self.accept.is_some() && in_order && refused.is_none());
        let reason = match &ended {
            Ended::Stopped => "service was not running".to_owned(),
            Ended::Replaced { .. } => "another client took the application".to_owned(),
            Ended::Lost { reason, .. } => reason.clone(),
        };
        // After a session that gave nothing, the gap before it goes on.
        let mut heard = certain.map(|since| Gap { since, reason }).or_else(|| self.heard.take());
        if let (Some(gap), Some(lost)) = (heard.as_mut(), refused) {
            gap.since = gap.since.min(lost);
        }
        self.heard = heard;
        ended
    }

    /// Waits before the next try; false when told to stop.
    async fn wait(&mut self, reason: &str, lasted: Duration) -> bool {
        self.control.forget_take_back();
        let wait = self.backoff.next_wait();
        let until = Instant::now() + wait;
        let (node, ms) = (&self.node, wait.as_millis());
        let known = {
            let mut status = self.status.borrow_mut();
            status.back_off(until);
            let known = status.view.last_error.as_deref() == Some(reason);
            status.view.last_error = Some(reason.to_owned());
            known
        };
        match (lasted > Duration::ZERO, known) {
            (true, _) => {
                warn!(%node, "connection lost after {:.1} s: {reason}; again in {ms} ms", lasted.as_secs_f64())
            }
            (false, false) => warn!(%node, "no connection: {reason}; again in {ms} ms"),
            // The same as last time: said once, not every ten seconds for a night.
            (_, true) => debug!(%node, "still no connection: {reason}; again in {ms} ms"),
        }
        tokio::select! {
            () = self.control.stopping() => false,
            () = self.control.take_back_asked.notified() => true,
            () = tokio::time::sleep_until(until) => true,
            never = refuse(self.accept.as_mut()) => match never {},
        }
    }

    /// Waits until nobody holds the application any more, or until told to take it back; false when told to stop.
    async fn yielded(&mut self, whole: bool) -> bool {
        self.control.forget_take_back();
        let (node, app) = (&self.node, self.http.app());
        {
            let mut status = self.status.borrow_mut();
            status.enter(State::Yielded);
            status.view.last_error = Some(format!(
                "another client took the application '{app}'; this service waits until it is free. Two services need \
                 two applications (asterisk.app, ARI_APP_NAME)"
            ));
        }
        warn!(%node, "yielded: another client took the application '{app}'; waiting until it is free");
        let pause = Duration::from_millis(self.ari.yield_check_ms);
        let mut holder = Holder { listened: whole };
        loop {
            let free = tokio::select! {
                () = self.control.stopping() => return false,
                free = holder.gone(&self.client, app) => free,
            };
            if free {
                info!(%node, "the application '{app}' is free again");
                // Its callers wait for nobody now.
                self.stranded = true;
                return true;
            }
            tokio::select! {
                () = self.control.stopping() => return false,
                () = self.control.take_back_asked.notified() => {
                    info!(%node, "taking the application '{app}' back, as told");
                    return true;
                }
                () = tokio::time::sleep(pause) => {}
                never = refuse(self.accept.as_mut()) => match never {},
            }
        }
    }
}

/// Where Asterisk connects to us: it must not be left waiting while we can't take its connection.
async fn refuse(accept: Option<&mut Accepting>) -> Infallible {
    match accept {
        Some(Accepting { listener, .. }) => listener.refuse("no connection can be taken now").await,
        None => std::future::pending().await,
    }
}

/// The client that took our application, as far as `GET /applications/APP` shows it.
struct Holder {
    /// Whether the application was seen subscribed to everything, by us before or since it has it: who takes an application
    /// takes its subscriptions over.
    listened: bool,
}

impl Holder {
    /// Whether it has gone. Usually the application object goes with its client (404). One that is kept by an explicit
    /// subscription, or by a channel in Stasis, stays, but loses its subscriptions to everything when its client goes.
    async fn gone(&mut self, client: &AriClient, app: &str) -> bool {
        let answer = client.ask(&Request::application(app, ApplicationAction::Get)).await;
        if matches!(answer.outcome, Outcome::Gone(_)) {
            return true;
        }
        let Some(shown) = answer.outcome.body().and_then(|b| serde_json::from_slice::<Application>(b).ok()) else {
            debug!("whether '{app}' is free can't be seen now: {}", answer.outcome);
            return false;
        };
        self.listened |= shown.hears_everything();
        self.listened && shown.hears_nothing_whole()
    }
}
