//! Where steps lead: whether a list can be run through, and which rules only ever lead to each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::routing::rule::Rules;
use crate::routing::step::choice::RecordKind;
use crate::routing::step::{Outcome, Step, Then, Verb};

/// Whether the step behind this one can ever be run. Behind a caller who gave up none is, whatever stands in its `on`.
pub(super) fn leads_on(step: &Step) -> bool {
    step.outcomes().iter().filter(|outcome| **outcome != Outcome::Abandoned).any(|outcome| match step.on.get(outcome) {
        Some(steps) => steps.iter().all(leads_on),
        None => step.verb.then(outcome) == Then::Next,
    })
}

/// The rules to which a `goto` of another rule leads.
pub(super) fn goto_targets(rules: &Rules) -> BTreeSet<&str> {
    let mut targets = BTreeSet::new();
    for rule in rules.written() {
        let mut steps: Vec<&Step> = rule.steps.iter().collect();
        while let Some(step) = steps.pop() {
            if let Verb::Goto(goto) = &step.verb
                && goto.rule != rule.name
            {
                targets.insert(goto.rule.as_str());
            }
            steps.extend(step.on.values().flatten());
        }
    }
    targets
}

/// Whether a step takes time of its own or listens to the caller, so that a loop through it is no busy one.
pub(super) fn takes_time(verb: &Verb) -> bool {
    match verb {
        Verb::Play(_)
        | Verb::Say(_)
        | Verb::Menu(_)
        | Verb::Collect(_)
        | Verb::Dial(_)
        | Verb::Voicemail(_)
        | Verb::Wait(_)
        | Verb::Webhook(_) => true,
        Verb::Record(record) => record.kind == RecordKind::Message,
        Verb::Music(music) => music.time.is_some(),
        Verb::Answer(_)
        | Verb::Ring(_)
        | Verb::Hangup(_)
        | Verb::Continue(_)
        | Verb::Set(_)
        | Verb::If(_)
        | Verb::Goto(_) => false,
    }
}

/// The rules from which every way leads to a `goto` among themselves: no step on it takes time and none ends the call.
///
/// All are suspected at first; one that has a way out clears itself, and then those that lead to it.
pub(super) fn endless<'a>(flows: &BTreeMap<&'a str, &'a [Step]>) -> BTreeSet<&'a str> {
    let mut suspects: BTreeSet<&str> = flows.keys().copied().collect();
    loop {
        let cleared: Vec<&str> = suspects
            .iter()
            .copied()
            .filter(|name| flows.get(name).is_none_or(|steps| has_way_out(steps, &suspects)))
            .collect();
        if cleared.is_empty() {
            return suspects;
        }
        for name in cleared {
            suspects.remove(name);
        }
    }
}

/// What running a list can come to.
#[derive(Clone, Copy, Default)]
struct Ways {
    /// The call ends, waits, or goes to a rule that is no suspect.
    out: bool,
    /// The list is run through.
    through: bool,
}

/// A list that is run through ends the flow, which is a way out.
fn has_way_out(steps: &[Step], suspects: &BTreeSet<&str>) -> bool {
    let ways = ways(steps, suspects);
    ways.out || ways.through
}

fn ways(steps: &[Step], suspects: &BTreeSet<&str>) -> Ways {
    let mut all = Ways { out: false, through: true };
    for step in steps {
        let ways = ways_of(step, suspects);
        all.out |= ways.out;
        if !ways.through {
            all.through = false;
            break;
        }
    }
    all
}

fn ways_of(step: &Step, suspects: &BTreeSet<&str>) -> Ways {
    if takes_time(&step.verb) {
        return Ways { out: true, through: false };
    }
    if let Verb::Goto(goto) = &step.verb {
        return Ways { out: !suspects.contains(goto.rule.as_str()), through: false };
    }
    let outcomes = step.outcomes();
    if outcomes.is_empty() {
        return Ways { out: true, through: false };
    }
    let of = |outcome: &Outcome| match step.on.get(outcome) {
        Some(steps) => ways(steps, suspects),
        None => match step.verb.then(outcome) {
            Then::Next => Ways { out: false, through: true },
            Then::End | Then::Fallback => Ways { out: true, through: false },
        },
    };
    outcomes
        .iter()
        .map(of)
        .fold(Ways::default(), |all, ways| Ways { out: all.out | ways.out, through: all.through | ways.through })
}
