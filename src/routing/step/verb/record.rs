//! Recordings, and the voicemail that is made of them.

use crate::routing::parameters::parameters;
use crate::routing::step::Step;
use crate::routing::step::choice::{RecordFormat, RecordKind, StopKey};
use crate::routing::step::media::Media;
use crate::routing::step::outcome::Outcome;
use crate::routing::step::period::Period;
use crate::routing::step::template::Template;
use crate::routing::step::verb::Verbal;
use crate::routing::step::verb::{Answer, Play, Set};
use crate::routing::step::words::Variable;

parameters! {
    /// Records the call, or a message of the caller. The recording's name is in `${RECORDING}`.
    /// Outcomes: `done` (of a call: it has begun), `failed`.
    Record {} or {
        /// `call`: both sides, beside the following steps. `message`: what the caller says; the next step waits for its end.
        kind: RecordKind = RecordKind::Message,
        /// The recording's name; made of the call and the time without it.
        name: Option<Template> = None,
        /// Whether a beep comes first.
        beep: bool = false,
        /// How long it may become.
        limit: Option<Period> = None,
        /// The silence that ends a message.
        silence: Option<Period> = None,
        /// The file format, by Asterisk's name for it.
        format: RecordFormat = RecordFormat::Wav,
        /// The key that ends a message: `none`, `any`, `*` or `#`.
        stop_on: StopKey = StopKey::None,
    }
}

parameters! {
    /// Takes a message for a mailbox. It is nothing but `answer`, `play`, `record` and `set` (`Voicemail::steps`), and its `on`
    /// is that of the recording.
    /// Outcomes: `done` (the message's recording is in `${RECORDING}`, the mailbox in `${VOICEMAIL}`), `failed`.
    Voicemail {
        /// The mailbox.
        mailbox: Template,
    } or {
        /// What is played first.
        greeting: Vec<Media> = Vec::new(),
        /// How long a message may become.
        limit: Period = Period::seconds(180),
        /// The silence that ends it.
        silence: Period = Period::seconds(10),
        /// Whether a beep comes before the message.
        beep: bool = true,
        /// The file format, by Asterisk's name for it.
        format: RecordFormat = RecordFormat::Wav,
    }
}

impl Verbal for Record {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Done, Outcome::Failed]
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.kind == RecordKind::Call {
            let only = |what| format!("`{what}` is for `kind = \"message\"`");
            if self.silence.is_some() {
                wrong("silence", only("silence"));
            }
            if self.stop_on != StopKey::None {
                wrong("stop_on", only("stop_on"));
            }
        }
    }
}

impl Verbal for Voicemail {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Done, Outcome::Failed]
    }
}

impl Voicemail {
    /// The steps that it is made of. The last one has the outcomes, so it takes over the `on` of the step that this is.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::new(Answer::new())];
        // This is a variable's name, so the step is never left out.
        if let Ok(name) = Variable::try_from("VOICEMAIL") {
            steps.push(Step::new(Set::new(name, self.mailbox.clone())));
        }
        if !self.greeting.is_empty() {
            steps.push(Step::new(Play::new(self.greeting.clone())));
        }
        steps.push(Step::new(Record {
            beep: self.beep,
            limit: Some(self.limit),
            silence: Some(self.silence),
            format: self.format,
            stop_on: StopKey::Any,
            ..Record::new()
        }));
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::step::verb::Verb;

    #[test]
    fn voicemail_is_made_of_steps_that_anybody_could_write() {
        let mut voicemail = Voicemail::new(Template::try_from("sales").unwrap());
        voicemail.greeting = vec![Media::try_from("sound:away").unwrap()];
        let steps = voicemail.steps();
        let names: Vec<_> = steps.iter().map(|step| step.verb.name()).collect();
        assert_eq!(names, ["answer", "set", "play", "record"]);
        let last = &steps[3].verb;
        assert_eq!(last.outcomes(), voicemail.outcomes());
        assert!(matches!(last, Verb::Record(record) if record.beep && record.limit == Some(Period::seconds(180))));
    }
}
