//! SIGTERM, a second one, SIGHUP, SIGUSR1: what the process does with them.

use std::time::Duration;

use callcenter::sim::{Sim, SimConfig};
use diesel::prelude::*;

use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};
use crate::sim_load::beside;

/// Another program that holds the database's write lock, as a backup does.
fn lock(service: &Service) -> SqliteConnection {
    let mut other = SqliteConnection::establish(&service.database().to_string_lossy()).unwrap();
    diesel::sql_query("PRAGMA busy_timeout = 5000").execute(&mut other).unwrap();
    diesel::sql_query("BEGIN IMMEDIATE").execute(&mut other).unwrap();
    other
}

/// A service whose last call is in the journal and can't get into the database.
fn with_a_call_not_written(asterisk: &Asterisk) -> (Service, SqliteConnection) {
    let service = Service::start(asterisk);
    let _callee = asterisk.answerer(121, 100, 3_600_000);
    let locked = lock(&service);
    asterisk.caller("uac", 120, &["to=121", "talk=300"]).succeed(s(30));
    assert!(service.rows().calls("1").is_empty(), "the lock holds nobody");
    (service, locked)
}

#[test]
fn a_locked_database_does_not_hold_up_the_stop_and_a_second_signal_ends_it_at_once() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let (mut service, locked) = with_a_call_not_written(&asterisk);
    service.signal("TERM");
    service.says("stops in order; a second signal stops at once", s(5));
    let patient = service.stops();
    assert!(patient > Duration::from_secs(3), "it should have waited for the database: {patient:?}");
    service.says("the journal keeps what is not written", s(1));
    assert!(!service.log_text().contains("everything written"), "{}", service.tail());
    drop(locked);
    // What was not written comes from the journal.
    service.restart();
    crate::live::answered(&service, "caller_number = '120'");

    let (mut service, _locked) = with_a_call_not_written(&asterisk);
    service.signal("INT");
    service.says("stops in order; a second signal stops at once", s(5));
    service.signal("TERM");
    let taken = service.stops();
    assert!(taken < Duration::from_secs(1), "it waited on for {taken:?}");
    service.says("SIGTERM: stops at once", s(1));
}

#[test]
fn a_hangup_signal_reads_the_configuration_again() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut service = Service::start(&asterisk);
    let call = || asterisk.caller("uac", 120, &["to=121", "talk=300"]).succeed(s(30));
    let _callee = asterisk.answerer(121, 100, 3_600_000);
    let debug = |service: &Service| service.log_text().matches("\"level\":\"DEBUG\"").count();

    // Less is logged from now on, and a key that can't change while calls run waits.
    let quiet = "[log]\nformat = \"json\"\nlevel = \"info\"\n";
    service.reconfigure(&format!("{quiet}[ari]\nping_interval_ms = 2000\n"));
    let line = service.says("these take effect at the next start", s(10));
    assert!(line.contains("ari.ping_interval_ms"), "{line}");
    assert!(service.says("SIGHUP: in force now", s(10)).contains("log.level"));
    let before = debug(&service);
    call();
    crate::live::answered(&service, "caller_number = '120'");
    assert_eq!(debug(&service), before, "{}", service.tail());

    // A broken file and a wrong value change nothing.
    for (broken, word) in
        [("[log\nlevel = ", "test.toml"), ("[ari]\nping_interval_ms = \"often\"\n", "ping_interval_ms")]
    {
        let refused = service.log_text().matches("the configuration is refused").count();
        service.reconfigure(broken);
        let line = crate::kit::wait::until("the refusal", s(10), || {
            let text = service.log_text();
            let mut lines = text.lines().filter(|line| line.contains("the configuration is refused"));
            lines.nth(refused).map(str::to_owned).ok_or_else(|| service.tail())
        });
        assert!(line.contains("what was in force stays") && line.contains(word), "{line}");
    }
    assert_eq!(service.get("/health/ready").unwrap().0, 200);

    // More again, by the mended file.
    service.reconfigure(&quiet.replace("info", "info,callcenter=debug"));
    crate::kit::wait::until("the level to change", s(10), || {
        let changes = service.log_text().matches("SIGHUP: in force now").count();
        if changes == 2 { Ok(()) } else { Err(service.tail()) }
    });
    call();
    crate::kit::wait::until("a line of the new level", s(10), || {
        if debug(&service) > before { Ok(()) } else { Err(service.tail()) }
    });
    service.sigterm();
}

#[test]
fn an_application_that_another_client_took_is_taken_back_when_told() {
    let sim = Sim::start(SimConfig { calls_per_second: 0.0, ..SimConfig::default() }).unwrap();
    let mut first = beside(&sim.url());
    // A second service with the same application: the first yields and doesn't fight.
    let mut second = beside(&sim.url());
    let state = |service: &Service| service.system()["nodes"][0]["connection"]["state"].clone();
    let becomes = |service: &Service, wanted: &str| {
        wait::until(wanted, s(10), || if state(service) == wanted { Ok(()) } else { Err(state(service)) });
    };
    becomes(&first, "yielded");
    assert_eq!(state(&second), "connected");
    first.signal("USR1");
    becomes(&first, "connected");
    becomes(&second, "yielded");
    first.ready();
    assert!(first.log_text().contains("back, as told"), "{}", first.tail());
    second.sigterm();
    first.sigterm();
}
