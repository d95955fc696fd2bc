//! The listener to which Asterisk 22.5 and later connects out (`websocket_client.conf`, `type = outbound_websocket`).
//!
//! Whoever comes must name the path, log in and offer the subprotocol `ari`, all within a time; an address that failed too
//! often is turned away before it may try again. Nobody is told more than the status.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use ring::digest::{SHA256, digest};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tracing::{debug, warn};

use super::{READ_BEYOND_BYTES, Socket, Unchecked, wire};
use crate::config::Secret;

/// What Asterisk offers as `Sec-WebSocket-Protocol`.
const SUBPROTOCOL: &str = "ari";
/// Handshakes under way at once; who comes then waits in the kernel's queue.
const HANDSHAKES: usize = 16;
/// Of these, the places of one address: silence from there keeps no other address out.
const PLACES: usize = 8;
/// Failed tries of one address in [`ATTEMPTS_SPAN`]; one more is not read at all.
const ATTEMPTS: u32 = 10;
/// The span over which failed tries are counted.
const ATTEMPTS_SPAN: Duration = Duration::from_secs(60);
/// Addresses remembered; beyond them the oldest is forgotten.
const ADDRESSES: usize = 1_024;
/// The pause after the kernel could hand over no connection (no file handles, say).
const PAUSE: Duration = Duration::from_millis(200);

/// Who may come, and how.
#[derive(Clone, Debug)]
pub struct Door {
    /// The path that Asterisk names in its `uri`.
    pub path: String,
    /// The user that Asterisk logs in as.
    pub username: String,
    /// That user's password.
    pub password: Secret,
    /// The largest frame that is kept, bytes.
    pub max_frame_bytes: usize,
    /// The longest time from the connection to the end of the handshake.
    pub handshake: Duration,
}

/// Waits for Asterisk's connection.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<TlsAcceptor>,
    door: Door,
    /// SHA-256 of the only `Authorization` that is right: of equal length whatever comes.
    login: Vec<u8>,
    failed: Failed,
    told: Told,
}

/// What was said of the last one that was not let in: one that is set up wrongly tries each second, for days.
#[derive(Debug, Default)]
struct Told(String);

impl Told {
    fn say(&mut self, said: String) {
        if self.0 == said {
            debug!("{said}")
        } else {
            warn!("{said}")
        }
        self.0 = said;
    }
}

/// Failed tries by address.
#[derive(Debug, Default)]
struct Failed(HashMap<IpAddr, (Instant, u32)>);

impl Failed {
    fn too_often(&mut self, who: IpAddr) -> bool {
        match self.0.get(&who) {
            Some((since, _)) if since.elapsed() > ATTEMPTS_SPAN => {
                self.0.remove(&who);
                false
            }
            Some((_, tries)) => *tries >= ATTEMPTS,
            None => false,
        }
    }

    fn count(&mut self, who: IpAddr) {
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&who) {
            let oldest = self.0.iter().min_by_key(|(_, (since, _))| *since).map(|(ip, _)| *ip);
            oldest.and_then(|ip| self.0.remove(&ip));
        }
        self.0.entry(who).or_insert_with(|| (Instant::now(), 0)).1 += 1;
    }
}

/// A certificate chain and its key from PEM files, for [`Listener::bind`].
///
/// # Errors
/// Which file can't be used and why.
pub fn server_tls(certificate: &Path, key: &Path) -> Result<TlsAcceptor, String> {
    let unusable = |file: &Path, why: String| format!("{} can't be used: {why}", file.display());
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| unusable(certificate, e.to_string()))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(key, e.to_string()))?;
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|e| unusable(certificate, e.to_string()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

impl Listener {
    /// Takes the address.
    ///
    /// # Errors
    /// When another program has it, or this machine doesn't.
    pub async fn bind(address: &str, tls: Option<TlsAcceptor>, door: Door) -> io::Result<Self> {
        let login = digest_of(&format!("{}:{}", door.username, door.password.expose()));
        Ok(Self {
            tcp: TcpListener::bind(address).await?,
            tls,
            door,
            login,
            failed: Failed::default(),
            told: Told::default(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// None that the system is known to give.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }

    /// Where Asterisk is expected, for people.
    pub fn shown(&self) -> String {
        let scheme = if self.tls.is_some() { "wss" } else { "ws" };
        let address = self.address().map_or_else(|e| e.to_string(), |address| address.to_string());
        format!("{scheme}://{address}{}", self.door.path)
    }

    /// Waits until somebody is let in; who isn't is logged.
    pub async fn accept(&mut self) -> Socket {
        let Self { tcp, tls, door, login, failed, told } = self;
        let mut under_way = FuturesUnordered::new();
        let mut places: Vec<IpAddr> = Vec::with_capacity(HANDSHAKES);
        loop {
            tokio::select! {
                Some((who, result)) = under_way.next() => match result {
                    Ok(socket) => return socket,
                    Err(Failure { counts, reason }) => {
                        let ip = SocketAddr::ip(&who);
                        if let Some(place) = places.iter().position(|held| *held == ip) {
                            places.swap_remove(place);
                        }
                        // One that broke off or was slow is no guess: Asterisk itself is slow under load.
                        if counts {
                            failed.count(ip);
                        }
                        told.say(format!("a connection from {ip} to the feed's listener came to nothing: {reason}"));
                    }
                },
                came = tcp.accept(), if under_way.len() < HANDSHAKES => match came {
                    Ok((_, who)) if failed.too_often(who.ip()) => {
                        debug!("a connection from {who} was not read: too many failed tries");
                    }
                    Ok((_, who)) if places.iter().filter(|held| **held == who.ip()).count() >= PLACES => {
                        debug!("a connection from {who} was not read: {PLACES} from there are under way");
                    }
                    Ok((stream, who)) => {
                        places.push(who.ip());
                        let (tls, door, login) = (tls.as_ref(), &*door, login.as_slice());
                        under_way.push(async move {
                            let result = timeout(door.handshake, Box::pin(handshake(stream, tls, door, login))).await;
                            (who, result.unwrap_or_else(|_| Err("it took too long".into())))
                        });
                    }
                    Err(error) => {
                        warn!("the feed's listener can take no connection: {error}");
                        tokio::time::sleep(PAUSE).await;
                    }
                },
            }
        }
    }

    /// Closes whatever connects, as long as it is polled, and says `why`. Whoever isn't accepted would give up after a while,
    /// but stay in the kernel's queue before those that live.
    pub async fn refuse(&mut self, why: &str) -> std::convert::Infallible {
        loop {
            match self.tcp.accept().await {
                Ok((_, who)) => self.told.say(format!("a connection from {} was refused: {why}", who.ip())),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }
}

/// Why somebody did not come in.
struct Failure {
    reason: String,
    /// Whether it counts as a try: a wrong login, path or subprotocol.
    counts: bool,
}

impl<S: Into<String>> From<S> for Failure {
    fn from(reason: S) -> Self {
        Self { reason: reason.into(), counts: false }
    }
}

async fn handshake(stream: TcpStream, tls: Option<&TlsAcceptor>, door: &Door, login: &[u8]) -> Result<Socket, Failure> {
    let limit = Some(door.max_frame_bytes.saturating_add(READ_BEYOND_BYTES));
    let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
    // Small frames (pings, requests) shall not wait for an acknowledgement.
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let stream = match tls {
        Some(tls) => wire(tls.accept(stream).await.map_err(|e| format!("TLS: {e}"))?),
        None => wire(stream),
    };
    #[expect(clippy::result_large_err, reason = "the type is the library's")]
    let judge = |request: &Request, mut response: Response| match judge(request, &door.path, login) {
        Ok(()) => {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
            Ok(response)
        }
        Err(status) => Err(refusal(status)),
    };
    let accepted = tokio_tungstenite::accept_hdr_async_with_config(Unchecked::new(stream), judge, Some(config)).await;
    accepted.map_err(|e| Failure { counts: matches!(e, Error::Http(_)), reason: e.to_string() })
}

/// The login first: a stranger learns no path.
fn judge(request: &Request, path: &str, login: &[u8]) -> Result<(), StatusCode> {
    let given = request.headers().get(header::AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    let given = given.strip_prefix(b"Basic ").and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
    if !bool::from(digest(&SHA256, &given).as_ref().ct_eq(login)) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    if request.uri().path() != path {
        return Err(StatusCode::NOT_FOUND);
    }
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let ari = |value: &HeaderValue| value.to_str().is_ok_and(|v| v.split(',').any(|one| one.trim() == SUBPROTOCOL));
    if offered.iter().any(ari) { Ok(()) } else { Err(StatusCode::BAD_REQUEST) }
}

fn refusal(status: StatusCode) -> ErrorResponse {
    let mut response = ErrorResponse::new(None);
    *response.status_mut() = status;
    if status == StatusCode::UNAUTHORIZED {
        let realm = HeaderValue::from_static("Basic realm=\"callcenter\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
    }
    response
}

fn digest_of(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}
