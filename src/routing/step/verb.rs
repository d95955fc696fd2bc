//! The verbs. Each one's parameters stand in the files beneath, by what the verb is about.
//!
//! A new verb is a `parameters!` declaration there with its `Verbal` (outcomes, what follows them, what must fit together), a
//! line in `verbs!` below, an arm wherever the compiler asks for one (check, walk), and a step in
//! `config/routing.example.toml`. Reading, writing, mistakes and schema come with the declaration.

mod caller;
mod flow;
mod keys;
mod phones;
mod record;

pub use caller::{Answer, Continue, Hangup, Music, Play, Ring, Say, Wait};
pub use flow::{Goto, If, Set, Webhook};
pub use keys::{Collect, Look, Menu};
pub use phones::{Dial, Headers};
pub use record::{Record, Voicemail};

use super::outcome::{Outcome, Then};
use crate::routing::node::Node;
use crate::routing::parameters::Checked;
use crate::routing::read::{Read, Reader};

/// What a verb's parameters can do beside being read and written.
trait Verbal {
    /// How a step with these parameters can end.
    fn outcomes(&self) -> Vec<Outcome>;

    /// What comes after an outcome without `on`.
    fn then(&self, _outcome: &Outcome) -> Then {
        Then::Next
    }

    /// Names what is wrong with parameters that are right each by itself: parameter and message.
    fn check(&self, _wrong: &mut dyn FnMut(&'static str, String)) {}
}

impl<V: Verbal> Checked for V {
    const SHORT: bool = true;

    fn check(&self, wrong: &mut dyn FnMut(&'static str, String)) {
        Verbal::check(self, wrong);
    }
}

/// Declares the verbs by name.
macro_rules! verbs {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)+) => {
        /// What a step does, with its parameters.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Verb { $($(#[doc = $doc])* $name($name),)+ }

        impl Verb {
            /// Every verb's name.
            pub const NAMES: &'static [&'static str] = &[$($word,)+];

            /// The verb's name.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $word,)+ }
            }

            /// How it can end, in the order of its documentation.
            pub fn outcomes(&self) -> Vec<Outcome> {
                match self { $(Self::$name(verb) => verb.outcomes(),)+ }
            }

            /// What comes after an outcome for which the step has no `on`.
            pub fn then(&self, outcome: &Outcome) -> Then {
                match self { $(Self::$name(verb) => verb.then(outcome),)+ }
            }

            /// Reads the parameters of the verb of this name; none also where there is no such verb.
            pub(super) fn read(name: &str, node: &Node, reader: &mut Reader) -> Option<Self> {
                match name {
                    $($word => $name::read(node, reader).map(Self::$name),)+
                    _ => None,
                }
            }

            /// Writes its entry of a step's table.
            pub(super) fn write<M: serde::ser::SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                match self { $(Self::$name(verb) => map.serialize_entry($word, verb),)+ }
            }

            /// Its parameters that are not at their default, as JSON.
            pub fn parameters(&self) -> Option<serde_json::Value> {
                match self { $(Self::$name(verb) => serde_json::to_value(verb).ok(),)+ }
            }

            /// Each verb's name, what it does, and the schema of its parameters.
            pub fn schemas() -> Vec<(&'static str, &'static str, serde_json::Value)> {
                vec![$(($word, $name::ABOUT, $name::schema()),)+]
            }
        }

        $(impl From<$name> for Verb {
            fn from(verb: $name) -> Self {
                Self::$name(verb)
            }
        })+
    };
}

verbs! {
    /// Answers the caller's channel.
    Answer = "answer",
    /// Lets the caller hear ringing.
    Ring = "ring",
    /// Hangs the caller up.
    Hangup = "hangup",
    /// Back into the dialplan.
    Continue = "continue",
    /// Plays sounds.
    Play = "play",
    /// Says a number, digits or letters.
    Say = "say",
    /// Offers a choice by key.
    Menu = "menu",
    /// Takes digits into a variable.
    Collect = "collect",
    /// Calls phones.
    Dial = "dial",
    /// Records the call or a message.
    Record = "record",
    /// Takes a message for a mailbox.
    Voicemail = "voicemail",
    /// Sets a variable.
    Set = "set",
    /// Looks at a value.
    If = "if",
    /// Goes on with another rule's steps.
    Goto = "goto",
    /// Waits.
    Wait = "wait",
    /// Plays music on hold.
    Music = "music",
    /// Asks the owner's own program for steps.
    Webhook = "webhook",
}
