//! The fuzzers' targets over the recorded streams and thousands of mutations of them, always the same ones. `make fuzz` looks
//! further, guided by coverage; what it found stands here.

#[path = "../../fuzz/src/targets.rs"]
#[expect(unreachable_pub, reason = "the fuzzers' own crate gives them to its binaries")]
mod targets;

use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How often, twenty times as often with `SOAK=1`.
fn times(usual: usize) -> usize {
    usual * if std::env::var_os("SOAK").is_some() { 20 } else { 1 }
}

/// The recorded streams' lines.
fn lines() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "jsonl"));
    files.sort();
    let texts = files.into_iter().map(|file| std::fs::read_to_string(file).unwrap());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// Damages bytes as a fuzzer does.
fn damage(bytes: &mut Vec<u8>, rng: &mut StdRng) {
    for _ in 0..rng.random_range(1..6) {
        let at = rng.random_range(0..bytes.len().max(1));
        match rng.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), rng.random()),
            2 => drop(bytes.splice(at.min(bytes.len())..at.min(bytes.len()), *b"\"x\":[[{\"")),
            3 if at < bytes.len() => drop(bytes.remove(at)),
            4 => bytes.extend_from_within(at.min(bytes.len())..),
            _ if at < bytes.len() => {
                bytes[at] = *b"\0\xff\"{}[]:,\\n09-e"[..].get(rng.random_range(0..16)).unwrap_or(&b' ')
            }
            _ => {}
        }
    }
}

#[test]
fn damaged_events_are_decoded_or_refused() {
    let (lines, mut rng) = (lines(), StdRng::seed_from_u64(1));
    for n in 0..times(60_000) {
        let line = &lines[n % lines.len()];
        let (_, event) = line.split_once("\"event\": ").unwrap_or(("", line));
        let mut bytes = event.strip_suffix('}').unwrap_or(event).as_bytes().to_vec();
        if n >= lines.len() {
            damage(&mut bytes, &mut rng);
        }
        targets::event(&bytes);
    }
}

#[test]
fn streams_in_any_order_fold_alike_in_any_batches_and_end() {
    let mut rng = StdRng::seed_from_u64(2);
    for n in 0..times(600) {
        let data: Vec<u8> = (0..rng.random_range(6..200)).map(|_| rng.random()).collect();
        let failed = std::panic::catch_unwind(|| targets::core(&data)).is_err();
        assert!(!failed, "the {n}th: {data:?}");
    }
}

#[test]
fn damaged_files_are_read_to_their_end() {
    let (lines, mut rng) = (lines(), StdRng::seed_from_u64(3));
    for _ in 0..times(1_500) {
        let from = rng.random_range(0..lines.len());
        let until = (from + rng.random_range(0..20)).min(lines.len());
        let mut bytes = lines[from..until].join("\n").into_bytes();
        damage(&mut bytes, &mut rng);
        targets::journal(&bytes);
    }
}
