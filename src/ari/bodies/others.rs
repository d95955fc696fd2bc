//! Events of everything beside channels and bridges.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ari::objects::{Bridge, Channel, ContactInfo, DeviceState, Endpoint, LiveRecording, Peer, Playback, Text};

/// A device changed its state.
#[derive(Clone, Debug, Deserialize)]
pub struct DeviceStateChanged<'a> {
    /// The device and its state.
    #[serde(borrow)]
    pub device_state: DeviceState<'a>,
}

/// A playback began (also again at unpause).
#[derive(Clone, Debug, Deserialize)]
pub struct PlaybackStarted<'a> {
    /// The playback.
    #[serde(borrow, default)]
    pub playback: Playback<'a>,
}

/// A playback goes on with its next medium.
#[derive(Clone, Debug, Deserialize)]
pub struct PlaybackContinuing<'a> {
    /// The playback.
    #[serde(borrow, default)]
    pub playback: Playback<'a>,
}

/// A playback ended.
#[derive(Clone, Debug, Deserialize)]
pub struct PlaybackFinished<'a> {
    /// The playback.
    #[serde(borrow, default)]
    pub playback: Playback<'a>,
}

/// A recording began (of a bridge: comes twice).
#[derive(Clone, Debug, Deserialize)]
pub struct RecordingStarted<'a> {
    /// The recording.
    #[serde(borrow, default)]
    pub recording: LiveRecording<'a>,
}

/// A recording ended (of a bridge: comes twice).
#[derive(Clone, Debug, Deserialize)]
pub struct RecordingFinished<'a> {
    /// The recording.
    #[serde(borrow, default)]
    pub recording: LiveRecording<'a>,
}

/// A recording failed.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordingFailed<'a> {
    /// The recording.
    #[serde(borrow, default)]
    pub recording: LiveRecording<'a>,
}

/// A channel could not be moved to another application.
#[derive(Clone, Debug, Deserialize)]
pub struct ApplicationMoveFailed<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// Where it should have gone.
    #[serde(borrow, default)]
    pub destination: Text<'a>,
    /// Arguments of Stasis().
    #[serde(borrow, default)]
    pub args: Vec<Text<'a>>,
}

/// The source of a bridge's video changed.
#[derive(Clone, Debug, Deserialize)]
pub struct BridgeVideoSourceChanged<'a> {
    /// The bridge.
    #[serde(borrow)]
    pub bridge: Bridge<'a>,
    /// The channel that was shown before.
    #[serde(borrow, default)]
    pub old_video_source_id: Text<'a>,
}

/// A contact changed its status.
#[derive(Clone, Debug, Deserialize)]
pub struct ContactStatusChange<'a> {
    /// The endpoint.
    #[serde(borrow)]
    pub endpoint: Endpoint<'a>,
    /// The contact.
    #[serde(borrow, default)]
    pub contact_info: ContactInfo<'a>,
}

/// A peer changed its status.
#[derive(Clone, Debug, Deserialize)]
pub struct PeerStatusChange<'a> {
    /// The endpoint.
    #[serde(borrow)]
    pub endpoint: Endpoint<'a>,
    /// The peer.
    #[serde(borrow, default)]
    pub peer: Peer<'a>,
}

/// An endpoint changed its state.
#[derive(Clone, Debug, Deserialize)]
pub struct EndpointStateChange<'a> {
    /// The endpoint.
    #[serde(borrow)]
    pub endpoint: Endpoint<'a>,
}

/// A text message came.
#[derive(Clone, Debug, Deserialize)]
pub struct TextMessageReceived<'a> {
    /// The message.
    #[serde(borrow, default)]
    pub message: Option<&'a RawValue>,
    /// The endpoint.
    #[serde(borrow, default)]
    pub endpoint: Option<Endpoint<'a>>,
}

/// The answer to a request over the WebSocket (22).
#[derive(Clone, Debug, Deserialize)]
pub struct RESTResponse<'a> {
    /// As sent.
    #[serde(borrow, default)]
    pub transaction_id: Text<'a>,
    /// As sent.
    #[serde(borrow, default)]
    pub request_id: Text<'a>,
    /// HTTP status.
    #[serde(default)]
    pub status_code: i64,
    /// HTTP reason.
    #[serde(borrow, default)]
    pub reason_phrase: Text<'a>,
    /// As sent.
    #[serde(borrow, default)]
    pub uri: Text<'a>,
    /// Type of the body.
    #[serde(borrow, default)]
    pub content_type: Text<'a>,
    /// The body.
    #[serde(borrow, default)]
    pub message_body: Text<'a>,
}

/// A call was offered to several applications (22).
#[derive(Clone, Debug, Deserialize)]
pub struct CallBroadcast<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// Who dials.
    #[serde(borrow, default)]
    pub caller: Text<'a>,
    /// Called number.
    #[serde(borrow, default)]
    pub called: Text<'a>,
}

/// A call offered to several applications was claimed (22).
#[derive(Clone, Debug, Deserialize)]
pub struct CallClaimed<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// The application that claimed it.
    #[serde(borrow, default)]
    pub winner_app: Text<'a>,
}
