//! Callers while the registry can't serve them: it rebuilds, or the database takes nothing and as much is under way as
//! may be.
//!
//! Then the journal is read ahead for nothing but channels that wait in the application, and each is given the fallback of
//! its route at once. Everything up to there counts as the past from then on ([`super::RegistrySetup::live_from`]): when the
//! registry comes to it, it is recorded like all else, and nobody is asked a second time. The commands and their
//! replies stand in the journal as always.

use std::sync::LazyLock;

use actix::prelude::*;
use memchr::memmem::Finder;
use tracing::{info, warn};

use super::border::Border;
use super::{Registry, flow};
use crate::actors::ari_command::Ask;
use crate::actors::journal::JournalError;
use crate::actors::source::Source;
use crate::ari::entry::{Line, Snapshot};
use crate::ari::event::{Event, decode};
use crate::ari::objects::Channel;
use crate::ari::request::{ChannelAction, ContinueAt, Request};
use crate::call::ChanKind;
use crate::routing::{self, Step};

/// Lines without one of these words are none of a channel that waits; searched for before anything is parsed.
static ENTERED: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("StasisStart"));
/// See [`ENTERED`].
static SNAPSHOT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"snapshot\""));

/// How far ahead was read.
#[derive(Default)]
pub(super) struct Scout {
    /// The reader, and where it stands.
    source: Option<(Box<dyn Source>, u64)>,
    /// Whether somebody looks again when the registry has been stalled for long enough.
    timer: bool,
    /// Whether the log knows that callers are served this way.
    told: bool,
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
        if self.serve_ahead() {
            self.pump(ctx);
        }
    }

    /// Whether it is behind what was served ahead, or behind the start: then it is not yet where callers are.
    pub(super) fn is_behind(&self) -> bool {
        self.position < self.setup.live_from
    }

    /// Serves who waits in the next stretch of the journal; false when there is none.
    pub(super) fn serve_ahead(&mut self) -> bool {
        let from = self.setup.live_from.max(self.position);
        if self.setup.commands.is_none() || from >= self.end {
            return false;
        }
        match self.read_ahead(from) {
            Ok(Some((end, waiting))) => {
                waiting.iter().for_each(|channel| self.send_on(channel));
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

    /// The next stretch from there: where it ends, and who waits in it.
    fn read_ahead(&mut self, from: u64) -> Result<Option<(u64, Vec<String>)>, JournalError> {
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
        let waiting = chunk.lines().flat_map(|(_, line)| waiting(line, &self.setup.app)).collect();
        Ok(Some((end, waiting)))
    }

    fn send_on(&mut self, channel: &str) {
        let Some(commands) = &self.setup.commands else { return };
        if !std::mem::replace(&mut self.scout.told, true) {
            info!(node = %self.setup.stream.node, "callers are sent on ahead of their records, which can't be written yet");
        }
        let route = routing::route(&routing::CallFacts::default());
        let request = match route.fallback {
            Step::Continue => Request::channel(channel, ChannelAction::Continue(ContinueAt::default())),
        };
        // The reply comes through the journal, for the record.
        if let Err(error) = commands.get().try_send(Ask { request, who: format!("rule:{}", route.rule) }) {
            warn!(%channel, %error, "a request could not be handed over");
        }
    }
}

/// The channels that wait in the application by this line of the journal.
fn waiting(line: &[u8], app: &str) -> Vec<String> {
    if ENTERED.find(line).is_none() && SNAPSHOT.find(line).is_none() {
        return Vec::new();
    }
    let Ok(line) = serde_json::from_slice::<Line<'_>>(line) else { return Vec::new() };
    let real = |channel: &Channel<'_>| ChanKind::of(&channel.name) != ChanKind::Hidden;
    if let Some(event) = line.event {
        let Ok(frame) = decode(event.get()) else { return Vec::new() };
        return match frame.event {
            Event::StasisStart(start) if *frame.application == *app && real(&start.channel) => {
                vec![start.channel.id.to_string()]
            }
            _ => Vec::new(),
        };
    }
    let Some(Ok(snapshot)) = line.snapshot.map(|raw| serde_json::from_str::<Snapshot<'_>>(raw.get())) else {
        return Vec::new();
    };
    let channels = snapshot.channels.iter().filter_map(|raw| serde_json::from_str::<Channel<'_>>(raw.get()).ok());
    channels.filter(|channel| channel.waits_in(app) && real(channel)).map(|channel| channel.id.to_string()).collect()
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
    fn who_waits_in_our_application_is_found_in_events_and_snapshots() {
        let phone = "PJSIP/100-00000001";
        let entered = |app: &str, name: &str| {
            let channel = channel("1.1", "Stasis", app, name);
            serde_json::json!({"at": 1.0, "event": {"type": "StasisStart", "application": app, "args": [],
                "timestamp": "2026-11-22T12:59:26.306+0000", "channel": channel}})
            .to_string()
        };
        assert_eq!(waiting(entered("cc", phone).as_bytes(), "cc"), ["1.1"]);
        assert!(waiting(entered("other", phone).as_bytes(), "cc").is_empty());
        assert!(waiting(entered("cc", "Snoop/1.1-00000001").as_bytes(), "cc").is_empty());
        let channels = [
            channel("1.1", "Stasis", "cc,101", phone),
            channel("1.2", "Stasis", "other", phone),
            channel("1.3", "Dial", "PJSIP/101", phone),
        ];
        let snapshot = serde_json::json!({"at": 2.0, "snapshot": {"channels": channels, "bridges": []}});
        assert_eq!(waiting(snapshot.to_string().as_bytes(), "cc"), ["1.1"]);
        assert!(waiting(b"{\"at\": 3.0, \"gap\": {\"since\": 1.0, \"reason\": \"StasisStart\"}}", "cc").is_empty());
        assert!(waiting(b"StasisStart", "cc").is_empty());
    }
}
