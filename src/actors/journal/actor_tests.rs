//! The actor against real files, with a disk that refuses when told to.

use std::time::Duration;

use actix::prelude::*;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::tests::{read_all, small};
use super::*;
use crate::actors::messages::{
    Alive, AppendEntry, AppendFrames, EntryBody, Exited, Frame, FrameBody, JournalFull, Stop,
};
use crate::ari::entry::{Command, Gap, Line, Reply};
use crate::config;
use crate::model::NodeId;

/// Makes the actor's disk have so many bytes left.
#[derive(Message)]
#[rtype(result = "()")]
struct DiskLeft(Option<usize>);

impl Handler<DiskLeft> for Journal {
    type Result = ();

    fn handle(&mut self, DiskLeft(bytes): DiskLeft, _: &mut Self::Context) {
        self.set_disk_left(bytes);
    }
}

/// Makes the actor panic.
#[derive(Message)]
#[rtype(result = "()")]
struct Crash;

impl Handler<Crash> for Journal {
    type Result = ();

    fn handle(&mut self, _: Crash, _: &mut Self::Context) {
        panic!("as the test asked");
    }
}

/// Passes on what it is told, and answers pokes only while the gate is open.
struct Listener {
    pokes: mpsc::UnboundedSender<Position>,
    exits: mpsc::UnboundedSender<(&'static str, bool)>,
    gate: watch::Receiver<bool>,
}

impl Actor for Listener {
    type Context = Context<Self>;
}

impl Handler<Appended> for Listener {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, Appended { end }: Appended, _: &mut Self::Context) -> Self::Result {
        let (pokes, mut gate) = (self.pokes.clone(), self.gate.clone());
        Box::pin(async move {
            let _ = pokes.send(end);
            let _ = gate.wait_for(|open| *open).await;
        })
    }
}

impl Handler<Exited> for Listener {
    type Result = ();

    fn handle(&mut self, exited: Exited, _: &mut Self::Context) {
        let _ = self.exits.send((exited.who, exited.panicked));
    }
}

struct Bench {
    dir: TempDir,
    journal: Addr<Journal>,
    listener: Addr<Listener>,
    pokes: mpsc::UnboundedReceiver<Position>,
    exits: mpsc::UnboundedReceiver<(&'static str, bool)>,
    gate: watch::Sender<bool>,
}

impl Bench {
    fn new(config: config::Journal) -> Self {
        let dir = TempDir::new().unwrap();
        let ((to_pokes, pokes), (to_exits, exits)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let (gate, opened) = watch::channel(true);
        let listener = Listener { pokes: to_pokes, exits: to_exits, gate: opened }.start();
        let options = Options {
            node: NodeId::new("main"),
            dir: dir.path().to_owned(),
            config,
            max_frame_bytes: 1_000,
            start_at: Position::START,
            parent: Some(listener.clone().recipient()),
        };
        let (journal, _) = Journal::open(options).unwrap();
        Self { dir, journal: journal.start(), listener, pokes, exits, gate }
    }

    async fn frames(&self, frames: &[(f64, &str)]) -> Result<(), JournalFull> {
        let frames = frames.iter().map(|(at, text)| Frame { at: *at, body: FrameBody::Text((*text).into()) }).collect();
        self.journal.send(AppendFrames(frames)).await.unwrap()
    }

    async fn entry(&self, at: f64, entry: EntryBody) -> Result<(), JournalFull> {
        self.journal.send(AppendEntry { at, entry }).await.unwrap()
    }

    async fn status(&self) -> JournalStatus {
        self.journal.send(QueryStatus).await.unwrap()
    }

    async fn disk_left(&self, bytes: Option<usize>) {
        self.journal.send(DiskLeft(bytes)).await.unwrap();
    }

    async fn subscribe(&self) {
        self.journal.send(Subscribe(self.listener.clone().recipient())).await.unwrap();
    }

    async fn poked(&mut self) -> Position {
        tokio::time::timeout(Duration::from_secs(10), self.pokes.recv()).await.unwrap().unwrap()
    }

    async fn exited(&mut self) -> (&'static str, bool) {
        tokio::time::timeout(Duration::from_secs(10), self.exits.recv()).await.unwrap().unwrap()
    }

    /// Every line from the oldest on, as JSON.
    fn lines(&self) -> Vec<Value> {
        let (lines, mut position) = (read_all(self.dir.path(), Position::START), Position::START);
        let parsed = lines.into_iter().map(|(at, line)| {
            assert_eq!(at, position);
            position = position.plus(line.len() as u64 + 1);
            serde_json::from_str::<Line<'_>>(&line).unwrap();
            serde_json::from_str(&line).unwrap()
        });
        parsed.collect()
    }
}

fn gap(since: f64) -> EntryBody {
    EntryBody::Gap(Gap { since, reason: "socket closed".into() })
}

#[actix::test]
async fn frames_become_lines_in_order() {
    let bench = Bench::new(small(10_000));
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(1_000));
    let pretty = "{\r\n  \"type\": \"Dial\",\n  \"peer\": {\n  }\n}\n";
    bench.frames(&[(1.0, "{\"a\":1}"), (2.0, pretty), (3.0, "hello"), (4.0, &long), (5.0, " {\"b\": ")]).await.unwrap();
    let binary = Frame { at: 6.0, body: FrameBody::Binary(vec![0xff, b'a'].into()) };
    bench.journal.send(AppendFrames(vec![binary])).await.unwrap().unwrap();
    bench.frames(&[]).await.unwrap();
    let bad = |at: f64, length: usize, reason: &str, sample: &str| json!({"at": at, "bad": {"reason": reason, "length": length, "sample": sample}});
    assert_eq!(
        bench.lines(),
        [
            json!({"at": 1.0, "event": {"a": 1}}),
            json!({"at": 2.0, "event": {"type": "Dial", "peer": {}}}),
            bad(3.0, 5, "no JSON object", "hello"),
            bad(4.0, 1_008, "longer than ari.max_frame_bytes", &long[..256]),
            bad(5.0, 7, "no JSON object", " {\"b\": "),
            bad(6.0, 2, "no UTF-8", "\u{fffd}a"),
        ]
    );
    let status = bench.status().await;
    assert_eq!((status.appended_entries, status.bad_frames, status.refused_entries), (6, 4, 0));
    assert_eq!((status.end.offset(), status.segments, status.full, status.failing), (status.bytes, 1, false, false));
}

#[actix::test]
async fn every_kind_of_entry_is_one_line() {
    let bench = Bench::new(small(10_000));
    let snapshot = "{\n \"channels\": [\r\n {\"id\": \"1\"}],\n \"bridges\": []}";
    let command = Command {
        id: "c1".into(),
        method: "POST".into(),
        path: "/channels/1/continue".into(),
        query: Vec::new(),
        body: None,
        about: Some("1".into()),
        who: "rule:continue".into(),
    };
    let reply = Reply { id: "c1".into(), status: 204, outcome: "done".into(), ms: 1.5, body: None };
    bench.entry(1.0, gap(0.5)).await.unwrap();
    bench.entry(2.0, EntryBody::Snapshot(serde_json::from_str(snapshot).unwrap())).await.unwrap();
    bench.entry(3.0, EntryBody::Command(command.clone())).await.unwrap();
    bench.entry(4.0, EntryBody::Reply(reply.clone())).await.unwrap();
    assert_eq!(
        bench.lines(),
        [
            json!({"at": 1.0, "gap": {"since": 0.5, "reason": "socket closed"}}),
            json!({"at": 2.0, "snapshot": {"channels": [{"id": "1"}], "bridges": []}}),
            json!({"at": 3.0, "command": command}),
            json!({"at": 4.0, "reply": reply}),
        ]
    );
}

#[actix::test]
async fn pokes_are_few_and_the_last_append_always_leads_to_one() {
    let mut bench = Bench::new(small(10_000));
    bench.frames(&[(1.0, "{}")]).await.unwrap();
    bench.subscribe().await;
    assert_eq!(bench.poked().await, bench.status().await.end, "what was there before");
    bench.gate.send_replace(false);
    bench.frames(&[(2.0, "{}")]).await.unwrap();
    let second = bench.poked().await;
    for number in 0..100 {
        bench.frames(&[(f64::from(number), "{\"n\":1}")]).await.unwrap();
    }
    assert!(bench.pokes.try_recv().is_err(), "one under way is enough");
    bench.gate.send_replace(true);
    let last = bench.poked().await;
    assert!(last > second);
    assert_eq!(last, bench.status().await.end);
    assert!(bench.pokes.try_recv().is_err());
}

#[actix::test]
async fn a_new_subscriber_takes_the_place_of_one_that_hangs() {
    let mut bench = Bench::new(small(10_000));
    bench.subscribe().await;
    bench.gate.send_replace(false);
    bench.poked().await;
    bench.frames(&[(1.0, "{}")]).await.unwrap();
    bench.subscribe().await;
    assert_eq!(bench.poked().await, bench.status().await.end);
}

#[actix::test]
async fn what_a_full_disk_took_is_a_gap_before_the_next_entry() {
    let bench = Bench::new(small(10_000));
    bench.frames(&[(1.0, "{\"n\":1}")]).await.unwrap();
    bench.disk_left(Some(0)).await;
    for at in [2.0, 3.0] {
        let refused = bench.frames(&[(at, "{}"), (at + 0.5, "{}")]).await.unwrap_err();
        assert!(refused.to_string().contains("write"), "{refused}");
    }
    let status = bench.status().await;
    assert!(status.failing && !status.full && status.last_error.is_some(), "{status:?}");
    assert_eq!((status.appended_entries, status.refused_entries), (1, 4));
    bench.disk_left(None).await;
    bench.frames(&[(4.0, "{\"n\":4}")]).await.unwrap();
    bench.frames(&[(5.0, "{\"n\":5}")]).await.unwrap();
    let lines = bench.lines();
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[1]["at"], &lines[1]["gap"]["since"]), (&json!(4.0), &json!(2.0)));
    assert!(lines[1]["gap"]["reason"].as_str().unwrap().starts_with("journal could not be written: "));
    assert_eq!(lines[2]["event"], json!({"n": 4}));
    assert!(!bench.status().await.failing);
}

#[actix::test]
async fn a_gap_begins_behind_the_frames_that_were_kept() {
    let bench = Bench::new(small(10_000));
    // The first frame fits, the second one is cut in two.
    let line = "{\"at\": 1.000000, \"event\": {}}\n".len();
    bench.disk_left(Some(line + 10)).await;
    bench.frames(&[(1.0, "{}"), (2.0, "{}"), (3.0, "{}")]).await.unwrap_err();
    assert_eq!(bench.status().await.refused_entries, 2);
    // The gap fits, what follows it does not: then that is a gap of its own.
    bench.disk_left(Some(260)).await;
    let wide = format!("{{\"x\":\"{}\"}}", "y".repeat(300));
    bench.frames(&[(4.0, &wide)]).await.unwrap_err();
    bench.disk_left(None).await;
    bench.frames(&[(5.0, "{}")]).await.unwrap();
    let lines = bench.lines();
    let spans: Vec<_> = lines.iter().map(|line| (&line["at"], &line["gap"]["since"])).collect();
    let none = Value::Null;
    let expected =
        [(1.0, none.clone()), (4.0, json!(2.0)), (5.0, json!(4.0)), (5.0, none)].map(|(at, since)| (json!(at), since));
    assert_eq!(spans, expected.iter().map(|(at, since)| (at, since)).collect::<Vec<_>>());
}

#[actix::test]
async fn the_connection_s_gap_stands_in_place_of_ours() {
    for (since, lines) in [(1.5, 1), (2.5, 2)] {
        let bench = Bench::new(small(10_000));
        bench.disk_left(Some(0)).await;
        bench.frames(&[(2.0, "{}")]).await.unwrap_err();
        bench.disk_left(None).await;
        bench.entry(3.0, gap(since)).await.unwrap();
        bench.frames(&[(4.0, "{}")]).await.unwrap();
        assert_eq!(bench.lines().len(), lines + 1, "since {since}");
        assert_eq!(bench.status().await.refused_entries, 1);
    }
}

#[actix::test]
async fn alive_is_noted_only_after_what_was_refused_is_on_record() {
    let bench = Bench::new(small(10_000));
    let alive = bench.dir.path().join("alive");
    let noted = || std::fs::read_to_string(&alive).unwrap();
    bench.journal.send(Alive { at: 1_000_000_001.5 }).await.unwrap();
    assert_eq!(noted(), "1000000001.500000\n");
    bench.disk_left(Some(0)).await;
    bench.frames(&[(1_000_000_002.0, "{}")]).await.unwrap_err();
    bench.journal.send(Alive { at: 1_000_000_003.0 }).await.unwrap();
    assert_eq!(noted(), "1000000001.500000\n");
    bench.disk_left(None).await;
    bench.journal.send(Alive { at: 1_000_000_004.0 }).await.unwrap();
    assert_eq!(noted(), "1000000004.000000\n");
    let lines = bench.lines();
    assert_eq!((lines.len(), &lines[0]["gap"]["since"]), (1, &json!(1_000_000_002.0)));
}

#[actix::test]
async fn at_the_limit_frames_wait_for_trimming() {
    let bench = Bench::new(config::Journal { max_bytes: 500, ..small(200) });
    let mut last = Ok(());
    let mut appended = 0;
    while last.is_ok() {
        last = bench.frames(&[(f64::from(appended), "{\"some\":\"event of some length\"}")]).await;
        appended += i32::from(last.is_ok());
    }
    assert!(last.unwrap_err().to_string().contains("journal.max_bytes"));
    assert!(appended > 3);
    let status = bench.status().await;
    assert!(status.full && !status.failing, "{status:?}");
    bench.entry(100.0, gap(99.0)).await.unwrap();
    // What tells that calls have ended must get in, or nothing would ever free the journal.
    let snapshot = serde_json::value::to_raw_value(&json!({ "channels": [], "bridges": [] })).unwrap();
    bench.entry(100.1, EntryBody::Snapshot(snapshot)).await.unwrap();
    let status = bench.status().await;
    assert!(status.full, "still");
    bench.journal.send(AppendFrames(Vec::new())).await.unwrap().expect_err("no frames would be taken");
    let freed = bench.journal.send(Trim { before: status.end }).await.unwrap().unwrap();
    assert!(freed > 0);
    let status = bench.status().await;
    assert!(!status.full && status.oldest > Position::START, "{status:?}");
    bench.journal.send(AppendFrames(Vec::new())).await.unwrap().unwrap();
    bench.frames(&[(101.0, "{}")]).await.unwrap();
    let status = bench.status().await;
    assert_eq!((status.refused_entries, status.refused_frames), (1, 1));
}

#[actix::test]
async fn a_panic_is_told_to_the_parent_and_another_journal_can_be_opened() {
    for panics in [true, false] {
        let mut bench = Bench::new(small(10_000));
        bench.frames(&[(1.0, "{}")]).await.unwrap();
        if panics {
            // In another thread, as a panic in this one would end the test.
            let dir = bench.dir.path().join("other");
            let options = Options {
                node: NodeId::new("main"),
                dir: dir.clone(),
                config: small(10_000),
                max_frame_bytes: 1_000,
                start_at: Position(7_000),
                parent: Some(bench.listener.clone().recipient()),
            };
            let (journal, recovered) = Journal::open(options).unwrap();
            assert_eq!(recovered.end, Position(7_000));
            let arbiter = Arbiter::new();
            let journal = Journal::start_in_arbiter(&arbiter.handle(), move |_| journal);
            journal.send(Crash).await.unwrap_err();
            assert_eq!(bench.exited().await, ("journal", true));
            JournalWriter::open(&dir, &small(10_000)).unwrap();
            arbiter.stop();
        } else {
            bench.journal.send(Stop).await.unwrap();
            assert_eq!(bench.exited().await, ("journal", false));
            let (_, recovered) = JournalWriter::open(bench.dir.path(), &small(10_000)).unwrap();
            assert_eq!(recovered.last_at, Some(1.0));
        }
    }
}

#[actix::test]
async fn after_a_power_failure_no_position_is_used_a_second_time() {
    let mut bench = Bench::new(small(10_000));
    bench.frames(&[(1.0, "{}")]).await.unwrap();
    let end = bench.status().await.end;
    let options = |bench: &Bench| Options {
        node: NodeId::new("main"),
        dir: bench.dir.path().to_owned(),
        config: small(10_000),
        max_frame_bytes: 1_000,
        start_at: Position::START,
        parent: None,
    };
    let mark = bench.dir.path().join("boot");
    assert!(mark.exists());
    bench.journal.send(Stop).await.unwrap();
    assert_eq!(bench.exited().await, ("journal", false));
    assert!(!mark.exists(), "it was closed in good order");
    assert_eq!(Journal::open(options(&bench)).unwrap().1.end, end);
    // That one is gone without being closed, and the machine is in another run of its own.
    std::fs::write(&mark, "another run").unwrap();
    let (_journal, recovered) = Journal::open(options(&bench)).unwrap();
    assert_eq!(recovered.end, end.plus(boot::SPARE_BYTES));
    let mut reader = JournalReader::open(bench.dir.path(), end).unwrap();
    let chunk = reader.read(1_000).unwrap().unwrap();
    assert_eq!(chunk.skipped, Some(Skipped { bytes: boot::SPARE_BYTES, reason: SkipReason::Missing }));
}

#[actix::test]
async fn what_was_appended_is_synced_soon() {
    let bench = Bench::new(config::Journal { sync_interval_ms: 1, ..small(10_000) });
    bench.frames(&[(1.0, "{}")]).await.unwrap();
    let synced = async {
        while bench.status().await.unsynced {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), synced).await.unwrap();
    let status = bench.status().await;
    assert!(status.last_sync_ms.is_some() && status.last_error.is_none(), "{status:?}");
}
