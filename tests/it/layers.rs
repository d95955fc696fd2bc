//! The architecture: each part of `src` uses only what stands to its right in
//! `{app, cli} -> {http, sim} -> actors -> db -> call -> routing -> ari -> model`, and the pure parts
//! name no runtime, database, clock, file, network or randomness.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The parts from left to right; the higher the number, the fewer parts it may use.
const ORDER: &[(&str, u8)] = &[
    ("app", 0),
    ("cli", 0),
    ("http", 1),
    ("sim", 1),
    ("actors", 2),
    ("db", 3),
    ("call", 4),
    ("routing", 5),
    ("ari", 6),
    ("model", 7),
];
/// Pure parts.
const PURE: &[&str] = &["model", "ari", "routing", "call"];
/// What a pure part must not name.
const IMPURE: &[&str] = &[
    "actix",
    "actix_rt",
    "actix_web",
    "actix_ws",
    "awc",
    "diesel",
    "diesel_migrations",
    "rand",
    "tokio",
    "tokio_tungstenite",
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "Instant::now",
    "Local::now",
    "SystemTime::now",
    "Utc::now",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every Rust file below `folder`, with its text.
pub(crate) fn rust_files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}

/// The files of `src` and their code as shipped: without unit tests, comments and text in strings.
fn shipped() -> Vec<(PathBuf, String)> {
    let files = rust_files(&source()).into_iter().filter(|(path, _)| !is_test(path));
    files.map(|(path, text)| (path, code(text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()))).collect()
}

/// Whether a file holds unit tests only.
fn is_test(path: &Path) -> bool {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    stem == "tests"
        || stem.ends_with("_tests")
        || path.strip_prefix(source()).is_ok_and(|inside| inside.iter().any(|part| part == "tests"))
}

/// The code without comments and without the contents of string literals, so that words in them are
/// no names.
fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#") => raw_string(rest),
            '"' => string(rest),
            '\'' if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") => {
                rest[1..].find("'").map_or(1, |end| end + 2)
            }
            _ => 0,
        };
        if skipped == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.push(' ');
            rest = &rest[skipped..];
        }
    }
    out
}

/// Length of the string literal at the beginning of `text`.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return at + 1,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

/// Length of the raw string literal at the beginning of `text`; 0 if it is none (`r#type`).
fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|letter| *letter == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let open = 2 + hashes;
    text[open..].find(&close).map_or(text.len(), |end| open + end + close.len())
}

/// The names right after each `crate::`, also inside braces (`use crate::{ari::Event, model}`).
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_') {
            continue;
        }
        let after = code[at + "crate::".len()..].trim_start();
        if let Some(group) = after.strip_prefix('{') {
            found.extend(group_heads(group));
        } else {
            found.insert(name(after));
        }
    }
    found
}

/// The first name of each member of a brace group whose `{` is already taken.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut head = true;
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => head = true,
            _ if letter.is_whitespace() => {}
            _ if head => {
                heads.push(name(&group[at..]));
                head = false;
            }
            _ => {}
        }
    }
    heads
}

fn name(text: &str) -> String {
    text.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
}

/// Whether `code` names `path` as a whole (`rand::rng`, not `operand::x`).
fn names(code: &str, path: &str) -> bool {
    let part = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let crate_name = !path.contains("::");
        let whole = !before.is_some_and(part) && !after.is_some_and(part);
        whole && (!crate_name || code[at + path.len()..].starts_with("::"))
    })
}

fn rank(part: &str) -> Option<u8> {
    ORDER.iter().find(|(known, _)| *known == part).map(|(_, rank)| *rank)
}

/// Why `part` may not use `other`, if so.
fn forbidden(part: &str, other: &str) -> Option<&'static str> {
    match other {
        "config" if PURE.contains(&part) => Some("pure parts know no configuration"),
        "config" => None,
        // A command is how people start the service.
        "app" if part == "cli" => None,
        "telemetry" if !matches!(part, "app" | "cli") => Some("only app and cli set up logging"),
        _ => match (rank(part), rank(other)) {
            (Some(mine), Some(its)) if its < mine || (its == mine && part != other) => Some("it stands to the left"),
            (Some(_) | None, Some(_) | None) => None,
        },
    }
}

#[test]
fn each_part_uses_only_what_stands_to_its_right() {
    let mut wrong = Vec::new();
    for (path, code) in shipped() {
        let inside = path.strip_prefix(source()).unwrap();
        let first = inside.components().next().unwrap().as_os_str().to_string_lossy();
        let part = first.trim_end_matches(".rs");
        if matches!(part, "lib" | "main") {
            continue;
        }
        assert!(
            rank(part).is_some() || matches!(part, "config" | "telemetry"),
            "src/{part}: in no layer; add it to ORDER"
        );
        for other in uses(&code) {
            if let Some(reason) = forbidden(part, &other) {
                wrong.push(format!("{}: crate::{other}: {reason}", inside.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_pure_parts_name_no_runtime_clock_or_world() {
    let mut wrong = Vec::new();
    for part in PURE {
        for (path, code) in shipped().into_iter().filter(|(path, _)| is_of(path, part)) {
            wrong.extend(
                IMPURE.iter().filter(|path| names(&code, path)).map(|name| format!("{}: {name}", path.display())),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn is_of(path: &Path, part: &str) -> bool {
    let inside = path.strip_prefix(source()).unwrap();
    inside.starts_with(part) || inside == Path::new(&format!("{part}.rs"))
}

#[test]
fn the_reader_of_the_code_finds_what_it_must() {
    let text = code(
        "use crate::{db::Rows, model::{self, Timestamp}, http};\n// crate::sim::x\nlet a = \"crate::actors\"; \
         crate::ari::Event; '\"'; r#\"crate::cli\"#; mycrate::app; r#type",
    );
    let found: Vec<String> = uses(&text).into_iter().collect();
    assert_eq!(found, ["ari", "db", "http", "model"], "{text}");
    assert!(names("use rand::rng;", "rand") && !names("operand::x; rand", "rand"));
    assert!(names("let t = Utc::now();", "Utc::now"));
    assert_eq!(forbidden("db", "actors"), Some("it stands to the left"));
    assert_eq!(forbidden("http", "sim"), Some("it stands to the left"));
    assert_eq!(forbidden("actors", "db"), None);
    assert!(forbidden("cli", "app").is_none() && forbidden("app", "cli").is_some());
    assert!(forbidden("call", "config").is_some() && forbidden("db", "config").is_none());
    assert!(forbidden("http", "telemetry").is_some() && forbidden("app", "telemetry").is_none());
}
