//! The signals that the service obeys.

use std::io;

use tokio::signal::unix::{Signal as UnixSignal, SignalKind, signal};

/// What a signal wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGHUP: read the configuration again.
    Reload,
    /// SIGUSR1: connect now; take an application back that another client took.
    Connect,
    /// SIGTERM or Ctrl-C, by its name: stop.
    Stop(&'static str),
}

impl Signal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Reload => "SIGHUP",
            Self::Connect => "SIGUSR1",
            Self::Stop(name) => name,
        }
    }
}

/// Listens for them.
pub(super) struct Signals {
    terminate: UnixSignal,
    interrupt: UnixSignal,
    hangup: UnixSignal,
    user: UnixSignal,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Signal::Stop("Ctrl-C"),
            _ = self.hangup.recv() => Signal::Reload,
            _ = self.user.recv() => Signal::Connect,
        }
    }
}
