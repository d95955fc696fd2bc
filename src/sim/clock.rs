//! The clock of the simulated Asterisk, and how it writes moments.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::Timestamp;

/// Now by this machine's clock, milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    now_us() / 1000
}

/// Now by this machine's clock, microseconds since 1970.
pub(super) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// Writes `ms` (milliseconds since 1970) as Asterisk does: `2026-11-22T12:55:43.350+0000`.
pub(super) fn push_time(out: &mut String, ms: i64) {
    Timestamp::from_millis(ms).push_as_asterisk(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_asterisk_does() {
        for text in [
            "2026-11-22T12:55:43.350+0000",
            "2028-02-29T23:59:59.999+0000",
            "2024-03-01T00:00:00.000+0000",
            "1999-12-31T00:00:00.001+0000",
        ] {
            let mut out = String::new();
            push_time(&mut out, text.parse::<Timestamp>().unwrap().millis());
            assert_eq!(out, text);
        }
    }
}
