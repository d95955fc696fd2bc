//! TOML's text as a tree of values with their places.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::MAX_BYTES;
use crate::routing::node::{Entry, Node, Value};
use crate::routing::read::{MAX_MISTAKES, Mistake};

/// The tree of a text.
///
/// # Errors
/// It is no TOML; every mistake of its form. How deep it may nest is the parser's bound (80).
pub fn node(text: &str) -> Result<Node, Vec<Mistake>> {
    if text.len() > MAX_BYTES {
        let message = format!("{} bytes, at most {MAX_BYTES} are allowed", text.len());
        return Err(vec![Mistake { path: String::new(), at: None, message }]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        let at = Some(0..text.len());
        return Ok(Node { at, value: of_table(table.get_ref()) });
    }
    let mistake = |error: toml::de::Error| Mistake {
        path: String::new(),
        at: error.span(),
        message: format!("this is no TOML: {}", error.message()),
    };
    Err(errors.into_iter().take(MAX_MISTAKES).map(mistake).collect())
}

fn of_table(table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(name, value)| Entry { name: name.get_ref().to_string(), at: Some(name.span()), node: of(value) })
        .collect();
    // In the order of the text, so that mistakes are too.
    entries.sort_by_key(|entry| entry.at.as_ref().map(|at| at.start));
    Value::Table(entries)
}

fn of(value: &Spanned<DeValue<'_>>) -> Node {
    let read = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Whole(number),
            Err(_) => Value::Number(f64::INFINITY),
        },
        DeValue::Float(number) => Value::Number(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(moment) => Value::Moment(moment.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(of).collect()),
        DeValue::Table(table) => of_table(table),
    };
    Node { at: Some(value.span()), value: read }
}

/// Where the value of this path stands, or the nearest on the way to it that is written.
pub(super) fn find(tree: &Node, path: &str) -> Option<Range<usize>> {
    let mut node = tree;
    let mut at = None;
    for (name, index) in segments(path) {
        let below = match name {
            Some(name) => match node.entry(name) {
                Some(entry) => Some(&entry.node),
                // The short form: this is the parameter's value itself.
                None => (!matches!(node.value, Value::Table(_))).then_some(node),
            },
            None => Some(node),
        };
        let Some(below) = below else { break };
        node = below;
        at.clone_from(&node.at);
        if let (Some(index), Value::List(items)) = (index, &node.value) {
            let Some(item) = items.get(index) else { break };
            node = item;
            at.clone_from(&node.at);
        }
    }
    at
}

/// `a[2].b` as (a, 1), (b, none). Names in paths hold no dot where they can be found: they are those of parameters.
fn segments(path: &str) -> impl Iterator<Item = (Option<&str>, Option<usize>)> {
    path.split('.').map(|part| match part.split_once('[') {
        Some((name, index)) => {
            let index = index.trim_end_matches(']').parse::<usize>().ok().and_then(|index| index.checked_sub(1));
            ((!name.is_empty()).then_some(name), index)
        }
        None => (Some(part), None),
    })
}
