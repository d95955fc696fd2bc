//! The registry with a real journal and a real database: starts that don't find everything in the journal.

use std::path::Path;
use std::time::Duration;

use actix::prelude::*;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::actors::db_writer::{Attach, DbWriter, Follow, Lines, WriterStatus, WriterView, journal_of};
use crate::actors::journal::{JournalReader, JournalWriter};
use crate::db::calls::StoredCall;
use crate::db::gaps::StoredGap;
use crate::db::pool::ReadPool;
use crate::db::positions;
use crate::db::read;
use crate::model::{NodeId, Status};

/// A journal that ends where it ends.
struct Finite(JournalReader);

impl Source for Finite {
    fn read(&mut self, max: usize) -> Result<Option<Chunk>, JournalError> {
        self.0.read(max)
    }

    fn ends(&self) -> bool {
        true
    }
}

struct Bench {
    dir: TempDir,
    hold_bytes: Option<u64>,
    read_bytes: usize,
}

fn node() -> NodeId {
    NodeId::new("main")
}

impl Bench {
    fn new() -> Self {
        Self { dir: TempDir::new().unwrap(), hold_bytes: None, read_bytes: 2_000 }
    }

    fn journal(&self) -> std::path::PathBuf {
        self.dir.path().join("journal")
    }

    fn database(&self) -> config::Database {
        config::Database { path: self.dir.path().join("calls.db"), ..config::Database::default() }
    }

    /// Appends lines, from `start_at` on if the journal ends before that; where it ends then.
    fn append<S: AsRef<str>>(&self, start_at: u64, lines: &[S]) -> u64 {
        let (mut writer, _) = JournalWriter::open(&self.journal(), &config::Journal::default()).unwrap();
        writer.start_at(Position(start_at)).unwrap();
        for line in lines {
            writer.append(format!("{}\n", line.as_ref().trim_end()).as_bytes()).unwrap();
        }
        writer.end().offset()
    }

    /// A start of the service, which ends when all of the journal is committed.
    async fn run(&self) -> (RegistryView, WriterView) {
        let writer = DbWriter::open(&self.database(), Lines::new(&config::Lines::default()).unwrap()).unwrap();
        let arbiter = Arbiter::new();
        let writer = DbWriter::start_in_arbiter(&arbiter.handle(), move |_| writer);
        let stream = journal_of(&node());
        let start = writer.send(Attach { stream: stream.clone(), registry: None }).await.unwrap().unwrap();
        let (mut journal, found) = JournalWriter::open(&self.journal(), &config::Journal::default()).unwrap();
        journal.start_at(Position(start.committed)).unwrap();
        let from = start.oldest_open.max(found.oldest.offset()).min(journal.end().offset());
        let (finished, end) = oneshot::channel();
        let calls = config::Calls { read_bytes: self.read_bytes, ..config::Calls::default() };
        let setup = RegistrySetup {
            stream: stream.clone(),
            app: "callcenter-app".into(),
            source: Box::new(Finite(JournalReader::open(&self.journal(), Position(from)).unwrap())),
            writer: writer.clone().recipient(),
            commands: None,
            journal: None,
            calls,
            start,
            from,
            recall: Some(writer.clone().recipient()),
            hold_bytes: self.hold_bytes,
            live_from: u64::MAX,
            exited: None,
            finished: Some(finished),
        };
        let registry = Registry::new(setup).start();
        writer.do_send(Follow { stream, registry: registry.clone().recipient() });
        let limit = Duration::from_secs(20);
        let view = tokio::time::timeout(limit, end).await.expect("all is committed in time").unwrap().unwrap();
        let writes = writer.send(WriterStatus).await.unwrap();
        registry.do_send(Stop);
        writer.do_send(Stop);
        arbiter.stop();
        arbiter.join().unwrap();
        (view, writes)
    }

    fn read<T>(&self, work: impl FnOnce(&mut diesel::SqliteConnection) -> diesel::QueryResult<T>) -> T {
        ReadPool::open(&self.database()).unwrap().read_at_once(work).unwrap()
    }

    fn calls(&self) -> Vec<StoredCall> {
        let mut calls = self.read(|conn| read::last_calls(conn, 100));
        calls.sort_by_key(|call| call.id);
        calls
    }

    fn holes(&self) -> Vec<StoredGap> {
        let mut gaps = self.read(|conn| read::last_gaps(conn, 100));
        gaps.retain(|gap| gap.row.reason.contains("missing"));
        gaps.sort_by_key(|gap| gap.row.position);
        gaps
    }

    fn changes(&self) -> Vec<String> {
        self.read(|conn| read::changes_after(conn, 0, 1_000)).into_iter().map(|change| change.kind).collect()
    }

    fn committed(&self) -> positions::Position {
        self.read(read::all_positions).remove(0)
    }

    fn events(&self) -> usize {
        let uids: Vec<_> = self.calls().into_iter().map(|call| call.row.uid).collect();
        self.read(|conn| uids.iter().try_fold(0, |sum, uid| Ok(sum + read::call_events(conn, uid, 10_000)?.len())))
    }

    /// A disk that lost the journal.
    fn lose_journal(&self) {
        std::fs::remove_dir_all(self.journal()).unwrap();
    }
}

/// A recorded stream with one call that a person answered.
fn answered() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces/answered.jsonl");
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Behind the answer.
fn talking(lines: &[String]) -> usize {
    lines.iter().rposition(|line| line.contains("ChannelEnteredBridge")).unwrap() + 3
}

/// The receipt time of a line, seconds.
fn at(line: &str) -> f64 {
    time_of(line).secs_f64()
}

fn time_of(line: &str) -> Timestamp {
    entries::time_of(line.as_bytes()).unwrap()
}

/// What a connect writes when it finds no channel.
fn nobody(since: f64) -> [String; 2] {
    let (at, then) = (since + 5.0, since + 5.1);
    [
        format!(r#"{{"at": {at:.6}, "gap": {{"since": {since:.6}, "reason": "the service was not running"}}}}"#),
        format!(r#"{{"at": {then:.6}, "snapshot": {{"channels": [], "bridges": []}}}}"#),
    ]
}

#[actix::test]
async fn a_hole_over_the_committed_position_is_cut_there_and_both_sides_are_gaps() {
    let (bench, lines) = (Bench::new(), answered());
    // What goes holds the answer: only the database knows of it.
    let (lost, cut) = (talking(&lines) / 2, talking(&lines) + 8);
    bench.append(0, &lines[..cut]);
    bench.run().await;
    let committed = bench.committed();
    bench.lose_journal();
    let hole = bench.append(0, &lines[..lost]);
    bench.append(u64::try_from(committed.position).unwrap() + 500, &lines[cut + 2..]);
    let (_, writer) = bench.run().await;
    assert_eq!((writer.failures, writer.overlaps), (0, 0));
    let holes = bench.holes();
    let places: Vec<_> = holes.iter().map(|gap| gap.row.position).collect();
    assert_eq!(places, [i64::try_from(hole).unwrap(), committed.position]);
    let spans: Vec<_> = holes.iter().map(|gap| (gap.row.since, gap.row.until)).collect();
    let committed_at = time_of(&lines[cut - 1]);
    assert_eq!(spans, [(time_of(&lines[lost - 1]), committed_at), (committed_at, time_of(&lines[cut + 2]))]);
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    assert!(calls[0].row.incomplete && calls[0].row.ended_at.is_some(), "{calls:?}");
    assert!(calls[0].row.talk_ms > Some(4_000) && calls[0].row.callee_number.is_some(), "{calls:?}");
    // Once more: nothing is doubled.
    bench.append(0, &["{\"at\": 1795352999.0, \"unknown\": 1}"]);
    bench.run().await;
    assert_eq!((bench.holes().len(), bench.calls()), (2, calls));
}

#[actix::test]
async fn a_call_that_went_with_the_journal_is_over_when_the_next_snapshot_has_it_not() {
    let (bench, lines) = (Bench::new(), answered());
    let cut = talking(&lines);
    let end = bench.append(0, &lines[..cut]);
    bench.run().await;
    let before = bench.calls();
    assert_eq!((before.len(), before[0].row.ended_at, before[0].row.incomplete), (1, None, false));
    bench.lose_journal();
    let last = at(&lines[cut - 1]);
    bench.append(end, &nobody(last));
    let (view, _) = bench.run().await;
    assert_eq!(view.restored_calls, 1);
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    let (was, is) = (&before[0], &calls[0]);
    assert_eq!((is.id, &is.row.uid, is.row.answered_at), (was.id, &was.row.uid, was.row.answered_at));
    assert_eq!(
        (is.row.status, is.row.incomplete, &is.row.callee_number),
        (Status::Answered, true, &was.row.callee_number)
    );
    let ended = is.row.ended_at.unwrap();
    assert!(ended.since(Timestamp::from_secs_f64(last)).abs() <= 20, "its last known moment: {ended:?}, {last}");
    assert_eq!(bench.changes().last().map(String::as_str), Some("call_ended"));
    assert_eq!(bench.changes().iter().filter(|kind| *kind == "call_started").count(), 1);
    let holes = bench.holes();
    assert_eq!((holes.len(), holes[0].row.until), (1, time_of(&lines[cut - 1])));
    assert!(holes[0].row.since.millis() > 1_000_000_000_000, "not 1970: {:?}", holes[0]);
    assert!(bench.read(|conn| read::open_legs(conn, &node())).is_empty());
    let (changes, gaps) = (bench.changes().len(), bench.holes());
    bench.run().await;
    assert_eq!((bench.calls(), bench.changes().len(), bench.holes()), (calls, changes, gaps), "a third start");
}

#[actix::test]
async fn a_call_that_went_with_the_journal_goes_on_in_its_row_when_it_lives() {
    let (bench, whole, lines) = (Bench::new(), Bench::new(), answered());
    whole.append(0, &lines);
    whole.run().await;
    let cut = talking(&lines);
    let end = bench.append(0, &lines[..cut]);
    bench.run().await;
    bench.lose_journal();
    bench.append(end, &lines[cut..]);
    bench.run().await;
    let (mut want, mut got) = (whole.calls(), bench.calls());
    assert!(got.iter().all(|call| call.row.incomplete));
    want.iter_mut().chain(&mut got).for_each(|call| call.row.incomplete = true);
    assert_eq!(got, want);
    assert_eq!(bench.events(), whole.events(), "the chains of the raw log are whole");
}

#[actix::test]
async fn a_journal_whose_oldest_segment_was_deleted_says_so() {
    let (bench, lines) = (Bench::new(), answered());
    let cut = talking(&lines);
    bench.append(0, &lines[..cut]);
    bench.run().await;
    bench.lose_journal();
    // As if the first segment had ended behind the third line.
    let begin: usize = lines[..3].iter().map(|line| line.len() + 1).sum();
    std::fs::create_dir_all(bench.journal()).unwrap();
    let name = Position(begin as u64).segment_name();
    std::fs::write(bench.journal().join(name), lines[3..].join("\n") + "\n").unwrap();
    bench.run().await;
    let holes = bench.holes();
    assert_eq!(holes.iter().map(|gap| gap.row.position).collect::<Vec<_>>(), [0]);
    assert_eq!(holes[0].row.until, time_of(&lines[3]));
    let calls = bench.calls();
    assert_eq!(calls.len(), 1);
    assert!(
        calls[0].row.incomplete && calls[0].row.ended_at.is_some() && calls[0].row.talk_ms > Some(4_000),
        "{calls:?}"
    );
}

/// A line about a channel of a phone.
fn line(at_ms: i64, kind: &str, id: &str) -> String {
    let at = 1_795_348_800.0 + at_ms as f64 / 1_000.0;
    let time = format!("2026-11-22T12:{:02}:{:02}.{:03}+0000", at_ms / 60_000, at_ms / 1_000 % 60, at_ms % 1_000);
    let channel = format!(
        r#"{{"id":"{id}","name":"PJSIP/100-0000000{id}","state":"Ring","protocol_id":"","caller":{{"name":"","number":"100"}},"connected":{{"name":"","number":""}},"accountcode":"","dialplan":{{"context":"in","exten":"10{id}","priority":1,"app_name":"","app_data":""}},"creationtime":"2026-11-22T12:00:00.00{id}+0000","language":"en"}}"#
    );
    format!(
        r#"{{"at": {at:.3}, "event": {{"type":"{kind}","timestamp":"{time}","application":"callcenter-app","digit":"1","duration_ms":100,"cause":16,"cause_txt":"","channel":{channel}}}}}"#
    )
}

#[actix::test]
async fn a_late_event_behind_a_start_opens_no_ended_channel_anew() {
    let bench = Bench::new();
    let tick = |at_ms| line(at_ms, "ChannelDtmfReceived", "2");
    let ended =
        [line(1, "ChannelCreated", "1"), line(500, "ChannelDestroyed", "1"), line(5_900, "ChannelCreated", "2")];
    bench.append(0, &ended);
    bench.run().await;
    let row = |bench: &Bench| bench.calls().into_iter().next().unwrap();
    let before = row(&bench);
    assert!(before.row.ended_at.is_some() && !before.row.incomplete);
    let late = line(6_000, "ChannelDtmfReceived", "1");
    bench.append(0, &[late, tick(6_100)]);
    bench.run().await;
    let [gap, snapshot] = nobody(at(&tick(6_200)));
    bench.append(0, &[gap, snapshot]);
    bench.run().await;
    assert_eq!(row(&bench), before, "a tombstone stands across starts");
    assert_eq!(bench.calls().len(), 2);
}

#[actix::test]
async fn a_late_event_among_what_is_read_again_opens_no_ended_channel_anew() {
    let bench = Bench::new();
    bench.append(
        0,
        &[
            line(1, "ChannelCreated", "1"),
            line(500, "ChannelDestroyed", "1"),
            line(1_000, "ChannelCreated", "2"),
            line(7_000, "ChannelDtmfReceived", "1"),
            // The tombstone is gone by now, so the next start reads from the second channel's creation.
            line(90_000, "ChannelDtmfReceived", "2"),
        ],
    );
    bench.run().await;
    let before = bench.calls();
    assert!(before[0].row.ended_at.is_some() && bench.committed().oldest_open > 0);
    let [gap, snapshot] = nobody(at(&line(95_000, "ChannelDtmfReceived", "2")));
    bench.append(0, &[gap, snapshot]);
    bench.run().await;
    assert_eq!(bench.calls()[0], before[0]);
}

#[actix::test]
async fn a_gap_over_a_clock_that_was_set_back_has_no_length() {
    let bench = Bench::new();
    let last = line(60_000, "ChannelCreated", "1");
    let until = at(&last) - 30.0;
    let gap = format!(
        r#"{{"at": {until:.6}, "gap": {{"since": {:.6}, "reason": "the service was not running"}}}}"#,
        at(&last)
    );
    let snapshot = format!(r#"{{"at": {until:.6}, "snapshot": {{"channels": [], "bridges": []}}}}"#);
    bench.append(0, &[last, gap, snapshot]);
    bench.run().await;
    let gaps = bench.read(|conn| read::last_gaps(conn, 100));
    let spans: Vec<_> = gaps.iter().map(|gap| (gap.row.since, gap.row.until, gap.row.calls_touched)).collect();
    let until = Timestamp::from_secs_f64(until);
    assert_eq!(spans, [(until, until, 1)]);
    let call = &bench.calls()[0].row;
    assert!(call.ended_at.is_some() && call.incomplete, "{call:?}");
}

#[actix::test]
async fn open_calls_never_fill_the_journal() {
    let hold = 10_000;
    let bench = Bench { hold_bytes: Some(hold), ..Bench::new() };
    let mut lines = vec![line(1, "ChannelCreated", "1")];
    lines.extend((0..60).map(|n| line(1_000 + n, "ChannelDtmfReceived", "1")));
    let end = bench.append(0, &lines);
    let (view, _) = bench.run().await;
    assert_eq!(view.let_go, 1);
    let held = bench.committed();
    assert!(held.position - held.oldest_open <= i64::try_from(hold).unwrap(), "{held:?}");
    let before = bench.calls();
    assert!(!before[0].row.incomplete, "nothing is wrong with it while the service runs");
    // What lies before the position that is still needed may be gone.
    bench.lose_journal();
    bench.append(end, &[line(2_000, "ChannelDestroyed", "1")]);
    let (view, _) = bench.run().await;
    assert_eq!(view.restored_calls, 1);
    let after = bench.calls();
    assert_eq!((after.len(), after[0].id, &after[0].row.uid), (1, before[0].id, &before[0].row.uid));
    assert!(after[0].row.ended_at.is_some() && after[0].row.incomplete, "{after:?}");
    assert_eq!(after[0].row.caller_number, before[0].row.caller_number);
    assert_eq!(after[0].row.dialed_number, before[0].row.dialed_number);
    assert!(bench.holes().is_empty(), "nothing that was needed is missing");
}
