//! The configuration: one struct a section.

mod secret;
mod sections;

pub use secret::Secret;
pub use sections::{Ari, Asterisk, Calls, Database, Http, Journal, Lines, Log, LogFormat, Report, Synchronous};

use serde::{Deserialize, Serialize};

/// The whole configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The Asterisk servers; the `ARI_*` names describe the only or first one.
    pub asterisk: Vec<Asterisk>,
    /// How the connection to each behaves.
    pub ari: Ari,
    /// The journal on disk.
    pub journal: Journal,
    /// The database.
    pub database: Database,
    /// The HTTP server.
    pub http: Http,
    /// The log.
    pub log: Log,
    /// What numbers and endpoints mean.
    pub lines: Lines,
    /// How calls are joined and closed.
    pub calls: Calls,
    /// Reports.
    pub report: Report,
}
