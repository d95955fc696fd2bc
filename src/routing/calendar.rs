//! Hours, weekdays, dates, holidays: when a rule holds, on the clock of its time zone.

use std::fmt;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Timelike, Weekday};
use chrono_tz::Tz;
use serde_json::json;

use super::node::{Node, Value};
use super::read::{Read, Reader, read_from_text, shown};
use crate::model::Timestamp;

/// A time zone by its name in the IANA database, `Europe/Berlin`; `UTC`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(Tz::UTC);

    /// What clock and calendar show there at this moment.
    pub fn local(self, at: Timestamp) -> Local {
        let utc = DateTime::from_timestamp_millis(at.millis()).unwrap_or_default();
        let there = utc.with_timezone(&self.0).naive_local();
        Local { date: there.date(), minute: there.hour() * 60 + there.minute(), zone: self }
    }

    /// The moment at which clocks there show this; the earlier one of two, none in the hour that summer time leaves out.
    pub fn moment(self, local: chrono::NaiveDateTime) -> Option<Timestamp> {
        let there = local.and_local_timezone(self.0).earliest()?;
        Some(Timestamp::from_millis(there.timestamp_millis()))
    }
}

impl TryFrom<&str> for Zone {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let zone = text.parse::<Tz>().map(Self);
        zone.map_err(|_| format!("'{}' is no time zone of the IANA database such as 'Europe/Berlin'", shown(text)))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

read_from_text!(Zone, "a time zone such as \"Europe/Berlin\"", 1, {});

/// What clock and calendar show somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The day.
    pub date: NaiveDate,
    /// Minutes since midnight.
    pub minute: u32,
    /// Where.
    pub zone: Zone,
}

impl fmt::Display for Local {
    /// `08:12 on Monday 2026-11-23 (Europe/Berlin)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute) = (self.minute / 60, self.minute % 60);
        write!(f, "{hour:02}:{minute:02} on {} ({})", self.date.format("%A %Y-%m-%d"), self.zone)
    }
}

/// Hours of a day, `09:00-18:00`: from the first minute until before the last. Over midnight (`22:00-06:00`) they belong to
/// the day on which they begin. `24:00` is the day's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: u32,
    to: u32,
}

impl Hours {
    /// The day to which this moment belongs, if it is within these hours.
    pub fn day_of(self, local: &Local) -> Option<NaiveDate> {
        let minute = local.minute;
        if self.from < self.to {
            return (self.from..self.to).contains(&minute).then_some(local.date);
        }
        if minute >= self.from {
            return Some(local.date);
        }
        (minute < self.to).then(|| local.date.checked_sub_days(Days::new(1))).flatten()
    }

    /// Whether they end on the day after they began.
    pub fn is_over_midnight(self) -> bool {
        self.from > self.to
    }

    /// Whether every moment within `other` is within these, and of the same day.
    pub fn contains(self, other: Self) -> bool {
        let end = |hours: Self| if hours.from < hours.to { hours.to } else { hours.to + 24 * 60 };
        self.from <= other.from && end(other) <= end(self)
    }
}

impl TryFrom<&str> for Hours {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let minute = |text: &str| {
            let text = text.trim();
            if text == "24:00" {
                return Some(24 * 60);
            }
            let time = NaiveTime::parse_from_str(text, "%H:%M").ok()?;
            Some(time.hour() * 60 + time.minute())
        };
        let both = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
        match both {
            Some((from, to)) if from != to && from < 24 * 60 => Ok(Self { from, to }),
            Some(_) | None => Err(format!("'{}' are no hours such as '09:00-18:00' or '22:00-06:00'", shown(text))),
        }
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}-{:02}:{:02}", self.from / 60, self.from % 60, self.to / 60, self.to % 60)
    }
}

read_from_text!(Hours, "hours such as \"09:00-18:00\"", 16, { "pattern": "^[0-9]{2}:[0-9]{2} ?- ?[0-9]{2}:[0-9]{2}$" });

/// Weekdays: `mon`, or from one to another, `mon-fri`, `sat-mon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays {
    first: Weekday,
    last: Weekday,
}

/// As they are written, Monday first.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Weekdays {
    /// Whether this day is among them.
    pub fn contains(self, day: Weekday) -> bool {
        let from_first = |day: Weekday| day.days_since(self.first);
        from_first(day) <= from_first(self.last)
    }

    /// The days, in order.
    pub fn days(self) -> impl Iterator<Item = Weekday> {
        let count = self.last.days_since(self.first) + 1;
        std::iter::successors(Some(self.first), |day| Some(day.succ())).take(count as usize)
    }
}

impl TryFrom<&str> for Weekdays {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let day = |text: &str| {
            let known = WEEKDAYS.iter().position(|word| *word == text.trim())?;
            u8::try_from(known).ok().and_then(|known| Weekday::try_from(known).ok())
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (day(first), day(last)) {
            (Some(first), Some(last)) => Ok(Self { first, last }),
            (Some(_) | None, None) | (None, Some(_)) => {
                Err(format!("'{}' is no weekday; expected {}, or 'mon-fri'", shown(text), WEEKDAYS.join(", ")))
            }
        }
    }
}

impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |day: Weekday| WEEKDAYS[day.num_days_from_monday() as usize];
        match self.first == self.last {
            true => f.write_str(word(self.first)),
            false => write!(f, "{}-{}", word(self.first), word(self.last)),
        }
    }
}

read_from_text!(Weekdays, "weekdays such as \"mon-fri\"", 7, { "pattern": "^(mon|tue|wed|thu|fri|sat|sun)(-(mon|tue|wed|thu|fri|sat|sun))?$" });

/// A day: of one year, or of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `2026-12-24`
    Of(NaiveDate),
    /// `12-24`: month and day.
    Yearly(u32, u32),
}

/// Days: `2026-12-24`, each year's `12-24`, or from one to another of the same form, `12-24..01-02`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    first: Day,
    last: Day,
}

impl Dates {
    /// Whether this day is among them.
    pub fn contains(self, date: NaiveDate) -> bool {
        let day = (date.month(), date.day());
        match (self.first, self.last) {
            (Day::Of(first), Day::Of(last)) => (first..=last).contains(&date),
            (Day::Yearly(month, first), Day::Yearly(last_month, last)) => {
                let (first, last) = ((month, first), (last_month, last));
                if first <= last { (first..=last).contains(&day) } else { day >= first || day <= last }
            }
            // The reader makes none of these.
            (Day::Of(_), Day::Yearly(..)) | (Day::Yearly(..), Day::Of(_)) => false,
        }
    }
}

impl TryFrom<&str> for Dates {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let day = |text: &str| {
            let text = text.trim();
            // Of a leap year, so that the 29th of February can be written.
            let yearly = || NaiveDate::parse_from_str(&format!("2024-{text}"), "%Y-%m-%d").ok();
            match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
                Ok(date) => Some(Day::Of(date)),
                Err(_) => yearly().map(|date| Day::Yearly(date.month(), date.day())),
            }
        };
        let wrong = || {
            let forms = "'2026-12-24', each year's '12-24', or from one to another of the same form, '12-24..12-26'";
            format!("'{}' are no days; expected {forms}", shown(text))
        };
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = day(first).zip(day(last)).ok_or_else(wrong)?;
        match (first, last) {
            (Day::Of(from), Day::Of(to)) if from > to => Err(format!("'{}' ends before it begins", shown(text))),
            (Day::Of(_), Day::Of(_)) | (Day::Yearly(..), Day::Yearly(..)) => Ok(Self { first, last }),
            (Day::Of(_), Day::Yearly(..)) | (Day::Yearly(..), Day::Of(_)) => Err(wrong()),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Of(date) => write!(f, "{date}"),
            Self::Yearly(month, day) => write!(f, "{month:02}-{day:02}"),
        }
    }
}

impl fmt::Display for Dates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}..{}", self.first, self.last) }
    }
}

impl Read for Dates {
    /// Days of a list: a year's holidays and more.
    const MOST: usize = 400;

    /// TOML's own dates stand without quotes.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let (Value::Text(text) | Value::Moment(text)) = &node.value else {
            return reader.expected(node, "days such as \"2026-12-24\" or \"12-24\"");
        };
        Self::try_from(text.as_str()).map_or_else(|message| reader.wrong(node, message), Some)
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "string", "pattern": "^([0-9]{4}-)?[0-9]{2}-[0-9]{2}(\\.\\.([0-9]{4}-)?[0-9]{2}-[0-9]{2})?$" })
    }
}

impl serde::Serialize for Dates {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests;
