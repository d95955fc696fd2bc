//! The app objects of the simulated Asterisk: who listens, to what, and what is filtered out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// Which objects of one sort an app hears of.
#[derive(Clone, Debug, Default)]
struct Subscription {
    all: bool,
    ids: BTreeSet<String>,
}

impl Subscription {
    fn has(&self, id: &str) -> bool {
        self.all || self.ids.contains(id)
    }

    /// As `GET /applications` lists it: `topic` stands for all of them.
    fn list(&self, topic: &str) -> Value {
        if self.all { json!([topic]) } else { json!(self.ids) }
    }
}

/// One app.
///
/// `subscribeAll` is only read when the object is made. It goes with its socket, unless something other than
/// `subscribeAll` keeps it: an explicit subscription, or a channel inside it (measured; an app that was opened with
/// `subscribeAll` goes in any case).
#[derive(Clone, Debug)]
pub(super) struct App {
    name: String,
    subscribe_all: bool,
    channels: Subscription,
    bridges: Subscription,
    endpoints: Subscription,
    devices: Subscription,
    allowed: Vec<Value>,
    disallowed: Vec<Value>,
    /// The client that gets its events.
    pub client: Option<u64>,
}

/// What an event is about, for the question who hears of it.
pub(super) struct About<'a> {
    pub kind: &'a str,
    /// Id and name of each channel that it names.
    pub channels: &'a [(&'a str, &'a str)],
    pub bridges: &'a [&'a str],
    /// Whether a channel of it is inside this app.
    pub inside: bool,
}

impl App {
    pub(super) fn new(name: &str, subscribe_all: bool) -> Self {
        let everything = || Subscription { all: subscribe_all, ids: BTreeSet::new() };
        Self {
            name: name.to_owned(),
            subscribe_all,
            channels: everything(),
            bridges: everything(),
            endpoints: everything(),
            devices: everything(),
            allowed: Vec::new(),
            disallowed: Vec::new(),
            client: None,
        }
    }

    /// Whether the object outlives its socket. `inside`: a channel is in the app.
    pub(super) fn survives(&self, inside: bool) -> bool {
        let all = [&self.channels, &self.bridges, &self.endpoints, &self.devices];
        !self.subscribe_all && (inside || all.iter().any(|s| s.all || !s.ids.is_empty()))
    }

    /// Whether the app hears of an event. StasisStart and StasisEnd are for the app that the channel enters; who
    /// asks has seen to that.
    pub(super) fn hears(&self, about: &About<'_>) -> bool {
        let named = |list: &[Value]| list.iter().any(|f| f.get("type").and_then(Value::as_str) == Some(about.kind));
        if named(&self.disallowed) || (!self.allowed.is_empty() && !named(&self.allowed)) {
            return false;
        }
        let bridge = || about.bridges.iter().any(|id| self.bridges.has(id));
        match about.kind {
            "StasisStart" | "StasisEnd" => true,
            "DeviceStateChanged" => self.devices.all,
            "EndpointStateChange" | "PeerStatusChange" => self.endpoints.all,
            "ChannelEnteredBridge" | "ChannelLeftBridge" => bridge(),
            _ if about.channels.is_empty() => self.channels.all || bridge(),
            _ => {
                let endpoint =
                    |name: &str| name.rsplit_once('-').is_some_and(|(line, _)| self.endpoints.ids.contains(line));
                about.inside || about.channels.iter().any(|(id, name)| self.channels.has(id) || endpoint(name))
            }
        }
    }

    /// The object of `GET /applications/{name}`. `inside`: the ids of the channels in the app.
    pub(super) fn to_json(&self, inside: &[String]) -> Value {
        let mut channels = self.channels.clone();
        channels.ids.extend(inside.iter().cloned());
        json!({
            "name": self.name,
            "channel_ids": channels.list("__AST_CHANNEL_ALL_TOPIC"),
            "bridge_ids": self.bridges.list("__AST_BRIDGE_ALL_TOPIC"),
            "endpoint_ids": self.endpoints.list("__AST_ENDPOINT_ALL_TOPIC"),
            "device_names": self.devices.list("__AST_DEVICE_STATE_ALL_TOPIC"),
            "events_allowed": self.allowed,
            "events_disallowed": self.disallowed,
        })
    }

    /// `POST /applications/{name}/subscription`: one event source. `exists` tells whether a channel or bridge of
    /// that id lives.
    ///
    /// # Errors
    /// Status and message, as measured.
    pub(super) fn subscribe(&mut self, source: &str, exists: bool) -> Result<(), (u16, &'static str)> {
        let Some((scheme, id)) = source.split_once(':') else {
            return Err((400, "Invalid event source URI scheme"));
        };
        let (subscription, must_exist) = match scheme {
            "channel" => (&mut self.channels, true),
            "bridge" => (&mut self.bridges, true),
            "endpoint" => (&mut self.endpoints, false),
            "deviceState" => (&mut self.devices, false),
            _ => return Err((400, "Invalid event source URI scheme")),
        };
        if id.is_empty() {
            subscription.all = true;
        } else if must_exist && !exists {
            return Err((422, "Event source does not exist"));
        } else {
            subscription.ids.insert(id.to_owned());
        }
        Ok(())
    }

    /// `PUT /applications/{name}/eventFilter`.
    ///
    /// # Errors
    /// When the body has another form than Asterisk takes.
    pub(super) fn filter(&mut self, body: &Value) -> Result<(), &'static str> {
        let list = |key: &str| match body.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Array(items)) if items.iter().all(|i| i.get("type").is_some_and(Value::is_string)) => {
                Ok(items.clone())
            }
            Some(_) => Err("Invalid format definition"),
        };
        (self.allowed, self.disallowed) = (list("allowed")?, list("disallowed")?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about<'a>(kind: &'a str, channels: &'a [(&'a str, &'a str)]) -> About<'a> {
        About { kind, channels, bridges: &[], inside: false }
    }

    #[test]
    fn without_subscribe_all_only_what_is_subscribed_is_heard() {
        let mut app = App::new("a", false);
        let of_caller = [("1.0", "PJSIP/100-00000000")];
        let of_callee = [("1.1", "PJSIP/101-00000001")];
        assert!(!app.hears(&about("Dial", &of_caller)) && app.hears(&about("StasisStart", &of_caller)));
        assert_eq!(app.subscribe("channel:1.0", false), Err((422, "Event source does not exist")));
        app.subscribe("channel:1.0", true).unwrap();
        app.subscribe("endpoint:PJSIP/101", false).unwrap();
        assert!(app.hears(&about("Dial", &of_caller)) && app.hears(&about("ChannelDestroyed", &of_callee)));
        assert!(!app.hears(&About { bridges: &["b"], ..about("ChannelEnteredBridge", &of_caller) }));
        assert!(app.survives(false) && !App::new("a", true).survives(true));
        app.subscribe("channel:", true).unwrap();
        assert_eq!(app.to_json(&[])["channel_ids"], json!(["__AST_CHANNEL_ALL_TOPIC"]));
    }

    #[test]
    fn the_filter_holds_for_both_lists() {
        let mut app = App::new("a", true);
        let channels = [("1.0", "x-1")];
        app.filter(&json!({"disallowed": [{"type": "ChannelVarset"}]})).unwrap();
        assert!(!app.hears(&about("ChannelVarset", &channels)) && app.hears(&about("Dial", &channels)));
        app.filter(&json!({"allowed": [{"type": "Dial"}]})).unwrap();
        assert!(!app.hears(&about("ChannelHold", &channels)) && app.hears(&about("Dial", &channels)));
        assert!(app.filter(&json!({"allowed": "x"})).is_err());
        app.filter(&json!({})).unwrap();
        assert!(app.hears(&about("ChannelVarset", &channels)));
    }
}
