//! Which events Asterisk may be told not to send.

use super::{Mistake, keys};

/// Without these the records would be wrong; what each is for.
const NEEDED: &[(&str, &str)] = &[
    ("ApplicationRegistered", "it says that Asterisk sends to this application"),
    ("ApplicationReplaced", "it says that another client took the application"),
    ("ApplicationUnregistered", "it says that Asterisk no longer sends to this application"),
    ("BridgeAttendedTransfer", "attended transfers are recorded from it"),
    ("BridgeBlindTransfer", "blind transfers are recorded from it"),
    ("BridgeCreated", "who talks with whom is recorded from it"),
    ("BridgeDestroyed", "who talks with whom is recorded from it"),
    ("BridgeMerged", "who talks with whom is recorded from it"),
    ("ChannelCallerId", "callers' numbers and names are recorded from it"),
    ("ChannelConnectedLine", "callees' numbers and names are recorded from it"),
    ("ChannelCreated", "calls begin with it"),
    ("ChannelDestroyed", "calls end with it"),
    ("ChannelDialplan", "queues and the dialled number are recorded from it"),
    ("ChannelEnteredBridge", "talk time is recorded from it"),
    ("ChannelHangupRequest", "who hung up is recorded from it"),
    ("ChannelHold", "hold time is recorded from it"),
    ("ChannelLeftBridge", "talk time is recorded from it"),
    ("ChannelStateChange", "ringing and answers are recorded from it"),
    ("ChannelTransfer", "transfers are recorded from it"),
    ("ChannelUnhold", "hold time is recorded from it"),
    ("Dial", "who was dialled, and with which outcome, is recorded from it"),
    ("RESTResponse", "answers to requests come with it"),
    ("StasisEnd", "it says that a call left this application"),
    ("StasisStart", "it says that a call entered this application"),
];

/// The other types of Asterisk 22's `events.json`, to catch a slip of the pen; a type that is in neither list passes,
/// as a younger Asterisk may have it.
const FREE: &[&str] = &[
    "ApplicationMoveFailed",
    "BridgeVideoSourceChanged",
    "CallBroadcast",
    "CallClaimed",
    "ChannelDtmfReceived",
    "ChannelTalkingFinished",
    "ChannelTalkingStarted",
    "ChannelToneDetected",
    "ChannelUserevent",
    "ChannelVarset",
    "ContactStatusChange",
    "DeviceStateChanged",
    "EndpointStateChange",
    "PeerStatusChange",
    "PlaybackContinuing",
    "PlaybackFinished",
    "PlaybackStarted",
    "RecordingFailed",
    "RecordingFinished",
    "RecordingStarted",
    "TextMessageReceived",
];

/// Checks the filter: each entry a type of events, and none that the call records are made of.
pub(super) fn check(filter: &[String], mistakes: &mut Vec<Mistake>) {
    for entry in filter {
        if let Some(reason) = refusal(entry) {
            mistakes.push(Mistake::at("ari.event_filter", format!("{entry:?}"), reason));
        }
    }
}

/// Why this entry can't stand, if it can't.
fn refusal(entry: &str) -> Option<String> {
    if let Some((name, reason)) = NEEDED.iter().find(|(name, _)| *name == entry) {
        return Some(format!("{name} can't be filtered: {reason}. Allowed: {}.", FREE.join(", ")));
    }
    if FREE.contains(&entry) {
        return None;
    }
    let shaped = entry.len() <= 64
        && entry.starts_with(|c: char| c.is_ascii_uppercase())
        && entry.chars().all(|c| c.is_ascii_alphanumeric());
    let known = || FREE.iter().copied().chain(NEEDED.iter().map(|(name, _)| *name));
    // Asterisk takes any text and then filters nothing, so a name in another case must not pass.
    let slip = known().any(|name| name.eq_ignore_ascii_case(entry));
    (!shaped || slip).then(|| {
        format!("{}Allowed: names of ARI event types, such as {}.", keys::suggestion(entry, known()), FREE.join(", "))
    })
}
