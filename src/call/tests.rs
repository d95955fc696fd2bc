//! The pure core over the recorded streams: each gives exactly the calls of its truth, in any order of
//! neighbours and with any event doubled.

mod kept;
mod long;
mod rewritten;
mod shown;
mod stream;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::*;
use crate::ari::entry::{Line, Snapshot};
use crate::ari::event::decode;
use crate::model::Timestamp;

pub(super) struct NoLines;

impl LineRules for NoLines {
    fn configured(&self) -> bool {
        false
    }
    fn is_trunk(&self, _: &str) -> bool {
        false
    }
    fn is_inbound_context(&self, _: &str) -> bool {
        false
    }
    fn e164(&self, _: &str) -> Option<String> {
        None
    }
}

/// The synchronous twin of the registry, the call actors and the writer.
pub(super) struct Driver {
    pub(super) graph: Graph,
    legs: BTreeMap<ChanKey, Leg>,
    book: Book,
    pub(super) rows: BTreeMap<String, CallRow>,
    pub(super) legs_rows: BTreeMap<(String, String, usize), LegRow>,
    /// Calls whose fold failed.
    failed: Vec<String>,
    /// Channels of which not all was kept.
    crowded: Vec<String>,
    effects: Vec<Effect>,
    position: u64,
    /// As the raw log: the events of each channel (id, creation time).
    pub(super) log: Vec<((Box<str>, Timestamp), String)>,
}

impl Driver {
    pub(super) fn new() -> Self {
        Self {
            graph: Graph::new("callcenter-app", GraphLimits::default()),
            legs: BTreeMap::new(),
            book: Book::new("t"),
            rows: BTreeMap::new(),
            legs_rows: BTreeMap::new(),
            failed: Vec::new(),
            crowded: Vec::new(),
            effects: Vec::new(),
            position: 0,
            log: Vec::new(),
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        let line: Line<'_> = serde_json::from_str(text).unwrap();
        let at = line.at();
        self.position += 1;
        if let Some(event) = line.event {
            let key = self.graph.event(&decode(event.get()).unwrap(), at, self.position);
            self.settle();
            if let Some((id, created)) = key.and_then(|key| self.book.identity(key)) {
                self.log.push(((id.into(), created), event.get().to_owned()));
            }
        } else if let Some(gap) = line.gap {
            self.graph.gap(&gap, at);
        } else if let Some(snapshot) = line.snapshot {
            let snapshot: Snapshot<'_> = serde_json::from_str(snapshot.get()).unwrap();
            self.graph.snapshot(&snapshot, at, self.position).unwrap();
        }
        self.settle();
    }

    pub(super) fn settle(&mut self) {
        let out = std::mem::take(self.graph.out());
        for opening in out.opened {
            let key = opening.key;
            let (leg, effect) = Leg::open(opening);
            self.legs.insert(key, leg);
            self.effect(key, effect);
        }
        for (key, at, fact) in out.facts {
            self.book.add(key, at, fact);
        }
        for (key, at, input) in out.inputs {
            let mut effects = std::mem::take(&mut self.effects);
            self.legs.get_mut(&key).unwrap().step(at, input, &mut effects);
            for effect in effects.drain(..) {
                self.effect(key, effect);
            }
            self.effects = effects;
        }
        for key in out.retired {
            self.legs.remove(&key);
        }
    }

    fn effect(&mut self, key: ChanKey, effect: Effect) {
        match effect {
            Effect::Fact(at, fact) => self.book.add(key, at, fact),
            Effect::Ask(_) => {}
        }
    }

    pub(super) fn fold(&mut self) {
        let folded = self.book.fold(&NoLines);
        self.failed.extend(folded.failed);
        self.crowded.extend(folded.crowded);
        for uid in folded.removed {
            self.rows.remove(&uid);
            self.legs_rows.retain(|(u, _, _), _| *u != uid);
        }
        for row in folded.calls {
            self.rows.insert(row.uid.clone(), row);
        }
        for (uid, leg) in folded.legs {
            // A stay that moved to another call keeps its row, as in the database.
            let same = |l: &LegRow| {
                (&l.channel_id, l.channel_created_at, l.stay) == (&leg.channel_id, leg.channel_created_at, leg.stay)
            };
            self.legs_rows.retain(|_, l| !same(l));
            self.legs_rows.insert((uid, leg.channel_id.clone(), leg.stay), leg);
        }
    }

    pub(super) fn calls(&self) -> Vec<&CallRow> {
        let mut rows: Vec<&CallRow> = self.rows.values().collect();
        rows.sort_by_key(|r| (r.started_at, r.uid.clone()));
        rows
    }
}

pub(super) fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces")
}

pub(super) fn lines(name: &str) -> Vec<String> {
    let plain = traces().join(format!("{name}.jsonl"));
    let text = if plain.exists() {
        std::fs::read_to_string(plain).unwrap()
    } else {
        let file = std::fs::File::open(traces().join(format!("{name}.jsonl.gz"))).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        text
    };
    text.lines().map(str::to_owned).collect()
}

/// Plays lines, folding after every `batch` of them.
pub(super) fn play<S: AsRef<str>>(lines: &[S], batch: usize) -> Driver {
    let mut driver = Driver::new();
    for (i, line) in lines.iter().enumerate() {
        driver.line(line.as_ref());
        if i % batch == batch - 1 {
            driver.fold();
        }
    }
    driver.fold();
    driver
}

fn compare(name: &str, truth: &serde_json::Value, rows: &[&CallRow], problems: &mut Vec<String>) {
    let Some(expected) = truth["calls"].as_array() else { return };
    if expected.len() != rows.len() {
        problems.push(format!("{name}: {} calls expected, {} found: {rows:#?}", expected.len(), rows.len()));
        return;
    }
    let mut left: Vec<&CallRow> = rows.to_vec();
    for want in expected {
        match left.iter().position(|row| differs(want, row).is_none()) {
            Some(place) => {
                left.remove(place);
            }
            None => {
                let near: Vec<String> = left.iter().filter_map(|row| differs(want, row)).collect();
                problems.push(format!("{name}: no row is {want}: {near:?}"));
            }
        }
    }
}

/// In what a row differs from the truth, if it does.
fn differs(want: &serde_json::Value, row: &CallRow) -> Option<String> {
    let got = serde_json::json!({
        "caller_number": row.caller_number, "dialed_number": row.dialed_number, "status": row.status.as_str(),
        "callee_number": row.callee_number, "ended_by": row.ended_by.map(crate::model::EndedBy::as_str),
        "talk_ms": row.talk_ms, "incomplete": i32::from(row.incomplete),
    });
    let mut found = String::new();
    for (key, value) in want.as_object().unwrap() {
        let same = match (value.as_i64(), got[key].as_i64()) {
            (Some(x), Some(y)) if key == "talk_ms" => (x - y).abs() <= 100,
            _ => *value == got[key],
        };
        // The truth's null is "not compared", but for who answered.
        if !same && (!value.is_null() || key == "callee_number") {
            found.push_str(&format!("{key}={} ", got[key]));
        }
    }
    (!found.is_empty()).then_some(found)
}

fn counts(name: &str, truth: &serde_json::Value, rows: &[&CallRow], problems: &mut Vec<String>) {
    let Some(expected) = truth["expected_counts"].as_object() else { return };
    let mut want: BTreeMap<&str, i64> = BTreeMap::new();
    for (text, count) in expected {
        let status = text.split([' ', ',']).next().unwrap();
        *want.entry(status).or_default() += count.as_i64().unwrap();
    }
    let mut got: BTreeMap<&str, i64> = BTreeMap::new();
    for row in rows {
        *got.entry(row.status.as_str()).or_default() += 1;
    }
    if want != got {
        problems.push(format!("{name}: expected {want:?}, found {got:?}"));
    }
}

#[test]
fn each_recorded_stream_gives_the_calls_of_its_truth() {
    let mut problems = Vec::new();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(traces().join("truth")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 35);
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let truth: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        for batch in [1, 7, usize::MAX] {
            if batch == 1 && name == "big2000" {
                continue;
            }
            let driver = play(&lines(&name), batch);
            let rows = driver.calls();
            compare(&name, &truth, &rows, &mut problems);
            counts(&name, &truth, &rows, &mut problems);
            let subscribed = truth["subscribe_all"] == true;
            let open = rows.iter().filter(|r| r.ended_at.is_none()).count();
            if open > 0 && subscribed {
                problems.push(format!("{name}: {open} calls are still open"));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Traces short enough to be played hundreds of times.
fn short() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(traces())
        .unwrap()
        .filter_map(|e| e.unwrap().path().file_name()?.to_str()?.strip_suffix(".jsonl").map(str::to_owned))
        .filter(|name| name != "fifty_mixed")
        .collect();
    names.sort();
    names
}

fn at(line: &str) -> f64 {
    serde_json::from_str::<Line<'_>>(line).unwrap().at
}

/// Gaps and snapshots are the journal's own marks: what comes before and after them does not change places.
fn may_swap(a: &str, b: &str) -> bool {
    a.contains("\"event\"") && b.contains("\"event\"") && (at(b) - at(a)).abs() <= 0.002
}

type Rows = (BTreeMap<String, CallRow>, BTreeMap<(String, String, usize), LegRow>);

fn rows<S: AsRef<str>>(lines: &[S], batch: usize) -> Rows {
    let driver = play(lines, batch);
    (driver.rows, driver.legs_rows)
}

#[test]
fn neighbours_swapped_or_any_event_doubled_give_the_same_rows() {
    for name in short() {
        let lines = lines(&name);
        let expected = rows(&lines, 3);
        for i in 0..lines.len() - 1 {
            if may_swap(&lines[i], &lines[i + 1]) {
                let mut swapped: Vec<&str> = lines.iter().map(String::as_str).collect();
                swapped.swap(i, i + 1);
                assert_eq!(rows(&swapped, usize::MAX), expected, "{name}: lines {} and {} swapped", i + 1, i + 2);
            }
            if lines[i].contains("\"event\"") {
                let mut doubled: Vec<&str> = lines.iter().map(String::as_str).collect();
                doubled.insert((i + 1 + i % 5).min(lines.len()), &lines[i]);
                assert_eq!(rows(&doubled, usize::MAX), expected, "{name}: line {} doubled", i + 1);
            }
        }
    }
}

#[test]
fn a_phone_belongs_to_the_call_that_dialled_it_first_in_whatever_order_that_is_heard() {
    let mut stream = stream::Stream::new();
    let first = stream.channel("1.1", "PJSIP/100-00000001", "Ring", "100", "101");
    let second = stream.channel("1.2", "PJSIP/102-00000002", "Ring", "102", "101");
    let phone = stream.channel("1.3", "PJSIP/101-00000003", "Down", "101", "s");
    stream.dial(Some(&first), &phone, "101", "");
    stream.pass(1);
    stream.dial(Some(&second), &phone, "101", "");
    let mut swapped = stream.lines.clone();
    swapped.swap(3, 4);
    let whole = rows(&stream.lines, 1);
    assert_eq!(whole.0.values().map(|row| row.legs).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(rows(&swapped, 1), whole);
}

proptest::proptest! {
    #![proptest_config(crate::cases(300))]
    /// Many swaps and doublings at once, folded in batches of any size.
    #[test]
    fn any_mix_of_swaps_and_doublings_gives_the_same_rows(
        which in 0..1000usize,
        batch in 1..40usize,
        swaps in proptest::collection::vec(0..200usize, 0..30),
        doubles in proptest::collection::vec((0..200usize, 0..20usize), 0..10),
    ) {
        let names = short();
        let name = &names[which % names.len()];
        let original = lines(name);
        let expected = rows(&original, usize::MAX);
        let mut changed = original.clone();
        for i in swaps {
            let i = i % (changed.len() - 1);
            if may_swap(&changed[i], &changed[i + 1]) {
                changed.swap(i, i + 1);
            }
        }
        for (i, far) in doubles {
            let i = i % changed.len();
            if changed[i].contains("\"event\"") {
                let line = changed[i].clone();
                changed.insert((i + 1 + far).min(changed.len()), line);
            }
        }
        proptest::prop_assert_eq!(rows(&changed, batch), expected, "{}", name);
    }
}

/// caller, dialed, wait, ring, talk, hold in milliseconds, as the recordings' descriptions and their events say.
type Times<'a> = (&'a str, &'a str, [i64; 4]);

#[test]
fn wait_ring_talk_and_hold_are_those_of_the_recordings() {
    let expected: &[(&str, &[Times<'_>])] = &[
        ("answered", &[("100", "101", [1009, 1004, 5006, 0])]),
        ("abandoned", &[("100", "104", [4009, 4004, 0, 0])]),
        ("noanswer", &[("100", "104", [30036, 30030, 0, 0])]),
        ("rejected", &[("100", "105", [809, 806, 0, 0])]),
        ("hold", &[("100", "101", [509, 503, 7019, 3005])]),
        ("queue_ringall", &[("115", "600", [2509, 2006, 3492, 0])]),
        // Rung twice, ten seconds and one and a half.
        ("queue_retry_abandon", &[("115", "601", [14012, 11503, 0, 0])]),
        // The sum of both talks; what rang after the transfer is not part of the wait.
        ("blind_transfer", &[("100", "101", [508, 504, 5006, 0])]),
        ("blind_transfer_by_caller", &[("100", "101", [508, 504, 5014, 0])]),
        ("attended_transfer", &[("100", "101", [516, 509, 5035, 3028]), ("100", "102", [512, 506, 6504, 0])]),
        ("click_to_call", &[("101", "102", [2526, 2512, 4486, 0])]),
        ("local_channels", &[("115", "503", [1016, 1006, 4005, 0]), ("", "sd-3", [6, 0, 0, 0])]),
    ];
    for (name, calls) in expected {
        let driver = play(&lines(name), 5);
        let rows = driver.calls();
        assert_eq!(rows.len(), calls.len(), "{name}");
        for (row, (caller, dialed, times)) in rows.iter().zip(*calls) {
            assert_eq!(row.caller_number.as_deref().unwrap_or(""), *caller, "{name}");
            assert_eq!(row.dialed_number.as_deref(), Some(*dialed), "{name}");
            let got = [row.wait_ms, row.ring_ms, row.talk_ms, row.hold_ms].map(Option::unwrap);
            assert!(got.iter().zip(times).all(|(a, b)| (a - b).abs() <= 5), "{name}: {got:?}, expected {times:?}");
        }
    }
}
