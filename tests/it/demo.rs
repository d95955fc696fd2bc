//! `callcenter demo`: calls appear, they are what was played, and it ends in order.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use callcenter::app::{Demo, DemoOptions};
use callcenter::config::{self, Inputs};
use callcenter::sim::PlayedCall;

use crate::kit::process::Process;
use crate::kit::rows::{Call, Rows};
use crate::kit::wait::{self, s};

/// Whether the rows of a call are what was played.
pub(crate) fn as_played(played: &PlayedCall, rows: &[Call]) -> bool {
    let fits = |row: &Call| {
        played.expected.iter().any(|wanted| {
            let same = |is: &Option<String>, wanted: &Option<String>| wanted.is_none() || is == wanted;
            wanted.status == row.status
                && same(&row.caller_number, &wanted.caller_number)
                && same(&row.dialed_number, &wanted.dialed_number)
                && same(&row.callee_number, &wanted.callee_number)
                && same(&row.ended_by, &wanted.ended_by)
        })
    };
    rows.len() == played.expected.len() && rows.iter().all(fits)
}

/// The rows that began with a channel of this call.
pub(crate) fn rows_of(played: &PlayedCall, all: &BTreeMap<String, Vec<Call>>) -> Vec<Call> {
    played.channels.iter().filter_map(|id| all.get(id)).flatten().cloned().collect()
}

/// All rows by the channel that they began with.
pub(crate) fn by_channel(rows: &Rows) -> BTreeMap<String, Vec<Call>> {
    let mut all: BTreeMap<String, Vec<Call>> = BTreeMap::new();
    for call in rows.calls("1") {
        all.entry(call.channel().to_owned()).or_default().push(call);
    }
    all
}

#[test]
fn the_demos_rows_are_what_was_played() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("demo.db");
    let inputs = Inputs {
        config: None,
        default_files: Vec::new(),
        dot_env: folder.path().join("none"),
        environment: BTreeMap::new(),
        unreadable: Vec::new(),
    };
    let options = DemoOptions { calls_per_minute: 900, lasts: Some(s(20)), database: database.clone(), port: Some(0) };
    let demo = Demo::start(&options, config::load(&inputs).accept().unwrap()).unwrap();
    demo.serve().unwrap();

    let rows = Rows::at(&database);
    let all = by_channel(&rows);
    let heard: Vec<PlayedCall> =
        demo.sim().played().into_iter().filter(|call| call.unheard == 0 && !call.disturbed).collect();
    // What the socket was given in the moment of its end may not have been read.
    let until = heard.iter().map(|call| call.ended_at).max().unwrap_or(0) - 1_000;
    let sure: Vec<&PlayedCall> = heard.iter().filter(|call| call.ended_at < until).collect();
    assert!(sure.len() > 20, "only {} calls went to their end", sure.len());
    for played in sure {
        let found = rows_of(played, &all);
        assert!(as_played(played, &found), "played: {played:#?}\nfound: {found:#?}");
        assert!(found.iter().all(|row| row.incomplete == 0), "flagged without a gap: {found:#?}");
    }
    let inbound = rows.number("SELECT COUNT(*) AS number FROM calls WHERE direction = 'inbound' AND trunk = 'trunk'");
    assert!(inbound > 0, "no call came in by the demo's trunk");
    assert_eq!(rows.gaps(), Vec::<String>::new());
}

/// The program's demo, three calls a second.
fn demo(folder: &Path, more: &[&str]) -> Process {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    command
        .env_clear()
        .current_dir(folder)
        .args(["demo", "--rate", "180", "--db", "demo.db"])
        .args(more)
        .stdout(Stdio::null())
        .stderr(log);
    Process::spawn("callcenter demo", &mut command)
}

#[test]
fn a_demo_ends_after_its_time_and_is_continued_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let rows = Rows::at(&folder.path().join("demo.db"));
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();

    let status = demo(folder.path(), &["--for", "4", "--port", &port]).finish(s(30));
    assert!(status.success(), "{status}\n{}", log());
    assert!(log().contains("can't be used") && log().contains("sqlite3 demo.db"), "{}", log());
    let open = rows.words("SELECT uid AS word FROM calls WHERE ended_at IS NULL");
    assert!(!open.is_empty(), "some calls outlive a demo of 4 s\n{}", log());

    let before = rows.number("SELECT COUNT(*) AS number FROM calls");
    let mut second = demo(folder.path(), &["--port", "0"]);
    wait::until("the second demo's first calls", s(30), || {
        let now = rows.try_calls("1").map_err(|error| format!("{error}\n{}", log()))?.len();
        if now as i64 > before + 2 { Ok(()) } else { Err(format!("{now} rows\n{}", log())) }
    });
    second.signal("TERM");
    let status = second.finish(s(10));
    assert!(status.success(), "{status}\n{}", log());
    for uid in open {
        let calls = rows.calls(&format!("uid = '{uid}'"));
        assert!(calls.len() == 1 && !calls[0].open() && calls[0].incomplete == 1, "{calls:#?}");
    }
    assert_eq!(rows.gaps(), ["the service was not running"]);
}
