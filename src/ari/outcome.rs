//! What came back for a request: one typed outcome, so that nobody parses text.
//!
//! Statuses and messages are Asterisk's own, measured on 22.10.1. The words (`Outcome::word`) stand in the journal and
//! in the audit table: they never change.

use bytes::Bytes;

/// What came back for a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Done (any 2xx); the body is JSON, a recording's bytes, or empty.
    Done {
        /// What Asterisk sent with it.
        body: Bytes,
    },
    /// The channel, bridge, playback, recording, endpoint or application does not exist (any more).
    Gone(String),
    /// The channel has no such variable: it exists, the variable is unset.
    Unset,
    /// The channel is not in our application: it went on in the dialplan.
    NotInStasis,
    /// It can't be done in the present state (the recording exists, the channel is in a bridge, ...).
    Conflict(String),
    /// Our user may only read (`read_only = yes` in ari.conf).
    Refused(String),
    /// Wrong user name or password.
    Unauthorized,
    /// Asterisk found the request itself wrong.
    BadRequest(String),
    /// The endpoint is unknown or not registered, so no channel could be made.
    AllocationFailed,
    /// Asterisk is starting or stopping.
    Unavailable,
    /// No connection, or it broke before the answer: it may or may not have been done.
    Unreachable(String),
    /// No answer within the limit: it may or may not have been done.
    TimedOut,
    /// It waited too long behind others and was not sent.
    Expired,
    /// Too many requests were waiting already; it was not sent.
    QueueFull,
    /// Anything else that Asterisk said.
    Other {
        /// HTTP status.
        status: u16,
        /// Its message.
        message: String,
    },
}

impl Outcome {
    /// From an HTTP status and body as Asterisk sends them.
    pub fn from_answer(status: u16, body: Bytes) -> Self {
        if (200..300).contains(&status) {
            return Self::Done { body };
        }
        let message = message(&body);
        match status {
            400 | 422 => Self::BadRequest(message),
            401 => Self::Unauthorized,
            403 => Self::Refused(message),
            404 if message == "Provided variable was not found" => Self::Unset,
            // An unknown path, or another web server's page: nothing that could have been there before.
            404 if message == "Resource not found" || body.first() != Some(&b'{') => Self::Other { status, message },
            404 => Self::Gone(message),
            409 if message.contains("not in Stasis") => Self::NotInStasis,
            409 | 412 => Self::Conflict(message),
            500 if message == "Allocation failed" => Self::AllocationFailed,
            503 => Self::Unavailable,
            _ => Self::Other { status, message },
        }
    }

    /// Its name in the journal, the audit table and the metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Done { .. } => "done",
            Self::Gone(_) => "gone",
            Self::Unset => "unset",
            Self::NotInStasis => "not_in_stasis",
            Self::Conflict(_) => "conflict",
            Self::Refused(_) => "refused",
            Self::Unauthorized => "unauthorized",
            Self::BadRequest(_) => "bad_request",
            Self::AllocationFailed => "allocation_failed",
            Self::Unavailable => "unavailable",
            Self::Unreachable(_) => "unreachable",
            Self::TimedOut => "timed_out",
            Self::Expired => "expired",
            Self::QueueFull => "queue_full",
            Self::Other { .. } => "other",
        }
    }

    /// Whether Asterisk did what was asked.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }

    /// Whether asking again can change nothing: it is done, or what it was about is no longer where it could be done.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Gone(_) | Self::NotInStasis)
    }

    /// Whether Asterisk said nothing, or only that it says nothing now.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut | Self::Unavailable)
    }

    /// The body of what was done; `None` for any other outcome.
    pub fn body(&self) -> Option<&Bytes> {
        match self {
            Self::Done { body } => Some(body),
            Self::Gone(_)
            | Self::Unset
            | Self::NotInStasis
            | Self::Conflict(_)
            | Self::Refused(_)
            | Self::Unauthorized
            | Self::BadRequest(_)
            | Self::AllocationFailed
            | Self::Unavailable
            | Self::Unreachable(_)
            | Self::TimedOut
            | Self::Expired
            | Self::QueueFull
            | Self::Other { .. } => None,
        }
    }
}

impl std::fmt::Display for Outcome {
    /// A sentence for people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Done { .. } => f.write_str("done"),
            Self::Gone(what) => f.write_str(what),
            Self::Unset => f.write_str("the variable is not set"),
            Self::NotInStasis => f.write_str("the channel is not in our Stasis application"),
            Self::Conflict(why) | Self::BadRequest(why) => f.write_str(why),
            Self::Refused(why) => write!(f, "{why}: the ARI user may only read, set read_only = no in ari.conf"),
            Self::Unauthorized => f.write_str("wrong ARI user name or password"),
            Self::AllocationFailed => f.write_str("the endpoint is unknown or not registered"),
            Self::Unavailable => f.write_str("Asterisk is starting or stopping"),
            Self::Unreachable(why) => write!(f, "Asterisk can't be reached: {why}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Expired => f.write_str("waited too long behind other requests and was not sent"),
            Self::QueueFull => f.write_str("too many requests are waiting, it was not sent"),
            Self::Other { status, message } => write!(f, "HTTP {status}: {message}"),
        }
    }
}

/// Asterisk's `message` or `error`; of anything that is no such JSON the beginning.
fn message(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Body {
        message: Option<String>,
        error: Option<String>,
    }
    let text = serde_json::from_slice::<Body>(body).ok().and_then(|b| b.message.or(b.error));
    text.unwrap_or_else(|| super::entry::sample(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(status: u16, body: &'static str, word: &str, sentence: &str) {
        let outcome = Outcome::from_answer(status, Bytes::from_static(body.as_bytes()));
        assert_eq!(outcome.word(), word, "{status} {body}");
        assert_eq!(outcome.to_string(), sentence, "{status} {body}");
    }

    #[test]
    fn every_answer_that_asterisk_was_seen_to_give() {
        check(200, r#"{"value":""}"#, "done", "done");
        check(204, "", "done", "done");
        check(404, r#"{"message":"Channel not found"}"#, "gone", "Channel not found");
        check(404, r#"{"message":"Bridge not found"}"#, "gone", "Bridge not found");
        check(404, r#"{"message":"Playback not found"}"#, "gone", "Playback not found");
        check(404, r#"{"message":"Recording not found"}"#, "gone", "Recording not found");
        check(404, r#"{"message":"Endpoint not found"}"#, "gone", "Endpoint not found");
        check(404, r#"{"message":"Application not found"}"#, "gone", "Application not found");
        let not_ours = "the channel is not in our Stasis application";
        check(409, r#"{"message":"Channel not in Stasis application"}"#, "not_in_stasis", not_ours);
        check(400, r#"{"message":"Error parsing request body"}"#, "bad_request", "Error parsing request body");
        check(400, r#"{"message":"Endpoint must be specified"}"#, "bad_request", "Endpoint must be specified");
        check(400, r#"{"message":"Invalid endpoint specified"}"#, "bad_request", "Invalid endpoint specified");
        let unknown = "the endpoint is unknown or not registered";
        check(500, r#"{"error":"Allocation failed"}"#, "allocation_failed", unknown);
        check(401, r#"{"message":"Authentication required"}"#, "unauthorized", "wrong ARI user name or password");
        check(
            403,
            r#"{"message":"Write access denied"}"#,
            "refused",
            "Write access denied: the ARI user may only read, set read_only = no in ari.conf",
        );
        check(404, r#"{"message":"Resource not found"}"#, "other", "HTTP 404: Resource not found");
        check(405, r#"{"message":"Invalid method"}"#, "other", "HTTP 405: Invalid method");
        check(404, "<html>no</html>", "other", "HTTP 404: <html>no</html>");
        let exists = "Recording 'x' already exists and can not be overwritten";
        check(409, r#"{"message":"Recording 'x' already exists and can not be overwritten"}"#, "conflict", exists);
        let format = "specified format is unknown on this system";
        check(422, r#"{"message":"specified format is unknown on this system"}"#, "bad_request", format);
        check(404, r#"{"message":"Provided variable was not found"}"#, "unset", "the variable is not set");
        check(503, "", "unavailable", "Asterisk is starting or stopping");
        check(426, "<html>Upgrade</html>", "other", "HTTP 426: <html>Upgrade</html>");
        check(500, r#"{"message":"Internal"}"#, "other", "HTTP 500: Internal");
    }

    #[test]
    fn the_body_is_there_only_when_it_was_done() {
        assert_eq!(Outcome::from_answer(200, Bytes::from_static(b"[]")).body(), Some(&Bytes::from_static(b"[]")));
        assert_eq!(Outcome::from_answer(404, Bytes::from_static(b"[]")).body(), None);
        assert_eq!(Outcome::TimedOut.body(), None);
    }
}
