//! The overlap of two feeds, and the lines of their socket.

use actix::prelude::*;

use super::relay::{Relay, TakeOver};
use super::server::SocketFile;
use super::wire::{self, MAX_LINE_BYTES, WireError};
use super::{app_beside, socket_path};
use crate::actors::journal::{Journal, JournalHandle, JournalReader, JournalWriter, Options, Position, QueryStatus};
use crate::actors::messages::{AppendEntry, AppendFrames, EntryBody, Frame, FrameBody};
use crate::ari::entry::{Gap, write_event};
use crate::config;
use crate::model::NodeId;

fn event(n: u32, app: &str) -> String {
    format!(r#"{{"type":"X","n":{n},"say":"\"application\":\"zz\"","application":"{app}"}}"#)
}

fn frame(text: String) -> Frame {
    Frame { at: 5.0, body: FrameBody::Text(text.into()) }
}

fn write(writer: &mut JournalWriter, text: &str) {
    let mut line = Vec::new();
    write_event(&mut line, 4.0, text);
    writer.append(&line).unwrap();
}

#[actix::test]
async fn a_successor_appends_what_the_journal_lacks_and_counts_what_came_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, journal) = (folder.path().to_owned(), config::Journal::default());
    let (mut writer, _) = JournalWriter::open(&dir, &journal).unwrap();
    // Before the successor's socket began: the same text as a later event.
    write(&mut writer, &event(1, "cc-feed"));
    let reader = JournalReader::open_at_end(&dir).unwrap();
    for n in [2, 3, 3, 4] {
        write(&mut writer, &event(n, "cc-feed"));
    }
    write(&mut writer, r#"{"type":"StasisStart","application":"cc"}"#);
    drop(writer);
    let apps = ["cc-feed".to_owned(), "cc-feed-2".to_owned()];
    let relay = Relay::new(NodeId::new("n"), apps, vec!["ChannelVarset".into()]).start();
    let mut held: Vec<Frame> = [1, 3, 2, 3, 3, 5].into_iter().map(|n| frame(event(n, "cc-feed-2"))).collect();
    held.push(frame(r#"{"type":"ChannelVarset","application":"cc-feed-2"}"#.into()));
    held.push(frame("{\"type\":\"StasisStart\",\n\"application\":\"cc\"}".into()));
    relay.send(AppendFrames(held)).await.unwrap().unwrap();
    let gap = EntryBody::Gap(Gap { since: 1.0, reason: "none, as the other feed heard".into() });
    relay.send(AppendEntry { at: 5.0, entry: gap }).await.unwrap().unwrap();
    let options = Options {
        node: NodeId::new("n"),
        dir: dir.clone(),
        config: journal,
        max_frame_bytes: 1_000,
        start_at: Position::START,
        parent: None,
    };
    let journal = Journal::open(options).unwrap().0.start();
    let start = journal.send(QueryStatus).await.unwrap().end;
    let lacked =
        relay.send(TakeOver { journal: JournalHandle::from(&journal), reader, covered: 5.5 }).await.unwrap().unwrap();
    assert_eq!(lacked, 4, "1 and 5, the third 3, and a StasisStart of another text");
    relay.send(AppendFrames(vec![frame(event(6, "cc-feed-2"))])).await.unwrap().unwrap();
    let mut seen = Vec::new();
    let chunk = JournalReader::open(&dir, start).unwrap().read(1 << 20).unwrap().unwrap();
    for (_, line) in chunk.lines() {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        assert!(line.get("gap").is_none(), "{line}");
        seen.push(line["event"]["n"].as_u64());
    }
    assert_eq!(seen, [Some(1), Some(3), Some(5), None, Some(6)]);
}

#[test]
fn the_feeds_take_turns_with_two_names() {
    assert_eq!(app_beside("cc", None), "cc-feed");
    assert_eq!(app_beside("cc", Some("cc-feed")), "cc-feed-2");
    assert_eq!(app_beside("cc", Some("cc-feed-2")), "cc-feed");
}

#[actix::test]
async fn a_line_may_come_in_pieces_but_not_without_end() {
    let text = b"{\"status\":{}}\n{\"sta";
    let mut reader = tokio::io::BufReader::with_capacity(3, &text[..]);
    let mut line = Vec::new();
    wire::read_line(&mut reader, &mut line).await.unwrap();
    assert!(matches!(wire::parse(&line), Ok(wire::Request::Status {})));
    line.clear();
    assert!(matches!(wire::read_line(&mut reader, &mut line).await, Err(WireError::Closed)));
    let endless = vec![b'x'; MAX_LINE_BYTES + 10];
    line.clear();
    assert!(matches!(wire::read_line(&mut &endless[..], &mut line).await, Err(WireError::TooLong)));
}

#[actix::test]
async fn what_a_full_journal_does_not_take_over_is_a_gap() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, config) = (folder.path().to_owned(), config::Journal { max_bytes: 1, ..config::Journal::default() });
    let (mut writer, _) = JournalWriter::open(&dir, &config::Journal::default()).unwrap();
    write(&mut writer, &event(1, "cc-feed"));
    drop(writer);
    let reader = JournalReader::open_at_end(&dir).unwrap();
    let relay = Relay::new(NodeId::new("n"), ["cc-feed".to_owned(), "cc-feed-2".to_owned()], Vec::new()).start();
    let mut held: Vec<Frame> = (2..=600).map(|n| frame(event(n, "cc-feed-2"))).collect();
    held[598].at = 6.5;
    relay.send(AppendFrames(held)).await.unwrap().unwrap();
    let options = Options {
        node: NodeId::new("n"),
        dir: dir.clone(),
        config,
        max_frame_bytes: 1_000,
        start_at: Position::START,
        parent: None,
    };
    let journal = Journal::open(options).unwrap().0.start();
    let start = journal.send(QueryStatus).await.unwrap().end;
    relay.send(TakeOver { journal: JournalHandle::from(&journal), reader, covered: 5.5 }).await.unwrap().unwrap();
    // Behind whatever the relay sent.
    journal.send(QueryStatus).await.unwrap();
    let chunk = JournalReader::open(&dir, start).unwrap().read(1 << 20).unwrap().expect("a gap");
    let lines: Vec<serde_json::Value> = chunk.lines().map(|(_, line)| serde_json::from_slice(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((lines[0]["at"].as_f64(), lines[0]["gap"]["since"].as_f64()), (Some(6.5), Some(5.0)));
    assert!(lines[0]["gap"]["reason"].as_str().unwrap().contains("max_bytes"), "{lines:?}");
}

#[actix::test]
async fn a_gap_of_the_successor_counts_from_where_the_other_feed_heard_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_owned();
    let (mut writer, _) = JournalWriter::open(&dir, &config::Journal::default()).unwrap();
    write(&mut writer, &event(1, "cc-feed"));
    drop(writer);
    let reader = JournalReader::open_at_end(&dir).unwrap();
    let relay = Relay::new(NodeId::new("n"), ["cc-feed".to_owned(), "cc-feed-2".to_owned()], Vec::new()).start();
    let snapshot = || EntryBody::Snapshot(serde_json::value::RawValue::from_string("{}".into()).unwrap());
    let gap = |since| EntryBody::Gap(Gap { since, reason: "socket closed".into() });
    let entries = [(5.0, snapshot()), (5.2, gap(5.1)), (5.3, snapshot()), (6.5, gap(5.4)), (6.6, snapshot())];
    for (at, entry) in entries {
        relay.send(AppendEntry { at, entry }).await.unwrap().unwrap();
        relay.send(AppendFrames(vec![Frame { at, ..frame(event(2, "cc-feed-2")) }])).await.unwrap().unwrap();
    }
    let options = Options {
        node: NodeId::new("n"),
        dir: dir.clone(),
        config: config::Journal::default(),
        max_frame_bytes: 1_000,
        start_at: Position::START,
        parent: None,
    };
    let journal = Journal::open(options).unwrap().0.start();
    let start = journal.send(QueryStatus).await.unwrap().end;
    let take_over = TakeOver { journal: JournalHandle::from(&journal), reader, covered: 6.0 };
    assert_eq!(relay.send(take_over).await.unwrap().unwrap(), 5);
    let chunk = JournalReader::open(&dir, start).unwrap().read(1 << 20).unwrap().unwrap();
    let shown = chunk.lines().map(|(_, line)| {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        let kind = ["event", "gap", "snapshot"].into_iter().find(|kind| line.get(kind).is_some()).unwrap();
        (line["at"].as_f64().unwrap(), kind, line["gap"]["since"].as_f64())
    });
    let event = |at| (at, "event", None);
    let gap = (6.5, "gap", Some(6.0));
    let expected = [event(5.0), event(5.2), event(5.3), gap, event(6.5), (6.6, "snapshot", None), event(6.6)];
    assert_eq!(shown.collect::<Vec<_>>(), expected);
}

#[actix::test]
async fn a_feed_that_ends_leaves_the_socket_of_its_successor() {
    let folder = tempfile::tempdir().unwrap();
    let path = socket_path(folder.path());
    let (old, _listens) = SocketFile::listen(&path).unwrap();
    let (new, listener) = SocketFile::listen(&path).unwrap();
    old.remove();
    assert!(tokio::net::UnixStream::connect(&path).await.is_ok() && listener.accept().await.is_ok());
    new.remove();
    assert!(!path.exists());
    // Somebody else removed it: that is no error.
    new.remove();
}
