//! Where the flow goes: variables, conditions, other rules, the owner's own program.

use crate::routing::parameters::parameters;
use crate::routing::step::choice::StatusEvent;
use crate::routing::step::media::HookUrl;
use crate::routing::step::outcome::{Outcome, Then};
use crate::routing::step::pattern::Regex;
use crate::routing::step::period::Period;
use crate::routing::step::template::Template;
use crate::routing::step::verb::Verbal;
use crate::routing::step::words::{Label, Variable};

/// The longest that a webhook may take for one try: a caller hears nothing meanwhile.
const MAX_WEBHOOK_TIMEOUT: Period = Period::seconds(30);
/// Further tries of a webhook.
const MAX_WEBHOOK_RETRIES: u32 = 5;

parameters! {
    /// Sets a variable of the call, also of its channel in Asterisk.
    /// Outcomes: `done`, `failed`.
    Set {
        /// The variable.
        variable: Variable,
        /// Its new value.
        value: Template,
    } or {}
}

parameters! {
    /// Looks at a value: `yes` if every condition given holds.
    /// Outcomes: `yes`, `no`.
    If {
        /// The value, with variables: `${CALLERID(num)}`.
        value: Template,
    } or {
        /// It is this text.
        equals: Option<Template> = None,
        /// It is one of these texts.
        one_of: Vec<Template> = Vec::new(),
        /// This regular expression is found in it.
        matches: Option<Regex> = None,
        /// It is a whole number, and at least this.
        at_least: Option<i64> = None,
        /// It is a whole number, and at most this.
        at_most: Option<i64> = None,
        /// It is empty (or not).
        empty: Option<bool> = None,
    }
}

parameters! {
    /// Goes on with the steps of another rule, whatever that one's conditions say. What stands behind it is not run. The call
    /// stays one of the rule that took it, whose fallback holds on.
    Goto {
        /// The rule's name.
        rule: Label,
    } or {}
}

parameters! {
    /// Sends the call's facts to the owner's own program, which answers with steps; these run, then the next step comes.
    /// Outcomes: `done` (its steps are through), `failed` (no answer in time in the last try, or one that can't be used).
    /// Without `on`, `failed` leads to the rule's fallback.
    Webhook {
        /// The address, without user and password.
        url: HookUrl,
    } or {
        /// The name of the secret that signs the request (HMAC-SHA256).
        secret: Option<Label> = None,
        /// How long one try may take, at most 30s.
        timeout: Period = Period::seconds(5),
        /// Further tries, from 0 to 5.
        retries: u32 = 1,
        /// What of the call the address is told later on.
        events: Vec<StatusEvent> = Vec::new(),
    }
}

impl Verbal for Set {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Done, Outcome::Failed]
    }
}

impl If {
    /// Whether every condition holds.
    pub fn holds(&self, value_of: &dyn Fn(&str) -> Option<String>) -> bool {
        let value = self.value.expand(value_of);
        let number: Option<i64> = value.trim().parse().ok();
        let is = |text: &Template| text.expand(value_of) == value;
        self.equals.as_ref().is_none_or(is)
            && (self.one_of.is_empty() || self.one_of.iter().any(is))
            && self.matches.as_ref().is_none_or(|regex| regex.is_match(&value))
            && self.at_least.is_none_or(|least| number.is_some_and(|number| number >= least))
            && self.at_most.is_none_or(|most| number.is_some_and(|number| number <= most))
            && self.empty.is_none_or(|empty| value.is_empty() == empty)
    }
}

impl Verbal for If {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Yes, Outcome::No]
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if *self == Self::new(self.value.clone()) {
            wrong("value", "no condition; give one of equals, one_of, matches, at_least, at_most, empty".to_owned());
        }
    }
}

impl Verbal for Goto {
    fn outcomes(&self) -> Vec<Outcome> {
        Vec::new()
    }

    fn then(&self, _outcome: &Outcome) -> Then {
        Then::End
    }
}

impl Verbal for Webhook {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Done, Outcome::Failed]
    }

    fn then(&self, outcome: &Outcome) -> Then {
        if *outcome == Outcome::Failed { Then::Fallback } else { Then::Next }
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.timeout > MAX_WEBHOOK_TIMEOUT {
            wrong("timeout", format!("{}; at most {MAX_WEBHOOK_TIMEOUT} are allowed", self.timeout));
        }
        if self.retries > MAX_WEBHOOK_RETRIES {
            wrong("retries", format!("{} further tries; at most {MAX_WEBHOOK_RETRIES} are allowed", self.retries));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_conditions_must_hold() {
        let text = |text: &str| Template::try_from(text).unwrap();
        let value_of = |name: &str| match name {
            "age" => Some("42".to_owned()),
            "name" => Some("Žofie".to_owned()),
            _ => None,
        };
        let age = || If::new(text("${age}"));
        for (holds, condition) in [
            (true, If { equals: Some(text("42")), ..age() }),
            (true, If { equals: Some(text("${age}")), ..age() }),
            (false, If { equals: Some(text("4")), ..age() }),
            (true, If { one_of: vec![text("1"), text("42")], ..age() }),
            (false, If { one_of: vec![text("1")], ..age() }),
            (true, If { at_least: Some(42), at_most: Some(42), ..age() }),
            (false, If { at_least: Some(10), at_most: Some(41), ..age() }),
            (false, If { at_least: Some(0), ..If::new(text("${name}")) }),
            (true, If { matches: Some(Regex::try_from("^Ž.*e$").unwrap()), ..If::new(text("${name}")) }),
            (true, If { empty: Some(true), ..If::new(text("${none}")) }),
            (false, If { empty: Some(true), ..age() }),
        ] {
            assert_eq!(condition.holds(&value_of), holds, "{condition:?}");
        }
    }
}
