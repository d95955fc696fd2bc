//! The database fails while calls run: nothing is lost, nobody waits, and what is wrong is said. The built program
//! beside the simulated Asterisk.

mod damage;
mod limit;
mod retention;

use std::path::{Path, PathBuf};

use callcenter::sim::{MixEntry, PlayedCall, Sim, SimConfig, SimHandle};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::demo::{as_played, by_channel, rows_of};
use crate::kit::Service;
use crate::kit::disk::{Disk, Immutable, slow_fsync};
use crate::kit::rows::Rows;
use crate::kit::wait::{self, s};
use crate::metrics::Scrape;

/// A caller who waits longer than this in the application was held up.
const PATIENCE: std::time::Duration = s(4);

/// Little may be under way between the registry and the writer, so that a database that takes nothing soon stops it.
const SMALL: &str = "[calls]\nread_bytes = 4096\nmax_batches = 1\n[ari]\nbackoff_max_ms = 500\n";
/// A lock is not waited for long.
const IMPATIENT: &str = "[database]\nbusy_timeout_ms = 300\n";

/// The service beside a simulated Asterisk that plays calls.
struct Bench {
    sim: SimHandle,
    service: Service,
    rows: Rows,
}

/// How often calls come.
const CALLS_PER_SECOND: f64 = 15.0;

/// So many calls; ten times as many with `SOAK=1`.
fn many(calls: u64) -> u64 {
    if std::env::var_os("SOAK").is_some() { calls * 10 } else { calls }
}

impl Bench {
    fn start(config: &str, environment: &[(&str, &str)]) -> Self {
        let mix = ["answered", "callee_hangs_up", "busy", "abandoned", "rejected", "hold"];
        let mix = mix.map(|name| MixEntry::new(name, 1).stretched(1.0, 1.5)).to_vec();
        let config_of_sim =
            SimConfig { mix, calls_per_second: CALLS_PER_SECOND, continue_timeout: PATIENCE, ..SimConfig::default() };
        let sim = Sim::start(config_of_sim).unwrap();
        let url = sim.url();
        let mut all = vec![
            ("ARI_URL", url.as_str()),
            ("ARI_USERNAME", "demo"),
            ("ARI_PASSWORD", "demo-password"),
            ("ARI_APP_NAME", "callcenter-app"),
            ("RUST_LOG", "info"),
        ];
        all.extend(environment);
        let service = Service::with(config, &all);
        let rows = service.rows();
        Self { sim, service, rows }
    }

    fn metric(&self, name: &str) -> f64 {
        Scrape::of(&self.service).value(name)
    }

    fn by_node(&self, name: &str) -> f64 {
        self.metric(&format!("{name}{{node=\"main\"}}"))
    }

    /// Waits until so many calls more have begun.
    fn calls_go_on(&self, calls: u64) {
        let wanted = self.sim.truth().started + many(calls);
        wait::until("calls to go on", s(120), || {
            let started = self.sim.truth().started;
            if started >= wanted { Ok(()) } else { Err(format!("{started} of {wanted}")) }
        });
    }

    /// Waits until health and metrics say that the database takes nothing, for this reason.
    #[track_caller]
    fn says(&self, reason: &str) {
        wait::until(&format!("health to say '{reason}'"), s(30), || match self.service.get("/health/ready") {
            Ok((503, body)) if body["reasons"].to_string().contains(reason) => Ok(()),
            other => Err(other),
        });
        wait::until("the metric to say so", s(30), || match self.metric("callcenter_writer_failing") {
            1.0 => Ok(()),
            other => Err(other),
        });
        assert_eq!(self.service.get("/health/live").unwrap().0, 200);
    }

    /// Waits until every call is over and everything that was heard is committed.
    fn settled(&mut self) {
        self.sim.stop_arrivals();
        self.service.ready();
        wait::until("the end of every call", s(120), || {
            let open = self.rows.try_calls("ended_at IS NULL")?.len();
            let lag = self.by_node("callcenter_journal_lag_bytes");
            if self.sim.live_calls() == 0 && open == 0 && lag == 0.0 { Ok(()) } else { Err(format!("{open}, {lag}")) }
        });
    }

    fn events(&self) -> u64 {
        self.rows.number("SELECT COUNT(*) AS number FROM events").cast_unsigned()
    }

    /// Nothing was lost and nobody waited: each call is there, once and right, each event that was sent is.
    #[track_caller]
    fn all_is_there(&mut self, at_least: u64) {
        self.settled();
        assert_eq!(self.rows.gaps(), Vec::<String>::new());
        assert_eq!(self.events(), self.sim.truth().sent, "events");
        self.nobody_waited();
        let whole = self.right(|_| true);
        assert!(whole >= many(at_least), "only {whole} calls");
        assert_eq!(self.metric("callcenter_writer_failing"), 0.0);
        self.service.sigterm();
    }

    #[track_caller]
    fn nobody_waited(&self) {
        assert_eq!(self.sim.truth().not_continued, 0, "callers were held up");
    }

    /// The heard calls for which `spared` holds are once and right, and no call is twice; how many there are.
    #[track_caller]
    fn right(&self, spared: impl Fn(&PlayedCall) -> bool) -> u64 {
        let all = by_channel(&self.rows);
        let twice: Vec<_> = all.values().filter(|rows| rows.len() > 1).collect();
        assert!(twice.is_empty(), "a call has two rows: {twice:#?}");
        let mut whole = 0;
        for call in self.sim.played().iter().filter(|call| call.unheard == 0 && !call.disturbed && spared(call)) {
            let found = rows_of(call, &all);
            assert!(as_played(call, &found), "played: {call:#?}\nfound: {found:#?}");
            assert!(found.iter().all(|row| row.incomplete == 0), "flagged: {found:#?}");
            whole += 1;
        }
        whole
    }
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// Another program's transaction on the database; ends when it is dropped.
pub(crate) struct Lock(SqliteConnection);

impl Lock {
    #[track_caller]
    pub(crate) fn take(database: &Path) -> Self {
        let mut connection = SqliteConnection::establish(&database.to_string_lossy()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 10000; BEGIN EXCLUSIVE").unwrap();
        Self(connection)
    }

    pub(crate) fn release(mut self) {
        self.0.batch_execute("ROLLBACK").unwrap();
    }
}

fn beside(database: &Path, ending: &str) -> PathBuf {
    format!("{}{ending}", database.display()).into()
}

#[test]
fn locked_by_another_program_while_calls_run() {
    let mut bench = Bench::start(&format!("{SMALL}{IMPATIENT}"), &[]);
    bench.calls_go_on(25);
    let lock = Lock::take(&bench.service.database());
    bench.says("another program holds the database locked");
    let behind = bench.sim.truth().started;
    bench.calls_go_on(70);
    assert!(bench.by_node("callcenter_journal_lag_bytes") > 50_000.0, "{behind} calls were in the journal only");
    assert_eq!(bench.by_node("callcenter_ari_connected"), 1.0, "it listens");
    lock.release();
    bench.service.ready();
    bench.calls_go_on(15);
    bench.all_is_there(80);
}

#[test]
fn a_start_beside_a_locked_database_listens_and_holds_up_nobody() {
    let mut bench = Bench::start(&format!("{SMALL}{IMPATIENT}"), &[]);
    bench.calls_go_on(25);
    bench.service.sigkill();
    let lock = Lock::take(&bench.service.database());
    bench.service.relaunch();
    wait::until("it to listen", s(30), || {
        let (_, system) = bench.service.get("/api/v1/system")?;
        if system["nodes"][0]["connection"]["prepared"] == true { Ok(()) } else { Err(system.to_string()) }
    });
    let heard_from = now_ms() + 1_000;
    bench.calls_go_on(60);
    bench.says("another program holds the database locked");
    lock.release();
    bench.calls_go_on(15);
    bench.settled();
    bench.nobody_waited();
    let whole = bench.right(|call| call.started_at > heard_from);
    assert!(whole > 40, "only {whole} calls");
    assert_eq!(bench.rows.gaps(), ["the service was not running"]);
    bench.service.sigterm();
}

#[test]
fn the_databases_disk_is_full_while_calls_run() {
    let Some(disk) = Disk::of_mib(48) else { return };
    let database = disk.path().join("callcenter.db");
    let journal = tempfile::tempdir().unwrap();
    let folder = journal.path().to_string_lossy().into_owned();
    let mut bench =
        Bench::start(SMALL, &[("DB_PATH", &database.to_string_lossy()), ("CALLCENTER_JOURNAL_DIR", &folder)]);
    bench.calls_go_on(25);
    disk.fill();
    bench.says("the disk is full");
    bench.calls_go_on(60);
    disk.free();
    bench.service.ready();
    bench.calls_go_on(15);
    bench.all_is_there(70);
}

#[test]
fn the_database_can_not_be_written_while_calls_run() {
    let mut bench = Bench::start(SMALL, &[]);
    bench.calls_go_on(25);
    let database = bench.service.database();
    let Some(immutable) = Immutable::make(&[beside(&database, "-wal"), database]) else { return };
    bench.says("the disk does not read or write");
    bench.calls_go_on(60);
    drop(immutable);
    bench.service.ready();
    bench.calls_go_on(15);
    bench.all_is_there(70);
}

#[test]
fn a_start_on_a_read_only_disk_is_refused_and_holds_up_nobody() {
    let Some(disk) = Disk::of_mib(48) else { return };
    let database = disk.path().join("callcenter.db");
    let mut bench = Bench::start("", &[("DB_PATH", &database.to_string_lossy())]);
    bench.calls_go_on(20);
    bench.service.sigterm();
    disk.read_only(true);
    let said = bench.service.refuses();
    assert!(said.contains("check") && said.contains("owner and permissions"), "{said}");
    bench.calls_go_on(20);
    disk.read_only(false);
    bench.service.restart();
    bench.settled();
    bench.nobody_waited();
    assert_eq!(bench.rows.gaps(), ["the service was not running"]);
    bench.service.sigterm();
}

#[test]
fn a_disk_that_takes_seconds_for_each_commit_loses_nothing_and_holds_up_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let Some(library) = slow_fsync(folder.path()) else { return };
    let slow = folder.path().join("slow");
    let mut bench = Bench::start(
        SMALL,
        &[
            ("LD_PRELOAD", &library.to_string_lossy()),
            ("SLOW_FSYNC_MS", "2500"),
            ("SLOW_FSYNC_WHILE", &slow.to_string_lossy()),
        ],
    );
    bench.calls_go_on(25);
    std::fs::write(&slow, "").unwrap();
    bench.says("the disk is slow");
    bench.calls_go_on(80);
    let lag = bench.by_node("callcenter_event_commit_lag_seconds_sum");
    std::fs::remove_file(&slow).unwrap();
    bench.service.ready();
    bench.calls_go_on(15);
    bench.all_is_there(80);
    assert!(lag > 0.0);
}
