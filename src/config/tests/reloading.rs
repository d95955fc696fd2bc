//! What SIGHUP may change.

use super::*;
use crate::config::{environment_name, keys};

/// The value of each key that changed by one environment variable.
fn changed(key: &str, text: &str) -> Config {
    Setup::new().var(&environment_name(key), text).load().config
}

#[test]
fn each_key_is_either_reloadable_or_waits_for_a_restart() {
    let old = Config::default();
    for (key, default) in keys::defaults() {
        let new = match &default {
            serde_json::Value::Number(number) => changed(&key, &(number.as_u64().unwrap() + 1).to_string()),
            serde_json::Value::Array(_) => changed(&key, "Other"),
            serde_json::Value::String(_) => {
                let text = match key.as_str() {
                    "database.synchronous" => "normal",
                    "feed.mode" => "process",
                    "ari.transport" => "http",
                    "log.format" => "json",
                    "alarms.language" => "ru",
                    "alarms.smtp_security" => "tls",
                    _ => "other",
                };
                changed(&key, text)
            }
            serde_json::Value::Bool(value) => changed(&key, &(!value).to_string()),
            other => panic!("{key} is {other}"),
        };
        let changes = Config::diff_reloadable(&old, &new);
        let all = [changes.reloadable.clone(), changes.restart.clone()].concat();
        assert_eq!(all, std::slice::from_ref(&key), "{changes:?}");
        let safe = ["log.level", "database.events_retention_days", "database.calls_retention_days"];
        let expected =
            safe.contains(&&*key) || ["lines.", "report.", "alarms."].iter().any(|section| key.starts_with(section));
        assert_eq!(!changes.reloadable.is_empty(), expected, "{key}");
        // What is called reloadable is taken over, and nothing else is.
        let in_force = old.with_reloadable(&new);
        let left = Config::diff_reloadable(&in_force, &new);
        assert_eq!((left.reloadable, left.restart), (vec![], changes.restart), "{key}");
    }
}

#[test]
fn servers_wait_for_a_restart() {
    let old = right();
    let mut new = right();
    new.asterisk[0].password = Secret::new("another");
    new.asterisk[1].url = "ws://other/ari".into();
    new.asterisk.push(server("three"));
    let changes = Config::diff_reloadable(&old, &new);
    assert_eq!(changes.restart, ["asterisk[1].password", "asterisk[2].url", "asterisk[3].name"]);
    assert!(changes.reloadable.is_empty() && !changes.is_empty());
    assert!(Config::diff_reloadable(&new, &new.clone()).is_empty());
    assert_eq!(old.with_reloadable(&new), old);
}

#[test]
fn reload_reads_the_same_files_again() {
    let setup = Setup::new().config_file("[log]\nlevel = 'warn'\n").var("HTTP_PORT", "7");
    let loaded = setup.load();
    setup.file("given.toml", "[log]\nlevel = 'debug'\n");
    let again = loaded.reload();
    assert_eq!((again.config.log.level.as_str(), again.config.http.port), ("debug", 7));
    setup.file("given.toml", "[log]\nlevel = 'loud'\n");
    assert!(loaded.reload().accept().is_err());
}
