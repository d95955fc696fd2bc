//! A scripted ARI on a loopback port, and a journal that remembers, for the tests of the actors.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message as Frame;

use super::ari_http::AriHttp;
use super::messages::{Alive, AppendEntry, AppendFrames, EntryBody, Exited, FrameBody, JournalFull};
use crate::config::{Ari, Asterisk, Secret};

/// What the server does with one event socket.
pub(super) enum Script {
    /// Sends these, then serves until the client goes.
    Serve(Vec<String>),
    /// Sends these, then closes in order.
    Close(Vec<String>),
    /// Sends these bytes as they are, then serves until the client goes.
    Bytes(Vec<u8>),
    /// Reads nothing and says nothing: a dead link.
    Silence,
}

/// What the server does with a request on an event socket.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum OnSocket {
    /// Answers it.
    #[default]
    Answers,
    /// Answers it twice, with answers of all other kinds that nobody asked for, and events between them.
    AnswersTwice,
    /// Nothing, as those that don't know it.
    Ignores,
    /// Ends the socket.
    Ends,
}

/// The server's state, changed by tests and requests.
#[derive(Default)]
pub(super) struct Server {
    pub(super) scripts: RefCell<VecDeque<Script>>,
    pub(super) requests: RefCell<Vec<String>>,
    pub(super) sockets: RefCell<Vec<Instant>>,
    pub(super) closed_in_order: Cell<u32>,
    /// Whether anyone holds the application.
    pub(super) app_held: Cell<bool>,
    /// Whether subscribeAll is in force.
    pub(super) everything: Cell<bool>,
    /// Requests whose path holds "slow" wait for this.
    pub(super) release: Notify,
    /// Closes each REST connection right after its answer, without saying so.
    pub(super) hangs_up: Cell<bool>,
    /// How often subscribing is refused.
    pub(super) read_only: Cell<bool>,
    pub(super) on_socket: Cell<OnSocket>,
    /// What the open event socket sends next.
    said: RefCell<String>,
    says: Notify,
    /// Ends each event socket that is open, without a close frame.
    pub(super) cut: Notify,
    pub(super) version: RefCell<String>,
    /// Another answer to `GET /channels` than the usual.
    pub(super) channels: RefCell<Option<Value>>,
    /// Requests that hold this word are answered with this status.
    pub(super) broken: Cell<Option<(&'static str, u16)>>,
    /// When it was started, as it says.
    pub(super) startup: RefCell<String>,
    /// Whether device states alone are not subscribed to.
    pub(super) devices_lack: Cell<bool>,
}

pub(super) struct FakeAri {
    pub(super) server: Rc<Server>,
    pub(super) port: u16,
}

const PASSWORD: &str = "sesame";

impl FakeAri {
    pub(super) async fn start(scripts: Vec<Script>) -> Self {
        Self::start_at(0, scripts).await
    }

    pub(super) async fn start_at(port: u16, scripts: Vec<Script>) -> Self {
        let server = Rc::new(Server { scripts: RefCell::new(scripts.into()), ..Server::default() });
        server.version.replace("22.10.1".into());
        server.startup.replace("2026-11-22T12:00:00.000+0000".into());
        server.everything.set(true);
        server.app_held.set(true);
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = server.clone();
        actix::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                actix::spawn(serve(accepting.clone(), stream));
            }
        });
        Self { server, port }
    }

    pub(super) fn http(&self, password: &str, ari: &Ari) -> AriHttp {
        AriHttp::new(&self.asterisk(password), ari).unwrap()
    }

    /// How the configuration names it.
    pub(super) fn asterisk(&self, password: &str) -> Asterisk {
        Asterisk {
            url: format!("http://127.0.0.1:{}", self.port),
            username: "joe".into(),
            password: Secret::new(password),
            app: "cc".into(),
            ..Asterisk::default()
        }
    }

    /// Sends a frame on the event socket that is open.
    pub(super) fn say(&self, frame: String) {
        self.server.said.replace(frame);
        self.server.says.notify_one();
    }

    pub(super) fn seen(&self, request: &str) -> usize {
        self.server.requests.borrow().iter().filter(|r| r.as_str() == request).count()
    }
}

/// Quick limits, so that tests take no longer than they must.
pub(super) fn quick() -> (Ari, &'static str) {
    let ari = Ari {
        connect_timeout_ms: 2_000,
        ping_interval_ms: 20,
        dead_after_ms: 1_000,
        backoff_min_ms: 10,
        backoff_max_ms: 1_000,
        stable_after_ms: 60_000,
        yield_check_ms: 10,
        request_timeout_ms: 2_000,
        ..Ari::default()
    };
    (ari, PASSWORD)
}

/// A channel that waits in the application, as `GET /channels` shows it.
pub(super) fn waiting(id: &str) -> Value {
    json!({"id": id, "name": format!("PJSIP/{id}"), "state": "Ring", "creationtime": "2026-11-22T12:55:43.350+0000",
        "caller": {"name": "", "number": ""}, "connected": {"name": "", "number": ""}, "accountcode": "", "language": "en",
        "dialplan": {"context": "in", "exten": "1", "priority": 1, "app_name": "Stasis", "app_data": "cc,1"}})
}

async fn serve(server: Rc<Server>, stream: TcpStream) {
    let mut head = [0; 4096];
    let length = stream.peek(&mut head).await.unwrap_or(0);
    let text = String::from_utf8_lossy(&head[..length]).to_ascii_lowercase();
    // `joe:sesame`
    let welcome = text.contains("authorization: basic am9lonnlc2ftzq==");
    if welcome && text.contains("upgrade: websocket") {
        socket(server, stream).await;
    } else {
        // The connection's end is no failure of the server.
        let _ = rest(server, stream, welcome).await;
    }
}

async fn socket(server: Rc<Server>, stream: TcpStream) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    server.sockets.borrow_mut().push(Instant::now());
    server.app_held.set(true);
    let script = server.scripts.borrow_mut().pop_front().unwrap_or(Script::Serve(Vec::new()));
    let (frames, close) = match script {
        Script::Silence => {
            std::future::pending::<()>().await;
            return;
        }
        Script::Bytes(bytes) => {
            socket.get_mut().write_all(&bytes).await.unwrap();
            (Vec::new(), false)
        }
        Script::Serve(frames) => (frames, false),
        Script::Close(frames) => (frames, true),
    };
    for frame in frames {
        socket.send(Frame::text(frame)).await.unwrap();
    }
    if close {
        socket.close(None).await.unwrap();
    }
    let (answers, mut ready) = tokio::sync::mpsc::unbounded_channel::<String>();
    loop {
        tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Frame::Text(text))) => match server.on_socket.get() {
                    OnSocket::Ends => return,
                    OnSocket::Ignores => {}
                    OnSocket::Answers | OnSocket::AnswersTwice => {
                        actix::spawn(rest_request(server.clone(), text.to_string(), answers.clone()));
                    }
                },
                Some(Ok(frame)) if frame.is_close() => {
                    server.closed_in_order.set(server.closed_in_order.get() + 1);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            // It is there as long as `answers`. Whether the client still takes it is its matter.
            answer = ready.recv() => { let _ = socket.send(Frame::text(answer.unwrap())).await; }
            () = server.says.notified() => socket.send(Frame::text(server.said.take())).await.unwrap(),
            () = server.cut.notified() => return,
        }
    }
}

/// Answers a `RESTRequest` as the same request over HTTP.
async fn rest_request(server: Rc<Server>, text: String, answers: tokio::sync::mpsc::UnboundedSender<String>) {
    let request: Value = serde_json::from_str(&text).unwrap();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let mut line = format!("{} /ari/{}", word(&request["method"]), word(&request["uri"]));
    for (n, item) in request["query_strings"].as_array().into_iter().flatten().enumerate() {
        line = format!("{line}{}{}={}", if n == 0 { '?' } else { '&' }, word(&item["name"]), word(&item["value"]));
    }
    let (status, body) = answer(&server, &line).await;
    let response = |id: &Value| {
        json!({"type": "RESTResponse", "request_id": id, "transaction_id": request["transaction_id"],
            "status_code": status, "reason_phrase": "X", "uri": request["uri"], "application": "cc",
            "content_type": "application/json", "message_body": body.to_string(),
            "timestamp": "2026-11-22T15:33:58.500+0000", "asterisk_id": "m"})
        .to_string()
    };
    let event = |n: usize| format!(r#"{{"type":"X","n":{n},"application":"cc"}}"#);
    let frames = if server.on_socket.get() == OnSocket::AnswersTwice {
        let broken = r#"{"type":"RESTResponse","request_id":"r1","status_code":"?"}"#.to_owned();
        let id = response(&request["request_id"]);
        vec![event(1), response(&json!("r0")), event(2), id.clone(), event(3), id, broken, event(4)]
    } else {
        vec![response(&request["request_id"])]
    };
    // The socket may be gone.
    frames.into_iter().for_each(|frame| drop(answers.send(frame)));
}

async fn rest(server: Rc<Server>, mut stream: TcpStream, welcome: bool) -> std::io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") else {
            if stream.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let head = String::from_utf8_lossy(&buffer[..end]).into_owned();
        let length = head.to_ascii_lowercase().lines().find_map(|l| Some(l.strip_prefix("content-length: ")?.parse()));
        let length: usize = length.map_or(0, Result::unwrap);
        while buffer.len() < end + 4 + length {
            stream.read_buf(&mut buffer).await?;
        }
        buffer.drain(..end + 4 + length);
        let request = head.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap().to_owned();
        let (status, body) = if welcome {
            answer(&server, &request).await
        } else {
            (401, json!({"message": "Authentication required"}))
        };
        // As with `pretty = yes` in ari.conf.
        let body = serde_json::to_string_pretty(&body).unwrap();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nDate: Sun, 22 Nov 2026 15:33:58 GMT\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await?;
        if server.hangs_up.get() {
            return Ok(());
        }
    }
}

async fn answer(server: &Server, request: &str) -> (u16, Value) {
    server.requests.borrow_mut().push(request.to_owned());
    if request.contains("slow") {
        server.release.notified().await;
    }
    if let Some((_, status)) = server.broken.get().filter(|(word, _)| request.contains(word)) {
        return (status, json!({"message": "Broken"}));
    }
    let all = |on: bool, topic: &str| if on { json!([format!("__AST_{topic}_ALL_TOPIC")]) } else { json!([]) };
    match request {
        "GET /ari/applications/cc" if !server.app_held.get() => (404, json!({"message": "Application not found"})),
        "GET /ari/applications/cc" => {
            let on = server.everything.get();
            let app = json!({"name": "cc", "channel_ids": all(on, "CHANNEL"), "bridge_ids": all(on, "BRIDGE"),
                "endpoint_ids": all(on, "ENDPOINT"), "device_names": all(on && !server.devices_lack.get(), "DEVICE_STATE")});
            (200, app)
        }
        "GET /ari/channels" if server.channels.borrow().is_some() => (200, json!(*server.channels.borrow())),
        "GET /ari/channels" => (200, json!([{"id": "1.0", "name": "PJSIP/100-0"}])),
        "GET /ari/bridges" => (200, json!([])),
        "GET /ari/asterisk/info" => (
            200,
            json!({"system": {"version": *server.version.borrow()}, "status": {"startup_time": *server.startup.borrow()}}),
        ),
        "GET /ari/asterisk/ping" => (200, json!({"ping": "pong", "timestamp": "2026-11-22T18:33:58.999+0300"})),
        r if r.starts_with("GET /ari/channels/1.0/variable") => (200, json!({"value": "1.0"})),
        r if r.starts_with("POST /ari/applications/cc/subscription") => {
            if server.read_only.get() {
                return (403, json!({"message": "Write access denied"}));
            }
            server.everything.set(true);
            (200, json!({}))
        }
        r if r.contains("/gone") => (404, json!({"message": "Channel not found"})),
        _ => (200, json!({})),
    }
}

/// What reached the journal, in order.
#[derive(Default)]
pub(super) struct Kept {
    /// `event TEXT`, `gap REASON`, `snapshot`, `command METHOD PATH`, `reply WORD`, `bad REASON`.
    pub(super) lines: RefCell<Vec<String>>,
    pub(super) gaps: RefCell<Vec<(f64, f64)>>,
    pub(super) snapshots: RefCell<Vec<Value>>,
    pub(super) alive: RefCell<Vec<f64>>,
    pub(super) exited: RefCell<Vec<Exited>>,
    pub(super) full: Cell<bool>,
    /// It is full only after it was asked whether it has room.
    pub(super) full_too_late: Cell<bool>,
}

impl Kept {
    pub(super) fn count(&self, line: &str) -> usize {
        self.lines.borrow().iter().filter(|l| l.starts_with(line)).count()
    }

    /// Waits until `condition` holds; fails the test after ten seconds.
    pub(super) async fn until(&self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        until(what, || condition(self)).await;
    }
}

/// Waits until `condition` holds; fails the test after ten seconds.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut look = tokio::time::interval(Duration::from_millis(2));
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        look.tick().await;
    }
}

/// A journal that remembers, and a parent that is told of exits.
pub(super) struct Memory(pub(super) Rc<Kept>);

impl Memory {
    pub(super) fn start_new() -> (Addr<Self>, Rc<Kept>) {
        let kept = Rc::<Kept>::default();
        (Self(kept.clone()).start(), kept)
    }

    fn refusal(&self) -> Result<(), JournalFull> {
        if self.0.full.get() { Err(JournalFull("its limit is reached".into())) } else { Ok(()) }
    }
}

impl Actor for Memory {
    type Context = Context<Self>;
}

impl Handler<AppendFrames> for Memory {
    type Result = Result<(), JournalFull>;
    fn handle(&mut self, AppendFrames(frames): AppendFrames, _: &mut Self::Context) -> Self::Result {
        if frames.is_empty() && self.0.full_too_late.get() {
            return Ok(());
        }
        self.refusal()?;
        for frame in frames {
            self.0.lines.borrow_mut().push(match frame.body {
                FrameBody::Text(text) => format!("event {text}"),
                FrameBody::Binary(_) => "binary".into(),
                FrameBody::TooLong { length, .. } => format!("too long {length}"),
            });
        }
        Ok(())
    }
}

impl Handler<AppendEntry> for Memory {
    type Result = Result<(), JournalFull>;
    fn handle(&mut self, AppendEntry { at, entry }: AppendEntry, _: &mut Self::Context) -> Self::Result {
        self.refusal()?;
        let line = match entry {
            EntryBody::Gap(gap) => {
                self.0.gaps.borrow_mut().push((gap.since, at));
                format!("gap {}", gap.reason)
            }
            EntryBody::Snapshot(json) => {
                assert!(!json.get().contains('\n'), "an entry is one line");
                self.0.snapshots.borrow_mut().push(serde_json::from_str(json.get()).unwrap());
                "snapshot".into()
            }
            EntryBody::Command(c) => format!("command {} {} by {}", c.method, c.path, c.who),
            EntryBody::Reply(r) => format!("reply {}", r.outcome),
            EntryBody::Bad(b) => format!("bad {}", b.reason),
        };
        self.0.lines.borrow_mut().push(line);
        Ok(())
    }
}

impl Handler<Alive> for Memory {
    type Result = ();
    fn handle(&mut self, alive: Alive, _: &mut Self::Context) {
        self.0.alive.borrow_mut().push(alive.at);
    }
}

impl Handler<Exited> for Memory {
    type Result = ();
    fn handle(&mut self, exited: Exited, _: &mut Self::Context) {
        self.0.exited.borrow_mut().push(exited);
    }
}
