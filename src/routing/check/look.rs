//! One step by itself, beside what it refers to: rules, sounds, the dial policy.

use std::collections::BTreeSet;

use super::{Found, each_step, flow};
use crate::routing::policy::DialPolicy;
use crate::routing::step::verb::{Dial, Menu};
use crate::routing::step::{Media, Outcome, Step, Verb};

/// What steps refer to.
pub(super) struct Look<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) policy: &'a DialPolicy,
    pub(super) sounds: Option<&'a BTreeSet<String>>,
}

impl Look<'_> {
    pub(super) fn at(&self, path: &str, step: &Step, found: &mut Found) {
        for (parameter, media) in media(&step.verb) {
            self.sounds(&format!("{path}.{}.{parameter}", step.verb.name()), media, found);
        }
        match &step.verb {
            Verb::Goto(goto) if !self.names.contains(&goto.rule.as_str()) => {
                found.unknown(format!("{path}.goto.rule"), "rule", goto.rule.as_str(), self.names);
            }
            Verb::Dial(dial) => {
                self.targets(path, dial, found);
                abandoned(path, step, found);
            }
            Verb::Menu(menu) => choices(path, menu, step, found),
            Verb::Goto(_)
            | Verb::Answer(_)
            | Verb::Ring(_)
            | Verb::Hangup(_)
            | Verb::Continue(_)
            | Verb::Play(_)
            | Verb::Say(_)
            | Verb::Collect(_)
            | Verb::Record(_)
            | Verb::Voicemail(_)
            | Verb::Set(_)
            | Verb::If(_)
            | Verb::Wait(_)
            | Verb::Music(_)
            | Verb::Webhook(_) => {}
        }
    }

    /// Names the sounds that aren't there. Those whose name is in a variable are known once the call is there.
    fn sounds(&self, path: &str, media: &[Media], found: &mut Found) {
        let Some(known) = self.sounds else { return };
        for (index, sound) in media.iter().enumerate().filter_map(|(index, media)| Some((index, media.sound()?))) {
            if !known.contains(sound) {
                found.add(format!("{path}[{}]", index + 1), format!("Asterisk has no sound '{sound}'"));
            }
        }
    }

    /// Names whom the policy forbids. A target with a variable is judged when it is called.
    fn targets(&self, path: &str, dial: &Dial, found: &mut Found) {
        for (index, target) in dial.to.iter().enumerate().filter(|(_, target)| target.template().is_fixed()) {
            if let Some(why) = self.policy.judge(target.template().as_str()).why() {
                found.add(format!("{path}.dial.to[{}]", index + 1), format!("'{target}' is forbidden: {why}"));
            }
        }
    }
}

/// A caller who gave up hears nothing more.
fn abandoned(path: &str, step: &Step, found: &mut Found) {
    let Some(steps) = step.on.get(&Outcome::Abandoned) else { return };
    each_step(&format!("{path}.on.abandoned"), steps, &mut |path, step| {
        if needs_caller(&step.verb) {
            found.add(path.to_owned(), format!("the caller has gone, so '{}' can do nothing", step.verb.name()));
        }
    });
}

/// Whether a step does something to the caller's channel.
fn needs_caller(verb: &Verb) -> bool {
    match verb {
        Verb::Set(_) | Verb::If(_) | Verb::Webhook(_) | Verb::Hangup(_) => false,
        Verb::Answer(_)
        | Verb::Ring(_)
        | Verb::Continue(_)
        | Verb::Play(_)
        | Verb::Say(_)
        | Verb::Menu(_)
        | Verb::Collect(_)
        | Verb::Dial(_)
        | Verb::Record(_)
        | Verb::Voicemail(_)
        | Verb::Goto(_)
        | Verb::Wait(_)
        | Verb::Music(_) => true,
    }
}

/// A menu that leads nowhere by any key.
fn choices(path: &str, menu: &Menu, step: &Step, found: &mut Found) {
    let leads = step.on.keys().any(|outcome| matches!(outcome, Outcome::Chosen(_)));
    if !leads && flow::leads_on(step) {
        let keys = menu.keys.as_str().chars().map(|key| key.to_string());
        let choices: Vec<String> = keys.chain(menu.patterns.iter().map(ToString::to_string)).collect();
        let message = format!("no choice leads anywhere: `on` has none of {}", choices.join(", "));
        found.add(format!("{path}.menu"), message);
    }
}

/// The media of a verb, by parameter.
fn media(verb: &Verb) -> Vec<(&'static str, &[Media])> {
    match verb {
        Verb::Play(play) => vec![("media", &play.media)],
        Verb::Menu(menu) => vec![("prompt", &menu.prompt), ("invalid", &menu.invalid)],
        Verb::Collect(collect) => vec![("prompt", &collect.prompt), ("invalid", &collect.invalid)],
        Verb::Dial(dial) => {
            vec![("whisper", &dial.whisper), ("accept_prompt", &dial.accept_prompt), ("warn", &dial.warn)]
        }
        Verb::Voicemail(voicemail) => vec![("greeting", &voicemail.greeting)],
        Verb::Answer(_)
        | Verb::Ring(_)
        | Verb::Hangup(_)
        | Verb::Continue(_)
        | Verb::Say(_)
        | Verb::Record(_)
        | Verb::Set(_)
        | Verb::If(_)
        | Verb::Goto(_)
        | Verb::Wait(_)
        | Verb::Music(_)
        | Verb::Webhook(_) => Vec::new(),
    }
}
