//! What a PBX offers beside a Dial: voicemail, parking, pickup, conferences.

use serde_json::Value;

use super::scenarios::Scene;
use super::stage::{Stage, same};
use crate::kit::wait::{self, s};

pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("voicemail_after_queue", voicemail_after_queue),
    ("voicemail", voicemail),
    ("parked", parked),
    ("parked_too_long", parked_too_long),
    ("pickup_directed", pickup_directed),
    ("pickup_group", pickup_group),
    ("conference", conference),
    ("hold_thrice", hold_thrice),
    ("click_to_call_local", click_to_call_local),
    ("click_to_call_local_busy", click_to_call_local_busy),
];

/// The queue's agent doesn't answer, the caller leaves a message.
fn voicemail_after_queue(stage: &Stage) -> usize {
    let _agent = stage.asterisk.callee("uas_noanswer", 120, &[]);
    stage.call("uac", 160, &["to=604", "talk=8000"]);
    let call = stage.row(160, "160 -> 604 answered - caller");
    assert_eq!((call.answered_kind.as_deref(), call.talk_ms), (Some("voicemail"), Some(0)), "{call:?}");
    1
}

/// The phone doesn't answer, the caller leaves a message.
fn voicemail(stage: &Stage) -> usize {
    let _phone = stage.asterisk.callee("uas_noanswer", 121, &[]);
    stage.call("uac", 161, &["to=321", "talk=2000"]);
    let call = stage.row(161, "161 -> 321 answered - caller");
    assert_eq!((call.answered_kind.as_deref(), call.talk_ms), (Some("voicemail"), Some(0)), "{call:?}");
    1
}

/// The callee parks the caller beside one who waits there already, another phone fetches the call: two calls, as both
/// came by themselves. Who only waits beside others talks with nobody.
fn parked(stage: &Stage) -> usize {
    let _waiting = stage.answerer(145, 100);
    let query = [("endpoint", "PJSIP/145"), ("context", "shapes"), ("extension", "720"), ("channelId", "waits")];
    stage.asterisk.order("POST", "channels", &query);
    waiting(stage, 1);
    let _first = stage.asterisk.callee("uas_refer", 163, &["ring=500", "talk=1500", "target=720"]);
    let mut caller = stage.asterisk.caller("uac", 162, &["to=163", "talk=60000"]);
    waiting(stage, 2);
    stage.call("uac", 164, &["to=722", "talk=2000"]);
    caller.succeed(s(30));
    stage.asterisk.order("DELETE", "channels/waits", &[]);
    let call = stage.row(162, "162 -> 163 answered 164 callee");
    let fetched = stage.row(164, "164 -> 722 answered - caller");
    assert_eq!(fetched.answered_kind.as_deref(), Some("person"), "{fetched:?}");
    stage.talk_together(&call);
    stage.talk_together(&fetched);
    let waits = stage.rows_where("uid LIKE '%/waits/%'", 1).remove(0);
    assert_eq!(waits.talk_ms, Some(0), "{waits:?}");
    3
}

/// Waits until so many are parked in the lot that a call can be fetched from.
fn waiting(stage: &Stage, count: usize) {
    wait::until("calls to be parked", s(30), || {
        let bridges = stage.asterisk.order("GET", "bridges", &[]);
        let lot = |bridge: &&Value| bridge["bridge_class"] == "parking" && bridge["name"] == "default";
        let lot = bridges.as_array().and_then(|all| all.iter().find(lot));
        let parked = lot.and_then(|lot| lot["channels"].as_array()).map_or(0, Vec::len);
        if parked == count { Ok(()) } else { Err(bridges) }
    });
}

/// Nobody fetches the call: the phone that parked it rings again and takes it.
fn parked_too_long(stage: &Stage) -> usize {
    let _first = stage.asterisk.callee("uas_refer", 166, &["ring=500", "talk=3000", "target=725"]);
    stage.call("uac", 165, &["to=166", "talk=8000"]);
    let call = stage.row(165, "165 -> 166 answered 166 caller");
    stage.talk_together(&call);
    1
}

/// A third phone dials *8 and the number of the one that rings.
fn pickup_directed(stage: &Stage) -> usize {
    picked_up(stage, 167, 122, 168, "*8122")
}

/// A phone of the same group dials *8.
fn pickup_group(stage: &Stage) -> usize {
    picked_up(stage, 169, 174, 175, "*8")
}

/// The caller talks with who picked up; the phone that rang talked with nobody.
fn picked_up(stage: &Stage, caller: u16, rings: u16, picks: u16, code: &str) -> usize {
    let _phone = stage.asterisk.callee("uas_noanswer", rings, &[]);
    let mut first = stage.asterisk.caller("uac", caller, &[&format!("to={rings}"), "talk=60000"]);
    stage.asterisk.channel(&format!("PJSIP/{rings}-"), s(30), |channel| channel["state"] == "Ringing");
    stage.call("uac", picks, &[&format!("to={code}"), "talk=2000"]);
    first.succeed(s(30));
    let call = stage.row(caller, &format!("{caller} -> {rings} answered {picks} callee"));
    assert_eq!(call.answered_kind.as_deref(), Some("person"), "{call:?}");
    stage.talk_together(&call);
    1
}

/// Three in a conference; one leaves and comes back: four calls, each talks while somebody else is there.
fn conference(stage: &Stage) -> usize {
    let enter = |from: u16| {
        let caller = stage.asterisk.caller("uac", from, &["to=730", "talk=60000"]);
        let inside = |channel: &Value| channel["dialplan"]["app_name"] == "ConfBridge";
        (caller, stage.asterisk.channel(&format!("PJSIP/{from}-"), s(20), inside))
    };
    let (_first, first) = enter(170);
    let (_second, second) = enter(171);
    stage.call("uac", 172, &["to=730", "talk=1500"]);
    stage.call("uac", 172, &["to=730", "talk=1000"]);
    for channel in [&first, &second] {
        stage.asterisk.order("DELETE", &format!("channels/{channel}"), &[]);
    }
    let mut rows = vec![stage.row(170, "170 -> 730 answered - *"), stage.row(171, "171 -> 730 answered - *")];
    rows.extend(stage.rows(172, 2));
    for call in &rows[2..] {
        same(call, "172 -> 730 answered - caller");
    }
    for call in &rows {
        assert_eq!(call.answered_kind.as_deref(), Some("person"), "{call:?}");
        stage.talk_together(call);
    }
    4
}

/// On hold three times for 1 s.
fn hold_thrice(stage: &Stage) -> usize {
    let _callee = stage.answerer(129, 300);
    stage.call("uac_holds", 128, &["to=129", "talk=1000"]);
    let call = stage.row(128, "128 -> 129 answered 129 caller");
    stage.talk_by_cdr(&call);
    assert!(call.hold_ms.is_some_and(|ms| (2_900..3_600).contains(&ms)), "{call:?}");
    1
}

/// One originate to a Local channel that dials the agent; once taken, the dialplan dials the customer.
fn click_to_call_local(stage: &Stage) -> usize {
    let _agent = stage.answerer(140, 500);
    let _customer = stage.asterisk.answerer(141, 500, 2_000);
    click(stage, "c2l", 140, 141);
    let call = stage.rows_where("uid LIKE '%/c2l-%' AND ended_at IS NOT NULL", 1).remove(0);
    same(&call, "140 -> 141 answered 141 callee");
    1
}

/// The agent takes it, the customer is busy: nobody was reached.
fn click_to_call_local_busy(stage: &Stage) -> usize {
    let _agent = stage.answerer(142, 300);
    let _customer = stage.asterisk.callee("uas_busy", 143, &[]);
    click(stage, "c2b", 142, 143);
    let call = stage.rows_where("uid LIKE '%/c2b-%' AND ended_at IS NOT NULL", 1).remove(0);
    same(&call, "142 -> 143 busy - callee");
    assert_eq!((call.answered_kind.as_deref(), call.talk_ms), (None, Some(0)), "{call:?}");
    1
}

fn click(stage: &Stage, id: &str, agent: u16, customer: u16) {
    let (endpoint, customer) = (format!("Local/{agent}@internal"), customer.to_string());
    let [one, two] = ["a", "b"].map(|half| format!("{id}-{half}"));
    let query = [
        ("endpoint", endpoint.as_str()),
        ("extension", &customer),
        ("context", "internal"),
        ("priority", "1"),
        ("channelId", &one),
        ("otherChannelId", &two),
    ];
    stage.asterisk.order("POST", "channels", &query);
}
