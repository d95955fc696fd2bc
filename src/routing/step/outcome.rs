//! How a step can end.

use std::fmt;

use super::words::Cause;

/// How a step ended: what its `on` leads on from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It did what it was asked.
    Done,
    /// The caller pressed a key that stops it.
    Stopped,
    /// Asterisk refused it, or it could not be done.
    Failed,
    /// The caller pressed nothing in time, in the last try too.
    Timeout,
    /// The caller pressed what is not offered, in the last try too.
    Invalid,
    /// The caller chose this: a key of the menu, or one of its patterns as written there.
    Chosen(String),
    /// Somebody answered, and the talk is over.
    Answered,
    /// Nobody answered in time.
    NoAnswer,
    /// All were busy (Q.850 cause 17).
    Busy,
    /// Somebody refused (cause 21) and nobody answered.
    Rejected,
    /// None could be reached: unregistered, or unknown to Asterisk.
    Unreachable,
    /// The caller gave up before anybody answered.
    Abandoned,
    /// The condition holds.
    Yes,
    /// The condition does not hold.
    No,
}

impl Outcome {
    /// Every outcome that has a word of its own.
    pub const WORDS: &'static [(&'static str, Self)] = &[
        ("done", Self::Done),
        ("stopped", Self::Stopped),
        ("failed", Self::Failed),
        ("timeout", Self::Timeout),
        ("invalid", Self::Invalid),
        ("answered", Self::Answered),
        ("no_answer", Self::NoAnswer),
        ("busy", Self::Busy),
        ("rejected", Self::Rejected),
        ("unreachable", Self::Unreachable),
        ("abandoned", Self::Abandoned),
        ("yes", Self::Yes),
        ("no", Self::No),
    ];

    /// The word for it, in rules and in records.
    pub fn word(&self) -> &str {
        match self {
            Self::Done => "done",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::Invalid => "invalid",
            Self::Chosen(keys) => keys,
            Self::Answered => "answered",
            Self::NoAnswer => "no_answer",
            Self::Busy => "busy",
            Self::Rejected => "rejected",
            Self::Unreachable => "unreachable",
            Self::Abandoned => "abandoned",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }

    /// The cause with which a caller is hung up when the steps run out behind a `dial` that ended so: what the caller's
    /// channel was measured to have behind Asterisk's own `Dial` (which says 16 when nobody answered).
    pub fn cause(&self) -> Cause {
        match self {
            Self::Busy => Cause::BUSY,
            Self::Rejected => Cause::REJECTED,
            Self::Unreachable => Cause::NO_ROUTE,
            Self::Failed => Cause::CONGESTION,
            Self::NoAnswer
            | Self::Done
            | Self::Stopped
            | Self::Timeout
            | Self::Invalid
            | Self::Chosen(_)
            | Self::Answered
            | Self::Abandoned
            | Self::Yes
            | Self::No => Cause::NORMAL,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl From<&str> for Outcome {
    /// A word that is none of [`Outcome::WORDS`] is a choice of a menu.
    fn from(word: &str) -> Self {
        let known = Self::WORDS.iter().find(|(known, _)| *known == word);
        known.map_or_else(|| Self::Chosen(word.to_owned()), |(_, outcome)| outcome.clone())
    }
}

/// What comes after an outcome for which the step has no `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// The next step of the list; behind the last one of an `on`, the step behind the one that has it.
    Next,
    /// The flow is over: the caller is hung up if still there.
    End,
    /// The rule's fallback.
    Fallback,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back() {
        for (word, outcome) in Outcome::WORDS {
            assert_eq!((outcome.word(), &Outcome::from(*word)), (*word, outcome));
        }
        assert_eq!(Outcome::from("1"), Outcome::Chosen("1".to_owned()));
    }
}
