//! Identities: which Asterisk, which call.

use std::fmt;
use std::sync::Arc;

use super::Timestamp;

/// The name of one Asterisk server in the configuration. Part of every key in the database:
/// several servers share one, and their channel ids can collide.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(Arc<str>);

impl NodeId {
    /// A node of this name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A call's identity for ever: node, the origin's channel id and that channel's creation time
/// (Asterisk's ids begin again after a restart, so the id alone is not enough).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallUid(Arc<str>);

impl CallUid {
    /// The call whose origin is this channel.
    pub fn new(node: &NodeId, channel_id: &str, created: Timestamp) -> Self {
        Self(format!("{node}/{channel_id}/{}", created.millis()).into())
    }

    /// The identity whose text ([`Self::as_str`]) was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.into())
    }

    /// As the database holds it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
