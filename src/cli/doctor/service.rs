//! The running service of this machine, if there is one: what it says of itself.

use std::time::Duration;

use serde_json::Value;

/// How long the service may take to answer.
const LIMIT: Duration = Duration::from_secs(3);
/// The largest answer read, bytes: a hundred nodes are some 200 KiB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// A service that answers at the configured port.
pub(super) struct Service {
    system: Value,
}

/// Asks whether a callcenter answers at this port of the loopback interface.
pub(super) async fn find(port: u16) -> Option<Service> {
    let client = awc::Client::builder().timeout(LIMIT).disable_redirects().finish();
    let mut answer = client.get(format!("http://127.0.0.1:{port}/api/v1/system")).send().await.ok()?;
    let system: Value = answer.json().limit(MAX_BYTES).await.ok()?;
    let ours = system["version"].is_string() && system["nodes"].is_array() && system["database"].is_object();
    ours.then_some(Service { system })
}

impl Service {
    /// Its version.
    pub(super) fn version(&self) -> &str {
        self.system["version"].as_str().unwrap_or("?")
    }

    /// Its database, as it names it.
    pub(super) fn database(&self) -> &str {
        self.system["database"]["path"].as_str().unwrap_or("?")
    }

    /// Why it can't write to its database, if it can't.
    pub(super) fn failing(&self) -> Option<&str> {
        self.system["writer"]["failing"].as_str()
    }

    /// Its view of the connection to this Asterisk; `None` when it serves another one.
    pub(super) fn connection(&self, node: &str, root: &str) -> Option<&Value> {
        self.node(node, root).map(|view| &view["connection"])
    }

    /// Its view of the guard in this Asterisk.
    pub(super) fn guard(&self, node: &str, root: &str) -> Option<&Value> {
        self.node(node, root).map(|view| &view["guard"])
    }

    /// How it sends requests to this Asterisk.
    pub(super) fn transport(&self, node: &str, root: &str) -> Option<&Value> {
        self.node(node, root).map(|view| &view["commands"]["transport"]).filter(|view| view.is_object())
    }

    fn node(&self, node: &str, root: &str) -> Option<&Value> {
        let nodes = self.system["nodes"].as_array()?;
        nodes.iter().find(|view| view["name"] == node && view["connection"]["url"] == root)
    }
}
