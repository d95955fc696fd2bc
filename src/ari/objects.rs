//! The objects inside events and REST answers, borrowed from the JSON text.
//!
//! Names and meanings are those of Asterisk's own API description (`/ari/api-docs`). A field that is younger
//! than Asterisk 18, or that some versions leave out, has a default; an unknown field passes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Text borrowed from the frame where it holds no escape. (`Cow` alone is borrowed by serde's derive only where its very name
/// stands at the field, and never inside of an `Option` or a `Vec`.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub(super) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }
            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E: de::Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Words)
    }
}

/// A caller or connected party.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Party<'a> {
    /// Display name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// Number as Asterisk has it.
    #[serde(borrow)]
    pub number: Text<'a>,
}

/// Where a channel stands in the dialplan.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Dialplan<'a> {
    /// Context.
    #[serde(borrow)]
    pub context: Text<'a>,
    /// Extension; `s` for a channel that Asterisk made.
    #[serde(borrow)]
    pub exten: Text<'a>,
    /// Priority.
    pub priority: i64,
    /// Running application: `Dial`, `Queue`, `Stasis`, `AppDial` (a dialled channel) ...
    #[serde(borrow)]
    pub app_name: Text<'a>,
    /// Its arguments.
    #[serde(borrow)]
    pub app_data: Text<'a>,
}

/// A channel: one leg's connection to Asterisk.
#[derive(Clone, Debug, Deserialize)]
pub struct Channel<'a> {
    /// `<epoch second>.<counter>`, with `systemname-` before it where that is set; or what the maker chose.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// `PJSIP/100-00000002`, `Local/102@plain-00000001;1`, `Snoop/...`.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `Down`, `Rsrved`, `OffHook`, `Dialing`, `Ring` (incoming), `Ringing` (outgoing), `Up`, `Busy`, ...
    #[serde(borrow)]
    pub state: Text<'a>,
    /// SIP Call-ID; empty in ChannelCreated.
    #[serde(borrow, default)]
    pub protocol_id: Text<'a>,
    /// Who is at this channel's end.
    #[serde(borrow, default)]
    pub caller: Party<'a>,
    /// Who is at the other end.
    #[serde(borrow, default)]
    pub connected: Party<'a>,
    /// Account code.
    #[serde(borrow, default)]
    pub accountcode: Text<'a>,
    /// Where it stands in the dialplan.
    #[serde(borrow, default)]
    pub dialplan: Dialplan<'a>,
    /// When it was made, Asterisk's clock.
    #[serde(borrow)]
    pub creationtime: Text<'a>,
    /// Language.
    #[serde(borrow, default)]
    pub language: Text<'a>,
    /// Redirecting number (22).
    #[serde(borrow, default)]
    pub caller_rdnis: Text<'a>,
    /// Tenant (22).
    #[serde(borrow, default)]
    pub tenantid: Text<'a>,
    /// Variables that `channelvars` of ari.conf names.
    #[serde(borrow, default)]
    pub channelvars: Option<&'a RawValue>,
}

/// Which channel it is, and nothing of its state.
#[derive(Clone, Debug, Deserialize)]
pub struct ChannelIdentity<'a> {
    /// See [`Channel::id`].
    #[serde(borrow)]
    pub id: Text<'a>,
    /// See [`Channel::creationtime`]: an id can be used again.
    #[serde(borrow)]
    pub creationtime: Text<'a>,
}

impl Channel<'_> {
    /// Whether it waits in this Stasis application, by its place in the dialplan: a channel that an earlier client left
    /// there is marked in no other way.
    pub fn waits_in(&self, app: &str) -> bool {
        &*self.dialplan.app_name == "Stasis"
            && self.dialplan.app_data.split(',').next().is_some_and(|named| named == app)
    }
}

/// A bridge: where channels meet.
#[derive(Clone, Debug, Deserialize)]
pub struct Bridge<'a> {
    /// A UUID, or what the maker chose.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// `simple_bridge`, `native_rtp`, `softmix`, `holding_bridge` ...
    #[serde(borrow, default)]
    pub technology: Text<'a>,
    /// `mixing` or `holding`.
    #[serde(borrow, default)]
    pub bridge_type: Text<'a>,
    /// `basic` (Dial, Queue), `stasis` (ARI) ...
    #[serde(borrow, default)]
    pub bridge_class: Text<'a>,
    /// Who made it.
    #[serde(borrow, default)]
    pub creator: Text<'a>,
    /// Its name.
    #[serde(borrow, default)]
    pub name: Text<'a>,
    /// The ids of its channels.
    #[serde(borrow, default)]
    pub channels: Vec<Text<'a>>,
    /// When it was made. For a Dial call that is the answer.
    #[serde(borrow, default)]
    pub creationtime: Text<'a>,
    /// Video mode.
    #[serde(borrow, default)]
    pub video_mode: Text<'a>,
    /// The channel whose video is shown.
    #[serde(borrow, default)]
    pub video_source_id: Text<'a>,
    /// Variables that `bridgevars` names (22).
    #[serde(borrow, default)]
    pub bridgevars: Option<&'a RawValue>,
}

impl Bridge<'_> {
    /// Whether channels only wait in it (parking, `BridgeWait`, ARI's `holding`): they don't hear each other.
    pub fn holds(&self) -> bool {
        &*self.bridge_type == "holding"
    }
}

/// An endpoint: a phone or a trunk.
#[derive(Clone, Debug, Deserialize)]
pub struct Endpoint<'a> {
    /// `PJSIP`, `IAX2` ...
    #[serde(borrow)]
    pub technology: Text<'a>,
    /// Its name.
    #[serde(borrow)]
    pub resource: Text<'a>,
    /// `unknown`, `offline`, `online`.
    #[serde(borrow, default)]
    pub state: Text<'a>,
    /// The ids of its channels.
    #[serde(borrow, default)]
    pub channel_ids: Vec<Text<'a>>,
}

/// A device's state.
#[derive(Clone, Debug, Deserialize)]
pub struct DeviceState<'a> {
    /// `PJSIP/100`, `Queue:support_avail` ...
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `NOT_INUSE`, `INUSE`, `BUSY`, `RINGING`, `UNAVAILABLE` ...
    #[serde(borrow)]
    pub state: Text<'a>,
}

/// A playback.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct Playback<'a> {
    /// Id.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// `sound:...`.
    #[serde(borrow)]
    pub media_uri: Text<'a>,
    /// The next one of a list.
    #[serde(borrow)]
    pub next_media_uri: Text<'a>,
    /// `channel:ID` or `bridge:ID`.
    #[serde(borrow)]
    pub target_uri: Text<'a>,
    /// Language.
    #[serde(borrow)]
    pub language: Text<'a>,
    /// `queued`, `playing`, `continuing`, `done`, `failed` (also when it was hung up).
    #[serde(borrow)]
    pub state: Text<'a>,
}

/// A recording under way.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LiveRecording<'a> {
    /// Name.
    #[serde(borrow)]
    pub name: Text<'a>,
    /// `wav` ...
    #[serde(borrow)]
    pub format: Text<'a>,
    /// `queued`, `recording`, `paused`, `done`, `failed`, `canceled`.
    #[serde(borrow)]
    pub state: Text<'a>,
    /// `channel:ID` or `bridge:ID`.
    #[serde(borrow)]
    pub target_uri: Text<'a>,
    /// Seconds.
    pub duration: Option<i64>,
    /// Seconds with talk.
    pub talking_duration: Option<i64>,
    /// Seconds of silence.
    pub silence_duration: Option<i64>,
    /// Why it failed.
    #[serde(borrow)]
    pub cause: Text<'a>,
}

/// A contact of an endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ContactInfo<'a> {
    /// Contact URI.
    #[serde(borrow)]
    pub uri: Text<'a>,
    /// `Reachable`, `Unreachable`, `NonQualified`, `Removed` ...
    #[serde(borrow)]
    pub contact_status: Text<'a>,
    /// Address of record.
    #[serde(borrow)]
    pub aor: Text<'a>,
    /// Round trip, microseconds, as text.
    #[serde(borrow)]
    pub roundtrip_usec: Text<'a>,
}

/// A peer's registration.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Peer<'a> {
    /// `Registered`, `Reachable` ...
    #[serde(borrow)]
    pub peer_status: Text<'a>,
    /// Why.
    #[serde(borrow)]
    pub cause: Text<'a>,
    /// Address.
    #[serde(borrow)]
    pub address: Text<'a>,
    /// Port.
    #[serde(borrow)]
    pub port: Text<'a>,
    /// Time of the last answer.
    #[serde(borrow)]
    pub time: Text<'a>,
}
