//! Recorded calls over one WebSocket as fast as it takes them, for the bench.
//!
//! Calls begin at a steady rate of *call time* and their events are sent in the order of call time; at full speed
//! call time runs as fast as the socket takes the frames, paced it is this machine's clock. Either way each call is
//! the recorded one, with its durations. At full speed the times end about now and begin in the past.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, SinkExt, StreamExt};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};

use super::cast::Cast;
use super::clock::now_ms;
use super::handle::Sim;
use super::instance::{CallClock, Instance, Numbering};
use super::library::{Library, MixEntry};
use super::player::choose;
use super::template::Template;
use super::{People, SimConfig, SimError, SimHandle};

/// Frames between looks at what the client sent (pings).
const LOOK_EVERY: u64 = 256;

/// How a load run is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As fast as the socket takes the frames.
    FullSpeed {
        /// Calls that live at once, on average.
        concurrency: usize,
    },
    /// In real time: each event is sent when its timestamp says, so that a reader can measure its latency.
    EventsPerSecond(f64),
}

/// What a load run sends.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPlan {
    /// How many calls.
    pub calls: u64,
    /// Which.
    pub mix: Vec<MixEntry>,
    /// How fast.
    pub pace: Pace,
    /// The app of the events.
    pub app: String,
    /// Event types that are not sent. `serve` leaves out what the client's event filter disallows, too.
    pub without: Vec<String>,
    /// For the same ids and choices again.
    pub seed: u64,
    /// How long to wait after the WebSocket's handshake before the first event, so that the client can set its filter.
    pub settle: Duration,
    /// Nothing more is sent once the last call has begun: what lives then stays open.
    pub leave_open: bool,
    /// So many calls are begun first, beside `calls`; each stands still at its longest pause and isn't ended.
    pub standing: u64,
    /// How long nothing is sent once they stand.
    pub pause: Duration,
    /// At full speed: so many frames a second at most, on average. Without it the socket alone decides, which takes what a
    /// journal takes: a long run overtakes the database.
    pub at_most: Option<u32>,
}

impl Default for LoadPlan {
    fn default() -> Self {
        let parts =
            [("answered", 50), ("callee_hangs_up", 20), ("busy", 10), ("rejected", 5), ("abandoned", 10), ("hold", 5)];
        Self {
            calls: 10_000,
            mix: parts.iter().map(|(name, weight)| MixEntry::new(name, *weight)).collect(),
            pace: Pace::FullSpeed { concurrency: 1_000 },
            app: "callcenter-app".to_owned(),
            without: Vec::new(),
            seed: 1,
            settle: Duration::ZERO,
            leave_open: false,
            standing: 0,
            pause: Duration::ZERO,
            at_most: None,
        }
    }
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Calls that went to their end: all of them, but for those that `LoadPlan::leave_open` leaves.
    pub calls: u64,
    /// Frames.
    pub events: u64,
    /// How many of them were of calls that stand still.
    pub standing_events: u64,
    /// Their text, bytes.
    pub bytes: u64,
    /// Rows that `calls` must hold afterwards, by status, but for calls that stand still.
    pub by_status: BTreeMap<String, u64>,
    /// When the first frame was sent, milliseconds since 1970.
    pub first_at: i64,
    /// When the last frame had been handed to the kernel, milliseconds since 1970.
    pub last_at: i64,
    /// From the first to the last, seconds.
    pub seconds: f64,
    /// The most calls that lived at once.
    pub most_live: usize,
}

/// All frames of a load run, one after the other.
pub struct LoadStream {
    library: Library,
    plan: LoadPlan,
    skipped: HashSet<String>,
    rng: StdRng,
    numbering: Numbering,
    live: HashMap<u64, (Instance, usize)>,
    due: BinaryHeap<Reverse<(i64, u64)>>,
    /// The first call's moment, milliseconds since 1970.
    start: i64,
    /// Milliseconds of call time between two calls.
    gap: f64,
    begun: u64,
    report: LoadReport,
}

impl LoadStream {
    /// Prepares a run; call time begins so that it ends about now (full speed), or begins now (paced).
    ///
    /// # Errors
    /// When the mix names a recording that is not there, or a number makes no sense.
    pub fn new(plan: LoadPlan) -> Result<Self, SimError> {
        SimConfig { mix: plan.mix.clone(), app: plan.app.clone(), ..SimConfig::default() }.check()?;
        let library = Library::for_mix(&plan.mix)?;
        let skipped: HashSet<String> = plan.without.iter().cloned().collect();
        let (length, events) = averages(&plan.mix, &library, &skipped);
        let gap = match plan.pace {
            Pace::FullSpeed { concurrency: 0 } => {
                return Err(SimError::Config("load: concurrency must be at least 1".to_owned()));
            }
            Pace::FullSpeed { concurrency } => length / concurrency as f64,
            Pace::EventsPerSecond(rate) if rate.is_finite() && rate > 0.0 => events * 1000.0 / rate,
            Pace::EventsPerSecond(rate) => {
                return Err(SimError::Config(format!("load: {rate} events a second can't be sent")));
            }
        };
        let now = now_ms();
        let start = match plan.pace {
            Pace::FullSpeed { .. } => now - (gap * (plan.standing + plan.calls) as f64 + 2.0 * length) as i64,
            Pace::EventsPerSecond(_) => now,
        };
        let rng = StdRng::seed_from_u64(plan.seed);
        Ok(Self {
            library,
            plan,
            skipped,
            rng,
            numbering: Numbering::default(),
            live: HashMap::new(),
            due: BinaryHeap::new(),
            start,
            gap,
            begun: 0,
            report: LoadReport::default(),
        })
    }

    /// Whether all calls that are to stand still do so, and no other has begun.
    fn all_stand(&self) -> bool {
        self.plan.standing > 0 && self.begun == self.plan.standing && self.due.is_empty()
    }

    /// What was rendered so far.
    pub fn report(&self) -> &LoadReport {
        &self.report
    }

    /// The next event: when it is due in call time (milliseconds since 1970), and its text. `None` at the end.
    pub fn next_event(&mut self) -> Option<(i64, String)> {
        loop {
            if self.plan.leave_open && self.begun == self.plan.standing + self.plan.calls {
                return None;
            }
            let all_stand_first = self.begun == self.plan.standing && !self.due.is_empty();
            let more = self.begun < self.plan.standing + self.plan.calls && !all_stand_first;
            let arrival = more.then(|| self.start + (self.gap * self.begun as f64) as i64);
            match (self.due.peek(), arrival) {
                (Some(Reverse((at, _))), Some(begin)) if *at <= begin => {}
                (_, Some(begin)) => {
                    self.begin(begin);
                    continue;
                }
                (Some(_), None) => {}
                (None, None) => return None,
            }
            let Reverse((at, key)) = self.due.pop()?;
            if let Some(text) = self.step(key) {
                self.report.events += 1;
                self.report.bytes += text.len() as u64;
                return Some((at, text));
            }
        }
    }

    fn begin(&mut self, at: i64) {
        self.begun += 1;
        let Some(entry) = choose(&self.plan.mix, &mut self.rng) else { return };
        let direction = entry.direction;
        let templates = self.library.get(&entry.recording);
        let template: Arc<Template> = templates[self.rng.random_range(0..templates.len())].clone();
        let people = People::default();
        let cast = Cast::choose(&template, direction, &people, &HashSet::new(), &mut self.rng);
        let clock = CallClock { start: at, stretch: 1.0, speed: 1.0, waits: Vec::new() };
        let instance = Instance::new(template, clock, cast, &self.plan.app, &mut self.numbering, &mut self.rng);
        let ends = self.begun > self.plan.standing;
        for row in instance.expected().into_iter().filter(|_| ends) {
            *self.report.by_status.entry(row.status).or_default() += 1;
        }
        self.due.push(Reverse((instance.due(0), self.begun)));
        self.live.insert(self.begun, (instance, 0));
        self.report.most_live = self.report.most_live.max(self.live.len());
    }

    /// The text of a call's next event, unless its type is not sent.
    fn step(&mut self, key: u64) -> Option<String> {
        let (instance, next) = self.live.get_mut(&key)?;
        let index = *next;
        *next += 1;
        let event = &instance.template.events[index];
        let text = (!self.skipped.contains(&event.kind)).then(|| {
            let mut text = String::with_capacity(1024);
            instance.render(index, &self.plan.app, &mut text);
            text
        });
        let stands = key <= self.plan.standing;
        self.report.standing_events += u64::from(stands && text.is_some());
        if stands && *next == instance.template.longest_pause() {
            return text;
        }
        if *next < instance.template.events.len() {
            self.due.push(Reverse((instance.due(*next), key)));
        } else {
            self.live.remove(&key);
            self.report.calls += 1;
        }
        text
    }
}

/// The mean length (milliseconds) and number of events of a call of this mix.
fn averages(mix: &[MixEntry], library: &Library, skipped: &HashSet<String>) -> (f64, f64) {
    let (mut length, mut events, mut weights) = (0.0, 0.0, 0.0);
    for entry in mix {
        let templates = library.get(&entry.recording);
        for template in &templates {
            let weight = f64::from(entry.weight) / templates.len() as f64;
            length += weight * template.events.last().map_or(0.0, |e| e.at as f64);
            events += weight * template.events.iter().filter(|e| !skipped.contains(&e.kind)).count() as f64;
            weights += weight;
        }
    }
    (length / f64::max(weights, 1.0), events / f64::max(weights, 1.0))
}

/// A run whose frames have all been sent; the socket is still open.
pub struct LoadSession {
    /// What was sent.
    pub report: LoadReport,
    socket: WebSocketStream<TcpStream>,
    /// What answers REST meanwhile, if anything does.
    rest: Option<Rest>,
}

impl LoadSession {
    /// Keeps the socket open (pings are answered) until the client ends it, at most for `limit`.
    pub async fn hold(mut self, limit: Duration) {
        // Running into the limit is one of the two ends.
        let _ = tokio::time::timeout(limit, answer_pings(&mut self.socket)).await;
        if let Some(rest) = self.rest.take() {
            rest.forwarder.abort();
        }
    }
}

/// Until the client ends it.
async fn answer_pings(socket: &mut WebSocketStream<TcpStream>) {
    // Reading answers pings; the answer goes out with the flush.
    while let Some(Ok(message)) = socket.next().await {
        let flushed = socket.flush().await;
        if message.is_close() || flushed.is_err() {
            break;
        }
    }
}

/// Takes one WebSocket client and sends it the whole run. There is no REST, and no password is asked for: this is
/// for readers that only read.
///
/// # Errors
/// When the plan makes no sense, or the socket fails or is closed before the end.
pub async fn serve_once(listener: TcpListener, plan: LoadPlan) -> Result<LoadSession, SimError> {
    let stream = LoadStream::new(plan)?;
    let (tcp, _) = listener.accept().await.map_err(|source| io("the load run's listener", source))?;
    let socket = handshake(tcp).await?;
    send(socket, stream, None).await
}

/// As `serve_once`, but with ARI's REST beside the WebSocket, so that the whole service can be the client: its app
/// is there, its filter is obeyed, and commands for channels are answered with 204. User and password are those of
/// `SimConfig::default()`.
///
/// # Errors
/// As `serve_once`.
pub async fn serve(listener: TcpListener, plan: LoadPlan) -> Result<LoadSession, SimError> {
    // Refuses a plan that makes no sense before anybody connects.
    LoadStream::new(plan.clone())?;
    let config = SimConfig { app: plan.app.clone(), ..SimConfig::default() };
    let sim = Sim::start_with(config, true)?;
    let inner = sim.port();
    let (sockets, mut upgraded) = tokio::sync::mpsc::channel(1);
    let forwarder = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(route(tcp, inner, sockets.clone()));
        }
    });
    let tcp = upgraded.recv().await.ok_or_else(|| SimError::Socket("the listener ended".to_owned()))?;
    upgraded.close();
    let socket = handshake(tcp).await?;
    let (client, frames) = sim.shared.world().connect(std::slice::from_ref(&plan.app), true, now_ms());
    tokio::time::sleep(plan.settle).await;
    let mut plan = LoadPlan { settle: Duration::ZERO, ..plan };
    plan.without.extend(filtered(&sim, &plan.app));
    send(socket, LoadStream::new(plan)?, Some(Rest { _sim: sim, _frames: frames, _client: client, forwarder })).await
}

/// What stands beside the WebSocket of `serve`.
struct Rest {
    _sim: SimHandle,
    /// Held so that the app keeps its client.
    _frames: tokio::sync::mpsc::Receiver<super::world::Frame>,
    _client: u64,
    forwarder: tokio::task::JoinHandle<()>,
}

/// The types that the client's event filter disallows.
fn filtered(sim: &SimHandle, app: &str) -> Vec<String> {
    let app = sim.shared.world().app_json(app).unwrap_or_default();
    let list = app["events_disallowed"].as_array().cloned().unwrap_or_default();
    list.iter().filter_map(|f| f["type"].as_str().map(str::to_owned)).collect()
}

/// A WebSocket's connection goes to the sender, any other to the REST server.
async fn route(mut tcp: TcpStream, inner: u16, sockets: tokio::sync::mpsc::Sender<TcpStream>) {
    let mut head = [0u8; 2048];
    let Ok(read) = tcp.peek(&mut head).await else { return };
    if String::from_utf8_lossy(&head[..read]).to_ascii_lowercase().contains("upgrade: websocket") {
        // A second WebSocket finds nobody who takes it, and is closed.
        let _ = sockets.try_send(tcp);
    } else if let Ok(mut rest) = TcpStream::connect(("127.0.0.1", inner)).await {
        let _ = tokio::io::copy_bidirectional(&mut tcp, &mut rest).await;
    }
}

async fn handshake(tcp: TcpStream) -> Result<WebSocketStream<TcpStream>, SimError> {
    let _ = tcp.set_nodelay(true);
    #[expect(clippy::result_large_err, reason = "the form of the callback is the library's")]
    let protocol = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        if request.headers().contains_key("sec-websocket-protocol") {
            response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("ari"));
        }
        Ok(response)
    };
    accept_hdr_async(tcp, protocol).await.map_err(|e| failed(&e))
}

/// Sends the run.
async fn send(
    mut socket: WebSocketStream<TcpStream>,
    mut stream: LoadStream,
    rest: Option<Rest>,
) -> Result<LoadSession, SimError> {
    tokio::time::sleep(stream.plan.settle).await;
    let paced = matches!(stream.plan.pace, Pace::EventsPerSecond(_));
    if paced {
        stream.start = now_ms();
    }
    let (first_at, begun) = (now_ms(), Instant::now());
    while let Some((due, text)) = stream.next_event() {
        let early = if paced { due - now_ms() } else { 0 };
        if early > 0 {
            socket.flush().await.map_err(|e| failed(&e))?;
            tokio::time::sleep(Duration::from_millis(u64::try_from(early).unwrap_or(0))).await;
        }
        socket.feed(Message::text(text)).await.map_err(|e| failed(&e))?;
        if stream.all_stand() {
            socket.flush().await.map_err(|e| failed(&e))?;
            // Running into the limit is how it ends.
            let _ = tokio::time::timeout(stream.plan.pause, answer_pings(&mut socket)).await;
        }
        if stream.report.events.is_multiple_of(LOOK_EVERY) {
            if let Some(rate) = stream.plan.at_most {
                let due = Duration::from_secs_f64(stream.report.events as f64 / f64::from(rate.max(1)));
                tokio::time::sleep(due.saturating_sub(begun.elapsed())).await;
            }
            match socket.next().now_or_never() {
                Some(Some(Ok(Message::Close(_))) | None) => {
                    return Err(SimError::Socket("the client closed it before the end".to_owned()));
                }
                Some(Some(Err(error))) => return Err(failed(&error)),
                Some(Some(Ok(_))) | None => {}
            }
        }
    }
    socket.flush().await.map_err(|e| failed(&e))?;
    let seconds = begun.elapsed().as_secs_f64();
    let report = LoadReport { first_at, last_at: now_ms(), seconds, ..stream.report };
    Ok(LoadSession { report, socket, rest })
}

fn failed(error: &Error) -> SimError {
    SimError::Socket(error.to_string())
}

fn io(what: &str, source: std::io::Error) -> SimError {
    SimError::Io { what: what.to_owned(), source }
}
