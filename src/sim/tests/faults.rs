//! Broken lines, broken frames, a broken Asterisk.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use super::{Client, config, eventually, get, http, start};
use crate::sim::{RestOverride, RestartKind, Sim, SimConfig};

#[tokio::test]
async fn pings_are_answered_and_a_close_too() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    client.socket.send(Message::Ping(Bytes::from_static(b"are you there"))).await.unwrap();
    assert!(matches!(client.message().await, Some(Ok(Message::Pong(p))) if p == "are you there"));
    client.socket.close(None).await.unwrap();
    assert!(matches!(client.message().await, Some(Ok(Message::Close(_)))));
    eventually("the app is gone", async || sim.shared.world().apps.is_empty()).await;
}

#[tokio::test]
async fn a_dropped_connection_is_reset_and_loses_what_happens_meanwhile() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.play("plain_dial").unwrap();
    client.until(|e| e["type"] == "BridgeCreated").await;
    sim.drop_connection();
    let error = loop {
        match client.message().await {
            Some(Ok(Message::Text(_))) => {}
            Some(Err(error)) => break error,
            other => panic!("{other:?}"),
        }
    };
    assert!(error.to_string().to_lowercase().contains("reset"), "{error}");
    eventually("the app is gone", async || sim.shared.world().apps.is_empty()).await;
    let mut client = Client::connect(&sim).await;
    let events = client.whole_calls(&sim, 1).await;
    assert!(events.iter().all(|e| e["type"] != "ChannelCreated"));
    let unheard = sim.played()[0].unheard as usize;
    assert!(events.len() + unheard < 76 && !events.is_empty(), "{} heard later, {unheard} never", events.len());
}

#[tokio::test]
async fn a_channel_stays_in_stasis_over_a_gap_and_takes_commands_again() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.play("busy").unwrap();
    let started = client.until(|e| e["type"] == "StasisStart").await;
    let id = started.last().unwrap()["channel"]["id"].as_str().unwrap().to_owned();
    sim.drop_connection();
    eventually("the app is gone", async || sim.shared.world().apps.is_empty()).await;
    let mut client = Client::connect(&sim).await;
    let channels = get(&sim, "/channels").await;
    assert_eq!((&channels[0]["id"], &channels[0]["dialplan"]["app_name"]), (&json!(id), &json!("Stasis")));
    assert_eq!(http(&sim, "POST", &format!("/channels/{id}/continue"), "").await.0, 204);
    let events = client.whole_calls(&sim, 1).await;
    assert_eq!(events[0]["type"], "StasisEnd", "no second StasisStart");
    assert_eq!(sim.truth().by_status.get("busy"), Some(&1));
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let sim = start();
    let client = Client::connect(&sim).await;
    // More than all buffers on the way hold.
    let frame = "x".repeat(256 * 1024);
    for _ in 0..200 {
        sim.send_raw_text(&frame);
    }
    eventually("the client is cut off", async || sim.shared.world().apps.is_empty()).await;
    drop(client);
}

#[tokio::test]
async fn a_booting_asterisk_answers_the_handshake_with_503() {
    let sim = start();
    let booting = RestOverride {
        method: None,
        path_contains: "events".to_owned(),
        status: 503,
        body: String::new(),
        times: Some(1),
    };
    sim.override_rest(Some(booting));
    match Client::try_connect(&sim, "?app=a", "demo-password").await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{:?}", other.err()),
    }
    Client::connect(&sim).await;
}

#[tokio::test]
async fn close_frames_and_ends_without_them() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.close_clean();
    match client.message().await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1000),
        other => panic!("{other:?}"),
    }
    let mut client = Client::connect(&sim).await;
    sim.end_sockets();
    let end = client.message().await;
    assert!(matches!(end, Some(Err(_)) | None), "{end:?}");
}

#[tokio::test]
async fn a_frozen_line_is_silent_until_it_is_not() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.freeze(true);
    client.socket.send(Message::Ping(Bytes::from_static(b"x"))).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(200), client.socket.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    sim.freeze(false);
    assert!(matches!(client.message().await, Some(Ok(Message::Pong(_)))));
}

#[tokio::test]
async fn refused_connections_leave_the_open_ones() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    let reached = async || tokio::net::TcpStream::connect(("127.0.0.1", sim.port())).await.is_ok();
    sim.refuse_connections(true);
    eventually("connections are refused", async || !reached().await).await;
    sim.play("plain_dial").unwrap();
    assert_eq!(client.event().await["type"], "ChannelCreated");
    sim.refuse_connections(false);
    eventually("connections are accepted", reached).await;
    assert_eq!(get(&sim, "/asterisk/ping").await["ping"], "pong");
}

#[tokio::test]
async fn raw_frames_arrive_as_they_are() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.send_raw_text("{\"type\": ");
    sim.send_raw_binary(&[0xff, 0x00]);
    assert!(matches!(client.message().await, Some(Ok(Message::Text(t))) if t.as_str() == "{\"type\": "));
    assert!(matches!(client.message().await, Some(Ok(Message::Binary(b))) if b[..] == [0xff, 0x00]));
}

#[tokio::test]
async fn rest_can_be_slow_and_wrong() {
    let sim = start();
    sim.delay_rest(Duration::from_millis(150));
    let before = Instant::now();
    get(&sim, "/channels").await;
    assert!(before.elapsed() >= Duration::from_millis(150));
    sim.delay_rest(Duration::ZERO);
    let wrong = RestOverride {
        method: Some("GET".to_owned()),
        path_contains: "bridges".to_owned(),
        status: 503,
        body: "no".to_owned(),
        times: Some(1),
    };
    sim.override_rest(Some(wrong));
    assert_eq!(http(&sim, "GET", "/channels", "").await.0, 200);
    assert_eq!(http(&sim, "GET", "/bridges", "").await, (503, "no".to_owned()));
    assert_eq!(http(&sim, "GET", "/bridges", "").await.0, 200);
}

#[tokio::test]
async fn a_restart_ends_every_channel_and_ids_begin_again() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.play("plain_dial").unwrap();
    client.until(|e| e["type"] == "ChannelEnteredBridge" && e["channel"]["state"] == "Up").await;
    sim.play("noanswer").unwrap();
    let waits = client.until(|e| e["type"] == "StasisStart").await;
    let id = waits.last().unwrap()["channel"]["id"].as_str().unwrap().to_owned();
    assert_eq!(http(&sim, "POST", &format!("/channels/{id}/continue"), "").await.0, 204);
    client.until(|e| e["type"] == "Dial" && e["dialstatus"] == "RINGING").await;
    let live = sim.live_channels();
    sim.restart(RestartKind::Now);
    let mut events = Vec::new();
    while let Some(Ok(message)) = client.message().await {
        if let Message::Text(text) = message {
            events.push(serde_json::from_str::<serde_json::Value>(&text).unwrap());
        }
    }
    let destroyed: Vec<_> = events.iter().filter(|e| e["type"] == "ChannelDestroyed").collect();
    assert_eq!((destroyed.len(), live), (4, 4), "{events:?}");
    assert!(events.iter().any(|e| e["type"] == "Dial" && e["dialstatus"] == "NOANSWER"));
    assert!(events.iter().any(|e| e["type"] == "ChannelHangupRequest" && e["cause"] == 4));
    let mut client = Client::connect(&sim).await;
    assert_eq!(get(&sim, "/channels").await, json!([]));
    sim.play("plain_dial").unwrap();
    let first = client.event().await;
    assert_eq!(first["channel"]["name"], "PJSIP/110-00000000");
    assert!(first["channel"]["id"].as_str().unwrap().ends_with(".0"));
    sim.restart(RestartKind::Killed);
    while let Some(Ok(message)) = client.message().await {
        assert!(!message.to_string().contains("ChannelDestroyed"));
    }
    assert_eq!(sim.truth().disturbed, 3);
}

#[tokio::test]
async fn a_channel_that_is_not_continued_goes_on_after_the_timeout() {
    let sim = Sim::start(SimConfig { continue_timeout: Duration::from_millis(50), ..config() }).unwrap();
    let mut client = Client::connect(&sim).await;
    sim.play("busy").unwrap();
    let events =
        client.until(|e| e["type"] == "ChannelDestroyed" && e["channel"]["name"] == "PJSIP/100-00000000").await;
    assert!(events.iter().any(|e| e["type"] == "StasisEnd"));
    eventually("the call is over", async || sim.truth().finished == 1).await;
    assert_eq!(sim.truth().not_continued, 1);
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    for (config, part) in [
        (SimConfig { speed: 0.0, ..config() }, "speed 0"),
        (SimConfig { mix: Vec::new(), ..config() }, "mix"),
        (SimConfig { prefix: "asterisk".to_owned(), ..config() }, "slash"),
        (SimConfig { app: "a\"b".to_owned(), ..config() }, "app's name"),
    ] {
        let error = Sim::start(config).err().unwrap().to_string();
        assert!(error.contains(part), "{error}");
    }
}
