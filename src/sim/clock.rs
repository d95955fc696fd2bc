//! The clock of the simulated Asterisk, and how it writes moments.

use std::time::{SystemTime, UNIX_EPOCH};

/// Now by this machine's clock, milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    now_us() / 1000
}

/// Now by this machine's clock, microseconds since 1970.
pub(super) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX))
}

/// Writes `ms` (milliseconds since 1970) as Asterisk does: `2026-11-22T12:55:43.350+0000`. By hand, because a load
/// run writes three of them an event.
pub(super) fn push_time(out: &mut String, ms: i64) {
    let (day, in_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let (year, month, date) = civil(day);
    let mut text = *b"0000-00-00T00:00:00.000+0000";
    digits(&mut text[0..4], year);
    digits(&mut text[5..7], month);
    digits(&mut text[8..10], date);
    digits(&mut text[11..13], in_day / 3_600_000);
    digits(&mut text[14..16], in_day / 60_000 % 60);
    digits(&mut text[17..19], in_day / 1000 % 60);
    digits(&mut text[20..23], in_day % 1000);
    out.extend(text.iter().map(|b| char::from(*b)));
}

fn digits(place: &mut [u8], mut value: i64) {
    for byte in place.iter_mut().rev() {
        *byte = b'0' + u8::try_from(value % 10).unwrap_or(0);
        value /= 10;
    }
}

/// Year, month and day of the month of a day counted from 1970-01-01 (the usual civil-from-days arithmetic).
fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let date = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, date)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

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
