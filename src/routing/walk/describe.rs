//! A step's parameters in a line for people.

use serde_json::Value;

use crate::routing::step::{Template, Verb};

/// The parameters that are not at their default, variables put in: `to=PJSIP/101, PJSIP/102 ring=10s`. Of a single one only
/// the value.
pub(super) fn parameters(verb: &Verb, value: &dyn Fn(&str) -> Option<String>) -> String {
    let Some(Value::Object(parameters)) = verb.parameters() else { return String::new() };
    if let (1, Some(one)) = (parameters.len(), parameters.values().next()) {
        return text(one, value);
    }
    let each: Vec<String> = parameters.iter().map(|(name, it)| format!("{name}={}", text(it, value))).collect();
    each.join(" ")
}

fn text(it: &Value, value: &dyn Fn(&str) -> Option<String>) -> String {
    match it {
        Value::String(text) => {
            Template::try_from(text.as_str()).map_or_else(|_| text.clone(), |text| text.expand(value))
        }
        Value::Array(items) => items.iter().map(|item| text(item, value)).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let each = fields.iter().map(|(name, it)| format!("{name}: {}", text(it, value)));
            each.collect::<Vec<_>>().join(", ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => it.to_string(),
    }
}
