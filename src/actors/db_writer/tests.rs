//! The writer against a database that somebody else moved on.

use diesel::sql_types::{BigInt, Text};
use tempfile::TempDir;

use super::*;
use crate::actors::batch::{RawEvent, Word};
use crate::call::{ChanKey, ChanKind, Fact, Opening};
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
