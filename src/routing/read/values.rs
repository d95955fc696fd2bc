//! How truth, numbers and lists are read.

use serde_json::json;

use super::{Read, Reader, unknown};
use crate::model::Direction;
use crate::routing::node::{Node, Value};

impl Read for bool {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Bool(value) => Some(value),
            Value::Text(_)
            | Value::Whole(_)
            | Value::Number(_)
            | Value::Moment(_)
            | Value::Null
            | Value::List(_)
            | Value::Table(_) => reader.expected(node, "true or false"),
        }
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "boolean" })
    }
}

impl Read for u32 {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Whole(number) = node.value else { return reader.expected(node, "a whole number") };
        number.try_into().ok().or_else(|| reader.wrong(node, format!("{number}: a whole number from 0 is expected")))
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "integer", "minimum": 0 })
    }
}

impl Read for i64 {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Whole(number) = node.value else { return reader.expected(node, "a whole number") };
        Some(number)
    }

    fn schema() -> serde_json::Value {
        json!({ "type": "integer" })
    }
}

/// By the words of the database.
impl Read for Direction {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Text(text) = &node.value else { return reader.expected(node, "a direction") };
        let known = Self::ALL.iter().find(|direction| direction.as_str() == text);
        known.copied().or_else(|| {
            let words: Vec<&str> = Self::ALL.iter().map(|direction| direction.as_str()).collect();
            reader.wrong(node, unknown("direction", text, &words))
        })
    }

    fn schema() -> serde_json::Value {
        json!({ "enum": Self::ALL })
    }
}

/// As the type itself; where nothing is written there is none.
impl<T: Read> Read for Option<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        T::read(node, reader).map(Some)
    }

    fn schema() -> serde_json::Value {
        T::schema()
    }
}

/// One, or a list of at most [`Read::MOST`].
impl<T: Read> Read for Vec<T> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::List(items) = &node.value else { return T::read(node, reader).map(|one| vec![one]) };
        if items.len() > T::MOST {
            return reader.wrong(node, format!("{} items, at most {} are allowed", items.len(), T::MOST));
        }
        let mut all = Some(Vec::with_capacity(items.len()));
        for (index, item) in items.iter().enumerate() {
            let read = reader.item(index, |reader| T::read(item, reader));
            all = all.zip(read).map(|(mut all, read)| {
                all.push(read);
                all
            });
        }
        all
    }

    fn schema() -> serde_json::Value {
        let one = T::schema();
        json!({ "anyOf": [one, { "type": "array", "items": one, "maxItems": T::MOST }] })
    }
}
