//! What every part speaks of: nodes, moments, calls' identities and outcomes. Pure.

mod ids;
mod outcome;
mod time;

pub use ids::{CallUid, NodeId};
pub use outcome::{AnsweredKind, Direction, EndedBy, Status};
pub use time::{ParseTimestampError, Timestamp};
