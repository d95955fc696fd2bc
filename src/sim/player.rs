//! Plays calls: what is due when, and calls that wait for their `continue`.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::sync::Arc;

use rand::RngExt;

use super::cast::Cast;
use super::config::PlayedCall;
use super::instance::{CallClock, Instance};
use super::library::MixEntry;
use super::template::Template;
use super::world::World;
use super::{SimError, ending};

/// A call under way.
pub(super) struct Playing {
    pub instance: Instance,
    /// The index of its next event.
    next: usize,
    /// When its next step is due; other entries of the queue are out of date.
    due_at: i64,
    /// Since when it waits for the `continue` of a channel: the StasisEnd's due moment, the channel, the last moment.
    waiting: Option<(i64, String, i64)>,
    /// Channels that were continued before their StasisEnd was due.
    continued: HashSet<String>,
    /// Channels that did not enter Stasis, because no app was there.
    outside: HashSet<String>,
    unheard: u32,
}

impl World {
    /// Plays all that is due, and starts what arrives. Returns the next moment at which something is due,
    /// milliseconds since 1970.
    pub(super) fn advance(&mut self, now: i64) -> Option<i64> {
        self.arrive(now);
        while let Some(Reverse((at, key))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            if self.calls.get(&key).is_some_and(|playing| playing.due_at == at) {
                self.step(key, now);
            }
        }
        let next = self.due.peek().map(|Reverse((at, _))| *at);
        let arrival = self.next_arrival.map(|at| at.ceil() as i64);
        next.into_iter().chain(arrival).min()
    }

    /// Starts the calls whose time has come. The gaps between them are those of a Poisson process, as at a real
    /// switchboard.
    fn arrive(&mut self, now: i64) {
        // A machine that slept has missed its calls; they do not come all at once afterwards.
        const MISSED_MS: f64 = 5_000.0;
        self.next_arrival = self.next_arrival.map(|at| if at < now as f64 - MISSED_MS { now as f64 } else { at });
        while let Some(at) = self.next_arrival.filter(|at| *at <= now as f64) {
            if self.config.calls.is_some_and(|limit| self.arrived >= limit) {
                self.next_arrival = None;
                return;
            }
            self.arrived += 1;
            let entry = choose(&self.config.mix, &mut self.rng).cloned();
            if let Some(entry) = entry {
                self.start(&entry, at as i64);
            }
            let gap = -(1.0 - self.rng.random::<f64>()).ln() * 1000.0 / self.config.calls_per_second;
            self.next_arrival = Some(at + gap);
        }
    }

    /// Starts a playing now of a recording that the mix does not need to name.
    pub(super) fn play(&mut self, entry: &MixEntry, now: i64) -> Result<(), SimError> {
        if self.library.get(&entry.recording).is_empty() {
            self.library.add(entry)?;
        }
        self.start(entry, now);
        Ok(())
    }

    fn start(&mut self, entry: &MixEntry, at: i64) {
        if self.calls.len() >= self.config.max_live_calls {
            self.truth.refused += 1;
            return;
        }
        let templates = self.library.get(&entry.recording);
        if templates.is_empty() {
            return;
        }
        let template = templates[self.rng.random_range(0..templates.len())].clone();
        let instance = self.instance(template, entry, at);
        self.last_call += 1;
        let key = self.last_call;
        let due_at = instance.due(0);
        let (waiting, continued, outside) = (None, HashSet::new(), HashSet::new());
        self.calls.insert(key, Playing { instance, next: 0, due_at, waiting, continued, outside, unheard: 0 });
        self.schedule(key, due_at);
        self.truth.started += 1;
    }

    /// Sets when a playing's next step is due.
    fn schedule(&mut self, key: u64, at: i64) {
        if let Some(playing) = self.calls.get_mut(&key) {
            playing.due_at = at;
            self.due.push(Reverse((at, key)));
        }
    }

    fn instance(&mut self, template: Arc<Template>, entry: &MixEntry, start: i64) -> Instance {
        let people = self.config.people.clone();
        let busy: HashSet<String> =
            self.calls.values().flat_map(|p| p.instance.cast.agents(&people)).cloned().collect();
        let cast = Cast::choose(&template, entry.direction, &people, &busy, &mut self.rng);
        let (from, to) = entry.stretch;
        let stretch = if to > from { self.rng.random_range(from..to) } else { from };
        let clock = CallClock { start, stretch, speed: self.config.speed, waits: Vec::new() };
        Instance::new(template, clock, cast, &self.config.app, &mut self.numbering, &mut self.rng)
    }

    /// Plays one event of a playing, or ends its wait.
    fn step(&mut self, key: u64, now: i64) {
        let Some(playing) = self.calls.get_mut(&key) else { return };
        if let Some((since, channel, deadline)) = &playing.waiting {
            if now < *deadline {
                return;
            }
            let (since, waited) = (*since, now - *since);
            tracing::warn!(channel, waited_ms = waited, "the service did not continue this channel; the call goes on");
            playing.resume(since, now);
            self.truth.not_continued += 1;
        } else if self.must_wait(key, now) {
            return;
        }
        let Some(mut playing) = self.calls.remove(&key) else { return };
        self.emit(&mut playing, key);
        playing.next += 1;
        if playing.next < playing.instance.template.events.len() {
            let at = playing.instance.due(playing.next);
            self.calls.insert(key, playing);
            self.schedule(key, at);
        } else {
            self.remember(playing.over(now, false));
            self.forget(key);
        }
    }

    /// Whether the next event is the StasisEnd of a channel that nobody has continued yet. Its playing waits then.
    fn must_wait(&mut self, key: u64, now: i64) -> bool {
        let timeout = i64::try_from(self.config.continue_timeout.as_millis()).unwrap_or(i64::MAX);
        let Some(playing) = self.calls.get_mut(&key) else { return true };
        let event = &playing.instance.template.events[playing.next];
        let Some(channel) = event.gate.and(event.channels.first()).map(|v| playing.instance.text(*v).to_owned()) else {
            return false;
        };
        if playing.outside.contains(&channel) || playing.continued.remove(&channel) {
            return false;
        }
        let deadline = now.saturating_add(timeout);
        playing.waiting = Some((playing.instance.due(playing.next), channel, deadline));
        self.schedule(key, deadline);
        true
    }

    /// Delivers the playing's next event and takes it into the state.
    fn emit(&mut self, playing: &mut Playing, key: u64) {
        let listens = self.app_listens();
        let instance = &playing.instance;
        let event = &instance.template.events[playing.next];
        let channel = event.channels.first().map(|var| instance.text(*var).to_owned()).unwrap_or_default();
        match event.kind.as_str() {
            "StasisStart" if !listens => {
                playing.outside.insert(channel);
                return;
            }
            "StasisEnd" if playing.outside.remove(&channel) => return,
            _ => {}
        }
        let ids: Vec<&str> = event.channels.iter().map(|var| instance.text(*var)).collect();
        let names: Vec<String> =
            ids.iter().map(|id| self.state.channels.get(*id).map(|c| c.name.clone()).unwrap_or_default()).collect();
        let channels: Vec<(&str, &str)> = ids.iter().copied().zip(names.iter().map(String::as_str)).collect();
        let bridges: Vec<&str> = event.bridges.iter().map(|var| instance.text(*var)).collect();
        let render = |app: &str| {
            let mut text = String::with_capacity(1024);
            instance.render(playing.next, app, &mut text);
            text
        };
        let app = self.config.app.clone();
        if self.deliver(&event.kind, &channels, &bridges, render) == 0 {
            playing.unheard += 1;
        }
        let text = render(&app);
        if let Err(error) = self.state.take(&event.kind, &text, key, &app, |id| instance.linked(id)) {
            tracing::error!(recording = instance.template.name, %error, "a recorded event could not be taken in");
        }
    }

    /// `POST /channels/{id}/continue` for a channel that is in Stasis.
    pub(super) fn continue_channel(&mut self, id: &str, now: i64) {
        let Some(key) = self.state.channels.get(id).map(|c| c.call) else { return };
        let Some(playing) = self.calls.get_mut(&key) else { return };
        match &playing.waiting {
            Some((since, channel, _)) if channel == id => {
                let since = *since;
                playing.resume(since, now);
                playing.continued.insert(id.to_owned());
                self.schedule(key, now);
            }
            _ => {
                playing.continued.insert(id.to_owned());
            }
        }
    }

    /// `DELETE /channels/{id}`: ends the whole call that the channel is in, in the way that was recorded when the
    /// backend hung up.
    pub(super) fn hang_up(&mut self, id: &str, cause: i64, now: i64) {
        let Some(key) = self.state.channels.get(id).map(|c| c.call) else { return };
        let of_call = |(id, c): (&String, &super::state::Channel)| (c.call == key).then(|| id.clone());
        let channels: Vec<String> = self.state.channels.iter().filter_map(of_call).collect();
        ending::end(self, &channels, Some((id, cause)), now);
        if let Some(playing) = self.calls.remove(&key) {
            self.remember(playing.over(now, true));
        }
        self.forget(key);
    }

    /// Asterisk stops: with its hangup events (as `core restart now` does), or like a killed one, with none. Its
    /// channels are gone, its ids begin again.
    pub(super) fn restart(&mut self, with_events: bool, now: i64) {
        if with_events {
            let all: Vec<String> = self.state.channels.keys().cloned().collect();
            ending::end(self, &all, None, now);
        }
        self.state = super::state::State::default();
        let calls = std::mem::take(&mut self.calls);
        calls.into_values().for_each(|playing| self.remember(playing.over(now, true)));
        self.due.clear();
        self.numbering = super::instance::Numbering::default();
        self.started_at = now;
        self.globals.clear();
        // Before the clients' ends are noticed: no app survives.
        self.apps.clear();
    }

    /// A playing is over: what its recording left standing goes with it.
    fn forget(&mut self, key: u64) {
        self.state.channels.retain(|_, c| c.call != key);
        self.state.bridges.retain(|_, b| b.call != key);
    }
}

impl Playing {
    /// Goes on after a wait: all that comes later is later by as much.
    fn resume(&mut self, since: i64, now: i64) {
        self.waiting = None;
        let event = &self.instance.template.events[self.next];
        let (from, after) = (event.stamp, event.gate.unwrap_or(i64::MIN));
        self.instance.clock.waits.push((from, after, (now - since).max(0)));
    }

    fn over(self, now: i64, disturbed: bool) -> PlayedCall {
        PlayedCall {
            recording: self.instance.template.name.clone(),
            channels: self.instance.channels(),
            started_at: self.instance.clock.start,
            ended_at: now,
            expected: self.instance.expected(),
            unheard: self.unheard,
            disturbed,
        }
    }
}

/// An entry of the mix, by weight.
pub(super) fn choose<'a>(mix: &'a [MixEntry], rng: &mut rand::rngs::StdRng) -> Option<&'a MixEntry> {
    let total: u64 = mix.iter().map(|e| u64::from(e.weight)).sum();
    let mut left = rng.random_range(0..total.max(1));
    mix.iter().find(|entry| {
        let chosen = left < u64::from(entry.weight);
        left = left.saturating_sub(u64::from(entry.weight));
        chosen
    })
}
