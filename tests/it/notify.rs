//! What the service manager is told: `Type=notify` and its watchdog.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::kit::Service;
use crate::kit::wait::s;

/// The next messages, a line each, until this one.
#[track_caller]
fn until(manager: &UnixDatagram, wanted: &str) -> Vec<String> {
    let mut told = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let length = manager.recv(&mut buffer).unwrap_or_else(|error| panic!("no {wanted} ({error}), only {told:?}"));
        told.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned));
        if told.iter().any(|line| line == wanted) {
            return told;
        }
    }
}

#[test]
fn the_service_manager_is_told_ready_alive_and_stopping() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(s(20))).unwrap();
    let nobody = format!("http://127.0.0.1:{}/ari", crate::kit::free_port());
    let environment = [
        ("ARI_URL", nobody.as_str()),
        ("ARI_USERNAME", "u"),
        ("ARI_PASSWORD", "p"),
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
        ("WATCHDOG_USEC", "4000000"),
    ];
    let mut service = Service::launched("", &environment);
    assert_eq!(until(&manager, "READY=1"), ["READY=1"], "an Asterisk that is away is no reason to wait");
    for _ in 0..3 {
        assert_eq!(until(&manager, "WATCHDOG=1"), ["WATCHDOG=1"]);
    }
    // Frozen it feeds nothing.
    service.signal("STOP");
    manager.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    let mut buffer = [0; 64];
    let last = std::iter::from_fn(|| manager.recv(&mut buffer).ok()).take(2).count();
    assert!(last < 2, "at most one was on its way");
    service.signal("CONT");
    manager.set_read_timeout(Some(s(20))).unwrap();
    until(&manager, "WATCHDOG=1");
    service.sigterm();
    assert_eq!(until(&manager, "STOPPING=1").last().unwrap(), "STOPPING=1");
}
