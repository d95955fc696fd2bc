//! The command actor against a scripted ARI.

use super::*;
use crate::actors::ari_socket::InUse;
use crate::actors::connection::{AriConnection, ConnectionSetup, ConnectionStatus, FeedGate};
use crate::actors::fake_ari::{FakeAri, Kept, Memory, OnSocket, quick, until};
use crate::ari::request::{ChannelAction, ContinueAt, HangupReason};

struct Bench {
    over: InUse,
    fake: FakeAri,
    kept: Rc<Kept>,
    commands: Addr<AriCommand>,
    /// With a connection: its part of the journal, and itself.
    heard: Rc<Kept>,
    connection: Option<Addr<AriConnection>>,
}

/// Every outcome is the same over both.
const BOTH: [InUse; 2] = [InUse::Http, InUse::Websocket];

async fn bench(over: InUse, adjust: impl FnOnce(&mut config::Ari)) -> Bench {
    let bench = connected(|ari, _| {
        ari.transport = if over == InUse::Http { config::Transport::Http } else { config::Transport::Auto };
        adjust(ari);
    })
    .await;
    bench.travels(over).await;
    bench.fake.server.requests.borrow_mut().clear();
    Bench { over, ..bench }
}

/// With a connection, whose socket can take requests.
async fn connected(adjust: impl FnOnce(&mut config::Ari, &FakeAri)) -> Bench {
    let fake = FakeAri::start(vec![]).await;
    let (memory, kept) = Memory::start_new();
    let (of_connection, heard) = Memory::start_new();
    let (mut ari, password) = quick();
    adjust(&mut ari, &fake);
    let (node, http) = (NodeId::new("test"), fake.http(password, &ari));
    let socket = SocketRest::new(node.clone(), ari.transport);
    let connection = (ari.transport != config::Transport::Http).then(|| {
        AriConnection::start_with(ConnectionSetup {
            node: node.clone(),
            http: http.clone(),
            rest: socket.clone(),
            ari: ari.clone(),
            frames: of_connection.clone().recipient(),
            entries: of_connection.clone().recipient(),
            alive: of_connection.clone().recipient(),
            heard: None,
            gate: FeedGate::default(),
            accept: None,
            exited: of_connection.recipient(),
        })
    });
    let commands = AriCommand::start_with(CommandSetup {
        node,
        http,
        socket,
        ari,
        journal: memory.clone().recipient(),
        exited: memory.recipient(),
    });
    Bench { over: InUse::Http, fake, kept, commands, heard, connection }
}

fn go_on(channel: &str) -> Request {
    Request::channel(channel, ChannelAction::Continue(ContinueAt::default()))
}

fn get(channel: &str) -> Request {
    Request::channel(channel, ChannelAction::Get)
}

impl Bench {
    fn ask(&self, request: Request) -> tokio::task::JoinHandle<Answer> {
        let asking = self.commands.send(Ask { request, who: "test".into() });
        actix::spawn(async move { asking.await.unwrap() })
    }

    async fn word(&self, request: Request) -> &'static str {
        self.ask(request).await.unwrap().outcome.word()
    }

    fn requests(&self) -> Vec<String> {
        self.fake.server.requests.borrow().clone()
    }

    /// How everything is; so far all requests went the one way.
    async fn view(&self) -> CommandView {
        let view = self.commands.send(CommandStatus).await.unwrap();
        let other = if self.over == InUse::Http { view.over_websocket } else { view.over_http };
        assert_eq!(other, 0, "{view:?}");
        view
    }

    /// Waits until the transport is so.
    async fn until(&self, what: &str, condition: impl Fn(&CommandView) -> bool) -> CommandView {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let view = self.commands.send(CommandStatus).await.unwrap();
            if condition(&view) {
                return view;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}: {view:?}");
            tokio::task::yield_now().await;
        }
    }

    async fn travels(&self, over: InUse) {
        self.until("requests travel that way", |view| view.transport.in_use == over).await;
    }
}

#[actix::test]
async fn what_changes_something_is_on_record_before_and_after_and_reads_are_not() {
    for over in BOTH {
        let bench = bench(over, |_| {}).await;
        assert_eq!(bench.word(get("1.5")).await, "done");
        assert_eq!(bench.word(go_on("1.5")).await, "done");
        assert_eq!(bench.word(Request::channel("gone", ChannelAction::Hangup(HangupReason::Normal))).await, "gone");
        let lines = bench.kept.lines.borrow().clone();
        assert_eq!(
            lines,
            [
                "command POST /channels/1.5/continue by test",
                "reply done",
                "command DELETE /channels/gone by test",
                "reply gone"
            ]
        );
        let view = bench.view().await;
        assert_eq!((view.done, view.failed.get("gone"), view.in_flight, view.waiting), (2, Some(&1), 0, 0));
    }
}

#[actix::test]
async fn one_channel_in_order_another_overtakes() {
    for over in BOTH {
        let bench = bench(over, |_| {}).await;
        let first = bench.ask(go_on("slow"));
        let second = bench.ask(Request::channel("slow", ChannelAction::Answer));
        let other = bench.ask(go_on("quick"));
        assert!(other.await.unwrap().outcome.is_done());
        until("the first is there", || bench.fake.seen("POST /ari/channels/slow/continue") == 1).await;
        assert_eq!(bench.fake.seen("POST /ari/channels/slow/answer"), 0, "{:?}", bench.requests());
        let view = bench.view().await;
        assert_eq!((view.in_flight, view.waiting), (1, 1));
        bench.fake.server.release.notify_one();
        assert!(first.await.unwrap().outcome.is_done());
        until("the second is there", || bench.fake.seen("POST /ari/channels/slow/answer") == 1).await;
        bench.fake.server.release.notify_one();
        assert!(second.await.unwrap().outcome.is_done());
    }
}

#[actix::test]
async fn no_answer_in_time_and_no_room_are_outcomes() {
    for over in BOTH {
        let bench = bench(over, |ari| {
            ari.request_timeout_ms = 100;
            ari.max_in_flight = 1;
            ari.queue_limit = 1;
        })
        .await;
        let first = bench.ask(go_on("slow"));
        let second = bench.ask(get("slow2"));
        let third = bench.ask(get("3"));
        assert_eq!(third.await.unwrap().outcome, Outcome::QueueFull);
        assert_eq!(first.await.unwrap().outcome, Outcome::TimedOut);
        // It has waited for as long as a request may take, so it may be sent or not; it ends either way.
        let word = second.await.unwrap().outcome.word();
        assert!(["timed_out", "expired"].contains(&word), "{word}");
        assert_eq!(bench.kept.lines.borrow()[1], "reply timed_out");
        let view = bench.view().await;
        assert_eq!((view.failed.get("queue_full"), view.in_flight, view.waiting), (Some(&1), 0, 0));
        assert!(view.last_failure.is_some());
    }
}

#[actix::test]
async fn a_full_journal_holds_up_no_caller_but_is_seen() {
    for over in BOTH {
        let bench = bench(over, |_| {}).await;
        bench.kept.full.set(true);
        assert_eq!(bench.word(go_on("1.5")).await, "done");
        assert_eq!(bench.view().await.unrecorded, 1);
    }
}

#[actix::test]
async fn a_connection_closed_behind_our_back_loses_no_request() {
    let bench = bench(InUse::Http, |_| {}).await;
    bench.fake.server.hangs_up.set(true);
    for n in 0..20 {
        assert_eq!(bench.word(get(&format!("{n}"))).await, "done", "request {n}");
    }
    assert_eq!(bench.requests().len(), 20);
}

#[actix::test]
async fn nobody_there_is_an_outcome() {
    let bench = bench(InUse::Http, |_| {}).await;
    let (ari, password) = quick();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let nobody = FakeAri { server: bench.fake.server.clone(), port };
    let answer = nobody.http(password, &ari).client(1).ask(&go_on("1")).await;
    assert_eq!((answer.outcome.word(), answer.status, answer.retried), ("unreachable", 0, false));
}

#[actix::test]
async fn stopping_finishes_what_is_under_way_and_refuses_the_rest() {
    for over in BOTH {
        let bench = bench(over, |ari| ari.max_in_flight = 1).await;
        let under_way = bench.ask(go_on("slow"));
        let waiting = bench.ask(go_on("2"));
        until("it is under way", || bench.requests().len() == 1).await;
        bench.commands.send(Stop).await.unwrap();
        let late = bench.ask(go_on("3"));
        assert_eq!(waiting.await.unwrap().outcome.word(), "unreachable");
        assert_eq!(late.await.unwrap().outcome.word(), "unreachable");
        bench.fake.server.release.notify_one();
        assert!(under_way.await.unwrap().outcome.is_done());
        bench.kept.until("the exit is told", |k| k.exited.borrow().len() == 1).await;
        assert!(!bench.kept.exited.borrow()[0].panicked);
        assert_eq!(bench.requests().len(), 1);
    }
}

#[actix::test]
async fn a_socket_that_ends_loses_no_read_and_nobody_knows_whether_a_command_was_done() {
    let bench = bench(InUse::Websocket, |ari| (ari.backoff_min_ms, ari.backoff_max_ms) = (500, 500)).await;
    let (read, command) = (bench.ask(get("slow1")), bench.ask(go_on("slow2")));
    until("both are under way", || bench.requests().len() == 2).await;
    bench.fake.server.cut.notify_one();
    let lost = command.await.unwrap();
    assert_eq!(lost.outcome, Outcome::Unreachable("the connection was closed before the answer".into()));
    assert_eq!((lost.status, lost.retried), (0, false));
    // Nobody takes the first one's answer any more; the read comes again, over HTTP.
    until("the read came again", || bench.fake.seen("GET /ari/channels/slow1") == 2).await;
    (0..3).for_each(|_| bench.fake.server.release.notify_one());
    bench.fake.server.release.notify_waiters();
    let read = read.await.unwrap();
    assert!(read.outcome.is_done() && read.retried && !read.over_socket, "{read:?}");
    assert_eq!(bench.fake.seen("POST /ari/channels/slow2/continue"), 1, "a command is never sent twice");
    let next = bench.ask(go_on("3")).await.unwrap();
    assert!(next.outcome.is_done() && !next.over_socket, "at once over HTTP: {next:?}");
    bench.travels(InUse::Websocket).await;
    assert!(bench.ask(go_on("4")).await.unwrap().over_socket);
    let lines = bench.kept.lines.borrow().clone();
    assert_eq!(lines.iter().filter(|l| l.starts_with("reply")).count(), 3, "{lines:?}");
}

#[actix::test]
async fn answers_never_reach_the_journal_and_disturb_no_event() {
    let bench = bench(InUse::Websocket, |_| {}).await;
    bench.fake.server.on_socket.set(OnSocket::AnswersTwice);
    for n in 0..5 {
        assert_eq!(bench.word(go_on(&format!("1.{n}"))).await, "done");
    }
    bench.heard.until("the last event", |k| k.count("event") == 20).await;
    let kept: Vec<_> = bench.heard.lines.borrow().iter().filter(|l| l.starts_with("event")).cloned().collect();
    let sent: Vec<_> =
        (0..20).map(|n| format!(r#"event {{"type":"X","n":{},"application":"cc"}}"#, n % 4 + 1)).collect();
    assert_eq!(kept, sent);
    // Each time an unknown, a doubled and a broken one.
    assert_eq!(bench.view().await.transport.stray_answers, 15);
}

#[actix::test]
async fn a_server_that_knows_no_requests_keeps_its_session_and_is_asked_over_http() {
    let bench = connected(|ari, fake| {
        ari.transport = config::Transport::Websocket;
        fake.server.on_socket.set(OnSocket::Ignores);
    })
    .await;
    assert_eq!(bench.word(go_on("1")).await, "done", "nobody waits until it is known");
    let view = bench.until("it is known", |view| view.transport.refused).await;
    assert!(view.transport.why.contains("didn't answer on the event socket within 1000 ms"), "{view:?}");
    assert_eq!(bench.word(go_on("2")).await, "done");
    assert_eq!(bench.view().await.over_http, 2);
    assert_eq!(bench.fake.server.sockets.borrow().len(), 1);
}

#[actix::test]
async fn a_server_that_ends_the_socket_over_a_request_is_not_asked_for_ever() {
    let bench = connected(|_, fake| fake.server.on_socket.set(OnSocket::Ends)).await;
    let view = bench.until("it is known", |view| view.transport.refused).await;
    assert!(view.transport.why.contains("ended 2 times"), "{view:?}");
    assert_eq!(bench.word(go_on("1")).await, "done");
    let shown = bench.connection.as_ref().unwrap().send(ConnectionStatus).await.unwrap();
    assert_eq!((shown.sessions, shown.prepared), (3, true), "two were lost, the third stays");
}

#[actix::test]
async fn an_old_server_is_never_sent_a_request_on_the_socket() {
    let bench = connected(|_, fake| {
        fake.server.on_socket.set(OnSocket::Ends);
        fake.server.version.replace("18.26.4".into());
    })
    .await;
    let view = bench.until("it is known", |view| view.transport.refused).await;
    assert!(view.transport.why.contains("Asterisk 18.26.4 takes none"), "{view:?}");
    assert_eq!(bench.word(go_on("1")).await, "done");
    assert_eq!(bench.fake.server.sockets.borrow().len(), 1);
}

#[actix::test]
async fn after_a_request_without_an_answer_others_go_over_http() {
    let bench = bench(InUse::Websocket, |ari| ari.request_timeout_ms = 200).await;
    bench.fake.server.on_socket.set(OnSocket::Ignores);
    assert_eq!(bench.word(go_on("1")).await, "timed_out");
    let next = bench.ask(go_on("2")).await.unwrap();
    assert!(next.outcome.is_done() && !next.over_socket, "{next:?}");
    // A new session is asked anew.
    bench.fake.server.on_socket.set(OnSocket::Answers);
    bench.fake.server.cut.notify_one();
    bench.travels(InUse::Websocket).await;
}
