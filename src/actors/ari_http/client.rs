//! The REST client: one request, one typed answer.

use std::time::{Duration, Instant};

use actix_web::http::Method as HttpMethod;
use actix_web::http::header::{AUTHORIZATION, DATE, HeaderValue, USER_AGENT};
use awc::error::{ConnectError, SendRequestError};
use awc::{Client, Connector};
use bytes::Bytes;
use serde::Deserialize;

use super::AriHttp;
use crate::ari::outcome::Outcome;
use crate::ari::request::{Method, Request};
use crate::model::Timestamp;

/// Asterisk closes a connection that was idle for 15 s; ours is given up before, so that no request meets the close.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// The largest answer read: `GET /channels` has about 500 bytes a channel; recordings are larger.
const MAX_BODY_BYTES: usize = 256 * 1024 * 1024;

/// What came back for a request, when and how long it took.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it means.
    pub outcome: Outcome,
    /// HTTP status, over the event socket as well; 0 when none came.
    pub status: u16,
    /// From sending to the whole answer.
    pub took: Duration,
    /// Asterisk's clock at the answer (its `Date` header, whole seconds), seconds since 1970.
    pub asterisk_at: Option<f64>,
    /// Whether it was sent a second time, on a fresh connection.
    pub retried: bool,
    /// Whether it went over the event socket, not over HTTP.
    pub over_socket: bool,
}

impl Answer {
    /// An answer that did not come from Asterisk.
    pub fn without_asterisk(outcome: Outcome, took: Duration) -> Self {
        Self { outcome, status: 0, took, asterisk_at: None, retried: false, over_socket: false }
    }

    /// Asterisk's clock at the answer, seconds since 1970: `Date` cuts the second off, on average half a second more.
    pub fn clock(&self) -> Option<f64> {
        self.asterisk_at.map(|at| at + 0.5)
    }

    /// Asterisk's own epoch second, of an answer to [`Request::Ping`].
    pub fn epoch_second(&self) -> Option<u64> {
        #[derive(Deserialize)]
        struct Pong {
            timestamp: Timestamp,
        }
        let pong: Pong = serde_json::from_slice(self.outcome.body()?).ok()?;
        u64::try_from(pong.timestamp.millis() / 1_000).ok()
    }

    /// Asterisk's version, of an answer to [`Request::Info`].
    pub fn version(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Info {
            system: System,
        }
        #[derive(Deserialize)]
        struct System {
            version: String,
        }
        serde_json::from_slice::<Info>(self.outcome.body()?).ok().map(|info| info.system.version)
    }

    /// When Asterisk was started, as it says it (`status.startup_time`), of an answer to [`Request::Info`].
    pub fn startup(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Info {
            status: Status,
        }
        #[derive(Deserialize)]
        struct Status {
            startup_time: String,
        }
        serde_json::from_slice::<Info>(self.outcome.body()?).ok().map(|info| info.status.startup_time)
    }
}

/// A REST client of one thread.
pub struct AriClient {
    client: Client,
    root: String,
    timeout: Duration,
}

struct Received {
    status: u16,
    body: Bytes,
    asterisk_at: Option<f64>,
}

impl AriClient {
    pub(super) fn new(http: &AriHttp, connections: usize) -> Self {
        let connector = Connector::new()
            .timeout(http.connect_timeout)
            .handshake_timeout(http.connect_timeout)
            .conn_keep_alive(KEEP_ALIVE)
            .limit(connections.max(1));
        let connector = match &http.tls {
            Some(tls) => connector.rustls_0_23(tls.clone()),
            None => connector,
        };
        let mut builder = Client::builder()
            .connector(connector)
            // A redirect could carry the credentials elsewhere.
            .disable_redirects()
            // The whole request, body included, has one limit in `ask`.
            .disable_timeout()
            .add_default_header((USER_AGENT, concat!("callcenter/", env!("CARGO_PKG_VERSION"))));
        if let Ok(mut login) = HeaderValue::from_str(http.authorization.expose()) {
            // Base64 is always a header value.
            login.set_sensitive(true);
            builder = builder.add_default_header((AUTHORIZATION, login));
        }
        Self { client: builder.finish(), root: http.root.clone(), timeout: http.request_timeout }
    }

    /// Sends it and waits for the answer, within the configured time. Only a request that changes nothing is sent a
    /// second time, when its connection turns out to be closed.
    pub async fn ask(&self, request: &Request) -> Answer {
        let start = Instant::now();
        let mut retried = false;
        let sending = async {
            match self.send(request).await {
                Err(error) if !request.changes_something() && was_closed(&error) => {
                    retried = true;
                    self.send(request).await
                }
                first => first,
            }
        };
        let received = tokio::time::timeout(self.timeout, sending).await;
        let took = start.elapsed();
        match received {
            Ok(Ok(received)) => Answer {
                outcome: Outcome::from_answer(received.status, received.body),
                status: received.status,
                took,
                asterisk_at: received.asterisk_at,
                retried,
                over_socket: false,
            },
            Ok(Err(error)) => Answer { retried, ..Answer::without_asterisk(failure(&error), took) },
            Err(_) => Answer { retried, ..Answer::without_asterisk(Outcome::TimedOut, took) },
        }
    }

    async fn send(&self, request: &Request) -> Result<Received, SendRequestError> {
        let url = format!("{}{}", self.root, request.path_and_query());
        let builder = self.client.request(method(request.method()), url);
        let mut response = match request.body() {
            Some(body) => builder.send_json(&body).await?,
            None => builder.send().await?,
        };
        let asterisk_at = response.headers().get(DATE).and_then(|v| v.to_str().ok()).and_then(date);
        let status = response.status().as_u16();
        let body = response
            .body()
            .limit(MAX_BODY_BYTES)
            .await
            .map_err(|e| SendRequestError::Send(std::io::Error::other(format!("the answer broke off: {e}"))))?;
        Ok(Received { status, body, asterisk_at })
    }
}

impl std::fmt::Debug for AriClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AriClient").field("root", &self.root).finish_non_exhaustive()
    }
}

fn method(method: Method) -> HttpMethod {
    match method {
        Method::Get => HttpMethod::GET,
        Method::Post => HttpMethod::POST,
        Method::Put => HttpMethod::PUT,
        Method::Delete => HttpMethod::DELETE,
    }
}

/// Whether the connection was closed under the request, as a server does with an idle one.
fn was_closed(error: &SendRequestError) -> bool {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) | SendRequestError::Send(_) => true,
        SendRequestError::Connect(ConnectError::Io(io)) => io.kind() != std::io::ErrorKind::ConnectionRefused,
        // Another crate's error: whatever else it holds is no closed connection.
        _ => false,
    }
}

fn failure(error: &SendRequestError) -> Outcome {
    match error {
        SendRequestError::Timeout | SendRequestError::Connect(ConnectError::Timeout) => Outcome::TimedOut,
        SendRequestError::Connect(ConnectError::Disconnected) => {
            Outcome::Unreachable("the connection was closed before the answer".into())
        }
        SendRequestError::Connect(error) => Outcome::Unreachable(error.to_string()),
        SendRequestError::Send(error) => Outcome::Unreachable(error.to_string()),
        other => Outcome::Unreachable(other.to_string()),
    }
}

/// `Sun, 22 Nov 2026 15:33:58 GMT` in seconds since 1970.
pub(super) fn date(text: &str) -> Option<f64> {
    chrono::DateTime::parse_from_rfc2822(text).ok().map(|t| t.timestamp() as f64)
}
