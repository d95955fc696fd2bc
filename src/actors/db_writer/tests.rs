//! The writer against a database that somebody else moved on.

use diesel::sql_types::{BigInt, Text};
use tempfile::TempDir;

use super::*;
use crate::actors::batch::{RawEvent, Word};
use crate::call::{ChanKey, ChanKind, Fact, Opening, Origin, Stay};
use crate::db::read;

fn stream(node: &str) -> Stream {
    journal_of(&NodeId::new(node))
}

/// A batch of lines of ten bytes, each an event of one channel, from `from` to `end`.
fn batch(node: &str, number: u64, from: u64, end: u64) -> WriteBatch {
    let at = Timestamp::from_millis(1_795_352_366_000);
    let opening =
        Opening { key: ChanKey(0), id: "1.1".into(), name: "PJSIP/1-1".into(), kind: ChanKind::Real, created: at };
    let event = |n: u64| RawEvent {
        at,
        received: at,
        kind: "ChannelVarset".into(),
        chan: Some(ChanKey(0)),
        channel_id: Some(Word::Copy(format!("at {}", from + n * 10).into())),
        bridge_id: None,
        body: (n as usize * 10 + 2)..(n as usize * 10 + 4),
        compact: None,
    };
    WriteBatch {
        stream: stream(node),
        number,
        end,
        oldest_open: 0,
        rebuilds: false,
        received: at,
        text: "  {}     \n".repeat((end - from) as usize / 10).into(),
        events: (0..(end - from) / 10).map(event).collect(),
        facts: if number == 0 { vec![(ChanKey(0), at, Fact::Opened(Box::new(opening)))] } else { Vec::new() },
        gaps: Vec::new(),
        endpoints: Vec::new(),
        recordings: Vec::new(),
        audit: Vec::new(),
    }
}

#[actix::test]
async fn an_overlap_is_cut_told_and_holds_up_nobody() {
    let dir = TempDir::new().unwrap();
    let config = config::Database { path: dir.path().join("calls.db"), ..config::Database::default() };
    let lines = || Lines::new(&config::Lines::default()).unwrap();
    let mut other = None;
    let writer = DbWriter::open(&config, lines()).unwrap().start();
    for node in ["one", "two"] {
        writer.send(Attach { stream: stream(node), registry: None }).await.unwrap().unwrap();
        writer.send(Write(Box::new(batch(node, 0, 0, 100)))).await.unwrap();
        // A transaction of its own.
        while writer.send(WriterStatus).await.unwrap().queue > 0 {}
        other.get_or_insert_with(|| SqliteConnection::establish(&config.path.to_string_lossy()).unwrap());
    }
    let mut other = other.unwrap();
    diesel::sql_query("UPDATE positions SET position = ? WHERE node = ?")
        .bind::<BigInt, _>(150)
        .bind::<Text, _>("one")
        .execute(&mut other)
        .unwrap();
    for node in ["one", "two"] {
        writer.send(Write(Box::new(batch(node, 1, 100, 200)))).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let view = loop {
        let view = writer.send(WriterStatus).await.unwrap();
        if view.queue == 0 {
            break view;
        }
        assert!(Instant::now() < deadline, "held up: {view:?}");
    };
    assert_eq!((view.overlaps, view.failures, view.failing), (1, 0, None));
    let positions: Vec<_> = read::all_positions(&mut other).unwrap().into_iter().map(|p| p.position).collect();
    assert_eq!(positions, [200, 200]);
    let written = |node: &str, other: &mut SqliteConnection| {
        use crate::db::schema::events;
        let rows: Vec<(i64, Option<String>, Option<i64>)> = events::table
            .filter(events::node.eq(node))
            .order(events::seq)
            .select((events::seq, events::channel_id, events::prev_seq))
            .load(other)
            .unwrap();
        rows
    };
    let one = written("one", &mut other);
    let places: Vec<&str> = one.iter().filter_map(|(_, place, _)| place.as_deref()).collect();
    assert_eq!(&places[9..], ["at 90", "at 150", "at 160", "at 170", "at 180", "at 190"]);
    assert!(one.windows(2).all(|pair| pair[1].2 == Some(pair[0].0)), "the chain is whole: {one:?}");
    assert_eq!(written("two", &mut other).len(), 20);
}

fn database(dir: &TempDir) -> config::Database {
    config::Database { path: dir.path().join("calls.db"), ..config::Database::default() }
}

fn opened(config: &config::Database) -> DbWriter {
    DbWriter::open(config, Lines::new(&config::Lines::default()).unwrap()).unwrap()
}

/// Asks the writer again and again until it is so, or for ten seconds.
async fn until(writer: &Addr<DbWriter>, so: impl Fn(&WriterView) -> bool) -> WriterView {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let view = writer.send(WriterStatus).await.unwrap();
        if so(&view) {
            return view;
        }
        assert!(Instant::now() < deadline, "{view:?}");
    }
}

#[actix::test]
async fn a_start_beside_a_locked_database_tries_again_in_one_row() {
    let dir = TempDir::new().unwrap();
    let config = config::Database { busy_timeout_ms: 1, ..database(&dir) };
    drop(opened(&config));
    let mut other = SqliteConnection::establish(&config.path.to_string_lossy()).unwrap();
    diesel::sql_query("BEGIN IMMEDIATE").execute(&mut other).unwrap();
    let writer = opened(&config);
    assert!(writer.repair_due);
    let (begun, writer) = (Instant::now(), writer.start());
    until(&writer, |view| view.failures >= 6).await;
    // Five waits of 50 ms, doubled each time.
    assert!(begun.elapsed() >= RETRY.0 * 31, "tries multiply: {:?}", begun.elapsed());
    diesel::sql_query("ROLLBACK").execute(&mut other).unwrap();
    until(&writer, |view| view.failing.is_none()).await;
}

#[actix::test]
async fn a_call_whose_logic_failed_in_a_rebuild_is_marked() {
    let dir = TempDir::new().unwrap();
    // All three come before the first transaction.
    let config = config::Database { batch_wait_ms: 200, ..database(&dir) };
    let writer = opened(&config).start();
    writer.send(Attach { stream: stream("one"), registry: None }).await.unwrap().unwrap();
    let mut first = batch("one", 0, 0, 100);
    let at = first.received;
    let stay = Stay { from: at, call: ChanKey(0), calling: true };
    first.facts.push((ChanKey(0), at, Fact::Stays(Box::new([stay]))));
    first.facts.push((ChanKey(0), at, Fact::Origin(Origin::Caller)));
    let broken =
        WriteBatch { facts: vec![(ChanKey(0), at, Fact::Broken)], events: Vec::new(), ..batch("one", 1, 100, 100) };
    let rebuilt = |batch: WriteBatch| WriteBatch { rebuilds: true, ..batch };
    for batch in [rebuilt(first), broken, rebuilt(batch("one", 2, 100, 200))] {
        writer.send(Write(Box::new(batch))).await.unwrap();
    }
    until(&writer, |view| view.queue == 0).await;
    let mut other = SqliteConnection::establish(&config.path.to_string_lossy()).unwrap();
    let calls = read::last_calls(&mut other, 10).unwrap();
    assert_eq!(calls.iter().map(|call| call.row.incomplete).collect::<Vec<_>>(), [true]);
}

#[actix::test]
async fn when_it_has_stopped_all_rows_are_in_the_database_file_though_others_have_it_open() {
    let dir = TempDir::new().unwrap();
    let config = database(&dir);
    let writer = opened(&config).start();
    let mut other = SqliteConnection::establish(&config.path.to_string_lossy()).unwrap();
    assert!(read::last_calls(&mut other, 10).unwrap().is_empty());
    writer.send(Attach { stream: stream("one"), registry: None }).await.unwrap().unwrap();
    writer.send(Write(Box::new(batch("one", 0, 0, 100)))).await.unwrap();
    until(&writer, |view| view.queue == 0).await;
    writer.send(crate::actors::messages::Stop).await.unwrap();
    let log = db::space::measure(&config.path).unwrap().wal_bytes;
    assert_eq!(log, 0);
    drop(other);
    let copy = dir.path().join("copy.db");
    std::fs::copy(&config.path, &copy).unwrap();
    let mut copy = SqliteConnection::establish(&copy.to_string_lossy()).unwrap();
    assert_eq!(db::schema::events::table.count().get_result::<i64>(&mut copy).unwrap(), 10);
}
