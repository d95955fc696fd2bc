//! `callcenter routes dry-run`: the calls of a database against rules that shall come.

use std::path::Path;
use std::process::{Command, Output};

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::Value;

use crate::kit::rows::Rows;

fn callcenter(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_callcenter")).current_dir(folder).args(words).output().unwrap()
}

/// A database of recorded calls.
fn database() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let traces = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    for name in ["answered", "busy", "conference", "fifty_mixed"] {
        let file = traces.join(format!("{name}.jsonl")).display().to_string();
        let done = callcenter(folder.path(), &["replay", &file, "--db", "test.db", "--node", "t"]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    folder
}

const RULES: &str = "
time_zone = 'Europe/Moscow'
[[rule]]
name = 'busy line'
when = { args = ['103'], context = 'internal' }
steps = [{ hangup = 'busy' }]
[[rule]]
name = 'vip'
when = { variables = { VIP = '1' } }
steps = [{ answer = {} }]
";

fn dry_run(folder: &Path, more: &[&str]) -> (String, String, Option<i32>) {
    let words = ["routes", "dry-run", "--rules", "new.toml", "--since", "2026-11-22", "--db", "test.db"];
    let done = callcenter(folder, &[&words[..], more].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(done.stdout), text(done.stderr), done.status.code())
}

#[test]
fn the_calls_that_other_rules_would_take_are_listed_and_counted() {
    let folder = database();
    std::fs::write(folder.path().join("new.toml"), RULES).unwrap();
    let rows = Rows::at(&folder.path().join("test.db"));
    let number = |query: &str| rows.number(&format!("SELECT COUNT(*) AS number FROM calls WHERE {query}"));
    let (all, busy) = (number("1 = 1"), number("dialed_number = '103'"));
    assert!(busy > 1 && busy < all, "{busy} of {all}");

    let (told, errors, code) = dry_run(folder.path(), &["--list", "1"]);
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    let first = told.lines().next().unwrap();
    assert!(first.ends_with("(Europe/Moscow)  100 -> 103  default => busy line"), "{told}");
    assert!(told.contains(&format!("... and {} more (--list)", busy - 1)), "{told}");
    assert!(told.contains(&format!("{busy} of {all} calls would be routed otherwise")), "{told}");
    assert!(told.contains(&format!("the variable VIP is not on record for {all} calls")), "{told}");

    let (json, _, _) = dry_run(folder.path(), &["--json", "--list", "1000"]);
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["tally"]["calls"], all);
    assert_eq!(report["listed"].as_array().unwrap().len() as i64, busy);
    assert_eq!(report["listed"][0]["then"]["steps"][0], "hangup busy");

    // Against themselves nothing changes.
    let (told, _, _) = dry_run(folder.path(), &["--current", "new.toml"]);
    assert!(told.starts_with(&format!("0 of {all} calls")), "{told}");
    // Where the raw log has been taken by retention, the call's row tells what it can.
    let mut connection = SqliteConnection::establish(&folder.path().join("test.db").to_string_lossy()).unwrap();
    connection.batch_execute("DELETE FROM events").unwrap();
    let (told, _, _) = dry_run(folder.path(), &[]);
    assert!(told.contains(&format!("0 of {all} calls")), "arguments and context are not on record any more: {told}");
    std::fs::write(
        folder.path().join("new.toml"),
        RULES.replace("args = ['103'], context = 'internal'", "dialed = '103'"),
    )
    .unwrap();
    let (told, _, _) = dry_run(folder.path(), &[]);
    assert!(told.contains(&format!("{busy} of {all} calls")), "{told}");
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("new.toml"), RULES).unwrap();
    let (_, errors, code) = dry_run(folder.path(), &[]);
    assert!(errors.contains("there is no database at 'test.db'; name it with --db") && code == Some(1), "{errors}");
    let (_, errors, code) = dry_run(folder.path(), &["--until", "yesterday"]);
    assert!(errors.contains("--until 'yesterday' is no time; write '2026-12-24 10:00'") && code == Some(2), "{errors}");
    std::fs::write(folder.path().join("new.toml"), "[[rule]]\nname = 'a'\nsteps = [{ dail = 'x' }]\n").unwrap();
    let (_, errors, code) = dry_run(folder.path(), &[]);
    assert!(errors.contains("new.toml:3:12: ") && code == Some(2), "{errors}");
    assert!(!folder.path().join("test.db").exists());
}
