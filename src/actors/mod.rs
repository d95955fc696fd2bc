//! The actors: thin shells around the pure core, and what they share.

pub mod alarm;
pub mod ari_command;
pub mod ari_http;
pub mod ari_socket;
mod asking;
mod audit;
pub mod backoff;
pub mod batch;
pub mod call;
pub mod connection;
pub mod db_writer;
#[cfg(test)]
mod fake_ari;
pub mod feed;
pub mod journal;
pub mod link;
pub mod messages;
pub mod registry;
pub mod source;
pub mod supervisor;
pub mod tally;
