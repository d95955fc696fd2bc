//! Moments in time, as Asterisk writes them and as the database holds them.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use chrono::DateTime;

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
///
/// Asterisk stamps its events in milliseconds with an offset of its own time zone
/// (`2026-11-22T12:55:43.350+0000`); here every moment is UTC. Text is `YYYY-MM-DDTHH:MM:SS.mmmZ`,
/// which sorts as the moments do.
///
/// An `Option` of it takes no more room: a live channel has a score of them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

/// Added to the milliseconds, so that they sort as what is stored does, which is never 0.
const SHIFT: u64 = 1 << 63;

/// The text is no moment that Asterisk or this program writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no time of the form 2026-11-22T12:55:43.350+0000")]
pub struct ParseTimestampError(pub String);

impl Timestamp {
    /// The moment `ms` milliseconds after 1970-01-01T00:00:00Z.
    pub const fn from_millis(ms: i64) -> Self {
        match NonZeroU64::new(ms.cast_unsigned() ^ SHIFT) {
            Some(stored) => Self(stored),
            // The first millisecond of all, 292 million years ago, is taken for the second one.
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        (self.0.get() ^ SHIFT).cast_signed()
    }

    /// From seconds since 1970 with a fraction, as the journal's `at` and Asterisk's CDR have them.
    pub fn from_secs_f64(seconds: f64) -> Self {
        Self::from_millis((seconds * 1000.0).round() as i64)
    }

    /// Seconds since 1970 with a fraction.
    pub fn secs_f64(self) -> f64 {
        self.millis() as f64 / 1000.0
    }

    /// This moment moved by `ms` milliseconds (earlier when negative).
    pub const fn plus_millis(self, ms: i64) -> Self {
        Self::from_millis(self.millis().saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is the later one.
    pub const fn since(self, earlier: Self) -> i64 {
        self.millis().saturating_sub(earlier.millis())
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.millis()).finish()
    }
}

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    /// Reads RFC 3339 and Asterisk's form of it, whose offset has no colon (`+0500`).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(moment) = usual(text.as_bytes()) {
            return Ok(moment);
        }
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
        parsed.map(|t| Self::from_millis(t.timestamp_millis())).ok_or_else(|| ParseTimestampError(text.to_owned()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.digits() {
            Some(text) => f.write_str(std::str::from_utf8(&text).unwrap_or_default())?,
            None => return write!(f, "{}ms", self.millis()),
        }
        f.write_str("Z")
    }
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The form without its offset.
const FORM: [u8; 23] = *b"0000-00-00T00:00:00.000";

/// Asterisk's usual form, `2026-11-22T12:55:43.350+0500`, by hand: each event has two or three of them, and this takes a
/// tenth of the time of chrono's reader, which reads every other form (a test holds that both agree).
fn usual(text: &[u8]) -> Option<Timestamp> {
    let (moment, offset) = text.split_first_chunk::<23>()?;
    let number = |text: &[u8]| {
        text.iter().try_fold(0i64, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
    };
    let marks = [4, 7, 10, 13, 16, 19];
    let (b'+' | b'-', 5) = (*offset.first()?, offset.len()) else { return None };
    if marks.iter().any(|at| moment[*at] != FORM[*at]) {
        return None;
    }
    let (year, month, day) = (number(&moment[0..4])?, number(&moment[5..7])?, number(&moment[8..10])?);
    let (hour, minute, second) = (number(&moment[11..13])?, number(&moment[14..16])?, number(&moment[17..19])?);
    let (ms, east_h, east_m) = (number(&moment[20..23])?, number(&offset[1..3])?, number(&offset[3..5])?);
    let days = days_from_civil(year, month, day);
    // Leap seconds, days that the month hasn't and the like are the other reader's matter.
    if civil_from_days(days) != (year, month, day)
        || hour > 23
        || minute > 59
        || second > 59
        || east_h > 23
        || east_m > 59
    {
        return None;
    }
    let east = (east_h * 60 + east_m) * 60_000 * if offset[0] == b'-' { -1 } else { 1 };
    Some(Timestamp::from_millis(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1_000 + ms - east))
}

impl Timestamp {
    /// `2026-11-22T12:55:43.350`, UTC, without an offset; `None` outside of the years 0 to 9999.
    fn digits(self) -> Option<[u8; 23]> {
        let (day, ms) = (self.millis().div_euclid(DAY_MS), self.millis().rem_euclid(DAY_MS));
        let (year, month, day) = civil_from_days(day);
        if !(0..=9999).contains(&year) {
            return None;
        }
        let mut text = FORM;
        let mut put = |at: usize, digits: usize, number: i64| {
            let mut rest = number;
            for place in text[at..at + digits].iter_mut().rev() {
                *place = b'0' + (rest % 10) as u8;
                rest /= 10;
            }
        };
        put(0, 4, year);
        put(5, 2, month);
        put(8, 2, day);
        put(11, 2, ms / 3_600_000);
        put(14, 2, ms / 60_000 % 60);
        put(17, 2, ms / 1_000 % 60);
        put(20, 3, ms % 1_000);
        Some(text)
    }

    /// The text of `Display`, made at once.
    pub fn text(self) -> String {
        let Some(digits) = self.digits() else { return self.to_string() };
        let mut text = String::with_capacity(24);
        text.push_str(std::str::from_utf8(&digits).unwrap_or_default());
        text.push('Z');
        text
    }

    /// Writes the moment as an Asterisk in UTC does: `2026-11-22T12:55:43.350+0000`.
    pub fn push_as_asterisk(self, out: &mut String) {
        let text = self.digits().unwrap_or(FORM);
        out.push_str(std::str::from_utf8(&text).unwrap_or_default());
        out.push_str("+0000");
    }
}

/// Year, month and day of the day that many days after 1970-01-01 in the Gregorian calendar.
///
/// The algorithm is Howard Hinnant's `civil_from_days` (howardhinnant.github.io/date_algorithms.html): years
/// begin in March there, so that the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// The way back, `days_from_civil` of the same source.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
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

    /// Chrono's words for the same moment.
    fn by_chrono(ms: i64) -> Option<String> {
        let moment = DateTime::<chrono::Utc>::from_timestamp_millis(ms)?;
        Some(moment.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))
    }

    #[test]
    fn text_is_chronos_text_and_is_read_back() {
        let mut ms = -62_167_219_200_000i64; // the year 0
        while ms < 253_402_300_800_000 {
            let time = Timestamp::from_millis(ms);
            assert_eq!(Some(time.to_string()), by_chrono(ms));
            assert_eq!(time.text(), time.to_string());
            let mut asterisk = String::new();
            time.push_as_asterisk(&mut asterisk);
            assert_eq!(usual(asterisk.as_bytes()), Some(time), "{asterisk}");
            ms += 86_399_999 * 31 + 7_654_321;
        }
        for ms in [-1, 0, 951_782_399_999, 951_782_400_000, 4_107_542_400_000] {
            assert_eq!(Some(Timestamp::from_millis(ms).to_string()), by_chrono(ms));
        }
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9223372036854775807ms");
        assert_eq!(Timestamp::from_millis(i64::MIN).to_string(), "-9223372036854775807ms");
    }

    #[test]
    fn the_quick_reader_takes_nothing_that_chrono_refuses() {
        let good = "2024-02-29T23:59:59.350+0530";
        assert_eq!(usual(good.as_bytes()), Some("2024-02-29T23:59:59.350+05:30".parse().unwrap()));
        for at in 0..good.len() {
            for byte in b"0123456789+-:. TZx" {
                let mut text = good.as_bytes().to_vec();
                text[at] = *byte;
                let colon =
                    format!("{}:{}", String::from_utf8_lossy(&text[..26]), String::from_utf8_lossy(&text[26..]));
                let chrono =
                    DateTime::parse_from_rfc3339(&colon).ok().map(|t| Timestamp::from_millis(t.timestamp_millis()));
                let ours = usual(&text);
                assert!(ours.is_none() || ours == chrono, "{colon}: {ours:?}, {chrono:?}");
            }
        }
        for text in ["2023-02-29T00:00:00.000+0000", "2024-04-31T00:00:00.000+0000", "2024-00-10T00:00:00.000+0000"] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn texts_sort_as_the_moments_do() {
        let moments = [0i64, 1, 999, 1_000, 86_399_999, 86_400_000, 1_795_352_366_307];
        let texts: Vec<String> = moments.iter().map(|&ms| Timestamp::from_millis(ms).to_string()).collect();
        assert!(texts.is_sorted());
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

    #[test]
    fn moments_sort_by_their_milliseconds_and_an_option_takes_no_more_room() {
        let all = [i64::MIN + 1, -1, 0, 1, 1_795_352_366_307, i64::MAX];
        for (one, next) in all.iter().zip(&all[1..]) {
            assert!(Timestamp::from_millis(*one) < Timestamp::from_millis(*next));
            assert_eq!(Timestamp::from_millis(*one).millis(), *one);
        }
        assert_eq!(Timestamp::from_millis(i64::MIN), Timestamp::from_millis(i64::MIN + 1));
        assert_eq!(
            (Timestamp::default().millis(), Timestamp::from_millis(i64::MIN).plus_millis(-1).millis()),
            (0, i64::MIN + 1)
        );
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<i64>());
    }
}
