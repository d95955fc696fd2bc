//! Streams made for a test, in the form of the recorded ones.

use serde_json::{Value, json};

use crate::model::Timestamp;

/// 2026-11-22T12:00:00Z.
const START: i64 = 1_795_348_800_000;

/// A stream that grows event by event; time stands until it is told to go on.
pub(super) struct Stream {
    pub(super) lines: Vec<String>,
    /// Milliseconds since the start.
    pub(super) now: i64,
}

/// A channel as its events show it.
#[derive(Clone)]
pub(super) struct Chan {
    object: Value,
}

impl Chan {
    pub(super) fn state(&mut self, state: &str) -> &mut Self {
        self.object["state"] = state.into();
        self
    }
}

/// Asterisk's masquerade: each shows the other's creation time from now on.
pub(super) fn masquerade(a: &mut Chan, b: &mut Chan) {
    let (a, b) = (&mut a.object["creationtime"], &mut b.object["creationtime"]);
    std::mem::swap(a, b);
}

impl Stream {
    pub(super) fn new() -> Self {
        Self { lines: Vec::new(), now: 0 }
    }

    pub(super) fn pass(&mut self, ms: i64) -> &mut Self {
        self.now += ms;
        self
    }

    fn stamp(&self) -> String {
        // As Asterisk writes times.
        Timestamp::from_millis(START + self.now).to_string().replace('Z', "+0000")
    }

    pub(super) fn event(&mut self, kind: &str, rest: Value) {
        let mut event = json!({"type": kind, "application": "callcenter-app", "timestamp": self.stamp()});
        for (key, value) in rest.as_object().unwrap() {
            event[key] = value.clone();
        }
        let at = (START + self.now) as f64 / 1_000.0;
        self.lines.push(json!({"at": at, "event": event}).to_string());
    }

    /// A new channel: `state` is `Ring` for one that calls in, `Down` for one that Asterisk makes.
    pub(super) fn channel(&mut self, id: &str, name: &str, state: &str, number: &str, exten: &str) -> Chan {
        let app = if state == "Down" { "AppDial" } else { "" };
        let object = json!({
            "id": id, "name": name, "state": state, "protocol_id": "", "caller": {"name": "", "number": number},
            "connected": {"name": "", "number": ""}, "accountcode": "", "creationtime": self.stamp(), "language": "en",
            "dialplan": {"context": "internal", "exten": exten, "priority": 1, "app_name": app, "app_data": ""},
        });
        let chan = Chan { object };
        self.event("ChannelCreated", json!({"channel": chan.object}));
        chan
    }

    /// An event that has nothing but its channel.
    pub(super) fn of(&mut self, kind: &str, chan: &Chan) {
        self.event(kind, json!({"channel": chan.object}));
    }

    pub(super) fn up(&mut self, chan: &mut Chan) {
        chan.state("Up");
        self.of("ChannelStateChange", chan);
    }

    pub(super) fn dial(&mut self, caller: Option<&Chan>, peer: &Chan, dialstring: &str, status: &str) {
        let mut rest = json!({"peer": peer.object, "dialstring": dialstring, "dialstatus": status, "forward": ""});
        if let Some(caller) = caller {
            rest["caller"] = caller.object.clone();
        }
        self.event("Dial", rest);
    }

    fn bridge(&self, id: &str) -> Value {
        let kind = if id.starts_with("park") { "holding" } else { "mixing" };
        json!({
            "id": id, "technology": "simple_bridge", "bridge_type": kind, "bridge_class": "basic", "creator": "",
            "name": "", "channels": [], "creationtime": self.stamp(), "video_mode": "none",
        })
    }

    /// Bridges whose name begins with `park` are holding ones.
    pub(super) fn enters(&mut self, chan: &Chan, bridge: &str) {
        self.event("ChannelEnteredBridge", json!({"bridge": self.bridge(bridge), "channel": chan.object}));
    }

    pub(super) fn leaves(&mut self, chan: &Chan, bridge: &str) {
        self.event("ChannelLeftBridge", json!({"bridge": self.bridge(bridge), "channel": chan.object}));
    }

    pub(super) fn hangs_up(&mut self, chan: &Chan) {
        self.of("ChannelHangupRequest", chan);
    }

    pub(super) fn ends(&mut self, chan: &Chan, cause: i32) {
        self.event("ChannelDestroyed", json!({"channel": chan.object, "cause": cause, "cause_txt": ""}));
    }
}
