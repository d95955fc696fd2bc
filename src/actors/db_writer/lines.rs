//! Which endpoints and contexts are the outside world, and what its numbers are in E.164.

use std::cell::RefCell;

use globset::{Glob, GlobSet, GlobSetBuilder};
use rustc_hash::FxHashMap;

use crate::call::{LineRules, Numbers};
use crate::config;

/// Numbers whose normal form is remembered, at most; parsing one costs some ten microseconds.
const MAX_REMEMBERED: usize = 10_000;

/// The `[lines]` of the configuration, ready to be asked.
pub struct Lines {
    trunks: GlobSet,
    contexts: Vec<String>,
    numbers: Numbers,
    remembered: RefCell<FxHashMap<Box<str>, Option<String>>>,
}

impl Lines {
    /// From the configuration, whose check has refused globs that are none.
    ///
    /// # Errors
    /// When a glob is none all the same.
    pub fn new(config: &config::Lines) -> Result<Self, globset::Error> {
        let mut trunks = GlobSetBuilder::new();
        for glob in &config.trunks {
            trunks.add(Glob::new(glob)?);
        }
        Ok(Self {
            trunks: trunks.build()?,
            contexts: config.inbound_contexts.clone(),
            numbers: Numbers::new(&config.country),
            remembered: RefCell::default(),
        })
    }
}

impl LineRules for Lines {
    fn configured(&self) -> bool {
        !self.trunks.is_empty() || !self.contexts.is_empty()
    }

    fn is_trunk(&self, endpoint: &str) -> bool {
        self.trunks.is_match(endpoint)
    }

    fn is_inbound_context(&self, context: &str) -> bool {
        self.contexts.iter().any(|c| c == context)
    }

    fn e164(&self, number: &str) -> Option<String> {
        let mut remembered = self.remembered.borrow_mut();
        if let Some(known) = remembered.get(number) {
            return known.clone();
        }
        let normal = self.numbers.e164(number);
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(number.into(), normal.clone());
        normal
    }
}
