//! A recorded call as pieces of text and places to fill, so that playing it again is quick and exact.
//!
//! Every string value of every event is compared with what is known of the call: its channels' ids and names, its
//! bridges, SIP Call-IDs, endpoints and numbers. Where one stands, whole or as a word of a longer value, the template
//! has a place (a `Var`); which of them may stand where is decided by the JSON key, so that a duration of "101"
//! milliseconds is never taken for an extension. Times become offsets from the call's first event.

use std::collections::HashMap;
use std::ops::Range;

use super::library::{Continue, ExpectedCall};
use super::trace::TraceEvent;
use super::{SimError, tokens};

/// A part of an event's text.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Text as recorded, a range of `Template::text`.
    Text(Range<usize>),
    /// A value of the playing, by its index in `Template::vars`.
    Var(usize),
    /// A moment, milliseconds from the call's first.
    Time(i64),
    /// The app that the event goes to.
    Application,
}

/// Something that each playing has its own value for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Var {
    /// A channel's id; `created` is its creation, milliseconds from the call's first moment.
    ChannelId { recorded: String, created: i64 },
    /// A channel's name: technology, what stands before the counter, the counter's group (the two halves of a Local
    /// channel share one), what stands behind it.
    ChannelName { recorded: String, tech: String, prefix: Vec<NamePart>, group: String, suffix: String },
    /// A bridge's id.
    BridgeId(String),
    /// A SIP Call-ID.
    ProtocolId(String),
    /// A playback's id or a recording's name.
    Media(String),
    /// Of one of the call's phones or trunks, by its index in `Template::endpoints`: the endpoint's name,
    Endpoint(usize),
    /// its number,
    Number(usize),
    /// its caller name,
    PersonName(usize),
    /// and how Dial names it.
    DialString(usize),
    /// What the caller dialled.
    Dialed,
    /// The app that the dialplan names.
    App,
    /// A duration that stands in a variable.
    Span(i64),
}

/// A part of a channel's name.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum NamePart {
    /// As recorded.
    Text(String),
    /// A value of the playing.
    Var(usize),
}

/// One event of a template.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// When it was received, milliseconds from the call's first moment.
    pub at: i64,
    /// Its own time, likewise.
    pub stamp: i64,
    /// Its `type`.
    pub kind: String,
    /// Its pieces, a range of `Template::pieces`.
    pub pieces: Range<usize>,
    /// The channels it speaks of, as indices of `Template::vars`.
    pub channels: Vec<usize>,
    /// The bridges it speaks of, likewise.
    pub bridges: Vec<usize>,
    /// For the `StasisEnd` that a `continue` led to: the time of the StasisStart before it.
    pub gate: Option<i64>,
}

/// A recorded call, ready to be played.
#[derive(Debug)]
pub(super) struct Template {
    pub name: String,
    /// All recorded text.
    pub text: String,
    pub pieces: Vec<Piece>,
    pub vars: Vec<Var>,
    pub events: Vec<Event>,
    /// The PJSIP endpoints of the call; the caller's first, if a phone made it.
    pub endpoints: Vec<String>,
    /// Whether a phone or trunk made it (and not ARI or the command line).
    pub from_phone: bool,
    /// The caller's first extension, if there is one.
    pub dialed: Option<String>,
    /// Spans of a second and longer without any event, milliseconds from the call's first moment.
    pub quiet: Vec<(i64, i64)>,
    /// For each channel's var, the var of the channel whose id is its `linkedid` at creation.
    pub linked: HashMap<usize, usize>,
    pub expected: Vec<ExpectedCall>,
}

impl Template {
    /// The event before which nothing happens for longest, by its place; never the first.
    pub(super) fn longest_pause(&self) -> usize {
        let pauses = self.events.windows(2).map(|pair| pair[1].at - pair[0].at);
        pauses.enumerate().max_by_key(|(_, pause)| *pause).map_or(1, |(before, _)| before + 1)
    }

    /// Prepares one cut call.
    ///
    /// # Errors
    /// When the call has no event of a channel.
    pub(super) fn new(
        name: &str,
        app: &str,
        call: &[TraceEvent],
        continues: &[Continue],
        expected: Vec<ExpectedCall>,
    ) -> Result<Self, SimError> {
        let first = call.iter().find_map(|e| e.channels.first());
        let Some((start, first)) = call.first().map(|e| e.stamp.millis()).zip(first) else {
            return Err(SimError::Trace(format!("{name}: no event of a channel in this call")));
        };
        let from_phone = first.name.starts_with("PJSIP/") && first.exten != "s";
        let mut template = Self {
            name: name.to_owned(),
            text: String::new(),
            pieces: Vec::new(),
            vars: vec![Var::Dialed, Var::App],
            events: Vec::new(),
            endpoints: Vec::new(),
            from_phone,
            dialed: Some(first.exten.clone()).filter(|e| !matches!(e.as_str(), "" | "s" | "h")),
            quiet: quiet_spans(call, start),
            linked: HashMap::new(),
            expected,
        };
        let words = Words::collect(&mut template, app, call, start);
        for event in call {
            template.add(event, &words, start, continues, call);
        }
        template.link(call);
        Ok(template)
    }

    /// The index of a var, which is added if it is new.
    fn var(&mut self, var: Var) -> usize {
        self.vars.iter().position(|v| *v == var).unwrap_or_else(|| {
            self.vars.push(var);
            self.vars.len() - 1
        })
    }

    fn add(&mut self, event: &TraceEvent, words: &Words, start: i64, continues: &[Continue], call: &[TraceEvent]) {
        let from = self.pieces.len();
        let variable = tokens::strings(&event.text)
            .into_iter()
            .find(|t| t.key == "variable")
            .map_or_else(String::new, |t| event.text[t.start..t.end].to_owned());
        let mut done = 0;
        for token in tokens::strings(&event.text) {
            let value = &event.text[token.start..token.end];
            let replaced = match token.key {
                "timestamp" | "creationtime" => {
                    value.parse::<crate::model::Timestamp>().ok().map(|t| vec![Piece::Time(t.millis() - start)])
                }
                "application" => Some(vec![Piece::Application]),
                key => words.replace(self, Field::of(key, &variable), value),
            };
            if let Some(pieces) = replaced {
                self.push_text(&event.text[done..token.start]);
                self.pieces.extend(pieces);
                done = token.end;
            }
        }
        self.push_text(&event.text[done..]);
        let vars_of = |ids: &mut dyn Iterator<Item = &String>| ids.filter_map(|id| words.id_var(id)).collect();
        self.events.push(Event {
            at: event.at - start,
            stamp: event.stamp.millis() - start,
            kind: event.kind.clone(),
            pieces: from..self.pieces.len(),
            channels: vars_of(&mut event.channels.iter().map(|c| &c.id).chain(&event.targets)),
            bridges: vars_of(&mut event.bridges.iter()),
            gate: gate(event, continues, call).map(|ms| ms - start),
        });
    }

    fn push_text(&mut self, text: &str) {
        if !text.is_empty() {
            let piece = self.keep(text);
            self.pieces.push(piece);
        }
    }

    fn keep(&mut self, text: &str) -> Piece {
        let from = self.text.len();
        self.text.push_str(text);
        Piece::Text(from..self.text.len())
    }

    /// Finds each channel's linkedid at creation: a dialled channel has its caller's, the halves of a Local channel
    /// share one, as measured.
    fn link(&mut self, call: &[TraceEvent]) {
        let var_of =
            |id: &str| self.vars.iter().position(|v| matches!(v, Var::ChannelId { recorded, .. } if recorded == id));
        let pair = |name: &str| name.strip_suffix(";1").or(name.strip_suffix(";2")).map(str::to_owned);
        let mut parent: HashMap<usize, usize> = HashMap::new();
        let mut halves: HashMap<String, usize> = HashMap::new();
        for event in call {
            let ids: Vec<usize> = event.channels.iter().filter_map(|c| var_of(&c.id)).collect();
            // Found in the order of the keys: `caller` comes before `peer`.
            if let (true, [caller, peer]) = (event.kind == "Dial", ids.as_slice()) {
                parent.entry(*peer).or_insert(*caller);
            }
            for (channel, id) in event.channels.iter().zip(&ids) {
                let half = pair(&channel.name).map(|p| *halves.entry(p).or_insert(*id));
                if let Some(half) = half.filter(|h| h != id) {
                    parent.entry(*id).or_insert(half);
                }
            }
        }
        for id in parent.keys() {
            let mut root = *id;
            // Bounded, in case a recording ever links in a circle.
            for _ in 0..parent.len() {
                root = parent.get(&root).copied().unwrap_or(root);
            }
            self.linked.insert(*id, root);
        }
    }
}

/// When the StasisEnd `event` came from a `continue`: the time of the StasisStart before it.
fn gate(event: &TraceEvent, continues: &[Continue], call: &[TraceEvent]) -> Option<i64> {
    let id = &event.channels.first().filter(|_| event.kind == "StasisEnd")?.id;
    let entered =
        |e: &&TraceEvent| e.kind == "StasisStart" && e.at <= event.at && e.channels.iter().any(|c| c.id == *id);
    let start = call.iter().rfind(entered)?;
    let sent = |c: &&Continue| {
        let at = (c.at * 1000.0) as i64;
        c.channel == *id && at + 5 >= start.at && at <= event.at
    };
    continues.iter().find(sent).map(|_| start.stamp.millis())
}

fn quiet_spans(call: &[TraceEvent], start: i64) -> Vec<(i64, i64)> {
    let mut stamps: Vec<i64> = call.iter().map(|e| e.stamp.millis() - start).collect();
    stamps.sort_unstable();
    stamps.windows(2).filter(|w| w[1] - w[0] >= 1000).map(|w| (w[0], w[1])).collect()
}

/// What kind of value stands under a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Field {
    /// Only ids can stand here.
    Id,
    Protocol,
    Exten,
    AppData,
    Dial,
    Number,
    Name,
    Resource,
    Span,
}

impl Field {
    fn of(key: &str, variable: &str) -> Self {
        match key {
            "protocol_id" => Self::Protocol,
            "exten" | "args" => Self::Exten,
            "app_data" | "dialplan_app_data" => Self::AppData,
            "dialstring" => Self::Dial,
            "number" | "caller_rdnis" => Self::Number,
            "name" => Self::Name,
            "resource" => Self::Resource,
            "value" => match variable {
                "BRIDGEPVTCALLID" => Self::Protocol,
                "DIALEDPEERNUMBER" => Self::Dial,
                v if v.trim_start_matches('_').starts_with("SIPREFER") => Self::Number,
                v if v.trim_end_matches("_MS").ends_with("TIME") || v.starts_with("QUEUEWAIT") => Self::Span,
                _ => Self::Id,
            },
            _ => Self::Id,
        }
    }
}

/// What is known of the call, by the text it has in the recording.
#[derive(Default)]
struct Words {
    /// Ids and names, which may stand anywhere.
    ids: Vec<(String, usize)>,
    protocol: Vec<(String, usize)>,
    /// By field: text, what of it stays, and the var behind it.
    people: Vec<(Field, String, &'static str, usize)>,
}

impl Words {
    fn collect(template: &mut Template, app: &str, call: &[TraceEvent], start: i64) -> Self {
        let mut words = Self::default();
        for channel in call.iter().flat_map(|e| &e.channels) {
            words.add_id(
                template,
                Var::ChannelId { recorded: channel.id.clone(), created: channel.created.millis() - start },
            );
            if !channel.protocol_id.is_empty() && !words.protocol.iter().any(|(text, _)| *text == channel.protocol_id) {
                let var = template.var(Var::ProtocolId(channel.protocol_id.clone()));
                words.protocol.push((channel.protocol_id.clone(), var));
            }
            let endpoint = channel.name.strip_prefix("PJSIP/").and_then(|rest| rest.rsplit_once('-')).map(|(e, _)| e);
            if let Some(endpoint) = endpoint.filter(|e| !template.endpoints.iter().any(|known| known == e)) {
                template.endpoints.push(endpoint.to_owned());
            }
        }
        words.add_people(template, app);
        for event in call {
            event.bridges.iter().for_each(|id| words.add_id(template, Var::BridgeId(id.clone())));
            event.media.iter().for_each(|id| words.add_id(template, Var::Media(id.clone())));
        }
        for channel in call.iter().flat_map(|e| &e.channels) {
            words.add_name(template, &channel.name);
        }
        // The longest first: PJSIP/100-00000000 before PJSIP/100 before 100.
        words.ids.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        words.protocol.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
        words.people.sort_by_key(|(_, text, _, _)| std::cmp::Reverse(text.len()));
        words
    }

    fn add_id(&mut self, template: &mut Template, var: Var) {
        let (Var::ChannelId { recorded, .. } | Var::BridgeId(recorded) | Var::Media(recorded)) = &var else { return };
        if !self.ids.iter().any(|(text, _)| text == recorded) {
            let text = recorded.clone();
            let var = template.var(var);
            self.ids.push((text, var));
        }
    }

    fn add_people(&mut self, template: &mut Template, app: &str) {
        use Field::{AppData, Dial, Exten, Name, Number, Resource};
        // What was dialled goes before the endpoint of the same number, where extensions stand.
        if let Some(dialed) = template.dialed.clone() {
            let var = template.var(Var::Dialed);
            let phone = template.endpoints.contains(&dialed);
            let fields: &[Field] = if phone { &[Exten, AppData] } else { &[Exten, AppData, Dial, Number, Name] };
            self.people.extend(fields.iter().map(|field| (*field, dialed.clone(), "", var)));
        }
        let var = template.var(Var::App);
        self.people.push((AppData, app.to_owned(), "", var));
        for (index, endpoint) in template.endpoints.clone().into_iter().enumerate() {
            let (line, person) = (format!("PJSIP/{endpoint}"), format!("Agent {endpoint}"));
            let dial = template.var(Var::DialString(index));
            let name = template.var(Var::Endpoint(index));
            let number = template.var(Var::Number(index));
            let of_person = template.var(Var::PersonName(index));
            self.people.extend([AppData, Dial].map(|field| (field, line.clone(), "PJSIP/", dial)));
            self.people.extend([Name, Field::Id].map(|field| (field, line.clone(), "PJSIP/", name)));
            self.people.push((Name, person, "", of_person));
            self.people.extend([Exten, AppData, Number, Name].map(|field| (field, endpoint.clone(), "", number)));
            self.people.push((Dial, endpoint.clone(), "", dial));
            self.people.push((Resource, endpoint, "", name));
        }
    }

    /// A channel's name is `TECH/WHAT-COUNTER` and, for a Local channel, `;1` or `;2`.
    fn add_name(&mut self, template: &mut Template, name: &str) {
        if self.ids.iter().any(|(text, _)| text == name) {
            return;
        }
        let Some((prefix, counter)) = name.rsplit_once('-') else { return };
        let (counter, half) = counter.split_at_checked(8).unwrap_or((counter, ""));
        let tech = prefix.split('/').next().unwrap_or_default().to_owned();
        let pieces = self.replace(template, Field::Name, prefix).unwrap_or_default();
        let mut parts: Vec<NamePart> = pieces
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Text(range) => Some(NamePart::Text(template.text[range].to_owned())),
                Piece::Var(var) => Some(NamePart::Var(var)),
                Piece::Time(_) | Piece::Application => None,
            })
            .collect();
        if parts.is_empty() {
            parts.push(NamePart::Text(prefix.to_owned()));
        }
        let group = format!("{tech}-{counter}");
        let (recorded, suffix) = (name.to_owned(), half.to_owned());
        let var = template.var(Var::ChannelName { recorded, tech, prefix: parts, group, suffix });
        self.ids.push((name.to_owned(), var));
    }

    fn id_var(&self, id: &str) -> Option<usize> {
        self.ids.iter().find(|(text, _)| text == id).map(|(_, var)| *var)
    }

    /// The pieces for a value, if anything in it is to be replaced.
    fn replace(&self, template: &mut Template, field: Field, value: &str) -> Option<Vec<Piece>> {
        if field == Field::Span {
            let span = value.parse().ok()?;
            return Some(vec![Piece::Var(template.var(Var::Span(span)))]);
        }
        let mut pieces = Vec::new();
        let (mut done, mut at) = (0, 0);
        while at < value.len() {
            match self.word_at(field, value, at) {
                Some((length, keep, var)) => {
                    if done < at + keep.len() {
                        pieces.push(template.keep(&value[done..at + keep.len()]));
                    }
                    pieces.push(Piece::Var(var));
                    at += length;
                    done = at;
                }
                None => at += value[at..].chars().next().map_or(1, char::len_utf8),
            }
        }
        if pieces.is_empty() {
            return None;
        }
        if done < value.len() {
            pieces.push(template.keep(&value[done..]));
        }
        Some(pieces)
    }

    /// The word that begins at `at` and may stand in this field: its length, the part of it that stays, its var.
    fn word_at(&self, field: Field, value: &str, at: usize) -> Option<(usize, &'static str, usize)> {
        let rest = &value[at..];
        if value[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let fits = |text: &str| {
            rest.strip_prefix(text).is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphanumeric()))
        };
        let plain = |(text, var): &(String, usize)| fits(text).then_some((text.len(), "", *var));
        let of_field = |(at, text, keep, var): &(Field, String, &'static str, usize)| {
            (*at == field && fits(text)).then_some((text.len(), *keep, *var))
        };
        let protocol = || self.protocol.iter().filter(|_| field == Field::Protocol).find_map(plain);
        protocol().or_else(|| self.ids.iter().find_map(plain)).or_else(|| self.people.iter().find_map(of_field))
    }
}
