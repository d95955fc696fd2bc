//! Bad frames and bad files: counted, on record with a sample, and everything else goes on.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use callcenter::sim::{MixEntry, PlayedCall, Sim, SimConfig, SimHandle};

use crate::demo::{as_played, by_channel, rows_of};
use crate::kit::Service;
use crate::kit::rows::Rows;
use crate::kit::wait::{self, s};
use crate::metrics::Scrape;

/// How deep the nested ones are.
const LEVELS: usize = 10_000;

fn event(rest: &str) -> String {
    format!(r#"{{"type":"Invented","timestamp":"2026-11-22T12:59:26.306+0000","application":"a",{rest}}}"#)
}

/// Sends each kind of bad frame: the reason and the sample's beginning that each must leave, in order.
fn send_bad(sim: &SimHandle) -> Vec<(&'static str, String)> {
    let mut expected = Vec::new();
    let mut text = |text: &str, reason: &'static str| {
        sim.send_raw_text(text);
        expected.push((reason, text.chars().take(40).collect::<String>()));
    };
    let created = r#"{"type":"ChannelCreated","timestamp":"2026-11-22T12:59:26.306+0000","application":"a","channel":"#;
    text("this is no event", "no JSON object");
    text("", "no JSON object");
    text("[{}]", "no JSON object");
    text(&created[..90], "no JSON object");
    text(r#"{"type":"Dial", "peer": {"id": "1}"#, "not an event");
    text(r#"{"a": 1}, "gap": {"since": 1.0, "reason": "mine"}"#, "not an event");
    text(r#"{"type":"X","timestamp":"yesterday","application":"a"}"#, "yesterday");
    text(&format!("{created}5}}"), "fields of other types");
    text(&format!("{created}null}}"), "fields of other types");
    text(r#"{"type":{"a":[]},"application":"a"}"#, "not an event");
    text(&format!("{}{}", r#"{"a":"#.repeat(LEVELS), format_args!("1{}", "}".repeat(LEVELS))), "not an event");
    text(&format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)), "no JSON object");
    text(&format!("{created}{}{}}}", "[".repeat(LEVELS), "]".repeat(LEVELS)), "fields of other types");
    text("\u{0}\u{0}\u{0}", "no JSON object");
    sim.send_raw_binary(b"\x00\xff\xfe binary");
    expected.push(("no UTF-8", "\u{0}\u{fffd}\u{fffd} binary".into()));
    sim.send_raw_bytes(b"{\"type\":\"X\",\"name\":\"M\xfcller\"}", 1);
    expected.push(("no UTF-8", "{\"type\":\"X\",\"name\":\"M\u{fffd}ller\"}".into()));
    sim.send_raw_bytes(b"{\"name\":\"\xc3(\"}", 5);
    expected.push(("no UTF-8", "{\"name\":\"\u{fffd}(\"}".into()));
    let mib = 1024 * 1024;
    sim.send_raw_bytes(event(&format!("\"x\":\"{}\"", "y".repeat(17 * mib))).as_bytes(), 1);
    expected.push(("longer than ari.max_frame_bytes", event("\"x\":\"yy").chars().take(40).collect()));
    sim.send_raw_bytes(&vec![b'['; 20 * mib], 300);
    expected.push(("longer than ari.max_frame_bytes", "[".repeat(40)));
    expected
}

/// Frames that are odd and right: how many events they are.
fn send_odd(sim: &SimHandle) -> i64 {
    (0..1_000).for_each(|n| sim.send_raw_text(&event("\"x\":1").replace("Invented", &format!("Invented_{n}"))));
    let nested = format!("\"x\":{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
    sim.send_raw_text(&event(&nested));
    let mut pretty = event(&nested).replace('[', "[\r\n    ");
    sim.send_raw_text(&pretty);
    pretty.truncate(0);
    sim.send_raw_bytes(event("\"name\":\"Müller, in parts\"").as_bytes(), 40);
    sim.send_raw_binary(event("\"binary\":1").as_bytes());
    sim.send_raw_text(&event(&format!("\"x\":\"{}\"", "y".repeat(1024 * 1024))));
    1_005
}

#[test]
fn bad_frames_amid_calls_are_counted_and_sampled_and_the_stream_goes_on() {
    let mix = ["answered", "busy", "abandoned", "hold"];
    let mix = mix.map(|name| MixEntry::new(name, 1).stretched(1.0, 2.0)).to_vec();
    let sim = Sim::start(SimConfig { mix, calls_per_second: 8.0, ..SimConfig::default() }).unwrap();
    let url = sim.url();
    let environment = [
        ("ARI_URL", url.as_str()),
        ("ARI_USERNAME", "demo"),
        ("ARI_PASSWORD", "demo-password"),
        ("ARI_APP_NAME", "callcenter-app"),
        ("RUST_LOG", "info"),
    ];
    let mut service = Service::with("", &environment);
    let rows = service.rows();
    let live = || if sim.live_calls() >= 10 { Ok(()) } else { Err(sim.live_calls()) };
    wait::until("live calls", s(60), live);
    let expected = send_bad(&sim);
    wait::until("a gap for each bad frame", s(60), || {
        let gaps = rows.gaps();
        if gaps.len() >= expected.len() { Ok(()) } else { Err(gaps) }
    });
    let odd = send_odd(&sim);
    wait::until("the odd events", s(60), || {
        let found = rows.number("SELECT COUNT(*) AS number FROM events WHERE type LIKE 'Invented%'");
        if found >= odd { Ok(()) } else { Err(found) }
    });
    let begun = sim.truth().started;
    wait::until("later calls", s(60), || if sim.truth().started > begun + 10 { Ok(()) } else { Err(()) });
    sim.stop_arrivals();
    wait::until("the end of every call", s(90), || {
        let open = rows.try_calls("ended_at IS NULL")?.len();
        let lag = Scrape::of(&service).value("callcenter_journal_lag_bytes{node=\"main\"}");
        if sim.live_calls() == 0 && open == 0 && lag == 0.0 { Ok(()) } else { Err(format!("{open} open, {lag} lag")) }
    });

    let samples = rows.words("SELECT sample AS word FROM gaps ORDER BY id");
    for (((reason, sample), found), kept) in expected.iter().zip(rows.gaps()).zip(&samples) {
        assert!(found.contains(reason) && kept.starts_with(sample), "{reason}: {sample}\n{found}: {kept}");
        assert!(kept.len() <= 3 * 256, "{} bytes of sample", kept.len());
    }
    assert_eq!(rows.gaps().len(), expected.len());
    assert_eq!(rows.number("SELECT COUNT(*) AS number FROM events WHERE type LIKE 'Invented%'"), odd);
    assert_eq!(rows.number("SELECT COUNT(*) AS number FROM events WHERE body LIKE '%Müller, in parts%'"), 1);
    let played: Vec<PlayedCall> = sim.played().into_iter().filter(|call| call.unheard == 0).collect();
    let all = by_channel(&rows);
    assert!(played.len() > 20, "{} calls", played.len());
    for call in &played {
        let found = rows_of(call, &all);
        assert!(as_played(call, &found), "played: {call:#?}\nfound: {found:#?}");
        assert!(found.iter().all(|row| row.incomplete == 0), "flagged, but nothing was missed: {found:#?}");
    }

    let (system, scrape) = (service.system(), Scrape::of(&service));
    let node = &system["nodes"][0];
    let bad = expected.len() as f64;
    assert_eq!(node["registry"]["bad_frames"].as_f64(), Some(bad), "{system:#}");
    assert_eq!(node["registry"]["graph_panics"], 0, "{system:#}");
    assert_eq!(node["connection"]["sessions"], 1, "{system:#}");
    assert_eq!(scrape.value("callcenter_bad_frames_total{node=\"main\"}"), bad);
    assert_eq!(scrape.value("callcenter_gaps_total{node=\"main\"}"), 0.0);
    assert_eq!(scrape.value("callcenter_panics_total"), 0.0);
    let events = rows.number("SELECT COUNT(*) AS number FROM events") as f64;
    assert_eq!(scrape.value("callcenter_ari_frames_total{node=\"main\"}"), events + bad);
    assert_eq!(scrape.by_label("callcenter_events_total").get("other"), Some(&(odd as f64)));
    assert!(service.peak_mib() < 400, "{} MiB", service.peak_mib());
    service.sigterm();
}

/// Replays one file.
fn replay(folder: &Path, file: &str, bytes: &[u8]) -> Output {
    std::fs::write(folder.join(file), bytes).unwrap();
    Command::new(env!("CARGO_BIN_EXE_callcenter"))
        .current_dir(folder)
        .args(["replay", file, "--db", "test.db", "--node", "t"])
        .output()
        .unwrap()
}

fn trace() -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/answered.jsonl")).unwrap()
}

#[test]
fn odd_files_are_replayed_but_for_what_is_bad_in_them() {
    let trace = trace();
    let first = trace.iter().position(|b| *b == b'\n').unwrap() + 1;
    let (head, rest) = trace.split_at(first);
    let crlf = String::from_utf8(trace.clone()).unwrap().replace('\n', "\r\n").into_bytes();
    let long = vec![b'x'; 70 * 1024 * 1024];
    let cases: [(&str, Vec<u8>, &[&str]); 6] = [
        ("byte order mark", [b"\xef\xbb\xbf", &trace[..]].concat(), &[]),
        ("CRLF", crlf, &[]),
        ("NUL bytes", [head, b"\0\0\0\n", rest].concat(), &["a line that is no entry"]),
        ("no UTF-8", [head, b"{\"at\": 1.0, \"event\": {\"\xff\"}}\n", rest].concat(), &["no UTF-8"]),
        ("an endless line", [&trace[..], &long].concat(), &["too long"]),
        ("a long line", [head, &long, b"\n", rest].concat(), &["too long"]),
    ];
    for (name, bytes, gaps) in cases {
        let folder = tempfile::tempdir().unwrap();
        let done = replay(folder.path(), "stream.jsonl", &bytes);
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
        let rows = Rows::at(&folder.path().join("test.db"));
        let calls = rows.calls("1");
        assert!(calls.len() == 1 && calls[0].status == "answered" && calls[0].ended_at.is_some(), "{name}: {calls:#?}");
        let found = rows.gaps();
        assert!(found.len() == gaps.len() && found.iter().zip(gaps).all(|(f, g)| f.contains(g)), "{name}: {found:?}");
    }
}

#[test]
fn of_a_broken_archive_what_is_before_is_replayed_and_the_error_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    // The whole call, and much more after it.
    gz.write_all(&trace()).unwrap();
    gz.write_all("\n".repeat(1024 * 1024).as_bytes()).unwrap();
    let mut whole = gz.finish().unwrap();
    whole.truncate(whole.len() - 100_000);
    let done = replay(folder.path(), "cut.jsonl.gz", &whole);
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && error.contains("cut.jsonl.gz") && error.contains("was read"), "{error}");
    let calls = Rows::at(&folder.path().join("test.db")).calls("1");
    assert!(calls.len() == 1 && calls[0].status == "answered", "{calls:#?}");
    let done = replay(folder.path(), "none.jsonl.gz", b"this is no archive");
    let error = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(!done.status.success() && error.contains("none.jsonl.gz"), "{error}");
}
