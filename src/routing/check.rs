//! What is wrong with rules that are each right by themselves: a rule that is never reached, steps that lead nowhere, whom
//! the policy forbids, sounds that aren't there.

mod cover;
mod flow;
mod look;

use std::collections::{BTreeMap, BTreeSet};

use super::file::{Flaw, RoutingFile};
use super::policy::DialPolicy;
use super::read::{Mistake, unknown};
use super::rule::{Rule, Rules};
use super::step::Step;

/// Every mistake among the rules of a file, in the order of its text. `sounds` are the sounds that Asterisk has (`hello`,
/// `digits/1`); none: that is not looked at.
pub fn check(file: &RoutingFile, sounds: Option<&BTreeSet<String>>) -> Vec<Flaw> {
    let mistakes = mistakes(&file.rules, &file.dial, sounds);
    let mut flaws: Vec<Flaw> = mistakes.into_iter().map(|mistake| file.flaw(mistake)).collect();
    flaws.sort_by_key(|flaw| (flaw.line, flaw.column));
    flaws
}

/// The same by path, for rules that stand in no file.
pub fn mistakes(rules: &Rules, policy: &DialPolicy, sounds: Option<&BTreeSet<String>>) -> Vec<Mistake> {
    let names: Vec<&str> = rules.written().map(|rule| rule.name.as_str()).collect();
    let mut found = Found::default();
    let aims = flow::goto_targets(rules);
    for (index, rule) in rules.written().enumerate() {
        if !aims.contains(rule.name.as_str())
            && let Some(why) = unreachable(rules, index, rule)
        {
            found.add(format!("rule[{}]", index + 1), format!("no call reaches this rule: {why}"));
        }
        let look = look::Look { names: &names, policy, sounds };
        for (list, steps) in [("steps", &rule.steps), ("fallback", &rule.fallback)] {
            let path = format!("rule[{}].{list}", index + 1);
            each_step(&path, steps, &mut |path, step| look.at(path, step, &mut found));
            unreached(&path, steps, &mut found);
        }
    }
    let flows: BTreeMap<&str, &[Step]> =
        rules.written().map(|rule| (rule.name.as_str(), rule.steps.as_slice())).collect();
    let loops = flow::endless(&flows);
    for (index, rule) in rules.written().enumerate().filter(|(_, rule)| loops.contains(rule.name.as_str())) {
        let message = format!(
            "endless loop: every way through '{}' leads back by goto, and no step on it waits for the caller or ends the call",
            rule.name
        );
        found.add(format!("rule[{}].steps", index + 1), message);
    }
    found.0
}

/// Why no call ever comes to this rule by itself.
fn unreachable(rules: &Rules, index: usize, rule: &Rule) -> Option<String> {
    if rule.by_goto {
        return Some("no `goto` leads to it".to_owned());
    }
    let takes_all = |earlier: &&Rule| !earlier.by_goto && cover::covers(&earlier.when, &rule.when);
    let earlier = rules.written().take(index).find(takes_all)?;
    Some(format!("'{}' before it takes them all", earlier.name))
}

/// Mistakes found so far.
#[derive(Debug, Default)]
struct Found(Vec<Mistake>);

impl Found {
    fn add(&mut self, path: String, message: String) {
        self.0.push(Mistake { path, at: None, message });
    }

    fn unknown(&mut self, path: String, what: &str, found: &str, allowed: &[&str]) {
        self.add(path, unknown(what, found, allowed));
    }
}

/// Calls `look` with every step below these, `on` included, and its path.
fn each_step(path: &str, steps: &[Step], look: &mut dyn FnMut(&str, &Step)) {
    for (index, step) in steps.iter().enumerate() {
        let path = format!("{path}[{}]", index + 1);
        look(&path, step);
        for (outcome, steps) in &step.on {
            each_step(&format!("{path}.on.{outcome}"), steps, look);
        }
    }
}

/// Names the first step of each list that stands behind one that never leads on.
fn unreached(path: &str, steps: &[Step], found: &mut Found) {
    let end = steps.iter().position(|step| !flow::leads_on(step));
    if let Some(end) = end.filter(|end| end + 1 < steps.len()) {
        let message = format!("this step is never run: '{}' before it always ends the flow", steps[end].verb.name());
        found.add(format!("{path}[{}]", end + 2), message);
    }
    for (index, step) in steps.iter().enumerate() {
        for (outcome, below) in &step.on {
            unreached(&format!("{path}[{}].on.{outcome}", index + 1), below, found);
        }
    }
}

#[cfg(test)]
mod tests;
