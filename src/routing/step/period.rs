//! A length of time in a rule.

use std::fmt;
use std::time::Duration;

use serde_json::json;

use crate::routing::node::{Node, Value};
use crate::routing::read::{Read, Reader};

/// How it may be written, for mistakes.
const FORM: &str = "a time such as \"5s\", \"1m30s\", \"500ms\" or a number of seconds";

/// A length of time, in milliseconds: from [`Period::MIN`] to [`Period::MAX`]. Written `"5s"`, `"1m30s"`, `"500ms"`, `"2h"` or as a
/// number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(u32);

impl Period {
    /// The shortest: what is shorter is no time to a person, and a loop of it would be one to the machine.
    pub const MIN: Self = Self(100);
    /// The longest: a day.
    pub const MAX: Self = Self(86_400_000);

    /// This many seconds, brought into the bounds.
    pub const fn seconds(seconds: u32) -> Self {
        let ms = seconds.saturating_mul(1_000);
        if ms < Self::MIN.0 {
            Self::MIN
        } else if ms > Self::MAX.0 {
            Self::MAX
        } else {
            Self(ms)
        }
    }

    /// In milliseconds.
    pub const fn millis(self) -> u32 {
        self.0
    }

    /// For timers.
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0 as u64)
    }

    /// This many milliseconds.
    ///
    /// # Errors
    /// Says the bounds.
    pub fn from_millis(ms: u64) -> Result<Self, String> {
        let inside = u32::try_from(ms).ok().filter(|ms| (Self::MIN.0..=Self::MAX.0).contains(ms));
        inside.map(Self).ok_or_else(|| format!("a time is from {} to {}", Self::MIN, Self::MAX))
    }

    fn from_seconds(seconds: f64) -> Result<Self, String> {
        let ms = (seconds * 1_000.0).round();
        // What is beyond u64, or no number at all, becomes its end or 0: both outside of the bounds.
        Self::from_millis(if seconds < 0.0 { 0 } else { ms as u64 })
    }
}

impl TryFrom<&str> for Period {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{}' is no time; expected {FORM}", crate::routing::read::shown(text));
        let mut rest = text.trim();
        let mut ms = 0u64;
        let mut last = u64::MAX;
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.len() - rest.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
            let unit = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                _ => return Err(wrong()),
            };
            // `30s1m` and `1s1s` are slips, not times.
            if unit >= last {
                return Err(wrong());
            }
            last = unit;
            ms = ms.saturating_add(number.saturating_mul(unit));
            rest = &rest[letters..];
        }
        Self::from_millis(ms)
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.0 / 3_600_000, "h"),
            (self.0 / 60_000 % 60, "m"),
            (self.0 / 1_000 % 60, "s"),
            (self.0 % 1_000, "ms"),
        ];
        parts.iter().filter(|(number, _)| *number > 0).try_for_each(|(number, unit)| write!(f, "{number}{unit}"))
    }
}

impl Read for Period {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let read = match &node.value {
            Value::Text(text) => Self::try_from(text.as_str()),
            Value::Whole(seconds) => Self::from_seconds(*seconds as f64),
            Value::Number(seconds) => Self::from_seconds(*seconds),
            Value::Bool(_) | Value::Moment(_) | Value::Null | Value::List(_) | Value::Table(_) => {
                return reader.expected(node, FORM);
            }
        };
        read.map_or_else(|message| reader.wrong(node, message), Some)
    }

    fn schema() -> serde_json::Value {
        json!({
            "description": format!("{FORM}; from {} to {}", Self::MIN, Self::MAX),
            "type": ["string", "number"],
            "pattern": "^([0-9]+(h|ms|m|s))+$",
        })
    }
}

impl serde::Serialize for Period {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written_back() {
        for (text, ms) in
            [("5s", 5_000), ("1m30s", 90_000), ("500ms", 500), ("2h", 7_200_000), ("1h1m1s1ms", 3_661_001)]
        {
            let period = Period::try_from(text).unwrap();
            assert_eq!((period.millis(), period.to_string().as_str()), (ms, text));
        }
    }

    #[test]
    fn numbers_are_seconds() {
        for (json, ms) in [("5", 5_000), ("0.5", 500), ("90", 90_000)] {
            let mut reader = Reader::default();
            let read = Period::read(&serde_json::from_str(json).unwrap(), &mut reader);
            assert_eq!(read.map(Period::millis), Some(ms));
        }
        assert_eq!((Period::seconds(0), Period::seconds(u32::MAX)), (Period::MIN, Period::MAX));
    }

    #[test]
    fn what_is_no_time_says_what_is_one() {
        for text in ["", "5", "s", "5 s", "1s1m", "1s1s", "-5s", "5d", "99999999999999999999s"] {
            let error = Period::try_from(text).unwrap_err();
            assert!(error.contains("1m30s"), "{text}: {error}");
        }
        for text in ["25h", "99ms", "18446744073709551615h"] {
            assert_eq!(Period::try_from(text).unwrap_err(), "a time is from 100ms to 24h");
        }
        for json in ["-1", "1e300", "0"] {
            let mut reader = Reader::default();
            assert_eq!(Period::read(&serde_json::from_str(json).unwrap(), &mut reader), None, "{json}");
        }
    }
}
