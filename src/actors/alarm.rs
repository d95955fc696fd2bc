//! Alarms: what people are told by themselves, once each with its end.
//!
//! | part | what |
//! |---|---|
//! | `look` | what the service knows of itself, once a second |
//! | `judge`, `hours` | from that to readings: bad, good, neither; pure |
//! | `core` | from readings to events: raised, reminder, over; bursts and gaps summed up; pure |
//! | `outbox` | what waits for a channel, tries and waits; pure |
//! | `text` | events in English and Russian |
//! | `channel` | webhook, e-mail, Telegram |
//! | `state` | what outlives the process |

pub mod channel;
mod core;
pub mod event;
mod hours;
mod judge;
mod look;
mod outbox;
mod state;
pub mod text;
mod view;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tracing::{error, info, warn};

use super::messages::{Exited, Stop, wall_clock};
use super::supervisor::SystemStatus;
use super::tally::SharedTally;
use crate::config::{Config, Language};
use crate::db::pool::ReadPool;
use crate::model::NodeId;
use channel::{Channel, Message as Sent, SendError};
use core::{Core, Rules};
use event::{Event, Key, Kind, Notification};
use judge::Judge;
use look::{Look, Looked};
use outbox::Outbox;
use state::State;
pub use view::{AlarmsView, ChannelView, RaisedView};

/// What alarms are worked out from, beside the supervisor's view.
#[derive(Clone)]
pub struct Sources {
    /// The database, for gaps.
    pub pool: ReadPool,
    /// What was committed.
    pub tally: SharedTally,
}

/// What the actor is started with.
pub struct AlarmSetup {
    /// The configuration.
    pub config: Config,
    /// Where it looks.
    pub sources: Sources,
    /// Tells how everything is.
    pub system: Recipient<SystemStatus>,
    /// Told when it ends.
    pub exited: Recipient<Exited>,
}

/// What is raised, and how do the channels fare?
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "AlarmsView")]
pub struct AlarmStatus;

/// Conditions and channels of a configuration that was read again.
#[derive(Clone, Message)]
#[rtype(result = "()")]
pub struct NewAlarms(pub Box<Config>);

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// The name in [`Exited`].
pub const NAME: &str = "alarms";

/// The actor. It serves all Asterisks.
pub struct Alarms {
    setup: AlarmSetup,
    rules: Rules,
    judge: Judge,
    core: Core,
    channels: Vec<Rc<Channel>>,
    outboxes: BTreeMap<String, Outbox>,
    last_gap: Option<i64>,
    file: PathBuf,
    saved: Vec<u8>,
    saving: bool,
    state_error: Option<String>,
    looking: bool,
    stopping: bool,
    /// The last inbound call before this process began.
    inbound_before: Option<f64>,
}

impl Alarms {
    /// Goes on where the process before ended.
    pub fn new(setup: AlarmSetup) -> Self {
        let file = state::file_of(&setup.config.database.path);
        let (state, state_error) = match state::read(&file) {
            Ok(state) => (state, None),
            Err(error) => {
                let why = format!("{} can't be read, so alarms begin anew: {error}", file.display());
                warn!("{why}");
                (State::default(), Some(why))
            }
        };
        let channels = channels(&setup.config);
        let mut outboxes = state.outboxes;
        outboxes.retain(|name, _| channels.iter().any(|channel| channel.name == name));
        Self {
            rules: Rules::of(&setup.config.alarms),
            judge: Judge::new(&setup.config, wall_clock()),
            core: state.core,
            channels,
            outboxes,
            last_gap: state.last_gap,
            file,
            saved: Vec::new(),
            saving: false,
            state_error,
            looking: false,
            stopping: false,
            inbound_before: None,
            setup,
        }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.looking || self.stopping {
            return;
        }
        self.looking = true;
        let look = Look {
            config: self.setup.config.clone(),
            sources: self.setup.sources.clone(),
            last_gap: self.last_gap,
            inbound_before: self.inbound_before,
        };
        let system = self.setup.system.clone();
        let look = async move { look.now(system).await };
        ctx.spawn(look.into_actor(self).map(|looked, alarms, ctx| {
            alarms.looking = false;
            if let Some(looked) = looked.filter(|_| !alarms.stopping) {
                alarms.looked(looked, ctx);
            }
        }));
    }

    fn looked(&mut self, looked: Looked, ctx: &mut Context<Self>) {
        let now = wall_clock();
        let config = &self.setup.config;
        self.inbound_before = looked.inbound_before.or(self.inbound_before);
        self.core.keep(|key| is_watched(key, config));
        let silent_since = self.core.since(Kind::NoInbound);
        let readings = self.judge.judge(now, &looked.seen, silent_since);
        self.core.observe(now, readings, &self.rules);
        for gap in looked.gaps {
            self.last_gap = Some(gap.id);
            let row = gap.row;
            let (since, until) = (row.since.secs_f64(), row.until.secs_f64());
            // A frame that could not be read is a row of no length, and metrics count it.
            if config.alarms.gaps && row.sample.is_none() && until - since >= config.alarms.gap_min_s as f64 {
                let calls = u64::try_from(row.calls_touched).unwrap_or_default();
                self.core.gap(row.node.as_str(), since, until, &row.reason, calls);
            }
        }
        self.last_gap = looked.newest_gap.or(self.last_gap);
        if let Some(events) = self.core.due(now, &self.rules) {
            self.tell(now, events);
        }
        self.save(ctx);
        self.send(ctx);
    }

    /// Into the log and into every channel's outbox.
    fn tell(&mut self, now: f64, events: Vec<Event>) {
        let notification = Notification { id: format!("{:.0}", now * 1_000.0), at: now, events };
        let mut english = self.setup.config.clone();
        english.alarms.language = Language::En;
        for event in &notification.events {
            let one = Notification { events: vec![event.clone()], ..notification.clone() };
            let text = text::write(&one, &english);
            warn!("{}", text.subject);
        }
        for channel in &self.channels {
            if self.outboxes.entry(channel.name.to_owned()).or_default().push(notification.clone()) {
                error!(channel = channel.name, "too many alarms wait to be sent: the oldest is given up");
            }
        }
    }

    fn send(&mut self, ctx: &mut Context<Self>) {
        for channel in &self.channels {
            let outbox = self.outboxes.entry(channel.name.to_owned()).or_default();
            let Some(notification) = outbox.take(wall_clock()) else { continue };
            let message = Sent::new(&notification, &self.setup.config);
            let channel = channel.clone();
            let sending = async move {
                let answer = channel.send(&message).await;
                (channel.name, answer)
            };
            ctx.spawn(Box::pin(sending).into_actor(self).map(|(name, answer), alarms, ctx| {
                alarms.answered(name, answer);
                alarms.save(ctx);
                if !alarms.stopping {
                    alarms.send(ctx);
                }
            }));
        }
    }

    fn answered(&mut self, name: &'static str, answer: Result<String, SendError>) {
        let outbox = self.outboxes.entry(name.to_owned()).or_default();
        match answer {
            Ok(answer) => {
                info!(channel = name, "alarms sent: {answer}");
                outbox.arrived();
            }
            Err(failed) => {
                let why = failed.message.clone();
                let given_up =
                    outbox.refused(wall_clock(), failed.message, failed.retry_after, &self.setup.config.alarms);
                match given_up {
                    true => error!(channel = name, "alarms could not be sent and are given up: {why}"),
                    false => warn!(channel = name, "alarms could not be sent; tried again: {why}"),
                }
            }
        }
    }

    fn state(&self) -> Vec<u8> {
        let state = State { core: self.core.clone(), outboxes: self.outboxes.clone(), last_gap: self.last_gap };
        // Our own structs of numbers and texts always serialise.
        serde_json::to_vec(&state).unwrap_or_default()
    }

    /// Writes the state where it has changed; on another thread, since a disk may take its time.
    fn save(&mut self, ctx: &mut Context<Self>) {
        let text = self.state();
        if self.saving || text == self.saved {
            return;
        }
        self.saving = true;
        let file = self.file.clone();
        let written = async move {
            let written = tokio::task::spawn_blocking(move || state::write(&file, &text).map(|()| text)).await;
            written.map_err(std::io::Error::other).and_then(|written| written)
        };
        ctx.spawn(written.into_actor(self).map(|written, alarms, ctx| {
            alarms.saving = false;
            alarms.wrote(written, ctx);
        }));
    }

    fn wrote(&mut self, written: std::io::Result<Vec<u8>>, ctx: &mut Context<Self>) {
        match written {
            Ok(text) => {
                self.saved = text;
                self.state_error = None;
                // What changed meanwhile.
                self.save(ctx);
            }
            // Tried again at the next look.
            Err(error) => {
                let why = format!("{} can't be written, so a restart may repeat alarms: {error}", self.file.display());
                if self.state_error.as_ref() != Some(&why) {
                    warn!("{why}");
                }
                self.state_error = Some(why);
            }
        }
    }
}

fn channels(config: &Config) -> Vec<Rc<Channel>> {
    Channel::all(&config.alarms).into_iter().map(Rc::new).collect()
}

/// Whether the alarm is still wanted: switched on, and about an Asterisk that is configured.
fn is_watched(key: &Key, config: &Config) -> bool {
    let alarms = &config.alarms;
    let on = match key.kind {
        Kind::AsteriskUnreachable => alarms.asterisk_unreachable_s > 0,
        Kind::NoInbound => alarms.no_inbound_min > 0,
        Kind::TrunkFailures => alarms.trunk_failures_percent > 0,
        Kind::DiskLow => alarms.disk_free_mb > 0 || alarms.disk_free_percent > 0,
        Kind::WriterBehind => alarms.writer_behind_s > 0,
    };
    on && (key.node.is_empty() || config.asterisk.iter().any(|asterisk| asterisk.name == key.node))
}

impl Actor for Alarms {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.look(ctx);
        ctx.run_interval(LOOK, |alarms, ctx| alarms.look(ctx));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        let panicked = std::thread::panicking();
        self.setup.exited.do_send(Exited { node: NodeId::new(""), who: NAME, panicked });
    }
}

impl Handler<AlarmStatus> for Alarms {
    type Result = AlarmsView;

    fn handle(&mut self, _: AlarmStatus, _: &mut Self::Context) -> AlarmsView {
        let names = self.channels.iter().map(|channel| channel.name);
        AlarmsView::new(&self.core, names, &self.outboxes, self.state_error.clone())
    }
}

impl Handler<NewAlarms> for Alarms {
    type Result = ();

    fn handle(&mut self, NewAlarms(config): NewAlarms, _: &mut Self::Context) {
        self.rules = Rules::of(&config.alarms);
        self.judge.reconfigure(&config);
        self.channels = channels(&config);
        // What waited for a channel that is gone would wait for ever; one that is under way is answered for nobody.
        let channels = &self.channels;
        self.outboxes.retain(|name, _| channels.iter().any(|channel| channel.name == name));
        self.setup.config = *config;
    }
}

impl Handler<Stop> for Alarms {
    type Result = ();

    /// From now on nothing is looked at: an Asterisk that we leave is not unreachable.
    fn handle(&mut self, _: Stop, _: &mut Self::Context) {
        self.stopping = true;
        let text = self.state();
        if text != self.saved && !self.saving {
            match state::write(&self.file, &text) {
                Ok(()) => self.saved = text,
                Err(error) => warn!("{} can't be written: {error}", self.file.display()),
            }
        }
    }
}
