//! The way to a journal, whoever writes it: this process, or a feed process that it follows.

use actix::prelude::*;

use super::{Journal, QueryStatus, Subscribe, Trim};
use crate::actors::messages::{Alive, AppendEntry, AppendFrames, Stop};

/// Where everything that concerns a node's journal is sent.
#[derive(Clone)]
pub struct JournalHandle {
    /// Takes frames.
    pub frames: Recipient<AppendFrames>,
    /// Takes other entries.
    pub entries: Recipient<AppendEntry>,
    /// Is told how far everything was heard.
    pub alive: Recipient<Alive>,
    /// Pokes whoever follows.
    pub subscribe: Recipient<Subscribe>,
    /// Deletes what nobody needs any more.
    pub trim: Recipient<Trim>,
    /// Says how the journal is.
    pub status: Recipient<QueryStatus>,
    /// Ends it.
    pub stop: Recipient<Stop>,
}

impl JournalHandle {
    /// The way to this actor.
    pub fn new<A>(actor: &Addr<A>) -> Self
    where
        A: Actor<Context = Context<A>>
            + Handler<AppendFrames>
            + Handler<AppendEntry>
            + Handler<Alive>
            + Handler<Subscribe>
            + Handler<Trim>
            + Handler<QueryStatus>
            + Handler<Stop>,
    {
        Self {
            frames: actor.clone().recipient(),
            entries: actor.clone().recipient(),
            alive: actor.clone().recipient(),
            subscribe: actor.clone().recipient(),
            trim: actor.clone().recipient(),
            status: actor.clone().recipient(),
            stop: actor.clone().recipient(),
        }
    }
}

impl From<&Addr<Journal>> for JournalHandle {
    fn from(actor: &Addr<Journal>) -> Self {
        Self::new(actor)
    }
}
