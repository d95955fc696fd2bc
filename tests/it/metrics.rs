//! `GET /metrics`: what it says agrees with the database, and its labels are bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use callcenter::sim::{MixEntry, Sim, SimConfig, SimHandle};

use crate::kit::Service;
use crate::kit::rows::Rows;
use crate::kit::wait::{self, s};

/// One scrape: the families with their types, and each sample's value by its name and labels.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    pub(crate) families: BTreeMap<String, String>,
    pub(crate) samples: BTreeMap<String, f64>,
}

impl Scrape {
    /// Of this service.
    pub(crate) fn of(service: &Service) -> Self {
        let (head, body) = get(service.port(), "/metrics");
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text"), "{head}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        let mut scrape = Self::default();
        for line in body.lines() {
            if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').unwrap();
                let before = scrape.families.insert(name.into(), kind.into());
                assert_eq!(before, None, "{name} twice");
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let before = scrape.samples.insert(name.into(), value.parse().unwrap());
                assert_eq!(before, None, "{name} twice");
            }
        }
        scrape
    }

    /// The value of a sample by its name and labels, in their order.
    #[track_caller]
    pub(crate) fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("no {sample} in {:#?}", self.samples.keys()))
    }

    /// The values of a sample by the last of its labels.
    pub(crate) fn by_label(&self, name: &str) -> BTreeMap<String, f64> {
        let of = |(sample, value): (&String, &f64)| {
            let labels = sample.strip_prefix(name)?.strip_prefix('{')?.strip_suffix("\"}")?;
            Some((labels.rsplit_once("=\"")?.1.to_owned(), *value))
        };
        self.samples.iter().filter_map(of).collect()
    }

    /// Names of all samples, without labels.
    pub(crate) fn names(&self) -> BTreeSet<&str> {
        self.samples.keys().map(|sample| sample.split('{').next().unwrap()).collect()
    }
}

/// Head and body of an answer.
fn get(port: u16, path: &str) -> (String, String) {
    let mut tcp = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// The service beside a simulated Asterisk that plays calls of every outcome.
pub(crate) fn beside_calls(calls_per_second: f64) -> (SimHandle, Service) {
    beside_calls_with(calls_per_second, "")
}

/// The same with more configuration.
pub(crate) fn beside_calls_with(calls_per_second: f64, config: &str) -> (SimHandle, Service) {
    let mix = ["answered", "busy", "abandoned", "rejected"];
    let mix = mix.map(|name| MixEntry::new(name, 1)).to_vec();
    let sim = Sim::start(SimConfig { mix, calls_per_second, ..SimConfig::default() }).unwrap();
    let url = sim.url();
    let environment = [
        ("ARI_URL", url.as_str()),
        ("ARI_USERNAME", "demo"),
        ("ARI_PASSWORD", "demo-password"),
        ("ARI_APP_NAME", "callcenter-app"),
        ("RUST_LOG", "info"),
    ];
    let service = Service::with(config, &environment);
    (sim, service)
}

/// How many rows there are by a word of theirs.
fn counts(rows: &Rows, query: &str) -> BTreeMap<String, f64> {
    let words = rows.words(query);
    let mut counts = BTreeMap::new();
    words.into_iter().for_each(|word| *counts.entry(word).or_default() += 1.0);
    counts
}

/// Waits until all that was heard is committed and no call is open.
fn settled(sim: &SimHandle, service: &Service) -> Scrape {
    sim.stop_arrivals();
    wait::until("the end of every call", s(90), || {
        let scrape = Scrape::of(service);
        let open = scrape.value("callcenter_live_calls{node=\"main\"}");
        let lag = scrape.value("callcenter_journal_lag_bytes{node=\"main\"}");
        if sim.live_calls() == 0 && open == 0.0 && lag == 0.0 { Ok(scrape) } else { Err(format!("{open} open")) }
    })
}

#[test]
fn a_scrape_agrees_with_the_database() {
    let (sim, mut service) = beside_calls(20.0);
    let rows = service.rows();
    wait::until("calls that are over", s(60), || {
        let over = rows.try_calls("ended_at IS NOT NULL")?.len();
        if over > 40 { Ok(()) } else { Err(format!("{over} are over")) }
    });
    assert!(Scrape::of(&service).value("callcenter_live_channels{node=\"main\"}") > 0.0);
    sim.send_raw_text("this is no event");
    sim.end_sockets();
    wait::until("the gap", s(30), || if rows.gaps().len() == 2 { Ok(()) } else { Err(rows.gaps()) });
    (0..500).for_each(|n| {
        let event = r#"{"type": "Invented_N", "timestamp": "2026-11-22T12:59:26.306+0000", "application": "a"}"#;
        sim.send_raw_text(&event.replace('N', &n.to_string()));
    });
    wait::until("the invented events", s(30), || {
        let invented = rows.number("SELECT COUNT(*) AS number FROM events WHERE type LIKE 'Invented%'");
        if invented == 500 { Ok(()) } else { Err(invented) }
    });
    let scrape = settled(&sim, &service);

    let mut events = counts(&rows, "SELECT type AS word FROM events WHERE type NOT LIKE 'Invented%'");
    events.insert("other".into(), 500.0);
    assert_eq!(scrape.by_label("callcenter_events_total"), events);
    let all: f64 = events.values().sum();
    for histogram in ["callcenter_event_commit_lag_seconds", "callcenter_asterisk_commit_lag_seconds"] {
        assert_eq!(scrape.value(&format!("{histogram}_count{{node=\"main\"}}")), all);
        assert_eq!(scrape.value(&format!("{histogram}_bucket{{le=\"+Inf\",node=\"main\"}}")), all);
        let quick = scrape.value(&format!("{histogram}_bucket{{le=\"5.0\",node=\"main\"}}"));
        assert!(quick > all / 2.0, "{quick} of {all} within 5 s");
    }
    assert_eq!(scrape.value("callcenter_transaction_events_sum"), all);
    let mut ended = scrape.by_label("callcenter_calls_total");
    ended.retain(|_, calls| *calls > 0.0);
    assert_eq!(ended, counts(&rows, "SELECT status AS word FROM calls"));
    let calls = rows.number("SELECT COUNT(*) AS number FROM calls") as f64;
    assert_eq!(scrape.value("callcenter_calls_started_total{node=\"main\"}"), calls);
    let outcomes = scrape.by_label("callcenter_rest_requests_total");
    assert_eq!(outcomes, counts(&rows, "SELECT outcome AS word FROM commands WHERE who <> 'connection'"));
    let asked: f64 = outcomes.values().sum();
    assert!(asked > 0.0);
    let sent = scrape.by_label("callcenter_rest_requests_sent_total");
    assert_eq!(sent.values().sum::<f64>(), asked, "{sent:?}");
    assert!(sent["websocket"] > 0.0, "the simulated Asterisk takes them there: {sent:?}");
    assert_eq!(scrape.value("callcenter_rest_over_websocket{node=\"main\"}"), 1.0);
    assert_eq!(scrape.value("callcenter_rest_request_duration_seconds_count{node=\"main\"}"), asked);
    assert_eq!(scrape.value("callcenter_gaps_total{node=\"main\"}"), 1.0);
    assert_eq!(scrape.value("callcenter_bad_frames_total{node=\"main\"}"), 1.0);
    let span = "SELECT CAST(ROUND((julianday(until) - julianday(since)) * 86400000) AS INTEGER) AS number \
                FROM gaps WHERE sample IS NULL";
    let told = scrape.value("callcenter_gap_seconds_total{node=\"main\"}");
    assert!((told * 1e3 - rows.number(span) as f64).abs() < 2.0, "{told}");
    assert_eq!(scrape.value("callcenter_ari_connects_total{node=\"main\"}"), 2.0);
    assert_eq!(scrape.value("callcenter_ari_connected{node=\"main\"}"), 1.0);
    assert_eq!(scrape.value("callcenter_panics_total"), 0.0);
    assert!(scrape.by_label("callcenter_actor_up").len() == 2, "by node: the node's actors, and the writer");
    assert!(
        scrape.samples.iter().filter(|(name, _)| name.starts_with("callcenter_actor_up")).all(|(_, up)| *up == 1.0)
    );
    bounded(&scrape);
    service.sigterm();
}

/// Names are as Prometheus wants them, and there are few series.
fn bounded(scrape: &Scrape) {
    assert!(scrape.samples.len() < 300, "{} series of one node", scrape.samples.len());
    for name in scrape.names() {
        let family = |(family, kind): (&String, &String)| match kind.as_str() {
            "counter" => name == format!("{family}_total"),
            "histogram" => ["_bucket", "_sum", "_count"].iter().any(|end| name == format!("{family}{end}")),
            _ => name == family,
        };
        assert!(scrape.families.iter().any(family), "{name} is of no family");
    }
    for name in scrape.families.keys() {
        let clean = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        assert!(clean && name.starts_with("callcenter_"), "{name}");
        assert!(!["_ms", "_milliseconds", "_mb", "_kb", "_total"].iter().any(|end| name.ends_with(end)), "{name}");
    }
}

#[test]
fn without_asterisk_it_says_so() {
    let nobody = format!("http://127.0.0.1:{}/ari", crate::kit::free_port());
    let environment = [("ARI_URL", nobody.as_str()), ("ARI_USERNAME", "u"), ("ARI_PASSWORD", "p")];
    let mut service = Service::launched("", &environment);
    service.unready(s(20));
    let scrape = Scrape::of(&service);
    assert_eq!(scrape.value("callcenter_ari_connected{node=\"main\"}"), 0.0);
    assert_eq!(scrape.value("callcenter_live_calls{node=\"main\"}"), 0.0);
    service.sigterm();
}
