//! A simulated Asterisk, for the demo, the load and the fault tests.
//!
//! It plays only what was recorded from a real one (`tests/traces`, packed into `recordings/`): whole calls with
//! fresh ids, names and times. Around them stands ARI as it was measured on Asterisk 22.10.1: WebSocket, apps,
//! subscriptions, event filters, the REST paths that the service uses and their errors. What was not recorded is
//! refused with 501, not made up.
//!
//! | file | what |
//! |---|---|
//! | `trace` | reads a recorded stream and cuts it into calls |
//! | `library` | the recordings in the binary, and the rows that each must give |
//! | `template`, `tokens` | a call as pieces of text and places to fill |
//! | `instance`, `cast` | one playing of a call: its ids, people and clock |
//! | `world`, `apps`, `state`, `variables` | Asterisk's state: apps, channels, bridges |
//! | `player` | what is due when, and calls that wait for their `continue` |
//! | `rest`, `server`, `socket` | ARI over HTTP and WebSocket |
//! | `line` | the network before it, which tests break |
//! | `load` | the same calls as fast as a socket takes them |
//! | `demo` | the mix that `callcenter demo` plays |

mod apps;
mod cast;
mod clock;
mod config;
mod demo;
mod ending;
mod handle;
mod instance;
mod library;
mod line;
pub mod load;
mod player;
mod rest;
mod server;
mod socket;
mod state;
mod template;
mod tokens;
mod trace;
mod variables;
mod world;

pub use cast::{Direction, People};
pub use config::{PlayedCall, RestOverride, SimConfig, SocketRequests, Truth};
pub use demo::demo_mix;
pub use handle::{RestartKind, Sim, SimHandle};
pub use library::{ExpectedCall, MixEntry, names};

/// What can go wrong when the simulated Asterisk is started.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// A recorded stream can't be read.
    #[error("the recorded stream can't be played: {0}")]
    Trace(String),
    /// The mix names a recording that is not there.
    #[error("there is no recording '{name}'; there are: {known}")]
    UnknownRecording {
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A value of the configuration makes no sense.
    #[error("{0}")]
    Config(String),
    /// The port can't be had, or the socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The WebSocket of a load run failed.
    #[error("the WebSocket of the load run failed: {0}")]
    Socket(String),
}

/// The first 120 characters of a text, for messages.
fn short(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests;
