//! Accept mode: a real Asterisk connects out to the feed process and keeps events while nobody listens.

use super::feed::{Traffic, all_calls, all_right, pass, soak};
use super::reconcile::reconcile;
use super::stage::closed_rows;
use crate::doctor::Doctor;
use crate::kit::asterisk::USER;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Feed, Service, aloud, free_port, live};

/// The environment of a service whose feed waits at `listen`.
fn user(url: &str, listen: &str) -> [(&'static str, String); 6] {
    [
        ("ARI_URL", url),
        ("ARI_USERNAME", USER.0),
        ("ARI_PASSWORD", USER.1),
        ("ARI_APP_NAME", "callcenter-app"),
        ("ARI_FEED_LISTEN", listen),
        ("ARI_FEED_PASSWORD", "feed-password"),
    ]
    .map(|(key, value)| (key, value.to_owned()))
}

/// A service that follows a feed process to which Asterisk connects.
fn pair() -> (Asterisk, Service, Feed) {
    let port = free_port();
    let asterisk = Asterisk::outward(port);
    let user = user(&asterisk.url(), &format!("127.0.0.1:{port}"));
    let mut service = Service::prepared("", &user.each_ref().map(|(key, value)| (*key, &**value)));
    let feed = Feed::start(&service);
    service.restart();
    assert_eq!(service.system()["nodes"][0]["feed"]["mode"], "process");
    (asterisk, service, feed)
}

/// Stops the feed in order.
#[track_caller]
fn stop(mut feed: Feed) {
    feed.signal("TERM");
    assert!(feed.ends());
}

/// One call of 100 to 101, who answers.
#[track_caller]
fn call(asterisk: &Asterisk) {
    asterisk.caller("uac", 100, &["to=101", "talk=500"]).succeed(s(30));
}

#[test]
fn what_asterisk_kept_is_no_gap_and_another_asterisk_or_a_sudden_end_is_one() {
    if !live() {
        return;
    }
    let (asterisk, mut service, feed) = pair();
    let phone = asterisk.answerer(101, 100, 3_600_000);
    call(&asterisk);
    closed_rows(&service, "status = 'answered'", 1);
    let device_states =
        || service.rows().number("SELECT COUNT(*) AS number FROM events WHERE type = 'DeviceStateChanged'");
    wait::until("device states", s(10), || if device_states() > 0 { Ok(()) } else { Err("none") });
    let found = Doctor::beside(&service).run(&["--json", "--wait", "0"]);
    found.problems(&[]);
    assert!(found.step("feed", "warning").contains("connected to the feed process"));
    stop(feed);
    let found = Doctor::beside(&service).run(&["--json", "--wait", "0"]);
    assert!(found.step("feed", "problem").contains("no feed answers: no feed process runs"));
    call(&asterisk);
    asterisk.quiet(s(10));
    let mut feed = Feed::start(&service);
    let calls = closed_rows(&service, "status = 'answered'", 2);
    assert!(calls.iter().all(|call| call.incomplete == 0), "{calls:#?}");
    feed.succeed(&service);
    call(&asterisk);
    closed_rows(&service, "status = 'answered'", 3);
    assert_eq!(service.rows().gaps(), Vec::<String>::new());

    // A sudden end may have lost what was on its way.
    feed.sigkill();
    call(&asterisk);
    let feed = Feed::start(&service);
    wait::until("a gap", s(10), || match service.rows().gaps().len() {
        1 => Ok(()),
        other => Err(other),
    });
    closed_rows(&service, "status = 'answered'", 4);

    // Another Asterisk has kept nothing: the call comes back from the records of the one before.
    stop(feed);
    call(&asterisk);
    asterisk.quiet(s(10));
    drop(phone);
    asterisk.kill9();
    asterisk.up();
    let feed = Feed::start(&service);
    wait::until("a second gap", s(10), || match service.rows().gaps().len() {
        2 => Ok(()),
        other => Err(other),
    });
    service.ready();
    assert_eq!(service.rows().calls("1").len(), 4);
    reconcile(&service, &asterisk.dir().join("log/cdr-csv/Master.csv"), &[]);
    let calls = closed_rows(&service, "status = 'answered'", 5);
    assert_eq!(calls.last().map(|call| call.incomplete), Some(1), "{calls:#?}");
    stop(feed);
    service.sigterm();
}

#[test]
fn doctor_says_what_an_asterisk_lacks_that_shall_connect_to_the_feed() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let listen = format!("127.0.0.1:{}", free_port());
    let doctor = Doctor::at(&asterisk.url()).env("ARI_FEED_LISTEN", &listen).env("ARI_FEED_PASSWORD", "feed-password");
    let found = doctor.run(&["--json", "--wait", "0"]);
    found.problems(&["feed"]);
    let words = found.step("feed", "problem");
    assert!(words.contains("no outbound WebSocket for 'callcenter-app-feed'"), "{words}");
}

/// What `asterisk-config` prints is what a real Asterisk takes, TLS included.
#[test]
fn the_printed_files_make_a_real_asterisk_connect_over_tls() {
    if !live() {
        return;
    }
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let port = free_port();
    let asterisk = Asterisk::start();
    let folder = tempfile::tempdir().unwrap();
    let [certificate, key] =
        [("cert.pem", made.cert.pem()), ("key.pem", made.signing_key.serialize_pem())].map(|(name, text)| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        });
    let listen = format!("127.0.0.1:{port}");
    let user = user(&asterisk.url(), &listen);
    let config = format!("[feed]\ntls_cert = \"{certificate}\"\ntls_key = \"{key}\"\n");
    let service = Service::prepared(&config, &user.each_ref().map(|(key, value)| (*key, &**value)));
    let printed = |part: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callcenter"));
        service.beside(&mut command);
        let config = service.folder().join("test.toml");
        command.current_dir(service.folder()).args(["asterisk-config", "--show-secrets", "--part", part, "--config"]);
        let output = command.arg(config).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // The certificate stands where the printed file has it.
    let authority = asterisk.dir().join("etc/callcenter-ca.pem");
    std::fs::copy(&certificate, &authority).unwrap();
    let inside = format!("/inst/{}/etc/callcenter-ca.pem", asterisk.ari_port());
    let client = printed("websocket_client.conf")
        .replace("/etc/asterisk/keys/callcenter-ca.pem", &inside)
        .replace("callcenter.example", "localhost");
    assert!(client.contains(&inside) && client.contains("wss://localhost:"), "{client}");
    asterisk.configure("websocket_client.conf", &client);
    let ari = printed("ari.conf");
    let section = ari.split_once("\n[callcenter-feed-main]").unwrap().1;
    asterisk.configure("ari.conf", &format!("[callcenter-feed-main]{section}"));
    asterisk.cli("module reload res_websocket_client.so");
    asterisk.cli("module reload res_ari.so");
    let feed = Feed::start(&service);
    stop(feed);
}

#[test]
fn a_feed_that_asterisk_connects_to_is_stopped_and_started_and_every_call_is_right() {
    if !live() {
        return;
    }
    let (asterisk, mut service, mut feed) = pair();
    let (wanted_stops, rounds) = if soak() { (20, 4) } else { (3, 1) };
    // Three calls a second: at twelve a second this Asterisk was seen to crash.
    let traffic = Traffic::paced(&asterisk, rounds, 33);
    let mut stops = 0;
    while stops < wanted_stops {
        pass(500, 3_000);
        stop(feed);
        pass(0, 3_000);
        feed = Feed::start(&service);
        stops += 1;
    }
    assert!(traffic.goes_on(), "the calls ended before the stops");
    let (wanted, mark) = traffic.finish(&asterisk);
    let calls = all_calls(&asterisk, &service, wanted, mark);
    aloud(&format!("{} calls, the feed stopped and started {stops} times", calls.len()));
    assert_eq!(service.rows().gaps(), Vec::<String>::new(), "Asterisk kept everything");
    all_right(&asterisk, &calls, mark);
    stop(feed);
    service.sigterm();
}

/// All that Asterisk kept in a long absence comes in at once: some 20,000 events, 20 MB.
#[test]
fn a_long_absence_is_read_to_its_end() {
    if !soak() || !live() {
        return;
    }
    let (asterisk, mut service, feed) = pair();
    stop(feed);
    let calls = 300;
    for _ in 0..calls {
        let how = [("endpoint", "Local/d-0.3@loads"), ("extension", "w-0.3"), ("context", "loads"), ("priority", "1")];
        asterisk.order("POST", "channels", &how);
        pass(40, 60);
    }
    asterisk.quiet(s(60));
    let feed = Feed::start(&service);
    let count =
        |kind: &str| service.rows().number(&format!("SELECT COUNT(*) AS number FROM events WHERE type = '{kind}'"));
    wait::until("every channel's end", s(60), || match (count("ChannelCreated"), count("ChannelDestroyed")) {
        (created, destroyed) if created == destroyed && created >= 4 * calls => Ok(()),
        other => Err(other),
    });
    assert_eq!(service.rows().gaps(), Vec::<String>::new());
    stop(feed);
    service.sigterm();
}
