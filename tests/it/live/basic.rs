//! Two phones and a Dial.

use super::scenarios::Scene;
use super::stage::{Stage, close};
use crate::kit::wait::s;

pub(crate) const SCENES: &[(&str, Scene)] = &[
    ("answered", answered),
    ("callee_hangs_up", callee_hangs_up),
    ("plain_dial", plain_dial),
    ("no_callerid", no_callerid),
    ("busy", busy),
    ("rejected", rejected),
    ("abandoned", abandoned),
    ("noanswer", noanswer),
    ("nonexistent", nonexistent),
    ("unregistered", unregistered),
    ("unreachable", unreachable),
    ("hold", hold),
    ("dtmf", dtmf),
];

fn answered(stage: &Stage) -> usize {
    let _callee = stage.answerer(121, 1_000);
    stage.call("uac", 120, &["to=121", "talk=3000"]);
    let call = stage.row(120, "120 -> 121 answered 121 caller");
    stage.talk_by_cdr(&call);
    assert_eq!(call.answered_kind.as_deref(), Some("person"));
    assert_eq!(call.cause, Some(16));
    assert_eq!(call.caller_name.as_deref(), Some("Agent 120"));
    // sipp's own timer makes the ringing; how exact that is the machine's load says.
    assert!(call.ring_ms.is_some_and(|ms| (800..2_000).contains(&ms)), "{call:?}");
    1
}

fn callee_hangs_up(stage: &Stage) -> usize {
    let _callee = stage.asterisk.answerer(123, 500, 2_000);
    stage.call("uac", 122, &["to=123", "talk=60000"]);
    let call = stage.row(122, "122 -> 123 answered 123 callee");
    stage.talk_by_cdr(&call);
    1
}

/// A dialplan that never enters Stasis.
fn plain_dial(stage: &Stage) -> usize {
    let _callee = stage.answerer(125, 600);
    stage.call("uac", 111, &["to=125", "talk=2000"]);
    let call = stage.row(111, "111 -> 125 answered 125 caller");
    stage.talk_by_cdr(&call);
    1
}

/// Endpoints without a configured caller id; the name is not ASCII.
fn no_callerid(stage: &Stage) -> usize {
    let _callee = stage.answerer(119, 200);
    stage.call("uac", 118, &["to=119", "talk=1000", "cname=\"Žofie\""]);
    let call = stage.row(118, "118 -> 119 answered 119 caller");
    assert_eq!(call.caller_name.as_deref(), Some("Žofie"));
    stage.talk_by_cdr(&call);
    1
}

fn busy(stage: &Stage) -> usize {
    let _callee = stage.asterisk.callee("uas_busy", 127, &[]);
    stage.call("uac", 126, &["to=127"]);
    let call = stage.row(126, "126 -> 127 busy - *");
    assert_eq!((call.cause, call.answered_at), (Some(17), None));
    1
}

fn rejected(stage: &Stage) -> usize {
    let _callee = stage.asterisk.callee("uas_reject", 129, &["ring=800"]);
    stage.call("uac", 128, &["to=129"]);
    let call = stage.row(128, "128 -> 129 rejected - *");
    assert_eq!(call.cause, Some(21));
    1
}

fn abandoned(stage: &Stage) -> usize {
    let _callee = stage.asterisk.callee("uas_noanswer", 131, &[]);
    stage.call("uac_cancel", 130, &["to=131", "talk=3000"]);
    stage.row(130, "130 -> 131 abandoned - caller");
    1
}

/// Dial gives up after its 30 s.
fn noanswer(stage: &Stage) -> usize {
    let _callee = stage.asterisk.callee("uas_noanswer", 133, &[]);
    stage.call("uac", 132, &["to=133"]);
    stage.row(132, "132 -> 133 no_answer - *");
    1
}

/// The dialplan takes any number, Dial fails at once; a single digit has no extension at all and
/// makes neither channel nor event.
fn nonexistent(stage: &Stage) -> usize {
    stage.call("uac", 134, &["to=999"]);
    stage.call("uac", 134, &["to=7"]);
    stage.row(134, "134 -> 999 failed - *");
    1
}

/// An endpoint without any contact.
fn unregistered(stage: &Stage) -> usize {
    stage.call("uac", 135, &["to=112"]);
    stage.row(135, "135 -> 112 failed - *");
    1
}

/// A contact where nothing listens: never rings, Dial gives up after 30 s.
fn unreachable(stage: &Stage) -> usize {
    stage.call("uac", 136, &["to=107"]);
    stage.row(136, "136 -> 107 no_answer - *");
    1
}

/// On hold for 3 s in the middle; the talk counts on.
fn hold(stage: &Stage) -> usize {
    let _callee = stage.answerer(138, 500);
    stage.call("uac_hold", 137, &["to=138", "talk=2000"]);
    let call = stage.row(137, "137 -> 138 answered 138 caller");
    stage.talk_by_cdr(&call);
    assert!(call.hold_ms.is_some_and(|ms| (2_800..4_000).contains(&ms)), "{call:?}");
    1
}

/// Digits by SIP INFO, then by RFC 2833.
fn dtmf(stage: &Stage) -> usize {
    let _callee = stage.answerer(140, 300);
    stage.call("uac_dtmf_info", 139, &["to=140", "digits=123#", "talk=1000"]);
    stage.asterisk.caller("uac_dtmf_rfc", 139, &["to=140", "talk=1000"]).succeed(s(60));
    for call in stage.rows(139, 2) {
        super::stage::same(&call, "139 -> 140 answered 140 caller");
        stage.talk_by_cdr(&call);
        close("hold_ms", Some(call.hold_ms.unwrap_or(0)), 0.0);
        let query = format!(
            "SELECT COUNT(*) AS number FROM events WHERE type = 'ChannelDtmfReceived' AND channel_id = '{}'",
            call.channel()
        );
        assert!(stage.service.rows().number(&query) >= 3, "the digits of {}", call.uid);
    }
    2
}
