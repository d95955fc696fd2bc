//! A table whose names are the owner's.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{Read, Reader};
use crate::routing::node::{Node, Value};

/// Values by name, at most [`Read::MOST`] of the name's type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Table<K: Ord, V>(BTreeMap<K, V>);

impl<K: Ord, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V> Table<K, V> {
    /// Each with its value.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter()
    }

    /// The value of this name.
    pub fn get(&self, name: &K) -> Option<&V> {
        self.0.get(name)
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Table<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<K: Ord + Read + for<'a> TryFrom<&'a str, Error = String>, V: Read> Read for Table<K, V> {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Table(entries) = &node.value else { return reader.expected(node, "a table") };
        if entries.len() > K::MOST {
            return reader.wrong(node, format!("{} names, at most {} are allowed", entries.len(), K::MOST));
        }
        let mut values = Some(BTreeMap::new());
        for entry in entries {
            let name = K::try_from(entry.name.as_str());
            let name = name.map_err(|message| reader.wrong_at(entry.at.clone(), message)).ok();
            let value = reader.below(&entry.name, |reader| V::read(&entry.node, reader));
            values = values.zip(name.zip(value)).map(|(mut values, (name, value))| {
                values.insert(name, value);
                values
            });
        }
        values.map(Self)
    }

    fn schema() -> serde_json::Value {
        json!({
            "type": "object",
            "propertyNames": K::schema(),
            "additionalProperties": V::schema(),
            "maxProperties": K::MOST,
        })
    }
}
