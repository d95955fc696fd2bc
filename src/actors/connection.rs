//! The actor that listens to one Asterisk: it holds the event socket, hands each frame to the journal and brings the
//! journal up to date after each connect.
//!
//! Its life: connecting -> connected -> (lost) backing off -> connecting ... ; connected -> (another client took the
//! application) yielded -> connecting, when the application is free or on command; stopped from anywhere.
//!
//! The actor itself is a thin shell: the life runs as one task (`life`), one socket as one session in it (`session`),
//! the requests after each connect beside the reading (`prepare`), and the way to the journal beside both
//! (`outbox`), so that reading waits for nothing but the socket. A panic in any of them ends the actor; its parent is
//! told.

#[cfg(test)]
mod accept_tests;
mod away;
mod control;
mod full;
mod hearing;
mod life;
mod outbox;
mod prepare;
mod session;
mod status;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use actix::prelude::*;
use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tracing::{error, info};

use super::ari_http::{AriHttp, Listener};
use super::ari_socket::SocketRest;
use super::messages::{Alive, AppendEntry, AppendFrames, Exited, Stop};
use crate::ari::entry;
use crate::config;
use crate::model::NodeId;
pub use away::heard_before;
pub use control::FeedGate;
pub(in crate::actors) use control::{AT_ONCE as RELEASED_AT_ONCE, kind_of, release, within_limit};
use life::Life;
pub use outbox::WAITING_BYTES;
pub use status::{ConnectionView, State, SubscribeAll};
use status::{Shared, Status};

/// How is the connection?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "ConnectionView")]
pub struct ConnectionStatus;

/// Connect now: take the application back from the client that took it, or don't wait for the next try.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct TakeBack;

/// What the actor is started with.
pub struct ConnectionSetup {
    /// The Asterisk's name.
    pub node: NodeId,
    /// Its address.
    pub http: AriHttp,
    /// Whoever asks over the socket.
    pub rest: SocketRest,
    /// Pings, backoff, filter and limits.
    pub ari: config::Ari,
    /// Takes frames.
    pub frames: Recipient<AppendFrames>,
    /// Takes gaps, snapshots, commands, replies and bad frames.
    pub entries: Recipient<AppendEntry>,
    /// Is told how far everything was heard.
    pub alive: Recipient<Alive>,
    /// What was heard before: the last moment that the journal vouches for, and why nothing was heard since
    /// (`service was not running`). `None`: this is the journal's beginning.
    pub heard: Option<entry::Gap>,
    /// Whether this is only the control beside a feed process; the default is no.
    pub gate: FeedGate,
    /// Where Asterisk connects to us; without it we connect to Asterisk.
    pub accept: Option<Accept>,
    /// Is told when the actor has ended.
    pub exited: Recipient<Exited>,
}

/// Where Asterisk connects to us.
pub struct Accept {
    /// Its listener.
    pub listener: Listener,
    /// The journal's folder: how each session ended is remembered there.
    pub journal: PathBuf,
}

/// Wishes from outside, seen by the life wherever it is.
#[derive(Debug, Default)]
struct Control {
    stop: Cell<bool>,
    stop_asked: Notify,
    take_back_asked: Notify,
}

impl Control {
    /// Returns when the actor shall stop.
    async fn stopping(&self) {
        while !self.stop.get() {
            self.stop_asked.notified().await;
        }
    }

    /// Forgets a wish to connect that came when nothing waited for it: it was about that moment.
    fn forget_take_back(&self) {
        self.take_back_asked.notified().now_or_never();
    }
}

/// The actor; one a node.
pub struct AriConnection {
    node: NodeId,
    exited: Recipient<Exited>,
    setup: Option<ConnectionSetup>,
    status: Shared,
    control: Rc<Control>,
    task: Option<AbortHandle>,
    panicked: bool,
}

impl AriConnection {
    /// Starts it on the arbiter of the present thread. Reading shares that thread with whatever else runs there:
    /// give it an arbiter of its own, or one with quick neighbours only.
    pub fn start_with(setup: ConnectionSetup) -> Addr<Self> {
        let status = Status::shared(&setup.node, setup.http.root());
        let (node, exited) = (setup.node.clone(), setup.exited.clone());
        let control = Rc::default();
        Self { node, exited, setup: Some(setup), status, control, task: None, panicked: false }.start()
    }
}

impl Actor for AriConnection {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Some(setup) = self.setup.take() else { return };
        info!(node = %self.node, "listening to {} as {}", setup.http.root(), setup.http.app());
        let (life, pump) = Life::new(setup, self.status.clone(), self.control.clone());
        // One task for both, so that a panic in either ends the actor.
        let task = actix::spawn(Box::pin(async move {
            tokio::select! {
                () = life.run() => {}
                () = pump => {}
            }
        }));
        self.task = Some(task.abort_handle());
        ctx.spawn(task.into_actor(self).map(|ended, actor, ctx| {
            if let Err(failure) = ended {
                actor.panicked = failure.is_panic();
                error!(node = %actor.node, "connection failed inside: {failure}");
            }
            ctx.stop();
        }));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        // After a panic the status may still be held.
        if let Ok(mut status) = self.status.try_borrow_mut() {
            status.enter(State::Stopped);
        }
        let panicked = self.panicked || std::thread::panicking();
        self.exited.do_send(Exited { node: self.node.clone(), who: "connection", panicked });
    }
}

impl Handler<ConnectionStatus> for AriConnection {
    type Result = ConnectionView;

    fn handle(&mut self, _: ConnectionStatus, _: &mut Self::Context) -> ConnectionView {
        self.status.borrow().view()
    }
}

impl Handler<TakeBack> for AriConnection {
    type Result = ();

    fn handle(&mut self, _: TakeBack, _: &mut Self::Context) {
        let state = self.status.borrow().view.state;
        match state {
            State::Yielded | State::BackingOff => self.control.take_back_asked.notify_one(),
            State::Connecting | State::Connected | State::Stopped => {}
        }
    }
}

impl Handler<Stop> for AriConnection {
    type Result = ();

    fn handle(&mut self, _: Stop, _: &mut Self::Context) {
        self.control.stop.set(true);
        self.control.stop_asked.notify_one();
    }
}
