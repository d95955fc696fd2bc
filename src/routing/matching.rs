//! A rule's conditions: whether a call fulfils them, and if not, why, with what was found.

mod glob;

pub use glob::Glob;

use chrono::{Datelike, NaiveDate};

use super::calendar::{Dates, Hours, Local, Weekdays, Zone};
use super::facts::CallFacts;
use super::parameters::{Checked, parameters};
use super::read::{Table, shown};
use super::step::Regex;
use super::step::words::{Expression, Label};
use crate::model::Direction;

parameters! {
    /// What must hold for a rule to take a call: all that is given. Of a list, one is enough. Nothing given takes every call.
    ///
    /// In globs `*` is any text, `?` one character, `[1-4]` one of these, `{a,b}` one of two; `\*` is the key itself.
    When {} or {
        /// The dialled number, as globs: `"1??"`, `"+49*"`.
        dialed: Vec<Glob> = Vec::new(),
        /// A regular expression found in the dialled number.
        dialed_regex: Option<Regex> = None,
        /// The caller's number, as globs; a caller without one has the empty text.
        caller_number: Vec<Glob> = Vec::new(),
        /// A regular expression found in the caller's number.
        caller_number_regex: Option<Regex> = None,
        /// The caller's name, as globs.
        caller_name: Vec<Glob> = Vec::new(),
        /// `inbound`, `outbound` or `internal`.
        direction: Vec<Direction> = Vec::new(),
        /// The dialplan's context, as globs.
        context: Vec<Glob> = Vec::new(),
        /// The arguments behind the application's name in `Stasis()`, in order, each as a glob; further arguments may follow.
        args: Vec<Glob> = Vec::new(),
        /// Channel variables by name, or functions such as `CHANNEL(language)`, each as globs.
        variables: Table<Expression, Vec<Glob>> = Table::default(),
        /// The Asterisk server's name in the configuration, as globs.
        node: Vec<Glob> = Vec::new(),
        /// Hours: `"09:00-18:00"`. Over midnight they belong to the day on which they begin, also for the conditions below.
        hours: Vec<Hours> = Vec::new(),
        /// Weekdays: `"mon-fri"`.
        weekdays: Vec<Weekdays> = Vec::new(),
        /// Days: `"2026-12-24"`, each year's `"12-24"`, `"12-24..12-26"`.
        dates: Vec<Dates> = Vec::new(),
        /// Lists of `[holidays]` by name: it is one of their days.
        holidays: Vec<Label> = Vec::new(),
        /// The time zone of all these, if not the file's.
        time_zone: Option<Zone> = None,
        /// Calls that this rule has must be fewer.
        max_live: Option<u32> = None,
    }
}

impl Checked for When {
    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.max_live == Some(0) {
            wrong("max_live", "with 0 this rule never takes a call; take the rule away instead".to_owned());
        }
        if self.time_zone.is_some() && !self.asks_time() {
            wrong("time_zone", "needs hours, weekdays, dates or holidays".to_owned());
        }
    }
}

/// What conditions refer to beside the call.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// The rule's name, under which its live calls are counted.
    pub rule: &'a str,
    /// The file's time zone.
    pub zone: Zone,
    /// The file's holidays.
    pub holidays: &'a Holidays,
}

/// Lists of days by name.
pub type Holidays = Table<Label, Vec<Dates>>;

impl When {
    /// Whether it depends on clock or calendar.
    pub fn asks_time(&self) -> bool {
        !(self.hours.is_empty() && self.weekdays.is_empty() && self.dates.is_empty() && self.holidays.is_empty())
    }

    /// Why this call doesn't fulfil it: a reason for each condition that fails. None when all hold.
    pub fn misses(&self, facts: &CallFacts, around: Surroundings<'_>) -> Vec<String> {
        let mut why = Vec::new();
        one_of("the dialled number", &facts.dialed, &self.dialed, &mut why);
        found("the dialled number", &facts.dialed, self.dialed_regex.as_ref(), &mut why);
        one_of("the caller's number", &facts.caller_number, &self.caller_number, &mut why);
        found("the caller's number", &facts.caller_number, self.caller_number_regex.as_ref(), &mut why);
        one_of("the caller's name", &facts.caller_name, &self.caller_name, &mut why);
        if !self.direction.is_empty() && !facts.direction.is_some_and(|direction| self.direction.contains(&direction)) {
            let found = facts.direction.map_or("not known", Direction::as_str);
            why.push(format!("the direction is {found}, not {}", or(&self.direction)));
        }
        one_of("the context", &facts.context, &self.context, &mut why);
        for (index, wanted) in self.args.iter().enumerate() {
            let found = facts.args.get(index).map_or("", String::as_str);
            one_of(&format!("Stasis argument {}", index + 1), found, std::slice::from_ref(wanted), &mut why);
        }
        for (name, wanted) in self.variables.iter() {
            let found = facts.variable(name.as_str()).unwrap_or_default();
            one_of(&format!("the variable {name}"), found, wanted, &mut why);
        }
        one_of("the node", &facts.node, &self.node, &mut why);
        if self.asks_time() {
            why.extend(self.misses_time(&self.time_zone.unwrap_or(around.zone).local(facts.at), around.holidays));
        }
        if let Some(max) = self.max_live {
            let live = facts.live.get(around.rule).copied().unwrap_or_default();
            if live >= max {
                why.push(format!("{live} live calls of this rule, fewer than {max} are wanted"));
            }
        }
        why
    }

    /// One reason is enough: hours and days belong together.
    fn misses_time(&self, local: &Local, holidays: &Holidays) -> Option<String> {
        let days: Vec<NaiveDate> = match self.hours.is_empty() {
            true => vec![local.date],
            false => self.hours.iter().filter_map(|hours| hours.day_of(local)).collect(),
        };
        if days.is_empty() {
            return Some(format!("it is {local}, outside of {}", or(&self.hours)));
        }
        let mut why = None;
        for day in days {
            // The reason of the first day tried is told: mostly it is the only one.
            match self.misses_day(day, holidays) {
                None => return None,
                Some(reason) if why.is_none() => why = Some(format!("it is {local}: {reason}")),
                Some(_) => {}
            }
        }
        why
    }

    fn misses_day(&self, day: NaiveDate, holidays: &Holidays) -> Option<String> {
        let weekday = day.weekday();
        if !self.weekdays.is_empty() && !self.weekdays.iter().any(|days| days.contains(weekday)) {
            return Some(format!("{} is not among {}", day.format("%A"), or(&self.weekdays)));
        }
        if !self.dates.is_empty() && !self.dates.iter().any(|dates| dates.contains(day)) {
            return Some(format!("{day} is not among {}", or(&self.dates)));
        }
        let is_holiday =
            |name: &Label| holidays.get(name).is_some_and(|list| list.iter().any(|dates| dates.contains(day)));
        if !self.holidays.is_empty() && !self.holidays.iter().any(is_holiday) {
            return Some(format!("{day} is no holiday of {}", or(&self.holidays)));
        }
        None
    }
}

/// A text must be one of these globs; none wanted is whatever there is.
fn one_of(what: &str, found: &str, wanted: &[Glob], why: &mut Vec<String>) {
    if !wanted.is_empty() && !wanted.iter().any(|glob| glob.is_match(found)) {
        why.push(format!("{what} is '{}', not {}", shown(found), or(wanted)));
    }
}

/// An expression must be found in a text.
fn found(what: &str, text: &str, regex: Option<&Regex>, why: &mut Vec<String>) {
    if let Some(regex) = regex
        && !regex.is_match(text)
    {
        why.push(format!("{what} is '{}', in which /{regex}/ is not found", shown(text)));
    }
}

/// `'a'`, `'a' or 'b'`, `'a', 'b' or 'c'`; at most the first ten.
fn or<T: ToString>(words: &[T]) -> String {
    const SHOWN: usize = 10;
    let mut shown: Vec<String> = words.iter().take(SHOWN).map(|word| format!("'{}'", word.to_string())).collect();
    if words.len() > SHOWN {
        shown.push(format!("{} more", words.len() - SHOWN));
    }
    match shown.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
