//! What the tests stand on: the real Asterisk with its SIP endpoints, the built service as a
//! process, its database, and the one way to wait.

pub(crate) mod ari;
pub(crate) mod asterisk;
pub(crate) mod disk;
pub(crate) mod feed;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod records;
pub(crate) mod rows;
pub(crate) mod service;
pub(crate) mod sipp;
pub(crate) mod wait;

use std::io::Write as _;

pub(crate) use asterisk::Asterisk;
pub(crate) use feed::Feed;
pub(crate) use service::Service;

/// Why this machine can't run a real Asterisk, if so. It needs root (chroot) and Debian's apt.
fn hindrance() -> Option<String> {
    if std::env::var_os("SKIP_ASTERISK").is_some() {
        return Some("SKIP_ASTERISK is set".into());
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let root = status.lines().any(|line| line.starts_with("Uid:") && line.split_whitespace().nth(2) == Some("0"));
    if !root {
        return Some("it needs root (Asterisk runs in a chroot)".into());
    }
    let installed = asterisk::root().join(".installed").exists();
    if !installed && !std::path::Path::new("/usr/bin/apt-get").exists() {
        return Some("it needs Debian's apt to install Asterisk".into());
    }
    None
}

/// Whether the tests with a real Asterisk can run here. If not they are skipped aloud, or fail
/// where `REQUIRE_ASTERISK=1` says that they must run.
pub(crate) fn live() -> bool {
    let Some(reason) = hindrance() else { return true };
    let required = std::env::var("REQUIRE_ASTERISK").is_ok_and(|value| value == "1");
    assert!(!required, "REQUIRE_ASTERISK=1, but no real Asterisk: {reason}");
    aloud(&format!("SKIPPED: real Asterisk: {reason}"));
    false
}

/// A line on the terminal also from a test that passes (the test runner holds back `eprintln!`).
pub(crate) fn aloud(text: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {text}\n", thread.name().unwrap_or("test"));
    // Nothing to be done about a closed standard error.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
}

/// A TCP port that is free at this moment.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
