//! What is played is what was recorded.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::super::Direction;
use super::{Client, config, entry, eventually, get, http, kinds, start};
use crate::model::Timestamp;
use crate::sim::{Sim, SimConfig};

fn recorded(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(format!("{name}.jsonl"));
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["event"].take()).collect()
}

/// Ids, names and times replaced by their order of appearance; times by the milliseconds since the first.
fn normal(events: &[Value]) -> Vec<Value> {
    fn walk(value: &mut Value, key: &str, seen: &mut HashMap<String, usize>, first: i64) {
        match value {
            Value::Object(map) => {
                // An object's members in a fixed order, so that ids are numbered alike.
                map.iter_mut().for_each(|(k, v)| walk(v, k, seen, first));
            }
            Value::Array(items) => items.iter_mut().for_each(|v| walk(v, key, seen, first)),
            Value::String(text) => {
                let of_value = key == "value" && (text.len() == 36 || text.contains('-'));
                if key == "timestamp" || key == "creationtime" {
                    *value = Value::from(text.parse::<Timestamp>().unwrap().millis() - first);
                } else if key == "id"
                    || key == "channels"
                    || key == "protocol_id"
                    || of_value
                    || (key == "name" && text.contains("-0"))
                {
                    let next = seen.len();
                    let number = *seen.entry(std::mem::take(text)).or_insert(next);
                    *text = format!("#{number}");
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let first = events[0]["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap().millis();
    let mut seen = HashMap::new();
    let mut events = events.to_vec();
    events.iter_mut().for_each(|e| walk(e, "", &mut seen, first));
    events
}

#[tokio::test]
async fn an_answered_call_is_the_recorded_one_but_for_ids_and_times() {
    // As fast as recorded, so that the times can be compared; the six seconds are the recording's.
    let sim = Sim::start(SimConfig { speed: 1.0, ..config() }).unwrap();
    let mut client = Client::connect(&sim).await;
    sim.play("answered").unwrap();
    let events = client.whole_calls(&sim, 1).await;
    let (mut played, mut expected) = (normal(&events), normal(&recorded("answered")));
    assert_eq!(kinds(&events), kinds(&recorded("answered")));
    // Our `continue` comes a few milliseconds later or earlier than the recorded one did.
    for event in played.iter_mut().chain(&mut expected) {
        blur(event);
    }
    for (index, (played, expected)) in played.iter().zip(&expected).enumerate() {
        assert_eq!(played, expected, "event {index}");
    }
    let truth = sim.truth();
    assert_eq!((truth.started, truth.finished, truth.not_continued), (1, 1, 0));
    assert_eq!(truth.by_status.get("answered"), Some(&1));
    let row = &sim.played()[0].expected[0];
    assert_eq!((row.talk_ms, row.callee_number.as_deref()), (Some(5010), Some("101")));
}

/// Times to a quarter of a second.
fn blur(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_i64().filter(|_| key == "timestamp" || key == "creationtime") {
                    Some(ms) => *value = Value::from((ms + 100) / 250),
                    None => blur(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(blur),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[tokio::test]
async fn every_recording_plays_to_its_end_and_leaves_nothing() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    let names = crate::sim::library::names().unwrap();
    for name in &names {
        sim.play(name).unwrap();
    }
    let events = client.whole_calls(&sim, names.len()).await;
    let count = |kind: &str| events.iter().filter(|e| e["type"] == kind).count();
    assert_eq!(count("ChannelCreated"), count("ChannelDestroyed"));
    assert_eq!(count("StasisStart"), count("StasisEnd"));
    let truth = sim.truth();
    assert_eq!((truth.finished, truth.not_continued), (names.len() as u64, 0), "{truth:?}");
    assert_eq!((sim.live_calls(), sim.live_channels()), (0, 0));
    assert_eq!(get(&sim, "/bridges").await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn calls_at_once_share_no_id_and_no_name() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    for _ in 0..5 {
        sim.play("attended_transfer").unwrap();
        sim.play_entry(&entry("local_channels/1").going(Direction::Inbound)).unwrap();
    }
    let events = client.whole_calls(&sim, 10).await;
    let created: Vec<&Value> = events.iter().filter(|e| e["type"] == "ChannelCreated").collect();
    for key in ["id", "name"] {
        let all: HashSet<&str> = created.iter().map(|e| e["channel"][key].as_str().unwrap()).collect();
        assert_eq!(all.len(), created.len(), "{key}");
    }
    let bridges: Vec<&str> =
        events.iter().filter(|e| e["type"] == "BridgeCreated").map(|e| e["bridge"]["id"].as_str().unwrap()).collect();
    assert_eq!(bridges.iter().collect::<HashSet<_>>().len(), bridges.len());
    let ids: Vec<String> = sim.played().into_iter().flat_map(|p| p.channels).collect();
    assert_eq!(ids.len(), created.len());
}

#[tokio::test]
async fn the_state_is_what_the_events_said() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.play("answered").unwrap();
    let started = client.until(|e| e["type"] == "StasisStart").await;
    let id = started.last().unwrap()["channel"]["id"].as_str().unwrap().to_owned();
    let channels = get(&sim, "/channels").await;
    assert_eq!(channels.as_array().unwrap().len(), 1);
    assert_eq!(channels[0]["dialplan"]["app_name"], "Stasis");
    assert_eq!(get(&sim, "/applications/callcenter-app").await["name"], "callcenter-app");
    let variable = async |id: &str, name: &str| {
        get(&sim, &format!("/channels/{id}/variable?variable={name}")).await["value"].as_str().unwrap().to_owned()
    };
    assert_eq!(variable(&id, "CDR(answer,u)").await, "0.000000");
    assert_eq!(http(&sim, "POST", &format!("/channels/{id}/continue"), "").await.0, 204);
    let talk = client.until(|e| e["type"] == "ChannelEnteredBridge" && e["channel"]["id"] == *id).await;
    let bridges = get(&sim, "/bridges").await;
    assert_eq!(bridges[0]["channels"].as_array().unwrap().len(), 2);
    let callee = talk.last().unwrap()["bridge"]["channels"][1].as_str().unwrap().to_owned();
    let up = talk.iter().find(|e| e["type"] == "ChannelStateChange" && e["channel"]["id"] == *id).unwrap();
    let answered = up["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap().millis();
    let told: f64 = variable(&id, "CDR(answer,u)").await.parse().unwrap();
    assert_eq!((told * 1000.0).round() as i64, answered);
    assert_eq!(variable(&callee, "CHANNEL(linkedid)").await, id);
    assert!(variable(&id, "BRIDGEPEER").await.starts_with("PJSIP/101-"));
    client.whole_calls(&sim, 1).await;
    assert_eq!(get(&sim, "/channels").await, Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_call_waits_for_its_continue_and_goes_on_later_by_as_much() {
    let sim = start();
    let mut client = Client::connect(&sim).await;
    sim.play("noanswer").unwrap();
    let started = client.until(|e| e["type"] == "StasisStart").await;
    // Nothing more comes: an answered ping is the last word on that.
    for _ in 0..3 {
        get(&sim, "/asterisk/ping").await;
    }
    let mut more = Vec::new();
    assert!(client.drained(&mut more).await, "{more:?}");
    let event = started.last().unwrap();
    let (id, at) = (event["channel"]["id"].as_str().unwrap(), event["timestamp"].as_str().unwrap());
    assert_eq!(http(&sim, "POST", &format!("/channels/{id}/continue"), "").await.0, 204);
    let end = client.until(|e| e["type"] == "StasisEnd").await;
    let millis = |text: &str| text.parse::<Timestamp>().unwrap().millis();
    let waited = millis(end[0]["timestamp"].as_str().unwrap()) - millis(at);
    assert!((100..5_000).contains(&waited), "{waited} ms");
    let (status, body) = http(&sim, "POST", &format!("/channels/{id}/continue"), "").await;
    assert_eq!((status, body.as_str()), (409, r#"{"message":"Channel not in Stasis application"}"#));
    let rest = client.whole_calls(&sim, 1).await;
    let created = rest.iter().rev().find(|e| e["channel"]["id"] == id).unwrap();
    assert!(millis(created["channel"]["creationtime"].as_str().unwrap()) <= millis(at));
    assert_eq!(sim.truth().by_status.get("no_answer"), Some(&1));
}

#[tokio::test]
async fn without_an_app_the_dialplan_goes_on_by_itself() {
    let sim = start();
    sim.play("answered").unwrap();
    eventually("the call is over", async || sim.truth().finished == 1).await;
    let played = &sim.played()[0];
    assert_eq!((sim.truth().not_continued, played.unheard > 70), (0, true), "{played:?}");
}

#[tokio::test]
async fn calls_arrive_by_themselves_in_a_mix_and_a_seed_gives_them_again() {
    let mix = vec![entry("busy").going(Direction::Inbound), entry("abandoned").stretched(1.0, 2.0)];
    let mut runs = Vec::new();
    for _ in 0..2 {
        let config = SimConfig { calls_per_second: 200.0, calls: Some(30), mix: mix.clone(), ..config() };
        let sim = Sim::start(config).unwrap();
        eventually("all calls are over", async || sim.truth().finished == 30).await;
        assert_eq!(sim.truth().by_status.values().sum::<u64>(), 30);
        let mut rows: Vec<String> =
            sim.played().iter().map(|p| format!("{} {:?}", p.recording, p.expected[0].caller_number)).collect();
        rows.sort();
        runs.push(rows);
    }
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].iter().any(|r| r.contains("busy") && r.contains("+79")), "{:?}", runs[0]);
}
