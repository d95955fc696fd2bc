//! Where a call came from and went to: the one rule, for calls that were heard and for those known from CDR only.

use super::fold::LineRules;
use crate::model::Direction;

/// How the channel came with which the call began.
pub(super) struct Came<'a> {
    /// Whether it called by itself; nobody dialled it and ARI didn't make it.
    pub(super) by_itself: bool,
    /// Its endpoint (`PJSIP/trunk-a`), where it is a phone or a trunk.
    pub(super) endpoint: Option<&'a str>,
    /// The dialplan context in which it began.
    pub(super) context: Option<&'a str>,
}

/// Direction and trunk of a call; `endpoints` are those of all its phones and trunks. `None` where no trunk and no
/// context is configured.
pub(super) fn direction_of<'a>(
    rules: &dyn LineRules,
    came: &Came<'a>,
    mut endpoints: impl Iterator<Item = &'a str>,
) -> (Option<Direction>, Option<String>) {
    if !rules.configured() {
        return (None, None);
    }
    let resource = |endpoint: &str| endpoint.split_once('/').map(|(_, resource)| resource.to_owned());
    let trunk = came.endpoint.filter(|endpoint| rules.is_trunk(endpoint));
    let context = came.context.is_some_and(|context| rules.is_inbound_context(context));
    if came.by_itself && (context || trunk.is_some()) {
        return (Some(Direction::Inbound), trunk.and_then(resource));
    }
    match endpoints.find(|endpoint| rules.is_trunk(endpoint)) {
        Some(endpoint) => (Some(Direction::Outbound), resource(endpoint)),
        None => (Some(Direction::Internal), None),
    }
}
