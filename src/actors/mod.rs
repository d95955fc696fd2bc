//! The actors: thin shells around the pure core, and what they share.

pub mod ari_command;
pub mod ari_http;
mod audit;
pub mod backoff;
pub mod connection;
#[cfg(test)]
mod fake_ari;
pub mod messages;
