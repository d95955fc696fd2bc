//! Requests about bridges.

use super::parts::{Media, Parts, Recording, path};

/// What can be asked of one bridge.
#[derive(Clone, PartialEq, Debug)]
pub enum BridgeAction {
    /// `GET`: its description.
    Get,
    /// `DELETE`: shuts it; its channels stay in Stasis.
    Destroy,
    /// `POST addChannel`.
    Add {
        /// The channels' ids.
        channels: Vec<String>,
        /// `participant` or `announcer`.
        role: Option<String>,
        /// Keeps digits from the others.
        absorb_dtmf: bool,
        /// Muted from the start.
        mute: bool,
    },
    /// `POST removeChannel`.
    Remove {
        /// The channels' ids.
        channels: Vec<String>,
    },
    /// `POST moh`: music on hold, of this class if given.
    StartMoh(Option<String>),
    /// `DELETE moh`.
    StopMoh,
    /// `POST play`.
    Play(BridgePlay),
    /// `POST record`.
    Record(Recording),
}

/// What to play to a bridge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BridgePlay {
    /// What and how.
    pub media: Media,
    /// The format of the announcing channel (Asterisk 18 and later).
    pub announcer_format: Option<String>,
}

/// A bridge to make.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateBridge {
    /// `mixing`, `holding`, `dtmf_events`, `proxy_media`, `video_sfu`, ..., separated by commas.
    pub kind: Option<String>,
    /// The bridge's id, chosen by us.
    pub bridge_id: Option<String>,
    /// A name for people.
    pub name: Option<String>,
}

impl BridgeAction {
    pub(super) fn parts(&self, id: &str) -> Parts {
        let at = |last: &str| path(&["bridges", id, last]);
        match self {
            Self::Get => Parts::get(path(&["bridges", id])),
            Self::Destroy => Parts::delete(path(&["bridges", id])),
            Self::Add { channels, role, absorb_dtmf, mute } => Parts::post(at("addChannel"))
                .with("channel", channels.join(","))
                .maybe("role", role)
                .flag("absorbDTMF", *absorb_dtmf)
                .flag("mute", *mute),
            Self::Remove { channels } => Parts::post(at("removeChannel")).with("channel", channels.join(",")),
            Self::StartMoh(class) => Parts::post(at("moh")).maybe("mohClass", class),
            Self::StopMoh => Parts::delete(at("moh")),
            Self::Play(play) => match &play.media.playback_id {
                Some(playback) => Parts::post(path(&["bridges", id, "play", playback])),
                None => Parts::post(at("play")),
            }
            .media(&play.media)
            .maybe("announcer_format", &play.announcer_format),
            Self::Record(recording) => Parts::post(at("record")).recording(recording),
        }
    }
}

impl CreateBridge {
    pub(super) fn parts(&self) -> Parts {
        let at = match &self.bridge_id {
            Some(id) => path(&["bridges", id]),
            None => path(&["bridges"]),
        };
        Parts::post(at).maybe("type", &self.kind).maybe("name", &self.name)
    }
}
