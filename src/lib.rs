//! `callcenter` stands beside an Asterisk PBX and makes a call center of it.
//!
//! The house, each part using only what stands to its right:
//! `{app, cli} -> {http, sim} -> actors -> db -> call -> routing -> ari -> model`.
//! `model`, `ari`, `routing` and `call` are pure: no actors, no runtime, no database, no clock,
//! no randomness (`tests/it/layers.rs` holds that). `docs/ARCHITECTURE.md` is the map.

pub mod actors;
pub mod app;
pub mod ari;
pub mod call;
pub mod cli;
pub mod config;
pub mod db;
pub mod http;
pub mod model;
pub mod routing;
pub mod sim;
pub mod telemetry;

/// How often a property test tries: so many times, twenty times as often with `SOAK=1` (`make soak`).
#[cfg(test)]
fn cases(usual: u32) -> proptest::prelude::ProptestConfig {
    let times = if std::env::var_os("SOAK").is_some() { 20 } else { 1 };
    proptest::prelude::ProptestConfig::with_cases(usual * times)
}
