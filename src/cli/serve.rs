//! `callcenter serve`: runs the service.

use clap::Args;

use super::Exit;
use crate::app;
use crate::config::Loaded;
use crate::telemetry::Telemetry;

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Runs the service: connects to each configured Asterisk, records every call, and serves health and \
    state on the loopback interface.\n\nSIGTERM or Ctrl-C stops it in order, a second one at once; \
    SIGHUP reads the configuration again where that is safe; SIGUSR1 connects now what waits to be.";

/// `callcenter serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {}

/// Serves until it is told to stop.
pub(super) fn run(_: ServeArgs, loaded: Loaded, telemetry: Telemetry) -> Exit {
    match app::serve(loaded, &telemetry) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            tracing::error!("{error}");
            Exit::Failed
        }
    }
}
