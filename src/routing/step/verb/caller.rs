//! What happens to the caller's own channel: answered, hung up, handed on, played to.

use crate::routing::parameters::parameters;
use crate::routing::step::choice::SayAs;
use crate::routing::step::media::{self, Media};
use crate::routing::step::outcome::{Outcome, Then};
use crate::routing::step::period::Period;
use crate::routing::step::template::Template;
use crate::routing::step::verb::Verbal;
use crate::routing::step::words::{Cause, Keys, Label};

parameters! {
    /// Answers the caller's channel. A `play` before it is heard as early media where the caller's side allows that.
    /// Outcomes: `done`, `failed`.
    Answer {} or {}
}

parameters! {
    /// Lets the caller hear ringing until the next step that is heard.
    /// Outcomes: `done`, `failed`.
    Ring {} or {}
}

parameters! {
    /// Hangs the caller up. Ends the flow.
    Hangup {} or {
        /// Why, by Q.850: a word or a number from 1 to 127.
        cause: Cause = Cause::NORMAL,
    }
}

parameters! {
    /// Hands the caller back to the dialplan: behind `Stasis()`, or at the place that is given. Ends the flow.
    Continue {} or {
        /// The dialplan's context; the channel's own without it.
        context: Option<Template> = None,
        /// The extension; the channel's own without it.
        extension: Option<Template> = None,
        /// The priority, from 1; the next one, or 1 beside a context or an extension.
        priority: Option<u32> = None,
    }
}

parameters! {
    /// Plays, one after the other.
    /// Outcomes: `done`, `stopped` (a key of `stop_on`; it is in `${KEY}`), `failed` (none of them could be played).
    Play {
        /// What to play: `sound:hello`, `recording:x`, `number:12`, `digits:34`, `characters:ab`, `tone:busy` or an address.
        media: Vec<Media>,
    } or {
        /// Keys by which the caller stops it.
        stop_on: Keys = Keys::none(),
    }
}

parameters! {
    /// Says a text where Asterisk has the sounds for it.
    /// Outcomes: `done`, `stopped` (a key of `stop_on`; it is in `${KEY}`), `failed`.
    Say {
        /// The number, digits or characters.
        text: Template,
    } or {
        /// `number`, `digits` or `characters`.
        how: SayAs = SayAs::Digits,
        /// Keys by which the caller stops it.
        stop_on: Keys = Keys::none(),
    }
}

parameters! {
    /// Waits while the caller hears what was begun (ringing, music) or nothing.
    /// Outcome: `done`.
    Wait {
        /// How long.
        time: Period,
    } or {}
}

parameters! {
    /// Plays music on hold: for the time given, or, without one, beside the following steps until the next that is heard.
    /// Outcomes: `done`, `failed`.
    Music {} or {
        /// The class of music, from `musiconhold.conf`; Asterisk's default without it.
        class: Option<Label> = None,
        /// How long; the next step begins at once without it.
        time: Option<Period> = None,
    }
}

fn done_or_failed() -> Vec<Outcome> {
    vec![Outcome::Done, Outcome::Failed]
}

/// `stopped` only where a key can.
fn done_stopped_or_failed(stop_on: &Keys) -> Vec<Outcome> {
    let stopped = (!stop_on.as_str().is_empty()).then_some(Outcome::Stopped);
    [Outcome::Done].into_iter().chain(stopped).chain([Outcome::Failed]).collect()
}

impl Verbal for Answer {
    fn outcomes(&self) -> Vec<Outcome> {
        done_or_failed()
    }
}

impl Verbal for Ring {
    fn outcomes(&self) -> Vec<Outcome> {
        done_or_failed()
    }
}

impl Verbal for Hangup {
    fn outcomes(&self) -> Vec<Outcome> {
        Vec::new()
    }

    fn then(&self, _outcome: &Outcome) -> Then {
        Then::End
    }
}

impl Verbal for Continue {
    fn outcomes(&self) -> Vec<Outcome> {
        Vec::new()
    }

    fn then(&self, _outcome: &Outcome) -> Then {
        Then::End
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.priority == Some(0) {
            wrong("priority", "a priority counts from 1".to_owned());
        }
    }
}

impl Verbal for Play {
    fn outcomes(&self) -> Vec<Outcome> {
        done_stopped_or_failed(&self.stop_on)
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.media.is_empty() {
            wrong("media", "nothing to play".to_owned());
        }
    }
}

impl Say {
    /// The media URI for ARI's `play`, variables put in.
    ///
    /// # Errors
    /// The text can't be said so once the variables are in it: empty, or with a comma, at which ARI would split it.
    pub fn uri(&self, value: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
        media::checked(format!("{}:{}", self.how.word(), self.text.expand(value)))
    }
}

impl Verbal for Say {
    fn outcomes(&self) -> Vec<Outcome> {
        done_stopped_or_failed(&self.stop_on)
    }
}

impl Verbal for Wait {
    fn outcomes(&self) -> Vec<Outcome> {
        vec![Outcome::Done]
    }
}

impl Verbal for Music {
    fn outcomes(&self) -> Vec<Outcome> {
        done_or_failed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_a_medium() {
        let uri = |text: &str, how| {
            let text = Template::try_from(text).unwrap();
            Say { how, ..Say::new(text) }.uri(&|_| Some("12".to_owned()))
        };
        assert_eq!(uri("${x}", SayAs::Number).as_deref(), Ok("number:12"));
        assert_eq!(uri("a${x}", SayAs::Characters).as_deref(), Ok("characters:a12"));
        assert!(uri("", SayAs::Digits).is_err() && uri("1,2", SayAs::Digits).is_err());
    }
}
