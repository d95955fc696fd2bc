//! Working hours. Pure.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone, Weekday};
use chrono_tz::Tz;

use crate::config::{self, time_of_day};

/// When people are at work.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    zone: Tz,
    days: Vec<Weekday>,
    from: NaiveTime,
    to: NaiveTime,
}

impl Hours {
    /// From the configuration, which was checked: what can't be read would be midnight and UTC.
    pub(super) fn of(config: &config::Alarms, zone: &str) -> Self {
        Self {
            zone: zone.parse().unwrap_or(Tz::UTC),
            days: config.days(),
            from: time_of_day(&config.work_from).unwrap_or_default(),
            to: time_of_day(&config.work_to).unwrap_or_default(),
        }
    }

    /// When the working day that runs at `now` (seconds since 1970) began; none outside of working time.
    pub(super) fn begun(&self, now: f64) -> Option<f64> {
        let today = DateTime::from_timestamp(now as i64, 0)?.with_timezone(&self.zone).date_naive();
        // A shift over midnight began yesterday.
        let spans = [Some(today), today.checked_sub_days(Days::new(1))].into_iter().flatten();
        spans.filter_map(|day| self.span(day)).find(|(from, to)| (*from..*to).contains(&now)).map(|(from, _)| from)
    }

    fn span(&self, day: NaiveDate) -> Option<(f64, f64)> {
        use chrono::Datelike;
        if !self.days.contains(&day.weekday()) {
            return None;
        }
        let end = if self.to > self.from { day } else { day.checked_add_days(Days::new(1))? };
        Some((self.moment(day, self.from)?, self.moment(end, self.to)?))
    }

    /// A local time as seconds since 1970; one that the clocks skip is an hour later.
    fn moment(&self, day: NaiveDate, time: NaiveTime) -> Option<f64> {
        let local = day.and_time(time);
        let found = self.zone.from_local_datetime(&local).earliest();
        let found = found.or_else(|| self.zone.from_local_datetime(&(local + chrono::TimeDelta::hours(1))).earliest());
        found.map(|moment| moment.timestamp() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is working time, and when that began, for moments in UTC.
    fn check(days: &[&str], from: &str, to: &str, zone: &str, cases: &[(&str, Option<&str>)]) {
        let config = config::Alarms {
            work_days: days.iter().map(|day| (*day).to_owned()).collect(),
            work_from: from.into(),
            work_to: to.into(),
            ..config::Alarms::default()
        };
        let hours = Hours::of(&config, zone);
        let at = |text: &str| DateTime::parse_from_rfc3339(&format!("{text}:00Z")).unwrap().timestamp() as f64;
        for (now, begun) in cases {
            assert_eq!(hours.begun(at(now)), begun.map(at), "{now} of {days:?} {from}-{to} {zone}");
        }
    }

    #[test]
    fn days_times_zones_and_shifts_over_midnight() {
        // 2026-11-20 is a Friday.
        let moscow = [
            ("2026-11-20T05:59", None),
            ("2026-11-20T06:00", Some("2026-11-20T06:00")),
            ("2026-11-20T14:59", Some("2026-11-20T06:00")),
            ("2026-11-20T15:00", None),
            ("2026-11-21T10:00", None),
        ];
        check(&["mon", "fri"], "09:00", "18:00", "Europe/Moscow", &moscow);
        let night = [
            ("2026-11-20T21:59", None),
            ("2026-11-20T22:00", Some("2026-11-20T22:00")),
            ("2026-11-21T05:59", Some("2026-11-20T22:00")),
            ("2026-11-21T06:00", None),
            ("2026-11-20T05:00", None),
        ];
        check(&["fri"], "22:00", "06:00", "UTC", &night);
        let always = [("2026-11-20T00:00", Some("2026-11-20T00:00")), ("2026-11-20T23:59", Some("2026-11-20T00:00"))];
        check(&["fri"], "00:00", "24:00", "UTC", &always);
        // The clocks go forward at 02:00 on 2026-03-29 in Berlin: 02:30 is skipped.
        check(&["sun"], "02:30", "04:00", "Europe/Berlin", &[("2026-03-29T01:45", Some("2026-03-29T01:30"))]);
    }
}
