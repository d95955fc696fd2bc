//! What is fuzzed. `targets` is also part of the program's own tests, with mutations of a fixed seed.

pub mod targets;
