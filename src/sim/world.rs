//! The simulated Asterisk as a whole: its apps and clients, its channels and bridges, and the calls under way.
//!
//! One lock holds it all (`server` owns that); nothing in here waits.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::SimError;
use super::apps::{About, App};
use super::clock::{now_ms, push_time};
use super::config::{PlayedCall, RestOverride, SimConfig, Truth};
use super::instance::Numbering;
use super::library::Library;
use super::player::Playing;
use super::rest::Answer;
use super::state::State;

/// What all recordings have (a MAC address; two Asterisk on one machine have the same).
pub(super) const ASTERISK_ID: &str = "02:fc:00:00:00:01";

/// Frames that may wait for one client; one more and it is cut off, as a slow reader is by the real one.
pub(super) const CLIENT_QUEUE: usize = 20_000;

/// Playings that are remembered for `SimHandle::played`; older ones are only counted.
const REMEMBERED: usize = 100_000;

/// Global variables that may be set.
const GLOBALS: usize = 1_000;

/// What goes to a client's socket.
#[derive(Debug)]
pub(super) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    /// These bytes as the payload of a text message in so many frames, whether they are text or not.
    Raw(Vec<u8>, usize),
    /// A close frame with this code, then the end.
    Close(u16),
    /// The end, without a close frame.
    Drop,
}

/// The state behind the lock.
pub(super) struct World {
    pub config: SimConfig,
    pub rng: StdRng,
    pub library: Library,
    pub numbering: Numbering,
    pub started_at: i64,
    pub apps: BTreeMap<String, App>,
    clients: HashMap<u64, mpsc::Sender<Frame>>,
    last_client: u64,
    pub state: State,
    pub globals: HashMap<String, String>,
    /// The playings under way.
    pub calls: HashMap<u64, Playing>,
    pub last_call: u64,
    /// What is due: moment, then playing.
    pub due: BinaryHeap<std::cmp::Reverse<(i64, u64)>>,
    /// When the next call starts by itself, milliseconds since 1970, with a fraction.
    pub next_arrival: Option<f64>,
    /// How many have started by themselves.
    pub arrived: u64,
    pub truth: Truth,
    pub played: VecDeque<PlayedCall>,
    pub rest_delay: Duration,
    pub rest_override: Option<RestOverride>,
    /// Answers 204 to commands for channels that it does not know (a load run keeps no channels).
    pub obliging: bool,
}

impl World {
    /// # Errors
    /// When the mix can't be loaded.
    pub(super) fn new(config: SimConfig) -> Result<Self, SimError> {
        let library = Library::for_mix(&config.mix)?;
        let rng = config.seed.map_or_else(rand::make_rng, StdRng::seed_from_u64);
        let now = now_ms();
        let arriving = config.calls_per_second > 0.0;
        Ok(Self {
            config,
            rng,
            library,
            numbering: Numbering::default(),
            started_at: now,
            apps: BTreeMap::new(),
            clients: HashMap::new(),
            last_client: 0,
            state: State::default(),
            globals: HashMap::new(),
            calls: HashMap::new(),
            last_call: 0,
            due: BinaryHeap::new(),
            next_arrival: arriving.then_some(now as f64),
            arrived: 0,
            truth: Truth::default(),
            played: VecDeque::new(),
            rest_delay: Duration::ZERO,
            rest_override: None,
            obliging: false,
        })
    }

    /// A client has connected for these apps: makes those that are not there, takes those that are.
    pub(super) fn connect(&mut self, names: &[String], subscribe_all: bool, now: i64) -> (u64, mpsc::Receiver<Frame>) {
        let (sender, receiver) = mpsc::channel(CLIENT_QUEUE);
        self.last_client += 1;
        let client = self.last_client;
        self.clients.insert(client, sender);
        for name in names {
            let app = self.apps.entry(name.clone()).or_insert_with(|| App::new(name, subscribe_all));
            let before = app.client.replace(client);
            if let Some(before) = before {
                let mut stamp = String::new();
                push_time(&mut stamp, now);
                let event = json!({"type": "ApplicationReplaced", "timestamp": stamp, "application": name,
                    "asterisk_id": ASTERISK_ID});
                self.send(before, Frame::Text(event.to_string()));
            }
        }
        (client, receiver)
    }

    /// A client's socket is gone: so are its apps, but for those that something keeps.
    pub(super) fn disconnect(&mut self, client: u64) {
        self.clients.remove(&client);
        let mut names: Vec<String> = Vec::new();
        for (name, app) in &mut self.apps {
            if app.client == Some(client) {
                app.client = None;
                names.push(name.clone());
            }
        }
        for name in names {
            let inside = !self.inside(&name).is_empty();
            if !self.apps.get(&name).is_some_and(|app| app.survives(inside)) {
                self.apps.remove(&name);
            }
        }
    }

    /// Sends to one client; one that is too slow is cut off.
    pub(super) fn send(&mut self, client: u64, frame: Frame) {
        let full = self.clients.get(&client).is_some_and(|sender| sender.try_send(frame).is_err());
        if full {
            tracing::warn!(client, "the simulated Asterisk cut off a client that reads too slowly");
            self.disconnect(client);
        }
    }

    /// Sends to every client.
    pub(super) fn send_all(&mut self, frame: impl Fn() -> Frame) {
        let all: Vec<u64> = self.clients.keys().copied().collect();
        all.into_iter().for_each(|client| self.send(client, frame()));
    }

    /// The ids of the channels in an app.
    fn inside(&self, app: &str) -> Vec<String> {
        let inside = |c: &super::state::Channel| c.stasis.as_deref() == Some(app);
        self.state.channels.iter().filter(|(_, c)| inside(c)).map(|(id, _)| id.clone()).collect()
    }

    /// The object of `GET /applications/{name}`.
    pub(super) fn app_json(&self, name: &str) -> Option<Value> {
        self.apps.get(name).map(|app| app.to_json(&self.inside(name)))
    }

    /// Whether `Stasis()` finds the dialplan's app: it is registered, and somebody listens.
    pub(super) fn app_listens(&self) -> bool {
        self.apps.get(&self.config.app).is_some_and(|app| app.client.is_some())
    }

    /// Gives an event to every app that hears of it. `render` makes its text for one app.
    /// Returns the clients' number; 0 means that nobody was there for it.
    pub(super) fn deliver(
        &mut self,
        kind: &str,
        channels: &[(&str, &str)],
        bridges: &[&str],
        render: impl Fn(&str) -> String,
    ) -> usize {
        let mut frames: Vec<(u64, String)> = Vec::new();
        let mut connected = 0;
        for (name, app) in &self.apps {
            let Some(client) = app.client else { continue };
            connected += 1;
            if matches!(kind, "StasisStart" | "StasisEnd") && *name != self.config.app {
                continue;
            }
            let of_app = |id: &str| self.state.channels.get(id).and_then(|c| c.stasis.as_deref()) == Some(name);
            let inside = channels.iter().any(|(id, _)| of_app(id));
            if app.hears(&About { kind, channels, bridges, inside }) {
                frames.push((client, render(name)));
            }
        }
        self.truth.sent += frames.len() as u64;
        for (client, text) in frames {
            self.send(client, Frame::Text(text));
        }
        connected
    }

    /// Sets a global variable; beyond the limit only those that are set can be changed.
    pub(super) fn set_global(&mut self, name: String, value: String) {
        if self.globals.len() < GLOBALS || self.globals.contains_key(&name) {
            self.globals.insert(name, value);
        }
    }

    /// The wrong answer that a test wants for this request, if any.
    pub(super) fn overridden(&mut self, method: &str, path: &str) -> Option<Answer> {
        let wanted = self.rest_override.as_mut()?;
        if wanted.method.as_ref().is_some_and(|m| m != method) || !path.contains(&wanted.path_contains) {
            return None;
        }
        let answer = Answer { status: wanted.status, body: Some(wanted.body.clone()), allow: None };
        if let Some(times) = &mut wanted.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.rest_override = None;
            }
        }
        Some(answer)
    }

    /// Keeps what became of a playing.
    pub(super) fn remember(&mut self, call: PlayedCall) {
        if call.disturbed {
            self.truth.disturbed += 1;
        } else {
            self.truth.finished += 1;
            for row in &call.expected {
                *self.truth.by_status.entry(row.status.clone()).or_default() += 1;
            }
        }
        if self.played.len() == REMEMBERED {
            self.played.pop_front();
        }
        self.played.push_back(call);
    }
}
