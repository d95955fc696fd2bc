//! Callers whom no call actor serves: the registry rebuilds, or the database takes nothing and as much is under way as
//! may be, or the channel's logic has failed.
//!
//! In the first two cases the journal is read ahead for nothing but channels that wait in the application, and each is given the fallback of
//! its route at once. Everything up to there counts as the past from then on ([`super::RegistrySetup::live_from`]): when the
//! registry comes to it, it is recorded like all else, and nobody is asked a second time. The commands and their
//! replies stand in the journal as always. Who is heard to have left is asked for no more.

use std::sync::LazyLock;

use actix::prelude::*;
use memchr::memmem::Finder;
use rustc_hash::FxHashMap;
use tracing::{error, info, warn};

use super::border::Border;
use super::entries::Entries;
use super::{CallExited, Registry, flow};
use crate::actors::asking::ask_until_final;
use crate::actors::call::waits_after;
use crate::actors::journal::JournalError;
use crate::actors::source::Source;
use crate::ari::entry::{Line, Snapshot};
use crate::ari::event::{Event, decode};
use crate::ari::objects::Channel;
use crate::call::{ChanKind, Fact, Leg};
use crate::model::Timestamp;

/// Lines without one of these words are none of a channel that waits or leaves; searched for before anything is parsed.
static WORDS: LazyLock<[Finder<'static>; 4]> =
    LazyLock::new(|| ["StasisStart", "StasisEnd", "ChannelDestroyed", "\"snapshot\""].map(Finder::new));

/// A channel by its id, and whether it begins (true) or ends to wait in the application.
type Heard = (String, bool);

/// How far ahead was read.
#[derive(Default)]
pub(super) struct Scout {
    /// The reader, and where it stands.
    source: Option<(Box<dyn Source>, u64)>,
    /// Whether somebody looks again when the registry has been stalled for long enough.
    timer: bool,
    /// Whether the log knows that callers are served this way.
    told: bool,
    /// Who is being asked for: the position of the journal up to which was read for that, and the asking.
    callers: FxHashMap<String, (u64, SpawnHandle)>,
}

impl Registry {
    /// The registry can't go on now. If that lasts, callers must not wait for it.
    pub(super) fn look_ahead(&mut self, ctx: &mut Context<Self>) {
        if self.border == Border::Passed && !self.flow.stalled() {
            if !std::mem::replace(&mut self.scout.timer, true) {
                ctx.run_later(flow::STALLED, |registry, ctx| {
                    registry.scout.timer = false;
                    registry.pump(ctx);
                });
            }
            return;
        }
        if self.serve_ahead(ctx) {
            self.pump(ctx);
        }
    }

    /// Whether it is behind what was served ahead, or behind the start: then it is not yet where callers are.
    pub(super) fn is_behind(&self) -> bool {
        self.position < self.setup.live_from
    }

    /// Serves who waits in the next stretch of the journal; false when there is none.
    pub(super) fn serve_ahead(&mut self, ctx: &mut Context<Self>) -> bool {
        let from = self.setup.live_from.max(self.position);
        if self.setup.commands.is_none() || from >= self.end {
            return false;
        }
        match self.read_ahead(from) {
            Ok(Some((end, callers))) => {
                for (channel, waits) in callers {
                    if waits {
                        self.tell_once();
                        self.ask_for(&channel, end, ctx);
                    } else {
                        self.ask_no_more(&channel, ctx);
                    }
                }
                self.setup.live_from = end;
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.scout.source = None;
                warn!(node = %self.setup.stream.node, %error, "callers can't be served ahead of the records");
                false
            }
        }
    }

    /// The next stretch from there: where it ends, and who comes and goes in it.
    fn read_ahead(&mut self, from: u64) -> Result<Option<(u64, Vec<Heard>)>, JournalError> {
        let mut source = match self.scout.source.take() {
            Some((source, position)) if position == from => source,
            Some(_) | None => match self.setup.source.at(from)? {
                Some(source) => source,
                None => return Ok(None),
            },
        };
        let Some(chunk) = source.read(self.setup.calls.read_bytes)? else {
            self.scout.source = Some((source, from));
            return Ok(None);
        };
        let end = chunk.end.offset();
        self.scout.source = Some((source, end));
        let callers = chunk.lines().flat_map(|(_, line)| callers(line, &self.setup.app)).collect();
        Ok(Some((end, callers)))
    }

    fn tell_once(&mut self) {
        if !std::mem::replace(&mut self.scout.told, true) {
            info!(node = %self.setup.stream.node, "callers are sent on ahead of their records, which can't be written yet");
        }
    }

    /// Asks for the fallback of this channel's route, which waits in the application, as the journal up to `from` says.
    pub(super) fn ask_for(&mut self, channel: &str, from: u64, ctx: &mut Context<Self>) {
        let Some(commands) = self.setup.commands.clone() else { return };
        self.ask_no_more(channel, ctx);
        let id = channel.to_owned();
        let asking = ask_until_final(commands, id.clone(), vec![Leg::fallback()]).into_actor(self);
        let asking = ctx.spawn(asking.map(move |(), registry, _| {
            registry.scout.callers.remove(&id);
        }));
        self.scout.callers.insert(channel.to_owned(), (from, asking));
    }

    fn ask_no_more(&mut self, channel: &str, ctx: &mut Context<Self>) {
        if let Some((_, asking)) = self.scout.callers.remove(channel) {
            ctx.cancel_future(asking);
        }
    }

    /// What the inputs of a stretch say of callers for whom no call actor asks, or who are being asked for here.
    pub(super) fn hear_of_callers(&mut self, live: bool, ctx: &mut Context<Self>) {
        let mut heard = Vec::new();
        for (key, inputs) in &self.inputs {
            let served = self.actors.contains_key(key);
            if served && self.scout.callers.is_empty() {
                continue;
            }
            if let (Some(waits), Some(id)) = (waits_after(inputs), self.ids.get(key)) {
                heard.push((id.clone(), waits, served));
            }
        }
        for (id, waits, served) in heard {
            if waits && live && !served {
                self.ask_for(&id, self.position, ctx);
                continue;
            }
            // What stands before the place where it was heard to wait says nothing of that. Of what is live the call actor
            // asks from now on.
            let later = self.scout.callers.get(&*id).is_some_and(|(from, _)| self.position > *from);
            let no_more = if waits { live } else { later };
            if no_more {
                self.ask_no_more(&id, ctx);
            }
        }
    }
}

impl Handler<CallExited> for Registry {
    type Result = ();

    fn handle(&mut self, exited: CallExited, ctx: &mut Self::Context) {
        if !exited.panicked {
            return;
        }
        self.view.call_panics += 1;
        self.actors.remove(&exited.key);
        // Kept until the channel is forgotten: it may enter the application again.
        let id = self.ids.get(&exited.key).cloned();
        error!(
            node = %self.setup.stream.node, channel = id.as_deref().unwrap_or("?"),
            "the logic of one call failed; the call is closed and marked, all others go on"
        );
        let at = self.graph.last_of(exited.key).unwrap_or(Timestamp::from_millis(0));
        let mut entries = Entries::new(bytes::Bytes::new());
        entries.fact(exited.key, at, Fact::Broken);
        self.ship(entries, false, false, ctx);
        if let Some(id) = id.filter(|_| exited.waits) {
            self.ask_for(&id, self.position, ctx);
        }
    }
}

/// The channels that wait in the application, or do so no longer, by this line of the journal.
fn callers(line: &[u8], app: &str) -> Vec<Heard> {
    if WORDS.iter().all(|word| word.find(line).is_none()) {
        return Vec::new();
    }
    let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Vec::new() };
    let real = |channel: &Channel<'_>| ChanKind::of(&channel.name) != ChanKind::Hidden;
    if let Some(event) = line.event {
        let Ok(frame) = decode(event.get()) else { return Vec::new() };
        let ours = *frame.application == *app;
        return match frame.event {
            Event::StasisStart(start) if ours && real(&start.channel) => vec![(start.channel.id.to_string(), true)],
            Event::StasisEnd(end) if ours => vec![(end.channel.id.to_string(), false)],
            Event::ChannelDestroyed(end) => vec![(end.channel.id.to_string(), false)],
            _ => Vec::new(),
        };
    }
    let Some(Ok(snapshot)) = line.snapshot.map(|raw| serde_json::from_str::<Snapshot<'_>>(raw.get())) else {
        return Vec::new();
    };
    let channels = snapshot.channels.iter().filter_map(|raw| serde_json::from_str::<Channel<'_>>(raw.get()).ok());
    let waiting = channels.filter(|channel| channel.waits_in(app) && real(channel));
    waiting.map(|channel| (channel.id.to_string(), true)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str, app_name: &str, app_data: &str, name: &str) -> serde_json::Value {
        serde_json::json!({
            "id": id, "name": name, "state": "Up", "creationtime": "2026-11-22T12:59:26.306+0000",
            "caller": {"name": "", "number": "100"}, "connected": {"name": "", "number": ""}, "accountcode": "",
            "language": "en", "dialplan": {"context": "c", "exten": "1", "priority": 1, "app_name": app_name,
            "app_data": app_data}
        })
    }

    #[test]
    fn who_waits_in_our_application_and_who_left_is_found_in_events_and_snapshots() {
        let phone = "PJSIP/100-00000001";
        let said = |kind: &str, app: &str, name: &str| {
            let channel = channel("1.1", "Stasis", app, name);
            serde_json::json!({"at": 1.0, "event": {"type": kind, "application": app, "args": [], "cause": 16,
                "timestamp": "2026-11-22T12:59:26.306+0000", "channel": channel}})
            .to_string()
        };
        let heard = |kind: &str, app: &str, name: &str| callers(said(kind, app, name).as_bytes(), "cc");
        assert_eq!(heard("StasisStart", "cc", phone), [("1.1".to_owned(), true)]);
        assert_eq!(heard("StasisEnd", "cc", phone), [("1.1".to_owned(), false)]);
        assert_eq!(heard("ChannelDestroyed", "feed", phone), [("1.1".to_owned(), false)]);
        assert_eq!([heard("StasisStart", "other", phone), heard("StasisEnd", "other", phone)], [[], []]);
        assert_eq!(heard("StasisStart", "cc", "Snoop/1.1-00000001"), []);
        let channels = [
            channel("1.1", "Stasis", "cc,101", phone),
            channel("1.2", "Stasis", "other", phone),
            channel("1.3", "Dial", "PJSIP/101", phone),
        ];
        let snapshot = serde_json::json!({"at": 2.0, "snapshot": {"channels": channels, "bridges": []}});
        assert_eq!(callers(snapshot.to_string().as_bytes(), "cc"), [("1.1".to_owned(), true)]);
        assert!(callers(b"{\"at\": 3.0, \"gap\": {\"since\": 1.0, \"reason\": \"StasisStart\"}}", "cc").is_empty());
        assert!(callers(b"StasisStart", "cc").is_empty());
    }
}
