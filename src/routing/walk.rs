//! Steps played out without a call: what a call would go through if each step ended as is said.

mod describe;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde::Serialize;

use super::facts::CallFacts;
use super::policy::DialPolicy;
use super::read::unknown;
use super::rule::{Decision, Rules};
use super::step::choice::RecordKind;
use super::step::verb::Dial;
use super::step::{Cause, Outcome, Step, Target, Then, Verb};

/// Steps after which a walk is given up.
pub const MAX_WALK: usize = 200;

/// One step that was played out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Walked {
    /// The rule whose step it is.
    pub rule: String,
    /// Where in the rule: `steps[2].on.busy[1]`.
    pub path: String,
    /// The step's name, if it has one.
    pub name: Option<String>,
    /// The verb.
    pub verb: &'static str,
    /// What it does with this call, variables put in.
    pub does: String,
    /// How it ended; none for a step that has no outcome.
    pub outcome: Option<String>,
    /// Where the outcome is from: `answers`, `default`, or `call` where the call itself decides it.
    pub from: Option<&'static str>,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The caller is hung up.
    HungUp {
        /// The cause of Q.850, by word or number.
        cause: String,
    },
    /// The caller is in the dialplan.
    InDialplan,
    /// The rule's fallback takes the call.
    Fallback,
    /// The caller gave up.
    Abandoned,
    /// Given up after [`MAX_WALK`] steps.
    TooLong,
}

/// A decision played out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Walk {
    /// The steps, in the order in which they are run.
    pub steps: Vec<Walked>,
    /// How it ended.
    pub end: End,
    /// Answers that no step took.
    pub unused: Vec<String>,
}

/// Plays a decision's steps out. Each step that can end in several ways takes the next of `answers`: one of its outcomes, a key
/// of a menu, digits for `collect`. Without one it ends as mostly: `dial` answered, `menu` with a timeout, the others done.
/// `if` is decided by the variables.
///
/// # Errors
/// An answer that the step can't have.
pub fn walk(
    (rules, policy): (&Rules, &DialPolicy),
    decision: &Decision,
    facts: &CallFacts,
    answers: &[String],
) -> Result<Walk, String> {
    let mut walker = Walker {
        policy,
        facts,
        variables: BTreeMap::new(),
        answers: answers.iter().map(String::as_str).collect(),
        steps: Vec::new(),
        rule: decision.rule.clone(),
        cause: Cause::NORMAL,
    };
    let mut steps = Arc::clone(&decision.steps);
    let end = loop {
        match walker.list("steps", &steps)? {
            Flow::Next => break End::HungUp { cause: walker.cause.to_string() },
            Flow::End(end) => break end,
            Flow::Goto(rule) => match rules.steps(&rule) {
                Some(other) => {
                    steps = other;
                    walker.rule = rule;
                }
                None => break End::Fallback,
            },
        }
    };
    Ok(Walk { steps: walker.steps, end, unused: walker.answers.into_iter().map(str::to_owned).collect() })
}

/// Where the flow goes after a step or a list.
enum Flow {
    Next,
    End(End),
    Goto(String),
}

struct Walker<'a> {
    policy: &'a DialPolicy,
    facts: &'a CallFacts,
    variables: BTreeMap<String, String>,
    answers: VecDeque<&'a str>,
    steps: Vec<Walked>,
    rule: String,
    /// With which the caller is hung up when the steps run out.
    cause: Cause,
}

/// How a step ended, and what says so.
type Ended = (Outcome, &'static str);

impl Walker<'_> {
    fn list(&mut self, path: &str, steps: &[Step]) -> Result<Flow, String> {
        for (index, step) in steps.iter().enumerate() {
            match self.step(&format!("{path}[{}]", index + 1), step)? {
                Flow::Next => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::Next)
    }

    fn step(&mut self, path: &str, step: &Step) -> Result<Flow, String> {
        if self.steps.len() >= MAX_WALK {
            return Ok(Flow::End(End::TooLong));
        }
        let does = self.does(&step.verb);
        let ended = self.outcome(path, &step.verb)?;
        self.steps.push(Walked {
            rule: self.rule.clone(),
            path: path.to_owned(),
            name: step.name.as_ref().map(ToString::to_string),
            verb: step.verb.name(),
            does,
            outcome: ended.as_ref().map(|(outcome, _)| outcome.to_string()),
            from: ended.as_ref().map(|(_, from)| *from),
        });
        let Some((outcome, _)) = ended else { return Ok(end_of(&step.verb)) };
        if matches!(step.verb, Verb::Dial(_)) {
            self.cause = outcome.cause();
        }
        let flow = match step.on.get(&outcome) {
            Some(steps) => self.list(&format!("{path}.on.{outcome}"), steps)?,
            None => match step.verb.then(&outcome) {
                Then::Next => Flow::Next,
                Then::End => Flow::End(End::HungUp { cause: self.cause.to_string() }),
                Then::Fallback => Flow::End(End::Fallback),
            },
        };
        // Whatever ran after that, the caller has gone.
        Ok(if outcome == Outcome::Abandoned { Flow::End(End::Abandoned) } else { flow })
    }

    /// How this step ends; none if it has no outcome.
    fn outcome(&mut self, path: &str, verb: &Verb) -> Result<Option<Ended>, String> {
        let usual = match verb {
            Verb::Hangup(_) | Verb::Continue(_) | Verb::Goto(_) => return Ok(None),
            Verb::If(condition) => {
                let holds = condition.holds(&|name| self.value(name));
                return Ok(Some((if holds { Outcome::Yes } else { Outcome::No }, "call")));
            }
            Verb::Set(set) => {
                let value = set.value.expand(&|name| self.value(name));
                self.variables.insert(set.variable.to_string(), value);
                return Ok(Some((Outcome::Done, "default")));
            }
            Verb::Answer(_) | Verb::Ring(_) | Verb::Wait(_) | Verb::Music(_) | Verb::Play(_) | Verb::Say(_) => {
                return Ok(Some((Outcome::Done, "default")));
            }
            Verb::Record(record) if record.kind == RecordKind::Call => return Ok(Some((Outcome::Done, "default"))),
            Verb::Dial(dial) if self.refused(dial).len() == dial.to.len() => {
                return Ok(Some((Outcome::Failed, "call")));
            }
            Verb::Dial(_) => Outcome::Answered,
            Verb::Menu(_) => Outcome::Timeout,
            Verb::Collect(_) | Verb::Record(_) | Verb::Voicemail(_) | Verb::Webhook(_) => Outcome::Done,
        };
        match self.answers.pop_front() {
            Some(answer) => self.answered(path, verb, answer).map(|outcome| Some((outcome, "answers"))),
            None => Ok(Some((usual, "default"))),
        }
    }

    /// What this answer is to this step.
    fn answered(&mut self, path: &str, verb: &Verb, answer: &str) -> Result<Outcome, String> {
        let outcomes = verb.outcomes();
        let digits = !answer.is_empty() && answer.bytes().all(|key| key.is_ascii_digit() || b"*#".contains(&key));
        if let (Verb::Menu(menu), true) = (verb, digits) {
            self.variables.insert("KEY".to_owned(), answer.to_owned());
            return Ok(menu.look(answer).chosen.unwrap_or(Outcome::Invalid));
        }
        if let (Verb::Collect(collect), true) = (verb, digits) {
            let count = u32::try_from(answer.len()).unwrap_or(u32::MAX);
            if !(collect.min..=collect.max).contains(&count) {
                return Ok(Outcome::Invalid);
            }
            self.variables.insert(collect.variable.to_string(), answer.to_owned());
            return Ok(Outcome::Done);
        }
        outcomes.iter().find(|outcome| outcome.word() == answer).cloned().ok_or_else(|| {
            let words: Vec<&str> = outcomes.iter().map(Outcome::word).collect();
            unknown(&format!("answer for {} at {} of '{}'", verb.name(), path, self.rule), answer, &words)
        })
    }

    /// Whom the policy forbids, and why; also what is no endpoint with this call's values.
    fn refused(&self, dial: &Dial) -> Vec<String> {
        let judge = |target: &Target| match target.endpoint(&|name| self.value(name)) {
            Ok(endpoint) => self.policy.judge(&endpoint).why().map(|why| format!("{endpoint} is forbidden: {why}")),
            Err(why) => Some(why),
        };
        dial.to.iter().filter_map(judge).collect()
    }

    /// What a step does, in a line.
    fn does(&self, verb: &Verb) -> String {
        let mut does = describe::parameters(verb, &|name| self.value(name));
        if let Verb::Dial(dial) = verb {
            does.extend(self.refused(dial).iter().map(|why| format!(" [{why}]")));
        }
        does
    }

    fn value(&self, name: &str) -> Option<String> {
        self.variables.get(name).map(String::as_str).or_else(|| self.facts.variable(name)).map(str::to_owned)
    }
}

/// Where a step without outcomes leads.
fn end_of(verb: &Verb) -> Flow {
    match verb {
        Verb::Goto(goto) => Flow::Goto(goto.rule.to_string()),
        Verb::Continue(_) => Flow::End(End::InDialplan),
        Verb::Hangup(hangup) => Flow::End(End::HungUp { cause: hangup.cause.to_string() }),
        Verb::Answer(_)
        | Verb::Ring(_)
        | Verb::Play(_)
        | Verb::Say(_)
        | Verb::Menu(_)
        | Verb::Collect(_)
        | Verb::Dial(_)
        | Verb::Record(_)
        | Verb::Voicemail(_)
        | Verb::Set(_)
        | Verb::If(_)
        | Verb::Wait(_)
        | Verb::Music(_)
        | Verb::Webhook(_) => Flow::Next,
    }
}

#[cfg(test)]
mod tests;
