//! The simulated Asterisk seen from outside: a WebSocket client and a HTTP client.

mod faults;
mod load;
mod playing;
mod rest;

use std::time::Duration;

use base64::Engine;
use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{MixEntry, Sim, SimConfig, SimHandle};

/// The longest that anything here may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// Everything twenty times faster, nothing by itself.
fn config() -> SimConfig {
    SimConfig {
        speed: 20.0,
        seed: Some(1),
        read_only_username: Some("reader".to_owned()),
        continue_timeout: Duration::from_secs(30),
        ..SimConfig::default()
    }
}

fn start() -> SimHandle {
    Sim::start(config()).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// Status, head and body of one request.
async fn http_as(
    sim: &SimHandle,
    user: &str,
    password: &str,
    method: &str,
    path: &str,
    body: &str,
) -> (u16, String, String) {
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", sim.port())).await.unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            basic(user, password),
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text
    };
    let text = tokio::time::timeout(DEADLINE, exchange).await.expect("no answer in time");
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), head.to_owned(), body.to_owned())
}

/// Status and body of a request below `/asterisk/ari`.
async fn http(sim: &SimHandle, method: &str, path: &str, body: &str) -> (u16, String) {
    let path = format!("/asterisk/ari{path}");
    let (status, _, body) = http_as(sim, "demo", "demo-password", method, &path, body).await;
    (status, body)
}

async fn get(sim: &SimHandle, path: &str) -> Value {
    let (status, body) = http(sim, "GET", path, "").await;
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// A WebSocket client.
struct Client {
    socket: WebSocketStream<TcpStream>,
}

impl Client {
    async fn try_connect(sim: &SimHandle, query: &str, password: &str) -> Result<Self, Error> {
        Self::connect_as(sim, query, "demo", password).await
    }

    async fn connect_as(sim: &SimHandle, query: &str, user: &str, password: &str) -> Result<Self, Error> {
        let stream = TcpStream::connect(("127.0.0.1", sim.port())).await?;
        let url = format!("ws://127.0.0.1:{}/asterisk/ari/events{query}", sim.port());
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("Authorization", basic(user, password).parse().unwrap());
        let connected =
            tokio::time::timeout(DEADLINE, client_async(request, stream)).await.expect("no handshake in time");
        Ok(Self { socket: connected?.0 })
    }

    /// A client that hears everything.
    async fn connect(sim: &SimHandle) -> Self {
        Self::try_connect(sim, "?app=callcenter-app&subscribeAll=true", "demo-password").await.unwrap()
    }

    /// The next message; `None` at the end of the socket.
    async fn message(&mut self) -> Option<Result<Message, Error>> {
        tokio::time::timeout(DEADLINE, self.socket.next()).await.expect("no message in time")
    }

    /// The next event.
    async fn event(&mut self) -> Value {
        match self.message().await {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("no event but {other:?}"),
        }
    }

    /// All events up to and including the first that fits.
    async fn until(&mut self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = Vec::new();
        loop {
            events.push(self.event().await);
            if events.last().is_some_and(&fits) {
                return events;
            }
        }
    }

    /// All events until no call lives, continuing each channel that enters Stasis.
    async fn whole_calls(&mut self, sim: &SimHandle, count: usize) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        while sim.played().len() < count || !self.drained(&mut events).await {
            let wait = tokio::time::timeout(Duration::from_millis(50), self.socket.next()).await;
            if let Ok(Some(Ok(Message::Text(text)))) = wait {
                self.note(sim, serde_json::from_str(&text).unwrap(), &mut events).await;
            }
        }
        events
    }

    async fn note(&mut self, sim: &SimHandle, event: Value, events: &mut Vec<Value>) {
        if event["type"] == "StasisStart" {
            let id = event["channel"]["id"].as_str().unwrap();
            let (status, body) = http(sim, "POST", &format!("/channels/{id}/continue"), "").await;
            // Where the recorded app did something else than continue, the channel may be gone by now.
            assert!(matches!(status, 204 | 404 | 409), "{status} {body}");
        }
        events.push(event);
    }

    /// Takes what has come already; true when nothing more is there.
    async fn drained(&mut self, events: &mut Vec<Value>) -> bool {
        let before = events.len();
        while let Ok(Some(Ok(Message::Text(text)))) =
            tokio::time::timeout(Duration::from_millis(100), self.socket.next()).await
        {
            events.push(serde_json::from_str(&text).unwrap());
        }
        events.len() == before
    }
}

/// Waits until something is so.
async fn eventually(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let end = tokio::time::Instant::now() + DEADLINE;
    let mut tick = tokio::time::interval(Duration::from_millis(5));
    while !is().await {
        assert!(tokio::time::Instant::now() < end, "{what}: not in time");
        tick.tick().await;
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|e| e["type"].as_str().unwrap()).collect()
}

fn entry(name: &str) -> MixEntry {
    MixEntry::new(name, 1)
}
