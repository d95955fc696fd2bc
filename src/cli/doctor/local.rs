//! This machine's part: the HTTP port, the database, its disk, the journal.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use rustix::fs::{Access, FlockOperation, access, flock};
use rustix::io::Errno;

use super::report::{Outcome, Report, Step};
use super::service::Service;
use crate::actors::journal::folder;
use crate::config::{Config, Database};
use crate::db::look::{Found, look};
use crate::db::space;
use crate::model::NodeId;

const MIB: u64 = 1024 * 1024;

pub(super) fn examine(report: &mut Report, config: &Config, service: Option<&Service>) {
    let port = config.http.port;
    report.add(Step::here("http_port", format!("127.0.0.1:{port}"), http_port(port, service)));
    let path = config.database.path.as_path();
    report.add(Step::here("database", format!("look at '{}'", path.display()), database(path, service)));
    let tried = format!("free space for '{}'", path.display());
    report.add(Step::here("disk_space", tried, disk_space(&config.database)));
    for asterisk in &config.asterisk {
        let dir = folder(&config.journal, &config.database, &NodeId::new(asterisk.name.as_str()));
        let tried = format!("look at '{}'", dir.display());
        report.add(Step::of(&asterisk.name, "journal", tried, journal(&dir, config.journal.max_bytes)));
    }
}

fn http_port(port: u16, service: Option<&Service>) -> Outcome {
    if let Some(service) = service {
        return Outcome::ok(format!("the running service answers there, version {}", service.version()));
    }
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Outcome::ok("free; no service answers there"),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Outcome::problem(
            "another program listens there",
            format!("Name another port in http.port (HTTP_PORT), or stop that program: `ss -ltnp 'sport = :{port}'`."),
        ),
        Err(error) => Outcome::problem(
            format!("it can't be used: {error}"),
            "Name another port in http.port (HTTP_PORT); those below 1024 need root.",
        ),
    }
}

/// Whether the file is ours, current, writable and free. Its lock is the service's business where one runs.
fn database(path: &Path, service: Option<&Service>) -> Outcome {
    let found = match look(path) {
        Ok(found) => found,
        // Each says what to do behind its colon.
        Err(refusal) => {
            let advice = "A database that isn't ours is never touched: name a file of callcenter's own in database.path \
                          (DB_PATH), such as data/callcenter.db.";
            return Outcome::problem(refusal.to_string(), advice);
        }
    };
    let writable = if found == Found::Nothing { can_make(path) } else { can_write(path) };
    if let Err(errno) = writable {
        return Outcome::problem(
            format!("it can't be written: {errno}"),
            "The file and its folder must be writable for the service's user: check owner and permissions, or name \
             another file in database.path (DB_PATH).",
        );
    }
    if let Some(why) = service.and_then(Service::failing) {
        return Outcome::problem(format!("the running service can't write: {why}"), "Do what it says; it tries again.");
    }
    let state = match &found {
        Found::Nothing => "there is none yet; it will be made".to_owned(),
        Found::Ours { pending } if pending.is_empty() => "ours, writable, its schema is current".to_owned(),
        Found::Ours { pending } => {
            format!("ours, writable; the next start brings its schema up to date ({})", pending.join(", "))
        }
    };
    match (service, holder(path)) {
        (Some(service), _) => Outcome::ok(format!("{state}; a service runs, on '{}'", service.database())),
        (None, None) if found == Found::Nothing => Outcome::ok(state),
        (None, None) => Outcome::ok(format!("{state}; nobody else uses it")),
        (None, Some(pid)) => Outcome::warning(
            format!("{state}; process {pid} holds its lock, but no service answers at http.port (HTTP_PORT)"),
            "Two services can't write to one database. If that process is the service, give doctor the same \
             configuration; else stop it.",
        ),
    }
}

/// Who holds the database's lock. Nothing is made where there is no lock file, and a lock that is free is taken for no
/// longer than this look.
fn holder(path: &Path) -> Option<String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::open(&name).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => {
            let pid = std::fs::read_to_string(&name).unwrap_or_default();
            Some(if pid.trim().is_empty() { "?".to_owned() } else { pid.trim().to_owned() })
        }
        Ok(()) | Err(_) => None,
    }
}

/// The file and its folder: SQLite makes its write-ahead log beside the file.
fn can_write(path: &Path) -> Result<(), Errno> {
    access(path, Access::WRITE_OK | Access::READ_OK)?;
    access(parent(path), Access::WRITE_OK | Access::EXEC_OK)
}

/// The nearest folder above that exists: what is missing below is made at the start.
fn can_make(path: &Path) -> Result<(), Errno> {
    access(existing_folder(path), Access::WRITE_OK | Access::EXEC_OK)
}

fn existing_folder(path: &Path) -> &Path {
    let mut folder = parent(path);
    while !folder.exists() && folder != Path::new(".") {
        folder = parent(folder);
    }
    folder
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn disk_space(database: &Database) -> Outcome {
    let path = database.path.as_path();
    let name = path.file_name().unwrap_or_default();
    let space = match space::measure(&existing_folder(path).join(name)) {
        Ok(space) => space,
        Err(error) => return Outcome::skipped(format!("the disk can't be looked at: {error}")),
    };
    let (free, limit) = (space.free_bytes / MIB, database.min_free_bytes / MIB);
    let taken = (space.database_bytes + space.wal_bytes) / MIB;
    let found = format!("{free} MiB free, the database takes {taken} MiB");
    if space.free_bytes >= database.min_free_bytes {
        return Outcome::ok(found);
    }
    Outcome::problem(
        format!("{found}; less than database.min_free_bytes, {limit} MiB"),
        "Make room, or keep less: database.events_retention_days. On a full disk the journal holds what it can; then \
         calls are missed.",
    )
}

fn journal(dir: &Path, max_bytes: u64) -> Outcome {
    if let Err(errno) = if dir.exists() { access(dir, Access::WRITE_OK | Access::EXEC_OK) } else { can_make(dir) } {
        return Outcome::problem(
            format!("it can't be written: {errno}"),
            "The folder must be writable for the service's user: check owner and permissions, or name another one in \
             journal.dir.",
        );
    }
    if !dir.exists() {
        return Outcome::ok("there is none yet; it will be made");
    }
    let bytes = match size(dir) {
        Ok(bytes) => bytes,
        Err(error) => return Outcome::problem(format!("it can't be read: {error}"), "Check owner and permissions."),
    };
    let found = format!("writable, {} of at most {} MiB", bytes / MIB, max_bytes / MIB);
    if bytes < max_bytes / 2 {
        return Outcome::ok(found);
    }
    Outcome::warning(
        found,
        "The journal shrinks when the database takes what is in it: see what the service's log and /health/ready say. \
         At journal.max_bytes listening stops.",
    )
}

/// Bytes of the files in a folder.
fn size(dir: &Path) -> io::Result<u64> {
    std::fs::read_dir(dir)?.try_fold(0, |sum, entry| {
        let length = match entry?.metadata() {
            Ok(meta) => meta.len(),
            // A segment that went meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(sum + length)
    })
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn a_database_of_another_program_is_a_problem_and_stays_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.db");
        std::fs::write(&path, "these are no calls").unwrap();
        let outcome = database(&path, None);
        assert_eq!(outcome.result, Verdict::Problem);
        assert!(outcome.found.contains("not a SQLite database"), "{}", outcome.found);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "these are no calls");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_locked_database_names_its_holder() {
        let folder = tempfile::tempdir().unwrap();
        let config = Database { path: folder.path().join("calls.db"), ..Database::default() };
        assert!(database(&config.path, None).found.contains("will be made"));
        let opened = crate::db::open::open_write(&config).unwrap();
        let outcome = database(&config.path, None);
        assert_eq!(outcome.result, Verdict::Warning, "{outcome:?}");
        assert!(outcome.found.contains(&format!("process {} holds", std::process::id())), "{}", outcome.found);
        drop(opened);
        assert_eq!(
            database(&config.path, None),
            Outcome::ok("ours, writable, its schema is current; nobody else uses it")
        );
    }

    #[test]
    fn a_full_disk_and_a_taken_port_are_problems() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("calls.db");
        let greedy = Database { path: path.clone(), min_free_bytes: u64::MAX, ..Database::default() };
        assert_eq!(disk_space(&greedy).result, Verdict::Problem);
        assert_eq!(disk_space(&Database { min_free_bytes: 1, ..greedy }).result, Verdict::Ok);
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert_eq!(http_port(taken.local_addr().unwrap().port(), None).result, Verdict::Problem);
        assert_eq!(http_port(0, None).result, Verdict::Ok);
    }

    #[test]
    fn the_journal_tells_its_size() {
        let folder = tempfile::tempdir().unwrap();
        assert!(journal(&folder.path().join("a/b"), 100).found.contains("will be made"));
        std::fs::write(folder.path().join("1.jsonl"), [0; 60]).unwrap();
        assert_eq!(journal(folder.path(), 100).result, Verdict::Warning);
        assert_eq!(journal(folder.path(), 1_000).result, Verdict::Ok);
    }
}
