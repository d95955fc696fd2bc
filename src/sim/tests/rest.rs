//! ARI's answers, as they were measured.

use futures_util::SinkExt;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::{Client, get, http, http_as, start};
use crate::sim::{Sim, SimConfig, SocketRequests};

const EVERYTHING: &str = "__AST_CHANNEL_ALL_TOPIC";

#[tokio::test]
async fn errors_have_asterisks_status_and_body() {
    let sim = start();
    let _client = Client::connect(&sim).await;
    for (method, path, body, status, answer) in [
        ("GET", "/channels/x", "", 404, r#"{"message":"Channel not found"}"#),
        ("POST", "/channels/x/continue", "", 404, r#"{"message":"Channel not found"}"#),
        ("DELETE", "/channels/x", "", 404, r#"{"message":"Channel not found"}"#),
        ("GET", "/channels/x/variable?variable=A", "", 404, r#"{"message":"Provided channel was not found"}"#),
        ("GET", "/bridges/x", "", 404, r#"{"message":"Bridge not found"}"#),
        ("GET", "/applications/nope", "", 404, r#"{"message":"Application not found"}"#),
        ("PUT", "/applications/nope/eventFilter", "{}", 404, r#"{"message":"Application not found"}"#),
        ("PUT", "/channels", "", 405, r#"{"message":"Invalid method"}"#),
        ("GET", "/nope", "", 404, r#"{"message":"Resource not found"}"#),
        ("POST", "/channels/x/continue", "{", 400, r#"{"message":"Error parsing request body"}"#),
        ("GET", "/asterisk/variable", "", 400, r#"{"message":"Variable name is required"}"#),
        ("GET", "/asterisk/variable?variable=FOO", "", 200, r#"{"value":""}"#),
        ("POST", "/asterisk/variable?variable=FOO&value=a%20b", "", 204, ""),
        ("GET", "/asterisk/variable?variable=FOO", "", 200, r#"{"value":"a b"}"#),
        (
            "PUT",
            "/applications/callcenter-app/eventFilter",
            r#"{"disallowed":"x"}"#,
            400,
            r#"{"message":"Invalid format definition"}"#,
        ),
        (
            "POST",
            "/applications/callcenter-app/subscription?eventSource=foo:",
            "",
            400,
            r#"{"message":"Invalid event source URI scheme"}"#,
        ),
        ("POST", "/channels", "", 501, r#"{"message":"Method not implemented"}"#),
    ] {
        assert_eq!(http(&sim, method, path, body).await, (status, answer.to_owned()), "{method} {path}");
    }
    let info = get(&sim, "/asterisk/info").await;
    assert!(info["system"]["version"].as_str().unwrap().starts_with("22.10.1"), "{info}");
}

#[tokio::test]
async fn who_is_not_known_or_only_reads_is_refused() {
    let sim = start();
    let path = "/asterisk/ari/channels";
    let (status, head, body) = http_as(&sim, "demo", "wrong", "GET", path, "").await;
    assert_eq!((status, body.as_str()), (401, r#"{"message":"Authentication required"}"#));
    let head = head.to_lowercase();
    assert!(head.contains(r#"www-authenticate: basic realm="asterisk rest interface""#), "{head}");
    assert!(head.contains("\r\ndate: ") && head.contains("\r\nserver: asterisk"), "{head}");
    assert_eq!(http_as(&sim, "reader", "demo-password", "GET", path, "").await.0, 200);
    let (status, _, body) = http_as(&sim, "reader", "demo-password", "DELETE", &format!("{path}/x"), "").await;
    assert_eq!((status, body.as_str()), (403, r#"{"message":"Write access denied"}"#));
    let by_key = "/asterisk/ari/channels?api_key=demo:demo-password";
    assert_eq!(http_as(&sim, "", "", "GET", by_key, "").await.0, 401, "a wrong header goes before the key");
    let (status, _, body) = http_as(&sim, "demo", "demo-password", "GET", "/ari/channels", "").await;
    assert!(status == 404 && body.contains("<title>404 Not Found</title>"), "{status} {body}");
}

#[tokio::test]
async fn the_websocket_is_refused_as_measured() {
    let sim = start();
    for (query, password, status) in
        [("?app=a", "wrong", 401), ("", "demo-password", 400), ("?app=", "demo-password", 400)]
    {
        match Client::try_connect(&sim, query, password).await {
            Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), status, "{query}"),
            other => panic!("{query}: {:?}", other.err()),
        }
    }
    let (status, body) = http(&sim, "GET", "/events?app=a", "").await;
    assert!(status == 426 && body.contains("426 Upgrade Required"), "{status} {body}");
    assert_eq!(get(&sim, "/applications").await, json!([]), "no app was made");
}

#[tokio::test]
async fn subscribe_all_is_only_read_when_the_app_is_made() {
    let sim = start();
    let mut first = Client::try_connect(&sim, "?app=callcenter-app", "demo-password").await.unwrap();
    let app = "/applications/callcenter-app";
    assert_eq!(get(&sim, app).await["channel_ids"], json!([]));
    let mut second = Client::connect(&sim).await;
    let replaced = first.event().await;
    assert_eq!(
        (&replaced["type"], &replaced["application"]),
        (&json!("ApplicationReplaced"), &json!("callcenter-app"))
    );
    assert_eq!(get(&sim, app).await["channel_ids"], json!([]), "ignored: the app is there");
    let repair = format!("{app}/subscription?eventSource=channel:,bridge:,endpoint:,deviceState:");
    let (status, body) = http(&sim, "POST", &repair, "").await;
    assert_eq!((status, &serde_json::from_str::<Value>(&body).unwrap()["channel_ids"]), (200, &json!([EVERYTHING])));
    // Events go to the second alone; the first can still ask.
    sim.play("plain_dial").unwrap();
    assert_eq!(second.event().await["type"], "ChannelCreated");
    let ask = json!({"type": "RESTRequest", "request_id": "r1", "method": "GET", "uri": "channels/x"});
    first.socket.send(Message::text(ask.to_string())).await.unwrap();
    let answer = first.event().await;
    assert_eq!((&answer["type"], &answer["request_id"]), (&json!("RESTResponse"), &json!("r1")));
    assert_eq!(answer["message_body"], r#"{"message":"Channel not found"}"#);
    // An explicit subscription keeps the app when its socket goes.
    drop((first, second));
    super::eventually("both sockets are gone", async || {
        let app = &sim.shared.world().apps["callcenter-app"];
        app.client.is_none()
    })
    .await;
    assert_eq!(get(&sim, app).await["channel_ids"], json!([EVERYTHING]));
}

#[tokio::test]
async fn an_app_with_subscribe_all_goes_with_its_socket_and_its_filter_too() {
    let sim = start();
    let app = "/applications/callcenter-app";
    let client = Client::connect(&sim).await;
    let filter = r#"{"disallowed":[{"type":"ChannelVarset"},{"type":"ChannelDialplan"}]}"#;
    let (status, body) = http(&sim, "PUT", &format!("{app}/eventFilter"), filter).await;
    let shown: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &shown["events_disallowed"]),
        (200, &serde_json::from_str::<Value>(filter).unwrap()["disallowed"])
    );
    let mut client = {
        drop(client);
        super::eventually("the app is gone", async || http(&sim, "GET", app, "").await.0 == 404).await;
        Client::connect(&sim).await
    };
    assert_eq!(get(&sim, app).await["events_disallowed"], json!([]));
    assert_eq!(http(&sim, "PUT", &format!("{app}/eventFilter"), filter).await.0, 200);
    sim.play("busy").unwrap();
    let events = client.whole_calls(&sim, 1).await;
    assert!(events.iter().all(|e| e["type"] != "ChannelVarset" && e["type"] != "ChannelDialplan"));
    assert_eq!(events.iter().filter(|e| e["type"] == "Dial").count(), 2);
    let recorded = include_str!("../../../tests/traces/busy.jsonl");
    let left = recorded.lines().filter(|l| !l.contains("\"ChannelVarset\"") && !l.contains("\"ChannelDialplan\""));
    assert_eq!(events.len(), left.count());
}

#[tokio::test]
async fn a_channel_that_is_deleted_takes_its_call_with_it() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.play("hold").unwrap();
    let started = client.until(|e| e["type"] == "StasisStart").await;
    let id = started.last().unwrap()["channel"]["id"].as_str().unwrap().to_owned();
    assert_eq!(http(&sim, "POST", &format!("/channels/{id}/continue"), "").await.0, 204);
    client.until(|e| e["type"] == "ChannelEnteredBridge" && e["channel"]["id"] == *id).await;
    assert_eq!(http(&sim, "DELETE", &format!("/channels/{id}?reason_code=17"), "").await.0, 204);
    let end = client.until(|e| e["type"] == "ChannelDestroyed" && e["channel"]["id"] != *id).await;
    let own = end.iter().find(|e| e["type"] == "ChannelDestroyed" && e["channel"]["id"] == *id).unwrap();
    assert_eq!((&own["cause"], &own["cause_txt"]), (&json!(17), &json!("User busy")));
    let hangup = end.iter().find(|e| e["type"] == "ChannelHangupRequest").unwrap();
    assert_eq!((&hangup["cause"], &hangup["soft"]), (&json!(32), &json!(true)));
    let left: Vec<&Value> = end.iter().filter(|e| e["type"] == "ChannelLeftBridge").collect();
    assert_eq!((left.len(), &left[1]["bridge"]["channels"]), (2, &json!([])));
    assert!(end.iter().any(|e| e["type"] == "BridgeDestroyed"));
    assert_eq!((sim.truth().disturbed, sim.live_channels()), (1, 0));
    assert_eq!(http(&sim, "DELETE", &format!("/channels/{id}"), "").await.0, 404);
}

/// Sends a text over the WebSocket; what its answer holds of interest.
async fn over_socket(client: &mut Client, text: &str) -> (u64, String, Value) {
    client.socket.send(Message::text(text)).await.unwrap();
    let answer = client.event().await;
    assert_eq!((&answer["type"], answer["asterisk_id"].is_string()), (&json!("RESTResponse"), true), "{answer}");
    let status = answer["status_code"].as_u64().unwrap();
    (status, answer["reason_phrase"].as_str().unwrap().to_owned(), answer["message_body"].clone())
}

#[tokio::test]
async fn requests_over_the_websocket_are_answered_as_measured() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    let message = |text: &str| json!(json!({ "message": text }).to_string());
    let request = |rest: &str| format!(r#"{{"type":"RESTRequest","request_id":"r1",{rest}}}"#);
    for (text, status, phrase, body) in [
        ("nonsense".into(), 400, "Failed to parse request message JSON", Value::Null),
        (r#"{"x":1}"#.into(), 400, "Bad request", message("No 'type' property.")),
        (r#"{"type":"Foo"}"#.into(), 400, "Bad request", message("Unknown request type.")),
        (request(r#""method":"GET""#), 400, "Bad request", message("Empty or missing 'uri' property.")),
        (
            request(r#""method":"FOO","uri":"channels""#),
            400,
            "Bad request",
            message("Unknown or missing 'method' property."),
        ),
        (request(r#""method":"GET","uri":"/channels""#), 405, "Method Not Allowed", message("Invalid method")),
        (
            request(r#""method":"PUT","uri":"applications/callcenter-app/eventFilter","message_body":"{\"""#),
            400,
            "Bad request",
            message("Unable to parse 'message_body' as 'application/json'."),
        ),
        (request(r#""method":"POST","uri":"channels/x/continue""#), 404, "Not Found", message("Channel not found")),
        (
            request(
                r#""method":"POST","uri":"asterisk/variable","query_strings":[{"name":"variable","value":"A"},{"name":"value","value":"a%20b c"}]"#,
            ),
            204,
            "No Content",
            Value::Null,
        ),
        (request(r#""method":"GET","uri":"asterisk/variable?variable=A""#), 200, "OK", json!(r#"{"value":"a%20b c"}"#)),
    ] {
        assert_eq!(over_socket(&mut client, &text).await, (status, phrase.to_owned(), body), "{text}");
    }
    let mut reader = Client::connect_as(&sim, "?app=other", "reader", "demo-password").await.unwrap();
    let post = request(r#""method":"POST","uri":"asterisk/variable?variable=A&value=1""#);
    let refused = (403, "Forbidden".to_owned(), message("Write access denied"));
    assert_eq!(over_socket(&mut reader, &post).await, refused);
}

#[tokio::test]
async fn an_asterisk_without_requests_on_the_websocket_ignores_them_or_ends_it() {
    let silent = SocketRequests::Ignored;
    let sim = Sim::start(SimConfig { version: "18.26.4".into(), socket_requests: silent, ..super::config() }).unwrap();
    assert_eq!(get(&sim, "/asterisk/info").await["system"]["version"], "18.26.4");
    let mut client = Client::connect(&sim).await;
    let ask = r#"{"type":"RESTRequest","request_id":"r1","method":"GET","uri":"asterisk/ping"}"#;
    client.socket.send(Message::text(ask)).await.unwrap();
    sim.play("plain_dial").unwrap();
    assert_eq!(client.event().await["type"], "ChannelCreated", "no answer came before it, and the socket is open");
    let sim = Sim::start(SimConfig { socket_requests: SocketRequests::EndSocket, ..super::config() }).unwrap();
    let mut client = Client::connect(&sim).await;
    client.socket.send(Message::text(ask)).await.unwrap();
    let end = client.message().await;
    assert!(matches!(end, Some(Err(_)) | None), "{end:?}");
}
