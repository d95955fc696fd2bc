//! The service under load and in trouble, against the simulated Asterisk: short forms of the bench and of the soak.

use std::collections::BTreeMap;
use std::time::Duration;

use callcenter::sim::load::{LoadPlan, LoadReport, serve};
use callcenter::sim::{MixEntry, PlayedCall, Sim, SimConfig};
use tokio::net::TcpListener;

use crate::demo::{as_played, by_channel, rows_of};
use crate::kit::wait::{self, s};
use crate::kit::{Service, aloud};

/// The simulated Asterisk's user.
const USER: [(&str, &str); 3] =
    [("ARI_USERNAME", "demo"), ("ARI_PASSWORD", "demo-password"), ("ARI_APP_NAME", "callcenter-app")];
/// Nothing is told at `debug`: two thousand calls would be a long story.
const QUIET: &str = "[calls]\ntombstone_s = 60\n";

pub(crate) fn beside(url: &str) -> Service {
    beside_with(url, QUIET, "info")
}

/// With a configuration and a level of the log of one's own.
pub(crate) fn beside_with(url: &str, config: &str, level: &str) -> Service {
    let mut environment = vec![("ARI_URL", url)];
    environment.extend(USER);
    environment.push(("RUST_LOG", level));
    Service::with(config, &environment)
}

/// Ten times as many with `SOAK=1`.
fn calls() -> u64 {
    if std::env::var_os("SOAK").is_some() { 20_000 } else { 2_000 }
}

#[test]
fn two_thousand_calls_at_full_speed_are_all_right() {
    let (tell_port, port) = std::sync::mpsc::channel();
    let (tell_report, report) = std::sync::mpsc::channel();
    let plan = LoadPlan { calls: calls(), settle: Duration::from_secs(3), ..LoadPlan::default() };
    let sender = std::thread::spawn(move || {
        actix_rt::System::new().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell_port.send(listener.local_addr().unwrap().port()).unwrap();
            let session = serve(listener, plan).await.unwrap();
            tell_report.send(session.report.clone()).unwrap();
            session.hold(s(600)).await;
        });
    });
    let url = format!("http://127.0.0.1:{}/asterisk/ari", port.recv().unwrap());
    let mut service = beside(&url);
    let report: LoadReport = report.recv_timeout(s(120)).expect("the whole run is sent");
    let rows = service.rows();
    wait::until("every event to be committed", s(240), || {
        let events = rows.number("SELECT COALESCE(MAX(seq), 0) AS number FROM events").cast_unsigned();
        if events >= report.events { Ok(()) } else { Err(format!("{events} of {}", report.events)) }
    });
    let mut found: BTreeMap<String, u64> = BTreeMap::new();
    let calls = rows.calls("1");
    for call in &calls {
        *found.entry(call.status.clone()).or_default() += 1;
    }
    assert_eq!(found, report.by_status);
    assert!(calls.iter().all(|call| call.ended_at.is_some() && call.incomplete == 0));
    assert_eq!(rows.number("SELECT COUNT(*) AS number FROM events").cast_unsigned(), report.events);
    assert_eq!(rows.gaps(), Vec::<String>::new());
    service.sigterm();
    sender.join().unwrap();
    aloud(&format!("{} events, {} calls, {:.1} s to send", report.events, calls.len(), report.seconds));
}

pub(crate) fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

/// What is known of the moments of a kill: before, so that all that came earlier was in the journal, and after, so
/// that all that came later was heard.
pub(crate) struct Killed {
    pub(crate) before: i64,
    pub(crate) after: i64,
}

impl Killed {
    /// Whether the call was whole before the kill or after the restart.
    fn spares(&self, call: &PlayedCall) -> bool {
        call.ended_at < self.before - 1_000 || call.started_at > self.after + 1_000
    }

    /// Whether it began before and ended after, for certain.
    fn touches(&self, call: &PlayedCall) -> bool {
        call.started_at < self.before - 1_000 && call.ended_at > self.after + 1_000
    }
}

#[test]
fn killed_in_the_middle_of_calls_no_call_is_twice_and_the_touched_are_flagged() {
    let mix = ["answered", "callee_hangs_up", "busy", "abandoned", "hold"];
    let mix = mix.map(|name| MixEntry::new(name, 1).stretched(1.0, 4.0)).to_vec();
    let sim = Sim::start(SimConfig { mix, calls_per_second: 10.0, ..SimConfig::default() }).unwrap();
    let mut service = beside(&sim.url());
    let ready = now_ms();
    let rows = service.rows();
    wait::until("calls that are over", s(60), || {
        let over = rows.try_calls("ended_at IS NOT NULL")?.len();
        if over > 20 { Ok(()) } else { Err(format!("{over} are over")) }
    });
    let before = now_ms();
    service.sigkill();
    let begun = sim.truth().started;
    wait::until("calls that nobody hears", s(20), || if sim.truth().started > begun + 10 { Ok(()) } else { Err(()) });
    service.restart();
    let killed = Killed { before, after: now_ms() };
    wait::until("calls after the restart", s(60), || {
        let later = sim.played().iter().filter(|call| call.started_at > killed.after + 1_000).count();
        if later > 10 { Ok(()) } else { Err(later) }
    });
    sim.stop_arrivals();
    wait::until("the end of every call", s(120), || {
        let open = rows.try_calls("ended_at IS NULL")?.len();
        if sim.live_calls() == 0 && open == 0 { Ok(()) } else { Err(format!("{open} open")) }
    });
    // What began before anybody listened is not for comparing.
    let played: Vec<PlayedCall> = sim.played().into_iter().filter(|call| call.started_at > ready).collect();
    check(&played, &killed, &by_channel(&rows));
    assert_eq!(rows.gaps(), ["the service was not running"]);
    service.sigterm();
}

#[track_caller]
pub(crate) fn check(played: &[PlayedCall], killed: &Killed, all: &BTreeMap<String, Vec<crate::kit::rows::Call>>) {
    let twice: Vec<_> = all.values().filter(|rows| rows.len() > 1).collect();
    assert!(twice.is_empty(), "a call has two rows: {twice:#?}");
    let (mut whole, mut touched) = (0, 0);
    for call in played {
        let found = rows_of(call, all);
        if killed.spares(call) {
            whole += 1;
            assert!(as_played(call, &found), "played: {call:#?}\nfound: {found:#?}");
            assert!(found.iter().all(|row| row.incomplete == 0), "flagged, but not touched: {found:#?}");
        } else if killed.touches(call) {
            touched += 1;
            let flagged = found.iter().all(|row| row.incomplete == 1);
            assert!(found.len() == call.expected.len() && flagged, "touched: {call:#?}\nfound: {found:#?}");
        }
    }
    assert!(whole > 20 && touched > 3, "{whole} whole, {touched} touched");
}
