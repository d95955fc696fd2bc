//! Events of channels and bridges: what calls are made of.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ari::objects::{Bridge, Channel, ChannelIdentity, Endpoint, Text};

/// A bridge was made.
#[derive(Clone, Debug, Deserialize)]
pub struct BridgeCreated<'a> {
    /// The bridge.
    #[serde(borrow)]
    pub bridge: Bridge<'a>,
}

/// A bridge ended.
#[derive(Clone, Debug, Deserialize)]
pub struct BridgeDestroyed<'a> {
    /// The bridge.
    #[serde(borrow)]
    pub bridge: Bridge<'a>,
}

/// One bridge was merged into another.
#[derive(Clone, Debug, Deserialize)]
pub struct BridgeMerged<'a> {
    /// The bridge.
    #[serde(borrow)]
    pub bridge: Bridge<'a>,
    /// The bridge that was merged into it.
    #[serde(borrow)]
    pub bridge_from: Bridge<'a>,
}

/// A blind transfer was asked for.
#[derive(Clone, Debug, Deserialize)]
pub struct BridgeBlindTransfer<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// The channel that it replaced.
    #[serde(borrow, default)]
    pub replace_channel: Option<Channel<'a>>,
    /// The party that was transferred.
    #[serde(borrow, default)]
    pub transferee: Option<Channel<'a>>,
    /// Extension asked for.
    #[serde(borrow, default)]
    pub exten: Text<'a>,
    /// Context asked for.
    #[serde(borrow, default)]
    pub context: Text<'a>,
    /// `Success` or why not.
    #[serde(borrow, default)]
    pub result: Text<'a>,
    /// Whether a phone asked (REFER), not a feature.
    #[serde(default)]
    pub is_external: bool,
    /// The bridge.
    #[serde(borrow, default)]
    pub bridge: Option<Bridge<'a>>,
}

/// An attended transfer was done.
#[derive(Clone, Debug, Deserialize)]
pub struct BridgeAttendedTransfer<'a> {
    /// The transferrer in the first call.
    #[serde(borrow)]
    pub transferer_first_leg: Channel<'a>,
    /// The transferrer in the second call.
    #[serde(borrow)]
    pub transferer_second_leg: Channel<'a>,
    /// The channel that it replaced.
    #[serde(borrow, default)]
    pub replace_channel: Option<Channel<'a>>,
    /// The party that was transferred.
    #[serde(borrow, default)]
    pub transferee: Option<Channel<'a>>,
    /// The party that was consulted.
    #[serde(borrow, default)]
    pub transfer_target: Option<Channel<'a>>,
    /// `Success` or why not.
    #[serde(borrow, default)]
    pub result: Text<'a>,
    /// Whether a phone asked (REFER), not a feature.
    #[serde(default)]
    pub is_external: bool,
    /// Bridge of the first call.
    #[serde(borrow, default)]
    pub transferer_first_leg_bridge: Option<Bridge<'a>>,
    /// Bridge of the second call.
    #[serde(borrow, default)]
    pub transferer_second_leg_bridge: Option<Bridge<'a>>,
    /// `bridge`, `application`, `link`, `threeway` or `fail`.
    #[serde(borrow, default)]
    pub destination_type: Text<'a>,
    /// Id of the bridge that survived.
    #[serde(borrow, default)]
    pub destination_bridge: Text<'a>,
    /// The application that it went to.
    #[serde(borrow, default)]
    pub destination_application: Text<'a>,
    /// First half of the link.
    #[serde(borrow, default)]
    pub destination_link_first_leg: Option<Channel<'a>>,
    /// Second half of the link.
    #[serde(borrow, default)]
    pub destination_link_second_leg: Option<Channel<'a>>,
    /// The transferrer in a three-way call.
    #[serde(borrow, default)]
    pub destination_threeway_channel: Option<Channel<'a>>,
    /// The bridge of a three-way call.
    #[serde(borrow, default)]
    pub destination_threeway_bridge: Option<Bridge<'a>>,
}

/// A channel was made.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelCreated<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A channel ended.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelDestroyed<'a> {
    /// Q.850 cause.
    #[serde(default)]
    pub cause: i64,
    /// The cause in words.
    #[serde(borrow, default)]
    pub cause_txt: Text<'a>,
    /// The protocol's own cause: a SIP status (22).
    #[serde(default)]
    pub tech_cause: Option<i64>,
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A channel entered a bridge.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelEnteredBridge<'a> {
    /// The bridge.
    #[serde(borrow)]
    pub bridge: Bridge<'a>,
    /// The channel.
    #[serde(borrow, default)]
    pub channel: Option<Channel<'a>>,
}

/// A channel left a bridge.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelLeftBridge<'a> {
    /// The bridge.
    #[serde(borrow)]
    pub bridge: Bridge<'a>,
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A channel changed its state.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelStateChange<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A digit, once, at its end.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelDtmfReceived<'a> {
    /// The digit.
    #[serde(borrow, default)]
    pub digit: Text<'a>,
    /// Its length, milliseconds.
    #[serde(default)]
    pub duration_ms: i64,
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A channel began a dialplan application.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelDialplan<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// Application.
    #[serde(borrow, default)]
    pub dialplan_app: Text<'a>,
    /// Its arguments.
    #[serde(borrow, default)]
    pub dialplan_app_data: Text<'a>,
}

/// A channel's caller id changed.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelCallerId<'a> {
    /// Presentation.
    #[serde(default)]
    pub caller_presentation: i64,
    /// Presentation in words.
    #[serde(borrow, default)]
    pub caller_presentation_txt: Text<'a>,
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// The dialplan's UserEvent.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelUserevent<'a> {
    /// Name of the event.
    #[serde(borrow, default)]
    pub eventname: Text<'a>,
    /// The channel.
    #[serde(borrow, default)]
    pub channel: Option<Channel<'a>>,
    /// The bridge.
    #[serde(borrow, default)]
    pub bridge: Option<Bridge<'a>>,
    /// The endpoint.
    #[serde(borrow, default)]
    pub endpoint: Option<Endpoint<'a>>,
    /// What the dialplan gave.
    #[serde(borrow, default)]
    pub userevent: Option<&'a RawValue>,
}

/// Somebody asked for a hangup; without `soft` it was the phone.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelHangupRequest<'a> {
    /// Q.850 cause.
    #[serde(default)]
    pub cause: Option<i64>,
    /// The protocol's own cause: a SIP status (22).
    #[serde(default)]
    pub tech_cause: Option<i64>,
    /// Whether Asterisk asked, not the phone.
    #[serde(default)]
    pub soft: bool,
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A variable was set. Where these are not filtered they are most of what Asterisk sends, and each carries its channel's whole
/// state, of which every change is told by an event of its own; so the state is passed over.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelVarset<'a> {
    /// Name.
    #[serde(borrow, default)]
    pub variable: Text<'a>,
    /// Value.
    #[serde(borrow, default)]
    pub value: Text<'a>,
    /// The channel; none for a global variable.
    #[serde(borrow, default)]
    pub channel: Option<ChannelIdentity<'a>>,
}

/// The channel put its peer on hold.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelHold<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// Music on hold class.
    #[serde(borrow, default)]
    pub musicclass: Text<'a>,
}

/// The channel took its peer off hold.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelUnhold<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A tone was detected (22).
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelToneDetected<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// Talk was detected.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelTalkingStarted<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// Talk ended.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelTalkingFinished<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// Length, milliseconds.
    #[serde(default)]
    pub duration: i64,
}

/// A dial began or made progress; without `caller` ARI or an originate dialled.
#[derive(Clone, Debug, Deserialize)]
pub struct Dial<'a> {
    /// Who dials.
    #[serde(borrow, default)]
    pub caller: Option<Channel<'a>>,
    /// The peer.
    #[serde(borrow)]
    pub peer: Channel<'a>,
    /// Where the phone forwarded to.
    #[serde(borrow, default)]
    pub forward: Text<'a>,
    /// The channel made for a forward.
    #[serde(borrow, default)]
    pub forwarded: Option<Channel<'a>>,
    /// What was dialled.
    #[serde(borrow, default)]
    pub dialstring: Text<'a>,
    /// Empty at the beginning; `RINGING`, `PROGRESS`, `ANSWER`, `BUSY`, `NOANSWER`, `CANCEL`, `CONGESTION`, `CHANUNAVAIL`.
    #[serde(borrow, default)]
    pub dialstatus: Text<'a>,
}

/// A channel left the application.
#[derive(Clone, Debug, Deserialize)]
pub struct StasisEnd<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A channel entered the application.
#[derive(Clone, Debug, Deserialize)]
pub struct StasisStart<'a> {
    /// Arguments of Stasis().
    #[serde(borrow, default)]
    pub args: Vec<Text<'a>>,
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
    /// The channel that it replaced.
    #[serde(borrow, default)]
    pub replace_channel: Option<Channel<'a>>,
}

/// A channel's connected line changed.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelConnectedLine<'a> {
    /// The channel.
    #[serde(borrow)]
    pub channel: Channel<'a>,
}

/// A transfer that the application shall carry out (22).
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelTransfer<'a> {
    /// State of the transfer.
    #[serde(borrow, default)]
    pub state: Text<'a>,
    /// Where to.
    #[serde(borrow, default)]
    pub refer_to: Option<&'a RawValue>,
    /// By whom.
    #[serde(borrow, default)]
    pub referred_by: Option<&'a RawValue>,
}
