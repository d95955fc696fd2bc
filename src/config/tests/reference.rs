//! config/default.toml and .env.example say what the program does.

use super::*;
use crate::config::{environment_name, keys};

const DEFAULT_TOML: &str = include_str!("../../../config/default.toml");
const ENV_EXAMPLE: &str = include_str!("../../../.env.example");

/// The file with its commented-out keys (`#key`, without a space) switched on.
fn with_servers() -> String {
    let switched = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) => rest.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    DEFAULT_TOML.lines().map(switched).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_file_equals_the_defaults() {
    let read: Config = toml::from_str(DEFAULT_TOML).unwrap();
    assert_eq!(read, Config::default());
}

#[test]
fn the_file_names_every_key() {
    let table: toml::Table = toml::from_str(&with_servers()).unwrap();
    let mut named = Vec::new();
    for (section, fields) in &table {
        let (prefix, fields) = match fields {
            toml::Value::Array(servers) => (format!("{section}[1]"), servers[0].as_table().unwrap()),
            other => (section.clone(), other.as_table().unwrap()),
        };
        named.extend(fields.keys().map(|field| format!("{prefix}.{field}")));
    }
    named.sort();
    let mut known = keys::keys();
    known.sort();
    assert_eq!(named, known);
}

#[test]
fn the_servers_example_shows_the_defaults() {
    let mut read: Config = toml::from_str(&with_servers()).unwrap();
    let ca_file = read.asterisk[0].ca_file.take();
    assert_eq!((read.asterisk.len(), &read.asterisk[0]), (1, &Asterisk::default()));
    assert!(ca_file.is_some());
}

#[test]
fn every_key_has_a_comment() {
    let text = with_servers();
    let lines: Vec<&str> = text.lines().collect();
    for (before, line) in lines.iter().zip(&lines[1..]) {
        if line.starts_with(|c: char| c == '[' || c.is_ascii_lowercase()) {
            assert!(before.starts_with("# "), "no comment before {line}");
        }
    }
}

#[test]
fn names_that_differ_from_the_rule_are_named() {
    for key in keys::keys() {
        let name = environment_name(&key);
        assert_eq!(
            DEFAULT_TOML.contains(&name),
            !name.starts_with("CALLCENTER_") || key == "database.batch_rows",
            "{name}"
        );
    }
}

#[test]
fn the_example_of_dot_env_is_right_but_for_the_passwords() {
    let switched: Vec<&str> = ENV_EXAMPLE
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let text = switched.join("\n").replace("PASSWORD=", "PASSWORD='geheim #1 $x'");
    let setup = Setup::new();
    let ca = setup.file("ca.pem", rules::CERTIFICATE);
    let loaded = setup.dot_env(&text.replace("/etc/callcenter/ca.pem", ca.to_str().unwrap())).load();
    assert_eq!(loaded.mistakes, []);
    assert_eq!(loaded.config.asterisk.len(), 2);
    assert_eq!(loaded.config.asterisk[1].password.expose(), "geheim #1 $x");
    assert_eq!(loaded.config.lines.trunks, ["PJSIP/trunk-*"]);
}
