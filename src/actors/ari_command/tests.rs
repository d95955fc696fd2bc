//! The command actor against a scripted ARI.

use super::*;
use crate::actors::fake_ari::{FakeAri, Kept, Memory, quick, until};
use crate::ari::request::{ChannelAction, ContinueAt, HangupReason};

struct Bench {
    fake: FakeAri,
    kept: Rc<Kept>,
    commands: Addr<AriCommand>,
}

async fn bench(adjust: impl FnOnce(&mut config::Ari)) -> Bench {
    let fake = FakeAri::start(vec![]).await;
    let (memory, kept) = Memory::start_new();
    let (mut ari, password) = quick();
    adjust(&mut ari);
    let commands = AriCommand::start_with(CommandSetup {
        node: NodeId::new("test"),
        http: fake.http(password, &ari),
        ari,
        journal: memory.clone().recipient(),
        exited: memory.recipient(),
    });
    Bench { fake, kept, commands }
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

    async fn view(&self) -> CommandView {
        self.commands.send(CommandStatus).await.unwrap()
    }
}

#[actix::test]
async fn what_changes_something_is_on_record_before_and_after_and_reads_are_not() {
    let bench = bench(|_| {}).await;
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

#[actix::test]
async fn one_channel_in_order_another_overtakes() {
    let bench = bench(|_| {}).await;
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

#[actix::test]
async fn no_answer_in_time_and_no_room_are_outcomes() {
    let bench = bench(|ari| {
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

#[actix::test]
async fn a_full_journal_holds_up_no_caller_but_is_seen() {
    let bench = bench(|_| {}).await;
    bench.kept.full.set(true);
    assert_eq!(bench.word(go_on("1.5")).await, "done");
    assert_eq!(bench.view().await.unrecorded, 1);
}

#[actix::test]
async fn a_connection_closed_behind_our_back_loses_no_request() {
    let bench = bench(|_| {}).await;
    bench.fake.server.hangs_up.set(true);
    for n in 0..20 {
        assert_eq!(bench.word(get(&format!("{n}"))).await, "done", "request {n}");
    }
    assert_eq!(bench.requests().len(), 20);
}

#[actix::test]
async fn nobody_there_is_an_outcome() {
    let bench = bench(|_| {}).await;
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
    let bench = bench(|ari| ari.max_in_flight = 1).await;
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
