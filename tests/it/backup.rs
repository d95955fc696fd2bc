//! `callcenter backup` of a database that a running service writes.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use callcenter::sim::{MixEntry, Sim, SimConfig};

use crate::kit::Service;
use crate::kit::rows::{Call, Rows};
use crate::kit::wait::{self, s};

const USER: [(&str, &str); 4] = [
    ("ARI_USERNAME", "demo"),
    ("ARI_PASSWORD", "demo-password"),
    ("ARI_APP_NAME", "callcenter-app"),
    ("RUST_LOG", "info"),
];

fn run(service: &Service, arguments: &[&str], paths: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    service.beside(command.env_clear().args(arguments).args(paths));
    command.output().unwrap()
}

/// Status and times of each call by its uid.
fn told(rows: &Rows) -> Vec<(String, String, Option<String>, Option<i64>)> {
    let of = |call: Call| (call.uid, call.status, call.ended_at, call.talk_ms);
    rows.calls("1").into_iter().map(of).collect()
}

#[test]
fn copies_of_a_busy_database_agree_with_the_journal_up_to_their_position() {
    let mix = ["answered", "callee_hangs_up", "busy", "abandoned"];
    let mix = mix.map(|name| MixEntry::new(name, 1).stretched(1.0, 1.5)).to_vec();
    let sim = Sim::start(SimConfig { mix, calls_per_second: 30.0, ..SimConfig::default() }).unwrap();
    let url = sim.url();
    let mut environment = vec![("ARI_URL", url.as_str())];
    environment.extend(USER);
    let mut service = Service::with("", &environment);
    let folder = tempfile::tempdir().unwrap();
    let mut copies: Vec<PathBuf> = Vec::new();
    for wanted in [20, 60, 120] {
        wait::until("calls", s(60), || {
            let calls = service.rows().try_calls("1")?.len();
            if calls >= wanted { Ok(()) } else { Err(format!("{calls} of {wanted}")) }
        });
        let copy = folder.path().join(format!("{wanted}.db"));
        let done = run(&service, &["backup"], &[&copy]);
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && text.contains("checked"), "{done:?}");
        copies.push(copy);
    }
    let again = run(&service, &["backup"], &[&copies[0]]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--force"), "{again:?}");
    service.sigterm();

    let journal = service.journal();
    for copy in &copies {
        let rows = Rows::at(copy);
        let position = usize::try_from(rows.number("SELECT position AS number FROM positions")).unwrap();
        let before = &journal[..position];
        let events = before.split(|b| *b == b'\n').filter(|l| l.windows(10).any(|w| w == b"\"event\": {")).count();
        assert_eq!(rows.number("SELECT COUNT(*) AS number FROM events"), i64::try_from(events).unwrap());
        // What the journal up to there leads to is what the copy holds.
        let (stream, replayed) = (copy.with_extension("jsonl"), copy.with_extension("replayed.db"));
        std::fs::write(&stream, before).unwrap();
        let database = replayed.to_string_lossy();
        let done = run(&service, &["replay", "--node", "main", "--db", &*database], &[&stream]);
        assert!(done.status.success(), "{done:?}");
        assert_eq!(told(&rows), told(&Rows::at(&replayed)), "{}", copy.display());
    }
}

#[test]
fn an_orderly_stop_leaves_everything_in_the_one_database_file() {
    let mix = vec![MixEntry::new("answered", 1).stretched(1.0, 1.5)];
    let sim = Sim::start(SimConfig { mix, calls_per_second: 30.0, ..SimConfig::default() }).unwrap();
    let url = sim.url();
    let mut environment = vec![("ARI_URL", url.as_str())];
    environment.extend(USER);
    let mut service = Service::with("", &environment);
    wait::until("calls", s(60), || {
        let calls = service.rows().try_calls("1")?.len();
        if calls >= 20 { Ok(()) } else { Err(format!("{calls} of 20")) }
    });
    // Those that read have the database open, too.
    assert_eq!(service.get("/api/v1/gaps").unwrap().0, 200);
    service.signal("TERM");
    let taken = service.stops();
    assert!(taken < s(5), "{taken:?}");
    service.says("everything written", s(1));
    let database = service.database();
    let log = PathBuf::from(format!("{}-wal", database.display()));
    let left = std::fs::metadata(&log).map_or(0, |found| found.len());
    assert_eq!(left, 0, "{}: {}", log.display(), service.tail());
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    std::fs::copy(&database, &copy).unwrap();
    let events = |rows: Rows| rows.number("SELECT COUNT(*) AS number FROM events");
    let (copied, all) = (Rows::at(&copy), service.rows());
    assert!(copied.calls("1").len() >= 20);
    assert_eq!(events(copied), events(all));
}
