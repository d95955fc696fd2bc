//! Calls of the past against other rules: which of them would be routed otherwise.

use std::collections::BTreeMap;

use serde::Serialize;

use super::facts::CallFacts;
use super::file::RoutingFile;
use super::walk::{End, walk};
use crate::model::Timestamp;

/// Two sets of rules, and what they made of the calls so far. Calls are taken in the order in which they began.
pub struct Comparison<'r> {
    now: Side<'r>,
    then: Side<'r>,
    tally: Tally,
}

/// One of the sets, with the calls that its rules have.
struct Side<'r> {
    file: &'r RoutingFile,
    live: Vec<(Timestamp, String)>,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Calls that were looked at.
    pub calls: u64,
    /// Those that would be routed otherwise.
    pub otherwise: u64,
    /// How many of these went from which rule to which.
    pub from_to: Vec<FromTo>,
    /// Variables that conditions of the new rules ask for, and of how many calls they are not on record: such a condition
    /// counts as not met.
    pub unknown_variables: BTreeMap<String, u64>,
}

/// How many calls went from one rule to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FromTo {
    /// The rule that takes them now.
    pub now: String,
    /// The rule that would take them.
    pub then: String,
    /// How many.
    pub calls: u64,
}

/// What a set of rules does with a call, each step ending as mostly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Routed {
    /// The rule that takes it.
    pub rule: String,
    /// Its steps: the verb, and what it does with this call.
    pub steps: Vec<String>,
    /// How it ends.
    pub end: Option<End>,
}

/// A call that would be routed otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// As it is now.
    pub now: Routed,
    /// As it would be.
    pub then: Routed,
}

impl<'r> Comparison<'r> {
    /// The rules as they are, and those that are to be tried.
    pub fn new(now: &'r RoutingFile, then: &'r RoutingFile) -> Self {
        let side = |file| Side { file, live: Vec::new() };
        Self { now: side(now), then: side(then), tally: Tally::default() }
    }

    /// A call that began with these facts and lasted until `end`, none if it still lives.
    pub fn take(&mut self, facts: &CallFacts, end: Option<Timestamp>) -> Option<Difference> {
        let (now, then) = (self.now.take(facts, end), self.then.take(facts, end));
        let tally = &mut self.tally;
        tally.calls += 1;
        for name in self.then.file.rules.variables() {
            if facts.variable(&name).is_none() {
                *tally.unknown_variables.entry(name).or_default() += 1;
            }
        }
        if now == then {
            return None;
        }
        tally.otherwise += 1;
        match tally.from_to.iter_mut().find(|one| one.now == now.rule && one.then == then.rule) {
            Some(one) => one.calls += 1,
            None => tally.from_to.push(FromTo { now: now.rule.clone(), then: then.rule.clone(), calls: 1 }),
        }
        Some(Difference { now, then })
    }

    /// What was counted, the most frequent first.
    pub fn tally(mut self) -> Tally {
        self.tally
            .from_to
            .sort_by(|a, b| b.calls.cmp(&a.calls).then_with(|| (&a.now, &a.then).cmp(&(&b.now, &b.then))));
        self.tally
    }
}

impl Side<'_> {
    fn take(&mut self, facts: &CallFacts, end: Option<Timestamp>) -> Routed {
        self.live.retain(|(end, _)| *end > facts.at);
        let mut facts = facts.clone();
        for (_, rule) in &self.live {
            *facts.live.entry(rule.clone()).or_default() += 1;
        }
        let rules = (&self.file.rules, &self.file.dial);
        let decision = self.file.rules.decide(&facts);
        self.live.push((end.unwrap_or(Timestamp::from_millis(i64::MAX)), decision.rule.clone()));
        // Without answers there is none that a step can't have.
        let walked = walk(rules, &decision, &facts, &[]).ok();
        let steps = walked.iter().flat_map(|walk| &walk.steps);
        let line = |verb: &str, does: &str| if does.is_empty() { verb.to_owned() } else { format!("{verb} {does}") };
        Routed {
            rule: decision.rule,
            steps: steps.map(|step| line(step.verb, &step.does)).collect(),
            end: walked.as_ref().map(|walk| walk.end.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::file;

    fn facts(dialed: &str, second: i64) -> CallFacts {
        let at = Timestamp::from_millis(1_795_352_366_000 + second * 1_000);
        CallFacts { dialed: dialed.to_owned(), at, ..CallFacts::default() }
    }

    #[test]
    fn only_what_differs_is_told_and_counted() {
        let now =
            file::read("[[rule]]\nname = 'a'\nwhen = { dialed = '1*' }\nsteps = [{ dial = 'PJSIP/1' }]\n").unwrap();
        let then = "[[rule]]\nname = 'a'\nwhen = { dialed = '1*' }\nsteps = [{ dial = 'PJSIP/2' }]\n\
                    [[rule]]\nname = 'b'\nwhen = { dialed = '2', variables = { VIP = 'yes' } }\nsteps = [{ hangup = {} }]\n";
        let then = file::read(then).unwrap();
        let mut comparison = Comparison::new(&now, &then);
        let difference = comparison.take(&facts("1", 0), None).unwrap();
        assert_eq!((difference.now.rule.as_str(), difference.then.rule.as_str()), ("a", "a"));
        assert_eq!(
            (&difference.now.steps[0], &difference.then.steps[0]),
            (&"dial PJSIP/1".into(), &"dial PJSIP/2".into())
        );
        assert_eq!(comparison.take(&facts("2", 1), None), None, "a variable that is not on record");
        let mut vip = facts("2", 2);
        vip.variables.insert("VIP".into(), "yes".into());
        assert_eq!(comparison.take(&vip, None).unwrap().now.rule, "default");
        assert_eq!(comparison.take(&facts("3", 3), None), None);
        let tally = comparison.tally();
        assert_eq!((tally.calls, tally.otherwise), (4, 2));
        assert_eq!(tally.unknown_variables, BTreeMap::from([("VIP".to_owned(), 3)]));
        let pairs: Vec<_> = tally.from_to.iter().map(|one| (one.now.as_str(), one.then.as_str(), one.calls)).collect();
        assert_eq!(pairs, [("a", "a", 1), ("default", "b", 1)]);
    }

    #[test]
    fn load_is_that_of_the_calls_that_lived_then() {
        let now = file::read("").unwrap();
        let then = "[[rule]]\nname = 'few'\nwhen = { max_live = 2 }\nsteps = [{ hangup = {} }]\n";
        let then = file::read(then).unwrap();
        let mut comparison = Comparison::new(&now, &then);
        let mut taken = |second: i64, lasts: i64| {
            let facts = facts("1", second);
            comparison.take(&facts, Some(facts.at.plus_millis(lasts * 1_000))).is_some()
        };
        assert_eq!([taken(0, 100), taken(1, 5), taken(2, 1), taken(6, 1)], [true, true, false, true]);
    }
}
