//! What is opened, what is refused, and that what is refused stays untouched.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_migrations::MigrationHarness;

use super::{call, commit, config, fresh};
use crate::db::batch::Part;
use crate::db::look::{Found, look};
use crate::db::open::{MIGRATIONS, OpenError, open_write};
use crate::db::read;

#[derive(QueryableByName)]
struct Named {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Everything in a folder: names, lengths, contents and times of change.
fn everything_in(folder: &Path) -> Vec<(String, Vec<u8>, SystemTime)> {
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let modified = entry.metadata().unwrap().modified().unwrap();
            (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap(), modified)
        })
        .collect();
    found.sort();
    found
}

/// A database that `sql` made, closed again.
fn made_by(path: &Path, sql: &str) {
    SqliteConnection::establish(path.to_str().unwrap()).unwrap().batch_execute(sql).unwrap();
}

/// Opening `calls.db` in the folder is refused with these words, and nothing in the folder changes.
fn check_refused(folder: &Path, words: &str) {
    let before = everything_in(folder);
    let error = open_write(&config(&folder.join("calls.db"))).err().expect("it should be refused").to_string();
    assert!(error.contains(words), "'{error}' should contain '{words}'");
    assert_eq!(everything_in(folder), before);
}

#[test]
fn a_new_database_is_made_with_its_folder_and_is_current_the_next_time() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("some where/50% off?/calls#1.db"));
    let first = open_write(&config).unwrap();
    assert!(first.created);
    assert_eq!(first.migrations, ["2026-11-22-000000_first", "2026-11-22-100000_reconciled"]);
    assert!(config.path.is_file());
    drop(first);
    assert_eq!(look(&config.path).unwrap(), Found::Ours { pending: Vec::new() });
    let again = open_write(&config).unwrap();
    assert!(!again.created);
    assert!(again.migrations.is_empty());
}

#[test]
fn an_empty_file_becomes_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&folder.path().join("calls.db"));
    fs::write(&config.path, "").unwrap();
    assert!(open_write(&config).unwrap().created);
    let nothing_in_it = super::config(&folder.path().join("vacuumed.db"));
    made_by(&nothing_in_it.path, "VACUUM");
    assert!(fs::metadata(&nothing_in_it.path).unwrap().len() > 0);
    assert!(open_write(&nothing_in_it).unwrap().created);
}

#[test]
fn the_pragmas_are_in_force() {
    #[derive(QueryableByName)]
    struct Mode {
        #[diesel(sql_type = Text)]
        journal_mode: String,
    }
    #[derive(QueryableByName)]
    struct Mark {
        #[diesel(sql_type = diesel::sql_types::Integer)]
        application_id: i32,
    }
    let (_folder, _, mut opened) = fresh();
    let mode: Mode = diesel::sql_query("PRAGMA journal_mode").get_result(&mut opened.connection).unwrap();
    assert_eq!(mode.journal_mode, "wal");
    let mark: Mark = diesel::sql_query("PRAGMA application_id").get_result(&mut opened.connection).unwrap();
    assert_eq!(mark.application_id, crate::db::look::APPLICATION_ID);
}

#[test]
fn a_database_of_another_program_is_refused_untouched() {
    for mode in ["DELETE", "WAL"] {
        let folder = tempfile::tempdir().unwrap();
        let make = format!("PRAGMA journal_mode = {mode}; CREATE TABLE customers (name TEXT);");
        made_by(&folder.path().join("calls.db"), &make);
        check_refused(folder.path(), "it holds the table 'customers'");
    }
}

#[test]
fn a_database_that_looks_like_ours_without_our_mark_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    made_by(&folder.path().join("calls.db"), "CREATE TABLE calls (id INTEGER PRIMARY KEY, caller TEXT)");
    check_refused(folder.path(), "it holds the table 'calls'");
}

#[test]
fn a_foreign_database_in_use_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    let mut user = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    user.batch_execute("PRAGMA journal_mode = WAL; CREATE TABLE customers (name TEXT)").unwrap();
    check_refused(folder.path(), "it is in use");
    user.batch_execute("INSERT INTO customers VALUES ('still works')").unwrap();
}

#[test]
fn another_application_id_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    made_by(&folder.path().join("calls.db"), "PRAGMA application_id = 1196444487; VACUUM");
    check_refused(folder.path(), "its application_id is 1196444487");
}

#[test]
fn our_database_with_a_foreign_table_in_it_is_refused_untouched() {
    let (folder, config, opened) = fresh();
    drop(opened);
    made_by(&config.path, "CREATE TABLE customers (name TEXT)");
    check_refused(folder.path(), "it holds the table 'customers', which callcenter did not make");
}

#[test]
fn views_and_indexes_of_the_owner_are_welcome() {
    let (_folder, config, opened) = fresh();
    drop(opened);
    made_by(&config.path, "CREATE VIEW answered AS SELECT * FROM calls; CREATE INDEX mine ON calls (trunk)");
    open_write(&config).unwrap();
}

#[test]
fn what_is_no_database_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    for content in ["id,caller\n1,100\n", "SQLite format 3\0 and no more"] {
        fs::write(&path, content).unwrap();
        check_refused(folder.path(), "is not a SQLite database");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = open_write(&config(&path)).err().unwrap().to_string();
    assert!(error.contains("must name the database file itself"), "{error}");
}

#[test]
fn a_schema_of_a_newer_version_is_refused_untouched() {
    let (folder, config, opened) = fresh();
    drop(opened);
    made_by(
        &config.path,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('20991231000000'); CREATE TABLE future (x);",
    );
    check_refused(folder.path(), "made by a newer callcenter (this version doesn't know its schema 20991231000000)");
}

#[test]
fn a_damaged_database_is_refused_with_the_way_out() {
    let (folder, config, mut opened) = fresh();
    for number in 0..200 {
        commit(&mut opened.connection, Part { calls: vec![call(number)], ..Part::default() });
    }
    opened.connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(opened);
    let mut bytes = fs::read(&config.path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&config.path, bytes).unwrap();
    let error = open_write(&config).err().expect("it should be refused").to_string();
    assert!(error.contains("is damaged") && error.contains("callcenter backup"), "{error}");
    drop(folder);
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = open_write(&config(&folder.path().join("file/data/calls.db"))).err().unwrap();
    let text = error.to_string();
    assert!(text.contains("file") && text.contains("DB_PATH"), "{text}");
}

#[test]
fn a_second_writer_is_refused_until_the_first_is_gone() {
    let (_folder, config, opened) = fresh();
    let error = open_write(&config).err().expect("it should be refused");
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(opened);
    open_write(&config).unwrap();
}

#[test]
fn what_a_crash_left_in_the_write_ahead_log_is_there_again() {
    let (folder, config, mut opened) = fresh();
    commit(&mut opened.connection, Part { calls: vec![call(1)], ..Part::default() });
    // The files as they are while the database is open: what SIGKILL leaves.
    let crashed = folder.path().join("crashed.db");
    fs::copy(&config.path, &crashed).unwrap();
    fs::copy(folder.path().join("calls.db-wal"), folder.path().join("crashed.db-wal")).unwrap();
    let mut again = open_write(&super::config(&crashed)).unwrap();
    assert!(!again.created);
    assert_eq!(read::last_calls(&mut again.connection, 10).unwrap().len(), 1);
}

#[test]
fn a_creation_cut_off_in_its_first_transaction_is_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calls.db");
    // The header bears our mark, but the journal beside it takes that back: what a crash in the middle leaves.
    let mut maker = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    maker.batch_execute("VACUUM; PRAGMA synchronous = OFF; BEGIN; PRAGMA application_id = 1;").unwrap();
    let cut_off = folder.path().join("cut.db");
    let mut bytes = fs::read(&path).unwrap();
    bytes[68..72].copy_from_slice(&crate::db::look::APPLICATION_ID.to_be_bytes());
    fs::write(&cut_off, bytes).unwrap();
    assert!(fs::copy(folder.path().join("calls.db-journal"), folder.path().join("cut.db-journal")).unwrap() > 512);
    assert_eq!(
        look(&cut_off).unwrap(),
        Found::Ours { pending: vec!["2026-11-22-000000_first".into(), "2026-11-22-100000_reconciled".into()] }
    );
    let mut opened = open_write(&super::config(&cut_off)).unwrap();
    commit(&mut opened.connection, Part { calls: vec![call(1)], ..Part::default() });
    drop(opened);
    assert!(open_write(&super::config(&cut_off)).unwrap().migrations.is_empty());
}

#[test]
fn the_schema_goes_down_and_up_again() {
    let (_folder, _, mut opened) = fresh();
    let conn = &mut opened.connection;
    conn.revert_all_migrations(MIGRATIONS).unwrap();
    let left: Vec<Named> = diesel::sql_query(
        "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_diesel%' ESCAPE '\\'",
    )
    .load(conn)
    .unwrap();
    assert!(left.is_empty(), "{:?}", left.iter().map(|one| &one.name).collect::<Vec<_>>());
    conn.run_pending_migrations(MIGRATIONS).unwrap();
    commit(conn, Part { calls: vec![call(1)], ..Part::default() });
    assert_eq!(read::last_calls(conn, 10).unwrap().len(), 1);
}

/// Columns of a table as the database has them, in their order.
fn columns_of(conn: &mut SqliteConnection, table: &str) -> Vec<String> {
    diesel::sql_query("SELECT name FROM pragma_table_info(?)")
        .bind::<Text, _>(table)
        .load::<Named>(conn)
        .unwrap()
        .into_iter()
        .map(|one| one.name)
        .collect()
}

#[test]
fn the_schema_that_diesel_knows_is_the_databases() {
    use crate::db::schema;
    let (_folder, _, mut opened) = fresh();
    macro_rules! check {
        ($($table:ident),+) => { $({
            // Diesel's own list of the columns, as it writes them in a query.
            let all = schema::$table::table.select(schema::$table::all_columns);
            let query = diesel::debug_query::<diesel::sqlite::Sqlite, _>(&all).to_string();
            let known: Vec<String> = query
                .split(" FROM ").next().unwrap()
                .trim_start_matches("SELECT ")
                .split(", ")
                .map(|column| column.rsplit('.').next().unwrap().trim_matches('`').to_owned())
                .collect();
            assert_eq!(known, columns_of(&mut opened.connection, stringify!($table)));
        })+ };
    }
    check!(calls, legs, events, changes, gaps, endpoints, recordings, commands, positions);
}
