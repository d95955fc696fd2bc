//! Where ARI is and how to get in: URLs, credentials and TLS, shared by the event socket and the REST client.

mod accept;
#[cfg(test)]
mod accept_tests;
mod client;
mod failure;
#[cfg(test)]
mod tests;
pub(super) mod tls;
mod unchecked;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, error::TlsError};
use url::Url;

pub use accept::{Door, Listener, server_tls};
pub use client::{Answer, AriClient};
pub use failure::{AriHttpError, SocketFailure};
pub use unchecked::Unchecked;

use crate::config::{Ari, Asterisk, Secret};

/// The event socket. Every message that holds an event comes as a binary one, whatever Asterisk called it: see [`Unchecked`].
pub type Socket = WebSocketStream<Unchecked<Wire>>;

/// What carries it: with or without TLS, whoever connected to whom.
pub type Wire = BufReader<Box<dyn Carrier>>;

/// What can carry the event socket.
pub trait Carrier: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug> Carrier for S {}

/// By how much a frame may exceed `ari.max_frame_bytes` and the socket is kept, bytes: it is read to its end and thrown
/// away but for a sample. What claims to be longer isn't read: the session ends.
const READ_BEYOND_BYTES: usize = 64 * 1024 * 1024;

/// What is read of the socket at once, bytes. The WebSocket library asks for little more than the message it is at (it has
/// room for more only as long as earlier messages are held): under load that would be a call of the kernel for every
/// three events.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// One Asterisk's ARI: addresses, credentials, TLS and limits. Cheap to clone, can be sent to any thread.
#[derive(Clone)]
pub struct AriHttp {
    root: String,
    events: String,
    user: String,
    app: String,
    authorization: Secret,
    tls: Option<Arc<rustls::ClientConfig>>,
    connect_timeout: Duration,
    request_timeout: Duration,
    max_frame_bytes: usize,
}

impl AriHttp {
    /// From the configuration; reads the certificate files when the URL asks for TLS.
    ///
    /// # Errors
    /// When the URL is none that ARI can have or the certificates can't be read, naming the key and what to do.
    pub fn new(asterisk: &Asterisk, ari: &Ari) -> Result<Self, AriHttpError> {
        let root = rest_root(&asterisk.url)?;
        if asterisk.app.is_empty() {
            return Err(AriHttpError::NoApp);
        }
        let secure = root.scheme() == "https";
        let login = STANDARD.encode(format!("{}:{}", asterisk.username, asterisk.password.expose()));
        Ok(Self {
            events: events_url(&root, &asterisk.app, true)?,
            root: root.as_str().trim_end_matches('/').to_owned(),
            user: asterisk.username.clone(),
            app: asterisk.app.clone(),
            authorization: Secret::new(format!("Basic {login}")),
            tls: if secure { Some(tls::client_config(asterisk.ca_file.as_deref())?) } else { None },
            connect_timeout: Duration::from_millis(ari.connect_timeout_ms),
            request_timeout: Duration::from_millis(ari.request_timeout_ms),
            max_frame_bytes: ari.max_frame_bytes,
        })
    }

    /// The same Asterisk with another application, or without everything that doesn't concern the application.
    ///
    /// # Errors
    /// None that [`Self::new`] would not have given for the same Asterisk.
    pub fn for_app(&self, app: &str, subscribe_all: bool) -> Result<Self, AriHttpError> {
        let events = events_url(&rest_root(&self.root)?, app, subscribe_all)?;
        Ok(Self { events, app: app.to_owned(), ..self.clone() })
    }

    /// REST's root, `http` or `https`, ending in `/ari`; without credentials.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The event socket's URL; without credentials.
    pub fn events(&self) -> &str {
        &self.events
    }

    /// The Stasis application.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The value of the `Authorization` header.
    pub fn authorization(&self) -> &Secret {
        &self.authorization
    }

    /// A REST client for the present thread with at most `connections` connections (Asterisk has 100 for all).
    pub fn client(&self, connections: usize) -> AriClient {
        AriClient::new(self, connections)
    }

    /// Opens the event socket, with the limits of the configuration.
    ///
    /// # Errors
    /// What was refused and what to do about it.
    pub async fn open_socket(&self) -> Result<Socket, SocketFailure> {
        let failed = |error| SocketFailure::new(self, &error);
        let mut request = self.events.as_str().into_client_request().map_err(failed)?;
        let mut login = HeaderValue::from_str(self.authorization.expose()).map_err(|e| failed(e.into()))?;
        login.set_sensitive(true);
        request.headers_mut().insert(header::AUTHORIZATION, login);
        let limit = Some(self.max_frame_bytes.saturating_add(READ_BEYOND_BYTES));
        let config = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
        let opening = async {
            let stream = Unchecked::new(self.stream().await?);
            tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await
        };
        match tokio::time::timeout(self.connect_timeout, Box::pin(opening)).await {
            Ok(Ok((socket, _response))) => Ok(socket),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(SocketFailure::timed_out(self)),
        }
    }

    /// The largest frame that is kept, bytes.
    pub fn max_frame_bytes(&self) -> usize {
        self.max_frame_bytes
    }

    /// A connection to Asterisk's HTTP server, with TLS where the URL asks for it.
    async fn stream(&self) -> Result<Wire, Error> {
        let url = Url::parse(&self.root).map_err(|e| Error::Io(std::io::Error::other(e)))?;
        let host = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or_default();
        let tcp = TcpStream::connect(format!("{host}:{port}")).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else { return Ok(wire(tcp)) };
        let name = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(name).map_err(|_| TlsError::InvalidDnsName)?;
        let secure = TlsConnector::from(tls.clone()).connect(name, tcp).await.map_err(failure::in_tls_handshake)?;
        Ok(wire(secure))
    }
}

fn wire(stream: impl Carrier + 'static) -> Wire {
    BufReader::with_capacity(READ_AHEAD_BYTES, Box::new(stream))
}

impl std::fmt::Debug for AriHttp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AriHttp").field("root", &self.root).field("app", &self.app).finish_non_exhaustive()
    }
}

/// ARI's root as an `http` or `https` URL whose path ends in `/ari`.
fn rest_root(text: &str) -> Result<Url, AriHttpError> {
    // The text may hold a password: no error shows it.
    let mut url = Url::parse(text.trim()).map_err(|e| AriHttpError::Url(e.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(AriHttpError::Credentials);
    }
    let scheme = match url.scheme() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        other => return Err(AriHttpError::Scheme(other.to_owned())),
    };
    // `set_scheme` keeps the port and refuses nothing among these four.
    url.set_scheme(scheme).map_err(|()| AriHttpError::Scheme(scheme.to_owned()))?;
    let path = url.path().trim_end_matches('/').to_owned();
    let path = if path.ends_with("/ari") { path } else { format!("{path}/ari") };
    url.set_path(&path);
    Ok(url)
}

fn events_url(root: &Url, app: &str, subscribe_all: bool) -> Result<String, AriHttpError> {
    let mut url = root.clone();
    let scheme = if root.scheme() == "https" { "wss" } else { "ws" };
    url.set_scheme(scheme).map_err(|()| AriHttpError::Scheme(scheme.to_owned()))?;
    url.set_path(&format!("{}/events", root.path()));
    url.query_pairs_mut()
        .append_pair("app", app)
        .append_pair("subscribeAll", if subscribe_all { "true" } else { "false" });
    Ok(url.into())
}
