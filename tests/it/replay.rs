//! `callcenter replay`: each recorded stream through the same actors and writer as the service gives the calls of
//! its truth; twice changes nothing; a broken run goes on.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::kit::rows::{Call, Rows};

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

fn stream(name: &str) -> PathBuf {
    let plain = traces().join(format!("{name}.jsonl"));
    if plain.exists() { plain } else { traces().join(format!("{name}.jsonl.gz")) }
}

/// Replays files into a database; what it printed.
#[track_caller]
fn replay(folder: &Path, files: &[PathBuf]) -> String {
    let done = Command::new(env!("CARGO_BIN_EXE_callcenter"))
        .current_dir(folder)
        .arg("replay")
        .args(files)
        .args(["--db", "test.db", "--node", "t"])
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

fn calls(folder: &Path) -> Vec<Call> {
    Rows::at(&folder.join("test.db")).calls("1 = 1")
}

/// In what a row differs from one of the truth, if it does. The truth's null is "not compared", but for who answered.
fn differs(want: &Value, call: &Call) -> Option<String> {
    let text = |value: &Option<String>| value.clone().map_or(Value::Null, Value::String);
    let mut found = String::new();
    for (key, value) in want.as_object().unwrap() {
        let got = match key.as_str() {
            "caller_number" => text(&call.caller_number),
            "dialed_number" => text(&call.dialed_number),
            "callee_number" => text(&call.callee_number),
            "ended_by" => text(&call.ended_by),
            "status" => Value::String(call.status.clone()),
            "incomplete" => Value::from(i64::from(call.incomplete)),
            "talk_ms" => call.talk_ms.map_or(Value::Null, Value::from),
            other => panic!("the truth has a column that this test does not know: {other}"),
        };
        let same = match (value.as_i64(), got.as_i64()) {
            (Some(a), Some(b)) if key == "talk_ms" => (a - b).abs() <= 100,
            _ => *value == got,
        };
        if !same && (!value.is_null() || key == "callee_number") {
            found.push_str(&format!("{key}={got} "));
        }
    }
    (!found.is_empty()).then_some(found)
}

fn compare(name: &str, truth: &Value, rows: &[Call], problems: &mut Vec<String>) {
    if let Some(expected) = truth["calls"].as_array() {
        let mut left: Vec<&Call> = rows.iter().collect();
        for want in expected {
            match left.iter().position(|call| differs(want, call).is_none()) {
                Some(place) => drop(left.remove(place)),
                None => problems.push(format!("{name}: no row is {want} among {rows:#?}")),
            }
        }
        if !left.is_empty() {
            problems.push(format!("{name}: more rows than calls: {left:#?}"));
        }
    }
    for (text, count) in truth["expected_counts"].as_object().into_iter().flatten() {
        // Several lines of the truth can be of one status: they are told apart by who called.
        let status = text.split([' ', ',']).next().unwrap();
        let all: i64 = truth["expected_counts"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(text, _)| text.split([' ', ',']).next() == Some(status))
            .map(|(_, count)| count.as_i64().unwrap())
            .sum();
        let found = rows.iter().filter(|call| call.status == status).count();
        if i64::try_from(found).unwrap() != all {
            problems.push(format!("{name}: {found} calls are {status}, expected {all} ({text}: {count})"));
        }
    }
}

#[test]
fn each_recorded_stream_gives_the_calls_of_its_truth_and_twice_the_same() {
    let mut problems = Vec::new();
    let mut names: Vec<PathBuf> =
        std::fs::read_dir(traces().join("truth")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert!(names.len() >= 35);
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let truth: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let first = replay(folder.path(), &[stream(name)]);
        let rows = calls(folder.path());
        compare(name, &truth, &rows, &mut problems);
        let tables = ["calls", "legs", "events", "changes", "gaps"];
        let count = |table: &str| {
            Rows::at(&folder.path().join("test.db")).number(&format!("SELECT COUNT(*) AS number FROM {table}"))
        };
        let before = tables.map(count);
        let again = replay(folder.path(), &[stream(name)]);
        if !again.contains(" 0 of them new; 0 calls begun") {
            problems.push(format!("{name}: a second run wrote something: {first} then {again}"));
        }
        if before != tables.map(count) || format!("{rows:?}") != format!("{:?}", calls(folder.path())) {
            problems.push(format!("{name}: a second run changed something"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_broken_run_goes_on_where_it_was() {
    // A run that broke in the middle is one that saw only the beginning of the stream: the same stream, its end not
    // there yet.
    let name = "fifty_mixed";
    let whole = std::fs::read_to_string(stream(name)).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let (at_once, in_steps) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    replay(at_once.path(), &[stream(name)]);
    let growing = in_steps.path().join("stream.jsonl");
    for end in [lines.len() / 7, lines.len() / 3, lines.len() / 2, lines.len() - 5, lines.len()] {
        std::fs::write(&growing, lines[..end].join("\n") + "\n").unwrap();
        replay(in_steps.path(), std::slice::from_ref(&growing));
    }
    let mut problems = Vec::new();
    let truth: Value =
        serde_json::from_slice(&std::fs::read(traces().join("truth/fifty_mixed.json")).unwrap()).unwrap();
    compare(name, &truth, &calls(in_steps.path()), &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(format!("{:#?}", calls(in_steps.path())), format!("{:#?}", calls(at_once.path())));
    // The chains of the raw log are whole: walking from each leg's head reaches as many events as at once.
    let walked = |folder: &Path| {
        Rows::at(&folder.join("test.db")).number(
            "WITH RECURSIVE walk(seq) AS (SELECT last_event_seq FROM legs UNION \
             SELECT prev_seq FROM events JOIN walk USING (seq) WHERE prev_seq IS NOT NULL) \
             SELECT COUNT(*) AS number FROM walk WHERE seq IS NOT NULL",
        )
    };
    assert_eq!(walked(in_steps.path()), walked(at_once.path()));
    assert!(walked(at_once.path()) > 1_000);
}
