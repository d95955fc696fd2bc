//! One client's WebSocket: events out, pings answered, REST requests taken.

use std::sync::Arc;
use std::time::Duration;

use actix_ws::{CloseCode, CloseReason, Item, Message, MessageStream, Session};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::SocketRequests;
use super::clock::{now_ms, push_time};
use super::rest::{Answer, Request};
use super::server::{self, Shared};
use super::world::{ASTERISK_ID, Frame};

/// How long one write may wait: `websocket_write_timeout` of ari.conf, its default. A reader that is slower is cut
/// off.
const WRITE_TIMEOUT: Duration = Duration::from_millis(100);

/// Who is at the other end.
pub(super) struct Asker {
    pub client: u64,
    /// The apps that it asked for, as it named them.
    pub app: String,
    /// Whether its user may do more than read.
    pub may_write: bool,
}

/// Serves one client until either side ends.
pub(super) async fn run(
    mut session: Session,
    mut stream: MessageStream,
    mut frames: mpsc::Receiver<Frame>,
    shared: Arc<Shared>,
    asker: Asker,
) {
    let requests = shared.world().config.socket_requests;
    loop {
        let going = tokio::select! {
            frame = frames.recv() => match frame {
                Some(Frame::Text(text)) => timely(session.text(text)).await,
                Some(Frame::Binary(bytes)) => timely(session.binary(bytes)).await,
                Some(Frame::Raw(bytes, frames)) => raw(&mut session, bytes, frames).await,
                Some(Frame::Close(code)) => {
                    let reason = CloseReason { code: CloseCode::from(code), description: None };
                    let _ = session.clone().close(Some(reason)).await;
                    false
                }
                Some(Frame::Drop) | None => false,
            },
            message = stream.recv() => match message {
                Some(Ok(Message::Ping(payload))) => timely(session.pong(&payload)).await,
                Some(Ok(Message::Text(text))) => match requests {
                    SocketRequests::Answered => {
                        let answer = rest_response(&shared, &text, &asker);
                        timely(session.text(answer.to_string())).await
                    }
                    SocketRequests::Ignored => true,
                    SocketRequests::EndSocket => false,
                },
                Some(Ok(Message::Close(reason))) => {
                    let _ = session.clone().close(reason).await;
                    false
                }
                Some(Ok(Message::Binary(_) | Message::Continuation(_) | Message::Pong(_) | Message::Nop)) => true,
                Some(Err(_)) | None => false,
            },
        };
        if !going {
            break;
        }
    }
    shared.world().disconnect(asker.client);
}

/// Sends a text message of several frames. Large ones may take their time, as with a generous `websocket_write_timeout`.
async fn raw(session: &mut Session, bytes: Vec<u8>, frames: usize) -> bool {
    let size = bytes.len().div_ceil(frames.max(1)).max(1);
    let parts: Vec<Bytes> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let last = parts.len().saturating_sub(1);
    for (n, part) in parts.into_iter().enumerate() {
        let item = match (n == 0, n == last) {
            (true, _) => Item::FirstText(part),
            (false, false) => Item::Continue(part),
            (false, true) => Item::Last(part),
        };
        if session.continuation(item).await.is_err() {
            return false;
        }
        if n == 0 && last == 0 && session.continuation(Item::Last(Bytes::new())).await.is_err() {
            return false;
        }
    }
    true
}

/// Whether a write came through in time.
async fn timely(write: impl Future<Output = Result<(), actix_ws::Closed>>) -> bool {
    matches!(tokio::time::timeout(WRITE_TIMEOUT, write).await, Ok(Ok(())))
}

/// Answers a `RESTRequest`, in the form that was measured.
fn rest_response(shared: &Shared, text: &str, asker: &Asker) -> Value {
    let message: Option<Value> = serde_json::from_str(text).ok();
    let word = |key: &str| message.as_ref().and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default();
    let mut stamp = String::new();
    push_time(&mut stamp, now_ms());
    let mut response = json!({
        "type": "RESTResponse", "transaction_id": word("transaction_id"), "request_id": word("request_id"),
        "status_code": 400, "reason_phrase": "Failed to parse request message JSON",
        "uri": word("uri").split('?').next(),
        "application": asker.app, "timestamp": stamp, "asterisk_id": ASTERISK_ID,
    });
    let Some(message) = &message else { return response };
    let bad = |text: &str| Answer::message(400, text);
    let answer = match (word("type"), word("method"), word("uri")) {
        ("", ..) => bad("No 'type' property."),
        ("RESTRequest", _, "") => bad("Empty or missing 'uri' property."),
        ("RESTRequest", _, uri) if uri.starts_with('/') => Answer::message(405, "Invalid method"),
        ("RESTRequest", method @ ("GET" | "POST" | "PUT" | "DELETE" | "OPTIONS"), uri) => {
            match rest_request(message, method, uri) {
                Some(request) => server::answer(shared, &request, asker.may_write),
                None => bad("Unable to parse 'message_body' as 'application/json'."),
            }
        }
        ("RESTRequest", ..) => bad("Unknown or missing 'method' property."),
        _ => bad("Unknown request type."),
    };
    let status = actix_web::http::StatusCode::from_u16(answer.status).ok();
    let phrase = status.and_then(|s| s.canonical_reason()).unwrap_or_default();
    response["status_code"] = json!(answer.status);
    response["reason_phrase"] = json!(if answer.status == 400 { "Bad request" } else { phrase });
    if let Some(body) = answer.body {
        response["content_type"] = json!("application/json");
        response["message_body"] = json!(body);
    }
    response
}

/// The same as over HTTP, but for the values of `query_strings`, which are not encoded; `None` when the body is no JSON.
fn rest_request(message: &Value, method: &str, uri: &str) -> Option<Request> {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let mut query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    for item in message.get("query_strings").and_then(Value::as_array).into_iter().flatten() {
        let part = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        query.push((part("name"), part("value")));
    }
    let body = message.get("message_body").and_then(Value::as_str).unwrap_or_default();
    if !body.is_empty() && serde_json::from_str::<serde::de::IgnoredAny>(body).is_err() {
        return None;
    }
    Some(Request { method: method.to_owned(), path: path.to_owned(), query, body: body.as_bytes().to_vec() })
}
