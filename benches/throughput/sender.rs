//! The process that sends: the load player of the simulated Asterisk.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use callcenter::sim::MixEntry;
use callcenter::sim::load::{LoadPlan, Pace, serve, serve_once};
use serde::{Deserialize, Serialize};

/// How long the service may need to prepare itself after the handshake.
const SETTLE: Duration = Duration::from_millis(1_500);
/// How long nothing is sent once calls stand still, so that all their events are committed before.
const PAUSE: Duration = Duration::from_secs(10);
/// How long the socket stays open after the last event.
const HOLD: Duration = Duration::from_secs(120);

/// What is sent.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(crate) enum Plan {
    /// At full speed.
    Full { calls: u64, concurrency: usize },
    /// In real time.
    Paced { rate: f64, seconds: u64 },
    /// So many calls are begun, and live on.
    Open { calls: usize },
    /// At full speed, while so many other calls stand still.
    Beside { standing: u64, calls: u64 },
}

/// What was sent.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Sent {
    pub(crate) events: u64,
    /// How many of them, the first, were of calls that stand still.
    pub(crate) standing_events: u64,
    pub(crate) by_status: BTreeMap<String, u64>,
    /// Milliseconds since 1970.
    pub(crate) first_at: i64,
}

impl Plan {
    fn load(self) -> LoadPlan {
        let plan = LoadPlan { settle: SETTLE, ..LoadPlan::default() };
        match self {
            Self::Full { calls, concurrency } => LoadPlan { calls, pace: Pace::FullSpeed { concurrency }, ..plan },
            // A call of the mix has about 80 events.
            Self::Paced { rate, seconds } => {
                LoadPlan { calls: (rate * seconds as f64 / 80.0) as u64, pace: Pace::EventsPerSecond(rate), ..plan }
            }
            Self::Open { calls } => LoadPlan {
                calls: calls as u64,
                pace: Pace::FullSpeed { concurrency: calls },
                mix: vec![MixEntry::new("answered", 1)],
                leave_open: true,
                ..plan
            },
            Self::Beside { standing, calls } => {
                LoadPlan { calls, standing, pause: PAUSE, pace: Pace::FullSpeed { concurrency: 100 }, ..plan }
            }
        }
    }
}

/// The process: `rest` or `plain`, then the plan as JSON.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) {
    let with_rest = arguments.next().as_deref() == Some("rest");
    let plan: Plan = serde_json::from_str(&arguments.next().expect("a plan")).unwrap();
    actix_rt::System::new().block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        say(&listener.local_addr().unwrap().port());
        let session =
            if with_rest { serve(listener, plan.load()).await } else { serve_once(listener, plan.load()).await };
        let session = session.unwrap();
        let report = &session.report;
        say(&Sent {
            events: report.events,
            standing_events: report.standing_events,
            by_status: report.by_status.clone(),
            first_at: report.first_at,
        });
        session.hold(HOLD).await;
    });
}

fn say(what: &impl Serialize) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(what).unwrap()).unwrap();
    out.flush().unwrap();
}

/// The sending process, seen from the one that looks on.
pub(crate) struct Sender {
    pub(crate) port: u16,
    child: Child,
    lines: Receiver<String>,
}

impl Sender {
    pub(crate) fn start(plan: &Plan, with_rest: bool) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--send", if with_rest { "rest" } else { "plain" }, &serde_json::to_string(plan).unwrap()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (give, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || output.lines().map_while(Result::ok).for_each(|line| drop(give.send(line))));
        let port = lines.recv_timeout(Duration::from_secs(20)).expect("the sender's port").parse().unwrap();
        Self { port, child, lines }
    }

    /// What was sent, once all of it is.
    pub(crate) fn sent(&mut self) -> Option<Sent> {
        if let Ok(line) = self.lines.try_recv() {
            return Some(serde_json::from_str(&line).unwrap());
        }
        assert!(self.child.try_wait().unwrap().is_none(), "the sender ended before everything was sent");
        None
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
