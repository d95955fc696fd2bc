//! An event's head and body in one pass over its text.
//!
//! Whoever reads the head first and the body after it reads each event twice, and reading is half of what an event
//! costs before it reaches the database.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::de::value::{BorrowedStrDeserializer, CowStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, de};

use super::objects::Text;

/// The fields that every event has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head<'a> {
    /// The event's type.
    pub(super) kind: Text<'a>,
    /// When it happened, as text; empty where Asterisk says nothing.
    pub(super) timestamp: Text<'a>,
    /// The application whose socket it came by.
    pub(super) application: Text<'a>,
}

/// An event: the fields of its head are taken out, all others make the body `B`.
#[derive(Debug)]
pub(super) struct Whole<'a, B> {
    pub(super) head: Head<'a>,
    pub(super) body: B,
}

/// What stands before an event's type. The search for it, prepared once.
static KIND: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"type\":\""));

/// The type that an event's text seems to have: its first `"type":"..."`. It may be a field further in; who uses this
/// compares it with the head's.
pub(super) fn likely_kind(text: &str) -> Option<&str> {
    let start = KIND.find(text.as_bytes())? + KIND.needle().len();
    let rest = text.get(start..)?;
    rest.get(..memchr::memchr(b'"', rest.as_bytes())?)
}

impl<'de, B: Deserialize<'de>> Deserialize<'de> for Whole<'de, B> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Event<B>(PhantomData<B>);
        impl<'de, B: Deserialize<'de>> Visitor<'de> for Event<B> {
            type Value = Whole<'de, B>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let (mut kind, mut head) = (None, Head::default());
                let split = Split { map, kind: &mut kind, head: &mut head };
                let body = B::deserialize(MapAccessDeserializer::new(split))?;
                head.kind = kind.ok_or_else(|| de::Error::missing_field("type"))?;
                Ok(Whole { head, body })
            }
        }
        deserializer.deserialize_map(Event(PhantomData))
    }
}

/// The fields of an event without those of its head, which are put aside on the way.
struct Split<'h, 'de, A> {
    map: A,
    kind: &'h mut Option<Text<'de>>,
    head: &'h mut Head<'de>,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Split<'_, 'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<Text<'de>>()? {
            match &*key {
                "type" => *self.kind = Some(self.map.next_value()?),
                "timestamp" => {
                    self.head.timestamp = self.map.next_value::<Option<Text<'de>>>()?.unwrap_or_default();
                }
                "application" => self.head.application = self.map.next_value()?,
                _ => {
                    return match key.0 {
                        Cow::Borrowed(key) => seed.deserialize(BorrowedStrDeserializer::new(key)).map(Some),
                        Cow::Owned(key) => seed.deserialize(CowStrDeserializer::new(Cow::Owned(key))).map(Some),
                    };
                }
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

/// A body of which nothing is read.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        variable: Text<'a>,
        #[serde(default)]
        number: i64,
    }

    fn whole(text: &str) -> Result<Whole<'_, Body<'_>>, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn head_and_body_come_apart_in_any_order_and_nothing_is_copied() {
        let text = r#"{"number":7,"timestamp":"t","other":{"type":"x"},"variable":"v","type":"K","application":"a"}"#;
        let Whole { head, body } = whole(text).unwrap();
        assert_eq!((&*head.kind, &*head.timestamp, &*head.application), ("K", "t", "a"));
        assert_eq!(body, Body { variable: "v".into(), number: 7 });
        assert!([head.kind, head.timestamp, body.variable].iter().all(|text| matches!(text.0, Cow::Borrowed(_))));
    }

    #[test]
    fn escapes_are_read_and_absent_fields_are_empty() {
        let Whole { head, body } = whole(r#"{"t\u0079pe":"K\n","var\u0069able":"\"","timestamp":null}"#).unwrap();
        assert_eq!((&*head.kind, &*head.timestamp, &*head.application), ("K\n", "", ""));
        assert_eq!(&*body.variable, "\"");
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let error = |text: &str| whole(text).unwrap_err().to_string();
        assert!(error(r#"{"variable":"v"}"#).contains("missing field `type`"));
        assert!(error(r#"{"type":"K"}"#).contains("missing field `variable`"));
        assert!(error(r#"{"type":3,"variable":"v"}"#).contains("expected text"));
        assert!(error(r#"{"type":"K","variable":"v","number":"x"}"#).contains("expected i64"));
        assert!(error("[]").contains("expected an event"));
        assert!(error(r#"{"type":"K","variable":"v"} x"#).contains("trailing"));
    }

    #[test]
    fn the_likely_kind_is_the_first() {
        assert_eq!(likely_kind(r#"{"bridge_type":"x","type":"Dial","peer":{"type":"y"}}"#), Some("Dial"));
        assert_eq!(likely_kind(r#"{"type": "Dial"}"#), None);
        assert_eq!(likely_kind(r#"{"type":"Dial"#), None);
    }
}
