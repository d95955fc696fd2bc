//! The kit itself, without the service: what the live tests trust must be true.

use crate::kit::ari::TestApp;
use crate::kit::proxy::Proxy;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, ari, asterisk, live, records};

#[test]
fn a_call_through_the_real_asterisk_is_in_its_records() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mark = asterisk.mark();
    let callee = asterisk.answerer(101, 200, 60_000);
    asterisk.caller("uac", 100, &["to=101", "talk=700"]).succeed(s(20));
    asterisk.quiet(s(10));
    let records = wait::until("a call record", s(5), || {
        let records = asterisk.cdr_since(mark);
        if records.is_empty() { Err("none") } else { Ok(records) }
    });
    assert_eq!(records.len(), 1, "{records:?}");
    let record = &records[0];
    assert_eq!(record.disposition, "ANSWERED");
    assert!(record.channel.starts_with("PJSIP/100-") && record.dstchannel.starts_with("PJSIP/101-"), "{record:?}");
    let talk = (record.end - record.answer) * 1000.0;
    assert!((650.0..1_500.0).contains(&talk), "talk {talk} ms");
    let by_events = records::talk_ms(&asterisk.cel_since(mark), &record.uniqueid, "PJSIP/101");
    assert!((by_events - talk).abs() < 100.0, "{by_events} by channel events, {talk} by call record");
    drop(callee);

    kill_and_start(&asterisk);
}

fn kill_and_start(asterisk: &Asterisk) {
    let callee = asterisk.answerer(101, 100, 60_000);
    let _call = asterisk.caller("uac", 100, &["to=101", "talk=60000"]);
    wait::until("the call", s(10), || {
        let channels = asterisk.channels();
        if channels.len() == 2 { Ok(()) } else { Err(channels) }
    });
    asterisk.kill9();
    assert!(ari::http("GET", &asterisk.url(), None).is_err(), "killed, yet it answers");
    asterisk.up();
    assert!(asterisk.channels().is_empty());
    assert!(asterisk.cli("core show version").contains("Asterisk"));
    drop(callee);
}

#[test]
fn two_asterisks_stand_side_by_side_and_an_app_can_be_registered() {
    if !live() {
        return;
    }
    let (a, b) = (Asterisk::start(), Asterisk::named(Some("pbx2")));
    assert_ne!(a.ari_port(), b.ari_port());
    let app = TestApp::open(&b);
    let _caller = b.caller("uac", 115, &["to=811", "talk=60000"]);
    let channel = b.channel("PJSIP/115-", s(10), |channel| channel["dialplan"]["app_name"] == "Stasis");
    assert!(channel.starts_with("pbx2-"), "{channel}");
    assert!(a.channels().is_empty());
    let (status, body) = b.rest("DELETE", &format!("channels/{channel}"), &[("reason", "normal")]);
    assert_eq!(status, 204, "{body}");
    b.gone(&channel, s(5));
    drop(app);
    wait::until("the app to go", s(5), || match b.rest("GET", "applications/test-app", &[]) {
        (404, _) => Ok(()),
        other => Err(other),
    });
}

#[test]
fn the_proxy_passes_cuts_freezes_and_mends() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let proxy = Proxy::start(asterisk.ari_port());
    let ping = format!("http://127.0.0.1:{}/asterisk/ari/asterisk/ping", proxy.port());
    let look = || ari::http("GET", &ping, Some(asterisk::USER));
    assert_eq!(look().unwrap().0, 200);
    proxy.cut();
    look().unwrap_err();
    proxy.mend();
    assert_eq!(look().unwrap().0, 200);
    proxy.freeze();
    look().unwrap_err();
    proxy.mend();
    assert_eq!(look().unwrap().0, 200);
}
