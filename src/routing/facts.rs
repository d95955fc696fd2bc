//! What is known of a call when it is routed.

use std::collections::BTreeMap;

use crate::ari::objects::Channel;
use crate::model::{Direction, Timestamp};

/// What a rule may look at: the call at the moment at which it enters the application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFacts {
    /// The Asterisk server's name in the configuration.
    pub node: String,
    /// The dialled number: the extension that the channel runs.
    pub dialed: String,
    /// Dialplan context.
    pub context: String,
    /// Caller's number.
    pub caller_number: String,
    /// Caller's name.
    pub caller_name: String,
    /// Where the call comes from and goes to, where that is known.
    pub direction: Option<Direction>,
    /// The arguments behind the application's name in `Stasis()`.
    pub args: Vec<String>,
    /// Channel variables that were read, by the name under which rules ask for them.
    pub variables: BTreeMap<String, String>,
    /// When the call entered.
    pub at: Timestamp,
    /// Calls that each rule has at this moment, by the rule's name; a rule that is missing has none.
    pub live: BTreeMap<String, u32>,
}

impl CallFacts {
    /// What a channel of this node shows, which entered with these arguments. Direction, load, and variables that ari.conf's
    /// `channelvars` doesn't name are for others to say.
    pub fn of_channel<'a>(
        node: &str,
        channel: &Channel<'_>,
        args: impl IntoIterator<Item = &'a str>,
        at: Timestamp,
    ) -> Self {
        let variables = channel.channelvars.and_then(|raw| serde_json::from_str(raw.get()).ok()).unwrap_or_default();
        Self {
            node: node.to_owned(),
            dialed: channel.dialplan.exten.to_string(),
            context: channel.dialplan.context.to_string(),
            caller_number: channel.caller.number.to_string(),
            caller_name: channel.caller.name.to_string(),
            direction: None,
            args: args.into_iter().map(str::to_owned).collect(),
            variables,
            at,
            live: BTreeMap::new(),
        }
    }

    /// The value of a variable in a text of a rule: one of the channel's, or what is known of the call under the name that
    /// Asterisk's dialplan has for it (`EXTEN`, `CONTEXT`, `CALLERID(num)`, `CALLERID(name)`).
    pub fn variable(&self, name: &str) -> Option<&str> {
        let known = match name {
            "EXTEN" => Some(self.dialed.as_str()),
            "CONTEXT" => Some(self.context.as_str()),
            "CALLERID(num)" => Some(self.caller_number.as_str()),
            "CALLERID(name)" => Some(self.caller_name.as_str()),
            _ => None,
        };
        self.variables.get(name).map(String::as_str).or(known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_variable_wins_over_what_is_known() {
        let mut facts = CallFacts { dialed: "101".to_owned(), ..CallFacts::default() };
        assert_eq!((facts.variable("EXTEN"), facts.variable("x")), (Some("101"), None));
        facts.variables.insert("EXTEN".to_owned(), "9".to_owned());
        assert_eq!(facts.variable("EXTEN"), Some("9"));
    }
}
