//! A journal that takes nothing: no socket is opened for frames that it would refuse, and nobody waits for a service that
//! could not hear them come.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::value::RawValue;
use tracing::info;

use super::life::Life;
use crate::actors::audit::{self, deliver};
use crate::actors::messages::{AppendFrames, EntryBody};
use crate::ari::objects::Channel;
use crate::ari::request::{ChannelAction, ContinueAt, Request};
use crate::routing::{self, Step};

/// Callers who are sent on at once.
const AT_ONCE: usize = 4;
/// How long the last entries may take into the journal.
const DRAIN_LIMIT: Duration = Duration::from_secs(1);

impl Life {
    /// Before each connect.
    ///
    /// # Errors
    /// Why there is no use in it: with the application registered callers would enter it.
    pub(super) async fn may_connect(&mut self) -> Result<(), String> {
        if self.stranded {
            self.stranded = self.send_on().await.is_err();
        }
        match deliver(&self.journal, AppendFrames(Vec::new())).await {
            Ok(Err(full)) => Err(full.to_string()),
            // A journal that is not there: what comes then is refused, and says so.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// The journal refused frames, and perhaps those of callers who entered the application: they stay there until
    /// somebody sends them on.
    async fn send_on(&self) -> Result<(), String> {
        let list = self.client.ask(&Request::ListChannels).await;
        let body = list.outcome.body().ok_or_else(|| list.outcome.to_string())?;
        let channels: Vec<&RawValue> = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let channels = channels.into_iter().filter_map(|raw| serde_json::from_str::<Channel<'_>>(raw.get()).ok());
        let waiting: Vec<String> = channels
            .filter(|channel| channel.waits_in(self.http.app()))
            .map(|channel| channel.id.to_string())
            .collect();
        if waiting.is_empty() {
            return Ok(());
        }
        info!(node = %self.node, callers = waiting.len(), "callers whose coming the journal refused are sent on");
        let route = routing::route(&routing::CallFacts::default());
        let asks = waiting.into_iter().map(|channel| {
            let request = match route.fallback {
                Step::Continue => Request::channel(channel, ChannelAction::Continue(ContinueAt::default())),
            };
            self.audited(request)
        });
        let final_ones = futures_util::stream::iter(asks).buffer_unordered(AT_ONCE).collect::<Vec<bool>>().await;
        // The record of it may be refused, too; the gap says already since when nothing is certain.
        self.outbox.drained(DRAIN_LIMIT).await;
        self.outbox.take_failure();
        // Who could not be sent on is looked for before the next connect.
        if final_ones.contains(&false) { Err("a caller could not be sent on".to_owned()) } else { Ok(()) }
    }

    /// Whether the outcome is final.
    async fn audited(&self, request: Request) -> bool {
        let id = self.ids.next();
        self.outbox.entry(EntryBody::Command(request.to_command(id.as_str(), super::prepare::WHO)));
        let answer = self.client.ask(&request).await;
        self.outbox.entry(EntryBody::Reply(audit::reply(id, &answer)));
        answer.outcome.is_final()
    }
}
