//! Who is asked for when Asterisk does not take the request at once, and for how long: in the ordinary way, ahead of a
//! database that takes nothing, and after the channel's logic has failed.

use std::rc::Rc;

use actix::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::actors::ari_command::CommandSetup;
use crate::actors::ari_socket::SocketRest;
use crate::actors::db_writer::journal_of;
use crate::actors::fake_ari::{FakeAri, Kept, Memory, quick, until};
use crate::actors::journal::{JournalReader, JournalWriter};
use crate::model::NodeId;

/// A database that takes nothing.
struct Stalled;

impl Actor for Stalled {
    type Context = Context<Self>;
}

impl Handler<Write> for Stalled {
    type Result = ();
    fn handle(&mut self, _: Write, _: &mut Self::Context) {}
}

struct Bench {
    _dir: TempDir,
    fake: FakeAri,
    kept: Rc<Kept>,
    journal: JournalWriter,
    registry: Addr<Registry>,
}

/// With room for everything between registry and writer, or for one batch only.
async fn bench(room: bool) -> Bench {
    let dir = TempDir::new().unwrap();
    let (journal, _) = JournalWriter::open(dir.path(), &config::Journal::default()).unwrap();
    let (fake, (memory, kept)) = (FakeAri::start(vec![]).await, Memory::start_new());
    let (node, (ari, password)) = (NodeId::new("main"), quick());
    let commands = AriCommand::start_with(CommandSetup {
        http: fake.http(password, &ari),
        socket: SocketRest::new(node.clone(), config::Transport::Http),
        node: node.clone(),
        ari,
        journal: memory.clone().recipient(),
        exited: memory.recipient(),
    });
    let calls = config::Calls { read_bytes: 1, max_batches: 1, ..config::Calls::default() };
    let registry = Registry::new(RegistrySetup {
        stream: journal_of(&node),
        app: "cc".into(),
        source: Box::new(JournalReader::open(dir.path(), Position(0)).unwrap()),
        writer: Stalled.start().recipient(),
        commands: Some(Link::new(commands)),
        journal: None,
        calls: if room { config::Calls::default() } else { calls },
        start: StreamStart::default(),
        from: 0,
        recall: None,
        hold_bytes: None,
        live_from: 0,
        exited: None,
        finished: None,
    });
    Bench { _dir: dir, fake, kept, journal, registry: registry.start() }
}

impl Bench {
    /// Appends these events of a channel at once.
    fn hear(&mut self, channel: &str, events: &[&str]) {
        let lines: String = events.iter().map(|kind| format!("{}\n", event(channel, kind))).collect();
        self.journal.append(lines.as_bytes()).unwrap();
        self.registry.do_send(Appended { end: self.journal.end() });
    }

    fn asked(&self, channel: &str) -> usize {
        self.fake.seen(&format!("POST /ari/channels/{channel}/continue"))
    }

    async fn until_asked(&self, channel: &str, times: usize) {
        until(&format!("{channel} was asked for {times} times"), || self.asked(channel) >= times).await;
    }
}

fn event(channel: &str, kind: &str) -> serde_json::Value {
    let second = channel.split('.').next().unwrap();
    let channel = json!({
        "id": channel, "name": format!("PJSIP/{second}-00000001"), "state": "Ring",
        "creationtime": "2026-11-22T12:59:26.306+0000", "caller": {"name": "", "number": "100"},
        "connected": {"name": "", "number": ""}, "accountcode": "", "language": "en",
        "dialplan": {"context": "c", "exten": "1", "priority": 1, "app_name": "", "app_data": ""}
    });
    let event = json!({"type": kind, "application": "cc", "timestamp": "2026-11-22T12:59:26.400+0000", "args": [],
        "cause": 16, "eventname": "callcenter-test-panic", "userevent": {}, "channel": channel});
    json!({"at": 1795352366.5, "event": event})
}

#[actix::test]
async fn a_caller_is_asked_for_until_he_has_left_and_no_longer() {
    for (room, end) in [(true, "StasisEnd"), (true, "ChannelDestroyed"), (false, "StasisEnd")] {
        let mut bench = bench(room).await;
        bench.fake.server.broken.set(Some(("continue", 500)));
        bench.hear("1.1", &["ChannelCreated"]);
        bench.hear("1.1", &["StasisStart"]);
        bench.until_asked("1.1", 2).await;
        bench.hear("1.1", &[end]);
        bench.hear("2.1", &["StasisStart"]);
        bench.until_asked("2.1", 1).await;
        let before = bench.asked("1.1");
        // The pauses of both are the same, so the first would have been asked for by then.
        bench.until_asked("2.1", 3).await;
        bench.fake.server.broken.set(None);
        bench.kept.until("the other is sent on", |kept| kept.count("reply done") == 1).await;
        assert_eq!(bench.asked("1.1"), before, "{room} {end}");
        let batches = bench.registry.send(RegistryStatus).await.unwrap().batches;
        assert_eq!(batches > 1, room, "{batches} batches are under way");
    }
}

#[actix::test]
async fn who_came_and_left_meanwhile_is_not_asked_for() {
    let mut bench = bench(true).await;
    bench.hear("1.1", &["ChannelCreated", "StasisStart", "StasisEnd"]);
    bench.hear("2.1", &["StasisStart", "StasisEnd", "StasisStart"]);
    bench.kept.until("the other is sent on", |kept| kept.count("reply done") == 1).await;
    assert_eq!((bench.asked("1.1"), bench.asked("2.1")), (0, 1));
}

#[actix::test]
async fn a_channel_whose_logic_failed_is_sent_on_also_when_it_enters_again() {
    let mut bench = bench(true).await;
    bench.fake.server.broken.set(Some(("continue", 500)));
    bench.hear("1.1", &["ChannelUserevent", "StasisStart"]);
    bench.until_asked("1.1", 2).await;
    assert_eq!(bench.registry.send(RegistryStatus).await.unwrap().call_panics, 1);
    bench.hear("1.1", &["StasisEnd"]);
    bench.fake.server.broken.set(None);
    bench.hear("1.1", &["StasisStart"]);
    bench.kept.until("it is sent on", |kept| kept.count("reply done") == 1).await;
    let before = bench.asked("1.1");
    bench.hear("1.1", &["StasisEnd", "StasisStart"]);
    bench.kept.until("it is sent on again", |kept| kept.count("reply done") == 2).await;
    assert_eq!(bench.asked("1.1"), before + 1);
}
