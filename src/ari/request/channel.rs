//! Requests about channels.

use super::parts::{Media, Parts, Recording, path};

/// What can be asked of one channel. But for `Get`, `GetVariable`, `Snoop` and `Hangup`, the channel must be in
/// Stasis (409 otherwise).
#[derive(Clone, PartialEq, Debug)]
pub enum ChannelAction {
    /// `GET`: its description.
    Get,
    /// `DELETE`: hangs it up.
    Hangup(HangupReason),
    /// `POST continue`: back into the dialplan.
    Continue(ContinueAt),
    /// `POST move`: into another Stasis application, with these arguments.
    Move {
        /// The application.
        app: String,
        /// Its arguments, separated by commas.
        args: Option<String>,
    },
    /// `POST redirect`: has the far side call another endpoint (SIP 302 or REFER).
    Redirect {
        /// `PJSIP/102`.
        endpoint: String,
    },
    /// `POST answer`.
    Answer,
    /// `POST ring`: ringing is heard.
    Ring,
    /// `DELETE ring`.
    StopRing,
    /// `POST dtmf`: sends digits.
    Dtmf(Dtmf),
    /// `POST mute`.
    Mute(MuteDirection),
    /// `DELETE mute`.
    Unmute(MuteDirection),
    /// `POST hold`.
    Hold,
    /// `DELETE hold`.
    Unhold,
    /// `POST moh`: music on hold, of this class if given.
    StartMoh(Option<String>),
    /// `DELETE moh`.
    StopMoh,
    /// `POST silence`.
    StartSilence,
    /// `DELETE silence`.
    StopSilence,
    /// `POST play`.
    Play(Media),
    /// `POST record`.
    Record(Recording),
    /// `GET variable`: a variable or function, `CDR(answer,u)`; 404 if unset.
    GetVariable(String),
    /// `POST variable`.
    SetVariable {
        /// Its name; a function such as `CALLERID(name)` too.
        name: String,
        /// Its value.
        value: String,
    },
    /// `POST snoop`: makes a channel that listens to, or speaks into, this one.
    Snoop(Snoop),
    /// `POST dial`: dials a channel made by `create`.
    Dial {
        /// The id of the channel on whose behalf it is dialled.
        caller: Option<String>,
        /// Seconds after which it is given up.
        timeout_s: Option<u32>,
    },
}

/// Why a channel is hung up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HangupReason {
    /// Asterisk's default, normal clearing.
    Normal,
    /// A word: `normal`, `busy`, `congestion`, `no_answer`, `timeout`, `rejected`, `unallocated`, `normal_unspecified`,
    /// `number_incomplete`, `codec_mismatch`, `interworking`, `failure`, `answered_elsewhere`.
    Reason(String),
    /// A cause of Q.850 by number, `17` (`reason_code`; Asterisk 18 and later).
    Code(String),
}

/// Where in the dialplan a channel goes on; nothing given is the next priority.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContinueAt {
    /// Context.
    pub context: Option<String>,
    /// Extension.
    pub exten: Option<String>,
    /// Priority.
    pub priority: Option<i32>,
    /// Label, instead of a priority.
    pub label: Option<String>,
}

/// Digits to send.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Dtmf {
    /// `0` to `9`, `A` to `D`, `*`, `#`.
    pub digits: String,
    /// Milliseconds before the first.
    pub before_ms: Option<u32>,
    /// Milliseconds between two (100 if none is given).
    pub between_ms: Option<u32>,
    /// Milliseconds of each (100 if none is given).
    pub duration_ms: Option<u32>,
    /// Milliseconds after the last.
    pub after_ms: Option<u32>,
}

/// Which way sound is cut or copied, seen from the channel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MuteDirection {
    /// Both ways.
    #[default]
    Both,
    /// What the channel's far side says.
    In,
    /// What it hears.
    Out,
}

impl MuteDirection {
    fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// A snoop channel to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snoop {
    /// What it hears; none: nothing.
    pub spy: Option<MuteDirection>,
    /// Where it is heard; none: nowhere.
    pub whisper: Option<MuteDirection>,
    /// The Stasis application that it enters.
    pub app: String,
    /// That application's arguments, separated by commas.
    pub app_args: Option<String>,
    /// The snoop channel's id, chosen by us.
    pub snoop_id: Option<String>,
}

/// A channel to make and dial. Either `app` or `exten` must be given (400 otherwise).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Originate {
    /// Whom to call: `PJSIP/101`, `Local/500@internal`. Unknown or unregistered: 500 `Allocation failed`.
    pub endpoint: String,
    /// The extension that it runs once answered.
    pub exten: Option<String>,
    /// That extension's context.
    pub context: Option<String>,
    /// That extension's priority.
    pub priority: Option<i32>,
    /// A label, instead of a priority.
    pub label: Option<String>,
    /// The Stasis application that it enters once answered. One that nobody registered gives 200 and no StasisStart.
    pub app: Option<String>,
    /// That application's arguments, separated by commas.
    pub app_args: Option<String>,
    /// What the called side sees: `"Name" <number>`.
    pub caller_id: Option<String>,
    /// Seconds after which it is given up; -1: never. Asterisk's default is 30.
    pub timeout_s: Option<i32>,
    /// Channel variables to set.
    pub variables: Vec<(String, String)>,
    /// The channel's id, chosen by us.
    pub channel_id: Option<String>,
    /// The id of a Local channel's second half.
    pub other_channel_id: Option<String>,
    /// The channel whose accounting and linkedid it takes over.
    pub originator: Option<String>,
    /// Codecs, separated by commas; not beside `originator`.
    pub formats: Option<String>,
}

/// A channel to make without dialling it; it enters `app` at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateChannel {
    /// Whom it will call.
    pub endpoint: String,
    /// The Stasis application that it enters.
    pub app: String,
    /// That application's arguments, separated by commas.
    pub app_args: Option<String>,
    /// The channel's id, chosen by us.
    pub channel_id: Option<String>,
    /// The id of a Local channel's second half.
    pub other_channel_id: Option<String>,
    /// The channel whose accounting and linkedid it takes over.
    pub originator: Option<String>,
    /// Codecs, separated by commas; not beside `originator`.
    pub formats: Option<String>,
    /// Channel variables to set.
    pub variables: Vec<(String, String)>,
}

impl ChannelAction {
    pub(super) fn parts(&self, id: &str) -> Parts {
        let whole = || path(&["channels", id]);
        let at = |last: &str| path(&["channels", id, last]);
        match self {
            Self::Get => Parts::get(whole()),
            Self::Hangup(reason) => reason.parts(whole()),
            Self::Continue(to) => to.parts(at("continue")),
            Self::Move { app, args } => Parts::post(at("move")).with("app", app).maybe("appArgs", args),
            Self::Redirect { endpoint } => Parts::post(at("redirect")).with("endpoint", endpoint),
            Self::Answer => Parts::post(at("answer")),
            Self::Ring => Parts::post(at("ring")),
            Self::StopRing => Parts::delete(at("ring")),
            Self::Dtmf(dtmf) => dtmf.parts(at("dtmf")),
            Self::Mute(direction) => Parts::post(at("mute")).with("direction", direction.as_str()),
            Self::Unmute(direction) => Parts::delete(at("mute")).with("direction", direction.as_str()),
            Self::Hold => Parts::post(at("hold")),
            Self::Unhold => Parts::delete(at("hold")),
            Self::StartMoh(class) => Parts::post(at("moh")).maybe("mohClass", class),
            Self::StopMoh => Parts::delete(at("moh")),
            Self::StartSilence => Parts::post(at("silence")),
            Self::StopSilence => Parts::delete(at("silence")),
            Self::Play(media) => match &media.playback_id {
                Some(playback) => Parts::post(path(&["channels", id, "play", playback])),
                None => Parts::post(at("play")),
            }
            .media(media),
            Self::Record(recording) => Parts::post(at("record")).recording(recording),
            Self::GetVariable(name) => Parts::get(at("variable")).with("variable", name),
            Self::SetVariable { name, value } => {
                Parts::post(at("variable")).with("variable", name).with("value", value)
            }
            Self::Snoop(snoop) => snoop.parts(id),
            Self::Dial { caller, timeout_s } => {
                Parts::post(at("dial")).maybe("caller", caller).maybe("timeout", timeout_s)
            }
        }
    }
}

impl HangupReason {
    fn parts(&self, at: String) -> Parts {
        match self {
            Self::Normal => Parts::delete(at),
            Self::Reason(word) => Parts::delete(at).with("reason", word),
            Self::Code(code) => Parts::delete(at).with("reason_code", code),
        }
    }
}

impl ContinueAt {
    fn parts(&self, at: String) -> Parts {
        Parts::post(at)
            .maybe("context", &self.context)
            .maybe("extension", &self.exten)
            .maybe("priority", &self.priority)
            .maybe("label", &self.label)
    }
}

impl Dtmf {
    fn parts(&self, at: String) -> Parts {
        Parts::post(at)
            .with("dtmf", &self.digits)
            .maybe("before", &self.before_ms)
            .maybe("between", &self.between_ms)
            .maybe("duration", &self.duration_ms)
            .maybe("after", &self.after_ms)
    }
}

impl Snoop {
    fn parts(&self, id: &str) -> Parts {
        let at = match &self.snoop_id {
            Some(snoop) => path(&["channels", id, "snoop", snoop]),
            None => path(&["channels", id, "snoop"]),
        };
        let word = |direction: Option<MuteDirection>| direction.map_or("none", MuteDirection::as_str);
        Parts::post(at)
            .with("spy", word(self.spy))
            .with("whisper", word(self.whisper))
            .with("app", &self.app)
            .maybe("appArgs", &self.app_args)
    }
}

impl Originate {
    pub(super) fn parts(&self) -> Parts {
        let at = match &self.channel_id {
            Some(id) => path(&["channels", id]),
            None => path(&["channels"]),
        };
        Parts::post(at)
            .with("endpoint", &self.endpoint)
            .maybe("extension", &self.exten)
            .maybe("context", &self.context)
            .maybe("priority", &self.priority)
            .maybe("label", &self.label)
            .maybe("app", &self.app)
            .maybe("appArgs", &self.app_args)
            .maybe("callerId", &self.caller_id)
            .maybe("timeout", &self.timeout_s)
            .maybe("otherChannelId", &self.other_channel_id)
            .maybe("originator", &self.originator)
            .maybe("formats", &self.formats)
            .variables(&self.variables)
    }
}

impl CreateChannel {
    pub(super) fn parts(&self) -> Parts {
        Parts::post(path(&["channels", "create"]))
            .with("endpoint", &self.endpoint)
            .with("app", &self.app)
            .maybe("appArgs", &self.app_args)
            .maybe("channelId", &self.channel_id)
            .maybe("otherChannelId", &self.other_channel_id)
            .maybe("originator", &self.originator)
            .maybe("formats", &self.formats)
            .variables(&self.variables)
    }
}
