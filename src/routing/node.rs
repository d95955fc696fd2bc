//! A value as it was written, before anything is known of its meaning: of the file with its place, of a webhook's answer
//! or an API's body without. One tree for all three, so that one reader serves them and can name every mistake.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Bytes of the file's text; none where there is no file.
    pub at: Option<Range<usize>>,
    /// What is written there.
    pub value: Value,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction, or beyond `i64`.
    Number(f64),
    /// `true` or `false`.
    Bool(bool),
    /// A date or time that stands without quotes, as TOML allows; its text.
    Moment(String),
    /// JSON's `null`.
    Null,
    /// Several values.
    List(Vec<Node>),
    /// Values by name. A name comes once.
    Table(Vec<Entry>),
}

/// One name of a table with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Where the name stands.
    pub at: Option<Range<usize>>,
    /// Its value.
    pub node: Node,
}

impl Node {
    /// A value that stands in no file.
    pub fn of(value: Value) -> Self {
        Self { at: None, value }
    }

    /// What kind of value it is, in words for a mistake.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Whole(_) | Value::Number(_) => "a number",
            Value::Bool(_) => "true or false",
            Value::Moment(_) => "a date or time",
            Value::Null => "null",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The entry of this name; none in what is no table. JSON's `null` counts as nothing written: programs have it for what
    /// they leave out.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        match &self.value {
            Value::Table(entries) => entries.iter().find(|entry| entry.name == name && entry.node.value != Value::Null),
            Value::Text(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::Bool(_)
            | Value::Moment(_)
            | Value::Null
            | Value::List(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any).map(Self::of)
    }
}

/// Takes whatever comes. How deep it nests is the deserializer's bound (serde_json: 128), how long it is that of whoever
/// took the bytes.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Whole(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Number(value as f64), Value::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(Self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut names = std::collections::BTreeSet::new();
        while let Some((name, node)) = map.next_entry::<String, Node>()? {
            if !names.insert(name.clone()) {
                return Err(de::Error::custom(format!("'{name}' stands twice in one object")));
            }
            entries.push(Entry { name, at: None, node });
        }
        Ok(Value::Table(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_nodes() {
        let node: Node =
            serde_json::from_str(r#"{"a": [1, 2.5, "x", true, null], "b": 18446744073709551615}"#).unwrap();
        let Some(Entry { node: list, .. }) = node.entry("a") else { panic!("{node:?}") };
        let items = [Value::Whole(1), Value::Number(2.5), Value::Text("x".into()), Value::Bool(true), Value::Null];
        assert_eq!(list.value, Value::List(items.map(Node::of).to_vec()));
        assert_eq!(node.entry("b").map(|b| b.node.kind()), Some("a number"));
        assert!(list.entry("a").is_none());
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let error = serde_json::from_str::<Node>(r#"{"a": 1, "a": 2}"#).unwrap_err();
        assert!(error.to_string().contains("'a' stands twice"), "{error}");
    }
}
