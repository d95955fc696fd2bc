//! What of a changed configuration a running service may take over.

use serde::Serialize;

use super::{Config, keys};

/// Keys that are safe to change while calls run; an entry that ends with a dot is a whole section.
const RELOADABLE: [&str; 6] =
    ["log.level", "database.events_retention_days", "database.calls_retention_days", "lines.", "report.", "alarms."];

/// Keys whose values differ between two configurations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// They can be taken over at once.
    pub reloadable: Vec<String>,
    /// They wait for the next start.
    pub restart: Vec<String>,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.reloadable.is_empty() && self.restart.is_empty()
    }
}

impl Config {
    /// The keys that differ, by whether a running service may take them over.
    pub fn diff_reloadable(old: &Self, new: &Self) -> Changes {
        let mut changes = Changes { restart: changed_servers(old, new), ..Changes::default() };
        for ((key, before), (_, after)) in keys::sections(old).into_iter().zip(keys::sections(new)) {
            // Secrets serialise as stars, so they are compared themselves.
            let secrets = |config: &Self| key.strip_prefix("alarms.").and_then(|f| config.alarms.secret(f).cloned());
            if key == "asterisk" || (before == after && secrets(old) == secrets(new)) {
                continue;
            }
            let reloadable =
                RELOADABLE.iter().any(|&safe| key == safe || (safe.ends_with('.') && key.starts_with(safe)));
            if reloadable { changes.reloadable.push(key) } else { changes.restart.push(key) }
        }
        changes
    }

    /// This configuration with the reloadable keys of `new`: what is in force after SIGHUP.
    pub fn with_reloadable(&self, new: &Self) -> Self {
        let mut config = self.clone();
        config.log.level.clone_from(&new.log.level);
        config.database.events_retention_days = new.database.events_retention_days;
        config.database.calls_retention_days = new.database.calls_retention_days;
        config.lines.clone_from(&new.lines);
        config.report.clone_from(&new.report);
        config.alarms.clone_from(&new.alarms);
        config
    }
}

/// The servers' keys that differ; a server more or less differs in its name.
fn changed_servers(old: &Config, new: &Config) -> Vec<String> {
    let mut changed = Vec::new();
    for index in 0..old.asterisk.len().max(new.asterisk.len()) {
        let (Some(before), Some(after)) = (old.asterisk.get(index), new.asterisk.get(index)) else {
            changed.push(keys::server_key(index, "name"));
            continue;
        };
        for ((field, was), (_, is)) in keys::server_fields(before).into_iter().zip(keys::server_fields(after)) {
            // Secrets serialise as stars, so they are compared themselves.
            let differs = was != is || before.secret(&field) != after.secret(&field);
            if differs {
                changed.push(keys::server_key(index, &field));
            }
        }
    }
    changed
}
