//! One channel's life: the state machine of its leg.
//!
//! | state | on | becomes | and |
//! |---|---|---|---|
//! | `New` | State(Ring, Ringing), DialStatus(Ringing) | `Ringing` | fact Ringing (outgoing legs only) |
//! | `New`, `Ringing` | State(Up), DialStatus(Answer) | `Up` | fact Up; Answered when a dial says so |
//! | any but `Ended` | Destroyed, Vanished | `Ended` | fact Destroyed, Vanished |
//! | any but `Ended` | EnteredApp, WaitsInApp | same | asks for the route's steps, instead of what was asked before |
//! | `Ended` | anything | `Ended` | its fact is kept all the same: late events are facts too |
//!
//! What a leg asks is asked until its outcome is final or the channel has left the application; that takes a clock, so
//! whoever sends it sees to that. No row depends on it.
//!
//! Every input that is a fact becomes one, whatever the state: rows don't depend on the order of events.

use super::facts::{Fact, Origin};
use super::input::{ChannelState, DialStatus, Input, Opening};
use super::key::ChanKind;
use crate::model::Timestamp;
use crate::routing::{self, Step};

/// Where a leg is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LegState {
    /// Made.
    New,
    /// Rings.
    Ringing,
    /// Connected.
    Up,
    /// Over.
    Ended,
}

/// A request that a leg wants sent about its channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The step.
    pub step: Step,
    /// The rule that it belongs to.
    pub rule: &'static str,
}

/// What a step of the state machine leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// For the record.
    Fact(Timestamp, Fact),
    /// For Asterisk.
    Ask(Ask),
}

/// Why a command can't be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// The channel has ended.
    #[error("the channel has ended")]
    Ended,
    /// The dialplan carries the channel, so Asterisk takes no such command for it.
    #[error("the channel is not in the application: the dialplan carries it")]
    NotInApp,
}

/// One channel's leg.
#[derive(Clone, Debug)]
pub struct Leg {
    kind: ChanKind,
    state: LegState,
    in_app: bool,
    incoming: bool,
}

impl Leg {
    /// The leg of a channel that was just seen, and the fact that it exists.
    pub fn open(opening: Opening) -> (Self, Effect) {
        let leg = Self { kind: opening.kind, state: LegState::New, in_app: false, incoming: false };
        let at = opening.created;
        (leg, Effect::Fact(at, Fact::Opened(Box::new(opening))))
    }

    /// Where it is in its life.
    pub fn state(&self) -> LegState {
        self.state
    }

    /// Whether a command that needs the channel in the application can be sent.
    ///
    /// # Errors
    /// Says why not.
    pub fn may_command(&self) -> Result<(), Refusal> {
        match (self.state, self.in_app) {
            (LegState::Ended, _) => Err(Refusal::Ended),
            (LegState::New | LegState::Ringing | LegState::Up, false) => Err(Refusal::NotInApp),
            (LegState::New | LegState::Ringing | LegState::Up, true) => Ok(()),
        }
    }

    /// The step to take for a channel that waits in the application and that no leg decides about: the fallback of its
    /// route.
    pub fn fallback() -> Ask {
        let route = routing::route(&routing::CallFacts::default());
        Ask { step: route.fallback, rule: route.rule }
    }

    /// Takes one input; what follows is added to `effects`.
    pub fn step(&mut self, at: Timestamp, input: Input, effects: &mut Vec<Effect>) {
        let mut fact = |fact| effects.push(Effect::Fact(at, fact));
        match input {
            Input::Created => fact(Fact::CreationSeen),
            Input::State(state) => {
                if let Some(f) = self.enter_state(state) {
                    fact(f);
                }
            }
            Input::Party { rank, number, name } => fact(Fact::Party(rank, number, name)),
            Input::Exten { rank, exten, context } => fact(Fact::Exten(rank, exten, context)),
            Input::Protocol(id) => fact(Fact::Protocol(id)),
            Input::Dialed { by, dialstring } => {
                fact(Fact::Origin(by.map_or(Origin::Made, Origin::Dialed)));
                if !dialstring.is_empty() {
                    fact(Fact::Dialstring(dialstring));
                }
            }
            Input::DialStatus(status) => {
                if let Some(f) = self.dial(status) {
                    fact(f);
                }
            }
            Input::Entered(bridge) => fact(Fact::Entered(bridge)),
            Input::Left(bridge) => fact(Fact::Left(bridge)),
            Input::Hold => fact(Fact::Hold(true)),
            Input::Unhold => fact(Fact::Hold(false)),
            Input::App(app) => fact(Fact::App(app)),
            Input::HangupRequest { hard: true } | Input::Transferred => fact(Fact::HungUp),
            Input::HangupRequest { hard: false } => {}
            Input::Destroyed { cause, sip } => {
                self.state = LegState::Ended;
                fact(Fact::Destroyed(cause, sip));
            }
            Input::Vanished => {
                self.state = LegState::Ended;
                fact(Fact::Vanished);
            }
            Input::Touched => fact(Fact::Touched),
            // Whatever was asked before: it waits, so that was lost (with the service that asked, perhaps). A request too
            // many gets a refusal that harms nobody.
            Input::EnteredApp | Input::WaitsInApp => {
                self.in_app = true;
                self.ask(effects);
            }
            Input::LeftApp => {
                self.in_app = false;
            }
            #[cfg(any(test, feature = "test-hooks"))]
            #[expect(clippy::panic, reason = "the hook by which a test makes one leg's logic fail")]
            Input::Panic => panic!("a test wants this leg to fail"),
            #[cfg(any(test, feature = "test-hooks"))]
            Input::FoldFails => fact(Fact::FoldFails),
        }
    }

    fn enter_state(&mut self, state: ChannelState) -> Option<Fact> {
        match state {
            ChannelState::Ring => {
                self.incoming = true;
                self.rise(LegState::Ringing);
                None
            }
            ChannelState::Ringing => {
                self.rise(LegState::Ringing);
                Some(Fact::Ringing)
            }
            ChannelState::Up => {
                self.rise(LegState::Up);
                Some(Fact::Up)
            }
            ChannelState::Down | ChannelState::Other => None,
        }
    }

    fn dial(&mut self, status: DialStatus) -> Option<Fact> {
        match status {
            DialStatus::Begun | DialStatus::Progress => None,
            DialStatus::Ringing => {
                self.rise(LegState::Ringing);
                Some(Fact::Ringing)
            }
            DialStatus::Answer => {
                self.rise(LegState::Up);
                Some(Fact::Answered)
            }
            DialStatus::Ended => Some(Fact::DialEnded),
        }
    }

    /// States only rise; a late `Ringing` does not take an answer back.
    fn rise(&mut self, to: LegState) {
        let rank = |state| match state {
            LegState::New => 0,
            LegState::Ringing => 1,
            LegState::Up => 2,
            LegState::Ended => 3,
        };
        if rank(to) > rank(self.state) {
            self.state = to;
        }
    }

    fn ask(&self, effects: &mut Vec<Effect>) {
        if self.state == LegState::Ended || self.kind == ChanKind::Hidden {
            return;
        }
        let route = routing::route(&routing::CallFacts::default());
        for step in route.steps {
            effects.push(Effect::Ask(Ask { step, rule: route.rule }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ChanKey;

    fn leg() -> Leg {
        let opening = Opening {
            key: ChanKey(1),
            id: "1.1".into(),
            name: "PJSIP/100-00000001".into(),
            kind: ChanKind::Real,
            created: Timestamp::from_millis(0),
        };
        Leg::open(opening).0
    }

    fn step(leg: &mut Leg, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        leg.step(Timestamp::from_millis(5), input, &mut effects);
        effects
    }

    #[test]
    fn a_late_ringing_does_not_take_the_answer_back() {
        let mut leg = leg();
        step(&mut leg, Input::DialStatus(DialStatus::Answer));
        let effects = step(&mut leg, Input::State(ChannelState::Ringing));
        assert_eq!(leg.state(), LegState::Up);
        assert_eq!(effects, [Effect::Fact(Timestamp::from_millis(5), Fact::Ringing)]);
    }

    #[test]
    fn a_channel_in_the_app_is_continued_and_asked_anew_when_a_snapshot_shows_it() {
        let mut leg = leg();
        let asks = |effects: Vec<Effect>| effects.iter().filter(|e| matches!(e, Effect::Ask(_))).count();
        assert_eq!(asks(step(&mut leg, Input::EnteredApp)), 1);
        assert_eq!(asks(step(&mut leg, Input::WaitsInApp)), 1, "what was asked was lost with who asked");
        step(&mut leg, Input::Vanished);
        assert_eq!(asks(step(&mut leg, Input::WaitsInApp)), 0, "it is gone");
    }

    #[test]
    fn commands_are_refused_with_the_reason() {
        let mut leg = leg();
        assert_eq!(leg.may_command(), Err(Refusal::NotInApp));
        step(&mut leg, Input::EnteredApp);
        assert_eq!(leg.may_command(), Ok(()));
        step(&mut leg, Input::LeftApp);
        assert_eq!(leg.may_command(), Err(Refusal::NotInApp));
        step(&mut leg, Input::Destroyed { cause: 16, sip: None });
        assert_eq!(leg.may_command(), Err(Refusal::Ended));
    }
}
