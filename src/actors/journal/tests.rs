//! Writer and reader against real files.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config;

pub(super) fn small(segment_bytes: u64) -> config::Journal {
    config::Journal { segment_bytes, ..config::Journal::default() }
}

fn open(dir: &Path, segment_bytes: u64) -> (JournalWriter, Recovered) {
    JournalWriter::open(dir, &small(segment_bytes)).unwrap()
}

/// An entry of exactly `length` bytes, line end included, that says its number.
fn entry(number: usize, length: usize) -> String {
    let head = format!("{{\"at\": {:.6}, \"event\": {{\"n\":{number},\"x\":\"", 1000.0 + number as f64);
    let fill = length.saturating_sub(head.len() + 4);
    format!("{head}{}\"}}}}\n", "x".repeat(fill))
}

/// Everything from `position` to the present end; fails on a skipped range.
pub(super) fn read_all(dir: &Path, position: Position) -> Vec<(Position, String)> {
    let mut reader = JournalReader::open(dir, position).unwrap();
    let mut lines = Vec::new();
    while let Some(chunk) = reader.read(1000).unwrap() {
        assert_eq!(chunk.skipped, None);
        lines.extend(chunk.lines().map(|(at, line)| (at, String::from_utf8(line.to_vec()).unwrap())));
    }
    lines
}

fn segments(dir: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| Position::from_segment_name(name).is_some()).collect()
}

#[test]
fn a_segment_s_name_is_its_position() {
    assert_eq!(Position::START.segment_name(), "00000000000000000000.jsonl");
    for at in [0, 1, 16_777_216, u64::MAX] {
        assert_eq!(Position::from_segment_name(&Position(at).segment_name()), Some(Position(at)));
    }
    for other in ["lock", "alive", "1.jsonl", "0000000000000000000x.jsonl", "99999999999999999999.jsonl"] {
        assert_eq!(Position::from_segment_name(other), None, "{other}");
    }
}

#[test]
fn each_node_has_a_folder_of_its_own() {
    let mut journal = config::Journal::default();
    let database = config::Database { path: "data/calls.db".into(), ..config::Database::default() };
    assert_eq!(folder(&journal, &database, &NodeId::new("main")), Path::new("data/journal/main"));
    assert_eq!(folder(&journal, &database, &NodeId::new("../x")), Path::new("data/journal/%2E%2E%2Fx"));
    let here = config::Database { path: "calls.db".into(), ..database.clone() };
    assert_eq!(folder(&journal, &here, &NodeId::new("main")), Path::new("journal/main"));
    journal.dir = "/var/lib/j".into();
    assert_eq!(folder(&journal, &database, &NodeId::new("pbx-2")), Path::new("/var/lib/j/pbx-2"));
}

#[test]
fn positions_go_on_over_many_segments() {
    let dir = TempDir::new().unwrap();
    let (mut writer, recovered) = open(dir.path(), 300);
    assert_eq!(recovered, Recovered { end: Position(0), oldest: Position(0), torn_bytes: 0, last_at: None });
    let mut expected = Vec::new();
    for number in 0..40 {
        let line = entry(number, 60 + number);
        expected.push((writer.end(), line.trim_end().to_owned()));
        let end = writer.append(line.as_bytes()).unwrap();
        assert_eq!(end, expected[number].0.plus(line.len() as u64));
    }
    assert!(segments(dir.path()).len() > 8);
    assert_eq!(segments(dir.path()).len(), writer.segment_count());
    assert_eq!(writer.size(), writer.end().offset());
    assert_eq!(read_all(dir.path(), Position::START), expected);
    for (index, (position, _)) in expected.iter().enumerate() {
        assert_eq!(read_all(dir.path(), *position), expected[index..], "from {position}");
    }
    drop(writer);
    let (writer, recovered) = open(dir.path(), 300);
    assert_eq!(recovered.end, Position(writer.size()));
    assert_eq!((recovered.torn_bytes, recovered.last_at), (0, Some(1039.0)));
}

#[test]
fn an_old_segment_is_closed_at_the_next_append() {
    let dir = TempDir::new().unwrap();
    let config = config::Journal { segment_age_s: 3_600, ..config::Journal::default() };
    let (mut writer, _) = JournalWriter::open(dir.path(), &config).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let young = format!("{{\"at\": {:.6}, \"gap\": {{\"since\":1.0,\"reason\":\"r\"}}}}\n", now - 3_000.0);
    writer.append(young.as_bytes()).unwrap();
    drop(writer);
    let (mut writer, _) = JournalWriter::open(dir.path(), &config).unwrap();
    writer.append(young.as_bytes()).unwrap();
    assert_eq!(writer.segment_count(), 1, "50 minutes are less than an hour");
    drop(writer);
    let config = config::Journal { segment_age_s: 2_000, ..config };
    let (mut writer, _) = JournalWriter::open(dir.path(), &config).unwrap();
    writer.append(young.as_bytes()).unwrap();
    assert_eq!(writer.segment_count(), 2);
    assert_eq!(read_all(dir.path(), Position::START).len(), 3);
}

#[test]
fn a_torn_last_line_is_cut_off_wherever_it_broke() {
    let whole = [entry(1, 80), entry(2, 90)].concat();
    let last = entry(3, 120);
    for cut in 0..=last.len() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join(Position(0).segment_name());
        fs::write(&path, [whole.as_str(), &last[..cut]].concat()).unwrap();
        let (mut writer, recovered) = open(dir.path(), 10_000);
        let complete = cut == last.len();
        let end = whole.len() + if complete { last.len() } else { 0 };
        let torn = if complete { 0 } else { cut };
        assert_eq!((recovered.end, recovered.torn_bytes), (Position(end as u64), torn as u64), "cut {cut}");
        assert_eq!(recovered.last_at, Some(if complete { 1003.0 } else { 1002.0 }));
        writer.append(entry(4, 70).as_bytes()).unwrap();
        assert_eq!(read_all(dir.path(), Position::START).len(), if complete { 4 } else { 3 });
    }
}

#[test]
fn what_is_no_entry_is_cut_off_behind_the_last_one() {
    let whole = entry(1, 80);
    for rest in
        ["\0\0\0\0", "\0\0\0\n", "[1]\n", "{\"no\": 1}\n", "{\"at\": \"x\"}\n\n", "{\"at\": 1.0, \"ev\n{\"at\": 2.0"]
    {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(Position(0).segment_name()), [whole.as_str(), rest].concat()).unwrap();
        let (writer, recovered) = open(dir.path(), 10_000);
        assert_eq!(recovered.torn_bytes, rest.len() as u64, "{rest:?}");
        assert_eq!(writer.end(), Position(whole.len() as u64));
    }
    // A kind that a younger program wrote stays, a frame that was no JSON, and a line longer than the blocks searched.
    let [later, frame] = ["{\"at\": 1.5, \"later\": [1]}\n", "{\"at\": 1.5, \"event\": {\"a\":}}\n"].map(str::to_owned);
    for kept in [later, frame, entry(2, 200_000)] {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join(Position(0).segment_name()), [whole.as_str(), &kept].concat()).unwrap();
        assert_eq!(open(dir.path(), 10_000).1.torn_bytes, 0);
    }
}

#[test]
fn the_last_time_comes_from_an_older_segment_when_the_current_one_is_empty() {
    let dir = TempDir::new().unwrap();
    let first = entry(7, 80);
    fs::write(dir.path().join(Position(0).segment_name()), &first).unwrap();
    fs::write(dir.path().join(Position(80).segment_name()), "{\"at\": 99").unwrap();
    let (_writer, recovered) = open(dir.path(), 10_000);
    assert_eq!(recovered.end, Position(80));
    assert_eq!((recovered.torn_bytes, recovered.last_at), (9, Some(1007.0)));
}

#[test]
fn the_last_time_is_the_later_of_entry_and_alive() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = open(dir.path(), 10_000);
    writer.append(entry(5, 80).as_bytes()).unwrap();
    for (alive, last_at) in [(900.25, 1005.0), (1_795_352_366.307_291, 1_795_352_366.307_291), (1005.5, 1005.5)] {
        writer.note_alive(alive).unwrap();
        drop(writer);
        let (again, recovered) = open(dir.path(), 10_000);
        assert_eq!(recovered.last_at, Some(last_at));
        writer = again;
    }
    drop(writer);
    fs::write(dir.path().join("alive"), "nonsense").unwrap();
    assert_eq!(open(dir.path(), 10_000).1.last_at, Some(1005.0));
}

#[test]
fn trimming_deletes_whole_segments_before_a_position_only() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = open(dir.path(), 200);
    // Two entries a segment.
    for number in 0..10 {
        writer.append(entry(number, 100).as_bytes()).unwrap();
    }
    assert_eq!(writer.segment_count(), 5);
    for (before, freed, oldest) in [(0, 0, 0), (199, 0, 0), (200, 200, 200), (599, 200, 400), (u64::MAX, 400, 800)] {
        assert_eq!(writer.trim(Position(before)).unwrap(), freed, "before {before}");
        assert_eq!(writer.oldest(), Position(oldest));
        assert_eq!(writer.size(), 1000 - oldest);
    }
    assert_eq!(segments(dir.path()), BTreeSet::from([Position(800).segment_name()]));
    assert_eq!(writer.append(entry(10, 100).as_bytes()).unwrap(), Position(1100));
    let error = JournalReader::open(dir.path(), Position(700)).unwrap_err();
    assert!(matches!(error, JournalError::Trimmed { oldest: Position(800), .. }), "{error}");
    drop(writer);
    assert_eq!(open(dir.path(), 200).1.oldest, Position(800));
    assert_eq!(read_all(dir.path(), Position(800)).len(), 3);
}

#[test]
fn one_writer_at_a_time() {
    let dir = TempDir::new().unwrap();
    let (writer, _) = open(dir.path(), 200);
    let error = JournalWriter::open(dir.path(), &small(200)).unwrap_err();
    let JournalError::Locked { holder, .. } = &error else { panic!("{error}") };
    assert_eq!(*holder, std::process::id().to_string());
    assert!(error.to_string().contains("journal.dir"), "{error}");
    drop(writer);
    let (writer, _) = open(dir.path(), 200);
    writer.release();
    open(dir.path(), 200);
}

#[test]
fn at_the_limit_frames_are_refused_and_entries_of_our_own_are_not() {
    let dir = TempDir::new().unwrap();
    let config = config::Journal { max_bytes: 1_000, ..small(10_000) };
    let (mut writer, _) = JournalWriter::open(dir.path(), &config).unwrap();
    for number in 0..10 {
        writer.append(entry(number, 100).as_bytes()).unwrap();
    }
    assert!(writer.is_full());
    let frame = entry(10, 100);
    let error = writer.append(frame.as_bytes()).unwrap_err();
    assert!(matches!(error, JournalError::Full { bytes: 1_000, max_bytes: 1_000 }), "{error}");
    assert_eq!(writer.append_to(Room::Small, frame.as_bytes()).unwrap(), Position(1_100));
    // One segment was the whole journal; it was closed, so that trimming can make room.
    assert_eq!(writer.trim(Position(1_000)).unwrap(), 1_000);
    assert!(!writer.is_full());
    assert_eq!(writer.append(frame.as_bytes()).unwrap(), Position(1_200));
    assert_eq!(read_all(dir.path(), Position(1_000)).len(), 2);
}

#[test]
fn snapshots_have_their_own_room_and_leave_the_small_entries_theirs() {
    let dir = TempDir::new().unwrap();
    let config = config::Journal { max_bytes: 1_000, ..small(10_000) };
    let (mut writer, _) = JournalWriter::open(dir.path(), &config).unwrap();
    let refused = |result| matches!(result, Err(JournalError::Full { .. }));
    writer.append(entry(0, 1_000).as_bytes()).unwrap();
    let (frame, snapshot) = (entry(1, 100), entry(2, 32 * 1024 * 1024));
    assert!(refused(writer.append(frame.as_bytes())));
    writer.append_to(Room::Snapshot, snapshot.as_bytes()).unwrap();
    writer.append_to(Room::Snapshot, snapshot.as_bytes()).unwrap();
    assert!(refused(writer.append_to(Room::Snapshot, frame.as_bytes())), "64 MiB, not more");
    writer.append_to(Room::Small, entry(3, 1024 * 1024).as_bytes()).unwrap();
    assert!(refused(writer.append_to(Room::Small, frame.as_bytes())), "1 MiB, not more");
}

#[test]
fn a_disk_without_room_leaves_whole_lines_only() {
    let lines = [entry(1, 60), entry(2, 70), entry(3, 80)].concat();
    for left in 0..lines.len() {
        let dir = TempDir::new().unwrap();
        let (mut writer, _) = open(dir.path(), 10_000);
        writer.append(entry(0, 50).as_bytes()).unwrap();
        writer.disk_left = Some(left);
        let error = writer.append(lines.as_bytes()).unwrap_err();
        assert!(matches!(error, JournalError::Io { doing: "write", .. }), "{error}");
        let kept = lines[..left].rfind('\n').map_or(0, |at| at + 1);
        assert_eq!(writer.end(), Position(50 + kept as u64));
        assert_eq!(writer.kept_bytes(), kept);
        assert_eq!(fs::metadata(dir.path().join(Position(0).segment_name())).unwrap().len(), 50 + kept as u64);
        writer.disk_left = None;
        writer.append(entry(4, 60).as_bytes()).unwrap();
        let wanted = 2 + lines[..kept].matches('\n').count();
        assert_eq!(read_all(dir.path(), Position::START).len(), wanted, "{left} bytes left");
    }
}

#[test]
fn only_whole_lines_of_a_bounded_length_are_taken() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = open(dir.path(), 10_000);
    assert!(matches!(writer.append(b"{\"at\": 1.0}"), Err(JournalError::NotLines)));
    let long = vec![b'\n'; 10].into_iter().chain(vec![b'x'; MAX_LINE_BYTES]).chain([b'\n']).collect::<Vec<u8>>();
    assert!(matches!(writer.append(&long), Err(JournalError::TooLong { .. })));
    assert_eq!(writer.append(b"").unwrap(), Position::START);
}

#[test]
fn a_position_that_was_committed_is_never_used_again() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = open(dir.path(), 10_000);
    let mut follower = JournalReader::open(dir.path(), Position::START).unwrap();
    writer.append(entry(0, 100).as_bytes()).unwrap();
    writer.start_at(Position(50)).unwrap();
    assert_eq!(writer.end(), Position(100));
    writer.start_at(Position(5_000)).unwrap();
    writer.append(entry(1, 100).as_bytes()).unwrap();
    assert_eq!(read_all(dir.path(), Position(5_000)).len(), 1);
    assert_eq!(follower.read(1_000).unwrap().unwrap().lines().count(), 1);
    let hole = follower.read(1_000).unwrap().unwrap();
    assert_eq!((hole.start, hole.end), (Position(100), Position(5_000)));
    assert_eq!(hole.skipped, Some(Skipped { bytes: 4_900, reason: SkipReason::Missing }));
    assert_eq!(hole.lines().count(), 0);
    assert_eq!(follower.read(1_000).unwrap().unwrap().start, Position(5_000));
    drop(writer);
    assert_eq!(open(dir.path(), 10_000).1.end, Position(5_100));
}
