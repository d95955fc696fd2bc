//! Every key's name, in files and in the environment. Taken from the structs, so that a new field has both at once.

use serde_json::Value;

use super::{Asterisk, Config};

/// A server's keys and the ends of their environment names: `ARI_URL`, `ARI_2_URL`.
pub(super) const SERVER_NAMES: [(&str, &str); 8] = [
    ("name", "NAME"),
    ("url", "URL"),
    ("username", "USERNAME"),
    ("password", "PASSWORD"),
    ("app", "APP_NAME"),
    ("ca_file", "CA_FILE"),
    ("feed_listen", "FEED_LISTEN"),
    ("feed_password", "FEED_PASSWORD"),
];

/// Keys whose environment names are the ones that people know from elsewhere.
const SHORT_NAMES: [(&str, &str); 2] = [("database.path", "DB_PATH"), ("http.port", "HTTP_PORT")];

/// Every key outside `[[asterisk]]` with its default: `database.batch_rows` ...
pub(super) fn defaults() -> Vec<(String, Value)> {
    sections(&Config::default()).into_iter().filter(|(key, _)| key != "asterisk").collect()
}

/// The keys of `config`, sorted, with the values that serialisation shows (secrets as stars).
pub(super) fn sections(config: &Config) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    // Our own structs of numbers and texts always serialise; were one not to, it would show no keys.
    for (section, value) in object(config) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                found.push((section, value));
            }
        }
    }
    found
}

/// A server's fields, sorted.
pub(super) fn server_fields(server: &Asterisk) -> Vec<(String, Value)> {
    object(server).into_iter().collect()
}

/// A struct as the object that it serialises to.
fn object(value: &impl serde::Serialize) -> serde_json::Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => serde_json::Map::new(),
    }
}

/// Every key that a file can hold, servers' keys as those of the first: `ari.backoff_max_ms`, `asterisk[1].url` ...
pub fn keys() -> Vec<String> {
    let servers = server_fields(&Asterisk::default()).into_iter().map(|(field, _)| server_key(0, &field));
    servers.chain(defaults().into_iter().map(|(key, _)| key)).collect()
}

/// The key of a server's field; people count from 1.
pub(super) fn server_key(index: usize, field: &str) -> String {
    format!("asterisk[{}].{field}", index + 1)
}

/// The environment variable that sets a key: `DB_PATH`, `ARI_2_URL`, `CALLCENTER_ARI_EVENT_FILTER`.
pub fn environment_name(key: &str) -> String {
    if let Some((_, name)) = SHORT_NAMES.iter().find(|(known, _)| *known == key) {
        return (*name).to_owned();
    }
    let server = key.strip_prefix("asterisk[").and_then(|rest| rest.split_once("]."));
    match server {
        Some((number, field)) => {
            let end = SERVER_NAMES.iter().find(|(known, _)| *known == field).map_or(field, |(_, end)| end);
            if number == "1" { format!("ARI_{end}") } else { format!("ARI_{number}_{end}") }
        }
        None => format!("CALLCENTER_{}", key.replace('.', "_").to_uppercase()),
    }
}

/// Whether a key's value must never be shown.
pub(super) fn is_secret(key: &str) -> bool {
    let field = key.rsplit('.').next().unwrap_or(key);
    field.ends_with("password") || is_secret_of_alarms(key)
}

/// Whether it is one of `[alarms]`, also where only the field is named.
fn is_secret_of_alarms(key: &str) -> bool {
    matches!(key.strip_prefix("alarms.").unwrap_or(key), "webhook_url" | "webhook_secret" | "telegram_token")
}

/// Of `known` the one that `text` was probably meant to be.
pub(super) fn nearest<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::normalized_damerau_levenshtein(&text, &name.to_lowercase()), name))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// `Did you mean X?` with a space after it, or nothing.
pub(super) fn suggestion<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, known).map(|name| format!("Did you mean {name}? ")).unwrap_or_default()
}
