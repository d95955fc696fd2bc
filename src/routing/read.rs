//! From written values to typed ones: every mistake is kept with its path and place, none ends the reading.

mod table;
mod values;

pub use table::Table;

use std::fmt;
use std::ops::Range;

use super::node::{Node, Value};

/// Mistakes kept of one text. Whoever has more puts these right first.
pub(super) const MAX_MISTAKES: usize = 100;
/// Globs with wildcards and regular expressions of one text: each takes some kilobytes.
const MAX_PATTERNS: usize = 5_000;
/// From here on two words count as alike enough to suggest one for the other (1 is equal).
const ALIKE: f64 = 0.6;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The way to it: `rule[2].steps[1].dial.ring`. Lists count from 1.
    pub path: String,
    /// Bytes of the file's text; none where there is no file.
    pub at: Option<Range<usize>>,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// Mistakes in one line, for an answer that has room for one text.
pub fn in_one_line(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(Mistake::to_string).collect::<Vec<_>>().join("; ")
}

/// Where the reading stands, and what was found wrong so far.
#[derive(Debug, Default)]
pub struct Reader {
    mistakes: Vec<Mistake>,
    path: String,
    /// Steps inside steps, now.
    pub(super) depth: usize,
    /// Steps read since the last rule began.
    pub(super) steps: usize,
    /// Patterns compiled so far.
    patterns: usize,
}

impl Reader {
    /// The mistakes, in the order of the text where there is one.
    pub fn into_mistakes(mut self) -> Vec<Mistake> {
        self.mistakes.sort_by_key(|mistake| mistake.at.as_ref().map(|at| at.start));
        self.mistakes
    }

    /// What was read, if nothing was wrong.
    ///
    /// # Errors
    /// All that was wrong.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Vec<Mistake>> {
        match read {
            Some(read) if self.mistakes.is_empty() => Ok(read),
            Some(_) | None => Err(self.into_mistakes()),
        }
    }

    /// Mistakes so far.
    pub fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// Where the reading stands.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Notes a mistake that stands at `at`.
    pub fn wrong_at(&mut self, at: Option<Range<usize>>, message: impl Into<String>) {
        if self.mistakes.len() < MAX_MISTAKES {
            self.mistakes.push(Mistake { path: self.path.clone(), at, message: message.into() });
        }
    }

    /// Notes a mistake at this value. Always none, so that a reading can end with it.
    pub fn wrong<T>(&mut self, node: &Node, message: impl Into<String>) -> Option<T> {
        self.wrong_at(node.at.clone(), message);
        None
    }

    /// Notes that another kind of value was expected.
    pub fn expected<T>(&mut self, node: &Node, what: &str) -> Option<T> {
        self.wrong(node, format!("expected {what}, found {}", node.kind()))
    }

    /// Counts a pattern that is to be compiled; false, and a mistake, where that is too many.
    pub(super) fn one_more_pattern(&mut self, node: &Node) -> bool {
        self.patterns += 1;
        if self.patterns == MAX_PATTERNS + 1 {
            self.wrong_at(node.at.clone(), format!("more than {MAX_PATTERNS} patterns and regular expressions"));
        }
        self.patterns <= MAX_PATTERNS
    }

    /// Reads below this name.
    pub fn below<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let read = read(self);
        self.path.truncate(length);
        read
    }

    /// Reads the list's item of this index (from 0).
    pub fn item<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.path.len();
        self.path.push_str(&format!("[{}]", index + 1));
        let read = read(self);
        self.path.truncate(length);
        read
    }

    /// Names every entry of a table that is none of `allowed`.
    pub fn only(&mut self, node: &Node, what: &str, allowed: &[&str]) {
        let Value::Table(entries) = &node.value else { return };
        for entry in entries.iter().filter(|entry| !allowed.contains(&entry.name.as_str())) {
            self.wrong_at(entry.at.clone(), unknown(what, &entry.name, allowed));
        }
    }
}

/// `unknown step 'dail' (did you mean 'dial'?); allowed: answer, dial, ...`
pub fn unknown(what: &str, found: &str, allowed: &[&str]) -> String {
    let hint = nearest(found, allowed).map_or_else(String::new, |near| format!(" (did you mean '{near}'?)"));
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    format!("unknown {what} '{}'{hint}; allowed: {allowed}", shown(found))
}

/// The word that was probably meant.
fn nearest<'a>(found: &str, allowed: &[&'a str]) -> Option<&'a str> {
    let found = shown(found).to_lowercase();
    let by_likeness = allowed.iter().map(|word| (strsim::normalized_damerau_levenshtein(&found, word), *word));
    let (likeness, word) = by_likeness.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (likeness >= ALIKE).then_some(word)
}

/// What somebody wrote, cut where it is too long to repeat.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// A type that is read from a written value.
pub trait Read: Sized {
    /// Values of this type that one list may hold.
    const MOST: usize = 32;

    /// The value; none when the reader was told what is wrong.
    fn read(node: &Node, reader: &mut Reader) -> Option<Self>;

    /// Its JSON Schema (draft 2020-12).
    fn schema() -> serde_json::Value;
}

/// Implements [`Read`] for a type that is written as a text and made by `TryFrom<&str, Error = String>`; the schema's
/// further fields follow, and which of its values count as compiled patterns (none without that).
macro_rules! read_from_text {
    ($name:ty, $what:literal, $most:expr, { $($schema:tt)* }) => {
        $crate::routing::read::read_from_text!($name, $what, $most, { $($schema)* }, |_| false);
    };
    ($name:ty, $what:literal, $most:expr, { $($schema:tt)* }, $is_pattern:expr) => {
        impl $crate::routing::read::Read for $name {
            const MOST: usize = $most;

            fn read(
                node: &$crate::routing::node::Node,
                reader: &mut $crate::routing::read::Reader,
            ) -> Option<Self> {
                let $crate::routing::node::Value::Text(text) = &node.value else {
                    return reader.expected(node, $what);
                };
                let read = Self::try_from(text.as_str()).map_or_else(|message| reader.wrong(node, message), Some)?;
                let is_pattern: fn(&Self) -> bool = $is_pattern;
                (!is_pattern(&read) || reader.one_more_pattern(node)).then_some(read)
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({ "type": "string", $($schema)* })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

/// Makes an enum of which each variant is one word.
macro_rules! choices {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant,)+ }

        impl $name {
            /// Every word.
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }

        impl TryFrom<&str> for $name {
            type Error = String;
            fn try_from(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    other => Err($crate::routing::read::unknown("value", other, Self::WORDS)),
                }
            }
        }

        $crate::routing::read::read_from_text!($name, "one of its words", 16, { "enum": Self::WORDS });
    };
}

pub(in crate::routing) use {choices, read_from_text};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_named_with_what_is_allowed_and_the_nearest() {
        let allowed = ["answer", "dial", "play"];
        assert_eq!(
            unknown("step", "dail", &allowed),
            "unknown step 'dail' (did you mean 'dial'?); allowed: answer, dial, play"
        );
        assert_eq!(unknown("step", "xyz", &allowed), "unknown step 'xyz'; allowed: answer, dial, play");
    }

    #[test]
    fn every_item_that_is_wrong_is_named_with_its_path() {
        let node: Node = serde_json::from_str(r#"[true, 1, false, "x"]"#).unwrap();
        let mut reader = Reader::default();
        let read = reader.below("flags", |reader| Vec::<bool>::read(&node, reader));
        let mistakes = reader.finish(read).unwrap_err();
        assert_eq!(
            in_one_line(&mistakes),
            "flags[2]: expected true or false, found a number; flags[4]: expected true or false, found a text"
        );
    }

    #[test]
    fn lists_and_mistakes_are_bounded() {
        let node: Node = serde_json::from_str(&format!("[{}1]", "1,".repeat(40))).unwrap();
        let mut reader = Reader::default();
        assert_eq!(Vec::<bool>::read(&node, &mut reader), None);
        assert!(reader.into_mistakes()[0].message.contains("at most 32"));
        let mut reader = Reader::default();
        (0..1_000).for_each(|_| reader.wrong_at(None, "x"));
        assert_eq!(reader.count(), MAX_MISTAKES);
    }
}
