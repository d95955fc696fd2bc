//! The vocabulary as a JSON Schema (draft 2020-12), made of the same declarations as its reading, so that any language can
//! answer a webhook.

use serde_json::{Value, json};

use super::words::Label;
use super::{MAX_LIST, Verb};
use crate::routing::read::Read;

/// The schema of a list of steps.
pub fn steps() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Steps of a call",
        "$ref": "#/$defs/steps",
        "$defs": defs(),
    })
}

/// What stands behind the references of other schemas: `steps` and `step`.
pub fn defs() -> Value {
    let list = json!({ "type": "array", "items": { "$ref": "#/$defs/step" }, "maxItems": MAX_LIST });
    let verbs: Vec<Value> =
        Verb::schemas().into_iter().map(|(name, about, schema)| verb(name, about, schema)).collect();
    json!({
        "steps": { "anyOf": [{ "$ref": "#/$defs/step" }, list] },
        "step": { "description": "An object with one verb, whose parameters are its value.", "oneOf": verbs },
    })
}

/// A step with this verb.
fn verb(name: &str, about: &str, parameters: Value) -> Value {
    json!({
        "title": name,
        "description": about.lines().map(str::trim).collect::<Vec<_>>().join(" ").trim(),
        "type": "object",
        "properties": {
            name: short_or_long(parameters),
            "name": Label::schema(),
            "on": {
                "description": "Steps after an outcome.",
                "type": "object",
                "additionalProperties": { "$ref": "#/$defs/steps" },
            },
        },
        "required": [name],
        "additionalProperties": false,
    })
}

/// A value that is no table stands for the first parameter where no other is needed.
fn short_or_long(parameters: Value) -> Value {
    let needed: Vec<&str> = parameters["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let first = match needed.as_slice() {
        [one] => parameters["properties"].get(*one).cloned(),
        [] if parameters["properties"].as_object().is_some_and(|all| all.len() == 1) => {
            parameters["properties"].as_object().and_then(|all| all.values().next().cloned())
        }
        _ => None,
    };
    match first {
        Some(first) => json!({ "anyOf": [parameters, first] }),
        None => parameters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The schema of this verb's step.
    fn of(name: &str) -> Value {
        let verbs = defs()["step"]["oneOf"].clone();
        verbs.as_array().and_then(|verbs| verbs.iter().find(|verb| verb["title"] == name)).cloned().unwrap()
    }

    #[test]
    fn each_verb_and_parameter_is_explained() {
        for name in Verb::NAMES {
            let verb = of(name);
            assert!(verb["description"].as_str().is_some_and(|text| text.len() > 10), "{name}");
            assert_eq!(verb["required"], json!([name]));
        }
        for (name, _, schema) in Verb::schemas() {
            for (parameter, schema) in schema["properties"].as_object().unwrap() {
                assert!(
                    schema["description"].as_str().is_some_and(|text| text.len() > 5),
                    "{name}.{parameter}: {schema}"
                );
            }
        }
    }

    #[test]
    fn a_schema_has_defaults_words_and_short_forms() {
        let dial = &of("dial")["properties"]["dial"]["anyOf"][0];
        assert_eq!((&dial["required"], &dial["additionalProperties"]), (&json!(["to"]), &json!(false)));
        assert_eq!(dial["properties"]["ring"]["default"], "20s");
        assert_eq!(dial["properties"]["strategy"]["enum"], json!(["all", "in_order", "round_robin", "least_recent"]));
        assert!(of("hangup")["properties"]["hangup"]["anyOf"].is_array());
        assert_eq!(of("set")["properties"]["set"]["type"], "object", "two parameters are needed");
    }
}
