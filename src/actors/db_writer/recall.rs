//! What the writer tells a registry that has rebuilt what the journal gives: which open calls are still missing, and
//! which channels only seem to live.

use std::sync::Arc;

use actix::prelude::*;
use diesel::prelude::*;
use rustc_hash::FxHashSet;

use super::DbWriter;
use crate::actors::batch::Stream;
use crate::call::{self, EndedChannel, StoredCall, may_show};
use crate::db::unfinished::{KnownCall, legs_of, unfinished};
use crate::db::{calls::CallRow, legs::LegRow, read};
use crate::model::Timestamp;

/// Calls that are restored at a start, at most; the next start goes on with the rest.
const MAX_CALLS: usize = 10_000;
/// Events of one call that are read for it, at most: hours of a call with something each second.
const MAX_EVENTS: i64 = 20_000;
/// Events read for all of them, at most (some 100 MiB): from then on calls are restored from their rows alone.
const MAX_ALL_EVENTS: usize = 200_000;

/// Asks what the database has of calls that are open in it and were not rebuilt whole.
#[derive(Debug, Message)]
#[rtype(result = "Result<Recalled, String>")]
pub struct Recall {
    /// Whose.
    pub stream: Stream,
    /// Channels (id, creation time) that were rebuilt from their creation on, and nothing is missing behind it.
    pub whole: FxHashSet<(Arc<str>, Timestamp)>,
    /// Channels that seem to live and whose creation was not read.
    pub halves: Vec<(Arc<str>, Timestamp)>,
}

/// See [`Recall`].
#[derive(Debug, Default)]
pub struct Recalled {
    /// To be restored.
    pub calls: Vec<StoredCall>,
    /// Those halves that have ended.
    pub ended: Vec<EndedChannel>,
}

impl Handler<Recall> for DbWriter {
    type Result = Result<Recalled, String>;

    fn handle(&mut self, recall: Recall, _: &mut Self::Context) -> Self::Result {
        self.inside(|writer| writer.repaired().and_then(|()| writer.recall(&recall)))
            .map_err(|error| format!("what was open can't be read from the database: {error}"))
    }
}

impl DbWriter {
    fn recall(&mut self, recall: &Recall) -> QueryResult<Recalled> {
        let (conn, node) = (&mut self.connection, &recall.stream.node);
        let whole = |id: &str, created| recall.whole.contains(&(Arc::from(id), created));
        let known = unfinished(conn, node, whole, MAX_CALLS)?;
        let mut recalled = Recalled::default();
        for (id, created) in &recall.halves {
            let is = |l: &LegRow| *l.channel_id == **id && may_show(l.channel_created_at, l.ended_at, *created);
            if known.iter().flat_map(|c| &c.legs).any(is) {
                continue;
            }
            let legs = legs_of(conn, node, id)?.into_iter().filter(is);
            let last = legs.max_by_key(|l| (l.channel_created_at == *created, l.channel_created_at, l.stay));
            if let Some((leg, at)) = last.and_then(|leg| leg.ended_at.map(|at| (leg, at))) {
                let (cause, sip) = (leg.cause, leg.sip_status);
                recalled.ended.push(EndedChannel { id: leg.channel_id, created: *created, at, cause, sip });
            }
        }
        let mut left = MAX_ALL_EVENTS;
        for known in known {
            let events = if left == 0 { Vec::new() } else { read::call_events(conn, &known.call.uid, MAX_EVENTS)? };
            left = left.saturating_sub(events.len());
            recalled.calls.push(stored(known, events.into_iter().map(|event| event.body).collect()));
        }
        Ok(recalled)
    }
}

fn stored(known: KnownCall, events: Vec<String>) -> StoredCall {
    let mut legs: Vec<call::LegRow> = known.legs.into_iter().map(call::LegRow::from).collect();
    let origin =
        legs.iter().find(|leg| leg.role == "origin").map(|leg| (leg.channel_id.clone(), leg.channel_created_at));
    let origin = origin.unwrap_or_else(|| {
        let leg = lost_origin(&known.call);
        let origin = (leg.channel_id.clone(), leg.channel_created_at);
        legs.insert(0, leg);
        origin
    });
    StoredCall { origin, open: known.call.ended_at.is_none(), dialed: known.call.dialed_number, legs, events }
}

/// The leg of an origin that has none in the database, from the call's own row: its uid is `node/channel/milliseconds`.
fn lost_origin(call: &CallRow) -> call::LegRow {
    let uid = call.uid.as_str();
    let rest = uid.strip_prefix(call.node.as_str()).and_then(|rest| rest.strip_prefix('/')).unwrap_or(uid);
    let channel = rest.rsplit_once('/').map_or(rest, |(channel, _)| channel);
    call::LegRow {
        channel_id: channel.to_owned(),
        channel_name: String::new(),
        channel_created_at: call.started_at,
        stay: 0,
        role: "origin",
        endpoint: String::new(),
        number: call.caller_number.clone(),
        name: call.caller_name.clone(),
        dialed_by: None,
        started_at: call.started_at,
        ringing_at: None,
        answered_at: None,
        ended_at: None,
        hold_ms: 0,
        cause: None,
        sip_status: None,
        protocol_id: call.protocol_id.clone(),
        last_event_seq: None,
        updated_at: call.updated_at,
    }
}
