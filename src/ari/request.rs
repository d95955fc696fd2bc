//! What we ask of Asterisk: typed requests, each giving method, path, query and body.
//!
//! Names and parameters are those of ARI's own description (`/ari/api-docs`, Asterisk 22; what 18 lacks is marked).
//! A request that is about one channel or bridge says so (`about`), since those must reach Asterisk in order, and one
//! that changes something says so (`changes_something`), since those are on record.

mod bridge;
mod channel;
mod parts;

pub use bridge::{BridgeAction, BridgePlay, CreateBridge};
pub use channel::{ChannelAction, ContinueAt, CreateChannel, Dtmf, HangupReason, MuteDirection, Originate, Snoop};
pub use parts::{Media, Method, Recording};
use parts::{Parts, path};
use serde_json::json;

use super::entry;

/// The channel or bridge that a request is about: requests about the same one are sent strictly in order.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Subject {
    /// A channel, by id.
    Channel(String),
    /// A bridge, by id.
    Bridge(String),
}

impl Subject {
    /// The channel's or bridge's id.
    pub fn id(&self) -> &str {
        match self {
            Self::Channel(id) | Self::Bridge(id) => id,
        }
    }
}

/// One request to ARI.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// `GET /channels`: every channel, in Stasis or not.
    ListChannels,
    /// Something about one channel.
    Channel {
        /// The channel's id.
        id: String,
        /// What is asked of it.
        action: ChannelAction,
    },
    /// `POST /channels` or, with an id of ours, `POST /channels/ID`: makes a channel and dials it.
    Originate(Box<Originate>),
    /// `POST /channels/create`: makes a channel that is not dialled yet.
    CreateChannel(Box<CreateChannel>),
    /// `GET /bridges`: every bridge, those of Dial too.
    ListBridges,
    /// `POST /bridges` or, with an id of ours, `POST /bridges/ID`.
    CreateBridge(CreateBridge),
    /// Something about one bridge.
    Bridge {
        /// The bridge's id.
        id: String,
        /// What is asked of it.
        action: BridgeAction,
    },
    /// `GET /endpoints`: every endpoint with its state and channels.
    ListEndpoints,
    /// `GET /endpoints/TECH/RESOURCE`.
    GetEndpoint {
        /// `PJSIP`.
        tech: String,
        /// `101`.
        resource: String,
    },
    /// `GET /deviceStates`: the states of devices that ARI itself controls.
    ListDeviceStates,
    /// A device's state: `PJSIP/101`, or `Stasis:NAME` for those that ARI controls.
    DeviceState {
        /// The device's name.
        name: String,
        /// What is asked.
        action: DeviceStateAction,
    },
    /// Something about a recording that runs.
    LiveRecording {
        /// The recording's name.
        name: String,
        /// What is asked of it.
        action: LiveRecordingAction,
    },
    /// `GET /recordings/stored`.
    ListStoredRecordings,
    /// Something about a recording on Asterisk's disk.
    StoredRecording {
        /// The recording's name.
        name: String,
        /// What is asked of it.
        action: StoredRecordingAction,
    },
    /// Something about a playback.
    Playback {
        /// The playback's id.
        id: String,
        /// What is asked of it.
        action: PlaybackAction,
    },
    /// `GET /sounds`, of one language and format if given.
    ListSounds {
        /// Language: `en`.
        lang: Option<String>,
        /// Format: `gsm`.
        format: Option<String>,
    },
    /// `GET /sounds/ID`.
    GetSound {
        /// The sound's id: `demo-congrats`.
        id: String,
    },
    /// `GET /asterisk/info`: version, system name, start and reload times.
    Info,
    /// `GET /asterisk/ping`.
    Ping,
    /// `GET /asterisk/variable`: a global variable, empty if unset.
    GetGlobalVariable {
        /// Its name.
        name: String,
    },
    /// `POST /asterisk/variable`.
    SetGlobalVariable {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// `POST /asterisk/variable` with Asterisk's own second: the service answers. Written each second, it is neither
    /// about a call nor on record, and may be sent twice.
    Heartbeat {
        /// The variable's name.
        name: String,
        /// Seconds since 1970 by Asterisk's clock.
        at: u64,
    },
    /// `GET /applications`.
    ListApplications,
    /// Something about one Stasis application.
    Application {
        /// The application's name.
        name: String,
        /// What is asked.
        action: ApplicationAction,
    },
}

/// What can be asked about a device's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DeviceStateAction {
    /// `GET`: its state.
    Get,
    /// `PUT`: sets it (`INUSE`, `NOT_INUSE`, `BUSY`, ...); only for `Stasis:` devices.
    Set(String),
    /// `DELETE`: destroys a `Stasis:` device.
    Delete,
}

/// What can be asked about a recording that runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiveRecordingAction {
    /// `GET`: its state.
    Get,
    /// `DELETE`: stops it and throws it away.
    Discard,
    /// `POST stop`: stops it and keeps it.
    Stop,
    /// `POST pause`.
    Pause,
    /// `DELETE pause`.
    Unpause,
    /// `POST mute`: goes on with silence.
    Mute,
    /// `DELETE mute`.
    Unmute,
}

/// What can be asked about a stored recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoredRecordingAction {
    /// `GET`: its description.
    Get,
    /// `GET file`: its sound, as bytes.
    File,
    /// `POST copy`: copies it to this name.
    Copy(String),
    /// `DELETE`.
    Delete,
}

/// What can be asked about a playback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlaybackAction {
    /// `GET`: its state.
    Get,
    /// `DELETE`: stops it.
    Stop,
    /// `POST control`: `pause`, `unpause`, `restart`, `reverse`, `forward`.
    Control(PlaybackControl),
}

/// What `POST /playbacks/ID/control` can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlaybackControl {
    /// From the beginning.
    Restart,
    /// Holds it.
    Pause,
    /// Goes on.
    Unpause,
    /// Back by `skipms`.
    Reverse,
    /// On by `skipms`.
    Forward,
}

/// What can be asked about a Stasis application.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ApplicationAction {
    /// `GET`: what it is subscribed to; 404 when no client holds it.
    Get,
    /// `POST subscription`: event sources, `channel:ID`, `bridge:` (all of them), `endpoint:PJSIP/101`, `deviceState:`.
    Subscribe(Vec<String>),
    /// `DELETE subscription`: the same sources.
    Unsubscribe(Vec<String>),
    /// `PUT eventFilter`: event types that shall not be sent; an empty list sends all.
    Filter(Vec<String>),
}

impl Request {
    /// A request about one channel.
    pub fn channel(id: impl Into<String>, action: ChannelAction) -> Self {
        Self::Channel { id: id.into(), action }
    }

    /// A request about one bridge.
    pub fn bridge(id: impl Into<String>, action: BridgeAction) -> Self {
        Self::Bridge { id: id.into(), action }
    }

    /// A request about one Stasis application.
    pub fn application(name: impl Into<String>, action: ApplicationAction) -> Self {
        Self::Application { name: name.into(), action }
    }

    /// HTTP method.
    pub fn method(&self) -> Method {
        self.parts().method
    }

    /// Path below ARI's root, every id percent-encoded as one segment: `/channels/1795352366.0/continue`.
    pub fn path(&self) -> String {
        self.parts().path
    }

    /// Query parameters in order, not encoded.
    pub fn query(&self) -> Vec<(String, String)> {
        self.parts().query
    }

    /// The JSON body, if the request has one.
    pub fn body(&self) -> Option<serde_json::Value> {
        self.parts().body
    }

    /// Path and query as they go over the wire, everything percent-encoded.
    pub fn path_and_query(&self) -> String {
        let parts = self.parts();
        parts::path_and_query(&parts.path, &parts.query)
    }

    /// Whether it changes something in Asterisk that matters to a call: such requests are on record with who asked and
    /// what came back, and are sent once.
    pub fn changes_something(&self) -> bool {
        match self.method() {
            Method::Get => false,
            Method::Post | Method::Put | Method::Delete => !self.is_pulse(),
        }
    }

    /// Whether it only asks how Asterisk is or says how the service is: such requests are not counted with those about
    /// calls.
    pub fn is_pulse(&self) -> bool {
        matches!(self, Self::Ping | Self::Heartbeat { .. })
    }

    /// The channel or bridge that it is about; requests about the same one are sent in order.
    pub fn about(&self) -> Option<Subject> {
        match self {
            Self::Channel { id, .. } => Some(Subject::Channel(id.clone())),
            Self::Bridge { id, .. } => Some(Subject::Bridge(id.clone())),
            Self::Originate(o) => o.channel_id.clone().map(Subject::Channel),
            Self::CreateChannel(c) => c.channel_id.clone().map(Subject::Channel),
            Self::CreateBridge(b) => b.bridge_id.clone().map(Subject::Bridge),
            Self::ListChannels
            | Self::ListBridges
            | Self::ListEndpoints
            | Self::GetEndpoint { .. }
            | Self::ListDeviceStates
            | Self::DeviceState { .. }
            | Self::LiveRecording { .. }
            | Self::ListStoredRecordings
            | Self::StoredRecording { .. }
            | Self::Playback { .. }
            | Self::ListSounds { .. }
            | Self::GetSound { .. }
            | Self::Info
            | Self::Ping
            | Self::GetGlobalVariable { .. }
            | Self::SetGlobalVariable { .. }
            | Self::Heartbeat { .. }
            | Self::ListApplications
            | Self::Application { .. } => None,
        }
    }

    /// The journal's entry for it: `id` ties the reply to it, `who` is who asked.
    pub fn to_command(&self, id: impl Into<String>, who: impl Into<String>) -> entry::Command {
        let parts = self.parts();
        entry::Command {
            id: id.into(),
            method: parts.method.as_str().to_owned(),
            path: parts.path,
            query: parts.query,
            body: parts.body,
            about: self.about().map(|s| s.id().to_owned()),
            who: who.into(),
        }
    }

    fn parts(&self) -> Parts {
        match self {
            Self::ListChannels => Parts::get(path(&["channels"])),
            Self::Channel { id, action } => action.parts(id),
            Self::Originate(o) => o.parts(),
            Self::CreateChannel(c) => c.parts(),
            Self::ListBridges => Parts::get(path(&["bridges"])),
            Self::CreateBridge(b) => b.parts(),
            Self::Bridge { id, action } => action.parts(id),
            Self::ListEndpoints => Parts::get(path(&["endpoints"])),
            Self::GetEndpoint { tech, resource } => Parts::get(path(&["endpoints", tech, resource])),
            Self::ListDeviceStates => Parts::get(path(&["deviceStates"])),
            Self::DeviceState { name, action } => action.parts(name),
            Self::LiveRecording { name, action } => action.parts(name),
            Self::ListStoredRecordings => Parts::get(path(&["recordings", "stored"])),
            Self::StoredRecording { name, action } => action.parts(name),
            Self::Playback { id, action } => action.parts(id),
            Self::ListSounds { lang, format } => {
                Parts::get(path(&["sounds"])).maybe("lang", lang).maybe("format", format)
            }
            Self::GetSound { id } => Parts::get(path(&["sounds", id])),
            Self::Info => Parts::get(path(&["asterisk", "info"])),
            Self::Ping => Parts::get(path(&["asterisk", "ping"])),
            Self::GetGlobalVariable { name } => Parts::get(path(&["asterisk", "variable"])).with("variable", name),
            Self::SetGlobalVariable { name, value } => {
                Parts::post(path(&["asterisk", "variable"])).with("variable", name).with("value", value)
            }
            Self::Heartbeat { name, at } => {
                Parts::post(path(&["asterisk", "variable"])).with("variable", name).with("value", at.to_string())
            }
            Self::ListApplications => Parts::get(path(&["applications"])),
            Self::Application { name, action } => action.parts(name),
        }
    }
}

impl DeviceStateAction {
    fn parts(&self, name: &str) -> Parts {
        let at = path(&["deviceStates", name]);
        match self {
            Self::Get => Parts::get(at),
            Self::Set(state) => Parts::put(at).with("deviceState", state),
            Self::Delete => Parts::delete(at),
        }
    }
}

impl LiveRecordingAction {
    fn parts(self, name: &str) -> Parts {
        let at = |last: &[&str]| path(&[&["recordings", "live", name], last].concat());
        match self {
            Self::Get => Parts::get(at(&[])),
            Self::Discard => Parts::delete(at(&[])),
            Self::Stop => Parts::post(at(&["stop"])),
            Self::Pause => Parts::post(at(&["pause"])),
            Self::Unpause => Parts::delete(at(&["pause"])),
            Self::Mute => Parts::post(at(&["mute"])),
            Self::Unmute => Parts::delete(at(&["mute"])),
        }
    }
}

impl StoredRecordingAction {
    fn parts(&self, name: &str) -> Parts {
        let at = |last: &[&str]| path(&[&["recordings", "stored", name], last].concat());
        match self {
            Self::Get => Parts::get(at(&[])),
            Self::File => Parts::get(at(&["file"])),
            Self::Copy(to) => Parts::post(at(&["copy"])).with("destinationRecordingName", to),
            Self::Delete => Parts::delete(at(&[])),
        }
    }
}

impl PlaybackAction {
    fn parts(self, id: &str) -> Parts {
        match self {
            Self::Get => Parts::get(path(&["playbacks", id])),
            Self::Stop => Parts::delete(path(&["playbacks", id])),
            Self::Control(control) => {
                Parts::post(path(&["playbacks", id, "control"])).with("operation", control.as_str())
            }
        }
    }
}

impl PlaybackControl {
    fn as_str(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Reverse => "reverse",
            Self::Forward => "forward",
        }
    }
}

impl ApplicationAction {
    fn parts(&self, name: &str) -> Parts {
        let subscription = || path(&["applications", name, "subscription"]);
        match self {
            Self::Get => Parts::get(path(&["applications", name])),
            Self::Subscribe(sources) => Parts::post(subscription()).with("eventSource", sources.join(",")),
            Self::Unsubscribe(sources) => Parts::delete(subscription()).with("eventSource", sources.join(",")),
            Self::Filter(types) => {
                let types: Vec<_> = types.iter().map(|t| json!({ "type": t })).collect();
                Parts::put(path(&["applications", name, "eventFilter"])).json(json!({ "disallowed": types }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
