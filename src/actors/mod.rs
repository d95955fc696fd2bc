//! The actors: thin shells around the pure core, and what they share.

pub mod journal;
pub mod messages;
