//! `callcenter feed` and `serve` beside the simulated Asterisk: who follows whom, what is refused, and who takes over.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use callcenter::sim::{MixEntry, PlayedCall, Sim, SimConfig, SimHandle};
use serde_json::{Value, json};

use crate::demo::by_channel;
use crate::kit::proxy::Proxy;
use crate::kit::wait::{self, s};
use crate::kit::{Feed, Service};
use crate::sim_load::{Killed, check, now_ms};

/// The simulated Asterisk's user.
const USER: [(&str, &str); 3] =
    [("ARI_USERNAME", "demo"), ("ARI_PASSWORD", "demo-password"), ("ARI_APP_NAME", "callcenter-app")];

fn sim() -> SimHandle {
    let mix = ["answered", "busy"].map(|name| MixEntry::new(name, 1).stretched(1.0, 1.0)).to_vec();
    Sim::start(SimConfig { mix, calls_per_second: 10.0, ..SimConfig::default() }).unwrap()
}

fn beside(url: &str, config: &str) -> Service {
    let environment: Vec<(&str, &str)> = USER.into_iter().chain([("ARI_URL", url)]).collect();
    Service::prepared(config, &environment)
}

/// One connection to the feed's socket.
struct Talk(BufReader<UnixStream>);

impl Talk {
    #[track_caller]
    fn open(service: &Service) -> (Self, Value) {
        let path = service.folder().join("journal/main/feed.sock");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(s(10))).unwrap();
        let mut talk = Self(BufReader::new(stream));
        let hello = talk.read().unwrap();
        (talk, hello)
    }

    /// The next line; `None` when the feed has closed the connection.
    fn read(&mut self) -> Option<Value> {
        let mut line = String::new();
        (self.0.read_line(&mut line).unwrap() > 0).then(|| serde_json::from_str(&line).unwrap())
    }

    fn say(&mut self, line: &str) {
        writeln!(self.0.get_mut(), "{line}").unwrap();
    }

    /// What the feed says to a line before it closes the connection.
    #[track_caller]
    fn refused(&mut self, line: &str) -> String {
        self.say(line);
        let answer = self.read().unwrap();
        assert!(self.read().is_none(), "the connection is closed");
        answer["error"]["reason"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }
}

#[test]
fn the_feed_says_who_it_is_and_refuses_what_it_does_not_understand() {
    let sim = sim();
    let service = beside(&sim.url(), "");
    let mut feed = Feed::start(&service);
    let (mut talk, hello) = Talk::open(&service);
    assert_eq!((&hello["hello"]["node"], &hello["hello"]["app"]), (&json!("main"), &json!("callcenter-app-feed")));
    let garbage = talk.refused("no JSON");
    assert!(garbage.contains("none of this protocol") && garbage.contains("same version"), "{garbage}");
    assert!(Talk::open(&service).0.refused(r#"{"open_sesame":{}}"#).contains("unknown variant"));
    assert!(Talk::open(&service).0.refused(r#"{"trim":{"before":7}}"#).contains("follow"));
    let (mut first, _) = Talk::open(&service);
    first.say(r#"{"follow":{"pid":7,"committed":0}}"#);
    assert!(first.read().unwrap()["following"]["end"].is_u64());
    let second = Talk::open(&service).0.refused(r#"{"follow":{"pid":8,"committed":0}}"#);
    assert!(second.contains("process 7 follows this feed already"), "{second}");
    first.say(r#"{"append":{"id":3,"lines":[{"at": 1.5, "event": {"type":"X","n":1}}]}}"#);
    while first.read().unwrap() != json!({"done": {"id": 3}}) {}
    // Of a newer service: refused these would be sent again for ever.
    let newer = r#"{"at":1.0,"novelty":{}},{"at":1.0,"gap":{"from":0}},{"at": 2.5, "event": {"type":"X","n":2}}"#;
    first.say(&format!(r#"{{"append":{{"id":4,"lines":[{newer}]}}}}"#));
    while first.read().unwrap() != json!({"done": {"id": 4}}) {}
    let (right, words) = Feed::status(&service);
    assert!(right && words.contains("connected") && words.contains("serve (process 7)"), "{words}");
    feed.signal("TERM");
    assert!(feed.ends());
    let (right, words) = Feed::status(&service);
    assert_eq!((right, words.trim()), (false, "main: no feed process runs"));
    let journal = String::from_utf8(service.journal()).unwrap();
    for line in [r#"{"at": 1.500000, "event": {"type":"X","n":1}}"#, r#"{"at": 2.500000, "event": {"type":"X","n":2}}"#]
    {
        assert!(journal.lines().any(|found| found == line), "{journal}");
    }
    let bad = journal.lines().filter(|line| line.contains("\"bad\"") && line.contains("doesn't know"));
    let bad: Vec<&str> = bad.collect();
    assert!(bad.len() == 2 && bad[0].contains("novelty") && bad[1].contains("since"), "{bad:?}");
}

/// Waits until the service says that it is not ready for this reason.
#[track_caller]
fn says_why(service: &Service, words: &str) {
    wait::until("the reason why the service is not ready", s(20), || match service.get("/health/ready") {
        Ok((503, body)) if body.to_string().contains(words) => Ok(()),
        other => Err(other),
    });
}

/// How the service says that its feed is.
fn followed(service: &Service) -> Value {
    service.system()["nodes"][0]["feed"].clone()
}

#[test]
fn the_service_rides_over_a_hand_over_and_lets_callers_go_when_the_feed_is_away() {
    let sim = sim();
    let mut service = beside(&sim.url(), "[feed]\nmode = \"process\"\n");
    service.launch();
    says_why(&service, "start `callcenter feed`");
    let mut feed = Feed::start(&service);
    service.ready();
    let first = followed(&service);
    assert_eq!((&first["mode"], &first["feed_connected"]), (&json!("process"), &json!(true)), "{first}");
    let rows = service.rows();
    let begun = rows.words("SELECT MAX(started_at) AS word FROM calls").remove(0);
    let over = |least: usize| {
        wait::until("calls that are over", s(60), || {
            let over = rows.try_calls("ended_at IS NOT NULL")?.len();
            if over > least { Ok(over) } else { Err(format!("{over} of {least}")) }
        })
    };
    let before = over(10);
    feed.succeed(&service);
    let second = wait::until("the service to follow the successor", s(10), || {
        let now = followed(&service);
        if now["connected"] == true && now["pid"] != first["pid"] { Ok(now) } else { Err(now) }
    });
    assert_eq!(second["app"], "callcenter-app-feed-2");
    let before = over(before + 10);
    assert_eq!(rows.gaps(), Vec::<String>::new(), "nothing was missed");
    assert_eq!(rows.calls(&format!("incomplete <> 0 AND ended_at IS NOT NULL AND started_at > '{begun}'")).len(), 0);
    feed.sigkill();
    says_why(&service, "waits for the feed process");
    wait::until("the control socket to be closed", s(10), || {
        let connection = service.system()["nodes"][0]["connection"].clone();
        if connection["state"] == "backing_off" { Ok(()) } else { Err(connection) }
    });
    feed = Feed::start(&service);
    service.ready();
    over(before + 10);
    assert_eq!(rows.gaps(), ["the feed was not running"]);
    let scrape = crate::metrics::Scrape::of(&service);
    assert_eq!(scrape.value("callcenter_feed_connected{node=\"main\"}"), 1.0);
    service.sigterm();
    feed.signal("TERM");
    assert!(feed.ends());
}

#[test]
fn a_hangup_signal_makes_the_feed_start_its_successor() {
    let sim = sim();
    let service = beside(&sim.url(), "");
    let mut feed = Feed::start(&service);
    let first = Talk::open(&service).1["hello"]["pid"].clone();
    feed.signal("HUP");
    assert!(feed.ends(), "it ends when the other one has taken over");
    let (mut talk, hello) = wait::until("the successor", s(20), || {
        let socket = service.folder().join("journal/main/feed.sock");
        if socket.exists() { Ok(Talk::open(&service)) } else { Err("no socket") }
    });
    let second = hello["hello"]["pid"].as_u64().unwrap();
    crate::kit::process::guard(u32::try_from(second).unwrap());
    assert_ne!(json!(second), first);
    talk.say(r#"{"status":{}}"#);
    assert_eq!(talk.read().unwrap()["status"]["app"], "callcenter-app-feed-2");
    crate::kit::process::signal(u32::try_from(second).unwrap(), "TERM");
    wait::until("its end", s(10), || if Feed::status(&service).0 { Err("runs") } else { Ok(()) });
    let journal = String::from_utf8(service.journal()).unwrap();
    assert!(!journal.contains("\"gap\""), "nothing was missed");
}

#[test]
fn what_a_feed_missed_is_a_gap_also_when_it_hands_over_before_it_is_connected_again() {
    let sim = sim();
    let proxy = Proxy::start(url::Url::parse(&sim.url()).unwrap().port().unwrap());
    let mut url = url::Url::parse(&sim.url()).unwrap();
    url.set_port(Some(proxy.port())).unwrap();
    // It is not back before the other one has taken over.
    let service = beside(url.as_str(), "[ari]\nbackoff_min_ms = 60000\nbackoff_max_ms = 60000\n");
    let mut feed = Feed::start(&service);
    let entries = || -> Vec<Value> {
        let journal = service.journal();
        let whole = journal.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        whole.map(|line| serde_json::from_slice(line).unwrap()).collect()
    };
    wait::until("events", s(20), || {
        let heard = entries().iter().filter(|entry| entry.get("event").is_some()).count();
        if heard > 50 { Ok(()) } else { Err(heard) }
    });
    proxy.cut();
    wait::until("the feed to notice", s(20), || if Feed::status(&service).0 { Err("connected") } else { Ok(()) });
    let last = entries().last().unwrap()["at"].as_f64().unwrap();
    proxy.mend();
    feed.succeed(&service);
    let after: Vec<Value> = entries().into_iter().skip_while(|entry| entry.get("gap").is_none()).collect();
    let gap = after.first().expect("a gap");
    let (since, at) = (gap["gap"]["since"].as_f64().unwrap(), gap["at"].as_f64().unwrap());
    assert!(since >= last && since < at, "{gap}: the last entry was at {last}");
    assert!(after.iter().any(|entry| entry.get("snapshot").is_some()), "{after:?}");
    assert_eq!(after.iter().filter(|entry| entry.get("gap").is_some()).count(), 1, "{after:?}");
    feed.signal("TERM");
    assert!(feed.ends());
}

#[test]
fn a_feed_that_is_killed_in_the_middle_of_calls_leaves_one_gap_and_no_call_twice() {
    let mix = ["answered", "callee_hangs_up", "busy", "abandoned", "hold"];
    let mix = mix.map(|name| MixEntry::new(name, 1).stretched(1.0, 3.0)).to_vec();
    let sim = Sim::start(SimConfig { mix, calls_per_second: 10.0, ..SimConfig::default() }).unwrap();
    let mut service = beside(&sim.url(), "");
    let mut feed = Feed::start(&service);
    service.restart();
    let ready = now_ms();
    let rows = service.rows();
    wait::until("calls that are over", s(60), || {
        let over = rows.try_calls("ended_at IS NOT NULL")?.len();
        if over > 30 { Ok(()) } else { Err(format!("{over} are over")) }
    });
    let before = now_ms();
    feed.sigkill();
    let begun = sim.truth().started;
    wait::until("calls that nobody hears", s(20), || if sim.truth().started > begun + 10 { Ok(()) } else { Err(()) });
    feed = Feed::start(&service);
    service.ready();
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
    let played: Vec<PlayedCall> = sim.played().into_iter().filter(|call| call.started_at > ready).collect();
    check(&played, &killed, &by_channel(&rows));
    assert_eq!(rows.gaps(), ["the feed was not running"]);
    service.sigterm();
    feed.signal("TERM");
    assert!(feed.ends());
}
