//! One actor for one live channel: its leg's state machine, its requests.

use std::sync::Arc;

use actix::prelude::*;
use tracing::debug;

use super::ari_command::AriCommand;
use super::asking::ask_until_final;
use super::batch::Slot;
use super::link::Link;
use super::registry::{CallExited, Registry};
use crate::call::{Ask, ChanKey, Effect, Input, Leg};
use crate::model::Timestamp;

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

/// Whether a channel waits in the application after these; none if they say nothing of it.
pub(super) fn waits_after(inputs: &[(Timestamp, Input)]) -> Option<bool> {
    inputs.iter().rev().find_map(|(_, input)| input.waits())
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
    /// Whether the channel waits in the application, as far as was told, also when its leg failed at that.
    waits: bool,
    /// What is being asked, over and over.
    asking: Option<SpawnHandle>,
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
        Self { key, id, leg, registry, commands, waits: false, asking: None }
    }

    fn ask(&mut self, asks: Vec<Ask>, ctx: &mut Context<Self>) {
        let Some(commands) = self.commands.clone() else { return };
        self.ask_no_more(ctx);
        debug!(channel = %self.id, ?asks, "asks");
        self.asking = Some(ctx.spawn(ask_until_final(commands, self.id.clone(), asks).into_actor(self)));
    }

    fn ask_no_more(&mut self, ctx: &mut Context<Self>) {
        if let Some(asking) = self.asking.take() {
            ctx.cancel_future(asking);
        }
    }
}

impl Actor for CallActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        // The caller must not wait for logic that is no more: the registry asks from now on.
        self.registry.do_send(CallExited { key: self.key, panicked: std::thread::panicking(), waits: self.waits });
    }
}

impl Handler<Inputs> for CallActor {
    type Result = ();

    fn handle(&mut self, message: Inputs, ctx: &mut Self::Context) {
        self.waits = waits_after(&message.inputs).unwrap_or(self.waits);
        let mut effects = Vec::with_capacity(message.inputs.len());
        let mut facts = Vec::with_capacity(message.inputs.len());
        let mut asks = Vec::new();
        for (at, input) in message.inputs {
            self.leg.step(at, input, &mut effects);
            let mut anew = Vec::new();
            for effect in effects.drain(..) {
                match effect {
                    Effect::Fact(at, fact) => facts.push((self.key, at, fact)),
                    Effect::Ask(ask) => anew.push(ask),
                }
            }
            if !anew.is_empty() {
                asks = anew;
            }
        }
        message.slot.add(facts);
        if !self.waits {
            self.ask_no_more(ctx);
        } else if message.live && !asks.is_empty() {
            self.ask(asks, ctx);
        }
    }
}

impl Handler<Retire> for CallActor {
    type Result = ();

    fn handle(&mut self, _: Retire, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
