//! What is wrong in a configuration, said so that its owner can put it right.

use std::fmt;

use serde::Serialize;

/// One thing that is wrong. No mistake ever holds a password: of a secret it says only that it was one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The key: `database.batch_rows`, `asterisk[2].url` (servers count from 1). Empty when a whole file is meant.
    pub key: String,
    /// The file or the environment variable that it stands in, where known.
    pub source: Option<String>,
    /// What stands there, where that may be shown.
    pub found: Option<String>,
    /// A sentence: what is allowed, or what to do.
    pub allowed: String,
}

impl Mistake {
    /// A mistake at this key whose source isn't known yet.
    pub(super) fn at(key: impl Into<String>, found: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { key: key.into(), source: None, found: Some(found.to_string()), allowed: allowed.into() }
    }

    /// A mistake of a whole file or variable.
    pub(super) fn of_source(source: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Self { key: String::new(), source: Some(source.to_string()), found: None, allowed: allowed.into() }
    }

    /// The same with its source.
    pub(super) fn in_source(mut self, source: impl fmt::Display) -> Self {
        self.source = Some(source.to_string());
        self
    }
}

impl fmt::Display for Mistake {
    /// `config/default.toml: database.batch_rows: found 0. Allowed: a whole number from 1 to 100000.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        if let Some(found) = &self.found {
            write!(f, "found {found}. ")?;
        }
        f.write_str(&self.allowed)
    }
}

/// The configuration can't be used; every reason, one a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Refused(pub Vec<Mistake>);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} mistake{}:", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}
