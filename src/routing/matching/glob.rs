//! Texts with `*` and `?`.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};

use crate::routing::read::read_from_text;

/// Bytes of a glob as written.
const MAX_TEXT: usize = 200;

/// A text with `*` (any text), `?` (one character), `[1-4]` (one of these) and `{a,b}` (one of two); `\*` is the key. The
/// whole text must match.
#[derive(Clone, Debug)]
pub struct Glob {
    text: String,
    /// None where there is nothing but the text itself.
    matcher: Option<GlobMatcher>,
}

impl Glob {
    /// Whether the whole text matches.
    pub fn is_match(&self, text: &str) -> bool {
        self.matcher.as_ref().map_or(self.text == text, |matcher| matcher.is_match(text))
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for one text only, which is as written.
    pub fn is_fixed(&self) -> bool {
        self.matcher.is_none()
    }

    /// Whether every text that matches `other` certainly matches this too. False also where that can't be told.
    pub fn covers(&self, other: &Self) -> bool {
        self.text == "*" || self.text == other.text || (other.is_fixed() && self.is_match(&other.text))
    }
}

impl PartialEq for Glob {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl TryFrom<&str> for Glob {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("a pattern of {} bytes, at most {MAX_TEXT} are allowed", text.len()));
        }
        if !text.contains(['*', '?', '[', ']', '{', '}', '\\']) {
            return Ok(Self { text: text.to_owned(), matcher: None });
        }
        let built = GlobBuilder::new(text).backslash_escape(true).literal_separator(false).build();
        let glob = built.map_err(|error| format!("'{text}' is no pattern: {}", error.kind()))?;
        Ok(Self { text: text.to_owned(), matcher: Some(glob.compile_matcher()) })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

read_from_text!(Glob, "a text with * and ?", 500, { "maxLength": MAX_TEXT }, |glob| !glob.is_fixed());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_text_must_match() {
        for (glob, text, matches) in [
            ("1??", "123", true),
            ("1??", "1234", false),
            ("+49*", "+4930", true),
            ("*", "", true),
            ("", "", true),
            ("", "1", false),
            ("\\*98", "*98", true),
            ("\\*98", "198", false),
            ("{100,2*}", "2/3", true),
            ("[1-4]0", "50", false),
        ] {
            assert_eq!(Glob::try_from(glob).unwrap().is_match(text), matches, "{glob} {text}");
        }
        assert!(Glob::try_from("[1").unwrap_err().contains("is no pattern"));
    }

    #[test]
    fn one_covers_another_only_for_certain() {
        let covers = |a: &str, b: &str| Glob::try_from(a).unwrap().covers(&Glob::try_from(b).unwrap());
        assert!(covers("*", "1*") && covers("1*", "1*") && covers("1*", "100"));
        assert!(!covers("1*", "10*") && !covers("1*", "200") && !covers("1\\*", "1\\?"));
    }
}
