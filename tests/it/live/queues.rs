//! Queues and machines: being Up is not being answered by a person.

use super::scenarios::Scene;
use super::stage::Stage;
use crate::kit::rows::Call;

pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("queue_ringall", queue_ringall),
    ("queue_retry_abandon", queue_retry_abandon),
    ("queue_local_agent", queue_local_agent),
    ("queue_empty", queue_empty),
    ("announcement", announcement),
    ("echo", echo),
    ("stasis_only", stasis_only),
];

/// Both agents ring, 101 answers.
fn queue_ringall(stage: &Stage) -> usize {
    let _both = [stage.take(101), stage.take(102)];
    let _agents = [stage.answerer(101, 1_500), stage.answerer(102, 60_000)];
    stage.call("uac", 164, &["to=600", "talk=5000"]);
    let call = stage.row(164, "164 -> 600 answered 101 caller");
    stage.talk_by_events(&call, &[101]);
    assert_eq!(call.answered_kind.as_deref(), Some("person"));
    1
}

/// The only agent rings twice in vain; the caller gives up.
fn queue_retry_abandon(stage: &Stage) -> usize {
    let _agent = stage.take(101);
    let _phone = stage.asterisk.callee("uas_noanswer", 101, &[]);
    stage.call("uac", 165, &["to=601", "talk=14000"]);
    let call = stage.row(165, "165 -> 601 abandoned - caller");
    assert_eq!(call.talk_ms.unwrap_or(0), 0, "{call:?}");
    1
}

/// The agent stands behind a Local channel, answers at once and hangs up after 5 s.
fn queue_local_agent(stage: &Stage) -> usize {
    stage.call("uac", 166, &["to=602", "talk=60000"]);
    stage.row(166, "166 -> 602 answered * *");
    1
}

/// Nobody in the queue for 5 s.
fn queue_empty(stage: &Stage) -> usize {
    stage.call("uac", 167, &["to=603", "talk=60000"]);
    let call = stage.row(167, "167 -> 603 no_answer - *");
    assert_eq!(call.talk_ms.unwrap_or(0), 0, "{call:?}");
    1
}

/// The dialplan answers, plays something and hangs up.
fn announcement(stage: &Stage) -> usize {
    stage.call("uac", 168, &["to=700", "talk=60000"]);
    taken_by_a_machine(&stage.row(168, "168 -> 700 answered - system"));
    1
}

/// The dialplan answers and sends the caller's own voice back.
fn echo(stage: &Stage) -> usize {
    stage.call("uac", 169, &["to=702", "talk=1500"]);
    taken_by_a_machine(&stage.row(169, "169 -> 702 answered - caller"));
    1
}

#[track_caller]
fn taken_by_a_machine(call: &Call) {
    assert_eq!((call.answered_kind.as_deref(), call.talk_ms), (Some("system"), Some(0)), "{call:?}");
}

/// Stasis and nothing behind it: the service continues the call at once, the dialplan ends it.
fn stasis_only(stage: &Stage) -> usize {
    stage.call("uac", 170, &["to=800"]);
    stage.row(170, "170 -> 800 no_answer - *");
    1
}
