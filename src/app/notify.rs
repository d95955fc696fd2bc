//! What the service manager is told (`sd_notify(3)`): ready, alive, stopping. Where none asks, nothing is told.

use std::time::Duration;

use actix::prelude::*;
use sd_notify::NotifyState;
use tracing::{error, warn};

use crate::actors::supervisor::{Pulse, Supervisor};

/// The service runs: Asterisk may be away, but whatever comes is recorded.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// It was told to stop.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Another process goes on in this one's place.
pub(super) fn main_process(pid: u32) {
    tell(&[NotifyState::MainPid(pid)]);
}

/// How often the service manager wants to hear that all is well, if it does.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// All is well.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "the service manager (NOTIFY_SOCKET) can't be told how the service is");
    }
}

/// Feeds the service manager's watchdog, if it has one, while every actor answers. An actor has half of the watchdog's
/// time to answer: the writer may wait for a locked database for as long as `database.busy_timeout_ms`.
pub(super) async fn feed_watchdog(supervisor: Addr<Supervisor>) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    loop {
        let silent = match supervisor.send(Pulse(limit / 2)).await {
            Ok(silent) => silent,
            Err(error) => vec![format!("the supervisor ({error})")],
        };
        if silent.is_empty() {
            tell(&[NotifyState::Watchdog]);
        } else {
            error!("these don't answer, so the service manager's watchdog is not fed: {}", silent.join(", "));
        }
        // With the time to answer this is less than the watchdog's own.
        tokio::time::sleep((limit / 4).max(Duration::from_millis(10))).await;
    }
}
