//! A failure of one call's logic stays in that call.

use super::stage::{closed_rows, same};
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

#[test]
fn a_panic_in_one_call_actor_closes_that_call_and_no_other() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut service = Service::start(&asterisk);
    let _phones = [asterisk.answerer(121, 100, 3_600_000), asterisk.answerer(123, 100, 3_600_000)];
    let mut doomed = asterisk.caller("uac", 120, &["to=121", "talk=6000"]);
    let mut other = asterisk.caller("uac", 122, &["to=123", "talk=6000"]);
    wait::until("both calls to be active", s(20), || {
        let active = service.rows().try_calls("status = 'active'")?;
        if active.len() == 2 { Ok(()) } else { Err(format!("{active:#?}")) }
    });
    // The hook that only builds for tests have: this user event makes the logic of the channel's leg panic.
    let channel = asterisk.channel("PJSIP/120-", s(5), |_| true);
    let source = format!("channel:{channel}");
    asterisk.order(
        "POST",
        "events/user/callcenter-test-panic",
        &[("application", "callcenter-app"), ("source", source.as_str())],
    );
    wait::until("the panic to be counted", s(5), || {
        let system = service.system();
        let counted = system["nodes"][0]["registry"]["call_panics"] == 1;
        if counted { Ok(()) } else { Err(system["nodes"][0]["registry"].to_string()) }
    });
    assert!(service.system()["warnings"].to_string().contains("failed"), "health says so");
    doomed.succeed(s(30));
    other.succeed(s(30));
    let closed = closed_rows(&service, "dialed_number = '121'", 1).remove(0);
    assert_eq!(closed.incomplete, 1, "closed and marked: {closed:#?}");
    let whole = closed_rows(&service, "dialed_number = '123'", 1).remove(0);
    same(&whole, "122 -> 123 answered 123 caller");
    assert_eq!(whole.incomplete, 0, "{whole:#?}");
    asterisk.caller("uac", 124, &["to=123", "talk=500"]).succeed(s(30));
    let next = closed_rows(&service, "caller_number = '124'", 1).remove(0);
    same(&next, "124 -> 123 answered 123 caller");
    assert_eq!(next.incomplete, 0, "{next:#?}");
    service.sigterm();
}

#[test]
fn a_panic_in_one_calls_fold_marks_that_call_and_no_other_also_after_a_restart() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut service = Service::start(&asterisk);
    let _phones = [asterisk.answerer(121, 100, 3_600_000), asterisk.answerer(123, 100, 3_600_000)];
    let mut doomed = asterisk.caller("uac", 120, &["to=121", "talk=9000"]);
    let mut other = asterisk.caller("uac", 122, &["to=123", "talk=9000"]);
    wait::until("both calls to be active", s(20), || {
        let active = service.rows().try_calls("status = 'active'")?;
        if active.len() == 2 { Ok(()) } else { Err(format!("{active:#?}")) }
    });
    let channel = asterisk.channel("PJSIP/120-", s(5), |_| true);
    let source = format!("channel:{channel}");
    asterisk.order(
        "POST",
        "events/user/callcenter-test-panic-fold",
        &[("application", "callcenter-app"), ("source", source.as_str())],
    );
    let counted = |service: &Service| {
        wait::until("the failed fold to be counted", s(10), || {
            let system = service.system();
            if system["writer"]["fold_panics"] == 1 { Ok(()) } else { Err(system["writer"].to_string()) }
        });
    };
    counted(&service);
    assert!(service.system()["warnings"].to_string().contains("failed"), "health says so");
    // The same facts are folded again after a start.
    service.sigkill();
    service.restart();
    counted(&service);
    doomed.succeed(s(30));
    other.succeed(s(30));
    let closed = closed_rows(&service, "dialed_number = '121'", 1).remove(0);
    assert_eq!((closed.status.as_str(), closed.incomplete), ("answered", 1), "closed and marked: {closed:#?}");
    let whole = closed_rows(&service, "dialed_number = '123'", 1).remove(0);
    same(&whole, "122 -> 123 answered 123 caller");
    service.sigterm();
}
