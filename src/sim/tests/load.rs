//! Load runs: all of it arrives, in order, once.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::{DEADLINE, basic};
use crate::model::Timestamp;
use crate::sim::MixEntry;
use crate::sim::load::{LoadPlan, LoadReport, LoadStream, Pace, serve, serve_once};

/// Reads everything that comes, with the moment it came.
async fn read(port: u16, count: u64) -> Vec<(i64, Value)> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let url = format!("ws://127.0.0.1:{port}/asterisk/ari/events?app=callcenter-app&subscribeAll=true");
    let mut socket = tokio_tungstenite::client_async(url, tcp).await.unwrap().0;
    let mut events = Vec::new();
    while (events.len() as u64) < count {
        match tokio::time::timeout(DEADLINE, socket.next()).await.expect("no frame in time") {
            Some(Ok(Message::Text(text))) => {
                events.push((crate::sim::clock::now_ms(), serde_json::from_str(&text).unwrap()));
            }
            other => panic!("{other:?}"),
        }
    }
    socket.close(None).await.unwrap();
    events
}

fn millis(event: &Value) -> i64 {
    event["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap().millis()
}

/// What a plan will send.
fn foreseen(plan: &LoadPlan) -> LoadReport {
    let mut stream = LoadStream::new(plan.clone()).unwrap();
    while stream.next_event().is_some() {}
    stream.report().clone()
}

#[tokio::test]
async fn a_run_at_full_speed_arrives_whole_and_interleaved() {
    let plan = LoadPlan { calls: 60, pace: Pace::FullSpeed { concurrency: 20 }, ..LoadPlan::default() };
    let foreseen = foreseen(&plan);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = tokio::spawn(async move {
        let session = serve_once(listener, plan).await.unwrap();
        let report = session.report.clone();
        session.hold(DEADLINE).await;
        report
    });
    let events = read(port, foreseen.events).await;
    let report = sender.await.unwrap();
    assert_eq!((report.calls, report.events, report.bytes), (60, foreseen.events, foreseen.bytes));
    assert_eq!(report.by_status, foreseen.by_status);
    assert_eq!(report.by_status.values().sum::<u64>(), 60);
    assert!((10..=40).contains(&report.most_live), "{} calls at once", report.most_live);
    let ids = |kind: &str| -> HashSet<String> {
        let of_kind = events.iter().filter(|(_, e)| e["type"] == kind);
        of_kind.map(|(_, e)| e["channel"]["id"].as_str().unwrap().to_owned()).collect()
    };
    let created = events.iter().filter(|(_, e)| e["type"] == "ChannelCreated").count();
    assert_eq!((ids("ChannelCreated").len(), ids("ChannelDestroyed")), (created, ids("ChannelCreated")));
    // In the order of call time, but for what the recordings have out of order; and none of it in the future.
    let late = events.windows(2).filter(|w| millis(&w[1].1) + 50 < millis(&w[0].1)).count();
    assert_eq!(late, 0);
    assert!(events.iter().all(|(at, e)| millis(e) <= at + 1_000));
}

#[tokio::test]
async fn a_paced_run_sends_each_event_when_its_timestamp_says() {
    let mix = vec![MixEntry::new("busy", 1)];
    let plan = LoadPlan { calls: 40, mix, pace: Pace::EventsPerSecond(2_000.0), ..LoadPlan::default() };
    let foreseen = foreseen(&plan);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = tokio::spawn(serve_once(listener, plan));
    let events = read(port, foreseen.events).await;
    let report = sender.await.unwrap().unwrap().report;
    let mut lags: Vec<i64> = events.iter().map(|(at, e)| at - millis(e)).collect();
    lags.sort_unstable();
    // The recorded lag is a few milliseconds; the machine may be busy.
    assert!(lags[0] >= 0 && lags[lags.len() / 2] < 500, "{} to {} ms", lags[0], lags[lags.len() - 1]);
    // 40 calls of 35 events at 2,000 events a second.
    assert!((0.5..5.0).contains(&report.seconds), "{} s", report.seconds);
}

async fn http(port: u16, method: &str, path: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let head = format!(
        "{method} /asterisk/ari{path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{body}",
        basic("demo", "demo-password"),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn with_rest_the_filter_is_obeyed_and_commands_are_answered() {
    let mix = vec![MixEntry::new("busy", 1)];
    let plan = LoadPlan { calls: 3, mix, settle: Duration::from_millis(500), ..LoadPlan::default() };
    let left = foreseen(&LoadPlan { without: vec!["ChannelVarset".to_owned()], ..plan.clone() });
    assert!(left.events < foreseen(&plan).events);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let sender = tokio::spawn(serve(listener, plan));
    let reader = tokio::spawn(read(port, left.events));
    super::eventually("the app is there", async || {
        http(port, "GET", "/applications/callcenter-app", "").await.starts_with("HTTP/1.1 200")
    })
    .await;
    let filter = r#"{"disallowed":[{"type":"ChannelVarset"}]}"#;
    let answer = http(port, "PUT", "/applications/callcenter-app/eventFilter", filter).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let answer = http(port, "POST", "/channels/1.2/continue", "").await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let events = reader.await.unwrap();
    assert!(events.iter().all(|(_, e)| e["type"] != "ChannelVarset"));
    assert_eq!(sender.await.unwrap().unwrap().report.events, left.events);
}

#[tokio::test]
async fn a_plan_that_makes_no_sense_is_refused() {
    for pace in [Pace::FullSpeed { concurrency: 0 }, Pace::EventsPerSecond(0.0), Pace::EventsPerSecond(f64::NAN)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert!(serve_once(listener, LoadPlan { pace, ..LoadPlan::default() }).await.is_err());
    }
}

#[test]
fn calls_that_stand_come_first_and_never_end_the_others_do() {
    let plan = LoadPlan { calls: 20, standing: 30, pace: Pace::FullSpeed { concurrency: 10 }, ..LoadPlan::default() };
    let mut stream = LoadStream::new(plan).unwrap();
    let mut events = Vec::new();
    while let Some((_, text)) = stream.next_event() {
        events.push(serde_json::from_str::<Value>(&text).unwrap());
    }
    let report = stream.report();
    assert_eq!((report.events, report.calls, report.most_live), (events.len() as u64, 20, report.most_live.max(31)));
    assert_eq!(report.by_status.values().sum::<u64>(), 20);
    let (standing, others) = events.split_at(usize::try_from(report.standing_events).unwrap());
    let ids = |events: &[Value], kind: &str| -> HashSet<String> {
        let of_kind = events.iter().filter(|e| e["type"] == kind);
        of_kind.map(|e| e["channel"]["id"].as_str().unwrap().to_owned()).collect()
    };
    // A ringing phone that was given up before the pause has ended; the caller's channel never has.
    let (stood, ended) = (ids(standing, "ChannelCreated"), ids(standing, "ChannelDestroyed"));
    assert!(stood.len() >= ended.len() + 30, "{} of {} ended", ended.len(), stood.len());
    let (came, went) = (ids(others, "ChannelCreated"), ids(others, "ChannelDestroyed"));
    assert_eq!(came, went);
    assert!(!came.is_empty() && came.is_disjoint(&stood));
}
