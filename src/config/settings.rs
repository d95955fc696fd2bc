//! What is in force, key by key, for people: no secret in it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::{Loaded, Origin, Secret, keys};

/// One key with its value and where that is from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// The key: `database.path`, `asterisk[1].url`.
    pub key: String,
    /// Its value; of a secret only `(set)` or `(not set)`.
    pub value: Value,
    /// Where it is from.
    pub origin: Origin,
    /// The environment variable that sets it.
    pub variable: String,
}

impl fmt::Display for Setting {
    /// `database.path = "data/callcenter.db"   # from DB_PATH in .env`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match &self.value {
            Value::Null => "(not set)".to_owned(),
            Value::String(text) if keys::is_secret(&self.key) => text.clone(),
            // A number too large for TOML is shown as JSON does.
            other => toml::Value::try_from(other).map_or_else(|_| other.to_string(), |value| value.to_string()),
        };
        let from = if self.origin == Origin::Default { "" } else { "from " };
        write!(f, "{} = {value}   # {from}{}", self.key, self.origin)
    }
}

/// Of a secret only whether there is one.
fn shown(secret: &Secret) -> Value {
    Value::from(if secret.is_empty() { "(not set)" } else { "(set)" })
}

impl Loaded {
    /// Every key in force, servers first.
    pub fn settings(&self) -> Vec<Setting> {
        let mut pairs = Vec::new();
        for (index, server) in self.config.asterisk.iter().enumerate() {
            for (field, value) in keys::server_fields(server) {
                let value = match (server.secret(&field), field.as_str()) {
                    (Some(secret), _) => shown(secret),
                    (None, "url") => Value::from(server.shown_url()),
                    (None, _) => value,
                };
                pairs.push((keys::server_key(index, &field), value));
            }
        }
        pairs.extend(keys::sections(&self.config).into_iter().filter(|(key, _)| key != "asterisk").map(
            |(key, value)| {
                let secret = key.strip_prefix("alarms.").and_then(|field| self.config.alarms.secret(field));
                let value = secret.map_or(value, shown);
                (key, value)
            },
        ));
        pairs
            .into_iter()
            .map(|(key, value)| Setting {
                origin: self.origins.get(&key).cloned().unwrap_or_default(),
                variable: keys::environment_name(&key),
                key,
                value,
            })
            .collect()
    }
}
