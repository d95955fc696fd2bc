//! Rules written in Rust.

use crate::routing::facts::CallFacts;
use crate::routing::step::Step;

/// A rule written in Rust: a pure function from a call's facts to steps. Registered in one line among the rules:
/// `rules.with(Place::First, Vip)`.
pub trait Logic: Send + Sync + 'static {
    /// Its name in records.
    fn name(&self) -> &str;

    /// What is done with this call; none: the next rule is asked.
    fn steps(&self, facts: &CallFacts) -> Option<Vec<Step>>;
}

/// Where in the order a rule written in Rust stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before all that are there.
    First,
    /// Behind all that are there.
    Last,
}
