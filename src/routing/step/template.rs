//! Text in which variables stand.

use std::fmt;

use super::words::Expression;
use crate::routing::read::{read_from_text, shown};

/// Bytes of a text as it is written.
pub const MAX_TEXT: usize = 2_000;
/// Bytes of a text with its variables in place: what comes after is cut, so that a long value fills no memory.
pub const MAX_EXPANDED: usize = 16 * 1024;

/// A text that may hold `${variable}`: the call's variables, those of the channel, and Asterisk's functions such as
/// `${CALLERID(num)}`. `$${` stands for `${` itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Template(String);

/// A stretch of a [`Template`].
enum Part<'a> {
    Text(&'a str),
    Variable(&'a str),
}

impl Template {
    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the same for every call.
    pub fn is_fixed(&self) -> bool {
        !self.0.contains("${")
    }

    /// The names of the variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        parts(&self.0).unwrap_or_default().into_iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name),
            Part::Text(_) => None,
        })
    }

    /// The text with every variable's value in its place, at most [`MAX_EXPANDED`] bytes. One that has no value is empty,
    /// as in Asterisk's dialplan. Values are not expanded again: a caller whose name is `${SECRET}` reads no secret. Control
    /// characters in values become blanks: a line break in a caller's name begins no SIP header of its own.
    pub fn expand(&self, value: &dyn Fn(&str) -> Option<String>) -> String {
        let mut out = String::with_capacity(self.0.len());
        for part in parts(&self.0).unwrap_or_default() {
            let whole = match part {
                Part::Text(text) => push_bounded(&mut out, text),
                Part::Variable(name) => {
                    let value = value(name).unwrap_or_default();
                    push_bounded(&mut out, &value.replace(char::is_control, " "))
                }
            };
            if !whole {
                break;
            }
        }
        out
    }
}

/// Adds as much as there is room for, never half a character; false when that is not all.
fn push_bounded(out: &mut String, text: &str) -> bool {
    let room = text.floor_char_boundary(MAX_EXPANDED.saturating_sub(out.len()));
    out.push_str(&text[..room]);
    room == text.len()
}

/// Splits a text.
fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (head, tail) = (&rest[..at], &rest[at + 2..]);
        if let Some(head) = head.strip_suffix('$') {
            parts.extend([Part::Text(head), Part::Text("${")]);
            rest = tail;
            continue;
        }
        let Some((name, tail)) = tail.split_once('}').filter(|(name, _)| Expression::try_from(*name).is_ok()) else {
            return Err(format!("'${{{}' is no ${{variable}}; for the characters themselves write $${{", shown(tail)));
        };
        parts.extend([Part::Text(head), Part::Variable(name)]);
        rest = tail;
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

impl TryFrom<&str> for Template {
    type Error = String;

    fn try_from(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("a text of {} bytes, at most {MAX_TEXT} are allowed", text.len()));
        }
        parts(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

read_from_text!(Template, "a text", 32, { "maxLength": MAX_TEXT });

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str) -> String {
        Template::try_from(text).unwrap().expand(&|name| match name {
            "a" => Some("A".to_owned()),
            "CALLERID(num)" => Some("100".to_owned()),
            "sly" => Some("${a}".to_owned()),
            "lines" => Some("a\r\nX-B: c".to_owned()),
            "long" => Some("é".repeat(MAX_EXPANDED)),
            _ => None,
        })
    }

    #[test]
    fn variables_are_put_in_once() {
        for (text, expanded) in [
            ("", ""),
            ("plain $5 {x}", "plain $5 {x}"),
            ("${a}", "A"),
            ("x${a}y${a}", "xAyA"),
            ("<${CALLERID(num)}>", "<100>"),
            ("${none}!", "!"),
            ("$${a} ${a}", "${a} A"),
            ("${sly}", "${a}"),
            ("${lines}", "a  X-B: c"),
        ] {
            assert_eq!(expand(text), expanded, "{text}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(expand("x${long}${a}").len(), MAX_EXPANDED - 1);
    }

    #[test]
    fn the_variables_are_named() {
        let template = Template::try_from("${a} $${b} ${c}").unwrap();
        assert_eq!(template.variables().collect::<Vec<_>>(), ["a", "c"]);
        assert!(!template.is_fixed() && Template::try_from("a$b").unwrap().is_fixed());
    }

    #[test]
    fn a_variable_without_an_end_is_refused() {
        for text in ["${", "${a", "${}", "${a b}", "x ${1}"] {
            assert!(Template::try_from(text).unwrap_err().contains("$${"), "{text}");
        }
        assert!(Template::try_from("x".repeat(MAX_TEXT + 1).as_str()).unwrap_err().contains("at most"));
    }
}
