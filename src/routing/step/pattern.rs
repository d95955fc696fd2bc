//! Regular expressions.

use std::fmt;

use crate::routing::read::read_from_text;

/// Bytes that a compiled expression may have: some short ones become huge.
const MAX_COMPILED: usize = 256 * 1024;
/// Bytes of an expression as written.
const MAX_TEXT: usize = 500;

/// A regular expression, which is found anywhere in a text unless it says `^` and `$`. It takes linear time whatever the text.
#[derive(Clone, Debug)]
pub struct Regex(regex::Regex);

impl Regex {
    /// Whether it is found in this text.
    pub fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl TryFrom<&str> for Regex {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > MAX_TEXT {
            return Err(format!("a regular expression has 1 to {MAX_TEXT} bytes"));
        }
        let built = regex::RegexBuilder::new(text).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build();
        built.map(Self).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "this regular expression becomes too big".to_owned(),
            other => {
                let last = other.to_string();
                let why = last.lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
                format!("this is no regular expression: {why}")
            }
        })
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

read_from_text!(Regex, "a regular expression", 16, { "format": "regex", "maxLength": MAX_TEXT }, |_| true);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_anywhere_unless_it_says_otherwise() {
        assert!(Regex::try_from("00").unwrap().is_match("1003"));
        assert!(!Regex::try_from("^00").unwrap().is_match("1003"));
    }

    #[test]
    fn what_is_wrong_is_said_in_a_line() {
        let error = Regex::try_from("(a").unwrap_err();
        assert_eq!(error, "this is no regular expression: unclosed group");
        assert!(Regex::try_from("((a{100}){100}){100}").unwrap_err().contains("too big"));
        assert!(Regex::try_from("").is_err());
    }
}
