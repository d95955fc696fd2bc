//! Copies of a database that is being written.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::*;
use crate::db::backup::{BackupError, backup};
use crate::db::look::{Found, look};
use crate::db::read::all_positions;
use crate::db::schema::calls;

fn numbers(path: &Path) -> Vec<CallUid> {
    let mut conn = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    calls::table.order(calls::id).select(calls::uid).load(&mut conn).unwrap()
}

/// One more call, with the position that it leads to.
fn write_call(conn: &mut SqliteConnection, number: i64) {
    let to =
        Position { node: node(), stream: "journal".into(), position: number, oldest_open: number, updated_at: START };
    let part = Part { calls: vec![call(number)], advance: Some(Advance { from: number - 1, to }), ..Part::default() };
    write(conn, &Batch { parts: vec![part] }).unwrap();
}

#[test]
fn a_copy_holds_all_that_is_committed_and_is_a_database_of_its_own() {
    let (folder, config, mut opened) = fresh();
    (1..=20).for_each(|number| write_call(&mut opened.connection, number));
    std::fs::set_permissions(&config.path, Permissions::from_mode(0o640)).unwrap();
    let copy = folder.path().join("copy of today?.db");
    let done = backup(&config.path, &copy, false).unwrap();
    assert_eq!((done.calls, done.bytes), (20, std::fs::metadata(&copy).unwrap().len()));
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(look(&copy).unwrap(), Found::Ours { pending: vec![] });
    write_call(&mut opened.connection, 21);
    assert_eq!((numbers(&copy).len(), numbers(&config.path).len()), (20, 21));
    // It is opened and written as any other.
    drop(opened);
    let mut again = open_write(&super::config(&copy)).unwrap();
    write_call(&mut again.connection, 21);
    assert_eq!(all_positions(&mut again.connection).unwrap()[0].position, 21);
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".part")), "{names:?}");
}

#[test]
fn the_writer_is_not_held_up_by_a_copy() {
    let (folder, config, mut opened) = fresh();
    (1..=200).for_each(|number| write_call(&mut opened.connection, number));
    // Any wait for a lock would be an error at once.
    opened.connection.batch_execute("PRAGMA busy_timeout = 0").unwrap();
    let path = config.path.clone();
    let copies = std::thread::spawn(move || {
        let copy = |n: usize| backup(&path, &folder.path().join(format!("{n}.db")), false).unwrap().calls;
        let found: Vec<i64> = (0..10).map(copy).collect();
        drop(folder);
        found
    });
    let mut number = 200;
    while !copies.is_finished() {
        number += 1;
        write_call(&mut opened.connection, number);
    }
    let found = copies.join().unwrap();
    assert!(found.is_sorted() && found[0] >= 200 && *found.last().unwrap() <= number, "{found:?} of {number}");
    assert!(number > 210, "nothing was written meanwhile");
}

#[test]
fn what_exists_is_replaced_only_by_force_and_never_the_database_itself() {
    let (folder, config, mut opened) = fresh();
    write_call(&mut opened.connection, 1);
    let copy = folder.path().join("copy.db");
    std::fs::write(&copy, "something else").unwrap();
    let refused = backup(&config.path, &copy, false);
    assert!(matches!(&refused, Err(BackupError::Exists(path)) if *path == copy), "{refused:?}");
    assert_eq!(std::fs::read(&copy).unwrap(), b"something else");
    assert_eq!(backup(&config.path, &copy, true).unwrap().calls, 1);
    for ending in ["", "-wal", "-shm", ".lock"] {
        let own = crate::db::space::beside(&config.path, ending);
        assert!(own.exists(), "{own:?}");
        for force in [false, true] {
            let refused = backup(&config.path, &own, force);
            assert!(matches!(refused, Err(BackupError::Itself(_))), "{own:?}: {refused:?}");
        }
    }
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&config.path, &link).unwrap();
    assert!(matches!(backup(&config.path, &link, true), Err(BackupError::Itself(_))));
    assert_eq!(numbers(&config.path).len(), 1);
    assert!(matches!(backup(&config.path, folder.path(), true), Err(BackupError::NotAFile(_))));
    std::fs::write(folder.path().join("copy.db-wal"), "x").unwrap();
    assert!(matches!(backup(&config.path, &copy, true), Err(BackupError::InUse(_))));
}

#[test]
fn what_is_no_database_of_ours_is_not_copied() {
    let (folder, config, opened) = fresh();
    let copy = folder.path().join("copy.db");
    let nothing = backup(&folder.path().join("none.db"), &copy, false).unwrap_err().to_string();
    assert!(nothing.contains("none.db") && nothing.contains("--db"), "{nothing}");
    let foreign = folder.path().join("foreign.db");
    let mut conn = SqliteConnection::establish(foreign.to_str().unwrap()).unwrap();
    conn.batch_execute("CREATE TABLE theirs (id INTEGER)").unwrap();
    let refused = backup(&foreign, &copy, false).unwrap_err().to_string();
    assert!(refused.contains("another program"), "{refused}");
    let nowhere = backup(&config.path, &folder.path().join("none/copy.db"), false).unwrap_err().to_string();
    assert!(nowhere.contains("can't be written"), "{nowhere}");
    drop(opened);
    assert!(!copy.exists());
    // A service that is stopped.
    assert_eq!(backup(&config.path, &copy, false).unwrap().calls, 0);
}

#[test]
fn a_damaged_database_gives_no_copy_and_leaves_nothing() {
    let (folder, config, mut opened) = fresh();
    (1..=50).for_each(|number| write_call(&mut opened.connection, number));
    drop(opened);
    let mut bytes = std::fs::read(&config.path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0x5a);
    std::fs::write(&config.path, bytes).unwrap();
    let copy = folder.path().join("copy.db");
    let refused = backup(&config.path, &copy, false).unwrap_err().to_string();
    assert!(refused.contains("damaged"), "{refused}");
    let names: Vec<_> = folder.path().read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("copy")), "{names:?}");
}
