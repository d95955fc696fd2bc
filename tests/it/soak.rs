//! A long run: calls without end, retention on. Memory stays what it was, the database grows as the calls do, and no
//! call is wrong or left open at the end.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use callcenter::sim::load::{LoadPlan, LoadReport, Pace, serve};
use tokio::net::TcpListener;

use crate::kit::rows::Rows;
use crate::kit::wait::{self, s};
use crate::kit::{Service, aloud};

/// How much there is of it.
struct Plan {
    calls: u64,
    /// Calls that live at once, on average: so few that the run is more than a day of the calls' own time, and the log's
    /// retention of a day has something to take.
    concurrency: usize,
    /// Events a second: what the database takes of two cores on which other tests run.
    rate: u32,
    /// After so many tenths memory is what it will be, ...
    settled: usize,
    /// ... but for this factor.
    memory: f64,
}

impl Plan {
    /// The full form wants the program as it is shipped, a quarter of an hour, and 25 GB of disk: `make soak`.
    fn new() -> Self {
        if std::env::var_os("SOAK").is_some() {
            Self { calls: 1_000_000, concurrency: 40, rate: 40_000, settled: 1, memory: 1.05 }
        } else {
            // The caches of SQLite are still filling in the first tenths.
            Self { calls: 25_000, concurrency: 1, rate: 10_000, settled: 3, memory: 1.3 }
        }
    }
}

/// The load player beside the test: its port, and what it sent once all is.
fn sender(plan: &Plan) -> (u16, Receiver<LoadReport>) {
    let (tell_port, port) = channel();
    let (tell_report, report) = channel();
    let pace = Pace::FullSpeed { concurrency: plan.concurrency };
    let plan = LoadPlan { calls: plan.calls, pace, settle: s(3), at_most: Some(plan.rate), ..LoadPlan::default() };
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell_port.send(listener.local_addr().unwrap().port()).unwrap();
            let session = serve(listener, plan).await.unwrap();
            tell_report.send(session.report.clone()).unwrap();
            session.hold(s(600)).await;
        });
    });
    (port.recv().unwrap(), report)
}

/// How it stands after a tenth of the calls.
#[derive(Clone, Copy, Debug)]
struct Tenth {
    memory_mib: f64,
    database_mib: f64,
    /// Of the write-ahead log: the most since it last began anew.
    log_mib: f64,
}

/// The write-ahead log is folded in from 48 MiB on; what is written while that goes on comes on top.
const LOG_MIB: f64 = 160.0;

fn tenth(service: &Service) -> Tenth {
    let mib = |path: &Path| std::fs::metadata(path).unwrap().len() as f64 / 1_048_576.0;
    let mut log = service.database().as_os_str().to_owned();
    log.push("-wal");
    Tenth { memory_mib: service.resident_mib(), database_mib: mib(&service.database()), log_mib: mib(Path::new(&log)) }
}

/// A configuration that keeps events for a day; each `part` differs a little, so that retention begins anew when it is
/// read, as it does each hour.
fn config(part: u64) -> String {
    format!("[database]\nevents_retention_days = 1\ncalls_retention_days = {}\n", 1_000 + part)
}

/// The calls seen so far, counted on from where the last look ended. Their ids don't count them: an upsert takes one
/// whether it inserts or not.
#[derive(Default)]
struct Seen {
    calls: u64,
    newest: i64,
}

impl Seen {
    fn look(&mut self, rows: &Rows) -> u64 {
        let newest = rows.number("SELECT COALESCE(MAX(id), 0) AS number FROM calls");
        let span = format!("id > {} AND id <= {newest}", self.newest);
        self.calls += rows.number(&format!("SELECT COUNT(*) AS number FROM calls WHERE {span}")).cast_unsigned();
        self.newest = newest;
        self.calls
    }
}

/// Waits until a tenth more of the calls was seen.
fn pass(service: &mut Service, rows: &Rows, plan: &Plan, seen: &mut Seen, part: u64) -> Tenth {
    let calls = plan.calls * part / 10;
    wait::until("the next tenth of the calls", s(600), || {
        let seen = seen.look(rows);
        if seen >= calls { Ok(()) } else { Err(format!("{seen} of {calls}")) }
    });
    service.reconfigure(&config(part));
    tenth(service)
}

#[test]
fn calls_without_end_leave_memory_as_it_was_and_nothing_open() {
    let plan = Plan::new();
    let (port, report) = sender(&plan);
    let url = format!("http://127.0.0.1:{port}/asterisk/ari");
    let mut service = crate::sim_load::beside_with(&url, &config(0), "error");
    let rows = service.rows();
    let mut seen = Seen::default();
    let tenths: Vec<Tenth> = (1..=10).map(|part| pass(&mut service, &rows, &plan, &mut seen, part)).collect();
    let report = report.recv_timeout(s(60)).expect("the whole run is sent");
    wait::until("every call to be over", s(120), || {
        let open = rows.number("SELECT COUNT(*) AS number FROM calls WHERE ended_at IS NULL");
        let newest = rows.number("SELECT COALESCE(MAX(seq), 0) AS number FROM events").cast_unsigned();
        if open == 0 && newest >= report.events { Ok(()) } else { Err(format!("{open} open, event {newest}")) }
    });
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    for status in rows.words("SELECT status AS word FROM calls") {
        *found.entry(status).or_default() += 1;
    }
    assert_eq!(found, report.by_status);
    assert_eq!(rows.number("SELECT COUNT(*) AS number FROM calls WHERE incomplete <> 0"), 0);
    assert_eq!(rows.gaps(), Vec::<String>::new());
    // Retention waits while much is written; now it may.
    let oldest = wait::until("retention of the oldest events", s(60), || {
        let oldest = rows.number("SELECT MIN(seq) AS number FROM events");
        if oldest > 1 { Ok(oldest) } else { Err("the first is still there") }
    });
    let settled = tenths[plan.settled - 1];
    let most = tenths[plan.settled..].iter().map(|tenth| tenth.memory_mib).fold(0.0, f64::max);
    assert!(most <= settled.memory_mib * plan.memory, "memory grew: {tenths:?}");
    let longest = tenths.iter().map(|tenth| tenth.log_mib).fold(0.0, f64::max);
    assert!(longest <= LOG_MIB, "the write-ahead log grew: {tenths:?}");
    // What retention takes at first is used again, so only what follows can grow in a line.
    let grew = |from: usize, to: usize| tenths[to].database_mib - tenths[from].database_mib;
    assert!(grew(6, 9) <= 1.25 * grew(3, 6), "the database grew faster than the calls: {tenths:?}");
    service.sigterm();
    aloud(&format!("{} events of {} calls, {oldest} the oldest kept: {tenths:?}", report.events, plan.calls));
}
