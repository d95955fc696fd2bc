//! Calling phones.

use crate::routing::parameters::parameters;
use crate::routing::read::Table;
use crate::routing::step::choice::{Hear, Strategy};
use crate::routing::step::media::{Media, Target};
use crate::routing::step::outcome::{Outcome, Then};
use crate::routing::step::period::Period;
use crate::routing::step::template::Template;
use crate::routing::step::verb::Verbal;
use crate::routing::step::words::{HeaderName, Keys, Label};

parameters! {
    /// Calls phones, and lets the caller talk with the one who answers.
    ///
    /// Outcomes: `answered` (the talk is over and the caller still there), `no_answer`, `busy` (all who could be reached
    /// were), `rejected`, `failed`, `unreachable` (unregistered or unknown, all of them), `abandoned` (the caller gave up: the
    /// steps of its `on` run without a caller). Without `on` the flow ends after `answered` and `abandoned`, as behind
    /// Asterisk's `Dial`; after the others the next step comes.
    Dial {
        /// Whom: `PJSIP/101`, one or a list of at most 32.
        to: Vec<Target>,
    } or {
        /// `all` at once, `in_order`, `round_robin`, or `least_recent` (whose last talk is longest ago first).
        strategy: Strategy = Strategy::All,
        /// How long each phone rings.
        ring: Period = Period::seconds(20),
        /// How long it rings in all; without it as long as each has its time.
        ring_total: Option<Period> = None,
        /// What the caller hears meanwhile: `ringing`, `music` or `early_media` (what the callee's side sends).
        hear: Hear = Hear::Ringing,
        /// The class of music for `hear = "music"`.
        music_class: Option<Label> = None,
        /// The number that the phones show; the caller's own without it.
        caller_number: Option<Template> = None,
        /// The name that the phones show; the caller's own without it.
        caller_name: Option<Template> = None,
        /// SIP headers (`X-...`) of the calls to the phones.
        headers: Headers = Headers::default(),
        /// What who answers hears before the two talk.
        whisper: Vec<Media> = Vec::new(),
        /// Keys by which who answers accepts the call; without them answering accepts it.
        accept_key: Keys = Keys::none(),
        /// What is played to ask for the key.
        accept_prompt: Vec<Media> = Vec::new(),
        /// How long who answers may take to press it; then that phone counts as not answering.
        accept_timeout: Period = Period::seconds(10),
        /// How long the talk may take; then it is ended.
        limit: Option<Period> = None,
        /// How long before the limit the caller is warned.
        warn_at: Vec<Period> = Vec::new(),
        /// What is played as the warning.
        warn: Vec<Media> = Vec::new(),
    }
}

impl Verbal for Dial {
    fn outcomes(&self) -> Vec<Outcome> {
        use Outcome::{Abandoned, Answered, Busy, Failed, NoAnswer, Rejected, Unreachable};
        vec![Answered, NoAnswer, Busy, Rejected, Failed, Unreachable, Abandoned]
    }

    fn then(&self, outcome: &Outcome) -> Then {
        if matches!(outcome, Outcome::Answered | Outcome::Abandoned) { Then::End } else { Then::Next }
    }

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        if self.to.is_empty() {
            wrong("to", "nobody to call".to_owned());
        }
        if self.ring_total.is_some_and(|total| total < self.ring) {
            wrong("ring_total", format!("less than `ring` ({}), so no phone would ring its time", self.ring));
        }
        if self.accept_key.as_str().is_empty() && !self.accept_prompt.is_empty() {
            wrong("accept_prompt", "needs `accept_key`".to_owned());
        }
        if self.music_class.is_some() && self.hear != Hear::Music {
            wrong("music_class", "needs `hear = \"music\"`".to_owned());
        }
        match self.limit {
            None if !self.warn_at.is_empty() => wrong("warn_at", "needs `limit`".to_owned()),
            Some(limit) if self.warn_at.iter().any(|at| *at >= limit) => {
                wrong("warn_at", format!("a warning comes before the limit ({limit}) is over"));
            }
            None | Some(_) => {}
        }
        if self.warn_at.is_empty() != self.warn.is_empty() {
            wrong("warn", "`warn_at` (when) and `warn` (what is played) belong together".to_owned());
        }
    }
}

/// SIP headers by name.
pub type Headers = Table<HeaderName, Template>;
