//! Messages for people who are called at night: what happened, since when, what it means for calls, what to do first.

mod en;
mod ru;

use chrono::DateTime;
use chrono_tz::Tz;

use super::event::{Alarm, Event, Gaps, Notification};
use crate::config::{Config, Language};

/// What is written in a language.
trait Words {
    /// Begins the subject: of an alarm, a reminder, an end.
    const MARKS: [&'static str; 3];
    /// How a moment is written.
    const MOMENT: &'static str;
    /// `since` before a moment.
    const SINCE: &'static str;
    /// `and 3 more`.
    fn more(count: usize) -> String;
    /// A span of time.
    fn span(seconds: f64) -> String;
    /// An alarm's name, and then what it means and what to do.
    fn alarm(alarm: &Alarm) -> (String, String);
    /// What the end of an alarm means, with how long it lasted.
    fn cleared(alarm: &Alarm, lasted: &str) -> String;
    /// Gaps, in the same two parts; `from` and `to` are moments.
    fn gaps(gaps: &Gaps, from: &str, to: &str) -> (String, String);
    /// A message that somebody sends to try the channels.
    fn test() -> (String, String);
}

/// A message as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// One line.
    pub subject: String,
    /// The rest.
    pub body: String,
}

/// Events that a message writes out; the subject says how many there are.
const MAX_WRITTEN: usize = 20;

/// Writes a notification in the configured language and time zone.
pub fn write(notification: &Notification, config: &Config) -> Text {
    match config.alarms.language {
        Language::En => write_in::<en::En>(notification, config),
        Language::Ru => write_in::<ru::Ru>(notification, config),
    }
}

fn write_in<W: Words>(notification: &Notification, config: &Config) -> Text {
    let zone: Tz = config.report.time_zone.parse().unwrap_or(Tz::UTC);
    let parts: Vec<_> = notification.events.iter().map(|event| one::<W>(event, zone)).collect();
    let more = parts.len().saturating_sub(1);
    let first = parts.first().map(|(title, _)| title.as_str()).unwrap_or_default();
    let site = if config.alarms.site.is_empty() { "callcenter" } else { config.alarms.site.as_str() };
    let more = if more > 0 { format!(" {}", W::more(more)) } else { String::new() };
    // A line break in what Asterisk or a configuration says must not end a mail's subject.
    let subject = format!("[{site}] {first}{more}").replace(char::is_control, " ");
    let mut written: Vec<String> =
        parts.iter().take(MAX_WRITTEN).map(|(title, body)| format!("{title}\n{body}")).collect();
    if parts.len() > MAX_WRITTEN {
        written.push(W::more(parts.len() - MAX_WRITTEN));
    }
    Text { subject, body: written.join("\n\n") }
}

/// One event: its title and what is below it.
fn one<W: Words>(event: &Event, zone: Tz) -> (String, String) {
    let moment = |at: f64| moment::<W>(at, zone);
    let [raised, reminder, cleared] = W::MARKS;
    let lasting = |mark: &str, alarm: &Alarm| {
        let (title, body) = W::alarm(alarm);
        (format!("{mark}: {title}"), format!("{} {} ({zone}).\n{body}", W::SINCE, moment(alarm.since)))
    };
    match event {
        Event::Raised(alarm) => lasting(raised, alarm),
        Event::Reminder(alarm) => lasting(reminder, alarm),
        Event::Cleared { alarm, until } => {
            let (title, _) = W::alarm(alarm);
            let body = W::cleared(alarm, &W::span(until - alarm.since));
            let span = format!("{} – {} ({zone}).", moment(alarm.since), moment(*until));
            (format!("{cleared}: {title}"), format!("{span}\n{body}"))
        }
        Event::Gaps(gaps) => W::gaps(gaps, &moment(gaps.since), &format!("{} ({zone})", moment(gaps.until))),
        Event::Test => W::test(),
    }
}

fn moment<W: Words>(at: f64, zone: Tz) -> String {
    let moment = DateTime::from_timestamp(at as i64, 0).unwrap_or_default();
    moment.with_timezone(&zone).format(W::MOMENT).to_string()
}

/// A span as its two largest units: `2 h 5 min`.
fn span(seconds: f64, [day, hour, minute, second]: [&str; 4]) -> String {
    let all = seconds.max(0.0).round() as u64;
    let parts = [(all / 86_400, day), (all / 3_600 % 24, hour), (all / 60 % 60, minute), (all % 60, second)];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).enumerate().filter(|(place, (count, _))| *place == 0 || *count > 0);
    shown.map(|(_, (count, unit))| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
