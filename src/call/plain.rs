//! The plain rows of a call whose fold failed: what each channel says of itself, nothing worked out from several.
//!
//! They close the call when its channels have ended, and mark it; the raw log holds the rest.

use super::facts::{ChanFacts, Origin};
use super::fold::{CallRow, LegRow, Rows};
use super::key::{ChanKey, ChanKind, endpoint};
use super::talk::{View, span};
use crate::model::{Status, Timestamp};

/// The plain rows of a call, `None` when its origin belongs to another.
pub(super) fn plain_call(node: &str, call: ChanKey, members: &[ChanKey], view: &View<'_>) -> Option<Rows> {
    let origin = view.chans.get(&call)?;
    let (started_at, _) = span(origin, call)?;
    let stays = || members.iter().filter_map(|k| view.chans.get(k).and_then(|c| Some((*k, c, span(c, call)?))));
    let over = stays().all(|(_, _, (_, to))| to.is_some());
    let ended_at = stays().filter_map(|(_, _, (_, to))| to).max().filter(|_| over);
    let called = |k: ChanKey, c: &ChanFacts| k != call && c.kind == ChanKind::Real;
    let answers = stays().filter(|(k, c, _)| called(*k, c)).filter_map(|(_, c, _)| Some((c.answered?, c)));
    let answered = answers.min_by_key(|(at, _)| *at);
    let status = match (over, answered.is_some() || origin.up.is_some()) {
        (false, false) => Status::Ringing,
        (false, true) => Status::Active,
        (true, _) if answered.is_some() => Status::Answered,
        (true, _) => Status::Failed,
    };
    let end = origin.ended().filter(|_| over);
    let row = CallRow {
        uid: format!("{node}/{}/{}", origin.id, origin.created.millis()),
        status,
        direction: None,
        trunk: None,
        did: None,
        caller_number: number(origin),
        caller_name: name(origin),
        dialed_number: origin.exten.as_ref().map(|e| e.first.to_string()).filter(|e| !matches!(e.as_str(), "" | "s")),
        callee_number: answered.and_then(|(_, c)| number(c)),
        callee_name: answered.and_then(|(_, c)| name(c)),
        caller_e164: None,
        dialed_e164: None,
        callee_e164: None,
        answered_kind: answered.map(|_| crate::model::AnsweredKind::Person),
        started_at,
        answered_at: answered.map(|(at, _)| at),
        ended_at,
        wait_ms: None,
        ring_ms: None,
        talk_ms: None,
        hold_ms: None,
        ended_by: None,
        cause: end.and_then(|e| e.cause),
        sip_status: end.and_then(|e| e.sip),
        protocol_id: origin.protocol.as_deref().map(str::to_owned),
        incomplete: true,
        legs: stays().count(),
        rings: stays().any(|(_, c, _)| c.kind == ChanKind::Real && c.ringing.is_some()),
        updated_at: stays().map(|(_, c, _)| c.last).max()?,
    };
    let legs = stays().map(|(key, chan, stay)| (key, plain_leg(call, key, chan, stay, view))).collect();
    Some((row, legs))
}

fn plain_leg(
    call: ChanKey,
    key: ChanKey,
    chan: &ChanFacts,
    (from, to): (Timestamp, Option<Timestamp>),
    view: &View<'_>,
) -> LegRow {
    let by = match chan.origin {
        Origin::Dialed(by) => view.chans.get(&by).map(|c| c.id.to_string()),
        Origin::Made | Origin::Caller => None,
    };
    LegRow {
        channel_id: chan.id.to_string(),
        channel_name: chan.name.to_string(),
        channel_created_at: chan.created,
        stay: chan.stays.iter().position(|s| s.call == call).unwrap_or(0),
        role: chan.role(key == call),
        endpoint: endpoint(&chan.name).to_owned(),
        number: number(chan),
        name: name(chan),
        dialed_by: by,
        started_at: from,
        ringing_at: chan.ringing,
        answered_at: chan.answered.or(chan.up),
        ended_at: to,
        hold_ms: 0,
        cause: None,
        sip_status: None,
        protocol_id: chan.protocol.as_deref().map(str::to_owned),
        last_event_seq: chan.last_event,
        updated_at: to.unwrap_or(chan.last),
    }
}

fn number(chan: &ChanFacts) -> Option<String> {
    chan.party.as_ref().map(|p| p.first.to_string()).filter(|n| !n.is_empty())
}

fn name(chan: &ChanFacts) -> Option<String> {
    chan.party.as_ref().map(|p| p.second.to_string()).filter(|n| !n.is_empty())
}
