//! Accept mode against a scripted ARI: what is a gap and what is none.

use futures_util::SinkExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};

use super::*;
use crate::actors::ari_http::Door;
use crate::actors::fake_ari::{FakeAri, Kept, Memory, quick, until};
use crate::actors::messages::wall_clock;
use crate::config::Secret;

/// A journal's folder, and the scripted ARI beside it.
struct Bench {
    fake: FakeAri,
    folder: tempfile::TempDir,
}

/// One life of a connection in accept mode.
struct Listening {
    kept: Rc<Kept>,
    connection: Addr<AriConnection>,
    address: String,
}

impl Bench {
    async fn new() -> Self {
        let fake = FakeAri::start(Vec::new()).await;
        fake.server.devices_lack.set(true);
        Self { fake, folder: tempfile::tempdir().unwrap() }
    }

    fn away(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("away.json")).ok()
    }

    /// A feed process that starts; `heard` until then.
    async fn start(&self, heard: Option<f64>) -> Listening {
        self.start_with(heard, |_, _| ()).await
    }

    async fn start_with(&self, heard: Option<f64>, adjust: impl FnOnce(&mut config::Ari, &Kept)) -> Listening {
        let (memory, kept) = Memory::start_new();
        let (mut ari, password) = quick();
        adjust(&mut ari, &kept);
        let door = Door {
            path: "/feed/test".into(),
            username: "test".into(),
            password: Secret::new("right"),
            max_frame_bytes: 65_536,
            handshake: std::time::Duration::from_secs(10),
        };
        let listener = Listener::bind("127.0.0.1:0", None, door).await.unwrap();
        let address = listener.address().unwrap().to_string();
        let since = heard_before(self.folder.path(), heard);
        let connection = AriConnection::start_with(ConnectionSetup {
            node: NodeId::new("test"),
            http: self.fake.http(password, &ari),
            rest: SocketRest::new(NodeId::new("test"), config::Transport::Http),
            ari,
            frames: memory.clone().recipient(),
            entries: memory.clone().recipient(),
            alive: memory.clone().recipient(),
            heard: since.map(|since| entry::Gap { since, reason: "away".into() }),
            gate: FeedGate::default(),
            accept: Some(Accept { listener, journal: self.folder.path().into() }),
            exited: memory.recipient(),
        });
        Listening { kept, connection, address }
    }
}

impl Listening {
    /// Asterisk connects, again while the connection before is not known to be over, and sends these.
    async fn meets(&self, frames: &[&str]) -> WebSocketStream<TcpStream> {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let mut socket = loop {
            match self.connects().await {
                Ok(socket) => break socket,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
        };
        for frame in frames {
            socket.send(Frame::text(*frame)).await.unwrap();
        }
        socket
    }

    async fn connects(&self) -> Result<WebSocketStream<TcpStream>, Error> {
        let mut request = format!("ws://{}/feed/test", self.address).into_client_request().unwrap();
        // `test:right`
        request.headers_mut().insert("authorization", HeaderValue::from_static("Basic dGVzdDpyaWdodA=="));
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("ari"));
        let stream = TcpStream::connect(&self.address).await?;
        Ok(tokio_tungstenite::client_async(request, stream).await?.0)
    }

    async fn prepared(&self) {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        loop {
            let view = self.connection.send(ConnectionStatus).await.unwrap();
            if view.prepared {
                assert_eq!(view.subscribe_all, SubscribeAll::Ok);
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{view:?}");
            tokio::task::yield_now().await;
        }
    }

    /// Stops in order, while Asterisk answers.
    async fn stops(self, mut socket: WebSocketStream<TcpStream>) -> Rc<Kept> {
        use futures_util::StreamExt;
        self.connection.do_send(Stop);
        while let Some(Ok(_)) = socket.next().await {}
        self.kept.until("the end", |kept| !kept.exited.borrow().is_empty()).await;
        self.kept
    }
}

const KEPT: &str = r#"{"type":"X","n":1,"application":"cc","timestamp":"2026-11-22T15:33:58.500+0000"}"#;
const REGISTERED: &str =
    r#"{"type":"ApplicationRegistered","application":"cc","timestamp":"2026-11-22T15:33:59.500+0000"}"#;

#[actix::test]
async fn after_an_orderly_close_the_backlog_is_no_gap_and_device_states_are_asked_for() {
    let bench = Bench::new().await;
    let first = bench.start(None).await;
    let socket = first.meets(&[REGISTERED]).await;
    first.prepared().await;
    assert_eq!(bench.fake.seen("POST /ari/applications/cc/subscription?eventSource=deviceState%3A"), 1);
    assert_eq!(bench.away(), None);
    let kept = first.stops(socket).await;
    let until = *kept.alive.borrow().last().unwrap();
    assert!(bench.away().is_some_and(|text| text.contains("\"clean\":true")), "{:?}", bench.away());

    let second = bench.start(Some(until)).await;
    let socket = second.meets(&[KEPT]).await;
    second.kept.until("the backlog's first event", |kept| kept.count("event") == 1).await;
    assert!(bench.away().is_some_and(|text| text.contains("\"clean\":false")), "{:?}", bench.away());
    let view = second.connection.send(ConnectionStatus).await.unwrap();
    assert!(!view.prepared, "the backlog may go on");
    drop(socket);

    // It broke off in the middle of the backlog: all the time away is a gap now.
    let socket = second.meets(&[KEPT, REGISTERED]).await;
    second.prepared().await;
    let (since, at) = second.kept.gaps.borrow()[0];
    assert!((since - until).abs() < 0.001 && at <= wall_clock(), "{since} {until}");
    assert_eq!(bench.away(), None);
    second.stops(socket).await;
}

#[actix::test]
async fn a_backlog_that_is_read_to_its_end_leaves_no_gap_and_another_asterisk_does() {
    let bench = Bench::new().await;
    let mut until = None;
    for (round, gaps) in [(0, 0), (1, 0), (2, 1)] {
        if round == 2 {
            bench.fake.server.startup.replace("2026-11-23T00:00:00.000+0000".into());
        }
        let listening = bench.start(until).await;
        let socket = listening.meets(&[KEPT, REGISTERED]).await;
        listening.prepared().await;
        assert_eq!(listening.kept.count("gap"), gaps, "round {round}");
        let lines = listening.kept.lines.borrow().clone();
        let place = |start: &str| lines.iter().position(|line| line.starts_with(start));
        assert!(gaps == 0 || place("gap") < place("event"), "{lines:?}");
        let kept = listening.stops(socket).await;
        until = kept.alive.borrow().last().copied();
    }
}

#[actix::test]
async fn a_process_that_was_killed_in_the_backlog_begins_with_a_gap_over_all_the_time_away() {
    let bench = Bench::new().await;
    let first = bench.start(None).await;
    let socket = first.meets(&[REGISTERED]).await;
    first.prepared().await;
    let until_then = *first.stops(socket).await.alive.borrow().last().unwrap();
    let killed = bench.start(Some(until_then)).await;
    let _socket = killed.meets(&[KEPT]).await;
    killed.kept.until("a part of the backlog", |kept| kept.count("event") == 1).await;
    // What it wrote is later than what it missed.
    let third = bench.start(Some(wall_clock())).await;
    let socket = third.meets(&[KEPT, REGISTERED]).await;
    third.prepared().await;
    until("the gap", || third.kept.gaps.borrow().len() == 1).await;
    assert!((third.kept.gaps.borrow()[0].0 - until_then).abs() < 0.001);
    third.stops(socket).await;
}

#[actix::test]
async fn nothing_is_sent_before_the_first_message() {
    use futures_util::{FutureExt, StreamExt};
    let bench = Bench::new().await;
    let listening = bench.start(None).await;
    let mut socket = listening.meets(&[]).await;
    until("what is asked before the backlog", || bench.fake.seen("GET /ari/asterisk/info") == 1).await;
    // Pings are due every 20 ms.
    let mut look = tokio::time::interval(std::time::Duration::from_millis(100));
    look.tick().await;
    look.tick().await;
    assert!(socket.next().now_or_never().is_none(), "something was sent");
    socket.send(Frame::text(REGISTERED)).await.unwrap();
    listening.prepared().await;
    assert!(matches!(socket.next().await, Some(Ok(Frame::Ping(_)))));
    listening.stops(socket).await;
}

#[actix::test]
async fn a_close_without_an_answer_or_in_the_backlog_vouches_for_nothing() {
    let bench = Bench::new().await;
    let silent = bench.start(None).await;
    let _socket = silent.meets(&[REGISTERED]).await;
    silent.prepared().await;
    silent.connection.do_send(Stop);
    silent.kept.until("the end", |kept| !kept.exited.borrow().is_empty()).await;
    assert_eq!(bench.away(), None);

    let early = bench.start(Some(1_000.0)).await;
    let socket = early.meets(&[KEPT]).await;
    early.kept.until("a part of the backlog", |kept| kept.count("event") == 1).await;
    early.stops(socket).await;
    assert_eq!(bench.away(), None);
}

#[actix::test]
async fn a_connection_that_can_not_be_taken_yet_is_closed_at_once_and_a_later_one_is_taken() {
    let bench = Bench::new().await;
    let listening = bench
        .start_with(None, |ari, kept| {
            (ari.backoff_min_ms, ari.backoff_max_ms) = (3_600_000, 3_600_000);
            kept.full.set(true);
        })
        .await;
    let view = || async { listening.connection.send(ConnectionStatus).await.unwrap() };
    let limit = std::time::Duration::from_secs(10);
    for _ in 0..3 {
        let tried = tokio::time::timeout(limit, listening.connects()).await;
        assert!(tried.expect("Asterisk is left waiting").is_err());
        assert_eq!(view().await.state, State::BackingOff);
    }
    listening.kept.full.set(false);
    listening.connection.send(TakeBack).await.unwrap();
    let socket = listening.meets(&[REGISTERED]).await;
    listening.prepared().await;
    assert_eq!(view().await.sessions, 1, "no session began with a connection that was given up");
    listening.stops(socket).await;
}
