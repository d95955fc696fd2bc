//! The channels and bridges of the simulated Asterisk: a fold over the events that were due so far.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::Timestamp;

/// A channel that lives.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    /// Its object as the last event showed it.
    pub json: String,
    pub name: String,
    /// `Down`, `Ring`, `Ringing`, `Up`.
    pub state: String,
    pub exten: String,
    pub created: Timestamp,
    /// When it became Up.
    pub answered: Option<Timestamp>,
    /// The id of the oldest channel of its conversation.
    pub linkedid: String,
    /// What ChannelVarset set.
    pub variables: HashMap<String, String>,
    pub on_hold: bool,
    /// The app in which it is, if it is in Stasis.
    pub stasis: Option<String>,
    /// The key of the playing that it belongs to.
    pub call: u64,
}

/// A bridge that lives.
#[derive(Clone, Debug)]
pub(super) struct Bridge {
    /// Its object as the last event showed it.
    pub json: String,
    /// The ids of the channels in it.
    pub channels: Vec<String>,
    /// The key of the playing that it belongs to.
    pub call: u64,
}

/// All of them, by id.
#[derive(Debug, Default)]
pub(super) struct State {
    pub channels: BTreeMap<String, Channel>,
    pub bridges: BTreeMap<String, Bridge>,
    /// Dialled channels that nobody answered yet, with who dials them.
    pub dialing: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow, default)]
    channel: Option<&'a RawValue>,
    #[serde(borrow, default)]
    caller: Option<&'a RawValue>,
    #[serde(borrow, default)]
    peer: Option<&'a RawValue>,
    #[serde(borrow, default)]
    bridge: Option<&'a RawValue>,
    #[serde(borrow, default)]
    dialstatus: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    variable: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    value: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct ChannelBody<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    state: Cow<'a, str>,
    creationtime: Timestamp,
    #[serde(borrow)]
    dialplan: DialplanBody<'a>,
}

#[derive(Deserialize)]
struct DialplanBody<'a> {
    #[serde(borrow)]
    exten: Cow<'a, str>,
}

#[derive(Deserialize)]
struct BridgeBody<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    channels: Vec<String>,
}

impl State {
    /// Takes in one event of playing `call`. `linked` gives a new channel's linkedid. An event that can't be read
    /// says why (it would be a fault of a recording).
    pub(super) fn take(
        &mut self,
        kind: &str,
        text: &str,
        call: u64,
        app: &str,
        linked: impl Fn(&str) -> Option<String>,
    ) -> Result<(), serde_json::Error> {
        let body: Body<'_> = serde_json::from_str(text)?;
        let at: Timestamp = body.timestamp.parse().unwrap_or_default();
        for raw in [body.caller, body.peer, body.channel].into_iter().flatten() {
            self.take_channel(kind, raw, call, &linked)?;
        }
        if let Some(raw) = body.channel {
            let id = serde_json::from_str::<ChannelBody<'_>>(raw.get())?.id.into_owned();
            self.mark(kind, &id, at, app, &body);
        }
        if let Some(raw) = body.bridge {
            self.take_bridge(kind, raw, call)?;
        }
        if let (Some(peer), Some(status)) = (body.peer, &body.dialstatus) {
            let id = |raw: &RawValue| serde_json::from_str::<ChannelBody<'_>>(raw.get()).map(|c| c.id.into_owned());
            match (status.as_ref(), body.caller) {
                ("" | "RINGING" | "PROGRESS", Some(caller)) => {
                    self.dialing.insert(id(peer)?, id(caller)?);
                }
                _ => {
                    self.dialing.remove(&id(peer)?);
                }
            }
        }
        Ok(())
    }

    fn take_channel(
        &mut self,
        kind: &str,
        raw: &RawValue,
        call: u64,
        linked: impl Fn(&str) -> Option<String>,
    ) -> Result<(), serde_json::Error> {
        let body: ChannelBody<'_> = serde_json::from_str(raw.get())?;
        if kind == "ChannelCreated" {
            let id = body.id.clone().into_owned();
            let channel = Channel {
                json: String::new(),
                name: body.name.clone().into_owned(),
                state: String::new(),
                exten: String::new(),
                created: body.creationtime,
                answered: None,
                linkedid: linked(&id).unwrap_or_else(|| id.clone()),
                variables: HashMap::new(),
                on_hold: false,
                stasis: None,
                call,
            };
            self.channels.insert(id, channel);
        }
        // What speaks of a channel that is over (events come a little out of order) brings it not back.
        if let Some(channel) = self.channels.get_mut(body.id.as_ref()) {
            channel.json = raw.get().to_owned();
            channel.state = body.state.into_owned();
            channel.exten = body.dialplan.exten.into_owned();
        }
        Ok(())
    }

    /// What only some types of event say of their channel.
    fn mark(&mut self, kind: &str, id: &str, at: Timestamp, app: &str, body: &Body<'_>) {
        if kind == "ChannelDestroyed" {
            self.channels.remove(id);
            self.dialing.remove(id);
            return;
        }
        let Some(channel) = self.channels.get_mut(id) else { return };
        match kind {
            "ChannelStateChange" if channel.state == "Up" => channel.answered = channel.answered.or(Some(at)),
            "StasisStart" => channel.stasis = Some(app.to_owned()),
            "StasisEnd" => channel.stasis = None,
            "ChannelHold" => channel.on_hold = true,
            "ChannelUnhold" => channel.on_hold = false,
            "ChannelVarset" => {
                if let (Some(variable), Some(value)) = (&body.variable, &body.value) {
                    channel.variables.insert(variable.clone().into_owned(), value.clone().into_owned());
                }
            }
            _ => {}
        }
    }

    fn take_bridge(&mut self, kind: &str, raw: &RawValue, call: u64) -> Result<(), serde_json::Error> {
        let body: BridgeBody<'_> = serde_json::from_str(raw.get())?;
        if kind == "BridgeDestroyed" {
            self.bridges.remove(body.id.as_ref());
            return Ok(());
        }
        self.link(&body.channels);
        // A bridge can be spoken of once more after its end, but never with channels in it.
        if kind == "BridgeCreated" || self.bridges.contains_key(body.id.as_ref()) || !body.channels.is_empty() {
            let bridge = Bridge { json: raw.get().to_owned(), channels: body.channels, call };
            self.bridges.insert(body.id.into_owned(), bridge);
        }
        Ok(())
    }

    /// Channels in one bridge have the oldest one's linkedid, as measured at an attended transfer.
    fn link(&mut self, together: &[String]) {
        let oldest = together.iter().filter_map(|id| self.channels.get(id)).min_by_key(|c| c.created);
        let Some(linkedid) = oldest.map(|c| c.linkedid.clone()) else { return };
        for id in together {
            if let Some(channel) = self.channels.get_mut(id) {
                channel.linkedid.clone_from(&linkedid);
            }
        }
    }
}
