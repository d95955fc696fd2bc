//! Tests of the configuration as a whole.

mod layers;
mod reference;
mod reloading;
mod rules;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Asterisk, Config, Inputs, Loaded, Mistake, Secret, load};

/// Files and variables of one test.
struct Setup {
    dir: tempfile::TempDir,
    inputs: Inputs,
}

impl Setup {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let inputs = Inputs {
            config: None,
            default_files: vec![dir.path().join("default.toml")],
            dot_env: dir.path().join(".env"),
            environment: BTreeMap::new(),
            unreadable: Vec::new(),
        };
        Self { dir, inputs }
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn default_file(self, text: &str) -> Self {
        self.file("default.toml", text);
        self
    }

    fn config_file(mut self, text: &str) -> Self {
        self.inputs.config = Some(self.file("given.toml", text));
        self
    }

    fn dot_env(self, text: &str) -> Self {
        self.file(".env", text);
        self
    }

    fn var(mut self, name: &str, text: &str) -> Self {
        self.inputs.environment.insert(name.into(), text.into());
        self
    }

    fn load(&self) -> Loaded {
        load(&self.inputs)
    }

    /// What is wrong, as people read it.
    fn mistakes(&self) -> Vec<String> {
        self.load().mistakes.iter().map(Mistake::to_string).collect()
    }

    /// Exactly one thing is wrong, and its text has all of these.
    fn one_mistake(&self, parts: &[&str]) {
        let mistakes = self.mistakes();
        assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
        for part in parts {
            assert!(mistakes[0].contains(part), "{part:?} is not in {:?}", mistakes[0]);
        }
    }
}

/// A server without a mistake.
fn server(name: &str) -> Asterisk {
    Asterisk { name: name.into(), password: Secret::new("s3cret"), app: format!("app-{name}"), ..Asterisk::default() }
}

/// A configuration without a mistake.
fn right() -> Config {
    Config { asterisk: vec![server("one"), server("two")], ..Config::default() }
}
