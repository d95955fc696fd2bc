//! Handles and kinds of channels.

use crate::model::Timestamp;

/// A channel within one node's run of this program; never used again for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChanKey(pub u64);

/// What kind of thing a channel is, by the technology in its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChanKind {
    /// A phone or a trunk: somebody can be at its end.
    Real,
    /// `Local/...;1`, the half that is dialled or made.
    LocalOne,
    /// `Local/...;2`, the half that runs the dialplan.
    LocalTwo,
    /// Never part of a call: Snoop, recorders, announcers and other helpers of Asterisk.
    Hidden,
}

/// Technologies whose channels only help Asterisk itself or ARI.
const HIDDEN: &[&str] = &[
    "Snoop",
    "Announcer",
    "Recorder",
    "CBAnn",
    "CBRec",
    "ConfBridgeRecorder",
    "Message",
    "Surrogate",
    "Bridge",
    "UnicastRTP",
    "MulticastRTP",
    "AudioSocket",
    "WebSocket",
    "Parked",
];

impl ChanKind {
    /// The kind that this channel name tells.
    pub fn of(name: &str) -> Self {
        match name.split_once('/') {
            Some(("Local", _)) if name.ends_with(";2") => Self::LocalTwo,
            Some(("Local", _)) => Self::LocalOne,
            Some((technology, _)) if HIDDEN.contains(&technology) => Self::Hidden,
            Some(_) | None => Self::Real,
        }
    }

    /// Whether it is half of a Local channel.
    pub fn is_local(self) -> bool {
        matches!(self, Self::LocalOne | Self::LocalTwo)
    }
}

/// A stay of a channel in a call: from this moment until its next stay begins or the channel ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stay {
    /// When it began to belong to the call.
    pub from: Timestamp,
    /// The call, named by its origin.
    pub call: ChanKey,
    /// Whether it takes the caller's part there: a party that was handed over to the one that was consulted.
    pub calling: bool,
}

/// The endpoint of a channel: its name without the last part, `PJSIP/trunk-a` of `PJSIP/trunk-a-0000002a`.
pub(super) fn endpoint(name: &str) -> &str {
    match ChanKind::of(name) {
        ChanKind::Real | ChanKind::Hidden => name.rsplit_once('-').map_or(name, |(head, _)| head),
        ChanKind::LocalOne | ChanKind::LocalTwo => {
            let base = local_base(name);
            base.rsplit_once('-').map_or(base, |(head, _)| head)
        }
    }
}

/// The second in which a channel was made that has an id of Asterisk's own: `1795373314.0`, `pbx-1795373314.0` where
/// the server has a name.
///
/// `None` where the id was chosen by somebody else.
pub fn second_of(id: &str) -> Option<i64> {
    let (head, number) = id.rsplit_once('.')?;
    number.parse::<u64>().ok()?;
    head.rsplit_once('-').map_or(head, |(_, second)| second).parse().ok()
}

/// What both halves of a Local channel share: the name before `;1` or `;2`.
pub(super) fn local_base(name: &str) -> &str {
    name.rsplit_once(';').map_or(name, |(base, _)| base)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_asterisks_own_tells_its_second() {
        for (id, second) in [
            ("1795373314.0", Some(1_795_373_314)),
            ("pbx-1-1795373314.12", Some(1_795_373_314)),
            ("crm-call-7", None),
            ("crm.7", None),
            ("1795373314.x", None),
        ] {
            assert_eq!(second_of(id), second, "{id}");
        }
    }

    #[test]
    fn names_tell_kind_and_endpoint() {
        for (name, kind, at) in [
            ("PJSIP/100-00000002", ChanKind::Real, "PJSIP/100"),
            ("PJSIP/trunk-a-0000002a", ChanKind::Real, "PJSIP/trunk-a"),
            ("Local/102@plain-00000001;1", ChanKind::LocalOne, "Local/102@plain"),
            ("Local/102@plain-00000001;2", ChanKind::LocalTwo, "Local/102@plain"),
            ("Snoop/1795354493.4-00000000", ChanKind::Hidden, "Snoop/1795354493.4"),
            ("nonsense", ChanKind::Real, "nonsense"),
        ] {
            assert_eq!((ChanKind::of(name), endpoint(name)), (kind, at), "{name}");
        }
    }
}
