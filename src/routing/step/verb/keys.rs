//! What the caller presses: a choice, or digits.

use crate::routing::parameters::parameters;
use crate::routing::step::media::Media;
use crate::routing::step::outcome::Outcome;
use crate::routing::step::period::Period;
use crate::routing::step::verb::Verbal;
use crate::routing::step::words::{Keys, Pattern, Variable};

/// Further tries that a menu or a `collect` may have: more only keeps a line busy.
const MAX_RETRIES: u32 = 10;
/// Digits that `collect` takes.
const MAX_DIGITS: u32 = 64;

parameters! {
    /// Plays a prompt and waits for a choice; what was pressed is in `${KEY}`.
    /// Outcomes: each key of `keys`, each pattern of `patterns` as written, `timeout` and `invalid` once the last try is over.
    Menu {
        /// What is played first; a key stops it.
        prompt: Vec<Media>,
    } or {
        /// Keys that are a choice each: `123*`.
        keys: Keys = Keys::none(),
        /// Choices of several keys: digits, `X` for 0 to 9, `Z` for 1 to 9, `N` for 2 to 9. `2XX` is 200 to 299.
        patterns: Vec<Pattern> = Vec::new(),
        /// How long the caller may take behind the prompt to press the first key.
        timeout: Period = Period::seconds(5),
        /// How long between two keys, where more than one may come.
        between: Period = Period::seconds(2),
        /// Further tries, from 0 to 10.
        retries: u32 = 2,
        /// What is played after a wrong key, before the prompt comes again.
        invalid: Vec<Media> = Vec::new(),
    }
}

parameters! {
    /// Takes digits into a variable.
    /// Outcomes: `done`, `timeout` (nothing was pressed) and `invalid` (fewer than `min` digits), once the last try is over.
    Collect {
        /// The variable.
        variable: Variable,
    } or {
        /// What is played first; a key stops it.
        prompt: Vec<Media> = Vec::new(),
        /// Digits that it takes at least.
        min: u32 = 1,
        /// Digits after which it is done at once, at most 64.
        max: u32 = 20,
        /// Keys that end it; they are no part of the digits.
        end_key: Keys = Keys::hash(),
        /// How long the caller may take behind the prompt to press the first key.
        timeout: Period = Period::seconds(5),
        /// How long between two keys.
        between: Period = Period::seconds(3),
        /// Further tries, from 0 to 10.
        retries: u32 = 2,
        /// What is played after too few digits, before the prompt comes again.
        invalid: Vec<Media> = Vec::new(),
    }
}

/// What keys mean to a menu, so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The choice that these keys are.
    pub chosen: Option<Outcome>,
    /// Whether a further key could make another choice of them.
    pub may_go_on: bool,
}

impl Menu {
    /// What these keys mean. Nothing chosen and nothing that may come is a wrong key.
    pub fn look(&self, pressed: &str) -> Look {
        let key = self.keys.as_str().split("").filter(|key| !key.is_empty()).find(|key| *key == pressed);
        let pattern = self.patterns.iter().find(|pattern| pattern.matches(pressed)).map(Pattern::as_str);
        let longer = |pattern: &Pattern| pattern.begins(pressed) && pattern.as_str().len() > pressed.len();
        let none_yet = pressed.is_empty() && !self.keys.as_str().is_empty();
        Look {
            chosen: key.or(pattern).map(|chosen| Outcome::Chosen(chosen.to_owned())),
            may_go_on: none_yet || self.patterns.iter().any(longer),
        }
    }
}

impl Verbal for Menu {
    fn outcomes(&self) -> Vec<Outcome> {
        let keys = self.keys.as_str().chars().map(|key| Outcome::Chosen(key.to_string()));
        let patterns = self.patterns.iter().map(|pattern| Outcome::Chosen(pattern.as_str().to_owned()));
        keys.chain(patterns).chain([Outcome::Timeout, Outcome::Invalid]).collect()
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.keys.as_str().is_empty() && self.patterns.is_empty() {
            wrong("keys", "a menu needs `keys` or `patterns` to choose from".to_owned());
        }
        for (index, pattern) in self.patterns.iter().enumerate() {
            if self.patterns[..index].contains(pattern) || self.keys.as_str() == pattern.as_str() {
                wrong("patterns", format!("'{pattern}' is there twice"));
            }
        }
        check_retries(self.retries, wrong);
    }
}

impl Verbal for Collect {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Done, Outcome::Timeout, Outcome::Invalid]
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if !(1..=MAX_DIGITS).contains(&self.max) {
            wrong("max", format!("{} digits; from 1 to {MAX_DIGITS} are allowed", self.max));
        }
        if self.min == 0 || self.min > self.max {
            wrong("min", format!("{} digits; from 1 to `max` ({}) are allowed", self.min, self.max));
        }
        check_retries(self.retries, wrong);
    }
}

fn check_retries(retries: u32, wrong: &mut dyn FnMut(&'static str, String)) {
    if retries > MAX_RETRIES {
        wrong("retries", format!("{retries} further tries; at most {MAX_RETRIES} are allowed"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_looked_at_one_after_the_other() {
        let mut menu = Menu::new(Vec::new());
        menu.keys = Keys::try_from("12").unwrap();
        menu.patterns = vec![Pattern::try_from("2XX").unwrap()];
        let look = |pressed: &str| {
            let look = menu.look(pressed);
            (look.chosen.map(|chosen| chosen.to_string()), look.may_go_on)
        };
        assert_eq!(look(""), (None, true));
        assert_eq!(look("1"), (Some("1".to_owned()), false));
        assert_eq!(look("2"), (Some("2".to_owned()), true));
        assert_eq!(look("20"), (None, true));
        assert_eq!(look("205"), (Some("2XX".to_owned()), false));
        assert_eq!(look("3"), (None, false));
        assert_eq!(look("12"), (None, false));
    }
}
