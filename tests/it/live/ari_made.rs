//! Calls that another program makes or joins by ARI commands. They run in an application of the
//! test's own (`test-app`): the service continues what enters its own application at once.

use super::scenarios::Scene;
use super::stage::{Stage, same};
use crate::kit::ari::TEST_APP;
use crate::kit::wait::s;

pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("click_to_call", click_to_call),
    ("click_to_call_originate2", click_to_call_originate2),
    ("click_to_call_dialplan", click_to_call_dialplan),
    ("click_to_call_failures", click_to_call_failures),
    ("snoop", snoop),
    ("bridge3", bridge3),
];

/// One leg originated, the other created, bridged and dialled; the agent hangs up.
fn click_to_call(stage: &Stage) -> usize {
    let asterisk = &stage.asterisk;
    let _agent = asterisk.answerer(153, 1_000, 5_000);
    let _customer = stage.answerer(154, 1_000);
    let origin = [("endpoint", "PJSIP/153"), ("channelId", "c2c-a"), ("callerId", "\"Web click\" <154>")];
    originate(stage, &origin);
    asterisk.channel("PJSIP/153-", s(20), |channel| channel["state"] == "Up");
    asterisk.order("POST", "bridges", &[("type", "mixing"), ("bridgeId", "c2c"), ("name", "c2c")]);
    asterisk.order("POST", "bridges/c2c/addChannel", &[("channel", "c2c-a")]);
    let other = [("endpoint", "PJSIP/154"), ("app", TEST_APP), ("channelId", "c2c-b"), ("originator", "c2c-a")];
    asterisk.order("POST", "channels/create", &other);
    asterisk.order("POST", "bridges/c2c/addChannel", &[("channel", "c2c-b")]);
    asterisk.order("POST", "channels/c2c-b/dial", &[("caller", "c2c-a"), ("timeout", "30")]);
    asterisk.gone("c2c-a", s(30));
    asterisk.order("DELETE", "channels/c2c-b", &[("reason", "normal")]);
    asterisk.order("DELETE", "bridges/c2c", &[]);
    stage.row(153, "153 -> 154 answered 154 *");
    1
}

/// Both legs originated, then bridged; the customer hangs up.
fn click_to_call_originate2(stage: &Stage) -> usize {
    let asterisk = &stage.asterisk;
    let _agent = stage.answerer(155, 500);
    let _customer = asterisk.answerer(156, 1_000, 2_500);
    originate(stage, &[("endpoint", "PJSIP/155"), ("channelId", "c2o-a"), ("callerId", "156")]);
    asterisk.channel("PJSIP/155-", s(20), |channel| channel["state"] == "Up");
    let other = [("endpoint", "PJSIP/156"), ("channelId", "c2o-b"), ("callerId", "155"), ("originator", "c2o-a")];
    originate(stage, &other);
    asterisk.channel("PJSIP/156-", s(20), |channel| channel["state"] == "Up");
    asterisk.order("POST", "bridges", &[("type", "mixing"), ("bridgeId", "c2o")]);
    asterisk.order("POST", "bridges/c2o/addChannel", &[("channel", "c2o-a,c2o-b")]);
    asterisk.gone("c2o-b", s(30));
    asterisk.order("DELETE", "channels/c2o-a", &[]);
    asterisk.order("DELETE", "bridges/c2o", &[]);
    stage.row(155, "155 -> 156 answered 156 *");
    1
}

/// One originate into the dialplan, which dials the customer.
fn click_to_call_dialplan(stage: &Stage) -> usize {
    let _agent = stage.answerer(157, 800);
    let _customer = stage.asterisk.answerer(158, 800, 2_000);
    let query = [
        ("endpoint", "PJSIP/157"),
        ("extension", "158"),
        ("context", "internal"),
        ("priority", "1"),
        ("callerId", "\"Click\" <555>"),
        ("channelId", "c2d-a"),
        ("timeout", "30"),
    ];
    stage.asterisk.order("POST", "channels", &query);
    stage.asterisk.gone("c2d-a", s(30));
    stage.row(157, "157 -> 158 answered 158 *");
    1
}

/// Originates that come to nothing: busy, no answer, declined, unregistered, unknown, dead host.
fn click_to_call_failures(stage: &Stage) -> usize {
    let asterisk = &stage.asterisk;
    let _phones = [
        asterisk.callee("uas_busy", 100, &[]),
        asterisk.callee("uas_noanswer", 103, &[]),
        asterisk.callee("uas_reject", 105, &["ring=500"]),
    ];
    for (endpoint, status) in [(100, 200), (103, 200), (105, 200), (112, 500), (999, 500), (109, 200)] {
        let (name, id) = (format!("PJSIP/{endpoint}"), format!("c2f-{endpoint}"));
        let query =
            [("endpoint", &*name), ("app", TEST_APP), ("callerId", "8000"), ("timeout", "4"), ("channelId", &*id)];
        let (actual, body) = asterisk.rest("POST", "channels", &query);
        assert_eq!(actual, status, "{name}: {body}");
        if status == 200 {
            asterisk.gone(&id, s(20));
        }
    }
    let rows = stage.rows_where("uid LIKE '%/c2f-%'", 4);
    let stories = ["* -> 100 busy - *", "* -> 103 no_answer - *", "* -> 105 rejected - *", "* -> 109 no_answer - *"];
    for (call, expected) in rows.iter().zip(stories) {
        same(call, expected);
    }
    4
}

/// Somebody listens in for a while: the Snoop channel is no call.
fn snoop(stage: &Stage) -> usize {
    let asterisk = &stage.asterisk;
    let _callee = stage.answerer(159, 300);
    let mut caller = asterisk.caller("uac_audio", 110, &["to=159", "talk=4000"]);
    let channel = asterisk.channel("PJSIP/110-", s(20), |channel| channel["state"] == "Up");
    let query = [("spy", "both"), ("whisper", "none"), ("app", TEST_APP), ("snoopId", "snoop-live")];
    asterisk.order("POST", &format!("channels/{channel}/snoop"), &query);
    let record = [("name", "rec-snoop-live"), ("format", "wav"), ("ifExists", "overwrite")];
    asterisk.channel("Snoop/", s(10), |channel| channel["dialplan"]["app_name"] == "Stasis");
    asterisk.order("POST", "channels/snoop-live/record", &record);
    asterisk.order("DELETE", "channels/snoop-live", &[]);
    caller.succeed(s(60));
    let call = stage.row(110, "110 -> 159 answered 159 caller");
    stage.talk_by_cdr(&call);
    1
}

/// Three callers in one bridge are three calls.
fn bridge3(stage: &Stage) -> usize {
    let asterisk = &stage.asterisk;
    let enter = |from: u16, talk: &str| {
        let caller = asterisk.caller("uac", from, &["to=811", talk]);
        let waits = |channel: &serde_json::Value| channel["dialplan"]["app_name"] == "Stasis";
        (caller, asterisk.channel(&format!("PJSIP/{from}-"), s(20), waits))
    };
    let (_a, first) = enter(171, "talk=60000");
    let (_b, second) = enter(172, "talk=60000");
    let (mut c, third) = enter(173, "talk=4000");
    asterisk.order("POST", "bridges", &[("type", "mixing"), ("bridgeId", "conf"), ("name", "conference")]);
    for channel in [&first, &second, &third] {
        asterisk.order("POST", "bridges/conf/addChannel", &[("channel", channel.as_str())]);
    }
    c.succeed(s(30));
    asterisk.order("POST", "bridges/conf/removeChannel", &[("channel", second.as_str())]);
    asterisk.order("POST", "bridges/conf/addChannel", &[("channel", second.as_str())]);
    asterisk.order("DELETE", "bridges/conf", &[]);
    asterisk.order("DELETE", &format!("channels/{first}"), &[]);
    asterisk.order("DELETE", &format!("channels/{second}"), &[("reason", "busy")]);
    stage.row(171, "171 -> 811 answered * *");
    stage.row(172, "172 -> 811 answered * *");
    stage.row(173, "173 -> 811 answered * caller");
    3
}

/// Originates a channel into the test's own application.
fn originate(stage: &Stage, query: &[(&str, &str)]) {
    let mut query = query.to_vec();
    query.extend([("app", TEST_APP), ("timeout", "30")]);
    stage.asterisk.order("POST", "channels", &query);
}
