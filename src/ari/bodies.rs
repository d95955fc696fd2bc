//! The bodies of ARI's events, one struct a type of the API description.

mod calls;
mod others;

pub use calls::*;
pub use others::*;
