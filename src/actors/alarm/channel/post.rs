//! JSON by HTTP POST.

use std::path::Path;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, USER_AGENT};
use awc::error::{ConnectError, SendRequestError};
use awc::{Client, Connector};

use super::SendError;
use crate::actors::ari_http::tls;

/// The most that is read of an answer; it is only for people.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// An HTTP client for the present thread.
pub(super) struct Poster(Client);

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Poster {
    /// For addresses of the scheme of this one.
    pub(super) fn new(address: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, String> {
        let connector = Connector::new().timeout(timeout).handshake_timeout(timeout);
        let connector = if address.starts_with("https") {
            let config = tls::client_config(ca_file);
            // The error's words are about Asterisk's certificate.
            connector.rustls_0_23(config.map_err(|e| format!("TLS can't be set up; see alarms.ca_file: {e}"))?)
        } else {
            connector
        };
        let agent = (USER_AGENT, concat!("callcenter/", env!("CARGO_PKG_VERSION")));
        // A redirect could carry a token elsewhere; the limit of time is the channel's.
        let client = Client::builder().connector(connector).disable_redirects().disable_timeout();
        Ok(Self(client.add_default_header(agent).finish()))
    }

    /// Sends it; any answer is one.
    pub(super) async fn post(
        &self,
        address: &str,
        headers: &[(&str, String)],
        body: String,
    ) -> Result<Answer, SendError> {
        let request = self.0.post(address).insert_header((CONTENT_TYPE, "application/json"));
        let request = headers.iter().fold(request, |request, header| request.insert_header((header.0, &*header.1)));
        // Sent on a fresh connection each time: alarms are rare, and an idle one may be dead.
        let mut response =
            request.force_close().send_body(body).await.map_err(|error| SendError::new(failure(&error)))?;
        let status = response.status().as_u16();
        // What can't be read of an answer is no failure of the sending: the status tells.
        let body = response.body().limit(MAX_ANSWER_BYTES).await.unwrap_or_default();
        Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
    }
}

/// Only words that hold no address: a path can be a token.
fn failure(error: &SendRequestError) -> String {
    match error {
        SendRequestError::Url(_) => "the address is none that can be posted to".to_owned(),
        SendRequestError::Connect(ConnectError::Resolver(_) | ConnectError::NoRecords) => {
            "the host's name can't be resolved: check the name and DNS".to_owned()
        }
        SendRequestError::Connect(ConnectError::Timeout) | SendRequestError::Timeout => "no answer in time".to_owned(),
        SendRequestError::Connect(ConnectError::Io(error)) => format!("no connection: {error}"),
        SendRequestError::Connect(_) => "no connection".to_owned(),
        SendRequestError::Send(error) => format!("the connection broke off: {error}"),
        SendRequestError::Response(_) => "the answer is no HTTP".to_owned(),
        _ => "it could not be sent".to_owned(),
    }
}
