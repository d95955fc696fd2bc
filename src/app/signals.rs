//! The signals that the service obeys.

use std::io;

use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

/// What a signal wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGTERM or Ctrl-C, by its name: stop.
    Stop(&'static str),
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reload => "SIGHUP",
            Self::Stop(name) => name,
        }
    }
}

/// Listens for them.
pub(super) struct Signals {
    terminate: UnixSignal,
    interrupt: UnixSignal,
    hangup: UnixSignal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("Ctrl-C"),
            _ = self.hangup.recv() => Signal::Reload,
        }
    }
}
