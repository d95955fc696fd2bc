//! The connection against a scripted ARI: ends of every kind, and what the journal holds afterwards.

use std::time::{Duration, Instant};

use super::*;
use crate::actors::fake_ari::{FakeAri, Kept, Memory, Script, quick, until, waiting};
use crate::actors::messages::wall_clock;

struct Bench {
    fake: FakeAri,
    kept: Rc<Kept>,
    connection: Addr<AriConnection>,
}

async fn bench(scripts: Vec<Script>, adjust: impl FnOnce(&mut config::Ari, &FakeAri, &mut ConnectionSetup)) -> Bench {
    let fake = FakeAri::start(scripts).await;
    let (memory, kept) = Memory::start_new();
    let (mut ari, password) = quick();
    let mut setup = ConnectionSetup {
        node: NodeId::new("test"),
        http: fake.http(password, &ari),
        rest: SocketRest::new(NodeId::new("test"), config::Transport::Http),
        ari: ari.clone(),
        frames: memory.clone().recipient(),
        entries: memory.clone().recipient(),
        alive: memory.clone().recipient(),
        heard: None,
        gate: FeedGate::default(),
        accept: None,
        exited: memory.recipient(),
    };
    adjust(&mut ari, &fake, &mut setup);
    setup.ari = ari;
    Bench { fake, kept, connection: AriConnection::start_with(setup) }
}

impl Bench {
    async fn view(&self) -> ConnectionView {
        self.connection.send(ConnectionStatus).await.unwrap()
    }

    /// Waits until the view is so.
    async fn seen(&self, what: &str, condition: impl Fn(&ConnectionView) -> bool) -> ConnectionView {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let view = self.view().await;
            if condition(&view) {
                return view;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}: {view:?}");
            tokio::task::yield_now().await;
        }
    }
}

fn event(n: usize) -> String {
    format!(r#"{{"type":"X","n":{n},"application":"cc","timestamp":"2026-11-22T15:33:58.500+0000"}}"#)
}

fn replaced() -> String {
    r#"{"type":"ApplicationReplaced","application":"cc","timestamp":"2026-11-22T15:33:58.500+0000"}"#.into()
}

#[actix::test]
async fn the_first_session_ever_sets_the_filter_and_takes_a_snapshot_without_a_gap() {
    let bench = bench(vec![Script::Serve(vec![event(1)])], |_, _, _| {}).await;
    let view = bench.seen("prepared", |v| v.prepared && v.frames == 1).await;
    bench.kept.until("the snapshot is kept", |k| k.count("snapshot") == 1).await;
    assert_eq!((view.state, view.subscribe_all), (State::Connected, SubscribeAll::Ok));
    assert_eq!(view.asterisk_version.as_deref(), Some("22.10.1"));
    let ours = (wall_clock() * 1e3) as i64;
    let expect = 1_795_361_638_500 - ours;
    assert!(view.clock_offset_ms.is_some_and(|ms| (ms - expect).abs() < 10_000), "{view:?}, expected {expect}");
    let entries: Vec<_> = bench.kept.lines.borrow().iter().filter(|l| !l.starts_with("event")).cloned().collect();
    assert_eq!(entries, ["command PUT /applications/cc/eventFilter by connection", "reply done", "snapshot"]);
    let snapshot = bench.kept.snapshots.borrow()[0].clone();
    assert_eq!(snapshot["channels"][0]["id"], "1.0");
    assert_eq!(snapshot["variables"]["1.0"]["CHANNEL(linkedid)"], "1.0");
    assert_eq!(snapshot["asterisk_at"], 1_795_361_638.0);
}

#[actix::test]
async fn every_frame_reaches_the_journal_in_order() {
    let frames: Vec<_> = (0..5_000).map(event).collect();
    let bench = bench(vec![Script::Serve(frames.clone())], |_, _, _| {}).await;
    bench.kept.until("all frames are kept", |k| k.count("event") == 5_000).await;
    let kept: Vec<_> =
        bench.kept.lines.borrow().iter().filter_map(|l| l.strip_prefix("event ").map(str::to_owned)).collect();
    assert_eq!(kept, frames);
    let view = bench.view().await;
    assert_eq!(view.bytes, frames.iter().map(|f| f.len() as u64).sum::<u64>());
}

#[actix::test]
async fn after_a_clean_close_it_comes_back_and_the_gap_stands_before_what_follows() {
    let before = wall_clock();
    let scripts = vec![Script::Close(vec![event(1)]), Script::Serve(vec![event(2)])];
    let bench = bench(scripts, |_, _, _| {}).await;
    bench.kept.until("the second session's snapshot", |k| k.count("event") == 2 && k.count("snapshot") >= 1).await;
    let lines = bench.kept.lines.borrow().clone();
    let place = |start: &str| lines.iter().position(|l| l.starts_with(start)).unwrap();
    let (gap, second) = (place("gap Asterisk closed the socket"), place(&format!("event {}", event(2))));
    assert!(place(&format!("event {}", event(1))) < gap && gap < second, "{lines:?}");
    let (since, at) = bench.kept.gaps.borrow()[0];
    assert!(before < since && since <= at && at <= wall_clock(), "{since} {at}");
}

#[actix::test]
async fn what_was_heard_before_the_start_is_the_first_gap() {
    let heard = entry::Gap { since: 1_000.5, reason: "service was not running".into() };
    let bench = bench(vec![], |_, _, setup| setup.heard = Some(heard)).await;
    bench.kept.until("the snapshot", |k| k.count("snapshot") == 1).await;
    assert_eq!(bench.kept.lines.borrow()[0], "gap service was not running");
    assert!((bench.kept.gaps.borrow()[0].0 - 1_000.5).abs() < 1e-9);
}

#[actix::test]
async fn sessions_that_end_at_once_wait_longer_each_time() {
    let scripts = (0..6).map(|_| Script::Close(vec![])).collect();
    let bench = bench(scripts, |_, _, _| {}).await;
    until("the sixth socket", || bench.fake.server.sockets.borrow().len() >= 6).await;
    let opened = bench.fake.server.sockets.borrow().clone();
    // Half of 10, 20, 40, 80, 160 ms at least.
    for (n, pair) in opened.windows(2).take(5).enumerate() {
        let wait = pair[1] - pair[0];
        assert!(wait >= Duration::from_millis(5 << n), "wait {n} was {wait:?}");
    }
}

#[actix::test]
async fn a_dead_link_is_noticed_in_time_and_a_quiet_one_is_not_dead() {
    let scripts = vec![Script::Silence, Script::Serve(vec![])];
    let bench = bench(scripts, |ari, _, _| ari.dead_after_ms = 150).await;
    let began = Instant::now();
    let view = bench.seen("the dead link is seen", |v| v.dead_links == 1).await;
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(view.last_error.is_none_or(|e| e.contains("dead link")));
    // The next one answers pings and nothing else, for longer than a dead link may last.
    let (kept, from) = (&bench.kept, wall_clock() + 0.3);
    kept.until("alive for twice that time", |k| k.alive.borrow().last().is_some_and(|at| *at > from)).await;
    let view = bench.view().await;
    assert_eq!((view.state, view.sessions, view.dead_links), (State::Connected, 2, 1));
    assert_eq!(kept.count("gap dead link: nothing came for 150 ms"), 1);
}

#[actix::test]
async fn it_yields_to_another_client_and_comes_back_when_the_application_is_free() {
    let scripts = vec![Script::Serve(vec![event(1), replaced()])];
    let bench = bench(scripts, |_, _, _| {}).await;
    let view = bench.seen("yielded", |v| v.state == State::Yielded).await;
    assert!(view.last_error.is_some_and(|e| e.contains("another client took the application 'cc'")));
    let looks = bench.fake.seen("GET /ari/applications/cc");
    until("three more looks", || bench.fake.seen("GET /ari/applications/cc") >= looks + 3).await;
    assert_eq!(bench.view().await.sessions, 1, "it must not fight");
    assert_eq!(bench.fake.server.closed_in_order.get(), 1);
    bench.fake.server.app_held.set(false);
    bench.seen("connected again", |v| v.state == State::Connected && v.sessions == 2 && v.prepared).await;
    bench.kept.until("the gap", |k| k.count("gap another client took the application") == 1).await;
    assert_eq!(bench.kept.count(&format!("event {}", replaced())), 1, "the frame itself is kept");
}

#[actix::test]
async fn an_application_that_outlives_its_client_is_seen_to_be_free() {
    let bench = bench(vec![Script::Serve(vec![replaced()])], |_, _, _| {}).await;
    bench.seen("yielded", |v| v.state == State::Yielded).await;
    let looks = bench.fake.seen("GET /ari/applications/cc");
    until("two more looks", || bench.fake.seen("GET /ari/applications/cc") >= looks + 2).await;
    assert_eq!(bench.view().await.sessions, 1);
    // It still exists, but nobody is subscribed to everything any more.
    bench.fake.server.everything.set(false);
    let view = bench.seen("connected again", |v| v.sessions == 2 && v.prepared).await;
    assert_eq!(view.subscribe_all, SubscribeAll::Repaired);
    let gap = "gap another client took the application; then subscribeAll was not in force";
    bench.kept.until("the gap", |k| k.count(gap) == 1).await;
}

#[actix::test]
async fn a_command_takes_the_application_back_at_once() {
    let bench = bench(vec![Script::Serve(vec![replaced()])], |ari, _, _| ari.yield_check_ms = 3_600_000).await;
    bench.seen("yielded", |v| v.state == State::Yielded).await;
    bench.connection.send(TakeBack).await.unwrap();
    bench.seen("connected again", |v| v.state == State::Connected && v.sessions == 2).await;
}

#[actix::test]
async fn a_wrong_password_is_said_with_what_to_do_and_tried_again() {
    let bench = bench(vec![], |ari, fake, setup| setup.http = fake.http("wrong", ari)).await;
    let view = bench.seen("refused", |v| v.state == State::BackingOff).await;
    let error = view.last_error.unwrap();
    assert!(error.contains("refuses the user 'joe' (401)") && error.contains("ARI_PASSWORD"), "{error}");
    assert!(view.next_try_in_ms.is_some() && !error.contains("wrong"), "{error}");
    bench.seen("another try", |v| v.state == State::Connecting).await;
}

#[actix::test]
async fn subscribe_all_not_in_force_is_repaired_and_leaves_a_gap() {
    let bench = bench(vec![], |_, fake, _| fake.server.everything.set(false)).await;
    let view = bench.seen("repaired", |v| v.prepared).await;
    assert_eq!(view.subscribe_all, SubscribeAll::Repaired);
    let post =
        "POST /ari/applications/cc/subscription?eventSource=channel%3A%2Cbridge%3A%2Cendpoint%3A%2CdeviceState%3A";
    assert_eq!(bench.fake.seen(post), 1);
    bench.kept.until("the gap", |k| k.count("gap subscribeAll was not in force") == 1).await;
}

#[actix::test]
async fn subscribe_all_that_cannot_be_repaired_is_said_and_tried_again() {
    let bench = bench(vec![], |_, fake, _| {
        fake.server.everything.set(false);
        fake.server.read_only.set(true);
    })
    .await;
    let view = bench.seen("failed", |v| v.state == State::BackingOff).await;
    assert_eq!(view.subscribe_all, SubscribeAll::Failed);
    assert!(view.last_error.is_some_and(|e| e.contains("subscribeAll") && e.contains("read_only = no")));
    until("more tries", || bench.fake.server.sockets.borrow().len() >= 3).await;
    assert_eq!(bench.kept.count("gap"), 0, "one gap in the end, not one a try");
    bench.fake.server.read_only.set(false);
    bench.seen("repaired in the end", |v| v.prepared && v.subscribe_all == SubscribeAll::Repaired).await;
}

#[actix::test]
async fn a_full_journal_closes_the_socket_on_purpose_and_the_gap_covers_what_it_refused() {
    let frames = (0..3).map(event).collect();
    let bench = bench(vec![Script::Serve(frames)], |_, _, _| {}).await;
    // Refuses from the first entry on, so that nothing of the first sessions can be in it.
    bench.kept.full.set(true);
    bench.kept.full_too_late.set(true);
    let before = wall_clock();
    let view = bench.seen("closed on purpose", |v| v.state == State::BackingOff).await;
    assert!(view.last_error.is_some_and(|e| e.contains("the journal can't take more: its limit is reached")));
    bench.kept.full.set(false);
    bench.kept.until("a gap and a snapshot", |k| k.count("gap the journal") >= 1 && k.count("snapshot") == 1).await;
    let (since, _) = bench.kept.gaps.borrow()[0];
    assert!(since < before + 0.5, "since {since}, began {before}");
    assert!(bench.fake.server.closed_in_order.get() >= 1);
}

#[actix::test]
async fn it_stops_in_order_and_tells_its_parent() {
    let bench = bench(vec![], |_, _, _| {}).await;
    bench.seen("prepared", |v| v.prepared).await;
    bench.connection.send(Stop).await.unwrap();
    bench.kept.until("the exit is told", |k| k.exited.borrow().len() == 1).await;
    assert!(!bench.kept.exited.borrow()[0].panicked);
    assert_eq!(bench.kept.exited.borrow()[0].who, "connection");
    until("the close frame came", || bench.fake.server.closed_in_order.get() == 1).await;
}

/// Leaves the status held, so that the life fails inside at its next step.
#[derive(Message)]
#[rtype(result = "()")]
struct Break;

impl Handler<Break> for AriConnection {
    type Result = ();
    fn handle(&mut self, _: Break, _: &mut Self::Context) {
        std::mem::forget(self.status.borrow_mut());
    }
}

#[actix::test]
async fn a_panic_inside_ends_the_actor_and_its_parent_is_told() {
    let bench = bench(vec![Script::Close(vec![])], |ari, _, _| ari.backoff_min_ms = 50).await;
    bench.seen("between two sessions", |v| v.state == State::BackingOff).await;
    bench.connection.send(Break).await.unwrap();
    bench.kept.until("the exit is told", |k| k.exited.borrow().len() == 1).await;
    assert!(bench.kept.exited.borrow()[0].panicked);
    assert!(!bench.connection.connected());
}

/// A text frame, not masked.
fn text_frame(payload: &[u8]) -> Vec<u8> {
    [&[0x81, 126][..], &(payload.len() as u16).to_be_bytes(), payload].concat()
}

#[actix::test]
async fn a_frame_that_is_no_text_or_too_long_ends_no_session() {
    let long = vec![b'y'; 2_000];
    let bytes = [text_frame(&[b'x', 0xff]), text_frame(&long), text_frame(event(1).as_bytes())].concat();
    let limit = |_: &mut config::Ari, fake: &FakeAri, setup: &mut ConnectionSetup| {
        let (ari, password) = quick();
        setup.http = fake.http(password, &config::Ari { max_frame_bytes: 1_000, ..ari });
    };
    let bench = bench(vec![Script::Bytes(bytes)], limit).await;
    bench.kept.until("the event behind them", |k| k.count("event") == 1).await;
    let view = bench.seen("prepared", |v| v.prepared).await;
    assert_eq!((view.sessions, view.frames), (1, 3), "{view:?}");
    assert!(view.bytes > 2_000, "all that came is counted: {view:?}");
    let kept = &bench.kept;
    assert_eq!((kept.count("binary"), kept.count("too long 2000"), kept.count("bad"), kept.count("gap")), (1, 1, 0, 0));
}

#[actix::test]
async fn a_frame_of_an_absurd_length_is_on_record_and_each_reconnect_waits_longer() {
    // One that claims to have 4 GiB; its first bytes.
    let absurd = || Script::Bytes(vec![0x81, 127, 0, 0, 0, 1, 0, 0, 0, 0, b'{']);
    let bench = bench(vec![absurd(), absurd(), absurd()], |ari, _, setup| {
        ari.backoff_min_ms = 100;
        setup.heard = Some(entry::Gap { since: wall_clock(), reason: "before".into() });
    })
    .await;
    bench.kept.until("three marks", |k| k.count("bad a frame of 4294967296 bytes") == 3).await;
    let view = bench.seen("a session that lasts", |v| v.sessions == 4 && v.prepared).await;
    bench.kept.until("the gap", |k| k.count("gap before") == 1).await;
    let sockets = bench.fake.server.sockets.borrow().clone();
    let waits: Vec<_> = sockets.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // The wait doubles, with some chance in it.
    assert!(waits.iter().all(|wait| *wait >= Duration::from_millis(40)) && waits[2] > waits[0], "{waits:?}");
    assert_eq!(view.frames, 0);
}

#[actix::test]
async fn who_came_in_the_last_moment_is_let_go_when_the_service_stops() {
    let bench = bench(vec![Script::Serve(vec![event(1)])], |_, _, _| {}).await;
    bench.seen("prepared", |v| v.prepared && v.frames == 1).await;
    bench.fake.server.channels.replace(Some(serde_json::json!([waiting("7.0")])));
    bench.connection.send(Stop).await.unwrap();
    bench.kept.until("the connection has ended", |k| !k.exited.borrow().is_empty()).await;
    assert_eq!(bench.fake.seen("POST /ari/channels/7.0/continue"), 1);
    assert_eq!(bench.kept.count("command POST /channels/7.0/continue"), 1);
}

#[actix::test]
async fn who_waits_is_sent_on_also_when_a_start_finds_the_journal_full() {
    let bench = bench(vec![], |_, fake, _| {
        fake.server.channels.replace(Some(serde_json::json!([waiting("7.0")])));
        fake.server.broken.set(Some(("continue", 503)));
    })
    .await;
    bench.kept.full.set(true);
    until("it is tried again", || bench.fake.seen("POST /ari/channels/7.0/continue") >= 2).await;
    bench.fake.server.broken.set(None);
    let tried = bench.fake.seen("POST /ari/channels/7.0/continue");
    until("he is sent on", || bench.fake.seen("POST /ari/channels/7.0/continue") > tried).await;
    assert_eq!(bench.fake.server.sockets.borrow().len(), 0, "no socket while the journal is full");
    bench.kept.full.set(false);
    bench.seen("connected", |v| v.prepared && v.sessions == 1).await;
}

#[actix::test]
async fn who_waits_is_sent_on_also_while_a_start_waits_for_the_feed() {
    let (open, feed) = tokio::sync::watch::channel(false);
    let bench = bench(vec![], |_, fake, setup| {
        fake.server.channels.replace(Some(serde_json::json!([waiting("7.0")])));
        setup.gate = FeedGate::control(feed);
    })
    .await;
    // As the feed that is away.
    bench.kept.full.set(true);
    until("he is sent on", || bench.fake.seen("POST /ari/channels/7.0/continue") == 1).await;
    assert_eq!(bench.fake.server.sockets.borrow().len(), 0, "no socket while there is no feed");
    bench.fake.server.channels.replace(Some(serde_json::json!([])));
    bench.kept.full.set(false);
    open.send_replace(true);
    let view = bench.seen("connected", |v| v.prepared).await;
    assert_eq!(view.sessions, 1, "what could not be recorded meanwhile ends no session");
}

#[actix::test]
async fn the_callers_of_a_client_that_took_the_application_are_left_alone_until_it_has_gone() {
    let (_feed, open) = tokio::sync::watch::channel(true);
    let bench = bench(vec![], |_, fake, setup| {
        fake.server.channels.replace(Some(serde_json::json!([])));
        setup.gate = FeedGate::control(open);
    })
    .await;
    bench.seen("prepared", |v| v.prepared).await;
    bench.fake.server.channels.replace(Some(serde_json::json!([waiting("7.0")])));
    bench.kept.full.set(true);
    bench.fake.say(replaced());
    bench.seen("yielded", |v| v.state == State::Yielded).await;
    let looks = bench.fake.seen("GET /ari/applications/cc");
    until("two more looks", || bench.fake.seen("GET /ari/applications/cc") >= looks + 2).await;
    assert_eq!(bench.fake.seen("POST /ari/channels/7.0/continue"), 0, "it is the other client's caller");
    bench.fake.server.app_held.set(false);
    until("he is sent on", || bench.fake.seen("POST /ari/channels/7.0/continue") > 0).await;
    assert_eq!(bench.fake.server.sockets.borrow().len(), 1, "no socket while the journal is full");
}

#[actix::test]
async fn a_stop_while_another_client_has_the_application_lets_nobody_go() {
    let bench = bench(vec![], |_, _, _| {}).await;
    bench.seen("prepared", |v| v.prepared).await;
    bench.fake.server.channels.replace(Some(serde_json::json!([waiting("7.0")])));
    bench.fake.say(replaced());
    bench.seen("yielded", |v| v.state == State::Yielded).await;
    bench.connection.send(Stop).await.unwrap();
    bench.kept.until("the connection has ended", |k| !k.exited.borrow().is_empty()).await;
    assert_eq!(bench.fake.seen("POST /ari/channels/7.0/continue"), 0);
}

#[actix::test]
async fn a_command_to_connect_that_came_too_early_takes_nothing_back_later() {
    let (open, feed) = tokio::sync::watch::channel(false);
    let bench = bench(vec![], |_, _, setup| setup.gate = FeedGate::control(feed)).await;
    bench.seen("waits for the feed", |v| v.state == State::BackingOff).await;
    bench.connection.send(TakeBack).await.unwrap();
    open.send_replace(true);
    bench.seen("prepared", |v| v.prepared).await;
    bench.fake.say(replaced());
    bench.seen("yielded", |v| v.state == State::Yielded).await;
    let looks = bench.fake.seen("GET /ari/applications/cc");
    until("three more looks", || bench.fake.seen("GET /ari/applications/cc") >= looks + 3).await;
    assert_eq!(bench.view().await.sessions, 1, "it must not fight");
    bench.connection.send(TakeBack).await.unwrap();
    bench.seen("connected again", |v| v.state == State::Connected && v.sessions == 2).await;
}

#[actix::test]
async fn a_client_that_took_the_application_and_left_before_the_first_look_is_seen_to_have_gone() {
    let bench = bench(vec![], |_, _, _| {}).await;
    bench.seen("prepared", |v| v.prepared).await;
    // The application is kept by somebody's subscription.
    bench.fake.server.everything.set(false);
    bench.fake.say(replaced());
    bench.seen("connected again", |v| v.sessions == 2 && v.prepared).await;
}

/// Makes the reading of variables wait for `release`, and says an event meanwhile.
async fn event_amid_variables() -> Bench {
    let bench = bench(vec![], |_, fake, _| {
        fake.server.channels.replace(Some(serde_json::json!([waiting("slow.0")])));
    })
    .await;
    until("both variables are asked for", || {
        let requests = bench.fake.server.requests.borrow();
        requests.iter().filter(|r| r.starts_with("GET /ari/channels/slow.0/variable")).count() == 2
    })
    .await;
    bench.fake.say(event(1));
    bench.seen("the event came", |v| v.frames == 1).await;
    bench
}

#[actix::test]
async fn what_comes_after_the_lists_were_read_stands_behind_the_snapshot() {
    let bench = event_amid_variables().await;
    assert_eq!(bench.kept.count("event"), 0, "it is held back");
    bench.fake.server.release.notify_waiters();
    bench.kept.until("the event is kept", |k| k.count("event") == 1).await;
    let lines = bench.kept.lines.borrow().clone();
    assert_eq!(lines[lines.len() - 2..], ["snapshot".to_owned(), format!("event {}", event(1))]);
}

#[actix::test]
async fn what_is_held_back_for_the_snapshot_waits_a_second_at_most_and_is_kept_when_the_session_ends() {
    let bench = event_amid_variables().await;
    bench.kept.until("the event is kept", |k| k.count("event") == 1).await;
    assert_eq!(bench.kept.count("snapshot"), 0, "its variables are not there yet");
    let bench = event_amid_variables().await;
    bench.fake.server.cut.notify_waiters();
    bench.kept.until("the gap follows", |k| k.count("gap") == 1).await;
    let lines = bench.kept.lines.borrow().clone();
    let place = |start: &str| lines.iter().position(|l| l.starts_with(start));
    assert!(place("event").is_some() && place("event") < place("gap"), "{lines:?}");
}
