//! What a request is made of, and how ids get into a path.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

/// Everything but RFC 3986's unreserved characters: so encoded, any text is one path segment or one query value.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// HTTP method.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    /// Reads.
    Get,
    /// Does or makes something.
    Post,
    /// Sets something.
    Put,
    /// Ends or takes away something.
    Delete,
}

impl Method {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What to play: the parameters that a channel's and a bridge's `play` share.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Media {
    /// Media URIs, played one after the other: `sound:demo-congrats`, `recording:NAME`, `number:7`, `tone:ring`.
    pub media: Vec<String>,
    /// Language of sounds, if not the channel's own.
    pub lang: Option<String>,
    /// Milliseconds to skip at the beginning.
    pub offset_ms: Option<u32>,
    /// Milliseconds that a forward or reverse moves.
    pub skip_ms: Option<u32>,
    /// The playback's id, chosen by us; Asterisk makes one otherwise.
    pub playback_id: Option<String>,
}

/// How to record: the parameters that a channel's and a bridge's `record` share.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recording {
    /// The recording's name, without extension.
    pub name: String,
    /// `wav`, `gsm`, ...; one that Asterisk doesn't know gives 422.
    pub format: String,
    /// Seconds after which it ends; 0 or none is without end.
    pub max_duration_s: Option<u32>,
    /// Seconds of silence after which it ends; 0 or none is never.
    pub max_silence_s: Option<u32>,
    /// `fail` (409 if the name exists; Asterisk's default), `overwrite` or `append`.
    pub if_exists: Option<String>,
    /// Whether a beep comes first.
    pub beep: bool,
    /// The digit that ends it: `none`, `any`, `*` or `#`.
    pub terminate_on: Option<String>,
}

pub(super) struct Parts {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

impl Parts {
    fn new(method: Method, path: String) -> Self {
        Self { method, path, query: Vec::new(), body: None }
    }

    pub(super) fn get(path: String) -> Self {
        Self::new(Method::Get, path)
    }

    pub(super) fn post(path: String) -> Self {
        Self::new(Method::Post, path)
    }

    pub(super) fn put(path: String) -> Self {
        Self::new(Method::Put, path)
    }

    pub(super) fn delete(path: String) -> Self {
        Self::new(Method::Delete, path)
    }

    pub(super) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn maybe<T: ToString>(self, name: &str, value: &Option<T>) -> Self {
        match value {
            Some(value) => self.with(name, value.to_string()),
            None => self,
        }
    }

    /// A flag that is only sent when set: all of ARI's flags are false by default.
    pub(super) fn flag(self, name: &str, set: bool) -> Self {
        if set { self.with(name, "true") } else { self }
    }

    pub(super) fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Channel variables as ARI takes them in a body; none, no body.
    pub(super) fn variables(self, variables: &[(String, String)]) -> Self {
        if variables.is_empty() {
            return self;
        }
        let map: serde_json::Map<String, Value> =
            variables.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        self.json(serde_json::json!({ "variables": map }))
    }

    pub(super) fn media(self, media: &Media) -> Self {
        // Commas separate several media in one parameter.
        self.with("media", media.media.join(","))
            .maybe("lang", &media.lang)
            .maybe("offsetms", &media.offset_ms)
            .maybe("skipms", &media.skip_ms)
    }

    pub(super) fn recording(self, recording: &Recording) -> Self {
        self.with("name", &recording.name)
            .with("format", &recording.format)
            .maybe("maxDurationSeconds", &recording.max_duration_s)
            .maybe("maxSilenceSeconds", &recording.max_silence_s)
            .maybe("ifExists", &recording.if_exists)
            .flag("beep", recording.beep)
            .maybe("terminateOn", &recording.terminate_on)
    }
}

/// The path of these segments, each percent-encoded.
pub(super) fn path(segments: &[&str]) -> String {
    segments.iter().fold(String::new(), |mut path, segment| {
        path.push('/');
        path.push_str(&encode(segment));
        path
    })
}

/// Path and query as they go over the wire.
pub(super) fn path_and_query(path: &str, query: &[(String, String)]) -> String {
    let mut out = path.to_owned();
    for (i, (name, value)) in query.iter().enumerate() {
        out.push(if i == 0 { '?' } else { '&' });
        out.push_str(&encode(name));
        out.push('=');
        out.push_str(&encode(value));
    }
    out
}

/// One segment. `.` and `..` are steps in a path to every URL library, so their dots are encoded too.
fn encode(text: &str) -> Cow<'_, str> {
    match text {
        "." => "%2E".into(),
        ".." => "%2E%2E".into(),
        text => utf8_percent_encode(text, ENCODED).into(),
    }
}
