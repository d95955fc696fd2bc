//! Whether one rule's conditions hold whenever another's do. Where that can't be told they don't: a rule is called
//! unreachable for certain only.

use chrono::Weekday;

use crate::routing::calendar::{Hours, Weekdays};
use crate::routing::matching::{Glob, When};

/// Whether every call that fulfils `later` certainly fulfils `earlier`.
pub(super) fn covers(earlier: &When, later: &When) -> bool {
    // How many calls a rule has changes all the time.
    earlier.max_live.is_none()
        && globs(&earlier.dialed, &later.dialed)
        && same(&earlier.dialed_regex, &later.dialed_regex)
        && globs(&earlier.caller_number, &later.caller_number)
        && same(&earlier.caller_number_regex, &later.caller_number_regex)
        && globs(&earlier.caller_name, &later.caller_name)
        && within(&earlier.direction, &later.direction)
        && globs(&earlier.context, &later.context)
        && arguments(&earlier.args, &later.args)
        && variables(earlier, later)
        && globs(&earlier.node, &later.node)
        && time(earlier, later)
}

/// One of a list is enough, so each of the later ones must be covered by an earlier one; nothing given is everything.
fn globs(earlier: &[Glob], later: &[Glob]) -> bool {
    let covered = |later: &Glob| earlier.iter().any(|earlier| earlier.covers(later));
    earlier.is_empty()
        || earlier.iter().any(|glob| glob.as_str() == "*")
        || (!later.is_empty() && later.iter().all(covered))
}

/// An expression covers itself.
fn same<T: PartialEq>(earlier: &Option<T>, later: &Option<T>) -> bool {
    earlier.is_none() || earlier == later
}

fn within<T: PartialEq>(earlier: &[T], later: &[T]) -> bool {
    earlier.is_empty() || (!later.is_empty() && later.iter().all(|item| earlier.contains(item)))
}

/// Each place of an argument must hold.
fn arguments(earlier: &[Glob], later: &[Glob]) -> bool {
    earlier
        .iter()
        .enumerate()
        .all(|(index, glob)| glob.as_str() == "*" || later.get(index).is_some_and(|later| glob.covers(later)))
}

fn variables(earlier: &When, later: &When) -> bool {
    let by_name =
        |(name, wanted): (_, &Vec<Glob>)| globs(wanted, later.variables.get(name).map_or(&[][..], Vec::as_slice));
    earlier.variables.iter().all(by_name)
}

fn time(earlier: &When, later: &When) -> bool {
    if !earlier.asks_time() {
        return true;
    }
    earlier.time_zone == later.time_zone
        && hours(&earlier.hours, &later.hours)
        && weekdays(&earlier.weekdays, &later.weekdays)
        && within(&earlier.dates, &later.dates)
        && within(&earlier.holidays, &later.holidays)
        && same_days(earlier, later)
}

/// Hours over midnight move the day, so days are compared only where both have the same hours, or neither such ones.
fn same_days(earlier: &When, later: &When) -> bool {
    let has_days = !(earlier.weekdays.is_empty() && earlier.dates.is_empty() && earlier.holidays.is_empty());
    let over_midnight = |when: &When| when.hours.iter().any(|hours| hours.is_over_midnight());
    !has_days || earlier.hours == later.hours || !(over_midnight(earlier) || over_midnight(later))
}

fn hours(earlier: &[Hours], later: &[Hours]) -> bool {
    let covered = |later: &Hours| earlier.iter().any(|earlier| earlier.contains(*later));
    earlier.is_empty() || (!later.is_empty() && later.iter().all(covered))
}

fn weekdays(earlier: &[Weekdays], later: &[Weekdays]) -> bool {
    let covered = |day: Weekday| earlier.iter().any(|days| days.contains(day));
    earlier.is_empty() || (!later.is_empty() && later.iter().flat_map(|days| days.days()).all(covered))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn when(toml: &str) -> When {
        let node = crate::routing::file::node(toml).unwrap();
        let mut reader = crate::routing::read::Reader::default();
        let read = crate::routing::read::Read::read(&node, &mut reader);
        reader.finish(read).unwrap()
    }

    #[test]
    fn one_covers_another() {
        for (earlier, later) in [
            ("", "dialed = '1'"),
            ("", ""),
            ("dialed = '*'", ""),
            ("dialed = ['1*', '2']", "dialed = ['100', '2', '1*']"),
            ("dialed_regex = '^1'", "dialed_regex = '^1'\nnode = 'x'"),
            ("direction = ['inbound', 'internal']", "direction = 'inbound'"),
            ("args = ['*']", ""),
            ("args = 's*'", "args = ['sales', 'x']"),
            ("variables = { a = '*' }", ""),
            ("variables = { a = ['1', '2'] }", "variables = { a = '1', b = '1' }"),
            ("hours = '08:00-18:00'", "hours = ['09:00-12:00', '13:00-18:00']\nmax_live = 3"),
            ("weekdays = ['mon-wed', 'thu-fri']", "weekdays = 'tue-thu'"),
            ("dates = ['12-24', '12-25']", "dates = '12-25'"),
            ("hours = '22:00-06:00'\nweekdays = 'mon-fri'", "hours = '22:00-06:00'\nweekdays = 'mon'"),
        ] {
            assert!(covers(&when(earlier), &when(later)), "{earlier} / {later}");
        }
    }

    #[test]
    fn what_may_differ_is_not_covered() {
        for (earlier, later) in [
            ("dialed = '1'", ""),
            ("dialed = '1*'", "dialed = '??'"),
            ("dialed = '1*'", "dialed = ['10', '20']"),
            ("dialed_regex = '^1'", "dialed = '10'"),
            ("max_live = 3", ""),
            ("args = ['x', 'y']", "args = ['x']"),
            ("variables = { a = '1' }", "variables = { b = '1' }"),
            ("hours = '09:00-18:00'", "hours = '08:00-10:00'"),
            ("hours = '09:00-18:00'", "hours = '10:00-11:00'\ntime_zone = 'UTC'"),
            ("weekdays = 'mon'", "weekdays = 'mon'\nhours = '22:00-06:00'"),
            ("weekdays = 'mon-fri'", "dates = '12-24'"),
        ] {
            assert!(!covers(&when(earlier), &when(later)), "{earlier} / {later}");
        }
    }
}
