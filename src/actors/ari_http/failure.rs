//! What can be wrong on the way to ARI, in sentences that say what to do.

use std::io::{self, ErrorKind};
use std::path::PathBuf;

use tokio_tungstenite::tungstenite::Error;

use super::AriHttp;

/// The configuration names no ARI that could be reached.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AriHttpError {
    /// The URL is none.
    #[error(
        "asterisk.url (ARI_URL) is no URL: {0}; it should look like http://127.0.0.1:8088/ari \
         (with `prefix = asterisk` in http.conf: http://127.0.0.1:8088/asterisk/ari)"
    )]
    Url(String),
    /// Another scheme.
    #[error("asterisk.url (ARI_URL) begins with '{0}'; allowed are http, https, ws and wss")]
    Scheme(String),
    /// User, password, query or fragment in the URL.
    #[error(
        "asterisk.url (ARI_URL) holds a user, a password, a query or a fragment; give the address alone, and the \
         credentials as asterisk.username and asterisk.password (ARI_USERNAME, ARI_PASSWORD)"
    )]
    Credentials,
    /// No application name.
    #[error("asterisk.app (ARI_APP_NAME) is empty; it is the name that the dialplan gives to Stasis()")]
    NoApp,
    /// The private authority can't be used.
    #[error(
        "asterisk.ca_file {file}: {reason}; it must be a PEM file with the authority that signed Asterisk's certificate"
    )]
    CaFile {
        /// The file.
        file: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// No certificate authority at all.
    #[error(
        "this system has no certificate authorities: install its ca-certificates package, or name the one that signed \
         Asterisk's certificate as asterisk.ca_file"
    )]
    NoRoots,
    /// TLS can't be set up.
    #[error("TLS for asterisk.url (ARI_URL) can't be set up: {0}")]
    Tls(String),
}

/// The event socket could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SocketFailure {
    /// HTTP status of the refused handshake; `None` when there was no answer.
    pub status: Option<u16>,
    /// What happened and what to do; never a credential.
    pub message: String,
}

impl SocketFailure {
    pub(super) fn new(http: &AriHttp, error: &Error) -> Self {
        match error {
            Error::Http(response) => {
                let status = response.status().as_u16();
                Self { status: Some(status), message: refused(http, status) }
            }
            Error::Io(io) => Self { status: None, message: broken(http, io) },
            Error::Tls(tls) => Self { status: None, message: untrusted(http, &tls.to_string()) },
            other => Self { status: None, message: format!("the event socket at {} failed: {other}", http.root()) },
        }
    }

    pub(super) fn timed_out(http: &AriHttp) -> Self {
        // A port without TLS may also wait for more than our greeting.
        let speaks = if http.tls.is_some() { ", whether that port speaks TLS," } else { "" };
        let message = format!(
            "{} did not answer within {} ms: check the host and port of asterisk.url (ARI_URL){speaks} and firewalls",
            http.root(),
            http.connect_timeout.as_millis()
        );
        Self { status: None, message }
    }
}

/// What a refused handshake means.
fn refused(http: &AriHttp, status: u16) -> String {
    let (root, user, app) = (&http.root, &http.user, &http.app);
    match status {
        400 => format!("{root} refuses the application '{app}' (400): check asterisk.app (ARI_APP_NAME)"),
        401 => format!(
            "{root} refuses the user '{user}' (401): compare asterisk.username and asterisk.password (ARI_USERNAME, \
             ARI_PASSWORD) with the user's section in ari.conf"
        ),
        403 => {
            format!("{root} forbids the user '{user}' to listen (403): check the user's section in ari.conf and acl")
        }
        404 => format!(
            "there is no ARI at {root} (404): compare asterisk.url (ARI_URL) with `prefix` in http.conf, and see that \
             ari.conf has enabled = yes and res_ari_events.so is loaded"
        ),
        503 => format!("Asterisk at {root} is still starting (503)"),
        other => {
            format!("{root} answered {other} to the event socket: is asterisk.url (ARI_URL) really ARI's address?")
        }
    }
}

/// What came for our TLS greeting was no TLS, or nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct NoTls(io::Error);

/// Tells a port without TLS from one whose certificate is not trusted.
pub(super) fn in_tls_handshake(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let garbled = matches!(inner, Some(rustls::Error::InvalidMessage(_)));
    let ended = matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset);
    if garbled || ended { io::Error::new(ErrorKind::InvalidData, NoTls(error)) } else { error }
}

/// What a connection that could not be made means.
fn broken(http: &AriHttp, error: &io::Error) -> String {
    let root = &http.root;
    if error.get_ref().is_some_and(|inner| inner.is::<NoTls>()) {
        return format!(
            "{root} seems to speak no TLS ({error}): name Asterisk's TLS port in asterisk.url (ARI_URL) and see tlsenable and \
             tlsbindaddr in http.conf, or begin the address with http:// (ws://) where no TLS is wanted"
        );
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => format!(
            "nothing listens at {root}: is Asterisk running, and does http.conf have enabled = yes and this bindaddr and \
             bindport?"
        ),
        ErrorKind::InvalidData if http.tls.is_some() => untrusted(http, &error.to_string()),
        _ => format!("{root} can't be reached: {error}"),
    }
}

fn untrusted(http: &AriHttp, reason: &str) -> String {
    format!(
        "TLS with {} failed: {reason}; if a private authority signed Asterisk's certificate, name its PEM file as \
         asterisk.ca_file",
        http.root
    )
}
