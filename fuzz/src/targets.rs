//! What must hold whatever comes in: the functions behind the fuzzers and behind the program's own short run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use callcenter::actors::journal::{JournalReader, Position};
use callcenter::actors::source::{FileSource, Source};
use callcenter::ari::entry::{Line, Snapshot};
use callcenter::ari::event::decode;
use callcenter::call::{Book, CallRow, ChanKey, Effect, Graph, GraphLimits, Leg, LegRow, LineRules};

/// Changes to a stream: more teach nothing.
const MAX_CHANGES: usize = 64;
/// Streams longer than this are too slow to be tried often, lines.
const MAX_LINES: usize = 500;
/// Times of receipt that a journal can have (the years 2023 to 2033), seconds since 1970.
const TIMES: std::ops::Range<f64> = 1.7e9..2.0e9;

/// Decodes any text.
pub fn event(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(frame) = decode(&text) {
        let (channel, bridge) = frame.event.subjects();
        assert!([channel, bridge].into_iter().flatten().all(|id| id.len() <= text.len()));
        assert!(frame.event.name().is_none_or(|name| name == &*frame.kind));
        let _ = format!("{:?}", frame.event);
    }
}

/// Reads any bytes as a recorded file, plain and as an archive, and as a segment of a journal.
pub fn journal(data: &[u8]) {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| tempfile::tempdir().expect("a folder")).path();
    // Tests run side by side.
    let folder = folder.join(format!("{:?}", std::thread::current().id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let sizes = [1, 64, 4_096];
    let size = sizes[data.first().map_or(0, |b| usize::from(*b)) % sizes.len()];
    let (plain, archive) = (folder.join("a.jsonl"), folder.join("a.jsonl.gz"));
    std::fs::write(&plain, data).expect("written");
    std::fs::write(&archive, data).expect("written");
    let _ = FileSource::fingerprint(&archive);
    let mut source = FileSource::open(&archive).expect("opens");
    while let Ok(Some(chunk)) = source.read(size) {
        assert!(chunk.end > chunk.start);
    }
    let mut whole = data.to_vec();
    if whole.last().is_some_and(|b| *b != b'\n') {
        whole.push(b'\n');
    }
    let mut source = FileSource::open(&plain).expect("opens");
    let read = chunks(|| source.read(size).expect("reads"));
    assert_eq!(read, whole.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&whole));
    std::fs::write(folder.join(Position::START.segment_name()), data).expect("written");
    let mut reader = JournalReader::open(&folder, Position::START).expect("opens");
    let lines = memchr_last(data);
    let read = chunks(|| reader.read(size).expect("reads"));
    assert_eq!(read, &data[..lines]);
    core_lines(&read);
}

fn memchr_last(data: &[u8]) -> usize {
    data.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1)
}

/// All bytes that a reader gives.
fn chunks(mut next: impl FnMut() -> Option<callcenter::actors::journal::Chunk>) -> Vec<u8> {
    let (mut all, mut position) = (Vec::new(), None);
    while let Some(chunk) = next() {
        assert!(chunk.skipped.is_none() && position.is_none_or(|end| end == chunk.start));
        let lines: usize = chunk.lines().map(|(_, line)| line.len() + 1).sum();
        assert_eq!(lines, chunk.bytes.len());
        position = Some(chunk.end);
        all.extend_from_slice(&chunk.bytes);
    }
    all
}

/// Any lines through the call core.
fn core_lines(text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<String> = text.lines().take(MAX_LINES).map(str::to_owned).collect();
    check(lines, 1, 7);
}

/// Recorded streams, changed as the bytes say: lines swapped, doubled, dropped, moved, mixed and damaged.
pub fn core(data: &[u8]) {
    let mut choices = Choices(data);
    let (batch, other) = (choices.below(16) + 1, choices.below(200) + 1);
    let mut lines = streams()[choices.below(streams().len())].clone();
    let gaps = choices.byte() % 2 == 0;
    for _ in 0..MAX_CHANGES {
        if choices.0.is_empty() || lines.is_empty() {
            break;
        }
        change(&mut lines, &mut choices, gaps);
    }
    lines.truncate(2 * MAX_LINES);
    check(lines, batch, other);
}

/// Bytes as choices; zero when there are none left.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()])) % limit.max(1)
    }
}

fn change(lines: &mut Vec<String>, choices: &mut Choices<'_>, gaps: bool) {
    let (kind, at, to) =
        (choices.byte() % if gaps { 10 } else { 8 }, choices.below(lines.len()), choices.below(lines.len()));
    match kind {
        0 => lines.swap(at, to),
        1 => lines.insert(to, lines[at].clone()),
        2 => drop(lines.remove(at)),
        3 => {
            let line = lines.remove(at);
            lines.insert(to.min(lines.len()), line);
        }
        4 => {
            // A stretch of another stream in the middle of this one.
            let other = &streams()[choices.below(streams().len())];
            let from = choices.below(other.len());
            let until = (from + 1 + choices.below(32)).min(other.len());
            lines.splice(to..to, other[from..until].iter().cloned());
        }
        5 => {
            let mut bytes = std::mem::take(&mut lines[at]).into_bytes();
            let place = choices.below(bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte = choices.byte();
            }
            lines[at] = String::from_utf8_lossy(&bytes).replace('\n', " ");
        }
        // One channel or bridge gets the name of another.
        6 => {
            if let (Some(id), Some(new)) = (id_of(&lines[at]), id_of(&lines[to])) {
                lines[at] = lines[at].replace(&id, &new);
            }
        }
        7 => lines.truncate(at + 1),
        8 => {
            let when = time_of(&lines[at]).unwrap_or(TIMES.start);
            lines.insert(at, gap(when));
        }
        _ => {
            let when = time_of(&lines[at]).unwrap_or(TIMES.start);
            lines.insert(at, snapshot(when));
        }
    }
}

fn gap(at: f64) -> String {
    format!(r#"{{"at": {at}, "gap": {{"since": {}, "reason": "x"}}}}"#, at - 1.0)
}

fn snapshot(at: f64) -> String {
    format!(r#"{{"at": {at}, "snapshot": {{"channels": [], "bridges": []}}}}"#)
}

fn id_of(line: &str) -> Option<String> {
    let rest = line.split_once("\"id\":")?.1.trim_start().strip_prefix('"')?;
    rest.split_once('"').map(|(id, _)| id.to_owned())
}

fn time_of(line: &str) -> Option<f64> {
    serde_json::from_str::<Line<'_>>(line).ok().map(|line| line.at)
}

/// The recorded streams that are short enough.
fn streams() -> &'static [Vec<String>] {
    static STREAMS: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    STREAMS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = [root.join("tests/traces"), root.join("../tests/traces")].into_iter().find(|f| f.exists());
        let files = std::fs::read_dir(folder.expect("tests/traces")).expect("tests/traces");
        let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
        files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
        files.sort();
        let texts = files.iter().map(|file| std::fs::read_to_string(file).expect("a stream"));
        let streams = texts.map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
        streams.filter(|lines| lines.len() <= MAX_LINES).collect()
    })
}

/// The same rows however the lines are batched, no failure anywhere, and nothing left once all has ended.
fn check(lines: Vec<String>, batch: usize, other: usize) {
    let (mut one, mut two) = (play(&lines, batch), play(&lines, other));
    // What a forgotten channel had in common with others is settled by what was known then: in a call that is flagged
    // talk may differ. Which calls there are and which are flagged may not.
    let flagged = |core: &Core| core.calls.values().map(|c| (c.uid.clone(), c.incomplete)).collect::<Vec<_>>();
    assert_eq!(flagged(&one), flagged(&two), "calls in batches of {batch} and of {other}");
    for core in [&mut one, &mut two] {
        core.calls.retain(|_, call| !call.incomplete);
        let calls = &core.calls;
        core.legs.retain(|_, (uid, _)| calls.contains_key(uid));
    }
    assert_eq!(one.calls, two.calls, "calls in batches of {batch} and of {other}");
    assert_eq!(one.legs, two.legs, "legs in batches of {batch} and of {other}");
    let last = lines.iter().filter_map(|line| time_of(line)).filter(|at| TIMES.contains(at));
    let last = last.fold(TIMES.start, f64::max);
    [one, two].into_iter().for_each(|core| ends(core, last));
}

fn play(lines: &[String], batch: usize) -> Core {
    let mut core = Core::new();
    for (n, text) in lines.iter().enumerate() {
        if time_of(text).is_some_and(|at| TIMES.contains(&at)) {
            core.line(text);
        }
        if n % batch == batch - 1 {
            core.fold();
        }
    }
    core.fold();
    core
}

/// Asterisk has no channel any more, and then two days go by.
fn ends(mut core: Core, last: f64) {
    for later in [2.0, 86_400.0, 86_410.0, 172_800.0] {
        core.line(&gap(last + later));
        core.line(&snapshot(last + later));
        core.fold();
    }
    assert_eq!((core.graph.live(), core.book.open_calls()), (0, 0), "channels that live, calls that are open");
    assert!(core.legs_of_channels.is_empty(), "{} state machines are left", core.legs_of_channels.len());
    assert_eq!(core.book.live_channels(), 0, "channels in the book");
}

/// No line of ours is known.
struct NoLines;

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

/// Registry, call actors and writer without actors and database.
struct Core {
    graph: Graph,
    legs_of_channels: BTreeMap<ChanKey, Leg>,
    book: Book,
    calls: BTreeMap<String, CallRow>,
    legs: BTreeMap<(String, i64, usize), (String, LegRow)>,
    position: u64,
}

impl Core {
    fn new() -> Self {
        Self {
            graph: Graph::new("callcenter-app", GraphLimits::default()),
            legs_of_channels: BTreeMap::new(),
            book: Book::new("t"),
            calls: BTreeMap::new(),
            legs: BTreeMap::new(),
            position: 0,
        }
    }

    fn line(&mut self, text: &str) {
        let Ok(line) = serde_json::from_str::<Line<'_>>(text) else { return };
        let at = line.at();
        self.position += text.len() as u64 + 1;
        if let Some(event) = line.event {
            if let Ok(frame) = decode(event.get()) {
                self.graph.event(&frame, at, self.position);
            }
        } else if let Some(gap) = &line.gap {
            self.graph.gap(gap, at);
        } else if let Some(raw) = line.snapshot
            && let Ok(snapshot) = serde_json::from_str::<Snapshot<'_>>(raw.get())
        {
            let _ = self.graph.snapshot(&snapshot, at, self.position);
        }
        self.settle();
    }

    fn settle(&mut self) {
        let out = self.graph.take_out();
        for opening in out.opened {
            let key = opening.key;
            let (leg, effect) = Leg::open(opening);
            self.legs_of_channels.insert(key, leg);
            self.effect(key, effect);
        }
        for (key, at, fact) in out.facts {
            self.book.add(key, at, fact);
        }
        let mut effects = Vec::new();
        for (key, at, input) in out.inputs {
            if let Some(leg) = self.legs_of_channels.get_mut(&key) {
                leg.step(at, input, &mut effects);
            }
            effects.drain(..).for_each(|effect| self.effect(key, effect));
        }
        for key in out.retired {
            self.legs_of_channels.remove(&key);
        }
    }

    fn effect(&mut self, key: ChanKey, effect: Effect) {
        match effect {
            Effect::Fact(at, fact) => self.book.add(key, at, fact),
            Effect::Ask(_) => {}
        }
    }

    fn fold(&mut self) {
        let folded = self.book.fold(&NoLines);
        assert!(folded.failed.is_empty(), "the fold of {:?} failed", folded.failed);
        for uid in folded.removed {
            self.calls.remove(&uid);
            self.legs.retain(|_, (of, _)| *of != uid);
        }
        for row in folded.calls {
            self.calls.insert(row.uid.clone(), row);
        }
        for (uid, leg) in folded.legs {
            let key = (leg.channel_id.clone(), leg.channel_created_at.millis(), leg.stay);
            self.legs.insert(key, (uid, leg));
        }
    }
}
