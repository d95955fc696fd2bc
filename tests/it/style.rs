//! The house's style, as far as a program can see it.

use std::path::Path;

use crate::layers::rust_files;

/// Lines that a file may have.
const MAX_LINES: usize = 500;

#[test]
fn no_file_is_longer_than_one_can_keep_in_mind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = rust_files(&root.join("src"));
    files.extend(rust_files(&root.join("tests/it")));
    assert!(files.len() > 20, "only {} files found", files.len());
    let long: Vec<String> = files
        .iter()
        // diesel's own program writes that one.
        .filter(|(path, text)| !path.ends_with("schema.rs") && text.lines().count() > MAX_LINES)
        .map(|(path, text)| format!("{}: {}", path.display(), text.lines().count()))
        .collect();
    assert!(long.is_empty(), "over {MAX_LINES} lines: {long:#?}");
}

/// An abort would take every call with one panic; a panic must stay in its own call.
#[test]
fn panics_unwind() {
    let manifest = include_str!("../../Cargo.toml").parse::<toml::Table>().unwrap();
    let profiles = manifest.get("profile").and_then(toml::Value::as_table).expect("[profile]");
    for (name, profile) in profiles {
        assert_ne!(profile.get("panic").and_then(toml::Value::as_str), Some("abort"), "profile {name}");
    }
}

/// A test that sleeps is slow when all is well and fails when the machine is busy.
#[test]
fn no_test_sleeps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let word = concat!("slee", "p(");
    let tests = rust_files(&root.join("tests/it"));
    let wrong: Vec<_> = tests.iter().filter(|(_, text)| text.contains(word)).map(|(path, _)| path).collect();
    assert!(wrong.is_empty(), "wait for a condition instead: {wrong:#?}");
}
