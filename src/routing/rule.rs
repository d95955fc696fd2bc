//! Rules in order: which one takes a call, and why each earlier one did not.

mod logic;

pub use logic::{Logic, Place};

use std::fmt;
use std::sync::Arc;

use super::calendar::Zone;
use super::facts::CallFacts;
use super::matching::{Holidays, Surroundings, When};
use super::parameters::{Checked, parameters};
use super::step::Step;
use super::step::verb::{Continue, Verb};
use super::step::words::Label;

/// Rules that a file may have.
pub const MAX_RULES: usize = 500;
/// Steps of a fallback: it must work when nothing else does.
pub const MAX_FALLBACK: usize = 5;
/// The name of the route of a call that no rule takes.
pub const DEFAULT: &str = "default";

parameters! {
    /// A rule: the first whose conditions hold takes the call.
    Rule {
        /// Its name, in records and for `goto`. Unique.
        name: Label,
        /// What is done with the call.
        steps: Vec<Step>,
    } or {
        /// What must hold; without it every call is taken.
        when: When = When::new(),
        /// Whether it takes no call by itself: only `goto` leads to it.
        by_goto: bool = false,
        /// What is done when a step's logic fails or the flow exceeds a limit: `answer`, `play`, and at last `hangup` or
        /// `continue`, none of them with `on`.
        fallback: Vec<Step> = vec![to_dialplan()],
    }
}

impl Checked for Rule {
    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.name.as_str() == DEFAULT {
            wrong("name", format!("'{DEFAULT}' is the route of calls that no rule takes; choose another name"));
        }
        if self.by_goto && self.when != When::new() {
            wrong("by_goto", "only `goto` leads to this rule, so it has no `when`".to_owned());
        }
        if self.steps.is_empty() {
            wrong("steps", "a rule needs a step; { continue = {} } hands the call back to the dialplan".to_owned());
        }
        if let Some(why) = fallback_mistake(&self.fallback) {
            wrong("fallback", why);
        }
    }
}

/// What makes these steps no fallback: one must end at once, with the simplest means.
fn fallback_mistake(steps: &[Step]) -> Option<String> {
    let simple = |step: &Step| step.on.is_empty() && matches!(step.verb, Verb::Answer(_) | Verb::Play(_));
    let end = |step: &Step| matches!(step.verb, Verb::Hangup(_) | Verb::Continue(_));
    match steps.split_last() {
        Some((last, before)) if steps.len() <= MAX_FALLBACK && end(last) && before.iter().all(simple) => None,
        Some(_) | None => Some(format!(
            "a fallback is at most {MAX_FALLBACK} steps: answer, play (without `on`), and as the last one hangup or continue"
        )),
    }
}

fn to_dialplan() -> Step {
    Step::new(Continue::new())
}

/// One place in the order of rules.
#[derive(Clone)]
enum Entry {
    /// Written in the file.
    Written(Arc<Written>),
    /// Written in Rust.
    Logic(Arc<dyn Logic>),
}

/// A rule of the file with what is shared with each decision.
struct Written {
    rule: Rule,
    steps: Arc<[Step]>,
    fallback: Arc<[Step]>,
}

/// The rules in force, in order. A call keeps the ones with which it began.
#[derive(Clone)]
pub struct Rules {
    version: String,
    zone: Zone,
    holidays: Holidays,
    entries: Vec<Entry>,
    fallback: Arc<[Step]>,
}

/// What is done with a call.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The name of the rule that takes it; [`DEFAULT`] if none does.
    pub rule: String,
    /// What is done.
    pub steps: Arc<[Step]>,
    /// What is done when that fails.
    pub fallback: Arc<[Step]>,
    /// Each earlier rule, and why it did not take the call.
    pub passed_over: Vec<Passed>,
}

/// A rule that did not take a call.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Passed {
    /// Its name.
    pub rule: String,
    /// A reason for each condition that failed.
    pub why: Vec<String>,
}

impl Default for Rules {
    /// No rules: every call goes on in the dialplan.
    fn default() -> Self {
        Self::new("none", Zone::UTC, Holidays::default(), Vec::new())
    }
}

impl Rules {
    /// These rules in this order. Whoever makes them has checked that names are unique.
    pub fn new(version: &str, zone: Zone, holidays: Holidays, rules: Vec<Rule>) -> Self {
        let entries = rules.into_iter().map(|rule| {
            let (steps, fallback) = (rule.steps.clone().into(), rule.fallback.clone().into());
            Entry::Written(Arc::new(Written { rule, steps, fallback }))
        });
        let fallback = vec![to_dialplan()].into();
        Self { version: version.to_owned(), zone, holidays, entries: entries.collect(), fallback }
    }

    /// The same with a rule written in Rust: `rules.with(Place::First, Vip)`.
    pub fn with(mut self, place: Place, logic: impl Logic) -> Self {
        let entry = Entry::Logic(Arc::new(logic));
        match place {
            Place::First => self.entries.insert(0, entry),
            Place::Last => self.entries.push(entry),
        }
        self
    }

    /// Which text they are from: the first 12 hex digits of its SHA-256; `none` where there is no file.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The time zone of hours and days.
    pub fn zone(&self) -> Zone {
        self.zone
    }

    /// The rules of the file, in order.
    pub fn written(&self) -> impl Iterator<Item = &Rule> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Written(written) => Some(&written.rule),
            Entry::Logic(_) => None,
        })
    }

    /// The file's holidays.
    pub fn holidays(&self) -> &Holidays {
        &self.holidays
    }

    /// The steps of the rule of this name, for `goto`.
    pub fn steps(&self, name: &str) -> Option<Arc<[Step]>> {
        self.entries.iter().find_map(|entry| match entry {
            Entry::Written(written) if written.rule.name.as_str() == name => Some(Arc::clone(&written.steps)),
            Entry::Written(_) | Entry::Logic(_) => None,
        })
    }

    /// The variables and functions that rules ask for in their conditions, to be read before a call is decided.
    pub fn variables(&self) -> std::collections::BTreeSet<String> {
        let of = |rule: &Rule| rule.when.variables.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        self.written().flat_map(of).collect()
    }

    /// Who takes this call: the first rule whose conditions hold. Rust rules run here; whoever calls this catches their panics.
    pub fn decide(&self, facts: &CallFacts) -> Decision {
        let mut passed_over = Vec::new();
        for entry in &self.entries {
            let (rule, why) = match entry {
                Entry::Written(written) => {
                    let name = written.rule.name.as_str();
                    let around = Surroundings { rule: name, zone: self.zone, holidays: &self.holidays };
                    let why = match written.rule.by_goto {
                        true => vec!["only `goto` leads to it".to_owned()],
                        false => written.rule.when.misses(facts, around),
                    };
                    if why.is_empty() {
                        let (steps, fallback) = (Arc::clone(&written.steps), Arc::clone(&written.fallback));
                        return Decision { rule: name.to_owned(), steps, fallback, passed_over };
                    }
                    (name, why)
                }
                Entry::Logic(logic) => {
                    if let Some(steps) = logic.steps(facts) {
                        let fallback = Arc::clone(&self.fallback);
                        return Decision { rule: logic.name().to_owned(), steps: steps.into(), fallback, passed_over };
                    }
                    (logic.name(), vec!["its logic did not want the call".to_owned()])
                }
            };
            passed_over.push(Passed { rule: rule.to_owned(), why });
        }
        let (steps, fallback) = (Arc::clone(&self.fallback), Arc::clone(&self.fallback));
        Decision { rule: DEFAULT.to_owned(), steps, fallback, passed_over }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.entries.iter().map(|entry| match entry {
            Entry::Written(written) => written.rule.name.as_str(),
            Entry::Logic(logic) => logic.name(),
        });
        f.debug_struct("Rules").field("version", &self.version).field("rules", &names.collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests;
