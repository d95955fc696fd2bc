//! A call that moves on: transfers, forwarding, ring groups, hunting, Local channels.

use super::scenarios::Scene;
use super::stage::{Stage, same};
use crate::kit::wait::s;

pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("blind_transfer", blind_transfer),
    ("blind_transfer_by_caller", blind_transfer_by_caller),
    ("attended_transfer", attended_transfer),
    ("forward", forward),
    ("ring_group", ring_group),
    ("hunt", hunt),
    ("local_channel", local_channel),
    ("local_only", local_only),
];

/// The callee sends the caller on: one call, the last one to answer is the callee.
fn blind_transfer(stage: &Stage) -> usize {
    let _first = stage.asterisk.callee("uas_refer", 142, &["ring=500", "talk=2000", "target=143"]);
    let _second = stage.asterisk.answerer(143, 1_000, 2_000);
    stage.call("uac", 141, &["to=142", "talk=60000"]);
    let call = stage.row(141, "141 -> 142 answered 143 *");
    stage.talk_together(&call);
    1
}

/// The caller sends the callee on and leaves: still one call, which lives until its last leg ends.
fn blind_transfer_by_caller(stage: &Stage) -> usize {
    let _first = stage.answerer(145, 500);
    let _second = stage.asterisk.answerer(146, 1_000, 2_000);
    // The phone that transferred keeps its SIP dialogue for a minute more: nobody waits for that.
    let _caller = stage.asterisk.caller("uac_refer", 144, &["to=145", "talk=2000", "target=146"]);
    let mark = stage.asterisk.channel("PJSIP/146-", s(30), |channel| channel["state"] == "Up");
    stage.asterisk.gone(&mark, s(30));
    stage.row(144, "144 -> 145 answered 146 *");
    1
}

/// The caller asks a second person, then connects both: two calls.
fn attended_transfer(stage: &Stage) -> usize {
    let _first = stage.answerer(148, 500);
    let _second = stage.asterisk.answerer(149, 500, 6_500);
    stage.call("uac_attended", 147, &["to=148", "talk=2000", "target=149"]);
    let rows = stage.rows(147, 2);
    same(&rows[0], "147 -> 148 answered 148 *");
    same(&rows[1], "147 -> 149 answered 149 *");
    2
}

/// The phone forwards by itself (302): Asterisk makes a Local channel, whose half enters Stasis.
fn forward(stage: &Stage) -> usize {
    let _first = stage.asterisk.callee("uas_forward", 151, &["target=152"]);
    let _second = stage.answerer(152, 500);
    stage.call("uac", 150, &["to=151", "talk=2000"]);
    let call = stage.row(150, "150 -> 151 answered 152 caller");
    stage.talk_by_events(&call, &[152]);
    1
}

/// Two phones ring at once, one takes the call; without Stasis and with it.
fn ring_group(stage: &Stage) -> usize {
    let _both = [stage.take(101), stage.take(102)];
    {
        let _phones = [stage.answerer(101, 800), stage.answerer(102, 60_000)];
        stage.call("uac", 160, &["to=500", "talk=1500"]);
    }
    let call = stage.row(160, "160 -> 500 answered 101 caller");
    stage.talk_by_cdr(&call);
    answered_elsewhere(stage, &call.uid, "PJSIP/102-");
    {
        let _phones = [stage.answerer(101, 60_000), stage.answerer(102, 800)];
        stage.call("uac", 161, &["to=501", "talk=1500"]);
    }
    let call = stage.row(161, "161 -> 501 answered 102 caller");
    stage.talk_by_cdr(&call);
    answered_elsewhere(stage, &call.uid, "PJSIP/101-");
    2
}

/// The leg that rang in vain has cause 26.
#[track_caller]
fn answered_elsewhere(stage: &Stage, uid: &str, channel: &str) {
    let query = format!(
        "SELECT CAST(cause AS TEXT) AS word FROM legs WHERE call_uid = '{uid}' AND channel_name LIKE '{channel}%'"
    );
    assert_eq!(stage.service.rows().words(&query), ["26"], "{channel} of {uid}");
}

/// 104 rings 4 s in vain, then 102.
fn hunt(stage: &Stage) -> usize {
    let _both = [stage.take(102), stage.take(104)];
    let _first = stage.asterisk.callee("uas_noanswer", 104, &[]);
    let _second = stage.answerer(102, 500);
    stage.call("uac", 162, &["to=502", "talk=1500"]);
    let call = stage.row(162, "162 -> 502 answered 102 caller");
    stage.talk_by_cdr(&call);
    1
}

/// Dial to a Local channel, which dials the phone: four channels, one call.
fn local_channel(stage: &Stage) -> usize {
    let _phone = stage.take(102);
    let _callee = stage.answerer(102, 1_000);
    stage.call("uac", 163, &["to=503", "talk=2000"]);
    let call = stage.row(163, "163 -> 503 answered 102 caller");
    stage.talk_by_events(&call, &[102]);
    1
}

/// No SIP at all: four Local channels, one call.
fn local_only(stage: &Stage) -> usize {
    stage.asterisk.cli("channel originate Local/sd-3@loads application Wait 4");
    let call = stage.rows_where("dialed_number = 'sd-3'", 1).remove(0);
    same(&call, "* -> sd-3 answered * callee");
    1
}
