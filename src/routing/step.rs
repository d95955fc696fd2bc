//! The vocabulary of steps: one form for the rules' file (TOML), a webhook's answer and the API (JSON).
//!
//! A step is an object with one verb, whose parameters are its value, and perhaps `name` and `on`:
//!
//! ```toml
//! { menu = { prompt = "sound:main", keys = "12" }, name = "main menu", on = { 1 = [{ goto = "sales" }], timeout = [{ hangup = {} }] } }
//! ```
//!
//! `on` leads on from an outcome: its steps run, and unless one of them ended the flow or went elsewhere, the step behind
//! comes next. An outcome without `on` does what the verb's documentation says, mostly the next step. A flow whose steps run out ends
//! as behind a `Dial` at the end of a dialplan: the caller is hung up, with the cause of the last `dial` if that failed.

pub mod choice;
pub mod media;
pub mod outcome;
pub mod pattern;
pub mod period;
pub mod schema;
pub mod template;
pub mod verb;
pub mod words;

pub use media::{HookUrl, Media, Target};
pub use outcome::{Outcome, Then};
pub use pattern::Regex;
pub use period::Period;
pub use template::Template;
pub use verb::Verb;
pub use words::{Cause, Keys, Label};

use std::collections::BTreeMap;

use serde::ser::SerializeMap;

use super::node::{Entry, Node, Value};
use super::read::{Mistake, Read, Reader, in_one_line, unknown};

/// Steps that one list may have.
pub const MAX_LIST: usize = 100;
/// Steps that a rule, or a webhook's answer, may have in all, `on` included.
pub const MAX_STEPS: usize = 500;
/// Steps within steps (`on` in `on`). Deeper than that nobody reads it; a rule of its own and `goto` do.
pub const MAX_DEPTH: usize = 8;

/// One step of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// What it does.
    pub verb: Verb,
    /// Its name in records, for people.
    pub name: Option<Label>,
    /// What comes after an outcome.
    pub on: BTreeMap<Outcome, Vec<Step>>,
}

impl Step {
    /// A step without name and `on`.
    pub fn new(verb: impl Into<Verb>) -> Self {
        Self { verb: verb.into(), name: None, on: BTreeMap::new() }
    }

    /// The same with these steps after this outcome.
    pub fn on(mut self, outcome: Outcome, steps: Vec<Step>) -> Self {
        self.on.insert(outcome, steps);
        self
    }

    /// How it can end.
    pub fn outcomes(&self) -> Vec<Outcome> {
        self.verb.outcomes()
    }
}

/// Steps from a written list; the count of a rule's steps begins anew.
///
/// # Errors
/// Every mistake, with its path.
pub fn steps_from(node: &Node) -> Result<Vec<Step>, Vec<Mistake>> {
    let mut reader = Reader::default();
    let steps = Vec::<Step>::read(node, &mut reader);
    reader.finish(steps)
}

impl Read for Step {
    const MOST: usize = MAX_LIST;

    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::Table(entries) = &node.value else { return reader.expected(node, "a step such as { answer = {} }") };
        reader.steps += 1;
        if reader.steps > MAX_STEPS {
            // Once is enough: what follows would say the same.
            let first = reader.steps == MAX_STEPS + 1;
            return first.then(|| reader.wrong(node, format!("more than {MAX_STEPS} steps"))).flatten();
        }
        let name = match node.entry("name") {
            Some(entry) => reader.below("name", |reader| Label::read(&entry.node, reader)).map(Some),
            None => Some(None),
        };
        let verb = read_verb(node, entries, reader);
        let on = match (node.entry("on"), &verb) {
            (Some(entry), Some(verb)) => reader.below("on", |reader| read_on(&entry.node, Some(verb), reader)),
            (Some(entry), None) => reader.below("on", |reader| read_on(&entry.node, None, reader)),
            (None, _) => Some(BTreeMap::new()),
        };
        Some(Self { verb: verb?, name: name?, on: on? })
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "$ref": "#/$defs/step" })
    }
}

/// The one verb among a step's entries.
fn read_verb(node: &Node, entries: &[Entry], reader: &mut Reader) -> Option<Verb> {
    let others = entries.iter().filter(|entry| !matches!(entry.name.as_str(), "name" | "on"));
    let (verbs, strange): (Vec<&Entry>, Vec<&Entry>) =
        others.partition(|entry| Verb::NAMES.contains(&entry.name.as_str()));
    for entry in &strange {
        reader.wrong_at(entry.at.clone(), unknown("step", &entry.name, Verb::NAMES));
    }
    match verbs.as_slice() {
        [one] => {
            reader.below(&one.name, |reader| Verb::read(&one.name, &one.node, reader)).filter(|_| strange.is_empty())
        }
        [] if strange.is_empty() => {
            reader.wrong(node, format!("this step does nothing; give it one of: {}", Verb::NAMES.join(", ")))
        }
        [] => None,
        [first, second, ..] => {
            let message = format!("'{}' and '{}' in one step; each is a step of its own", first.name, second.name);
            reader.wrong_at(second.at.clone(), message);
            None
        }
    }
}

/// What leads on from the outcomes. Without a verb only the steps in it are looked at.
fn read_on(node: &Node, verb: Option<&Verb>, reader: &mut Reader) -> Option<BTreeMap<Outcome, Vec<Step>>> {
    let Value::Table(entries) = &node.value else {
        return reader.expected(node, "a table from outcomes to steps");
    };
    if reader.depth == MAX_DEPTH {
        return reader.wrong(node, format!("steps more than {MAX_DEPTH} deep; make a rule of them and `goto` it"));
    }
    let outcomes = verb.map(|verb| (verb.name(), verb.outcomes()));
    let mut on = Some(BTreeMap::new());
    for entry in entries {
        let outcome = Outcome::from(entry.name.as_str());
        if let Some((verb, outcomes)) = &outcomes
            && !outcomes.contains(&outcome)
        {
            let words: Vec<&str> = outcomes.iter().map(Outcome::word).collect();
            reader.wrong_at(entry.at.clone(), unknown(&format!("outcome of {verb}"), &entry.name, &words));
            on = None;
        }
        reader.depth += 1;
        let steps = reader.below(&entry.name, |reader| Vec::<Step>::read(&entry.node, reader));
        reader.depth -= 1;
        on = on.zip(steps).map(|(mut on, steps)| {
            on.insert(outcome, steps);
            on
        });
    }
    on
}

impl serde::Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.verb.write(&mut map)?;
        if let Some(name) = &self.name {
            map.serialize_entry("name", name)?;
        }
        if !self.on.is_empty() {
            let on: BTreeMap<&str, &Vec<Self>> =
                self.on.iter().map(|(outcome, steps)| (outcome.word(), steps)).collect();
            map.serialize_entry("on", &on)?;
        }
        map.end()
    }
}

impl<'de> serde::Deserialize<'de> for Step {
    /// All mistakes in one text; [`steps_from`] gives them one by one.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let mut reader = Reader::default();
        let step = Self::read(&node, &mut reader);
        reader.finish(step).map_err(|mistakes| serde::de::Error::custom(in_one_line(&mistakes)))
    }
}

#[cfg(test)]
mod tests;
