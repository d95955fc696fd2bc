//! Calls that are transferred to a queue or to voicemail, and transfers by feature codes.

use super::scenarios::Scene;
use super::stage::{Stage, same};
use crate::kit::wait::s;

pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("blind_transfer_to_queue", blind_transfer_to_queue),
    ("blind_transfer_to_voicemail", blind_transfer_to_voicemail),
    ("attended_transfer_to_waiting_queue", attended_transfer_to_waiting_queue),
    ("attended_transfer_to_agent", attended_transfer_to_agent),
    ("feature_attended_transfer", feature_attended_transfer),
    ("feature_blind_transfer", feature_blind_transfer),
];

/// The callee sends the caller to a queue, whose agent takes the call and hangs up.
fn blind_transfer_to_queue(stage: &Stage) -> usize {
    let _agent = stage.asterisk.answerer(123, 1_000, 2_000);
    let _first = stage.asterisk.callee("uas_refer", 176, &["ring=500", "talk=2000", "target=605"]);
    stage.call("uac", 173, &["to=176", "talk=60000"]);
    let call = stage.row(173, "173 -> 176 answered 123 callee");
    stage.talk_together(&call);
    1
}

/// The callee sends the caller to voicemail: a person had answered.
fn blind_transfer_to_voicemail(stage: &Stage) -> usize {
    let _first = stage.asterisk.callee("uas_refer", 115, &["ring=500", "talk=2000", "target=708"]);
    stage.call("uac", 179, &["to=115", "talk=6000"]);
    let call = stage.row(179, "179 -> 115 answered 115 caller");
    assert_eq!(call.answered_kind.as_deref(), Some("person"), "{call:?}");
    stage.talk_together(&call);
    1
}

/// The caller calls a queue and connects the first callee with it while it still waits.
fn attended_transfer_to_waiting_queue(stage: &Stage) -> usize {
    let _agent = stage.asterisk.answerer(125, 4_000, 3_000);
    let _first = stage.answerer(124, 500);
    stage.call("uac_attended", 177, &["to=124", "talk=2000", "target=606"]);
    let rows = stage.rows(177, 2);
    same(&rows[0], "177 -> 124 answered * *");
    same(&rows[1], "177 -> 606 answered 125 *");
    2
}

/// The same once the queue's agent has answered.
fn attended_transfer_to_agent(stage: &Stage) -> usize {
    let _agent = stage.asterisk.answerer(127, 500, 6_000);
    let _first = stage.answerer(126, 500);
    stage.call("uac_attended", 178, &["to=126", "talk=3000", "target=607"]);
    let rows = stage.rows(178, 2);
    same(&rows[0], "178 -> 126 answered * *");
    same(&rows[1], "178 -> 607 answered 127 *");
    2
}

/// *2 and a number: Asterisk itself dials the second person, by a Local channel; the caller hangs up
/// and the two talk on. One call: nobody but the caller came by himself.
fn feature_attended_transfer(stage: &Stage) -> usize {
    let _first = stage.asterisk.answerer(117, 300, 60_000);
    let _second = stage.asterisk.answerer(118, 500, 8_000);
    stage.call("uac_dtmf_info", 116, &["to=117", "digits=*2118", "talk=4000"]);
    let call = stage.row(116, "116 -> 117 answered 118 *");
    assert_eq!(call.answered_kind.as_deref(), Some("person"), "{call:?}");
    1
}

/// #1 and a number.
fn feature_blind_transfer(stage: &Stage) -> usize {
    let _first = stage.asterisk.answerer(131, 300, 60_000);
    let _second = stage.asterisk.answerer(132, 500, 2_000);
    let _caller = stage.asterisk.caller("uac_dtmf_info", 119, &["to=131", "digits=#1132", "talk=1000"]);
    let mark = stage.asterisk.channel("PJSIP/132-", s(30), |channel| channel["state"] == "Up");
    stage.asterisk.gone(&mark, s(30));
    let call = stage.rows_where("dialed_number = '131'", 1).remove(0);
    same(&call, "119 -> 131 answered 132 *");
    1
}
