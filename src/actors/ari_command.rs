//! The actor that asks Asterisk: requests about one channel or bridge in order, others side by side up to a limit.
//!
//! Life of a request: refused when too many wait (`queue_full`) -> waits for its turn (`expired` when that takes longer
//! than a request may) -> is put into the journal if it changes something -> is sent, unless it was refused or has
//! expired -> its reply goes into the journal -> the asker gets the outcome. A journal that can't take it holds up no caller: the request is sent, and the
//! log and the health say that it is not on record.

mod lanes;
#[cfg(test)]
mod tests;
mod transport;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use serde::Serialize;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

pub use super::ari_http::Answer;
use super::ari_http::AriHttp;
use super::ari_socket::{SocketRest, TransportView};
use super::audit::{self, CommandIds, deliver};
use super::messages::{AppendEntry, EntryBody, Exited, Stop, wall_clock};
use super::tally::{Histogram, SECONDS};
use crate::ari::outcome::Outcome;
use crate::ari::request::{Request, Subject};
use crate::config;
use crate::model::NodeId;
use lanes::Lanes;
use transport::Transport;

/// How long the journal may take to accept a command before it is sent without being on record.
const JOURNAL_LIMIT: Duration = Duration::from_secs(1);

/// Ask Asterisk. The answer always comes: each wait on the way has a limit.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Answer")]
pub struct Ask {
    /// What.
    pub request: Request,
    /// Who asks: `rule:continue`, `connection`, a user.
    pub who: String,
}

/// How is the command actor?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "CommandView")]
pub struct CommandStatus;

/// What [`CommandStatus`] shows.
#[derive(Clone, Debug, Serialize, MessageResponse)]
pub struct CommandView {
    /// The Asterisk that it asks.
    pub node: String,
    /// Requests under way.
    pub in_flight: usize,
    /// Requests waiting for their turn.
    pub waiting: usize,
    /// Requests that Asterisk did, since the start.
    pub done: u64,
    /// Other outcomes by their word, since the start.
    pub failed: BTreeMap<&'static str, u64>,
    /// Requests that were sent though the journal could not take them.
    pub unrecorded: u64,
    /// Reads that were sent again because their connection had been closed.
    pub retried: u64,
    /// How requests travel.
    pub transport: TransportView,
    /// Requests that were sent over HTTP, since the start.
    pub over_http: u64,
    /// Requests that were sent over the event socket, since the start.
    pub over_websocket: u64,
    /// The last failure that was more than a channel gone: when (seconds since 1970) and what.
    pub last_failure: Option<(f64, String)>,
    /// How long those took that were sent, seconds.
    #[serde(skip)]
    pub took: Histogram,
}

/// What the actor is started with.
pub struct CommandSetup {
    /// The Asterisk's name.
    pub node: NodeId,
    /// Its address.
    pub http: AriHttp,
    /// The way over the event socket, while there is one that takes requests.
    pub socket: SocketRest,
    /// `request_timeout_ms`, `max_in_flight`, `queue_limit`.
    pub ari: config::Ari,
    /// Takes commands and replies.
    pub journal: Recipient<AppendEntry>,
    /// Is told when the actor has ended.
    pub exited: Recipient<Exited>,
}

struct Job {
    request: Request,
    who: String,
    since: Instant,
    answer: oneshot::Sender<Answer>,
}

/// The actor; one a node.
pub struct AriCommand {
    setup: CommandSetup,
    transport: Rc<Transport>,
    lanes: Lanes<Subject, Job>,
    ids: CommandIds,
    view: CommandView,
    stopping: bool,
}

impl AriCommand {
    /// Starts it on the arbiter of the present thread.
    pub fn start_with(setup: CommandSetup) -> Addr<Self> {
        let view = CommandView {
            node: setup.node.to_string(),
            in_flight: 0,
            waiting: 0,
            done: 0,
            failed: BTreeMap::new(),
            unrecorded: 0,
            retried: 0,
            transport: setup.socket.view(),
            over_http: 0,
            over_websocket: 0,
            last_failure: None,
            took: Histogram::new(SECONDS),
        };
        let transport = Transport {
            http: setup.http.client(setup.ari.max_in_flight),
            socket: setup.socket.clone(),
            limit: Duration::from_millis(setup.ari.request_timeout_ms),
        };
        Self {
            transport: Rc::new(transport),
            lanes: Lanes::new(setup.ari.max_in_flight, setup.ari.queue_limit),
            ids: CommandIds::new("c"),
            view,
            stopping: false,
            setup,
        }
        .start()
    }

    /// Starts whatever may start now.
    fn turn(&mut self, ctx: &mut Context<Self>) {
        let limit = Duration::from_millis(self.setup.ari.request_timeout_ms);
        while let Some((subject, job)) = self.lanes.next() {
            let waited = job.since.elapsed();
            let unsent = (waited > limit).then(|| Answer::without_asterisk(Outcome::Expired, waited));
            self.work(job, unsent, ctx, move |actor, ctx| {
                actor.lanes.done(subject.as_ref());
                actor.turn(ctx);
            });
        }
        if self.stopping && self.lanes.in_flight() == 0 {
            ctx.stop();
        }
    }

    /// Does a job and tells its asker; one that has its answer already is only put on record.
    fn work(
        &mut self,
        job: Job,
        unsent: Option<Answer>,
        ctx: &mut Context<Self>,
        then: impl FnOnce(&mut Self, &mut Context<Self>) + 'static,
    ) {
        let Job { request, who, answer, .. } = job;
        let work = Work {
            transport: self.transport.clone(),
            journal: self.setup.journal.clone(),
            id: self.ids.next(),
            request: request.clone(),
            who,
            unsent,
        };
        // A task of its own: whatever goes wrong in one request, even a panic, ends that request only.
        let task = actix::spawn(Box::pin(work.run())).into_actor(self);
        ctx.spawn(task.map(move |result, actor, ctx| {
            let (result, recorded) = result.unwrap_or_else(|error| {
                error!(node = %actor.setup.node, "a request failed inside: {error}");
                let failed = Outcome::Unreachable("the request failed inside the program".into());
                (Answer::without_asterisk(failed, Duration::ZERO), true)
            });
            actor.view.unrecorded += u64::from(!recorded);
            actor.count(&request, &result);
            // Nobody may be waiting any more: then there is nobody to tell.
            let _ = answer.send(result);
            then(actor, ctx);
        }));
    }

    fn count(&mut self, request: &Request, answer: &Answer) {
        if request.is_pulse() {
            return;
        }
        let (node, method) = (&self.setup.node, request.method().as_str());
        let ms = answer.took.as_secs_f64() * 1e3;
        self.view.retried += u64::from(answer.retried);
        if !matches!(answer.outcome, Outcome::Expired | Outcome::QueueFull) {
            self.view.took.observe(answer.took.as_secs_f64());
            let sent = if answer.over_socket { &mut self.view.over_websocket } else { &mut self.view.over_http };
            *sent += 1;
        }
        if answer.outcome.is_done() {
            self.view.done += 1;
            debug!(%node, "{method} {}: done in {ms:.1} ms", request.path());
            return;
        }
        *self.view.failed.entry(answer.outcome.word()).or_default() += 1;
        match answer.outcome {
            // A channel that hung up before its command came is everyday life.
            Outcome::Gone(_) | Outcome::Unset | Outcome::NotInStasis | Outcome::Done { .. } => {
                debug!(%node, "{method} {}: {}", request.path(), answer.outcome);
            }
            Outcome::Conflict(_)
            | Outcome::Refused(_)
            | Outcome::Unauthorized
            | Outcome::BadRequest(_)
            | Outcome::AllocationFailed
            | Outcome::Unavailable
            | Outcome::Unreachable(_)
            | Outcome::TimedOut
            | Outcome::Expired
            | Outcome::QueueFull
            | Outcome::Other { .. } => {
                let failure = format!("{method} {}: {} ({ms:.1} ms)", request.path(), answer.outcome);
                warn!(%node, "{failure}");
                self.view.last_failure = Some((wall_clock(), failure));
            }
        }
    }
}

impl Actor for AriCommand {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Each message is only put into a lane, where `queue_limit` holds; the mailbox takes a burst of that size.
        ctx.set_mailbox_capacity(self.setup.ari.queue_limit.clamp(64, 65_536));
        debug!(node = %self.setup.node, "command actor started for {}", self.setup.http.root());
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let panicked = std::thread::panicking();
        if !panicked {
            info!(node = %self.setup.node, "command actor stopped after {} requests done", self.view.done);
        }
        self.setup.exited.do_send(Exited { node: self.setup.node.clone(), who: "ari_command", panicked });
    }
}

impl Handler<Ask> for AriCommand {
    type Result = ResponseFuture<Answer>;

    fn handle(&mut self, Ask { request, who }: Ask, ctx: &mut Self::Context) -> Self::Result {
        let refusal = |outcome| Answer::without_asterisk(outcome, Duration::ZERO);
        let stopped = || refusal(Outcome::Unreachable("the service is stopping".into()));
        let (answer, receive) = oneshot::channel();
        if self.stopping {
            return Box::pin(std::future::ready(stopped()));
        }
        let subject = request.about();
        let job = Job { request, who, since: Instant::now(), answer };
        match self.lanes.push(subject, job) {
            Ok(()) => self.turn(ctx),
            // Such jobs hold no place: they are as many as askers, each of which waits for the answer.
            Err(job) => self.work(job, Some(refusal(Outcome::QueueFull)), ctx, |_, _| {}),
        }
        let gone = stopped();
        Box::pin(async move { receive.await.unwrap_or(gone) })
    }
}

impl Handler<CommandStatus> for AriCommand {
    type Result = CommandView;

    fn handle(&mut self, _: CommandStatus, _: &mut Self::Context) -> CommandView {
        CommandView {
            in_flight: self.lanes.in_flight(),
            waiting: self.lanes.waiting(),
            transport: self.setup.socket.view(),
            ..self.view.clone()
        }
    }
}

impl Handler<Stop> for AriCommand {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.stopping = true;
        // Whoever waits learns that it was not sent: the senders are dropped.
        self.lanes.clear_waiting();
        self.turn(ctx);
    }
}

/// One request on its way.
struct Work {
    transport: Rc<Transport>,
    journal: Recipient<AppendEntry>,
    id: String,
    request: Request,
    who: String,
    /// The answer, if it is not sent.
    unsent: Option<Answer>,
}

impl Work {
    /// The answer, and whether everything that had to be is on record.
    async fn run(self) -> (Answer, bool) {
        if !self.request.changes_something() {
            return (self.ask().await, true);
        }
        let command = self.request.to_command(self.id.as_str(), self.who.as_str());
        let before = self.record(EntryBody::Command(command)).await;
        let answer = self.ask().await;
        let after = self.record(EntryBody::Reply(audit::reply(self.id.clone(), &answer))).await;
        (answer, before && after)
    }

    async fn ask(&self) -> Answer {
        match &self.unsent {
            Some(answer) => answer.clone(),
            None => self.transport.ask(&self.request, &self.id).await,
        }
    }

    async fn record(&self, entry: EntryBody) -> bool {
        let entry = AppendEntry { at: wall_clock(), entry };
        let failure = match tokio::time::timeout(JOURNAL_LIMIT, deliver(&self.journal, entry)).await {
            Ok(Ok(Ok(()))) => return true,
            Ok(Ok(Err(full))) => full.to_string(),
            Ok(Err(_)) => "the journal is not running".to_owned(),
            Err(_) => format!("the journal did not answer within {} ms", JOURNAL_LIMIT.as_millis()),
        };
        error!("{} {} is not on record: {failure}", self.request.method().as_str(), self.request.path());
        false
    }
}
