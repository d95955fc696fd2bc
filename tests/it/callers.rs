//! A caller in the application while Asterisk takes no request: he goes on within seconds once it does. The built program
//! beside the simulated Asterisk.

use std::time::Instant;

use callcenter::sim::{RestOverride, Sim, SimConfig};

use crate::kit::wait::{self, s};
use crate::sim_load::beside;

const CONTINUES: &str = "SELECT COUNT(*) AS number FROM commands WHERE path LIKE '%/continue'";

#[test]
fn callers_go_on_within_seconds_when_asterisk_takes_requests_again() {
    for status in [500, 503] {
        let sim = Sim::start(SimConfig { continue_timeout: s(120), ..SimConfig::default() }).unwrap();
        let mut service = beside(&sim.url());
        let rows = service.rows();
        let broken = |path: &str| RestOverride {
            method: None,
            path_contains: path.to_owned(),
            status,
            body: r#"{"message":"Broken"}"#.to_owned(),
            times: None,
        };
        // With 503 nothing at all is answered rightly, as by an Asterisk that starts; the socket stays.
        sim.override_rest(Some(broken(if status == 503 { "" } else { "continue" })));
        (0..5).for_each(|_| sim.play("busy").unwrap());
        let tried = Instant::now();
        wait::until("five callers whose first pauses are over", s(30), || {
            let tries = rows.number(&format!("{CONTINUES} AND outcome <> 'done'"));
            if tries >= 5 && tried.elapsed() > s(3) { Ok(()) } else { Err(tries) }
        });
        assert_eq!((sim.live_calls(), sim.played().len()), (5, 0), "they wait");
        sim.override_rest(None);
        let mended = Instant::now();
        wait::until("the end of every call", s(30), || {
            let over = rows.try_calls("status = 'busy' AND ended_at IS NOT NULL")?.len();
            if over == 5 { Ok(()) } else { Err(format!("{over} are over")) }
        });
        let done = rows.number(&format!("{CONTINUES} AND outcome = 'done'"));
        assert_eq!((done, sim.truth().not_continued), (5, 0), "each was sent on once");
        assert!(mended.elapsed() < s(10), "after {:?}", mended.elapsed());
        assert_eq!(rows.gaps(), Vec::<String>::new());
        service.sigterm();
    }
}
