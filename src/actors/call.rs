//! One actor for one live channel: its leg's state machine, its requests.

use std::sync::Arc;

use actix::prelude::*;
use tracing::{debug, warn};

use super::ari_command::{AriCommand, Ask as AriAsk};
use super::batch::Slot;
use super::link::Link;
use super::registry::{CallExited, Registry};
use crate::ari::request::{ChannelAction, ContinueAt, Request};
use crate::call::{Ask, ChanKey, Effect, Input, Leg};
use crate::model::Timestamp;
use crate::routing::Step;

/// What happened to a channel in one stretch of the journal.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Inputs {
    /// In order.
    pub inputs: Vec<(Timestamp, Input)>,
    /// Where the facts go.
    pub slot: Arc<Slot>,
    /// Whether this is new: requests are sent only then, never while the past is rebuilt or replayed.
    pub live: bool,
}

/// The channel has ended a while ago; its actor has nothing more to do.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Retire;

/// Inputs wait here, at most: the registry has no more batches than this under way.
pub const MAILBOX: usize = 16;

/// The actor of one live channel.
pub struct CallActor {
    key: ChanKey,
    id: Arc<str>,
    leg: Leg,
    registry: Addr<Registry>,
    commands: Option<Link<AriCommand>>,
}

impl CallActor {
    /// The actor for this leg.
    pub fn new(
        key: ChanKey,
        id: Arc<str>,
        leg: Leg,
        registry: Addr<Registry>,
        commands: Option<Link<AriCommand>>,
    ) -> Self {
        Self { key, id, leg, registry, commands }
    }

    fn ask(&self, ask: Ask) {
        let Some(commands) = &self.commands else { return };
        let request = match ask.step {
            Step::Continue => Request::channel(&*self.id, ChannelAction::Continue(ContinueAt::default())),
        };
        let message = AriAsk { request, who: format!("rule:{}", ask.rule) };
        // The reply reaches this leg through the journal, as an input in order; here only the sending matters.
        if let Err(error) = commands.get().try_send(message) {
            warn!(channel = %self.id, %error, "a request could not be handed over");
        }
    }
}

impl Actor for CallActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let panicked = std::thread::panicking();
        if panicked {
            // The caller must not wait for logic that is no more.
            if let Some(ask) = self.leg.fallback() {
                self.ask(ask);
            }
        }
        self.registry.do_send(CallExited { key: self.key, panicked });
    }
}

impl Handler<Inputs> for CallActor {
    type Result = ();

    fn handle(&mut self, message: Inputs, _: &mut Self::Context) {
        let mut effects = Vec::with_capacity(message.inputs.len());
        for (at, input) in message.inputs {
            self.leg.step(at, input, &mut effects);
        }
        let mut facts = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Fact(at, fact) => facts.push((self.key, at, fact)),
                Effect::Ask(ask) if message.live => {
                    debug!(channel = %self.id, step = ?ask.step, rule = ask.rule, "asks");
                    self.ask(ask);
                }
                Effect::Ask(_) => {}
            }
        }
        message.slot.add(facts);
    }
}

impl Handler<Retire> for CallActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
