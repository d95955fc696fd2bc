//! Alarms from the built program: what arrives at a webhook and at Telegram, once each, across restarts.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;
use std::sync::{Arc, Mutex};

use callcenter::sim::{Sim, SimConfig, SimHandle};
use serde_json::Value;

use crate::db_faults::Lock;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};
use crate::metrics::Scrape;

/// A bot's token: it must turn up nowhere but in the request.
const TOKEN: &str = "4711:hush-Token_x";

/// Webhook and Telegram on this machine: keeps what is posted, by path.
struct Receiver {
    address: String,
    posted: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let posted = Arc::new(Mutex::new(Vec::new()));
        let kept = posted.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let mut socket = BufReader::new(socket.unwrap());
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") && socket.read_line(&mut head).unwrap() > 0 {}
                let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
                let mut body = vec![0; length.unwrap_or(0)];
                socket.read_exact(&mut body).unwrap();
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap().push((path, serde_json::from_slice(&body).unwrap()));
                let reply = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"ok\":true}";
                socket.get_mut().write_all(reply.as_bytes()).unwrap();
            }
        });
        Self { address, posted }
    }

    /// What came to this path.
    fn at(&self, path: &str) -> Vec<Value> {
        let posted = self.posted.lock().unwrap();
        posted.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect()
    }

    /// How many events of each kind the webhook was told, as `raised asterisk_unreachable`.
    fn events(&self) -> BTreeMap<String, usize> {
        let mut events = BTreeMap::new();
        for message in self.at("/hook") {
            for event in message["events"].as_array().unwrap() {
                let words = ["what", "alarm"].map(|key| event[key].as_str().unwrap_or_default());
                *events.entry(words.join(" ").trim().to_owned()).or_default() += 1;
            }
        }
        events
    }

    #[track_caller]
    fn tells(&self, event: &str) {
        wait::until(event, s(20), || if self.events().contains_key(event) { Ok(()) } else { Err(self.events()) });
    }
}

/// Short times and both channels.
fn config(receiver: &Receiver, alarms: &str, disk_free_mb: u64, writer_behind_s: u64) -> String {
    format!(
        "[ari]\nbackoff_min_ms = 10\nbackoff_max_ms = 100\nstable_after_ms = 0\n\
         [alarms]\nasterisk_unreachable_s = 1\nburst_ms = 100\ngap_min_s = 0\ntelegram_chat = '-100'\n\
         telegram_url = '{}'\nlanguage = 'ru'\ndisk_free_mb = {disk_free_mb}\nwriter_behind_s = {writer_behind_s}\n\
         {alarms}",
        receiver.address
    )
}

fn environment(sim: &SimHandle, receiver: &Receiver) -> Vec<(&'static str, String)> {
    environment_at(sim.url(), ("demo", "demo-password"), receiver)
}

fn environment_at(url: String, user: (&str, &str), receiver: &Receiver) -> Vec<(&'static str, String)> {
    vec![
        ("ARI_URL", url),
        ("ARI_USERNAME", user.0.to_owned()),
        ("ARI_PASSWORD", user.1.to_owned()),
        ("ARI_APP_NAME", "callcenter-app".to_owned()),
        ("CALLCENTER_ALARMS_WEBHOOK_URL", format!("{}/hook", receiver.address)),
        ("CALLCENTER_ALARMS_TELEGRAM_TOKEN", TOKEN.to_owned()),
        ("RUST_LOG", "info,callcenter=trace,awc=trace,actix_http=trace,actix_tls=trace".to_owned()),
    ]
}

fn start(config: &str, environment: &[(&'static str, String)]) -> Service {
    let environment: Vec<_> = environment.iter().map(|(key, value)| (*key, value.as_str())).collect();
    Service::with(config, &environment)
}

/// The service beside a simulated Asterisk without calls.
fn beside(sim: &SimHandle, receiver: &Receiver, alarms: &str) -> Service {
    start(&config(receiver, alarms, 0, 0), &environment(sim, receiver))
}

fn silent_sim() -> SimHandle {
    Sim::start(SimConfig { calls_per_second: 0.0, ..SimConfig::default() }).unwrap()
}

#[test]
fn asterisk_goes_and_comes_back_is_one_alarm_and_one_end_across_a_restart() {
    let (sim, receiver) = (silent_sim(), Receiver::start());
    let mut service = beside(&sim, &receiver, "gaps = false\n");
    assert_eq!(service.system()["alarms"]["raised"], serde_json::json!([]));
    sim.refuse_connections(true);
    sim.end_sockets();
    receiver.tells("raised asterisk_unreachable");
    let raised = wait::until("the alarm in the API, sent twice", s(10), || {
        let alarms = service.system()["alarms"].clone();
        let sent = alarms["channels"].as_array().unwrap().iter().filter(|channel| channel["sent"] == 1).count();
        if sent == 2 { Ok(alarms["raised"][0].clone()) } else { Err(alarms) }
    });
    assert_eq!((&raised["alarm"], &raised["node"]), (&"asterisk_unreachable".into(), &"main".into()));
    let scrape = Scrape::of(&service);
    assert_eq!(scrape.value("callcenter_alarm_raised{alarm=\"asterisk_unreachable\"}"), 1.0);
    assert_eq!(scrape.value("callcenter_alarm_raised{alarm=\"disk_low\"}"), 0.0);
    for channel in ["webhook", "telegram"] {
        let sample = format!("callcenter_alarm_notifications_total{{channel=\"{channel}\",outcome=\"sent\"}}");
        assert_eq!(scrape.value(&sample), 1.0);
    }
    service.sigterm();
    service.relaunch();
    let again = wait::until("the alarm after the restart", s(20), || {
        let alarms = service.get("/api/v1/system")?.1["alarms"].clone();
        if alarms["raised"][0].is_object() { Ok(alarms["raised"][0].clone()) } else { Err(alarms.to_string()) }
    });
    assert_eq!(again["since"], raised["since"]);
    sim.refuse_connections(false);
    receiver.tells("cleared asterisk_unreachable");
    service.ready();
    wait::until("the end at Telegram", s(10), || {
        let texts = receiver.at(&format!("/bot{TOKEN}/sendMessage"));
        if texts.len() == 2 { Ok(()) } else { Err(texts) }
    });
    service.sigterm();
    let expected = ["cleared asterisk_unreachable", "raised asterisk_unreachable"].map(|event| (event.to_owned(), 1));
    assert_eq!(receiver.events(), BTreeMap::from(expected));
    let texts = receiver.at(&format!("/bot{TOKEN}/sendMessage"));
    let text = |at: usize| texts[at]["text"].as_str().unwrap();
    assert!(text(0).contains("ТРЕВОГА: нет связи с Asterisk «main»"), "{texts:?}");
    assert!(text(1).contains("КОНЕЦ ТРЕВОГИ") && text(1).contains("Длилось"), "{texts:?}");
    let log = service.log_text();
    assert!(!log.contains(TOKEN) && log.contains("ALARM: no connection to Asterisk 'main'"), "{}", service.tail());
}

#[test]
fn a_flood_of_gaps_is_one_message() {
    let (sim, receiver) = (silent_sim(), Receiver::start());
    let mut service = beside(&sim, &receiver, "gap_every_s = 3600\n");
    let rows = service.rows();
    for gaps in 1..=8 {
        sim.end_sockets();
        wait::until("one gap more", s(20), || if rows.gaps().len() >= gaps { Ok(()) } else { Err(rows.gaps()) });
        service.ready();
    }
    receiver.tells("gaps");
    wait::until("every gap to be taken", s(20), || {
        let text = std::fs::read_to_string(service.database().with_extension("db.alarms")).unwrap_or_default();
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        let last = rows.number("SELECT MAX(id) AS number FROM gaps");
        if state["last_gap"] == last { Ok(()) } else { Err(text) }
    });
    service.sigterm();
    assert_eq!(receiver.events(), BTreeMap::from([("gaps".to_owned(), 1)]));
    let message = &receiver.at("/hook")[0];
    let gap = &message["events"][0];
    assert!(gap["count"].as_u64().unwrap() >= 1 && gap["nodes"] == serde_json::json!(["main"]), "{message}");
    assert!(message["text"].as_str().unwrap().contains("Для звонков"), "{message}");
}

#[test]
fn a_low_disk_and_a_database_that_is_behind_are_told_with_their_end() {
    let sim = Sim::start(SimConfig { calls_per_second: 5.0, ..SimConfig::default() }).unwrap();
    let receiver = Receiver::start();
    let config = |disk_free_mb| config(&receiver, "gaps = false\n[database]\nbusy_timeout_ms = 100\n", disk_free_mb, 1);
    let mut service = start(&config(1 << 30), &environment(&sim, &receiver));
    receiver.tells("raised disk_low");
    let lock = Lock::take(&service.database());
    receiver.tells("raised writer_behind");
    lock.release();
    receiver.tells("cleared writer_behind");
    service.reconfigure(&config(1));
    receiver.tells("cleared disk_low");
    service.sigterm();
    let each = ["cleared disk_low", "cleared writer_behind", "raised disk_low", "raised writer_behind"];
    assert_eq!(receiver.events(), BTreeMap::from(each.map(|event| (event.to_owned(), 1))));
}

/// A provider that is out of order (503), and then puts a call through.
#[test]
fn a_trunk_that_fails_is_told_with_its_end() {
    if !live() {
        return;
    }
    let (asterisk, receiver) = (Asterisk::start(), Receiver::start());
    let alarms =
        "gaps = false\ntrunk_failures_percent = 100\ntrunk_failures_calls = 1\n[lines]\ntrunks = ['PJSIP/126']\n";
    let environment = environment_at(asterisk.url(), ("asterisk_dev", "your_secure_password"), &receiver);
    let mut service = start(&config(&receiver, alarms, 0, 0), &environment);
    let failing = asterisk.callee("uas_unavailable", 126, &[]);
    asterisk.caller("uac", 120, &["to=126", "talk=300"]).succeed(s(60));
    receiver.tells("raised trunk_failures");
    drop(failing);
    let _answers = asterisk.answerer(126, 100, 60_000);
    asterisk.caller("uac", 120, &["to=126", "talk=300"]).succeed(s(60));
    receiver.tells("cleared trunk_failures");
    service.sigterm();
    let each = ["cleared trunk_failures", "raised trunk_failures"];
    assert_eq!(receiver.events(), BTreeMap::from(each.map(|event| (event.to_owned(), 1))));
}

#[test]
fn gaps_of_another_database_in_the_place_of_the_old_are_told_too() {
    let (sim, receiver) = (silent_sim(), Receiver::start());
    let mut service = beside(&sim, &receiver, "gap_every_s = 0\n");
    // What an alarm's state remembers of a database with many gaps, which is gone.
    service.sigterm();
    let state = service.database().with_extension("db.alarms");
    let mut told: Value = serde_json::from_str(&std::fs::read_to_string(&state).unwrap()).unwrap();
    told["last_gap"] = 4_711.into();
    std::fs::write(&state, told.to_string()).unwrap();
    service.restart();
    let rows = service.rows();
    let known = |last: i64| {
        wait::until("the newest gap to be known", s(20), || {
            let text = std::fs::read_to_string(&state).unwrap_or_default();
            let state: Value = serde_json::from_str(&text).unwrap_or_default();
            if state["last_gap"] == last { Ok(()) } else { Err(text) }
        });
    };
    known(rows.number("SELECT COALESCE(MAX(id), 0) AS number FROM gaps"));
    let before = receiver.events().get("gaps").copied().unwrap_or_default();
    sim.end_sockets();
    wait::until("the gap to be told", s(20), || {
        let gaps = receiver.events().get("gaps").copied().unwrap_or_default();
        if gaps > before { Ok(()) } else { Err(receiver.events()) }
    });
    service.sigterm();
}

/// `callcenter alarms test` with this environment: exit code and all that it wrote.
fn try_channels(environment: &[(&str, &str)]) -> (i32, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    command.env_clear().envs(environment.iter().copied()).current_dir(folder.path()).args(["alarms", "test"]);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.code().unwrap(), text)
}

#[test]
fn alarms_test_says_what_came_back_from_each_channel() {
    let receiver = Receiver::start();
    let (code, text) = try_channels(&[]);
    assert!(code == 2 && text.contains("no channel is configured"), "{code} {text}");
    let hook = format!("{}/hook", receiver.address);
    let telegram = [
        ("CALLCENTER_ALARMS_TELEGRAM_TOKEN", TOKEN),
        ("CALLCENTER_ALARMS_TELEGRAM_CHAT", "-100"),
        ("CALLCENTER_ALARMS_TELEGRAM_URL", &receiver.address),
    ];
    let both = [&telegram[..], &[("CALLCENTER_ALARMS_WEBHOOK_URL", &*hook)]].concat();
    let (code, text) = try_channels(&both);
    assert!(code == 0 && text.contains("webhook: sent (HTTP 200)") && text.contains("telegram: sent"), "{code} {text}");
    assert_eq!(receiver.events(), BTreeMap::from([("test".to_owned(), 1)]));
    let broken = [&telegram[..2], &[("CALLCENTER_ALARMS_TELEGRAM_URL", "http://127.0.0.1:1"), ("RUST_LOG", "trace")]];
    let (code, text) = try_channels(&broken.concat());
    assert!(code == 1 && text.contains("telegram: NOT sent: no connection"), "{code} {text}");
    assert!(!text.contains(TOKEN), "{text}");
}
