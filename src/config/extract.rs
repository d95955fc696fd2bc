//! From figment's values to [`Config`], with every mistake on the way rather than only the first.

use std::collections::BTreeMap;

use figment::Figment;
use figment::error::{Actual, Error, Kind};
use figment::value::{Dict, Value};

use super::{Config, Mistake, Origin, keys, layer, ranges};

/// Values that can be wrong at once before we give up; a file that holds more is no configuration.
const MAX_MISTAKES: usize = 1_000;

/// What came out.
pub(super) struct Extracted {
    /// The configuration; a value that was refused has its default.
    pub(super) config: Config,
    /// Where each key's value is from.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// Reads all values; each that is refused becomes a mistake and leaves its default in force.
pub(super) fn extract(figment: &Figment, mistakes: &mut Vec<Mistake>) -> Extracted {
    // An empty path is the whole; our layers never fail.
    let mut all = figment.find_value("").unwrap_or_else(|_| Value::from(Dict::new()));
    refuse_numbers_for_texts(figment, &mut all, mistakes);
    let mut config = Config::default();
    for _ in 0..MAX_MISTAKES {
        match all.deserialize::<Config>() {
            Ok(read) => {
                config = read;
                break;
            }
            Err(error) => {
                mistakes.push(mistake(figment, &all, &error));
                if !remove(&mut all, &error.path) {
                    break;
                }
            }
        }
    }
    let origins = origins(figment, &all, &config);
    Extracted { config, origins }
}

/// Serde would take `synchronous = 0` for the first variant.
fn refuse_numbers_for_texts(figment: &Figment, all: &mut Value, mistakes: &mut Vec<Mistake>) {
    for (key, default) in keys::defaults() {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        let Some(value) = find(all, &path).filter(|value| default.is_string() && value.as_str().is_none()) else {
            continue;
        };
        let found = shown(&key, &value.to_actual());
        mistakes.push(Mistake::at(key, found, "Allowed: a text in quotes.").in_source(layer::origin(figment, value)));
        remove(all, &path);
    }
}

/// Where each key's value is from.
fn origins(figment: &Figment, all: &Value, config: &Config) -> BTreeMap<String, Origin> {
    let origin = |path: &[String]| find(all, path).map(|value| layer::origin(figment, value)).unwrap_or_default();
    let mut origins = BTreeMap::new();
    for (key, _) in keys::defaults() {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        origins.insert(key, origin(&path));
    }
    for (index, server) in config.asterisk.iter().enumerate() {
        for (field, _) in keys::server_fields(server) {
            let path = ["asterisk".to_owned(), index.to_string(), field.clone()];
            origins.insert(keys::server_key(index, &field), origin(&path));
        }
    }
    origins
}

/// The value at a path, list indices included.
fn find<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Dict(_, fields) => fields.get(step),
        Value::Array(_, items) => items.get(step.parse::<usize>().ok()?),
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => None,
    })
}

/// Takes out the value at a path; whether there was one.
fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((last, before)) = path.split_last() else { return false };
    let mut parent = value;
    for step in before {
        let next = match parent {
            Value::Dict(_, fields) => fields.get_mut(step),
            Value::Array(_, items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => None,
        };
        match next {
            Some(next) => parent = next,
            None => return false,
        }
    }
    match parent {
        Value::Dict(_, fields) => fields.remove(last).is_some(),
        Value::Array(_, items) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            Ok(_) | Err(_) => false,
        },
        Value::String(..) | Value::Char(..) | Value::Bool(..) | Value::Num(..) | Value::Empty(..) => false,
    }
}

/// figment's error in our words.
fn mistake(figment: &Figment, all: &Value, error: &Error) -> Mistake {
    let key = key(&error.path);
    let (found, allowed) = match &error.kind {
        Kind::UnknownField(field, known) => (None, unknown_field(field, known)),
        Kind::UnknownVariant(found, known) => (Some(format!("{found:?}")), format!("Allowed: {}.", known.join(" or "))),
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            (Some(shown(&key, actual)), expected_sentence(&key, expected))
        }
        // The rest can't come from a table of texts, numbers and lists; serde's words hold no value.
        Kind::InvalidLength(_, expected) => (None, expected_sentence(&key, expected)),
        Kind::Message(_)
        | Kind::MissingField(_)
        | Kind::DuplicateField(_)
        | Kind::ISizeOutOfRange(_)
        | Kind::USizeOutOfRange(_)
        | Kind::Unsupported(_)
        | Kind::UnsupportedKey(..) => (
            None,
            ranges::allowed(&key).unwrap_or_else(|| "This can't be read as what config/default.toml shows.".into()),
        ),
    };
    let source = find(all, &error.path).map(|value| layer::origin(figment, value).to_string());
    Mistake { key, source, found, allowed }
}

/// A path as people write it.
fn key(path: &[String]) -> String {
    match path {
        [list, index, rest @ ..] if list == "asterisk" => {
            let number = index.parse::<usize>().map_or_else(|_| index.clone(), |index| (index + 1).to_string());
            rest.iter().fold(format!("asterisk[{number}]"), |key, step| format!("{key}.{step}"))
        }
        // A list's entry is named by its list.
        [section, field, ..] => format!("{section}.{field}"),
        [section] => section.clone(),
        [] => String::new(),
    }
}

/// What stands there, unless it is a secret.
fn shown(key: &str, actual: &Actual) -> String {
    if keys::is_secret(key) {
        return "something else (not shown)".into();
    }
    match actual {
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        Actual::Char(value) => format!("{value:?}"),
        Actual::Str(value) if key.ends_with(".url") => format!("{:?}", super::sections::shown_url(value)),
        Actual::Str(value) => format!("{value:?}"),
        Actual::Seq => "a list".into(),
        Actual::Map => "a table".into(),
        Actual::Unit | Actual::Option => "nothing".into(),
        Actual::Bytes(_)
        | Actual::NewtypeStruct
        | Actual::Enum
        | Actual::UnitVariant
        | Actual::NewtypeVariant
        | Actual::TupleVariant
        | Actual::StructVariant
        | Actual::Other(_) => "something else".into(),
    }
}

/// Serde's expectation as a sentence.
fn expected_sentence(key: &str, expected: &str) -> String {
    if let Some(range) = ranges::allowed(key) {
        return range;
    }
    let allowed = match expected {
        "a string" | "path string" | "string or map" => "a text in quotes".to_owned(),
        "a sequence" => "a list of texts: [\"a\", \"b\"]".to_owned(),
        "struct Asterisk" => "a table: [[asterisk]]".to_owned(),
        _ if expected.starts_with("struct ") => format!("a table: [{key}]"),
        _ => expected.to_owned(),
    };
    format!("Allowed: {allowed}.")
}

/// An unknown key: what was meant, and what there is.
fn unknown_field(field: &str, known: &[&str]) -> String {
    let elsewhere = keys::keys();
    // Perhaps a right key in a wrong section; else a slip of the pen.
    let moved = elsewhere.iter().find(|key| key.rsplit('.').next() == Some(field)).map(String::as_str);
    let hint = moved.or_else(|| keys::nearest(field, known.iter().copied()));
    let hint = hint.map(|name| format!("Did you mean {name}? ")).unwrap_or_default();
    format!("There is no such key. {hint}Allowed here: {}.", known.join(", "))
}
