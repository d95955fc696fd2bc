//! Moments in time, as Asterisk writes them and as the database holds them.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
///
/// Asterisk stamps its events in milliseconds with an offset of its own time zone
/// (`2026-11-22T12:55:43.350+0000`); here every moment is UTC. Text is `YYYY-MM-DDTHH:MM:SS.mmmZ`,
/// which sorts as the moments do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(i64);

/// The text is no moment that Asterisk or this program writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time of the form 2026-11-22T12:55:43.350+0000")]
pub struct ParseTimestampError(pub String);

impl Timestamp {
    /// The moment `ms` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// From seconds since 1970 with a fraction, as the journal's `at` and Asterisk's CDR have them.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self((seconds * 1000.0).round() as i64)
    }

    /// Seconds since 1970 with a fraction.
    pub fn secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This moment moved by `ms` milliseconds (earlier when negative).
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339 and Asterisk's form of it, whose offset has no colon (`+0500`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        let colonless = bytes.len() > 5
            && matches!(bytes[bytes.len() - 5], b'+' | b'-')
            && bytes[bytes.len() - 4..].iter().all(u8::is_ascii_digit);
        let parsed = if colonless && bytes.len() <= 60 {
            // chrono's fast RFC 3339 reader wants the colon.
            let (head, minutes) = text.split_at(text.len() - 2);
            let mut buffer = [0u8; 64];
            let length = text.len() + 1;
            buffer[..head.len()].copy_from_slice(head.as_bytes());
            buffer[head.len()] = b':';
            buffer[head.len() + 1..length].copy_from_slice(minutes.as_bytes());
            std::str::from_utf8(&buffer[..length]).ok().and_then(|t| DateTime::parse_from_rfc3339(t).ok())
        } else {
            DateTime::parse_from_rfc3339(text).ok()
        };
        parsed.map(|t| Self(t.timestamp_millis())).ok_or_else(|| ParseTimestampError(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::<Utc>::from_timestamp_millis(self.0) {
            Some(t) => f.write_str(&t.to_rfc3339_opts(SecondsFormat::Millis, true)),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as 2026-11-22T12:55:43.350+0000")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_offset_becomes_utc() {
        for text in [
            "2026-11-22T12:55:43.350+0000",
            "2026-11-22T17:55:43.350+0500",
            "2026-11-22T17:55:43.350+05:00",
            "2026-11-22T03:25:43.350-0930",
            "2026-11-22T12:55:43.350Z",
        ] {
            let t: Timestamp = text.parse().unwrap();
            assert_eq!(t.to_string(), "2026-11-22T12:55:43.350Z", "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_its_text() {
        for text in ["", "+0000", "yesterday", "2026-13-01T00:00:00.000+0000", "é+0000", "2026-11-22"] {
            let error = text.parse::<Timestamp>().unwrap_err();
            assert!(error.to_string().contains(text));
        }
    }

    #[test]
    fn seconds_with_a_fraction_keep_their_milliseconds() {
        assert_eq!(Timestamp::from_secs_f64(1_795_352_366.307_291).millis(), 1_795_352_366_307);
    }
}
