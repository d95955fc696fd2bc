//! Names, keys and causes: the small values that verbs share.

use std::fmt;

use serde_json::json;

use crate::routing::node::{Node, Value};
use crate::routing::read::{Read, Reader, read_from_text, shown, unknown};

/// A type that is a text which passed a test.
macro_rules! text_type {
    ($(#[$meta:meta])* $name:ident, $what:literal, $most:expr, { $($schema:tt)* }, $test:expr) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// As written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = String;
            fn try_from(text: &str) -> Result<Self, String> {
                let test: fn(&str) -> bool = $test;
                if test(text) { Ok(Self(text.to_owned())) } else { Err(format!("'{}' is no {}", shown(text), $what)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        read_from_text!($name, "a text", $most, { $($schema)* });
    };
}

text_type! {
    /// A name for people: of a rule, a step, a mailbox, a class of music, a secret.
    Label, "name: 1 to 64 characters, none of them a control character or a blank at an end", 64,
    { "minLength": 1, "maxLength": 64 },
    |text| (1..=64).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control)
}

text_type! {
    /// The name of a channel variable that a step sets: ASCII letters, digits and `_`. One with a leading `_` or `__` is
    /// handed to the channels that the call makes, as Asterisk has it.
    Variable, "variable's name: ASCII letters, digits and _, at most 80, no digit first", 32,
    { "pattern": "^[A-Za-z_][A-Za-z0-9_]{0,79}$" },
    |text| (1..=80).contains(&text.len())
        && !text.starts_with(|letter: char| letter.is_ascii_digit())
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

text_type! {
    /// What a text asks for in `${...}`: a variable, or one of Asterisk's functions with its arguments,
    /// `CHANNEL(language)`, `CDR(answer,u)`.
    Expression, "variable or function: a letter or _ first, then up to 79 of ASCII letters, digits and _(),.:@/-", 32,
    { "pattern": "^[A-Za-z_][A-Za-z0-9_(),.:@/-]{0,79}$" },
    |text| text.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && text.len() <= 80
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || "_(),.:@/-".contains(letter))
}

text_type! {
    /// Keys of a phone, each at most once: `123*#`.
    Keys, "set of keys: each of 0123456789*#ABCD at most once", 1,
    { "pattern": "^[0-9*#A-D]*$", "maxLength": 16 },
    |text| text.chars().all(is_key) && text.char_indices().all(|(at, key)| !text[..at].contains(key))
}

text_type! {
    /// Keys in order as Asterisk's dialplan writes them: digits, `*`, `#`, and `X` for 0 to 9, `Z` for 1 to 9, `N` for 2 to 9.
    /// `2XX` is 200 to 299.
    Pattern, "pattern: 1 to 20 of 0123456789*# and X, Z, N", 32,
    { "pattern": "^[0-9*#XZN]{1,20}$" },
    |text| (1..=20).contains(&text.len()) && text.chars().all(|letter| "0123456789*#XZN".contains(letter))
}

text_type! {
    /// The name of a SIP header of one's own.
    HeaderName, "name of a SIP header of one's own: X- and up to 60 ASCII letters, digits and -", 16,
    { "pattern": "^[Xx]-[A-Za-z0-9-]{1,60}$" },
    |text| text.len() <= 62
        && text.get(..2).is_some_and(|head| head.eq_ignore_ascii_case("x-"))
        && text.len() > 2
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-')
}

fn is_key(letter: char) -> bool {
    "0123456789*#ABCD".contains(letter)
}

impl Keys {
    /// No key.
    pub const fn none() -> Self {
        Self(String::new())
    }

    /// `#`, which ends a number on most phones.
    pub fn hash() -> Self {
        Self("#".to_owned())
    }

    /// Whether it has this key.
    pub fn contains(&self, key: char) -> bool {
        self.0.contains(key)
    }
}

impl Pattern {
    /// Whether these keys are the whole of what it wants.
    pub fn matches(&self, keys: &str) -> bool {
        self.0.len() == keys.len() && self.begins(keys)
    }

    /// Whether what it wants begins with these keys.
    pub fn begins(&self, keys: &str) -> bool {
        keys.len() <= self.0.len() && self.0.chars().zip(keys.chars()).all(|(wanted, key)| fits(wanted, key))
    }
}

fn fits(wanted: char, key: char) -> bool {
    match wanted {
        'X' => key.is_ascii_digit(),
        'Z' => ('1'..='9').contains(&key),
        'N' => ('2'..='9').contains(&key),
        plain => plain == key,
    }
}

/// Why a call ends, by ITU-T Q.850: 1 to 127, or one of [`Cause::WORDS`]. Asterisk makes the SIP status of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause(u8);

impl Cause {
    /// 16, normal clearing.
    pub const NORMAL: Self = Self(16);
    /// 17, user busy.
    pub const BUSY: Self = Self(17);
    /// 3, no route to the destination: nobody is registered there, or nobody is known.
    pub const NO_ROUTE: Self = Self(3);
    /// 21, call rejected.
    pub const REJECTED: Self = Self(21);
    /// 34, no circuit available.
    pub const CONGESTION: Self = Self(34);
    /// The words, with their numbers in Q.850.
    pub const WORDS: &'static [(&'static str, u8)] = &[
        ("normal", 16),
        ("busy", 17),
        ("no_answer", 19),
        ("rejected", 21),
        ("unallocated", 1),
        ("no_route", 3),
        ("congestion", 34),
        ("out_of_order", 27),
        ("number_changed", 22),
        ("invalid_number", 28),
        ("unavailable", 20),
        ("answered_elsewhere", 26),
        ("interworking", 127),
    ];

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The word, where it has one.
    pub fn word(self) -> Option<&'static str> {
        Self::WORDS.iter().find(|(_, number)| *number == self.0).map(|(word, _)| *word)
    }

    /// The cause of this number.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn from_number(number: i64) -> Result<Self, String> {
        let inside = u8::try_from(number).ok().filter(|number| (1..=127).contains(number));
        inside.map(Self).ok_or_else(|| format!("{number} is no cause of Q.850: 1 to 127"))
    }
}

impl TryFrom<&str> for Cause {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        let known = Self::WORDS.iter().find(|(word, _)| *word == text);
        known.map(|(_, number)| Self(*number)).ok_or_else(|| {
            let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
            format!("{}, or a number from 1 to 127", unknown("cause", text, &words))
        })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word() {
            Some(word) => f.write_str(word),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Read for Cause {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let read = match &node.value {
            Value::Text(text) => Self::try_from(text.as_str()),
            Value::Whole(number) => Self::from_number(*number),
            Value::Number(_) | Value::Bool(_) | Value::Moment(_) | Value::Null | Value::List(_) | Value::Table(_) => {
                return reader.expected(node, "a cause of Q.850, by word or number");
            }
        };
        read.map_or_else(|message| reader.wrong(node, message), Some)
    }

    fn schema() -> serde_json::Value {
        let words: Vec<_> = Self::WORDS.iter().map(|(word, _)| *word).collect();
        json!({ "anyOf": [{ "enum": words }, { "type": "integer", "minimum": 1, "maximum": 127 }] })
    }
}

impl serde::Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.word() {
            Some(word) => serializer.serialize_str(word),
            None => serializer.serialize_u8(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_held_to_their_form() {
        assert!(["sales", "Продажи 2"].iter().all(|text| Label::try_from(*text).is_ok()));
        assert!(["", " a", "a\nb", &"x".repeat(65)].iter().all(|text| Label::try_from(*text).is_err()));
        assert!(["x", "__X_1"].iter().all(|text| Variable::try_from(*text).is_ok()));
        assert!(["", "1x", "a-b", "é"].iter().all(|text| Variable::try_from(*text).is_err()));
        assert!(["", "12#*"].iter().all(|text| Keys::try_from(*text).is_ok()));
        assert!(["11", "e", "1 "].iter().all(|text| Keys::try_from(*text).is_err()));
        assert!(HeaderName::try_from("X-Queue").is_ok());
        assert!(["X-", "From", "X-a b", "é-a"].iter().all(|text| HeaderName::try_from(*text).is_err()));
    }

    #[test]
    fn a_pattern_matches_its_keys_and_their_beginning() {
        let pattern = Pattern::try_from("2XN").unwrap();
        assert!(pattern.matches("209") && !pattern.matches("201") && !pattern.matches("20"));
        assert!(pattern.begins("") && pattern.begins("20") && !pattern.begins("30") && !pattern.begins("2099"));
        assert!(Pattern::try_from("").is_err() && Pattern::try_from("1A").is_err());
    }

    #[test]
    fn a_cause_is_a_word_or_a_number() {
        let read = |json: &str| {
            let mut reader = Reader::default();
            let cause = Cause::read(&serde_json::from_str(json).unwrap(), &mut reader);
            reader.finish(cause).map_err(|mistakes| mistakes[0].message.clone())
        };
        assert_eq!(read("\"busy\"").map(Cause::number), Ok(17));
        assert_eq!(read("17").unwrap().to_string(), "busy");
        assert_eq!(read("99").unwrap().to_string(), "99");
        assert!(read("128").unwrap_err().contains("1 to 127"));
        assert!(read("\"bussy\"").unwrap_err().contains("did you mean 'busy'?"));
        assert_eq!(serde_json::to_string(&[read("17").unwrap(), read("99").unwrap()]).unwrap(), "[\"busy\",99]");
    }
}
