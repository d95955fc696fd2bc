use std::time::Duration;

use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::accept::{Door, Listener, server_tls};
use crate::config::Secret;

const LONG: Duration = Duration::from_secs(10);

fn door(handshake: Duration) -> Door {
    Door {
        path: "/feed/main".into(),
        username: "backend".into(),
        password: Secret::new("right"),
        max_frame_bytes: 1_024,
        handshake,
    }
}

async fn listener(handshake: Duration) -> (Listener, String) {
    let listener = Listener::bind("127.0.0.1:0", None, door(handshake)).await.unwrap();
    let address = listener.address().unwrap().to_string();
    (listener, address)
}

/// A client's try; what it was told.
async fn tries(
    address: &str,
    path: &str,
    login: Option<&str>,
    protocol: Option<&str>,
) -> Result<(), Option<StatusCode>> {
    use base64::Engine;
    let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
    if let Some(login) = login {
        let text = format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(login));
        request.headers_mut().insert("authorization", HeaderValue::from_str(&text).unwrap());
    }
    if let Some(protocol) = protocol {
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_str(protocol).unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    match tokio_tungstenite::client_async(request, stream).await {
        Ok((_socket, response)) => {
            assert_eq!(response.headers()["sec-websocket-protocol"], "ari");
            Ok(())
        }
        Err(Error::Http(response)) => Err(Some(response.status())),
        Err(_) => Err(None),
    }
}

#[actix_rt::test]
async fn only_the_right_login_path_and_subprotocol_are_let_in() {
    let (mut listener, address) = listener(LONG).await;
    let (at, right) = ("/feed/main", Some("backend:right"));
    let outside = async {
        let unauthorized = Err(Some(StatusCode::UNAUTHORIZED));
        assert_eq!(tries(&address, at, None, Some("ari")).await, unauthorized);
        assert_eq!(tries(&address, at, Some("backend:wrong"), Some("ari")).await, unauthorized);
        assert_eq!(tries(&address, at, Some("backend:right2"), Some("ari")).await, unauthorized);
        assert_eq!(tries(&address, "/feed/other", None, Some("ari")).await, unauthorized, "no stranger learns a path");
        assert_eq!(tries(&address, "/feed/other", right, Some("ari")).await, Err(Some(StatusCode::NOT_FOUND)));
        assert_eq!(tries(&address, at, right, None).await, Err(Some(StatusCode::BAD_REQUEST)));
        assert_eq!(tries(&address, at, right, Some("arix")).await, Err(Some(StatusCode::BAD_REQUEST)));
        assert_eq!(tries(&address, at, right, Some("ari")).await, Ok(()));
    };
    let (socket, ()) = timeout(LONG, async { tokio::join!(listener.accept(), outside) }).await.unwrap();
    drop(socket);
}

#[actix_rt::test]
async fn an_address_that_failed_too_often_is_not_read_any_more() {
    let (mut listener, address) = listener(LONG).await;
    let outside = async {
        for _ in 0..10 {
            let told = tries(&address, "/feed/main", Some("backend:wrong"), Some("ari")).await;
            assert_eq!(told, Err(Some(StatusCode::UNAUTHORIZED)));
        }
        assert_eq!(tries(&address, "/feed/main", Some("backend:right"), Some("ari")).await, Err(None));
    };
    tokio::select! {
        _ = listener.accept() => panic!("let in after ten failures"),
        done = timeout(LONG, outside) => done.unwrap(),
    }
}

#[actix_rt::test]
async fn garbage_and_silence_hold_up_nobody() {
    let (mut listener, address) = listener(Duration::from_millis(300)).await;
    let outside = async {
        let mut silent = TcpStream::connect(&address).await.unwrap();
        let mut garbage = TcpStream::connect(&address).await.unwrap();
        garbage.write_all(b"\x16\x03\x01garbage\r\n\r\n").await.unwrap();
        let mut rest = Vec::new();
        // Both are closed by the listener.
        let _ = garbage.read_to_end(&mut rest).await;
        let _ = silent.read_to_end(&mut rest).await;
        tries(&address, "/feed/main", Some("backend:right"), Some("ari")).await
    };
    let (mut socket, told) = timeout(LONG, async { tokio::join!(listener.accept(), outside) }).await.unwrap();
    assert_eq!(told, Ok(()));
    // The client has gone.
    assert!(!matches!(socket.next().await, Some(Ok(_))));
}

#[actix_rt::test]
async fn a_second_connection_is_closed_while_one_lives() {
    let (mut listener, address) = listener(LONG).await;
    let said = Said::default();
    let shared = said.clone();
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(move || shared.clone());
    let _guard = tracing::subscriber::set_default(log.finish());
    let outside = async {
        for _ in 0..3 {
            let told = tries(&address, "/feed/main", Some("backend:right"), Some("ari")).await;
            assert_eq!(told, Err(None));
        }
    };
    tokio::select! {
        never = listener.refuse("another one lives") => match never {},
        done = timeout(LONG, outside) => done.unwrap(),
    }
    let said = String::from_utf8(said.0.lock().unwrap().clone()).unwrap();
    assert_eq!(said.matches("was refused: another one lives").count(), 1, "told once, not each second: {said}");
}

/// What the log says.
#[derive(Clone, Default)]
struct Said(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Said {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix_rt::test]
async fn slow_handshakes_are_no_failed_logins() {
    let (mut listener, address) = listener(Duration::from_millis(100)).await;
    let outside = async {
        for _ in 0..3 {
            let mut silent = Vec::new();
            for _ in 0..5 {
                silent.push(TcpStream::connect(&address).await.unwrap());
            }
            for mut stream in silent {
                // Closed by the listener.
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
        tries(&address, "/feed/main", Some("backend:right"), Some("ari")).await
    };
    let (_socket, told) = timeout(LONG, async { tokio::join!(listener.accept(), outside) }).await.unwrap();
    assert_eq!(told, Ok(()));
}

#[actix_rt::test]
async fn one_address_can_not_take_every_place() {
    let (mut listener, address) = listener(6 * LONG).await;
    let outside = async {
        let mut silent = Vec::new();
        for _ in 0..20 {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
            silent.push(socket.connect(address.parse().unwrap()).await.unwrap());
        }
        tries(&address, "/feed/main", Some("backend:right"), Some("ari")).await
    };
    let (_socket, told) = timeout(LONG, async { tokio::join!(listener.accept(), outside) }).await.unwrap();
    assert_eq!(told, Ok(()));
}

#[actix_rt::test]
async fn over_tls_a_text_that_is_no_utf_8_arrives_as_it_came() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    let missing = server_tls(&certificate, &key).err().unwrap();
    assert!(missing.starts_with(&key.display().to_string()), "{missing}");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = server_tls(&certificate, &key).unwrap();
    let mut listener = Listener::bind("127.0.0.1:0", Some(tls), door(LONG)).await.unwrap();
    let address = listener.address().unwrap();
    let outside = async {
        let trust = super::tls::client_config(Some(&certificate)).unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(trust).connect(name, stream).await.unwrap();
        // base64 of backend:right; then a masked text frame of the byte 0xff.
        let head = "GET /feed/main HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: ari\r\nAuthorization: Basic YmFja2VuZDpyaWdodA==\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 101");
        stream.write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await.unwrap();
        stream.flush().await.unwrap();
        stream
    };
    let (mut socket, _client) = timeout(LONG, async { tokio::join!(listener.accept(), outside) }).await.unwrap();
    let message = timeout(LONG, socket.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(message, Message::Binary(vec![0xff].into()));
}
