//! The guarded dialplan: a service that hangs or is cut off holds up no new caller.

use std::time::{Duration, Instant};

use crate::kit::proxy::Proxy;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

/// From any failure to new calls that go straight on.
const LIMIT: Duration = s(6);

/// Waits until the dialplan leads calls into the application.
#[track_caller]
fn enters(service: &Service) {
    wait::until("the guard to be fresh", s(20), || {
        let guard = service.system()["nodes"][0]["guard"].clone();
        if guard["fresh"] == true { Ok(()) } else { Err(guard) }
    });
}

/// Calls 121 by the guarded dialplan; the call must go as its scenario says within `limit`.
#[track_caller]
fn call(asterisk: &Asterisk, from: u16, limit: Duration) {
    asterisk.caller("uac", from, &["to=9121", "talk=200"]).succeed(limit);
}

/// How many calls entered the application, when the calls of all of `callers` are over.
#[track_caller]
fn entered(service: &Service, callers: usize) -> i64 {
    super::stage::closed_rows(service, "dialed_number = '9121'", callers);
    service.rows().number("SELECT COUNT(*) AS number FROM events WHERE type = 'StasisStart'")
}

/// The variable's age by Asterisk's own clock, seconds.
fn age(asterisk: &Asterisk) -> f64 {
    let value = asterisk.order("GET", "asterisk/variable", &[("variable", "CALLCENTER_ALIVE")]);
    let ping = asterisk.order("GET", "asterisk/ping", &[]);
    let now: callcenter::model::Timestamp = ping["timestamp"].as_str().unwrap().parse().unwrap();
    now.secs_f64().floor() - value["value"].as_str().unwrap().parse::<f64>().unwrap_or(0.0)
}

#[test]
fn a_frozen_service_holds_up_no_new_call() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let _phone = asterisk.answerer(121, 100, 3_600_000);
    // Nobody has ever set the variable.
    call(&asterisk, 160, s(20));
    let mut service = Service::start(&asterisk);
    enters(&service);
    call(&asterisk, 161, s(20));

    service.signal("STOP");
    let frozen = Instant::now();
    assert!(age(&asterisk) <= 3.0, "it was fresh when the service froze");
    // Who entered before it went stale waits until the service goes on.
    let mut waits = asterisk.caller("uac", 162, &["to=9121", "talk=200"]);
    asterisk.channel("PJSIP/162-", s(3), |channel| channel["dialplan"]["app_name"] == "Stasis");
    wait::until("the variable to be stale", LIMIT.saturating_sub(frozen.elapsed()), || match age(&asterisk) {
        age if age > 3.0 => Ok(()),
        age => Err(age),
    });
    call(&asterisk, 163, s(5));

    service.signal("CONT");
    waits.succeed(s(20));
    service.ready();
    enters(&service);
    call(&asterisk, 164, s(20));
    assert_eq!(entered(&service, 4), 3, "those of 161, 162 and 164, not that of 163");
    assert_eq!(service.rows().number("SELECT COUNT(*) AS number FROM commands WHERE who = 'guard'"), 0);
    let varsets = "SELECT COUNT(*) AS number FROM events WHERE type = 'ChannelVarset'";
    assert_eq!(service.rows().number(varsets), 0, "refreshing makes no events");
    // By the subroutine that FreePBX calls: it comes back from the application.
    asterisk.caller("uac", 166, &["to=*121", "talk=200"]).succeed(s(20));
    super::stage::answered(&service, "dialed_number = '*121'");
    assert_eq!(service.rows().number("SELECT COUNT(*) AS number FROM events WHERE type = 'StasisStart'"), 4);
    service.sigterm();
    call(&asterisk, 165, s(5));
}

/// As when a cable is pulled: no byte passes, and neither side is told.
#[test]
fn a_link_that_is_cut_off_holds_up_no_new_call() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let proxy = Proxy::start(asterisk.ari_port());
    let mut service = Service::at(&format!("http://127.0.0.1:{}/asterisk/ari", proxy.port()));
    let _phone = asterisk.answerer(121, 100, 3_600_000);
    enters(&service);
    call(&asterisk, 160, s(20));
    proxy.freeze();
    let cut = Instant::now();
    wait::until("the variable to be stale", LIMIT, || match age(&asterisk) {
        age if age > 3.0 => Ok(()),
        age => Err(age),
    });
    call(&asterisk, 161, s(5));
    assert!(cut.elapsed() < s(15));
    service.unready(s(15));
    proxy.mend();
    service.ready();
    enters(&service);
    call(&asterisk, 162, s(20));
    // That of 161 ran wholly in the gap: it did not enter, or it would still wait.
    assert_eq!(entered(&service, 2), 2, "those of 160 and 162");
    service.sigterm();
}
