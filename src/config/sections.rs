//! One struct a section of the configuration, with its defaults.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// One Asterisk server: `[[asterisk]]`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asterisk {
    /// Its name: part of every key in the database.
    pub name: String,
    /// ARI's root, `http`, `https`, `ws` or `wss`, with or without a prefix: `http://127.0.0.1:8088/asterisk/ari`.
    pub url: String,
    /// A user of Asterisk's `ari.conf`.
    pub username: String,
    /// That user's password.
    pub password: Secret,
    /// The Stasis application that the dialplan names.
    pub app: String,
    /// A PEM file with the certificate authority that signed Asterisk's certificate, if it is a private one.
    pub ca_file: Option<PathBuf>,
    /// Accept mode: the address and port at which the feed process waits for Asterisk's own connection
    /// (`websocket_client.conf`). Empty: the feed connects to Asterisk.
    pub feed_listen: String,
    /// The password with which Asterisk comes; its user is [`Self::name`].
    pub feed_password: Secret,
}

impl Default for Asterisk {
    fn default() -> Self {
        Self {
            name: "main".into(),
            url: "http://127.0.0.1:8088/ari".into(),
            username: "asterisk".into(),
            password: Secret::default(),
            app: "callcenter-app".into(),
            ca_file: None,
            feed_listen: String::new(),
            feed_password: Secret::default(),
        }
    }
}

impl Asterisk {
    /// The URL for people: not shown where it could hold credentials (which validation refuses).
    pub fn shown_url(&self) -> &str {
        shown_url(&self.url)
    }

    /// The secret of this field, if it is one.
    pub(super) fn secret(&self, field: &str) -> Option<&Secret> {
        match field {
            "password" => Some(&self.password),
            "feed_password" => Some(&self.feed_password),
            _ => None,
        }
    }

    /// Whether Asterisk connects to the feed process, not the other way round.
    pub fn accepts(&self) -> bool {
        !self.feed_listen.is_empty()
    }

    /// The path that Asterisk names when it connects to the feed process.
    pub fn feed_path(&self) -> String {
        format!("/feed/{}", self.name)
    }
}

impl fmt::Debug for Asterisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asterisk")
            .field("name", &self.name)
            .field("url", &self.shown_url())
            .field("username", &self.username)
            .field("password", &self.password)
            .field("app", &self.app)
            .field("ca_file", &self.ca_file)
            .field("feed_listen", &self.feed_listen)
            .field("feed_password", &self.feed_password)
            .finish()
    }
}

/// A URL for people: `user:password@` and `?api_key=` are the places where ARI's credentials can stand.
pub(super) fn shown_url(url: &str) -> &str {
    if url.contains(['@', '?', '#']) { "(not shown: it may hold credentials)" } else { url }
}

/// How the connection to each Asterisk behaves: `[ari]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ari {
    /// Milliseconds that a connect, handshake included, may take.
    pub connect_timeout_ms: u64,
    /// Milliseconds between our pings (Asterisk sends none).
    pub ping_interval_ms: u64,
    /// Milliseconds without a pong or any frame after which the link counts as dead.
    pub dead_after_ms: u64,
    /// The first wait before a new connect, milliseconds; doubles each time, with jitter.
    pub backoff_min_ms: u64,
    /// The longest wait before a new connect, milliseconds.
    pub backoff_max_ms: u64,
    /// A session shorter than this, milliseconds, doesn't reset the backoff.
    pub stable_after_ms: u64,
    /// Milliseconds between looks at whether the app is free, after another client took it.
    pub yield_check_ms: u64,
    /// Event types that Asterisk shall not send.
    pub event_filter: Vec<String>,
    /// The largest frame accepted, bytes.
    pub max_frame_bytes: usize,
    /// How requests about calls travel.
    pub transport: Transport,
    /// Milliseconds that one REST request may take.
    pub request_timeout_ms: u64,
    /// REST requests under way at once.
    pub max_in_flight: usize,
    /// REST requests waiting; one more is refused.
    pub queue_limit: usize,
}

/// How requests about calls travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Over the event socket where the server takes requests there, else over HTTP.
    Auto,
    /// Over HTTP.
    Http,
    /// As `Auto`, but a server that doesn't take requests on the event socket is warned of.
    Websocket,
}

impl Default for Ari {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 5_000,
            ping_interval_ms: 1_000,
            dead_after_ms: 4_000,
            backoff_min_ms: 200,
            backoff_max_ms: 10_000,
            stable_after_ms: 5_000,
            yield_check_ms: 5_000,
            event_filter: vec!["ChannelVarset".into()],
            max_frame_bytes: 16 * 1024 * 1024,
            transport: Transport::Auto,
            request_timeout_ms: 5_000,
            max_in_flight: 8,
            queue_limit: 1_000,
        }
    }
}

/// What tells the dialplan that the service answers: `[guard]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Guard {
    /// The global variable in Asterisk that is refreshed each second with Asterisk's own epoch second; empty: none.
    pub variable: String,
    /// Seconds after which the dialplan leads calls past the application.
    pub max_age_s: u64,
}

impl Default for Guard {
    fn default() -> Self {
        Self { variable: "CALLCENTER_ALIVE".into(), max_age_s: 3 }
    }
}

/// The journal on disk: `[journal]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Journal {
    /// Its folder; each node has one below it. Empty: `journal` beside the database.
    pub dir: PathBuf,
    /// A segment is closed at this size, bytes.
    pub segment_bytes: u64,
    /// All segments of a node together, bytes; at this limit the socket is closed on purpose, with a gap.
    pub max_bytes: u64,
    /// A segment is closed at this age, seconds.
    pub segment_age_s: u64,
    /// Milliseconds between fsyncs (what a power failure can take; a crash of the program takes nothing).
    pub sync_interval_ms: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            segment_bytes: 16 * 1024 * 1024,
            max_bytes: 2 * 1024 * 1024 * 1024,
            segment_age_s: 3_600,
            sync_interval_ms: 1_000,
        }
    }
}

/// Who listens to Asterisk, and with what certificate Asterisk is received: `[feed]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Feed {
    /// `auto`, `own` or `process`.
    pub mode: FeedMode,
    /// Accept mode: a PEM file with the certificate that the listener shows, its chain below it. Empty: no TLS.
    pub tls_cert: PathBuf,
    /// The PEM file with its private key.
    pub tls_key: PathBuf,
}

/// Whether the service listens itself or follows `callcenter feed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeedMode {
    /// It follows a feed process that runs when it starts, else it listens itself.
    #[default]
    Auto,
    /// It listens itself.
    Own,
    /// It follows a feed process, and waits for one.
    Process,
}

/// The database: `[database]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// The SQLite file.
    pub path: PathBuf,
    /// SQLite's `synchronous`: `normal` or `full`.
    pub synchronous: Synchronous,
    /// Milliseconds to wait for a lock that another program holds.
    pub busy_timeout_ms: u64,
    /// Rows of one transaction, at most.
    pub batch_rows: usize,
    /// Milliseconds to wait for more rows before a commit; 0 is group commit without a timer.
    pub batch_wait_ms: u64,
    /// Days that the raw log (`events`) and `changes` are kept; 0 keeps all.
    pub events_retention_days: u32,
    /// Days that calls are kept; 0 keeps all.
    pub calls_retention_days: u32,
    /// Read connections.
    pub read_connections: u32,
    /// Free bytes on the disk below which health complains.
    pub min_free_bytes: u64,
}

/// SQLite's `synchronous` in WAL mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// A power failure can take the last commits, which the journal may give back.
    Normal,
    /// Each commit is on the disk before it counts; group commit makes that one wait for many rows.
    Full,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            path: PathBuf::from("data/callcenter.db"),
            synchronous: Synchronous::Full,
            busy_timeout_ms: 5_000,
            batch_rows: 16_384,
            batch_wait_ms: 0,
            events_retention_days: 30,
            calls_retention_days: 0,
            read_connections: 4,
            min_free_bytes: 512 * 1024 * 1024,
        }
    }
}

/// The HTTP server: `[http]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// The port on the loopback interface; 0 takes a free one and names it in the log.
    pub port: u16,
}

impl Default for Http {
    fn default() -> Self {
        Self { port: 8080 }
    }
}

/// The log: `[log]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// `human` or `json`.
    pub format: LogFormat,
    /// Levels, also per module: `info`, `info,callcenter::actors::connection=debug`.
    pub level: String,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Human lines, coloured in a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Human, level: "info".into() }
    }
}

/// What numbers and endpoints mean: `[lines]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lines {
    /// The country (ISO 3166, two letters) whose rules national numbers follow.
    pub country: String,
    /// Endpoints that are trunks, as globs over the channel name without its last part: `PJSIP/trunk-*`.
    pub trunks: Vec<String>,
    /// Dialplan contexts in which calls from outside arrive.
    pub inbound_contexts: Vec<String>,
}

impl Default for Lines {
    fn default() -> Self {
        Self { country: "RU".into(), trunks: Vec::new(), inbound_contexts: Vec::new() }
    }
}

/// How calls are joined and closed: `[calls]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calls {
    /// Seconds of the journal's time that an ended channel is remembered.
    pub tombstone_s: u64,
    /// Journal bytes read at once, and so the most that one batch holds.
    pub read_bytes: usize,
    /// So many times `read_bytes` may be between the registry and the writer at once.
    pub max_batches: usize,
}

impl Default for Calls {
    fn default() -> Self {
        Self { tombstone_s: 60, read_bytes: 256 * 1024, max_batches: 96 }
    }
}

/// Reports: `[report]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Report {
    /// The IANA time zone by which days and hours are counted for people.
    pub time_zone: String,
}

impl Default for Report {
    fn default() -> Self {
        Self { time_zone: "UTC".into() }
    }
}

/// What happens when an actor no longer answers: `[watchdog]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Watchdog {
    /// Seconds without an answer after which the process ends, for the service manager to start it again. Longer than
    /// the longest write of a slow disk.
    pub stuck_after_s: u64,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { stuck_after_s: 60 }
    }
}
