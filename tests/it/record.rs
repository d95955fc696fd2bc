//! `callcenter record`: what it copies from a running service replays to the same rows.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

use crate::kit::process::Process;
use crate::kit::rows::Rows;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

fn callcenter(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    command
        .env_clear()
        .envs(std::env::vars().filter(|(key, _)| matches!(key.as_str(), "PATH" | "HOME" | "RUST_BACKTRACE")))
        .current_dir(folder)
        .args(arguments);
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_recorded_call_replays_to_the_same_row() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let service = Service::start(&asterisk);
    let folder = tempfile::tempdir().unwrap();
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let mut command = callcenter(folder.path(), &["record", "day.jsonl"]);
    service.beside(&mut command);
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&err).unwrap());
    let mut record = Process::spawn("callcenter record", &mut command);
    wait::until("record to follow the journal", s(20), || {
        let text = std::fs::read_to_string(&err).unwrap();
        if text.contains("copies what comes") { Ok(()) } else { Err(text) }
    });
    let _callee = asterisk.answerer(125, 200, 60_000);
    asterisk.caller("uac", 124, &["to=125", "talk=1000"]).succeed(s(60));
    let live = wait::until("the call's row", s(20), || {
        let calls = service.rows().try_calls("caller_number = '124' AND ended_at IS NOT NULL")?;
        calls.into_iter().next().ok_or_else(|| "not over yet".to_owned())
    });
    record.signal("TERM");
    assert!(record.finish(s(10)).success(), "{}", std::fs::read_to_string(&err).unwrap());
    let recorded = std::fs::read_to_string(folder.path().join("day.jsonl")).unwrap();
    let told = std::fs::read_to_string(&out).unwrap();
    assert!(told.starts_with(&format!("{} lines", recorded.lines().count())), "{told}");

    let replay = callcenter(folder.path(), &["replay", "day.jsonl", "--db", "copy.db"]).output().unwrap();
    assert!(replay.status.success(), "{}", text(&replay));
    let copies = Rows::at(&folder.path().join("copy.db")).calls("caller_number = '124'");
    assert_eq!(copies.len(), 1, "{copies:#?}");
    assert_eq!(format!("{:#?}", copies[0]), format!("{live:#?}"));

    let mut again = callcenter(folder.path(), &["record", "day.jsonl"]);
    service.beside(&mut again);
    let again = again.output().unwrap();
    assert_eq!(again.status.code(), Some(2), "{}", text(&again));
    assert!(text(&again).contains("exists already"), "{}", text(&again));
    assert_eq!(std::fs::read_to_string(folder.path().join("day.jsonl")).unwrap(), recorded);
}

#[test]
fn without_a_journal_it_says_what_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let output = callcenter(folder.path(), &["record", "day.jsonl"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("start the service first"), "{}", text(&output));
    assert!(!folder.path().join("day.jsonl").exists());
}
