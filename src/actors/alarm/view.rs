//! What alarms show of themselves.

use std::collections::BTreeMap;

use actix::MessageResponse;
use serde::Serialize;

use super::core::Core;
use super::event::{Detail, Kind};
use super::outbox::Outbox;
use crate::model::Timestamp;

/// An alarm that is raised now.
#[derive(Clone, Debug, Serialize)]
pub struct RaisedView {
    /// Which.
    pub alarm: Kind,
    /// The Asterisk, where it is about one.
    pub node: Option<String>,
    /// The trunk, or what lies on the disk.
    pub subject: Option<String>,
    /// Since when.
    pub since: Timestamp,
    /// Its figures.
    pub detail: Detail,
}

/// One configured way to people.
#[derive(Clone, Debug, Serialize)]
pub struct ChannelView {
    /// `webhook`, `email` or `telegram`.
    pub channel: &'static str,
    /// Messages that arrived since the start.
    pub sent: u64,
    /// Messages that were given up since the start.
    pub failed: u64,
    /// Tries that failed since the start.
    pub failed_tries: u64,
    /// Messages that wait.
    pub waiting: usize,
    /// Why the last try failed; none since one arrived.
    pub last_error: Option<String>,
}

/// What [`super::AlarmStatus`] shows.
#[derive(Clone, Debug, Serialize, MessageResponse)]
pub struct AlarmsView {
    /// The alarms that are raised now.
    pub raised: Vec<RaisedView>,
    /// The configured channels.
    pub channels: Vec<ChannelView>,
    /// Why the state can't be kept, if it can't.
    pub state_error: Option<String>,
}

impl AlarmsView {
    pub(super) fn new(
        core: &Core,
        names: impl Iterator<Item = &'static str>,
        outboxes: &BTreeMap<String, Outbox>,
        state_error: Option<String>,
    ) -> Self {
        let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        let raised = core.raised().map(|alarm| RaisedView {
            alarm: alarm.key.kind,
            node: some(&alarm.key.node),
            subject: some(&alarm.key.subject),
            since: Timestamp::from_secs_f64(alarm.since),
            detail: alarm.detail.clone(),
        });
        let channel = |name: &'static str| {
            let outbox = outboxes.get(name).cloned().unwrap_or_default();
            ChannelView {
                channel: name,
                sent: outbox.sent,
                failed: outbox.failed,
                failed_tries: outbox.failed_tries,
                waiting: outbox.waiting(),
                last_error: outbox.last_error,
            }
        };
        Self { raised: raised.collect(), channels: names.map(channel).collect(), state_error }
    }

    /// What somebody should look at.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let failing = |view: &ChannelView| {
            let why = view.last_error.as_ref()?;
            Some(format!("alarms can't be sent by {}: {why}", view.channel))
        };
        self.channels.iter().filter_map(failing).chain(self.state_error.clone()).collect()
    }
}
