//! A database that is damaged, or newer than the program: refused with the way out, and the way out leads there.

use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::{Bench, IMPATIENT, SMALL, beside};
use crate::kit::Service;

/// Overwrites a part of a file.
fn overwrite(file: &Path, from: u64, bytes: usize) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(&vec![0xA5; bytes], from).unwrap();
}

fn length(file: &Path) -> u64 {
    std::fs::metadata(file).unwrap().len()
}

fn backup(service: &Service, to: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    service.beside(command.env_clear().arg("backup").arg(to));
    let done = command.output().unwrap();
    assert!(done.status.success(), "{done:?}");
}

/// Puts `from` in the database's place as the message says; `None` leaves the place empty.
fn put(from: Option<&Path>, database: &Path) {
    for ending in ["", "-wal", "-shm"] {
        let file = beside(database, ending);
        if file.exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    if let Some(from) = from {
        std::fs::copy(from, database).unwrap();
    }
}

/// After the way out everything is there: the copy's part and the journal's.
#[track_caller]
fn leads_back(bench: &mut Bench, from: Option<&Path>, events: u64) {
    let database = bench.service.database();
    put(from, &database);
    bench.service.restart();
    bench.settled();
    assert_eq!(bench.events(), events, "events after starting with {from:?}");
    bench.service.sigterm();
}

#[test]
fn a_damaged_database_is_refused_at_the_start_and_the_ways_out_lead_back() {
    let folder = tempfile::tempdir().unwrap();
    let (copy, whole) = (folder.path().join("copy.db"), folder.path().join("whole.db"));
    let mut bench = Bench::start("", &[]);
    bench.calls_go_on(30);
    backup(&bench.service, &copy);
    bench.calls_go_on(30);
    bench.settled();
    let (events, calls) = (bench.events(), bench.rows.calls("1").len());
    backup(&bench.service, &whole);
    bench.service.sigterm();
    let database = bench.service.database();

    put(Some(&whole), &database);
    overwrite(&database, 0, 4_096);
    let said = bench.service.refuses();
    assert!(said.contains("not a SQLite database") && said.contains("callcenter backup"), "{said}");
    put(Some(&whole), &database);
    let cut = std::fs::File::options().write(true).open(&database).unwrap();
    cut.set_len(length(&whole) / 2 / 4_096 * 4_096).unwrap();
    drop(cut);
    let said = bench.service.refuses();
    assert!(said.contains("is damaged") && said.contains("callcenter backup"), "{said}");
    put(Some(&whole), &database);
    overwrite(&database, 8 * 4_096, length(&whole) as usize - 16 * 4_096);
    let said = bench.service.refuses();
    assert!(said.contains("is damaged") && said.contains("the journal gives back"), "{said}");

    leads_back(&mut bench, Some(&copy), events);
    assert_eq!(bench.rows.calls("1").len(), calls);
    leads_back(&mut bench, None, events);
    assert_eq!(bench.rows.calls("1").len(), calls);
    bench.right(|_| true);
}

/// A write-ahead log that is garbage is ignored by SQLite: what was in it comes from the journal.
#[test]
fn a_garbage_write_ahead_log_costs_nothing() {
    let mut bench = Bench::start("", &[]);
    bench.calls_go_on(30);
    bench.sim.stop_arrivals();
    bench.settled();
    let (events, calls) = (bench.events(), bench.rows.calls("1").len());
    bench.service.sigkill();
    let wal = beside(&bench.service.database(), "-wal");
    assert!(length(&wal) > 4_096);
    overwrite(&wal, 0, length(&wal) as usize);
    bench.service.restart();
    bench.settled();
    assert_eq!((bench.events(), bench.rows.calls("1").len()), (events, calls));
    bench.right(|_| true);
    bench.service.sigterm();
}

#[test]
fn damage_found_while_calls_run_is_said_and_the_journal_keeps_what_follows() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.db");
    let mut bench = Bench::start(&format!("{SMALL}{IMPATIENT}"), &[]);
    bench.calls_go_on(30);
    backup(&bench.service, &copy);
    let database = bench.service.database();
    // All but the first page, in the file and by a commit of another program: what the writer has read before is no longer valid.
    let mut other = SqliteConnection::establish(&database.to_string_lossy()).unwrap();
    other.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA wal_checkpoint(TRUNCATE); BEGIN IMMEDIATE").unwrap();
    overwrite(&database, 4_096, length(&database) as usize - 4_096);
    other.batch_execute("PRAGMA user_version = 7; COMMIT").unwrap();
    drop(other);
    bench.says("the database is damaged");
    bench.calls_go_on(30);
    assert_eq!(bench.service.system()["actors"][0]["restarts"], 0, "the writer goes on trying, it does not die");
    assert_eq!(bench.by_node("callcenter_ari_connected"), 1.0);
    bench.sim.stop_arrivals();
    crate::kit::wait::until("the end of every call", super::s(60), || match bench.sim.live_calls() {
        0 => Ok(()),
        some => Err(some),
    });
    bench.nobody_waited();
    let sent = bench.sim.truth().sent;
    bench.service.sigterm();
    put(Some(&copy), &database);
    bench.service.restart();
    bench.settled();
    assert_eq!(bench.events(), sent);
    assert!(bench.right(|_| true) > 40);
    bench.service.sigterm();
}

#[test]
fn a_schema_newer_than_the_program_is_refused() {
    let mut bench = Bench::start("", &[]);
    bench.sim.stop_arrivals();
    bench.service.sigterm();
    let database = bench.service.database();
    let mut other = SqliteConnection::establish(&database.to_string_lossy()).unwrap();
    other.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('99990101000000')").unwrap();
    drop(other);
    let said = bench.service.refuses();
    assert!(said.contains("made by a newer callcenter") && said.contains("99990101000000"), "{said}");
    assert!(said.contains("start that version again"), "{said}");
}
