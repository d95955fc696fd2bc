//! The one integration test binary.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod alarms;
mod backup;
mod callers;
mod db_faults;
mod demo;
mod deploy;
mod docs;
mod doctor;
mod feed;
mod frames;
mod fuzz;
mod kills;
mod kit;
mod kit_check;
mod layers;
mod live;
mod metrics;
mod notify;
mod reconcile_mysql;
mod record;
mod replay;
mod routes;
mod signals;
mod sim_load;
mod soak;
mod stuck;
mod style;
mod tls;
