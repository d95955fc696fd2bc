//! Each channel against a stand-in on this machine.

use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::actors::alarm::event::{Alarm, Detail, Event, Key, Kind};
use crate::config::SmtpSecurity;

const TOKEN: &str = "4711:hush-Token_x";

fn message() -> Message {
    let key = Key { kind: Kind::AsteriskUnreachable, node: "main".into(), subject: String::new() };
    let alarm = Alarm { key, since: 1_795_208_390.5, detail: Detail::Error("refused".into()) };
    let until = alarm.since + 60.0;
    let events = vec![Event::Raised(alarm.clone()), Event::Cleared { alarm, until }];
    let mut config = Config::default();
    config.alarms.site = "Офис".into();
    Message::new(&Notification { id: "17".into(), at: 1_795_208_400.0, events }, &config)
}

/// What was posted: the head and the body.
type Posted = (String, String);

/// An HTTP server that gives this answer to everything.
async fn http(status: &'static str, answer: &'static str) -> (String, mpsc::UnboundedReceiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = mpsc::unbounded_channel();
    actix_rt::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let posted = receive(socket, status, answer).await;
            tell.send(posted).unwrap_or_default();
        }
    });
    (address, told)
}

async fn receive(socket: TcpStream, status: &str, answer: &str) -> Posted {
    let mut socket = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(socket.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    socket.read_exact(&mut body).await.unwrap();
    let length = answer.len();
    let reply = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}");
    socket.write_all(reply.as_bytes()).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

/// The one channel of this configuration.
fn only(alarms: &Alarms) -> Channel {
    let mut all = Channel::all(alarms);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn nothing_is_sent_without_a_channel() {
    assert_eq!(Channel::all(&Alarms::default()).len(), 0);
}

#[actix::test]
async fn a_webhook_gets_signed_json() {
    let (address, mut posted) = http("204 No Content", "").await;
    let alarms = Alarms {
        webhook_url: Secret::new(format!("{address}/hook/tok")),
        webhook_secret: Secret::new("key"),
        ..Alarms::default()
    };
    assert_eq!(only(&alarms).send(&message()).await.unwrap(), "HTTP 204");
    let (head, body) = posted.recv().await.unwrap();
    assert!(head.starts_with("POST /hook/tok HTTP/1.1"), "{head}");
    let header = |name: &str| {
        head.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name))).unwrap().1
    };
    let stamp = header("X-Callcenter-Timestamp");
    let expected = webhook::signature(&Secret::new("key"), stamp, &body);
    assert_eq!(header("X-Callcenter-Signature"), expected);
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&json["id"], &json["site"]), (&"17".into(), &"Офис".into()));
    let [raised, cleared] = &json["events"].as_array().unwrap()[..] else { panic!("{body}") };
    assert_eq!((&raised["what"], &raised["alarm"]), (&"raised".into(), &"asterisk_unreachable".into()));
    assert_eq!((&raised["node"], &raised["since"]), (&"main".into(), &"2026-11-20T20:59:50.500Z".into()));
    assert_eq!((&cleared["what"], &cleared["until"]), (&"cleared".into(), &"2026-11-20T21:00:50.500Z".into()));
}

#[test]
fn a_signature_is_hmac_sha256_in_hexadecimal() {
    // printf '1.{}' | openssl dgst -sha256 -hmac key
    let expected = "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224";
    assert_eq!(webhook::signature(&Secret::new("key"), "1", "{}"), expected);
}

#[actix::test]
async fn a_webhook_that_refuses_is_an_error_without_its_address() {
    let (address, _posted) = http("500 Oops", "no").await;
    let alarms = Alarms { webhook_url: Secret::new(format!("{address}/{TOKEN}")), ..Alarms::default() };
    let error = only(&alarms).send(&message()).await.unwrap_err();
    assert_eq!(error.message, "it answered HTTP 500");
    for address in ["http://127.0.0.1:1/", "https://127.0.0.1:1/"] {
        let alarms = Alarms { webhook_url: Secret::new(format!("{address}{TOKEN}")), ..Alarms::default() };
        let error = only(&alarms).send(&message()).await.unwrap_err();
        assert!(!error.message.contains(TOKEN) && error.message.contains("no connection"), "{error}");
    }
}

#[actix::test]
async fn telegram_gets_the_text_and_its_token_is_never_shown() {
    let (address, mut posted) = http("200 OK", r#"{"ok":true,"result":{}}"#).await;
    let alarms = Alarms {
        telegram_token: Secret::new(TOKEN),
        telegram_chat: "-100".into(),
        telegram_url: address,
        ..Alarms::default()
    };
    let channel = only(&alarms);
    channel.send(&message()).await.unwrap();
    let (head, body) = posted.recv().await.unwrap();
    assert!(head.starts_with(&format!("POST /bot{TOKEN}/sendMessage HTTP/1.1")), "{head}");
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["chat_id"], "-100");
    assert!(json["text"].as_str().unwrap().starts_with("[Офис] ALARM: no connection to Asterisk 'main'"), "{body}");
    let mut long = message();
    long.text.body = "ы".repeat(10_000);
    channel.send(&long).await.unwrap();
    let (_, body) = posted.recv().await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["text"].as_str().unwrap().chars().count(), 4_001);
    assert!(!format!("{channel:?} {alarms:?}").contains(TOKEN));
}

#[actix::test]
async fn what_telegram_refuses_says_what_to_check_and_how_long_to_wait() {
    for (status, answer, part, wait) in [
        ("401 Unauthorized", r#"{"ok":false,"description":"Unauthorized 4711:hush-Token_x"}"#, "telegram_token", None),
        ("400 Bad Request", r#"{"ok":false,"description":"chat not found"}"#, "chat not found: check", None),
        ("429 Slow", r#"{"ok":false,"description":"x","parameters":{"retry_after":7}}"#, "429", Some(7)),
        ("200 OK", "<html>", "HTTP 200", None),
    ] {
        let (address, _posted) = http(status, answer).await;
        let alarms = Alarms { telegram_token: Secret::new(TOKEN), telegram_url: address, ..Alarms::default() };
        let error = only(&alarms).send(&message()).await.unwrap_err();
        assert!(error.message.contains(part), "{error}");
        assert!(!error.message.contains(TOKEN), "{error}");
        assert_eq!(error.retry_after, wait.map(Duration::from_secs));
    }
}

#[actix::test]
async fn a_server_that_is_silent_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/x", listener.local_addr().unwrap());
    let alarms = Alarms { webhook_url: Secret::new(address), send_timeout_ms: 100, ..Alarms::default() };
    let error = only(&alarms).send(&message()).await.unwrap_err();
    assert!(error.message.contains("within 100 ms") || error.message.contains("in time"), "{error}");
}

/// A mail server's side of one conversation, with STARTTLS where there is a certificate; the lines it was told.
async fn smtp(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>) -> Vec<String> {
    let (mut socket, _) = listener.accept().await.unwrap();
    socket.write_all(b"220 mail ready\r\n").await.unwrap();
    let Some(tls) = tls else { return talk(socket, "250 AUTH PLAIN LOGIN").await };
    let mut plain = BufReader::new(socket);
    let mut lines = Vec::new();
    for answer in ["250-mail\r\n250 STARTTLS\r\n", "220 go\r\n"] {
        let mut line = String::new();
        plain.read_line(&mut line).await.unwrap();
        lines.push(line.trim().to_owned());
        plain.write_all(answer.as_bytes()).await.unwrap();
    }
    let acceptor = tokio_rustls::TlsAcceptor::from(tls);
    let Ok(socket) = acceptor.accept(plain.into_inner()).await else { return lines };
    lines.extend(talk(socket, "250 AUTH PLAIN").await);
    lines
}

async fn talk<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(socket: S, greeting: &str) -> Vec<String> {
    let mut socket = BufReader::new(socket);
    let (mut lines, mut in_data) = (Vec::new(), false);
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await.unwrap_or(0) == 0 {
            return lines;
        }
        let line = line.trim_end().to_owned();
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." if in_data => "250 queued as 42".to_owned(),
            _ if in_data => String::new(),
            "EHLO" => format!("250-mail\r\n{greeting}"),
            "AUTH" if line.ends_with("AHVzZXIAaHVzaC1wdw==") => "235 welcome".to_owned(),
            "AUTH" => "535 wrong password".to_owned(),
            "DATA" => "354 go".to_owned(),
            "QUIT" => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        in_data = (in_data || line == "DATA") && line != ".";
        lines.push(line);
        if !answer.is_empty() {
            socket.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
    }
}

fn mail(port: u16, security: SmtpSecurity, password: &str) -> Alarms {
    Alarms {
        smtp_host: "localhost".into(),
        smtp_port: port,
        smtp_security: security,
        smtp_username: "user".into(),
        smtp_password: Secret::new(password),
        smtp_from: "Call center <cc@example.org>".into(),
        smtp_to: vec!["a@example.org".into(), "b@example.org".into()],
        ..Alarms::default()
    }
}

#[actix::test]
async fn mail_goes_to_every_recipient_and_a_wrong_login_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = actix_rt::spawn(smtp(listener, None));
    let channel = only(&mail(port, SmtpSecurity::None, "hush-pw"));
    let answer = channel.send(&message()).await.unwrap();
    assert!(answer.contains("250") && answer.contains("queued as 42"), "{answer}");
    drop(channel);
    let lines = server.await.unwrap();
    for line in ["MAIL FROM:<cc@example.org>", "RCPT TO:<a@example.org>", "RCPT TO:<b@example.org>"] {
        assert!(lines.iter().any(|told| told.starts_with(line)), "{line}: {lines:#?}");
    }
    // "Офис" in the subject is encoded (RFC 2047), the body says its charset.
    assert!(lines.iter().any(|line| line.starts_with("Subject: ") && line.contains("=?utf-8?")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("charset=utf-8")), "{lines:#?}");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = actix_rt::spawn(smtp(listener, None));
    let error = only(&mail(port, SmtpSecurity::None, "hush-wrong")).send(&message()).await.unwrap_err();
    assert!(error.message.contains("wrong password") && error.message.contains("smtp_username"), "{error}");
    assert!(!error.message.contains("hush"), "{error}");
    server.await.unwrap();
}

#[actix::test]
async fn starttls_is_kept_to_and_the_certificate_is_checked() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, signed.cert.pem()).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![signed.cert.der().clone()], key)
        .unwrap();
    let tls = Arc::new(tls);
    for (trusted, offered) in [(true, true), (false, true), (true, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = actix_rt::spawn(smtp(listener, offered.then(|| tls.clone())));
        let mut alarms = mail(port, SmtpSecurity::Starttls, "hush-pw");
        if trusted {
            alarms.ca_file = ca.clone();
        }
        let channel = only(&alarms);
        let sent = channel.send(&message()).await;
        drop(channel);
        let lines = server.await.unwrap();
        assert_eq!(sent.is_ok(), trusted && offered, "{sent:?} {lines:#?}");
        // Where TLS is missing or wrong, neither login nor message leaves this machine.
        let told = lines.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL"));
        assert_eq!(told, trusted && offered, "{lines:#?}");
    }
}
