//! Tables with named parameters (a verb's, a rule's): one declaration makes the struct, its reading, its writing and its schema.

use std::borrow::Cow;

use serde_json::json;

use super::node::{Entry, Node, Value};
use super::read::{Read, Reader};

/// What is held of several parameters together.
pub(in crate::routing) trait Checked {
    /// Whether a value that is no table stands for the table with the first parameter only.
    const SHORT: bool = false;

    /// Names what is wrong with parameters that are right each by itself: parameter and message.
    fn check(&self, _wrong: &mut dyn FnMut(&'static str, String)) {}
}

/// The entries. `play = "sound:hello"` is `play = { media = "sound:hello" }`, where `short` allows that.
pub(super) fn table<'a>(
    node: &'a Node,
    names: &[&'static str],
    short: bool,
    reader: &mut Reader,
) -> Option<Cow<'a, Node>> {
    match (&node.value, names.first().filter(|_| short)) {
        (Value::Table(_), _) => {
            reader.only(node, "parameter", names);
            Some(Cow::Borrowed(node))
        }
        (_, Some(first)) => {
            let entry = Entry { name: (*first).to_owned(), at: node.at.clone(), node: node.clone() };
            Some(Cow::Owned(Node { at: node.at.clone(), value: Value::Table(vec![entry]) }))
        }
        (_, None) if names.is_empty() => reader.wrong(node, "this step has no parameters: write {}"),
        (_, None) => reader.expected(node, "a table"),
    }
}

/// A parameter that must be there.
pub(super) fn needed<T: Read>(table: &Node, name: &str, reader: &mut Reader) -> Option<T> {
    match table.entry(name) {
        Some(entry) => reader.below(name, |reader| T::read(&entry.node, reader)),
        None => reader.wrong(table, format!("parameter '{name}' is missing")),
    }
}

/// A parameter that has a default.
pub(super) fn optional<T: Read>(table: &Node, name: &str, default: T, reader: &mut Reader) -> Option<T> {
    match table.entry(name) {
        Some(entry) => reader.below(name, |reader| T::read(&entry.node, reader)),
        None => Some(default),
    }
}

/// One parameter's schema, with its words and its default.
pub(super) fn property(mut schema: serde_json::Value, about: &str, default: serde_json::Value) -> serde_json::Value {
    if let Some(fields) = schema.as_object_mut() {
        let words = match fields.get("description").and_then(serde_json::Value::as_str) {
            Some(form) => format!("{about} ({form})"),
            None => about.to_owned(),
        };
        fields.insert("description".to_owned(), json!(words));
        let is_none = default.is_null() || default.as_array().is_some_and(Vec::is_empty);
        if !is_none {
            fields.insert("default".to_owned(), default);
        }
    }
    schema
}

/// Declares a table's parameters: those it needs, then those that have a default.
macro_rules! parameters {
    (
        $(#[doc = $about:literal])*
        $name:ident {
            $($(#[doc = $need_doc:literal])* $need:ident: $need_type:ty,)*
        } or {
            $($(#[doc = $may_doc:literal])* $may:ident: $may_type:ty = $default:expr,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $need_doc])* pub $need: $need_type,)*
            $($(#[doc = $may_doc])* pub $may: $may_type,)*
        }

        impl $name {
            /// What it does, for people.
            pub const ABOUT: &'static str = concat!($($about, "\n",)*);
            /// The names of its parameters; the first may stand for the table where it is the only one given.
            pub const PARAMETERS: &'static [&'static str] = &[$(stringify!($need),)* $(stringify!($may),)*];

            /// With every other parameter at its default.
            #[allow(clippy::new_without_default, clippy::allow_attributes, reason = "the verbs are made in one way, also those that need no parameter")]
            pub fn new($($need: $need_type,)*) -> Self {
                Self { $($need,)* $($may: $default,)* }
            }
        }

        impl $crate::routing::read::Read for $name {
            fn read(
                node: &$crate::routing::node::Node,
                reader: &mut $crate::routing::read::Reader,
            ) -> Option<Self> {
                let before = reader.count();
                let table = $crate::routing::parameters::table(
                    node,
                    Self::PARAMETERS,
                    <Self as $crate::routing::parameters::Checked>::SHORT,
                    reader,
                )?;
                // All are read before any is asked for, so that every mistake is found.
                $(let $need = $crate::routing::parameters::needed::<$need_type>(&table, stringify!($need), reader);)*
                $(let $may = $crate::routing::parameters::optional::<$may_type>(
                    &table, stringify!($may), $default, reader,
                );)*
                let read = Self { $($need: $need?,)* $($may: $may?,)* };
                $crate::routing::parameters::Checked::check(&read, &mut |name, message| {
                    let at = table.entry(name).map_or(&*table, |entry| &entry.node);
                    reader.below(name, |reader| reader.wrong_at(at.at.clone(), message));
                });
                (reader.count() == before).then_some(read)
            }

            fn schema() -> serde_json::Value {
                let needed: &[&str] = &[$(stringify!($need),)*];
                #[allow(unused_mut, clippy::allow_attributes, reason = "not every verb has parameters")]
                let mut properties = serde_json::Map::new();
                $(properties.insert(stringify!($need).to_owned(), $crate::routing::parameters::property(
                    <$need_type as $crate::routing::read::Read>::schema(),
                    concat!($($need_doc,)*).trim(),
                    serde_json::Value::Null,
                ));)*
                $(properties.insert(stringify!($may).to_owned(), $crate::routing::parameters::property(
                    <$may_type as $crate::routing::read::Read>::schema(),
                    concat!($($may_doc,)*).trim(),
                    serde_json::to_value::<$may_type>($default).unwrap_or_default(),
                ));)*
                serde_json::json!({
                    "type": "object", "properties": properties, "required": needed, "additionalProperties": false,
                })
            }
        }

        impl serde::Serialize for $name {
            /// The table, without what is at its default.
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                #[allow(unused_mut, clippy::allow_attributes, reason = "not every verb has parameters")]
                let mut map = serde::Serializer::serialize_map(serializer, None)?;
                $(serde::ser::SerializeMap::serialize_entry(&mut map, stringify!($need), &self.$need)?;)*
                $({
                    let default: $may_type = $default;
                    if self.$may != default {
                        serde::ser::SerializeMap::serialize_entry(&mut map, stringify!($may), &self.$may)?;
                    }
                })*
                serde::ser::SerializeMap::end(map)
            }
        }
    };
}

pub(super) use parameters;
