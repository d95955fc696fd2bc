//! Following a journal that grows, shrinks, or has lost a part.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use tempfile::TempDir;

use super::tests::small;
use super::*;

fn line(number: usize, length: usize) -> String {
    format!("{{\"at\": {number}.000000, \"event\": \"{}\"}}\n", "x".repeat(length))
}

fn segment(dir: &Path, start: u64) -> std::path::PathBuf {
    dir.join(Position(start).segment_name())
}

/// Small and repeatable, for sizes only.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// What the journal holds after `lines` were appended, as far as the disk took them. Holes are zeros: half a line at
/// the very beginning of a segment leaves one.
fn keep(written: &mut Vec<u8>, lines: &str, writer: &JournalWriter) {
    let kept = &lines.as_bytes()[..writer.kept_bytes()];
    if writer.kept_bytes() == lines.len() {
        written.resize(writer.end().offset() as usize - kept.len(), 0);
    }
    written.extend_from_slice(kept);
    written.resize(writer.end().offset() as usize, 0);
}

/// What a reader was given, in the same form.
fn got_chunk(got: &mut Vec<u8>, chunk: &Chunk) {
    assert_eq!(chunk.start, Position(got.len() as u64));
    assert!(chunk.skipped.is_some() || chunk.bytes.last() == Some(&b'\n'));
    assert!(chunk.skipped.is_none_or(|hole| hole.reason == SkipReason::Missing && hole.bytes < 1_000));
    got.extend_from_slice(&chunk.bytes);
    got.resize(chunk.end.offset() as usize, 0);
}

/// Follows in this thread while another one appends `total` times and deletes what was read, on a disk that fails now
/// and then if `failing`.
fn follow(total: usize, failing: bool) {
    let dir = TempDir::new().unwrap();
    let mut reader = JournalReader::open(dir.path(), Position::START).unwrap();
    let (mut writer, _) = JournalWriter::open(dir.path(), &small(20_000)).unwrap();
    let read = Arc::new(AtomicU64::new(0));
    let needed = Arc::clone(&read);
    let thread = std::thread::spawn(move || {
        let (mut dice, mut written) = (Dice(1), Vec::new());
        for number in 0..total {
            let lines: Vec<String> = (0..1 + dice.below(6)).map(|_| line(number, dice.below(900))).collect();
            let lines = lines.concat();
            writer.disk_left = (failing && dice.below(3) == 0).then(|| dice.below(lines.len()));
            let fits = writer.disk_left.is_none();
            assert_eq!(writer.append(lines.as_bytes()).is_ok(), fits);
            keep(&mut written, &lines, &writer);
            writer.trim(Position(needed.load(Ordering::Acquire))).unwrap();
        }
        assert!(writer.oldest() > Position::START, "nothing was trimmed meanwhile");
        written
    });
    let (mut dice, mut got, mut chunks) = (Dice(2), Vec::new(), 0);
    let mut take = |reader: &mut JournalReader| {
        let chunk = reader.read(1 + dice.below(8_000)).unwrap()?;
        got_chunk(&mut got, &chunk);
        assert_eq!((chunk.end, reader.position()), (Position(got.len() as u64), chunk.end));
        chunks += 1;
        read.store(chunk.end.offset(), Ordering::Release);
        Some(())
    };
    while !thread.is_finished() {
        take(&mut reader);
    }
    while take(&mut reader).is_some() {}
    let written = thread.join().unwrap();
    assert!(chunks > 10, "{chunks} chunks");
    assert!(got == written, "{} bytes read, {} written", got.len(), written.len());
}

#[test]
fn a_follower_sees_each_byte_once() {
    follow(2_000, false);
}

#[test]
fn a_follower_sees_nothing_that_is_taken_back() {
    follow(2_000, true);
}

#[test]
fn a_chunk_is_bounded_but_a_long_line_comes_whole() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = JournalWriter::open(dir.path(), &small(1_000_000)).unwrap();
    let lines = [line(1, 10), line(2, 50_000), line(3, 10), line(4, 10)];
    writer.append(lines.concat().as_bytes()).unwrap();
    let mut reader = JournalReader::open(dir.path(), Position::START).unwrap();
    let mut counts = Vec::new();
    while let Some(chunk) = reader.read(120).unwrap() {
        assert!(chunk.bytes.len() <= 120 || chunk.lines().count() == 1);
        counts.push(chunk.lines().count());
    }
    assert_eq!(counts, [1, 1, 2]);
    assert_eq!(reader.read(120).unwrap(), None);
}

#[test]
fn an_overlong_line_is_skipped_and_named() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = JournalWriter::open(dir.path(), &small(1_000_000)).unwrap();
    let [before, long, after] = [line(1, 10), line(2, 5_000), line(3, 10)];
    writer.append(before.as_bytes()).unwrap();
    let mut reader = JournalReader::open(dir.path(), Position::START).unwrap().with_max_line(1_000);
    assert_eq!(reader.read(64).unwrap().unwrap().bytes, before.as_bytes());
    // Its beginning alone could still be the rest of a failed write.
    let path = segment(dir.path(), 0);
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(&long.as_bytes()[..3_000]).unwrap();
    assert_eq!(reader.read(64).unwrap(), None);
    file.set_len(before.len() as u64).unwrap();
    assert_eq!(reader.read(64).unwrap(), None);
    file.write_all(after.as_bytes()).unwrap();
    assert_eq!(reader.read(64).unwrap().unwrap().bytes, after.as_bytes());
    file.write_all(&long.as_bytes()[..3_000]).unwrap();
    assert_eq!(reader.read(64).unwrap(), None);
    file.write_all(&long.as_bytes()[3_000..]).unwrap();
    file.write_all(after.as_bytes()).unwrap();
    let start = Position((before.len() + after.len()) as u64);
    let skipped = reader.read(64).unwrap().unwrap();
    assert_eq!((skipped.start, skipped.end), (start, start.plus(long.len() as u64)));
    assert_eq!(skipped.skipped, Some(Skipped { bytes: long.len() as u64, reason: SkipReason::LineTooLong }));
    assert_eq!(reader.read(64).unwrap().unwrap().bytes, after.as_bytes());
}

#[test]
fn what_a_power_failure_took_from_a_closed_segment_is_named() {
    let dir = TempDir::new().unwrap();
    let (first, second) = ([line(1, 50), line(2, 50)].concat(), line(3, 50));
    // The first segment lost its end, in the middle of a line; the second begins where it had ended.
    let kept = line(1, 50).len();
    fs::write(segment(dir.path(), 0), &first[..kept + 7]).unwrap();
    fs::write(segment(dir.path(), first.len() as u64), &second).unwrap();
    let mut reader = JournalReader::open(dir.path(), Position::START).unwrap();
    assert_eq!(reader.read(1_000).unwrap().unwrap().bytes.len(), kept);
    let hole = reader.read(1_000).unwrap().unwrap();
    assert_eq!(hole.skipped.map(|skipped| skipped.reason), Some(SkipReason::Missing));
    assert_eq!((hole.start, hole.end), (Position(kept as u64), Position(first.len() as u64)));
    assert_eq!(reader.read(1_000).unwrap().unwrap().bytes, second.as_bytes());
    assert_eq!(reader.read(1_000).unwrap(), None);
}

#[test]
fn a_reader_can_only_begin_where_a_line_begins() {
    let dir = TempDir::new().unwrap();
    assert_eq!(JournalReader::open(dir.path(), Position::START).unwrap().read(100).unwrap(), None);
    let error = JournalReader::open(dir.path(), Position(5)).unwrap_err();
    assert!(matches!(error, JournalError::Beyond { end: Position(0), .. }), "{error}");
    let (mut writer, _) = JournalWriter::open(dir.path(), &small(100)).unwrap();
    let length = line(1, 50).len() as u64;
    for number in 0..4 {
        writer.append(line(number, 50).as_bytes()).unwrap();
    }
    let end = 4 * length;
    for offset in 0..=end {
        let opened = JournalReader::open(dir.path(), Position(offset));
        if offset % length == 0 {
            assert_eq!(opened.unwrap().position(), Position(offset));
        } else {
            assert!(matches!(opened.unwrap_err(), JournalError::Misplaced { .. }), "{offset}");
        }
    }
    let error = JournalReader::open(dir.path(), Position(end + 1)).unwrap_err();
    assert!(matches!(error, JournalError::Beyond { end: Position(at), .. } if at == end), "{error}");
}

#[test]
fn a_reader_from_the_end_sees_only_what_comes() {
    let dir = TempDir::new().unwrap();
    let mut early = JournalReader::open_at_end(dir.path()).unwrap();
    let (mut writer, _) = JournalWriter::open(dir.path(), &small(100)).unwrap();
    for number in 0..5 {
        writer.append(line(number, 50).as_bytes()).unwrap();
    }
    let mut late = JournalReader::open_at_end(dir.path()).unwrap();
    assert_eq!(late.read(1_000).unwrap(), None);
    let next = line(5, 50);
    writer.append(next.as_bytes()).unwrap();
    assert_eq!(late.read(1_000).unwrap().unwrap().bytes, next.as_bytes());
    let mut seen = 0;
    while let Some(chunk) = early.read(1_000).unwrap() {
        seen += chunk.lines().count();
    }
    assert_eq!(seen, 6);
}

#[test]
fn a_reader_that_was_overtaken_by_trimming_is_told() {
    let dir = TempDir::new().unwrap();
    let (mut writer, _) = JournalWriter::open(dir.path(), &small(100)).unwrap();
    let length = line(0, 50).len() as u64;
    writer.append(line(0, 50).as_bytes()).unwrap();
    let mut reader = JournalReader::open(dir.path(), Position::START).unwrap();
    assert!(reader.read(1_000).unwrap().is_some());
    assert_eq!(reader.read(1_000).unwrap(), None);
    for number in 1..9 {
        writer.append(line(number, 50).as_bytes()).unwrap();
    }
    writer.trim(Position(6 * length)).unwrap();
    // The file that is open is read to its end.
    let mut next = reader.read(1_000);
    while matches!(next, Ok(Some(_))) {
        next = reader.read(1_000);
    }
    let error = next.unwrap_err();
    assert!(reader.position() < writer.oldest());
    assert!(matches!(error, JournalError::Trimmed { oldest, .. } if oldest == writer.oldest()), "{error}");
    assert!(JournalReader::open(dir.path(), writer.oldest()).unwrap().read(1_000).unwrap().is_some());
}

/// One step of a journal's life.
#[derive(Clone, Debug)]
enum Step {
    Append(Vec<usize>),
    Refused(Vec<usize>, usize),
    Trim(usize),
    Reopen,
    Crash(usize),
    Read(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lengths = || prop::collection::vec(0..300_usize, 1..5);
    let step = prop_oneof![
        5 => lengths().prop_map(Step::Append),
        1 => (lengths(), 0..600_usize).prop_map(|(lengths, left)| Step::Refused(lengths, left)),
        1 => (0..100_usize).prop_map(Step::Trim),
        1 => Just(Step::Reopen),
        1 => (1..40_usize).prop_map(Step::Crash),
        3 => (1..700_usize).prop_map(Step::Read),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the journal must hold.
#[derive(Default)]
struct Model {
    written: Vec<u8>,
    read: Vec<u8>,
    number: usize,
}

impl Model {
    fn lines(&mut self, lengths: &[usize]) -> String {
        let lines = lengths.iter().map(|length| {
            self.number += 1;
            line(self.number, *length)
        });
        lines.collect()
    }

    fn take(&mut self, reader: &mut JournalReader, max: usize) -> bool {
        let Some(chunk) = reader.read(max).unwrap() else { return false };
        got_chunk(&mut self.read, &chunk);
        true
    }
}

proptest! {
    #![proptest_config(crate::cases(150))]

    #[test]
    fn whatever_happens_exactly_the_appended_lines_come_back(steps in steps()) {
        let dir = TempDir::new().unwrap();
        let config = small(700);
        let (mut writer, _) = JournalWriter::open(dir.path(), &config).unwrap();
        let mut reader = JournalReader::open(dir.path(), Position::START).unwrap();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Append(lengths) => {
                    let lines = model.lines(&lengths);
                    writer.append(lines.as_bytes()).unwrap();
                    keep(&mut model.written, &lines, &writer);
                }
                Step::Refused(lengths, left) => {
                    let lines = model.lines(&lengths);
                    writer.disk_left = Some(left);
                    prop_assert_eq!(writer.append(lines.as_bytes()).is_ok(), left >= lines.len());
                    writer.disk_left = None;
                    keep(&mut model.written, &lines, &writer);
                }
                // Nothing that was not read yet, as the service does it.
                Step::Trim(percent) => {
                    writer.trim(Position((model.read.len() * percent / 100) as u64)).unwrap();
                }
                Step::Reopen | Step::Crash(_) => {
                    let (oldest, end) = (writer.oldest(), writer.end());
                    drop(writer);
                    let mut torn = 0;
                    if let Step::Crash(length) = step {
                        let last = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
                        let last = last.filter(|path| path.extension().is_some()).max().unwrap();
                        let rest = line(0, 40);
                        torn = length as u64;
                        let mut file = fs::OpenOptions::new().append(true).open(last).unwrap();
                        file.write_all(&rest.as_bytes()[..length]).unwrap();
                    }
                    let (again, recovered) = JournalWriter::open(dir.path(), &config).unwrap();
                    prop_assert_eq!((recovered.oldest, recovered.end, recovered.torn_bytes), (oldest, end, torn));
                    writer = again;
                }
                Step::Read(max) => {
                    model.take(&mut reader, max);
                }
            }
            prop_assert_eq!(writer.end(), Position(model.written.len() as u64));
        }
        while model.take(&mut reader, 256) {}
        prop_assert!(model.read == model.written);
        let oldest = writer.oldest();
        let mut again = Model { read: model.read[..oldest.offset() as usize].to_vec(), ..Model::default() };
        let mut reader = JournalReader::open(dir.path(), oldest).unwrap();
        while again.take(&mut reader, 1_000) {}
        prop_assert!(again.read == model.written);
    }
}
