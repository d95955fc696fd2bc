//! The owner's rules: a call's facts in, steps out. Pure.
//!
//! The rules that an owner writes come later; this is their place, and the first step is here: a channel that
//! enters the application, and that no rule wants, goes on in the dialplan at once, so that the usual dialplan
//! (`Stasis(callcenter-app,${EXTEN})`, then `Dial(...)`) works as its owner expects.

pub mod node;
pub mod read;
pub mod step;

/// What a rule may look at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFacts<'a> {
    /// Extension that the channel runs.
    pub exten: &'a str,
    /// Dialplan context.
    pub context: &'a str,
    /// Caller's number.
    pub caller_number: &'a str,
}

/// One step of a route.
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

/// The route of a call that enters the application.
pub fn route(_facts: &CallFacts<'_>) -> Route {
    Route { rule: "default", steps: vec![Step::Continue], fallback: Step::Continue }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_rules_a_call_goes_on_in_the_dialplan() {
        let route = route(&CallFacts { exten: "101", context: "internal", caller_number: "100" });
        assert_eq!(
            (route.rule, route.steps.as_slice(), &route.fallback),
            ("default", &[Step::Continue][..], &Step::Continue)
        );
    }
}
