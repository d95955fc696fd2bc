//! `routing.toml`: its text becomes rules, or every mistake in it with line and column.

mod tree;

pub use tree::node;

use std::fmt;
use std::ops::Range;

use ring::digest;

use super::calendar::Zone;
use super::matching::Holidays;
use super::node::{Node, Value};
use super::parameters::{Checked, parameters};
use super::policy::DialPolicy;
use super::read::{Mistake, Read, Reader};
use super::rule::{MAX_RULES, Rule, Rules};
use super::step::words::Label;

/// Bytes of a file of rules.
pub const MAX_BYTES: usize = 2 * 1024 * 1024;

parameters! {
    /// The owner's rules.
    Written {} or {
        /// The time zone of hours and days, by its name in the IANA database.
        time_zone: Zone = Zone::UTC,
        /// Lists of days by name, for the condition `holidays`.
        holidays: Holidays = Holidays::default(),
        /// Whom steps may call.
        dial: DialPolicy = DialPolicy::new(),
        /// The rules, in order.
        rule: Rulebook = Rulebook::default(),
    }
}

impl Checked for Written {}

/// Rules whose names differ.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Rulebook(Vec<Rule>);

impl Read for Rulebook {
    fn read(node: &Node, reader: &mut Reader) -> Option<Self> {
        let Value::List(items) = &node.value else { return reader.expected(node, "rules, each as [[rule]]") };
        if items.len() > MAX_RULES {
            return reader.wrong(node, format!("{} rules, at most {MAX_RULES} are allowed", items.len()));
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(items.len());
        let mut all = true;
        for (index, item) in items.iter().enumerate() {
            reader.steps = 0;
            match reader.item(index, |reader| Rule::read(item, reader)) {
                Some(rule) => rules.push(rule),
                None => all = false,
            }
        }
        let mut seen = std::collections::BTreeMap::new();
        for (index, item) in items.iter().enumerate() {
            let Some(entry) = item.entry("name") else { continue };
            let Value::Text(name) = &entry.node.value else { continue };
            if let Some(first) = seen.insert(name.as_str(), index) {
                let message = format!("rule {} has the name '{name}' too", first + 1);
                reader.item(index, |reader| {
                    reader.below("name", |reader| reader.wrong_at(entry.node.at.clone(), message))
                });
                all = false;
            }
        }
        all.then_some(Self(rules))
    }

    fn schema() -> serde_json::Value {
        serde_json::json!({ "type": "array", "items": Rule::schema(), "maxItems": MAX_RULES })
    }
}

/// A mistake and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Flaw {
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1, in characters.
    pub column: usize,
    /// The way to it: `rule[2].steps[1].dial.ring`. Lists count from 1.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

impl fmt::Display for Flaw {
    /// `12:5: rule[2].steps[1]: unknown step ...`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

/// What a file holds.
#[derive(Clone, Debug)]
pub struct RoutingFile {
    /// The rules.
    pub rules: Rules,
    /// Whom steps may call.
    pub dial: DialPolicy,
    text: String,
    tree: Node,
}

impl RoutingFile {
    /// A mistake that was found in the rules, with its place in the text: that of the nearest that is written there, as a
    /// short form leaves out what is between.
    pub fn flaw(&self, mistake: Mistake) -> Flaw {
        let at = mistake.at.clone().or_else(|| tree::find(&self.tree, &mistake.path));
        flaw(&self.text, mistake, at)
    }
}

/// The rules of a text.
///
/// # Errors
/// Every mistake, in the order of the text.
pub fn read(text: &str) -> Result<RoutingFile, Vec<Flaw>> {
    let tree = node(text).map_err(|mistakes| flaws(text, mistakes))?;
    let mut reader = Reader::default();
    let written = Written::read(&tree, &mut reader);
    if let Some(written) = &written {
        name_unknown_holidays(written, &mut reader);
    }
    let written = reader.finish(written).map_err(|mistakes| flaws(text, mistakes))?;
    let Written { time_zone, holidays, dial, rule: Rulebook(rules) } = written;
    Ok(RoutingFile { rules: Rules::new(&version(text), time_zone, holidays, rules), dial, text: text.to_owned(), tree })
}

fn name_unknown_holidays(written: &Written, reader: &mut Reader) {
    let known: Vec<&str> = written.holidays.iter().map(|(name, _)| name.as_str()).collect();
    for (index, rule) in written.rule.0.iter().enumerate() {
        let strange = |name: &&Label| written.holidays.get(name).is_none();
        for name in rule.when.holidays.iter().filter(strange) {
            let message = super::read::unknown("list of [holidays]", name.as_str(), &known);
            reader.below(&format!("rule[{}].when.holidays", index + 1), |reader| reader.wrong_at(None, message));
        }
    }
}

/// Which text it is: the first 12 hex digits of its SHA-256.
pub fn version(text: &str) -> String {
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    hash.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn flaws(text: &str, mistakes: Vec<Mistake>) -> Vec<Flaw> {
    let tree = node(text).ok();
    let mut flaws: Vec<Flaw> = mistakes
        .into_iter()
        .map(|mistake| {
            let at = mistake.at.clone().or_else(|| tree::find(tree.as_ref()?, &mistake.path));
            flaw(text, mistake, at)
        })
        .collect();
    flaws.sort_by_key(|flaw| (flaw.line, flaw.column));
    flaws
}

fn flaw(text: &str, mistake: Mistake, at: Option<Range<usize>>) -> Flaw {
    let before = &text[..text.floor_char_boundary(at.map_or(0, |at| at.start))];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Flaw {
        line: before.matches('\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
        path: mistake.path,
        message: mistake.message,
    }
}

#[cfg(test)]
mod tests;
