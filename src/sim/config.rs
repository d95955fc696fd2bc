//! What a simulated Asterisk is started with, and what it tells of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::library::{ExpectedCall, MixEntry};
use super::{People, SimError};
use crate::config::Secret;

/// What it does with a request (`RESTRequest`), or any other text, on the WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SocketRequests {
    /// Answers it, as 20.14, 21.9 and 22.4 do.
    #[default]
    Answered,
    /// Reads it and does nothing, as older ones (name one of their versions too); with a younger version, one that never
    /// answers.
    Ignored,
    /// Ends the WebSocket without a close frame.
    EndSocket,
}

/// How a simulated Asterisk behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct SimConfig {
    /// The port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// The ARI user.
    pub username: String,
    /// That user's password, and the read-only user's.
    pub password: Secret,
    /// A second user who may only read (403 for everything else).
    pub read_only_username: Option<String>,
    /// The version that it names.
    pub version: String,
    /// What it does with requests on the WebSocket.
    pub socket_requests: SocketRequests,
    /// Before `/ari`, as `prefix` of Asterisk's http.conf: `/asterisk`, or empty.
    pub prefix: String,
    /// The app that the dialplan names in `Stasis()`.
    pub app: String,
    /// For the same ids, numbers and choices again; `None` is another run each time.
    pub seed: Option<u64>,
    /// What is played, and how often.
    pub mix: Vec<MixEntry>,
    /// New calls a second, at random moments; 0: only those of `SimHandle::play`.
    pub calls_per_second: f64,
    /// How many calls are started by themselves; `None` goes on for ever.
    pub calls: Option<u64>,
    /// How much faster than recorded; 1 is as recorded.
    pub speed: f64,
    /// Who calls and who is called, for recordings that do not keep their own numbers.
    pub people: People,
    /// How long a channel waits in Stasis for `continue` before the call goes on without (a real one would wait for
    /// ever); such calls are counted in `Truth::not_continued`.
    pub continue_timeout: Duration,
    /// Calls at once; a call that would be one more is not started, and counted in `Truth::refused`.
    pub max_live_calls: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            port: 0,
            username: "demo".to_owned(),
            password: Secret::new("demo-password"),
            read_only_username: None,
            version: "22.10.1 (simulated)".to_owned(),
            socket_requests: SocketRequests::default(),
            prefix: "/asterisk".to_owned(),
            app: "callcenter-app".to_owned(),
            seed: None,
            mix: vec![MixEntry::new("answered", 1)],
            calls_per_second: 0.0,
            calls: None,
            speed: 1.0,
            people: People::default(),
            continue_timeout: Duration::from_secs(20),
            max_live_calls: 5_000,
        }
    }
}

impl SimConfig {
    /// Checks what can be wrong.
    ///
    /// # Errors
    /// `SimError::Config` with the first mistake.
    pub(super) fn check(&self) -> Result<(), SimError> {
        let stretched = |e: &MixEntry| e.stretch.0 >= 1.0 && e.stretch.1 >= e.stretch.0 && e.stretch.1.is_finite();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mistake = if !(self.speed.is_finite() && self.speed > 0.0) {
            format!("speed {} must be above 0", self.speed)
        } else if !(0.0..=10_000.0).contains(&self.calls_per_second) {
            format!("calls_per_second {} must be from 0 to 10000", self.calls_per_second)
        } else if self.mix.iter().all(|e| e.weight == 0) {
            "the mix names nothing with a weight above 0".to_owned()
        } else if let Some(entry) = self.mix.iter().find(|e| !stretched(e)) {
            format!("the stretch of '{}' must be from a number of at least 1 to one not smaller", entry.recording)
        } else if self.app.is_empty() || !self.app.chars().all(plain) {
            format!("'{}' can't be an app's name: letters, digits, - _ . only", self.app)
        } else if !(self.prefix.is_empty() || self.prefix.starts_with('/')) || self.prefix.ends_with('/') {
            format!("prefix '{}' must be empty, or begin (and not end) with a slash", self.prefix)
        } else if let Some(mistake) = self.people.mistake() {
            mistake
        } else {
            return Ok(());
        };
        Err(SimError::Config(format!("simulated Asterisk: {mistake}")))
    }
}

/// What was played so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// Events given to clients.
    pub sent: u64,
    /// Playings that were started.
    pub started: u64,
    /// Playings that went to their recorded end.
    pub finished: u64,
    /// Playings that something else ended: a restart, a `DELETE` of a channel.
    pub disturbed: u64,
    /// Times that a channel in Stasis was not continued before the timeout.
    pub not_continued: u64,
    /// Playings that were not started, because too many calls lived.
    pub refused: u64,
    /// Rows that `calls` must hold for the finished playings, by status. (A playing can be several rows.)
    pub by_status: BTreeMap<String, u64>,
}

/// One playing that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedCall {
    /// The recording's name.
    pub recording: String,
    /// Ids of all its channels, in the order in which the recording names them (the origin's first).
    pub channels: Vec<String>,
    /// Its first moment, milliseconds since 1970.
    pub started_at: i64,
    /// When its last event was played, milliseconds since 1970.
    pub ended_at: i64,
    /// The rows that `calls` must hold for it, if it was not disturbed.
    pub expected: Vec<ExpectedCall>,
    /// Events that came while no client had the app: nobody heard them.
    pub unheard: u32,
    /// Whether something other than the recording ended it.
    pub disturbed: bool,
}

/// Which answer a test wants instead of the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestOverride {
    /// Only requests with this method; `None` is any.
    pub method: Option<String>,
    /// Only requests whose path below `/ari/` contains this; empty is any. The WebSocket's handshake is `GET events`
    /// (503 is what a booting Asterisk answers).
    pub path_contains: String,
    /// The status to answer.
    pub status: u16,
    /// The body to answer, as it is.
    pub body: String,
    /// For so many requests; `None` is until it is taken back.
    pub times: Option<u32>,
}
