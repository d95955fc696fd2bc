//! Values from the environment, and from `.env`, which has the same names.
//!
//! A variable that is empty counts as not given, since composed containers set such; `[]` is the empty list.

use figment::Figment;
use figment::value::{Dict, Tag, Value};

use super::layer::{Layer, Origin};
use super::{Mistake, keys, ranges};

/// How many Asterisk servers one service listens to.
pub const MAX_SERVERS: usize = 16;

/// Variables of this beginning are none of the configuration: tests use them.
const FOR_TESTS: &str = "CALLCENTER_TEST_";

/// One variable that was given.
pub(super) struct Given {
    /// Its name.
    pub(super) name: String,
    /// Its text.
    pub(super) text: String,
    /// Where it stands.
    pub(super) origin: Origin,
}

/// What came of the variables.
pub(super) struct Applied {
    /// All layers with the variables on top.
    pub(super) figment: Figment,
    /// Variables that were used.
    pub(super) used: Vec<String>,
    /// What may be a slip of the pen, though it isn't ours to refuse.
    pub(super) notes: Vec<String>,
}

/// Whether a variable can concern us, so that nothing else is looked at.
pub(super) fn concerns(name: &str) -> bool {
    let section_key = || keys::defaults().iter().any(|(key, _)| keys::environment_name(key) == name);
    name.starts_with("CALLCENTER_") || name.starts_with("ARI_") || name == "RUST_LOG" || section_key()
}

/// Puts the variables over `figment`.
pub(super) fn apply(mut figment: Figment, given: Vec<Given>, mistakes: &mut Vec<Mistake>) -> Applied {
    let defaults = keys::defaults();
    let mut used = Vec::new();
    let mut notes = Vec::new();
    let mut servers = Vec::new();
    for variable in given {
        let name = variable.name.clone();
        let known = defaults.iter().find(|(key, _)| keys::environment_name(key) == name);
        if let Some((key, default)) = known {
            if !variable.text.is_empty() {
                used.push(name);
                match parse(key, default, &variable.text) {
                    Ok(value) => figment = figment.merge(layer(key, value, variable.origin)),
                    Err(mistake) => mistakes.push(mistake.in_source(variable.origin)),
                }
            }
        } else if let Some((index, field)) = server_variable(&name) {
            if !variable.text.is_empty() {
                used.push(name);
                servers.push((index, field, variable));
            }
        } else if name.starts_with("CALLCENTER_") && !name.starts_with(FOR_TESTS) {
            mistakes.push(unknown(&name, &variable.origin));
        } else if let Some(meant) = name.strip_prefix("ARI_").and_then(slip) {
            notes
                .push(format!("{} is not one of our names and is ignored. Did you mean ARI_{meant}?", variable.origin));
        }
    }
    // In order of their numbers, so that a server can't come before the one that precedes it.
    servers.sort_by_key(|(index, _, _)| index.as_ref().copied().unwrap_or(usize::MAX));
    for (index, field, variable) in servers {
        let origin = variable.origin.clone();
        match index.and_then(|index| with_server(&figment, index, field, variable)) {
            Ok(changed) => figment = changed,
            Err(sentence) => mistakes.push(Mistake::of_source(origin, sentence)),
        }
    }
    Applied { figment, used, notes }
}

/// One value as a layer of its own, so that its origin is known.
fn layer(key: &str, value: Value, origin: Origin) -> Layer {
    let (section, field) = key.split_once('.').unwrap_or((key, ""));
    let fields = Dict::from([(field.to_owned(), value)]);
    Layer { origin, values: Dict::from([(section.to_owned(), Value::Dict(Tag::Default, fields))]) }
}

/// Reads a variable's text as what the key's default is.
fn parse(key: &str, default: &serde_json::Value, text: &str) -> Result<Value, Mistake> {
    let wrong = |allowed: String| Mistake::at(key, format!("{text:?}"), allowed);
    match default {
        serde_json::Value::Number(_) => {
            text.trim().parse::<u64>().map(Value::from).map_err(|_| wrong(ranges::allowed(key).unwrap_or_default()))
        }
        serde_json::Value::Bool(_) => {
            text.trim().parse::<bool>().map(Value::from).map_err(|_| wrong("Allowed: true or false.".into()))
        }
        serde_json::Value::Array(_) => list(text).ok_or_else(|| {
            wrong("Allowed: texts with commas between them (a,b), or a TOML list ([\"a\", \"b\"]; [] is empty).".into())
        }),
        serde_json::Value::String(_) | serde_json::Value::Null | serde_json::Value::Object(_) => Ok(Value::from(text)),
    }
}

/// `a,b` or `["a", "b"]`.
fn list(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with('[') {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Some(Value::from(items.map(str::to_owned).collect::<Vec<_>>()));
    }
    let table: toml::Table = toml::from_str(&format!("list = {text}")).ok()?;
    let items = table.get("list")?.as_array()?;
    let texts: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    texts.map(Value::from)
}

/// `ARI_URL`, `ARI_2_URL`: which server, counted from 0, and its field. A wrong number is a sentence.
fn server_variable(name: &str) -> Option<(Result<usize, String>, &'static str)> {
    let rest = name.strip_prefix("ARI_")?;
    let numbered = rest.split_once('_').filter(|(n, _)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let (number, end) = numbered.map_or((None, rest), |(number, end)| (Some(number), end));
    let (field, _) = keys::SERVER_NAMES.iter().find(|(_, known)| *known == end)?;
    let index = match number.map(str::parse::<usize>) {
        None => Ok(0),
        Some(Ok(number)) if (2..=MAX_SERVERS).contains(&number) => Ok(number - 1),
        Some(_) => {
            Err(format!("Allowed: ARI_{end} for the first server, ARI_2_{end} to ARI_{MAX_SERVERS}_{end} for others."))
        }
    };
    Some((index, *field))
}

/// `figment` with one field of one server set.
fn with_server(figment: &Figment, index: usize, field: &str, variable: Given) -> Result<Figment, String> {
    let mut servers = match figment.find_value("asterisk") {
        Ok(Value::Array(_, servers)) => servers,
        Ok(_) | Err(_) => Vec::new(),
    };
    if index > servers.len() {
        let missing = keys::environment_name(&keys::server_key(servers.len(), "url"));
        return Err(format!("Server {} is described, but not the one before it: set {missing} first.", index + 1));
    }
    if index == servers.len() {
        servers.push(Value::Dict(Tag::Default, Dict::new()));
    }
    // An entry that is no table stays as it is: extraction refuses it with its own origin.
    if let Some(Value::Dict(_, fields)) = servers.get_mut(index) {
        fields.insert(field.to_owned(), Value::from(variable.text));
    }
    let values = Dict::from([("asterisk".to_owned(), Value::Array(Tag::Default, servers))]);
    Ok(figment.clone().merge(Layer { origin: variable.origin, values }))
}

/// A `CALLCENTER_` name that is no key's.
fn unknown(name: &str, origin: &Origin) -> Mistake {
    let names: Vec<(String, String)> = keys::keys()
        .into_iter()
        .map(|key| {
            // Also known by what one would guess of a key that has a short name.
            let guess = key.replace("[1]", "").replace('.', "_").to_uppercase();
            (format!("CALLCENTER_{guess}"), keys::environment_name(&key))
        })
        .collect();
    let rest = name.strip_prefix("CALLCENTER_").unwrap_or(name);
    let direct = names.iter().find(|(guess, real)| guess == name || real == rest).map(|(_, real)| real.as_str());
    // The common beginning says nothing about likeness.
    let ends = names.iter().filter_map(|(_, real)| real.strip_prefix("CALLCENTER_"));
    let meant = direct.map(str::to_owned).or_else(|| keys::nearest(rest, ends).map(|end| format!("CALLCENTER_{end}")));
    let hint = meant.map(|meant| format!("Did you mean {meant}? ")).unwrap_or_default();
    let rule = "Allowed: CALLCENTER_<SECTION>_<KEY> of a key in config/default.toml.";
    Mistake::of_source(origin, format!("No key has this name. {hint}{rule}"))
}

/// Of an unknown `ARI_` name the end that was probably meant. Other programs use that beginning too: it must be near.
fn slip(rest: &str) -> Option<&'static str> {
    let near = |end: &&str| {
        (rest.len() >= 3 && end.starts_with(rest)) || (rest.len() > 4 && strsim::damerau_levenshtein(rest, end) <= 2)
    };
    keys::SERVER_NAMES.iter().map(|(_, end)| *end).find(near)
}
