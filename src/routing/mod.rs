//! The owner's rules: a call's facts in, steps out. Pure.
//!
//! `file` reads `routing.toml` into [`rule::Rules`], `rule` decides which one takes a call, `step` is what a rule can do. Not in
//! force yet: nothing runs steps so far, so a channel that enters the application goes on in the dialplan at once
//! ([`route`]), as it does with no rules at all, and the usual dialplan (`Stasis(callcenter-app,${EXTEN})`, then `Dial(...)`)
//! works as its owner expects.

pub mod calendar;
pub mod check;
pub mod compare;
pub mod facts;
pub mod file;
pub mod matching;
pub mod node;
mod parameters;
pub mod policy;
pub mod read;
pub mod rule;
pub mod step;
pub mod walk;

pub use facts::CallFacts;

/// One step of a [`Route`]: what a leg asks for by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Back into the dialplan, behind `Stasis()`.
    Continue,
}

/// Where the steps come from, for the audit: the rule's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The rule's name.
    pub rule: &'static str,
    /// What to do, in order.
    pub steps: Vec<Step>,
    /// What to do when a step's logic fails.
    pub fallback: Step,
}

/// The route of a call that enters the application: what [`rule::Rules::decide`] says without rules.
pub fn route(_facts: &CallFacts) -> Route {
    Route { rule: rule::DEFAULT, steps: vec![Step::Continue], fallback: Step::Continue }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_rules_a_call_goes_on_in_the_dialplan() {
        let facts = CallFacts { dialed: "101".to_owned(), context: "internal".to_owned(), ..CallFacts::default() };
        let route = route(&facts);
        assert_eq!((route.steps.as_slice(), &route.fallback), (&[Step::Continue][..], &Step::Continue));
        let decision = rule::Rules::default().decide(&facts);
        let to_dialplan = step::Step::new(step::verb::Continue::new());
        assert_eq!(decision.rule, route.rule);
        assert_eq!((&*decision.steps, &*decision.fallback), (&[to_dialplan.clone()][..], &[to_dialplan][..]));
    }
}
