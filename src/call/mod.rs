//! What a call is. Pure: events in, facts and rows out; no actors, no clock, no database.
//!
//! ```text
//! ari::Frame -> Graph -> (channel, Input) -> Leg::step -> Fact -> Book -> fold -> CallRow, LegRow
//!                     \-> Stays (which call a channel belongs to, from when) --^
//! ```
//!
//! **Facts, not states, make the rows.** Neighbouring events of Asterisk come in any order, doubled and late.
//! So everything that reaches a row is a [`Fact`] that can be added in any order and any number of times with
//! the same result (an earliest moment, a member of a set), and a row is a function of the set. The state
//! machine of [`Leg`] is for what must be decided *now*: which request to send, what to refuse.

mod book;
pub mod cdr;
mod channels;
mod direction;
mod facts;
mod fold;
mod graph;
mod input;
mod key;
mod leg;
mod links;
mod numbers;
mod plain;
mod restore;
mod settle;
mod snapshot;
mod talk;
#[cfg(test)]
mod tests;
mod visits;

pub use book::{Book, CallChange, ChainHead, ChangeKind, Folded};
pub use facts::{AppKind, ChanFacts, Fact, Origin};
pub use fold::{CallRow, LegRow, LineRules};
pub use graph::{Graph, GraphLimits, Out};
pub use input::{ChannelState, DialStatus, Input, Opening};
pub use key::{ChanKey, ChanKind, Stay};
pub use leg::{Ask, Effect, Leg, LegState, Refusal};
pub use numbers::Numbers;
pub use restore::{EndedChannel, KnownChannel, StoredCall, may_show};
pub use snapshot::SnapshotError;
