//! A caller who waits in the application is asked for until Asterisk says what became of it.
//!
//! Each request ends in an answer: what it waited in vain for is told as well, and a command actor that is replaced lets
//! go of whoever waits. So whoever asks knows, also while the journal or the database take nothing, and asks again after a pause.
//! Asterisk that said nothing at all is pinged first: that is not on record, which a long outage would fill.
//! Nothing in a record follows from this; commands and replies stand in the journal as always.
//!
//! Whoever starts this ends it (by dropping it) when the channel has left the application.

use std::time::Duration;

use super::ari_command::{AriCommand, Ask};
use super::audit::deliver;
use super::link::Link;
use crate::ari::outcome::Outcome;
use crate::ari::request::{ChannelAction, ContinueAt, Request};
use crate::call;
use crate::routing::Step;

/// After the first, second and every further try. Short at first, as most of what fails is over at once.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
/// See [`PAUSES`].
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Sends these steps about a channel, one after the other, each until its outcome is final.
pub(super) async fn ask_until_final(commands: Link<AriCommand>, channel: impl AsRef<str>, asks: Vec<call::Ask>) {
    for call::Ask { step, rule } in asks {
        let request = match step {
            Step::Continue => Request::channel(channel.as_ref(), ChannelAction::Continue(ContinueAt::default())),
        };
        one(&commands, Ask { request, who: format!("rule:{rule}") }).await;
    }
}

async fn one(commands: &Link<AriCommand>, ask: Ask) {
    let mut pauses = PAUSES.into_iter();
    let mut heard = true;
    loop {
        if heard || is_there(commands).await {
            let outcome = send(commands, ask.clone()).await;
            if outcome.as_ref().is_some_and(Outcome::is_final) {
                return;
            }
            heard = outcome.is_some_and(|outcome| !outcome.is_silence());
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// The outcome; none when the command actor is gone.
async fn send(commands: &Link<AriCommand>, ask: Ask) -> Option<Outcome> {
    let answer = deliver(&commands.get().recipient(), ask).await;
    answer.ok().map(|answer| answer.outcome)
}

async fn is_there(commands: &Link<AriCommand>) -> bool {
    let ping = Ask { request: Request::Ping, who: "rule".to_owned() };
    send(commands, ping).await.is_some_and(|outcome| outcome.is_done())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Instant;

    use actix::{Addr, Handler, Message};

    use super::*;
    use crate::actors::ari_command::{CommandSetup, CommandStatus};
    use crate::actors::ari_socket::SocketRest;
    use crate::actors::fake_ari::{FakeAri, Kept, Memory, quick, until};
    use crate::call::Leg;
    use crate::config;
    use crate::model::NodeId;

    const CONTINUE: &str = "POST /ari/channels/1.1/continue";

    struct Bench {
        fake: FakeAri,
        kept: Rc<Kept>,
        memory: Addr<Memory>,
        ari: config::Ari,
        commands: Link<AriCommand>,
    }

    async fn bench(adjust: impl FnOnce(&mut config::Ari)) -> Bench {
        let (fake, (memory, kept)) = (FakeAri::start(vec![]).await, Memory::start_new());
        let mut ari = quick().0;
        adjust(&mut ari);
        let commands = Link::new(start(&fake, &memory, &ari));
        Bench { fake, kept, memory, ari, commands }
    }

    fn start(fake: &FakeAri, memory: &Addr<Memory>, ari: &config::Ari) -> Addr<AriCommand> {
        let node = NodeId::new("test");
        AriCommand::start_with(CommandSetup {
            http: fake.http(quick().1, ari),
            socket: SocketRest::new(node.clone(), config::Transport::Http),
            node,
            ari: ari.clone(),
            journal: memory.clone().recipient(),
            exited: memory.clone().recipient(),
        })
    }

    impl Bench {
        fn ask(&self, channel: &str) -> tokio::task::JoinHandle<()> {
            actix::spawn(ask_until_final(self.commands.clone(), channel.to_owned(), vec![Leg::fallback()]))
        }

        /// Keeps the only place busy.
        async fn occupy(&self) {
            let request = Request::channel("slow", ChannelAction::Get);
            self.commands.get().do_send(Ask { request, who: "test".into() });
            until("the place is taken", || self.fake.seen("GET /ari/channels/slow") == 1).await;
        }

        fn replies(&self) -> Vec<String> {
            self.kept.lines.borrow().iter().filter(|line| line.starts_with("reply")).cloned().collect()
        }
    }

    /// It ends by itself.
    async fn ends(asking: tokio::task::JoinHandle<()>) {
        tokio::time::timeout(Duration::from_secs(10), asking).await.expect("it is asked again in time").unwrap();
    }

    #[actix::test]
    async fn refused_connections_are_pinged_and_the_step_is_asked_when_someone_is_there_again() {
        let mut bench = bench(|_| {}).await;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        bench.fake.port = port;
        bench.commands.replace(start(&bench.fake, &bench.memory, &bench.ari));
        let asking = bench.ask("1.1");
        bench.kept.until("the first try is over", |kept| kept.count("reply unreachable") == 1).await;
        let back = Instant::now();
        let fake = FakeAri::start_at(port, vec![]).await;
        ends(asking).await;
        assert!(back.elapsed() < Duration::from_secs(4), "{:?}", back.elapsed());
        assert_eq!((fake.seen(CONTINUE), bench.replies()), (1, vec!["reply unreachable".into(), "reply done".into()]));
        let last = fake.server.requests.borrow()[..2].join(", ");
        assert_eq!(last, format!("GET /ari/asterisk/ping, {CONTINUE}"));
    }

    #[actix::test]
    async fn whatever_is_answered_the_step_is_asked_until_that_is_final_and_each_try_is_on_record() {
        let bench = bench(|_| {}).await;
        for (status, word) in [(500, "other"), (401, "unauthorized"), (503, "unavailable")] {
            bench.fake.server.broken.set(Some(("continue", status)));
            let asking = bench.ask("1.1");
            let reply = format!("reply {word}");
            bench.kept.until("it is tried again", |kept| kept.count(&reply) >= 2).await;
            bench.fake.server.broken.set(None);
            ends(asking).await;
        }
        assert_eq!((bench.fake.seen(CONTINUE), bench.kept.count("reply done")), (bench.kept.count("command"), 3));
        ends(bench.ask("gone")).await;
        assert_eq!(bench.fake.seen("POST /ari/channels/gone/continue"), 1, "who is gone is asked for no more");
    }

    #[actix::test]
    async fn a_full_queue_is_on_record_and_tried_again() {
        let bench = bench(|ari| (ari.max_in_flight, ari.queue_limit, ari.request_timeout_ms) = (1, 0, 10_000)).await;
        bench.occupy().await;
        let asking = bench.ask("1.1");
        bench.kept.until("it is refused twice", |kept| kept.count("reply queue_full") >= 2).await;
        assert!(bench.kept.count("command POST /channels/1.1/continue by rule:default") >= 2);
        assert_eq!(bench.fake.seen(CONTINUE), 0);
        bench.fake.server.release.notify_one();
        ends(asking).await;
        assert_eq!((bench.fake.seen(CONTINUE), bench.kept.count("reply done")), (1, 1));
    }

    #[actix::test]
    async fn what_waited_too_long_is_on_record_and_tried_again() {
        let bench = bench(|ari| (ari.max_in_flight, ari.request_timeout_ms) = (1, 100)).await;
        bench.occupy().await;
        // The second waits at least as long as a request may take: either it has expired, or the third has behind it.
        let asking = [bench.ask("slow2"), bench.ask("1.1")];
        bench.kept.until("one has expired", |kept| kept.count("reply expired") >= 1).await;
        let release = bench.fake.server.clone();
        let releasing = actix::spawn(async move {
            loop {
                release.release.notify_one();
                tokio::task::yield_now().await;
            }
        });
        for asking in asking {
            ends(asking).await;
        }
        releasing.abort();
        assert_eq!(bench.kept.count("reply done"), 2, "{:?}", bench.kept.lines);
        assert_eq!(bench.kept.count("command"), bench.kept.count("reply"), "{:?}", bench.kept.lines);
    }

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Panic;

    impl Handler<Panic> for AriCommand {
        type Result = ();

        fn handle(&mut self, _: Panic, _: &mut Self::Context) {
            panic!("as the test asked");
        }
    }

    #[actix::test]
    async fn what_waited_in_a_command_actor_that_failed_is_asked_of_the_next_one() {
        let bench = bench(|ari| (ari.max_in_flight, ari.request_timeout_ms) = (1, 10_000)).await;
        bench.occupy().await;
        let asking = [bench.ask("1.1"), bench.ask("1.2")];
        let failing = bench.commands.get();
        let deadline = Instant::now() + Duration::from_secs(10);
        while failing.send(CommandStatus).await.unwrap().waiting < 2 {
            assert!(Instant::now() < deadline, "both wait");
        }
        assert!(failing.send(Panic).await.is_err());
        bench.kept.until("its end is told", |kept| kept.exited.borrow().len() == 1).await;
        assert!(bench.kept.exited.borrow()[0].panicked);
        bench.commands.replace(start(&bench.fake, &bench.memory, &bench.ari));
        for asking in asking {
            ends(asking).await;
        }
        assert_eq!((bench.fake.seen(CONTINUE), bench.kept.count("reply done")), (1, 2));
    }
}
