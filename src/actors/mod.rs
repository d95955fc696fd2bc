//! The actors: thin shells around the pure core, and what they share.

pub mod ari_command;
pub mod ari_http;
pub mod backoff;
pub mod connection;
pub mod messages;
