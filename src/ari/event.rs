//! Events: every type of Asterisk's API description; unknown types are kept by name.

use super::bodies::*;
use super::objects::Text;
use super::whole::{Head, Nothing, Whole, likely_kind};
use crate::model::Timestamp;

/// One decoded frame.
#[derive(Clone, Debug)]
pub struct Frame<'a> {
    /// The event's type as Asterisk names it.
    pub kind: Text<'a>,
    /// When it happened, by Asterisk's clock. Neighbours need not be sorted by it.
    pub timestamp: Option<Timestamp>,
    /// The application whose socket it came by.
    pub application: Text<'a>,
    /// What happened.
    pub event: Event<'a>,
}

/// A frame that is no event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not JSON, or without a `type`.
    #[error("not an event: {0}")]
    NotAnEvent(#[source] serde_json::Error),
    /// A known type whose known fields have other types than the API description says.
    #[error("a {kind} event with fields of other types than expected: {source}")]
    WrongFields {
        /// The event's type.
        kind: String,
        /// What serde found.
        #[source]
        source: serde_json::Error,
    },
    /// Its time is none.
    #[error(transparent)]
    Time(#[from] crate::model::ParseTimestampError),
}

macro_rules! events {
    ($($(#[$meta:meta])* $name:ident $(($body:ident))?,)+) => {
        /// What happened.
        #[derive(Clone, Debug)]
        pub enum Event<'a> {
            $($(#[$meta])* $name $((Box<$body<'a>>))?,)+
            /// A type that this program does not know; its text is kept in the raw log.
            Unknown,
        }

        /// The types of the API description that are decoded.
        pub const KINDS: &[&str] = &[$(stringify!($name),)+];

        impl Event<'_> {
            /// The type as Asterisk names it; `None` for a type that this program does not know.
            pub fn name(&self) -> Option<&'static str> {
                match self {
                    $(events!(@pattern $name $($body)?) => Some(stringify!($name)),)+
                    Self::Unknown => None,
                }
            }
        }

        /// Head and body of an event of this type.
        fn whole<'a>(kind: &str, text: &'a str) -> Result<(Head<'a>, Event<'a>), serde_json::Error> {
            match kind {
                $(stringify!($name) => events!(@decode text $name $($body)?),)+
                _ => serde_json::from_str::<Whole<'a, Nothing>>(text).map(|w| (w.head, Event::Unknown)),
            }
        }
    };
    (@decode $text:ident $name:ident $body:ident) => {
        serde_json::from_str::<Whole<'a, $body<'a>>>($text).map(|w| (w.head, Event::$name(Box::new(w.body))))
    };
    (@decode $text:ident $name:ident) => {
        serde_json::from_str::<Whole<'a, Nothing>>($text).map(|w| (w.head, Event::$name))
    };
    (@pattern $name:ident $body:ident) => { Event::$name(_) };
    (@pattern $name:ident) => { Event::$name };
}

events! {
    /// A device changed its state.
    DeviceStateChanged(DeviceStateChanged),
    /// A playback began (also again at unpause).
    PlaybackStarted(PlaybackStarted),
    /// A playback goes on with its next medium.
    PlaybackContinuing(PlaybackContinuing),
    /// A playback ended.
    PlaybackFinished(PlaybackFinished),
    /// A recording began (of a bridge: comes twice).
    RecordingStarted(RecordingStarted),
    /// A recording ended (of a bridge: comes twice).
    RecordingFinished(RecordingFinished),
    /// A recording failed.
    RecordingFailed(RecordingFailed),
    /// A channel could not be moved to another application.
    ApplicationMoveFailed(ApplicationMoveFailed),
    /// An application was registered (22); on an outbound WebSocket it marks the end of the backlog.
    ApplicationRegistered,
    /// An application was unregistered (22).
    ApplicationUnregistered,
    /// Another client took the application: this socket gets no more of its events.
    ApplicationReplaced,
    /// A bridge was made.
    BridgeCreated(BridgeCreated),
    /// A bridge ended.
    BridgeDestroyed(BridgeDestroyed),
    /// One bridge was merged into another.
    BridgeMerged(BridgeMerged),
    /// The source of a bridge's video changed.
    BridgeVideoSourceChanged(BridgeVideoSourceChanged),
    /// A blind transfer was asked for.
    BridgeBlindTransfer(BridgeBlindTransfer),
    /// An attended transfer was done.
    BridgeAttendedTransfer(BridgeAttendedTransfer),
    /// A channel was made.
    ChannelCreated(ChannelCreated),
    /// A channel ended.
    ChannelDestroyed(ChannelDestroyed),
    /// A channel entered a bridge.
    ChannelEnteredBridge(ChannelEnteredBridge),
    /// A channel left a bridge.
    ChannelLeftBridge(ChannelLeftBridge),
    /// A channel changed its state.
    ChannelStateChange(ChannelStateChange),
    /// A digit, once, at its end.
    ChannelDtmfReceived(ChannelDtmfReceived),
    /// A channel began a dialplan application.
    ChannelDialplan(ChannelDialplan),
    /// A channel's caller id changed.
    ChannelCallerId(ChannelCallerId),
    /// The dialplan's UserEvent.
    ChannelUserevent(ChannelUserevent),
    /// Somebody asked for a hangup; without `soft` it was the phone.
    ChannelHangupRequest(ChannelHangupRequest),
    /// A variable was set.
    ChannelVarset(ChannelVarset),
    /// The channel put its peer on hold.
    ChannelHold(ChannelHold),
    /// The channel took its peer off hold.
    ChannelUnhold(ChannelUnhold),
    /// A tone was detected (22).
    ChannelToneDetected(ChannelToneDetected),
    /// Talk was detected.
    ChannelTalkingStarted(ChannelTalkingStarted),
    /// Talk ended.
    ChannelTalkingFinished(ChannelTalkingFinished),
    /// A contact changed its status.
    ContactStatusChange(ContactStatusChange),
    /// A peer changed its status.
    PeerStatusChange(PeerStatusChange),
    /// An endpoint changed its state.
    EndpointStateChange(EndpointStateChange),
    /// A dial began or made progress; without `caller` ARI or an originate dialled.
    Dial(Dial),
    /// A channel left the application.
    StasisEnd(StasisEnd),
    /// A channel entered the application.
    StasisStart(StasisStart),
    /// A text message came.
    TextMessageReceived(TextMessageReceived),
    /// A channel's connected line changed.
    ChannelConnectedLine(ChannelConnectedLine),
    /// A transfer that the application shall carry out (22).
    ChannelTransfer(ChannelTransfer),
    /// The answer to a request over the WebSocket (22).
    RESTResponse(RESTResponse),
    /// A call was offered to several applications (22).
    CallBroadcast(CallBroadcast),
    /// A call offered to several applications was claimed (22).
    CallClaimed(CallClaimed),
}

impl Event<'_> {
    /// The ids of the channel and the bridge that it is mainly about.
    pub fn subjects(&self) -> (Option<&str>, Option<&str>) {
        match self {
            Self::ApplicationMoveFailed(e) => (Some(&e.channel.id), None),
            Self::BridgeCreated(e) => (None, Some(&e.bridge.id)),
            Self::BridgeDestroyed(e) => (None, Some(&e.bridge.id)),
            Self::BridgeMerged(e) => (None, Some(&e.bridge.id)),
            Self::BridgeVideoSourceChanged(e) => (None, Some(&e.bridge.id)),
            Self::BridgeBlindTransfer(e) => (Some(&e.channel.id), e.bridge.as_ref().map(|o| &*o.id)),
            Self::BridgeAttendedTransfer(e) => {
                (Some(&e.transferer_first_leg.id), e.transferer_first_leg_bridge.as_ref().map(|o| &*o.id))
            }
            Self::ChannelCreated(e) => (Some(&e.channel.id), None),
            Self::ChannelDestroyed(e) => (Some(&e.channel.id), None),
            Self::ChannelEnteredBridge(e) => (e.channel.as_ref().map(|o| &*o.id), Some(&e.bridge.id)),
            Self::ChannelLeftBridge(e) => (Some(&e.channel.id), Some(&e.bridge.id)),
            Self::ChannelStateChange(e) => (Some(&e.channel.id), None),
            Self::ChannelDtmfReceived(e) => (Some(&e.channel.id), None),
            Self::ChannelDialplan(e) => (Some(&e.channel.id), None),
            Self::ChannelCallerId(e) => (Some(&e.channel.id), None),
            Self::ChannelUserevent(e) => (e.channel.as_ref().map(|o| &*o.id), e.bridge.as_ref().map(|o| &*o.id)),
            Self::ChannelHangupRequest(e) => (Some(&e.channel.id), None),
            Self::ChannelVarset(e) => (e.channel.as_ref().map(|o| &*o.id), None),
            Self::ChannelHold(e) => (Some(&e.channel.id), None),
            Self::ChannelUnhold(e) => (Some(&e.channel.id), None),
            Self::ChannelToneDetected(e) => (Some(&e.channel.id), None),
            Self::ChannelTalkingStarted(e) => (Some(&e.channel.id), None),
            Self::ChannelTalkingFinished(e) => (Some(&e.channel.id), None),
            Self::Dial(e) => (Some(&e.peer.id), None),
            Self::StasisEnd(e) => (Some(&e.channel.id), None),
            Self::StasisStart(e) => (Some(&e.channel.id), None),
            Self::ChannelConnectedLine(e) => (Some(&e.channel.id), None),
            Self::CallBroadcast(e) => (Some(&e.channel.id), None),
            Self::CallClaimed(e) => (Some(&e.channel.id), None),
            Self::DeviceStateChanged(_)
            | Self::PlaybackStarted(_)
            | Self::PlaybackContinuing(_)
            | Self::PlaybackFinished(_)
            | Self::RecordingStarted(_)
            | Self::RecordingFinished(_)
            | Self::RecordingFailed(_)
            | Self::ApplicationRegistered
            | Self::ApplicationUnregistered
            | Self::ApplicationReplaced
            | Self::ContactStatusChange(_)
            | Self::PeerStatusChange(_)
            | Self::EndpointStateChange(_)
            | Self::TextMessageReceived(_)
            | Self::ChannelTransfer(_)
            | Self::RESTResponse(_)
            | Self::Unknown => (None, None),
        }
    }
}

/// Decodes one frame.
///
/// # Errors
/// When it is not JSON, has no `type`, or a known field has another type than described.
pub fn decode(text: &str) -> Result<Frame<'_>, DecodeError> {
    let at_once = likely_kind(text).and_then(|kind| whole(kind, text).ok().filter(|(head, _)| head.kind == kind));
    let (head, event) = match at_once {
        Some(found) => found,
        None => by_head(text)?,
    };
    let timestamp = Some(&*head.timestamp).filter(|t| !t.is_empty()).map(str::parse).transpose()?;
    Ok(Frame { kind: head.kind, timestamp, application: head.application, event })
}

/// Reads the head alone, to know what the rest is.
fn by_head(text: &str) -> Result<(Head<'_>, Event<'_>), DecodeError> {
    let head: Whole<'_, Nothing> = serde_json::from_str(text).map_err(DecodeError::NotAnEvent)?;
    let kind = head.head.kind;
    whole(&kind, text).map_err(|source| DecodeError::WrongFields { kind: kind.to_string(), source })
}
