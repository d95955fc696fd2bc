//! An actor that no longer moves: health says so within a second, and the process ends for the service manager.

use std::time::Instant;

use crate::kit::wait::{self, s};
use crate::metrics::beside_calls_with;

#[test]
fn a_registry_that_stands_still_is_named_at_once_and_ends_the_process() {
    let (sim, mut service) = beside_calls_with(5.0, "[watchdog]\nstuck_after_s = 5\n");
    let rows = service.rows();
    wait::until("calls", s(30), || {
        let over = rows.try_calls("ended_at IS NOT NULL")?.len();
        if over > 3 { Ok(()) } else { Err(over.to_string()) }
    });
    let stuck = Instant::now();
    // The hook that only builds for tests have: at this event the registry's thread stops for good.
    sim.send_raw_text(
        r#"{"type":"ChannelUserevent","eventname":"callcenter-test-stuck","userevent":{},"application":"a"}"#,
    );
    let reasons = service.unready(s(5));
    let seen = stuck.elapsed();
    assert!(reasons["reasons"].to_string().contains("registry of 'main' hasn't answered"), "{reasons}");
    // Half a second to answer, a fifth between two looks; the machine may be busy with other tests.
    assert!(seen < s(2), "seen after {seen:?}");
    let (status, live) = service.get("/health/live").unwrap();
    assert_eq!(status, 200, "the process itself answers: {live}");
    let code = service.ends(s(15));
    assert_eq!(code, Some(1), "it ends by itself");
    assert!(stuck.elapsed() > s(5), "not before the limit");
    service.says("registry of 'main' has not answered for 5 s: the process ends", s(5));
    service.restart();
    sim.stop_arrivals();
    wait::until("the end of every call", s(60), || {
        let open = rows.try_calls("ended_at IS NULL")?.len();
        if sim.live_calls() == 0 && open == 0 { Ok(()) } else { Err(format!("{open} open")) }
    });
    service.sigterm();
}
