//! REST over the event socket, as text: a `RESTRequest` goes out, its `RESTResponse` comes back among the events.
//!
//! Measured on Asterisk 22.10.1: `uri` has neither `/ari` nor a leading slash, its segments are percent-encoded as over
//! HTTP, while `query_strings` are taken as they are; bodies are JSON in a string; status and body are HTTP's. Answers
//! come in the order of the requests, before or after the events that they caused.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use super::request::{Request, StoredRecordingAction};

/// The largest `RESTRequest` that is sent, bytes: Asterisk's WebSocket takes no frame of more than 64 KiB.
pub const MAX_REQUEST_BYTES: usize = 60 * 1024;

const RESPONSE: &str = "RESTResponse";
/// The search for it, prepared once.
static FIND_RESPONSE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(RESPONSE));

#[derive(Serialize)]
struct RestRequest<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    transaction_id: &'a str,
    request_id: &'a str,
    method: &'static str,
    uri: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    query_strings: Vec<Parameter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_body: Option<String>,
}

#[derive(Serialize)]
struct Parameter {
    name: String,
    value: String,
}

/// The frame for a request. Both ids come back with the answer; `transaction_id` is also shown in Asterisk's own debug
/// messages. `None` when it is larger than [`MAX_REQUEST_BYTES`].
pub fn frame(request: &Request, request_id: &str, transaction_id: &str) -> Option<String> {
    let path = request.path();
    let body = request.body().map(|body| body.to_string());
    let query_strings = request.query().into_iter().map(|(name, value)| Parameter { name, value }).collect();
    let message = RestRequest {
        kind: "RESTRequest",
        transaction_id,
        request_id,
        method: request.method().as_str(),
        uri: path.trim_start_matches('/'),
        query_strings,
        content_type: body.is_some().then_some("application/json"),
        message_body: body,
    };
    serde_json::to_string(&message).ok().filter(|text| text.len() <= MAX_REQUEST_BYTES)
}

/// Whether the answer to a request is small: a socket that carries events is no place for long lists, which could be larger
/// than a frame may be (`ari.max_frame_bytes`), nor for a recording's bytes, which are no text.
pub fn takes(request: &Request) -> bool {
    match request {
        Request::StoredRecording { action, .. } => *action != StoredRecordingAction::File,
        Request::ListChannels
        | Request::ListBridges
        | Request::ListEndpoints
        | Request::ListDeviceStates
        | Request::ListStoredRecordings
        | Request::ListSounds { .. }
        | Request::ListApplications => false,
        Request::Channel { .. }
        | Request::Originate(_)
        | Request::CreateChannel(_)
        | Request::CreateBridge(_)
        | Request::Bridge { .. }
        | Request::GetEndpoint { .. }
        | Request::DeviceState { .. }
        | Request::LiveRecording { .. }
        | Request::Playback { .. }
        | Request::GetSound { .. }
        | Request::Info
        | Request::Ping
        | Request::Heartbeat { .. }
        | Request::GetGlobalVariable { .. }
        | Request::SetGlobalVariable { .. }
        | Request::Application { .. } => true,
    }
}

/// What a frame from Asterisk is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard<'a> {
    /// No answer: an event, or whatever else belongs into the journal.
    Event,
    /// An answer.
    Response(Response<'a>),
    /// It calls itself an answer, but can't be read: nobody can be told.
    Unreadable(String),
}

/// A `RESTResponse`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
pub struct Response<'a> {
    /// As it was sent; empty where none was.
    #[serde(borrow)]
    pub request_id: Cow<'a, str>,
    /// HTTP's status.
    pub status_code: u16,
    /// What HTTP has as the body; none with 204.
    #[serde(borrow, default)]
    pub message_body: Option<Cow<'a, str>>,
}

/// Reads a frame. Nearly all are events: those are told by a search of their bytes alone.
pub fn hear(text: &str) -> Heard<'_> {
    #[derive(Deserialize)]
    struct Head<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
    }
    if FIND_RESPONSE.find(text.as_bytes()).is_none() {
        return Heard::Event;
    }
    match serde_json::from_str::<Head<'_>>(text) {
        Ok(head) if head.kind == RESPONSE => {
            serde_json::from_str(text).map_or_else(|error| Heard::Unreadable(error.to_string()), Heard::Response)
        }
        // Other text that holds the word, such as a user event's.
        Ok(_) | Err(_) => Heard::Event,
    }
}

/// Whether an Asterisk of this version takes requests on the socket; `None` when that can't be told from it.
///
/// It came with 20.14, 21.9 and 22.4. What certified versions and builds from git hold, their names don't say.
pub fn is_in_version(version: &str) -> Option<bool> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let (Ok(major), Ok(minor)) = (numbers.next()?, numbers.next()?) else { return None };
    Some(match major {
        0..20 => false,
        20 => minor >= 14,
        21 => minor >= 9,
        22 => minor >= 4,
        23.. => true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::request::{ApplicationAction, ChannelAction, ContinueAt};

    #[track_caller]
    fn check(request: &Request, expected: &str) {
        assert_eq!(frame(request, "r1", "c1").as_deref(), Some(expected));
    }

    #[test]
    fn requests_have_the_measured_form() {
        check(
            &Request::Ping,
            r#"{"type":"RESTRequest","transaction_id":"c1","request_id":"r1","method":"GET","uri":"asterisk/ping"}"#,
        );
        check(
            &Request::channel("pbx/1;2 ž", ChannelAction::Continue(ContinueAt::default())),
            r#"{"type":"RESTRequest","transaction_id":"c1","request_id":"r1","method":"POST","uri":"channels/pbx%2F1%3B2%20%C5%BE/continue"}"#,
        );
        check(
            &Request::SetGlobalVariable { name: "A".into(), value: "a b&c=%20\"".into() },
            r#"{"type":"RESTRequest","transaction_id":"c1","request_id":"r1","method":"POST","uri":"asterisk/variable","query_strings":[{"name":"variable","value":"A"},{"name":"value","value":"a b&c=%20\""}]}"#,
        );
        check(
            &Request::application("cc", ApplicationAction::Filter(vec!["ChannelVarset".into()])),
            r#"{"type":"RESTRequest","transaction_id":"c1","request_id":"r1","method":"PUT","uri":"applications/cc/eventFilter","content_type":"application/json","message_body":"{\"disallowed\":[{\"type\":\"ChannelVarset\"}]}"}"#,
        );
    }

    #[test]
    fn a_request_that_asterisk_would_close_the_socket_for_has_no_frame() {
        let sized = |bytes: usize| {
            let value = "x".repeat(bytes);
            frame(&Request::SetGlobalVariable { name: "A".into(), value }, "r1", "c1").is_some()
        };
        assert!(sized(MAX_REQUEST_BYTES - 1_000) && !sized(MAX_REQUEST_BYTES));
    }

    #[test]
    fn answers_are_told_from_events() {
        let answer = r#"{"type":"RESTResponse","transaction_id":"t1","request_id":"r1","status_code":404,"reason_phrase":"Not Found","uri":"channels/x","content_type":"application/json","message_body":"{\"message\":\"Channel not found\"}","application":"q4","timestamp":"2026-11-22T12:55:43.350+0000","asterisk_id":"m"}"#;
        let Heard::Response(read) = hear(answer) else { panic!("{answer}") };
        assert_eq!((read.request_id.as_ref(), read.status_code), ("r1", 404));
        assert_eq!(read.message_body.as_deref(), Some(r#"{"message":"Channel not found"}"#));
        let bare = "{ \"status_code\" : 204,\n \"request_id\": \"\", \"type\": \"RESTResponse\" }";
        let Heard::Response(read) = hear(bare) else { panic!("{bare}") };
        assert_eq!((read.request_id.as_ref(), read.status_code, read.message_body), ("", 204, None));
    }

    #[test]
    fn what_is_no_answer_stays_an_event_and_a_broken_answer_is_none() {
        for event in [
            r#"{"type":"StasisStart","application":"cc"}"#,
            r#"{"type":"ChannelUserevent","eventname":"RESTResponse"}"#,
            r#"{"type":"ChannelUserevent","userevent":{"type":"RESTResponse","request_id":"r1","status_code":200}}"#,
            "RESTResponse",
            r#"{"type":"RESTResponse","request_id":"#,
            "",
        ] {
            assert_eq!(hear(event), Heard::Event, "{event}");
        }
        for broken in [
            r#"{"type":"RESTResponse"}"#,
            r#"{"type":"RESTResponse","request_id":"r1"}"#,
            r#"{"type":"RESTResponse","request_id":"r1","status_code":70000}"#,
            r#"{"type":"RESTResponse","request_id":7,"status_code":200}"#,
        ] {
            assert!(matches!(hear(broken), Heard::Unreadable(_)), "{broken}");
        }
    }

    #[test]
    fn versions_that_take_requests() {
        for (version, wanted) in [
            ("18.26.4", Some(false)),
            ("20.13.0", Some(false)),
            ("20.14.0", Some(true)),
            ("21.8.0", Some(false)),
            ("21.9.1", Some(true)),
            ("22.3.0", Some(false)),
            ("22.10.1~dfsg+~cs6.17", Some(true)),
            ("23.0.0", Some(true)),
            ("certified/20.7-cert1", None),
            ("GIT-22-3f2e", None),
            ("22", None),
            ("", None),
        ] {
            assert_eq!(is_in_version(version), wanted, "{version}");
        }
    }
}
