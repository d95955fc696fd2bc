//! A webhook: POST of JSON, signed where a secret is configured.

use ring::hmac;
use serde_json::json;

use super::post::Poster;
use super::{Message, SendError};
use crate::actors::messages::wall_clock;
use crate::config::{Alarms, Secret};
use crate::model::Timestamp;

/// Seconds since 1970 at which it was signed: who checks it refuses old ones.
const STAMP: &str = "X-Callcenter-Timestamp";
/// `sha256=` and the hexadecimal HMAC-SHA256 of time stamp, a dot and the body.
const SIGNATURE: &str = "X-Callcenter-Signature";

pub(super) struct Webhook {
    post: Poster,
    url: Secret,
    secret: Secret,
}

impl Webhook {
    pub(super) fn new(post: Poster, alarms: &Alarms) -> Self {
        Self { post, url: alarms.webhook_url.clone(), secret: alarms.webhook_secret.clone() }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<String, SendError> {
        let body = body(message).to_string();
        let mut headers = Vec::new();
        if !self.secret.is_empty() {
            let stamp = (wall_clock() as u64).to_string();
            headers.push((SIGNATURE, signature(&self.secret, &stamp, &body)));
            headers.push((STAMP, stamp));
        }
        let answer = self.post.post(self.url.expose(), &headers, body).await?;
        match answer.status {
            200..300 => Ok(format!("HTTP {}", answer.status)),
            status => Err(SendError::new(format!("it answered HTTP {status}"))),
        }
    }
}

/// What is posted. Times are text, as everywhere in the API.
fn body(message: &Message) -> serde_json::Value {
    let notification = &message.notification;
    let mut events = json!(notification.events);
    for event in events.as_array_mut().into_iter().flatten().filter_map(|event| event.as_object_mut()) {
        for key in ["since", "until"] {
            if let Some(at) = event.get(key).and_then(serde_json::Value::as_f64) {
                event.insert(key.to_owned(), json!(Timestamp::from_secs_f64(at).text()));
            }
        }
        if let Some(kind) = event.remove("kind") {
            event.insert("alarm".to_owned(), kind);
        }
    }
    json!({
        "id": notification.id,
        "at": Timestamp::from_secs_f64(notification.at).text(),
        "site": message.site,
        "subject": message.text.subject,
        "text": message.text.body,
        "events": events,
    })
}

pub(super) fn signature(secret: &Secret, stamp: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, format!("{stamp}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}
