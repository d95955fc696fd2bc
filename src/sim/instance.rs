//! One playing of a recorded call: its own ids, people and clock.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use rand::RngExt;
use rand::rngs::StdRng;

use super::cast::Cast;
use super::clock::push_time;
use super::library::ExpectedCall;
use super::template::{NamePart, Piece, Template, Var};

/// The counters of one run of Asterisk; they begin again when it starts again, as the real ones do.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    channels: u64,
    /// The counter in channel names, by technology.
    names: HashMap<String, u32>,
    /// For the ids that the recording's app had chosen itself.
    own: u64,
}

/// When a playing happens. Recorded times are milliseconds from the call's first moment.
#[derive(Clone, Debug)]
pub(super) struct CallClock {
    /// The first moment, milliseconds since 1970.
    pub start: i64,
    /// By how much spans of a second and longer are longer.
    pub stretch: f64,
    /// By how much everything is faster.
    pub speed: f64,
    /// Waits that the recording has not, in order: from which recorded time on (but after which one), how long.
    pub waits: Vec<(i64, i64, i64)>,
}

impl CallClock {
    /// The moment of a recorded time, milliseconds since 1970.
    pub(super) fn when(&self, template: &Template, offset: i64) -> i64 {
        self.start + self.scaled(template, offset) + self.waited(offset)
    }

    #[expect(clippy::float_cmp, reason = "exactly 1 means: as recorded, without any arithmetic")]
    fn scaled(&self, template: &Template, offset: i64) -> i64 {
        if self.stretch == 1.0 && self.speed == 1.0 {
            return offset;
        }
        let inside = |(from, to): &(i64, i64)| (offset.min(*to) - from).max(0);
        let quiet: i64 = template.quiet.iter().map(inside).sum();
        ((offset as f64 + quiet as f64 * (self.stretch - 1.0)) / self.speed).round() as i64
    }

    fn waited(&self, offset: i64) -> i64 {
        self.waits.iter().filter(|(gate, after, _)| offset >= *gate && offset > *after).map(|(_, _, ms)| ms).sum()
    }
}

/// One playing.
#[derive(Debug)]
pub(super) struct Instance {
    pub template: Arc<Template>,
    pub clock: CallClock,
    pub cast: Cast,
    /// The text of each of the template's vars.
    values: Vec<String>,
}

impl Instance {
    pub(super) fn new(
        template: Arc<Template>,
        clock: CallClock,
        cast: Cast,
        app: &str,
        numbering: &mut Numbering,
        rng: &mut StdRng,
    ) -> Self {
        let count = template.vars.len();
        let mut instance = Self { template, clock, cast, values: vec![String::new(); count] };
        let template = instance.template.clone();
        for (index, var) in template.vars.iter().enumerate() {
            instance.values[index] = instance.value(var, app, numbering, rng);
        }
        // Names are made of the others.
        let mut counters: HashMap<&str, u32> = HashMap::new();
        for (index, var) in template.vars.iter().enumerate() {
            let Var::ChannelName { tech, prefix, group, suffix, .. } = var else { continue };
            let counter = *counters.entry(group).or_insert_with(|| {
                let next = numbering.names.entry(tech.clone()).or_default();
                *next = next.wrapping_add(1);
                next.wrapping_sub(1)
            });
            let mut name = String::with_capacity(32);
            for part in prefix {
                name.push_str(match part {
                    NamePart::Text(text) => text,
                    NamePart::Var(var) => &instance.values[*var],
                });
            }
            // Writing to a String can't fail.
            let _ = write!(name, "-{counter:08x}{suffix}");
            instance.values[index] = name;
        }
        instance
    }

    /// The text of a var; that of a channel's name comes later.
    fn value(&self, var: &Var, app: &str, numbering: &mut Numbering, rng: &mut StdRng) -> String {
        let mut own = |recorded: &str| {
            numbering.own += 1;
            format!("{recorded}-{}", numbering.own)
        };
        match var {
            Var::ChannelId { recorded, .. } if !is_asterisks_own(recorded) => own(recorded),
            Var::ChannelId { created, .. } => {
                numbering.channels += 1;
                let second = self.clock.when(&self.template, *created).div_euclid(1000);
                format!("{second}.{}", numbering.channels - 1)
            }
            Var::ChannelName { .. } => String::new(),
            Var::BridgeId(recorded) | Var::ProtocolId(recorded) if is_uuid(recorded) => uuid(rng),
            Var::BridgeId(recorded) | Var::Media(recorded) => own(recorded),
            // A SIP phone's own Call-ID; `b///` is how sipp names a second dialog.
            Var::ProtocolId(_) => format!("{}-{}", rng.random_range(1..1_000_000_000), rng.random_range(1..100_000)),
            Var::Endpoint(index) => self.cast.people[*index].endpoint.clone(),
            Var::Number(index) => self.cast.people[*index].number.clone(),
            Var::PersonName(index) => self.cast.people[*index].name.clone(),
            Var::DialString(index) => self.cast.people[*index].dial.clone(),
            Var::Dialed => self.cast.dialed.clone(),
            Var::App => app.to_owned(),
            Var::Span(recorded) => ((*recorded as f64) * self.clock.stretch / self.clock.speed).round().to_string(),
        }
    }

    /// Writes event `index` as the app `application` gets it.
    pub(super) fn render(&self, index: usize, application: &str, out: &mut String) {
        for piece in &self.template.pieces[self.template.events[index].pieces.clone()] {
            match piece {
                Piece::Text(range) => out.push_str(&self.template.text[range.clone()]),
                Piece::Var(var) => out.push_str(&self.values[*var]),
                Piece::Time(offset) => push_time(out, self.clock.when(&self.template, *offset)),
                Piece::Application => out.push_str(application),
            }
        }
    }

    /// When event `index` is due, milliseconds since 1970.
    pub(super) fn due(&self, index: usize) -> i64 {
        self.clock.when(&self.template, self.template.events[index].at)
    }

    /// The text of a var.
    pub(super) fn text(&self, var: usize) -> &str {
        &self.values[var]
    }

    /// A new channel's linkedid, if it is another channel's id.
    pub(super) fn linked(&self, id: &str) -> Option<String> {
        let of = self.template.linked.iter().find(|(var, _)| self.values[**var] == id)?;
        Some(self.values[*of.1].clone())
    }

    /// The ids of the call's channels, the origin's first.
    pub(super) fn channels(&self) -> Vec<String> {
        let is_channel = |(var, _): &(&Var, &String)| matches!(var, Var::ChannelId { .. });
        self.template.vars.iter().zip(&self.values).filter(is_channel).map(|(_, value)| value.clone()).collect()
    }

    /// The rows that must come of it, with this playing's numbers. Talk time is known when nothing was stretched.
    pub(super) fn expected(&self) -> Vec<ExpectedCall> {
        let number = |recorded: &Option<String>, dialed: bool| {
            let recorded = recorded.as_ref()?;
            if dialed && self.template.dialed.as_ref() == Some(recorded) {
                return Some(self.cast.dialed.clone());
            }
            let role = self.template.endpoints.iter().position(|e| e == recorded);
            Some(role.map_or_else(|| recorded.clone(), |r| self.cast.people[r].number.clone()))
        };
        let same_length = (self.clock.stretch - 1.0).abs() < 1e-9 && (self.clock.speed - 1.0).abs() < 1e-9;
        let row = |row: &ExpectedCall| ExpectedCall {
            caller_number: number(&row.caller_number, false),
            dialed_number: number(&row.dialed_number, true),
            callee_number: number(&row.callee_number, false),
            talk_ms: row.talk_ms.filter(|_| same_length),
            ..row.clone()
        };
        self.template.expected.iter().map(row).collect()
    }
}

/// `1795352366.0`, and not an id that the app chose.
fn is_asterisks_own(id: &str) -> bool {
    id.split_once('.').is_some_and(|(a, b)| [a, b].iter().all(|p| p.bytes().all(|c| c.is_ascii_digit())))
}

fn is_uuid(id: &str) -> bool {
    id.len() == 36 && id.bytes().filter(|b| *b == b'-').count() == 4
}

fn uuid(rng: &mut StdRng) -> String {
    // A random (version 4, variant 1) uuid.
    let n = rng.random::<u128>() & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{n:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::library::{Library, MixEntry};
    use crate::sim::{Direction, People};
    use rand::SeedableRng;
    use serde_json::Value;
    use std::collections::HashSet;

    fn play(name: &str, direction: Direction, start: i64) -> (Instance, Vec<Value>) {
        let template = Library::for_mix(&[MixEntry::new(name, 1)]).unwrap().get(name)[0].clone();
        let mut rng = StdRng::seed_from_u64(7);
        let cast = Cast::choose(&template, direction, &People::default(), &HashSet::new(), &mut rng);
        let clock = CallClock { start, stretch: 1.0, speed: 1.0, waits: Vec::new() };
        let instance = Instance::new(template, clock, cast, "my-app", &mut Numbering::default(), &mut rng);
        let events = (0..instance.template.events.len())
            .map(|i| {
                let mut out = String::new();
                instance.render(i, "my-app", &mut out);
                serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e} in {out}"))
            })
            .collect();
        (instance, events)
    }

    #[test]
    fn nothing_of_the_recording_is_left_in_any_call() {
        for name in super::super::library::names().unwrap() {
            let (instance, events) = play(&name, Direction::AsRecorded, 1_900_000_000_000);
            let text = events.iter().map(Value::to_string).collect::<String>();
            for var in &instance.template.vars {
                if let Var::ChannelId { recorded, .. } | Var::BridgeId(recorded) | Var::Media(recorded) = var {
                    assert!(!text.contains(&format!("\"{recorded}\"")), "{name}: {recorded} is left");
                }
            }
            assert!(!text.contains("2026-11-22"), "{name}: a recorded time is left");
            assert!(!text.contains("callcenter-app"), "{name}: the recorded app is left");
        }
    }

    #[test]
    fn a_call_from_outside_has_the_trunk_and_its_number_everywhere() {
        let (instance, events) = play("answered", Direction::Inbound, 1_900_000_000_000);
        let start = &events.iter().find(|e| e["type"] == "StasisStart").unwrap()["channel"];
        assert!(start["name"].as_str().unwrap().starts_with("PJSIP/trunk-0000000"), "{start}");
        assert!(start["caller"]["number"].as_str().unwrap().starts_with("+79"), "{start}");
        assert_eq!(start["dialplan"]["exten"], *instance.cast.dialed);
        let dial = events.iter().find(|e| e["type"] == "Dial" && e["dialstatus"] == "").unwrap();
        let agent = &instance.cast.people[1].number;
        assert_eq!(dial["dialstring"], **agent);
        assert_eq!(dial["caller"]["dialplan"]["app_data"], format!("PJSIP/{agent},30,tr"));
        assert_eq!(dial["peer"]["connected"]["number"], start["caller"]["number"]);
        let row = &instance.expected()[0];
        assert_eq!(row.caller_number.as_deref(), start["caller"]["number"].as_str());
        assert_eq!(row.dialed_number.as_deref(), Some(instance.cast.dialed.as_str()));
        assert_eq!(row.callee_number.as_ref(), Some(agent));
        // No recorded phone is left, as a word of its own.
        for event in &events {
            let text = event.to_string();
            for phone in ["\"100\"", "PJSIP/100", "Agent 100"] {
                assert!(!text.contains(phone), "{phone} in {text}");
            }
        }
    }

    #[test]
    fn a_call_to_outside_dials_the_number_at_the_trunk() {
        let (instance, events) = play("answered", Direction::Outbound, 1_900_000_000_000);
        let dial = events.iter().find(|e| e["type"] == "Dial" && e["dialstatus"] == "").unwrap();
        let number = &instance.cast.people[1].number;
        assert!(number.starts_with("+79"), "{number}");
        assert_eq!(dial["dialstring"], format!("{number}@trunk"));
        assert!(dial["peer"]["name"].as_str().unwrap().starts_with("PJSIP/trunk-"), "{dial}");
        assert_eq!(instance.expected()[0].callee_number.as_ref(), Some(number));
    }

    #[test]
    fn a_wait_moves_what_comes_after_it_and_nothing_before() {
        let (mut instance, before) = play("answered", Direction::AsRecorded, 1_900_000_000_000);
        let end = instance.template.events.iter().find(|e| e.gate.is_some()).unwrap().clone();
        instance.clock.waits.push((end.stamp, end.gate.unwrap(), 5_000));
        let millis = |v: &Value| v.as_str().unwrap().parse::<crate::model::Timestamp>().unwrap().millis();
        let mut moved = 0;
        for (index, event) in before.iter().enumerate() {
            let mut out = String::new();
            instance.render(index, "my-app", &mut out);
            let after: Value = serde_json::from_str(&out).unwrap();
            let by = millis(&after["timestamp"]) - millis(&event["timestamp"]);
            assert_eq!(by, if instance.template.events[index].stamp >= end.stamp { 5_000 } else { 0 });
            moved += usize::from(by > 0);
            if let Some(created) = event["caller"]["creationtime"].as_str() {
                assert_eq!(after["caller"]["creationtime"], created, "the caller came before the wait");
            }
        }
        assert!(moved > 50);
    }
}
