//! Addresses, credentials and certificate files.

use super::*;

fn asterisk(url: &str) -> Asterisk {
    Asterisk { url: url.into(), username: "joe".into(), password: Secret::new("se:cret"), ..Asterisk::default() }
}

fn check(url: &str, root: &str, events: &str) {
    let http = AriHttp::new(&asterisk(url), &Ari::default()).unwrap();
    assert_eq!(http.root(), root, "{url}");
    assert_eq!(http.events(), events, "{url}");
}

#[test]
fn every_way_to_write_the_address_leads_to_ari() {
    let (root, events) = ("http://pbx:8088/ari", "ws://pbx:8088/ari/events?app=callcenter-app&subscribeAll=true");
    for url in ["http://pbx:8088", "http://pbx:8088/", "ws://pbx:8088/ari", "http://pbx:8088/ari/", " ws://pbx:8088 "] {
        check(url, root, events);
    }
    let (root, events) =
        ("https://pbx/asterisk/ari", "wss://pbx/asterisk/ari/events?app=callcenter-app&subscribeAll=true");
    for url in ["https://pbx/asterisk", "wss://pbx/asterisk/ari", "https://pbx:443/asterisk/ari/"] {
        check(url, root, events);
    }
    check(
        "http://[::1]:8088/ariel",
        "http://[::1]:8088/ariel/ari",
        "ws://[::1]:8088/ariel/ari/events?app=callcenter-app&subscribeAll=true",
    );
}

#[test]
fn an_application_name_is_encoded() {
    let named = Asterisk { app: "a&b c".into(), ..asterisk("http://pbx") };
    let http = AriHttp::new(&named, &Ari::default()).unwrap();
    assert_eq!(http.events(), "ws://pbx/ari/events?app=a%26b+c&subscribeAll=true");
}

#[test]
fn mistakes_name_their_key_and_never_a_password() {
    for (url, part) in [
        ("nonsense", "asterisk.url (ARI_URL) is no URL"),
        ("ftp://pbx", "allowed are http, https, ws and wss"),
        ("http://joe:se:cret@pbx/ari", "asterisk.username"),
        ("http://pbx/ari?api_key=joe:se:cret", "asterisk.username"),
    ] {
        let error = AriHttp::new(&asterisk(url), &Ari::default()).unwrap_err().to_string();
        assert!(error.contains(part), "{url}: {error}");
        assert!(!error.contains("se:cret"), "{error}");
    }
    let nameless = Asterisk { app: String::new(), ..asterisk("http://pbx") };
    assert_eq!(AriHttp::new(&nameless, &Ari::default()).unwrap_err(), AriHttpError::NoApp);
}

#[test]
fn credentials_are_basic_and_never_shown() {
    let http = AriHttp::new(&asterisk("http://pbx"), &Ari::default()).unwrap();
    assert_eq!(http.authorization().expose(), "Basic am9lOnNlOmNyZXQ=");
    let shown = format!("{http:?} {:?}", http.client(1));
    assert!(!shown.contains("am9l") && !shown.contains("se:cret"), "{shown}");
}

#[test]
fn a_private_authority_must_be_a_pem_file_with_a_certificate() {
    let with = |file: &std::path::Path| {
        let secure = Asterisk { ca_file: Some(file.to_owned()), ..asterisk("https://pbx") };
        AriHttp::new(&secure, &Ari::default()).unwrap_err().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pem");
    assert!(with(&missing).contains("missing.pem"), "{}", with(&missing));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "hello\n").unwrap();
    assert!(with(&empty).contains("holds no CERTIFICATE block"), "{}", with(&empty));
}

#[test]
fn the_date_header_is_read() {
    assert_eq!(client::date("Sun, 22 Nov 2026 15:33:58 GMT"), Some(1_795_361_638.0));
    assert_eq!(client::date("yesterday"), None);
}

#[actix_rt::test]
async fn a_port_without_tls_is_named_as_such() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let answers: [&[u8]; 2] = [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b""];
    for answer in answers {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("wss://{}", listener.local_addr().unwrap());
        let plain = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.read_buf(&mut Vec::new()).await.unwrap();
            stream.write_all(answer).await.unwrap();
        };
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, made.cert.pem()).unwrap();
        let http = AriHttp::new(&Asterisk { ca_file: Some(ca_file), ..asterisk(&url) }, &Ari::default()).unwrap();
        let (opened, ()) = tokio::join!(http.open_socket(), plain);
        let message = opened.err().unwrap().message;
        assert!(message.contains("seems to speak no TLS") && message.contains("tlsbindaddr"), "{message}");
        assert!(!message.contains("ca_file"), "{message}");
    }
}
