//! Whom steps may call: the owner's patterns, and what costs money.

mod costly;

use std::fmt;

use super::matching::Glob;
use super::parameters::{Checked, parameters};
use super::read::{read_from_text, shown};
pub use costly::Country;

/// The most that `calls_at_once` and `calls_a_minute` may allow: what a dialler should not be by accident.
const MAX_CALLS: u32 = 10_000;

parameters! {
    /// Whom `dial` may call. A pattern is a glob over the endpoint (`PJSIP/9*`) or over a number in it (`+49*`).
    ///
    /// `refuse` comes first, then `allow`, then numbers that cost money, which are refused; whatever is left is allowed. So
    /// `allow = "+44*"` opens the country's premium numbers too, unless `refuse` names them.
    DialPolicy {} or {
        /// Endpoints and numbers that are called whatever they cost.
        allow: Vec<Glob> = Vec::new(),
        /// Endpoints and numbers that are never called.
        refuse: Vec<Glob> = Vec::new(),
        /// Whether numbers that cost money (abroad, satellites, premium) are called without an `allow`.
        costly: bool = false,
        /// The country whose numbers are national (`de`, `us`, ...): they are no calls abroad, and its premium numbers are known.
        country: Option<Country> = None,
        /// Digits that are dialled for an outside line and stand before the number.
        outside_line: Option<Digits> = None,
        /// Calls that steps may have under way at once, from 1 to 10000.
        calls_at_once: u32 = 100,
        /// Calls that steps may begin within a minute, from 1 to 10000.
        calls_a_minute: u32 = 300,
    }
}

impl Checked for DialPolicy {
    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        for (name, number) in [("calls_at_once", self.calls_at_once), ("calls_a_minute", self.calls_a_minute)] {
            if !(1..=MAX_CALLS).contains(&number) {
                wrong(name, format!("{number} calls; from 1 to {MAX_CALLS} are allowed"));
            }
        }
    }
}

/// Digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digits(String);

impl TryFrom<&str> for Digits {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let right = (1..=8).contains(&text.len()) && text.bytes().all(|digit| digit.is_ascii_digit());
        right.then(|| Self(text.to_owned())).ok_or_else(|| format!("'{}' are not 1 to 8 digits", shown(text)))
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

read_from_text!(Digits, "digits", 1, { "pattern": "^[0-9]{1,8}$" });

/// Whether something may be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may.
    Allowed,
    /// It may not.
    Refused {
        /// Why, and what would allow it.
        why: String,
    },
}

impl Verdict {
    /// The reason, if refused.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Allowed => None,
            Self::Refused { why } => Some(why),
        }
    }
}

impl Default for DialPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl DialPolicy {
    /// Whether this endpoint (`PJSIP/+4930123@trunk`, `Local/101@internal`, `IAX2/peer/0900123`) may be called.
    pub fn judge(&self, endpoint: &str) -> Verdict {
        let numbers: Vec<String> = numbers(endpoint).collect();
        let hit = |globs: &[Glob]| {
            globs
                .iter()
                .find(|glob| glob.is_match(endpoint) || numbers.iter().any(|number| glob.is_match(number)))
                .cloned()
        };
        if let Some(glob) = hit(&self.refuse) {
            return Verdict::Refused { why: format!("`dial.refuse` has '{glob}'") };
        }
        if self.costly || hit(&self.allow).is_some() {
            return Verdict::Allowed;
        }
        match numbers
            .iter()
            .find_map(|number| Some((number, costly::why(self.without_outside_line(number), self.country)?)))
        {
            Some((number, what)) => Verdict::Refused {
                why: format!("{number} is {what}, which costs money; `dial.allow` would have to name it"),
            },
            None => Verdict::Allowed,
        }
    }

    /// Whether a further call may begin beside those under way and those of the last minute.
    pub fn judge_load(&self, at_once: u32, in_the_last_minute: u32) -> Verdict {
        if at_once >= self.calls_at_once {
            let why = format!("{at_once} calls are under way; `dial.calls_at_once` is {}", self.calls_at_once);
            return Verdict::Refused { why };
        }
        if in_the_last_minute >= self.calls_a_minute {
            let why = format!(
                "{in_the_last_minute} calls began in the last minute; `dial.calls_a_minute` is {}",
                self.calls_a_minute
            );
            return Verdict::Refused { why };
        }
        Verdict::Allowed
    }

    fn without_outside_line<'a>(&self, number: &'a str) -> &'a str {
        let prefix = self.outside_line.as_ref().map(|digits| digits.0.as_str());
        prefix.and_then(|prefix| number.strip_prefix(prefix)).unwrap_or(number)
    }
}

/// What in an endpoint may be a number: each stretch between `/`, `@`, `:` and `;` that has digits and what people put between
/// them, without the latter.
fn numbers(endpoint: &str) -> impl Iterator<Item = String> {
    let parts = endpoint.split(['/', '@', ':', ';']).skip(1);
    parts.filter_map(|part| {
        let number: String = part.chars().filter(|letter| !"-. ()".contains(*letter)).collect();
        let digits = number.strip_prefix('+').unwrap_or(&number);
        (!digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(toml: &str) -> DialPolicy {
        let file = crate::routing::file::read(&format!("[dial]\n{toml}"));
        file.unwrap_or_else(|flaws| panic!("{flaws:?}")).dial
    }

    fn refused(toml: &str, endpoint: &str) -> Option<String> {
        policy(toml).judge(endpoint).why().map(str::to_owned)
    }

    #[test]
    fn what_costs_money_is_refused_unless_it_is_allowed() {
        for (endpoint, what) in [
            ("PJSIP/+4930123456@trunk", "a number abroad"),
            ("PJSIP/004930123456@trunk", "a number abroad"),
            ("Local/01149301234@out", "a number abroad"),
            ("PJSIP/trunk/sip:+88161234567@host", "a satellite"),
            ("PJSIP/+870-773-111-632@trunk", "a satellite"),
            ("DAHDI/g1/0900123456", "a premium number"),
        ] {
            let why = refused("", endpoint).unwrap_or_else(|| panic!("{endpoint} is allowed"));
            assert!(why.contains(what), "{endpoint}: {why}");
            assert_eq!(refused("costly = true", endpoint), None);
            assert_eq!(refused("allow = '*'", endpoint), None);
        }
        for endpoint in ["PJSIP/101", "PJSIP/112@trunk", "Local/0301234567@out", "PJSIP/alice", "PJSIP/0011"] {
            assert_eq!(refused("", endpoint), None, "{endpoint}");
        }
    }

    #[test]
    fn in_its_country_a_number_is_national() {
        for endpoint in ["PJSIP/+4930123456@trunk", "PJSIP/004930123456@trunk", "PJSIP/030123456@trunk"] {
            assert_eq!(refused("country = 'de'", endpoint), None, "{endpoint}");
        }
        for endpoint in ["PJSIP/+49900123456@t", "PJSIP/0900123456@t", "PJSIP/0137123456@t", "PJSIP/11880@t"] {
            assert!(refused("country = 'de'", endpoint).unwrap().contains("a premium number"), "{endpoint}");
        }
        assert!(refused("country = 'de'", "PJSIP/+4420123456@t").unwrap().contains("abroad"));
        assert_eq!(refused("country = 'us'", "PJSIP/+12125551234@t"), None);
        assert!(refused("country = 'us'", "PJSIP/18095551234@t").unwrap().contains("abroad"));
        assert!(refused("country = 'us'", "PJSIP/19005551234@t").unwrap().contains("premium"));
    }

    #[test]
    fn what_is_refused_by_name_is_refused_though_it_is_allowed() {
        let toml = "allow = '+49*'\nrefuse = ['+49900*', 'PJSIP/9*']";
        assert_eq!(refused(toml, "PJSIP/+4930123456@t"), None);
        assert_eq!(refused(toml, "PJSIP/+49900123456@t").as_deref(), Some("`dial.refuse` has '+49900*'"));
        assert!(refused(toml, "PJSIP/901").is_some());
    }

    #[test]
    fn digits_for_an_outside_line_hide_nothing() {
        assert!(refused("outside_line = '9'", "PJSIP/9011441234567@t").is_some());
        assert_eq!(refused("outside_line = '9'", "PJSIP/90301234567@t"), None);
    }

    #[test]
    fn calls_are_limited_at_once_and_a_minute() {
        let policy = policy("calls_at_once = 2\ncalls_a_minute = 5");
        assert_eq!(policy.judge_load(1, 4), Verdict::Allowed);
        assert!(policy.judge_load(2, 0).why().unwrap().contains("calls_at_once"));
        assert!(policy.judge_load(0, 5).why().unwrap().contains("calls_a_minute"));
    }
}
