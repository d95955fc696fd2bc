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
