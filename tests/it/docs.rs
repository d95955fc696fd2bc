//! The READMEs name what the program has: every key of the configuration with its environment name and default, every
//! command, every column of `calls`.

use callcenter::config::{Config, environment_name, keys};

const READMES: [(&str, &str); 2] =
    [("README.md", include_str!("../../README.md")), ("README.ru.md", include_str!("../../README.ru.md"))];

/// The row of a table whose first cell is `` `name` ``.
fn row<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let start = format!("| `{name}` |");
    text.lines().find(|line| line.starts_with(&start))
}

/// A default as the table writes it; `None` where the key has none.
fn default_of(key: &str) -> Option<String> {
    let all = serde_json::to_value(Config::default()).expect("the configuration is written as JSON");
    let (section, field) = key.split_once('.').expect("a key has a section");
    let value = all.get(section)?.get(field)?;
    Some(value.to_string().replace("\",\"", "\", \""))
}

#[test]
fn each_readme_has_every_key_with_its_variable_and_default() {
    let mut missing = Vec::new();
    for (file, text) in READMES {
        for key in keys() {
            let Some(row) = row(text, &key) else {
                missing.push(format!("{file}: no row for {key}"));
                continue;
            };
            let variable = format!("`{}`", environment_name(&key));
            let default = default_of(&key).map(|value| format!("| `{value}` |"));
            for part in std::iter::once(variable).chain(default) {
                if !row.contains(&part) {
                    missing.push(format!("{file}: the row of {key} lacks {part}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn no_readme_has_a_key_that_is_none() {
    let known = keys();
    for (file, text) in READMES {
        let cells = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `"));
        let keys = cells.filter(|(_, rest)| {
            let variable = rest.split_once("` |").map_or("", |(variable, _)| variable);
            !variable.is_empty() && variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
        });
        let named: Vec<&str> = keys.map(|(key, _)| key).collect();
        assert_eq!(named.len(), known.len(), "{file}");
        let unknown: Vec<_> = named.iter().filter(|key| !known.iter().any(|k| k == *key)).collect();
        assert!(unknown.is_empty(), "{file} has keys that are none: {unknown:?}");
    }
}

#[test]
fn each_readme_explains_every_column_of_calls() {
    let schema = include_str!("../../migrations/2026-11-22-000000_first/up.sql");
    let table = schema.split("CREATE TABLE calls (").nth(1).and_then(|rest| rest.split(");").next());
    let columns: Vec<&str> = table.expect("calls").lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(columns.len() > 25, "{columns:?}");
    for (file, text) in READMES {
        let missing: Vec<_> = columns.iter().filter(|column| !text.contains(&format!("`{column}`"))).collect();
        assert!(missing.is_empty(), "{file} says nothing of {missing:?}");
    }
}

#[test]
fn each_readme_names_every_command_and_links_the_other() {
    for (file, text) in READMES {
        for command in ["serve", "feed", "check", "doctor", "demo", "backup", "replay", "record", "completions"] {
            assert!(text.contains(&format!("`callcenter {command}")), "{file}: {command}");
        }
        let other = READMES.iter().find(|(name, _)| *name != file).expect("two").0;
        assert!(text.contains(&format!("]({other})")), "{file} does not link {other}");
    }
}
