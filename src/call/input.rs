//! What reaches one channel's leg.

use std::sync::Arc;

use super::facts::AppKind;
use super::key::{ChanKey, ChanKind};
use crate::model::Timestamp;

/// How a leg begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Opening {
    /// The channel's handle.
    pub key: ChanKey,
    /// The channel's id.
    pub id: Arc<str>,
    /// Its name.
    pub name: Box<str>,
    /// What it is.
    pub kind: ChanKind,
    /// When Asterisk made it.
    pub created: Timestamp,
}

/// The result of a dial, as Asterisk's Dial event says it of the dialled channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DialStatus {
    /// It began.
    Begun,
    /// It rings.
    Ringing,
    /// It makes progress (early media) or proceeds.
    Progress,
    /// It answered.
    Answer,
    /// It came to nothing: BUSY, NOANSWER, CANCEL, CONGESTION, CHANUNAVAIL ...
    Ended,
}

impl DialStatus {
    /// From the event's `dialstatus`.
    pub fn of(text: &str) -> Self {
        match text {
            "" => Self::Begun,
            "RINGING" => Self::Ringing,
            "PROGRESS" | "PROCEEDING" => Self::Progress,
            "ANSWER" => Self::Answer,
            _ => Self::Ended,
        }
    }
}

/// One thing that happened to a channel, or that somebody wants of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// ChannelCreated was seen.
    Created,
    /// It stands in this state: `Up`, `Ringing` ...
    State(ChannelState),
    /// Who is at its end. The smallest (rank, time) counts: 0 is ChannelCreated, 1 any other event.
    Party {
        /// See above.
        rank: u8,
        /// Number, may be empty.
        number: Box<str>,
        /// Name, may be empty.
        name: Box<str>,
    },
    /// The extension it runs in the dialplan. The smallest (rank, time) counts.
    Exten {
        /// 0 at its creation, 1 later.
        rank: u8,
        /// The extension.
        exten: Box<str>,
        /// The context.
        context: Box<str>,
    },
    /// Its SIP Call-ID.
    Protocol(Box<str>),
    /// Something dialled it: what was dialled, and by whom (`None`: ARI or an originate).
    Dialed {
        /// The dialling channel.
        by: Option<ChanKey>,
        /// `101`, `PJSIP/101`, `+7916...@trunk`.
        dialstring: Box<str>,
    },
    /// How that dial goes.
    DialStatus(DialStatus),
    /// It entered a bridge.
    Entered(Arc<str>),
    /// It left a bridge.
    Left(Arc<str>),
    /// It put its peer on hold.
    Hold,
    /// It took its peer off hold.
    Unhold,
    /// It began a dialplan application that matters.
    App(AppKind),
    /// A hangup was asked for.
    HangupRequest {
        /// By the phone (`soft` absent).
        hard: bool,
    },
    /// It transferred its peer away: its part of the call ends by its own will.
    Transferred,
    /// It ended.
    Destroyed {
        /// Q.850 cause.
        cause: i32,
        /// SIP status, where Asterisk tells it.
        sip: Option<i32>,
    },
    /// It entered our application.
    EnteredApp,
    /// It left our application.
    LeftApp,
    /// A gap touched it.
    Touched,
    /// It is gone, and nobody saw it go; the time is the last at which it certainly lived.
    Vanished,
    /// A snapshot shows it waiting in our application.
    WaitsInApp,
    /// A test wants this leg's logic to panic.
    #[cfg(any(test, feature = "test-hooks"))]
    Panic,
    /// A test wants the fold of this channel's calls to panic.
    #[cfg(any(test, feature = "test-hooks"))]
    FoldFails,
}

impl Input {
    /// Whether the channel waits in our application after this; none if this says nothing of it.
    pub fn waits(&self) -> Option<bool> {
        match self {
            Self::EnteredApp | Self::WaitsInApp => Some(true),
            Self::LeftApp | Self::Destroyed { .. } | Self::Vanished => Some(false),
            Self::Created
            | Self::State(_)
            | Self::Party { .. }
            | Self::Exten { .. }
            | Self::Protocol(_)
            | Self::Dialed { .. }
            | Self::DialStatus(_)
            | Self::Entered(_)
            | Self::Left(_)
            | Self::Hold
            | Self::Unhold
            | Self::App(_)
            | Self::HangupRequest { .. }
            | Self::Transferred
            | Self::Touched => None,
            #[cfg(any(test, feature = "test-hooks"))]
            Self::Panic | Self::FoldFails => None,
        }
    }
}

/// The states of a channel that matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChannelState {
    /// Made, nothing yet.
    Down,
    /// An incoming call that rings on this side.
    Ring,
    /// An outgoing call that rings on the far side.
    Ringing,
    /// Connected.
    Up,
    /// Any other.
    Other,
}

impl ChannelState {
    /// From the channel's `state`.
    pub fn of(text: &str) -> Self {
        match text {
            "Down" => Self::Down,
            "Ring" => Self::Ring,
            "Ringing" => Self::Ringing,
            "Up" => Self::Up,
            _ => Self::Other,
        }
    }
}
