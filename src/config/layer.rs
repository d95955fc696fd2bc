//! One source of values, and where a value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider, Source};
use serde::Serialize;

use super::Mistake;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nobody gave one.
    #[default]
    Default,
    /// A configuration file.
    File(PathBuf),
    /// A variable in `.env`.
    DotEnv(String),
    /// An environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => path.display().fmt(f),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::Environment(name) => write!(f, "environment variable {name}"),
        }
    }
}

/// What an origin is called inside figment: its name there, then the file or variable.
const FILE: &str = "file";
const DOT_ENV: &str = ".env";
const ENVIRONMENT: &str = "environment";

/// A table of values from one origin, as figment takes it.
pub(super) struct Layer {
    /// Where they are from.
    pub(super) origin: Origin,
    /// The values, by section.
    pub(super) values: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        match &self.origin {
            Origin::Default => Metadata::default(),
            Origin::File(path) => Metadata::from(FILE, path.as_path()),
            Origin::DotEnv(name) => Metadata::from(DOT_ENV, Source::Custom(name.clone())),
            Origin::Environment(name) => Metadata::from(ENVIRONMENT, Source::Custom(name.clone())),
        }
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
}

/// Where the value that figment holds came from.
pub(super) fn origin(figment: &Figment, value: &Value) -> Origin {
    let Some(metadata) = figment.get_metadata(value.tag()) else { return Origin::Default };
    match &metadata.source {
        Some(Source::File(path)) => Origin::File(path.clone()),
        Some(Source::Custom(name)) if metadata.name == DOT_ENV => Origin::DotEnv(name.clone()),
        Some(Source::Custom(name)) => Origin::Environment(name.clone()),
        // Source is figment's enum and may grow; the structs' defaults have the place in the code.
        Some(_) | None => Origin::Default,
    }
}

/// Reads a TOML file. A syntax error names the line, and shows nothing of it: it may hold a password.
pub(super) fn read_toml(path: &Path) -> Result<Layer, Mistake> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Mistake::of_source(&shown, format!("The file can't be read: {error}.")))?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Mistake::of_source(format!("{shown}:{line}"), format!("No TOML: {}.", one_line(error.message())))
    })?;
    let values = Value::serialize(&table).ok().and_then(Value::into_dict).unwrap_or_default();
    if values.get("asterisk").is_some_and(|value| value.as_array().is_none()) {
        let sentence = "Each server is a table of its own in a list: write [[asterisk]], with two brackets.";
        return Err(Mistake::at("asterisk", "no list", sentence).in_source(shown));
    }
    Ok(Layer { origin: Origin::File(path.to_owned()), values })
}

/// The parser's message may have several lines.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether this user can't even see if the file is there.
pub(super) fn is_hidden(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

/// Reads `.env`, if there is one. What can't be read is named by its line only: it may hold a password.
pub(super) fn read_dot_env(path: &Path) -> Result<Option<BTreeMap<String, String>>, Mistake> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // A folder that this user may not look into holds no `.env` of his: `sudo -u callcenter` from root's own.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && is_hidden(path) => return Ok(None),
        Err(error) => {
            let sentence =
                format!("The file can't be read: {error}. Let this user read it, or start in another folder.");
            return Err(Mistake::of_source(path.display(), sentence));
        }
    };
    let pairs: Result<BTreeMap<_, _>, _> = dotenvy::Iter::new(text.as_bytes()).collect();
    pairs.map(Some).map_err(|error| {
        let line = match &error {
            dotenvy::Error::LineParse(bad, _) => text.lines().position(|line| line.trim() == bad.trim()),
            // dotenvy's enum may grow; only a line that can't be parsed has a place in the file.
            _ => None,
        };
        let place = line.map_or(String::new(), |line| format!(":{}", line + 1));
        let sentence = "A line can't be read. Allowed: NAME=value, a value with spaces, # or $ in 'single quotes'.";
        Mistake::of_source(format!("{}{place}", path.display()), sentence)
    })
}
