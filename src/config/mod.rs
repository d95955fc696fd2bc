//! The configuration: one struct a section, read in layers, checked as a whole.
//!
//! Later layers win: the structs' defaults, `config/default.toml` (or `/etc/callcenter/callcenter.toml`), the file of
//! `--config`, `.env`, the environment. [`load()`] reads them and says of every key where its value is from;
//! whatever is wrong comes back as [`Mistake`]s, all of them at once.

mod alarms;
mod environment;
mod events;
mod extract;
mod feed;
mod keys;
mod layer;
mod load;
mod mistake;
mod ranges;
mod reload;
mod secret;
mod sections;
mod settings;
#[cfg(test)]
mod tests;
mod validate;

pub use alarms::{Alarms, Language, SmtpSecurity, time_of_day};
pub use environment::MAX_SERVERS;
pub use keys::{environment_name, keys};
pub use layer::Origin;
pub use load::{Inputs, Loaded, load};
pub use mistake::{Mistake, Refused};
pub use reload::Changes;
pub use secret::Secret;
pub use sections::{
    Ari, Asterisk, Calls, Database, Feed, FeedMode, Guard, Http, Journal, Lines, Log, LogFormat, Report, Synchronous,
    Transport, Watchdog,
};
pub use settings::Setting;
pub use validate::{NODE_NAME_RULE, is_node_name};

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The whole configuration in force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The Asterisk servers; the `ARI_*` names describe the only or first one. Empty: none is configured yet.
    pub asterisk: Vec<Asterisk>,
    /// How the connection to each behaves.
    pub ari: Ari,
    /// What tells the dialplan that the service answers.
    pub guard: Guard,
    /// Who listens.
    pub feed: Feed,
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
    /// `[watchdog]`.
    pub watchdog: Watchdog,
    /// What people are told by themselves.
    pub alarms: Alarms,
}

impl Config {
    /// The journal's folder: `journal.dir`, or `journal` beside the database where that is empty.
    pub fn journal_dir(&self) -> PathBuf {
        if self.journal.dir.as_os_str().is_empty() {
            self.database.path.parent().unwrap_or(Path::new("")).join("journal")
        } else {
            self.journal.dir.clone()
        }
    }
}
