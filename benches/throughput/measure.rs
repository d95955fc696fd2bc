//! One run of one side, measured from outside.

use std::fmt;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::process::Measured;
use crate::sender::{Plan, Sender, Sent};
use crate::watch::{Watch, now_ms};

/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(300);
/// Between two looks at the database: at full speed, and where latency is measured.
const LOOK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_micros(300));

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    Service,
    Bare,
}

/// What a run came to.
pub(crate) struct Round {
    /// Events a second, from the first sent to the last committed.
    pub(crate) rate: f64,
    /// Processor seconds per 100,000 events.
    pub(crate) cpu: f64,
    /// The most memory that was ever resident, MiB.
    pub(crate) peak: f64,
    pub(crate) latency: Latency,
    /// What was found to be right.
    pub(crate) check: String,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} events/s, {:.2} s of processor per 100,000, {:.0} MiB", self.rate, self.cpu, self.peak)
    }
}

/// Milliseconds from an event's timestamp to the moment when a reader saw it.
#[derive(Default)]
pub(crate) struct Latency {
    lags: Vec<i64>,
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |share: usize| self.lags.get(self.lags.len().saturating_sub(1) * share / 100).copied().unwrap_or(0);
        write!(f, "median {} ms, p99 {} ms, most {} ms", at(50), at(99), at(100))
    }
}

/// A run in progress.
struct Run {
    sender: Sender,
    process: Measured,
    watch: Watch,
    http: u16,
    /// Processor seconds used when so many events had just been seen, and nothing more had been.
    used: Vec<(i64, f64)>,
    _folder: tempfile::TempDir,
}

impl Run {
    fn start(side: Side, plan: &Plan) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let database = folder.path().join("bench.db");
        let http = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let sender = Sender::start(plan, side == Side::Service);
        let process = match side {
            Side::Service => Measured::service(sender.port, folder.path(), &database, http),
            Side::Bare => Measured::bare(sender.port, &database),
        };
        Self { sender, process, watch: Watch::new(&database), http, used: Vec::new(), _folder: folder }
    }

    /// Looks until everything is committed: what was sent, when that was, and the processor time that it took.
    fn finish(&mut self, each: bool) -> (Sent, i64, f64) {
        let begun = Instant::now();
        let mut before = self.process.cpu();
        let mut sent = None;
        loop {
            self.watch.look(each);
            if self.watch.seen == 0 {
                before = self.process.cpu();
                self.process.check();
            }
            match self.used.last_mut() {
                Some((seen, cpu)) if *seen == self.watch.seen => *cpu = self.process.cpu(),
                _ => self.used.push((self.watch.seen, self.process.cpu())),
            }
            if sent.is_none() {
                sent = self.sender.sent();
            }
            if let Some(sent) = sent.as_ref().filter(|sent| self.watch.seen >= sent.events.cast_signed()) {
                return (sent.clone(), now_ms(), self.process.cpu() - before);
            }
            let of = sent.as_ref().map(|sent| sent.events);
            assert!(begun.elapsed() < LIMIT, "{} events of {of:?} committed after {LIMIT:?}", self.watch.seen);
            std::thread::park_timeout(if each { LOOK.1 } else { LOOK.0 });
        }
    }
}

/// One run.
pub(crate) fn round(side: Side, plan: &Plan) -> Round {
    let mut run = Run::start(side, plan);
    let each = matches!(plan, Plan::Paced { .. });
    let (sent, done_at, cpu) = run.finish(each);
    let mut lags = std::mem::take(&mut run.watch.lags);
    lags.sort_unstable();
    let check = match side {
        Side::Service => right(&run.watch, &sent),
        Side::Bare => String::new(),
    };
    Round {
        rate: sent.events as f64 * 1000.0 / (done_at - sent.first_at) as f64,
        cpu: cpu * 100_000.0 / sent.events as f64,
        peak: run.process.memory("VmHWM") / 1_048_576.0,
        latency: Latency { lags },
        check,
    }
}

/// No call is wrong: each has the outcome that was played, and none is open.
fn right(watch: &Watch, sent: &Sent) -> String {
    let found = watch.statuses();
    assert_eq!(found, sent.by_status, "the calls' outcomes are not what was played");
    assert_eq!(watch.seen, sent.events.cast_signed(), "more events than were sent");
    format!("right: {} events, {} calls {found:?}, none open", sent.events, found.values().sum::<u64>())
}

/// Memory with calls that live.
pub(crate) struct Live {
    /// Bytes.
    pub(crate) resident: f64,
    pub(crate) channels: f64,
}

/// The service with so many calls begun and not ended.
pub(crate) fn live(calls: u64) -> Live {
    let plan = Plan::Open { calls: usize::try_from(calls).unwrap() };
    let mut run = Run::start(Side::Service, &plan);
    run.finish(false);
    let channels = channels(run.http);
    Live { resident: run.process.memory("VmRSS"), channels }
}

/// Processor seconds per 100,000 events of calls that come and go while others stand still, and the channels that stand.
pub(crate) fn beside(standing: u64, calls: u64) -> (f64, f64) {
    let mut run = Run::start(Side::Service, &Plan::Beside { standing, calls });
    let (sent, _, _) = run.finish(false);
    let stood = sent.standing_events.cast_signed();
    let before = run.used.iter().find(|(seen, _)| *seen == stood).expect("a pause once all calls stood").1;
    let after = run.used.last().map_or(0.0, |(_, cpu)| *cpu);
    for (status, calls) in &sent.by_status {
        assert!(run.watch.statuses().get(status) >= Some(calls), "{status} beside standing calls: fewer than {calls}");
    }
    ((after - before) * 100_000.0 / (sent.events - sent.standing_events) as f64, channels(run.http))
}

/// Live channels, by `/api/v1/system`.
fn channels(port: u16) -> f64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET /api/v1/system HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let system: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    system["nodes"][0]["registry"]["live_channels"].as_f64().unwrap_or_else(|| panic!("no live_channels: {system}"))
}
