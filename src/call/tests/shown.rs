//! Snapshots as Asterisk would have given them, put into recorded streams.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::stream::{Stream, masquerade};
use super::*;

/// Streams in which one channel takes another's place and their creation times are swapped.
const MASQUERADES: &[&str] = &["attended_transfer_to_waiting_queue", "pickup_directed", "pickup_group"];

fn of<'a>(line: &'a Value, kind: &str) -> Option<&'a Value> {
    Some(&line["event"]).filter(|e| e["type"] == kind)
}

/// The gap since the last of `heard` until the last of `all`, and what Asterisk shows then.
fn gap_and_snapshot(heard: &[String], all: &[String]) -> [String; 2] {
    let mut channels: BTreeMap<String, Value> = BTreeMap::new();
    let mut bridges: BTreeMap<String, (Value, Vec<String>)> = BTreeMap::new();
    for line in all {
        let line: Value = serde_json::from_str(line).unwrap();
        let event = &line["event"];
        let parts = ["channel", "peer", "caller", "transferer_first_leg", "transferer_second_leg", "transferee"];
        for channel in parts.iter().map(|part| &event[part]).filter(|c| c.is_object()) {
            // What was made and is gone comes no more.
            let id = channel["id"].as_str().unwrap().to_owned();
            if channels.contains_key(&id) || of(&line, "ChannelCreated").is_some() {
                channels.insert(id, channel.clone());
            }
        }
        let id = |what: &str| event[what]["id"].as_str().unwrap_or_default().to_owned();
        if of(&line, "ChannelDestroyed").is_some() {
            channels.remove(&id("channel"));
        } else if of(&line, "BridgeDestroyed").is_some() {
            bridges.remove(&id("bridge"));
        } else if of(&line, "ChannelEnteredBridge").is_some() {
            bridges.entry(id("bridge")).or_insert((event["bridge"].clone(), Vec::new())).1.push(id("channel"));
        } else if of(&line, "ChannelLeftBridge").is_some() {
            bridges.values_mut().for_each(|(_, inside)| inside.retain(|c| *c != id("channel")));
        }
    }
    let shown: Vec<Value> = bridges
        .into_values()
        .map(|(mut bridge, inside)| {
            bridge["channels"] = inside.into();
            bridge
        })
        .collect();
    let (since, until) = (at(heard.last().unwrap()), at(all.last().unwrap()) + 0.001);
    let snapshot = json!({"channels": channels.into_values().collect::<Vec<_>>(), "bridges": shown});
    [
        json!({"at": until, "gap": {"since": since, "reason": "socket closed"}}).to_string(),
        json!({"at": until, "snapshot": snapshot}).to_string(),
    ]
}

/// The stream, but nothing was heard between these lines; then the socket was back.
fn with_gap(lines: &[String], from: usize, to: usize) -> Vec<String> {
    let mut some = lines[..from].to_vec();
    some.extend(gap_and_snapshot(&lines[..from], &lines[..to]));
    some.extend_from_slice(&lines[to..]);
    some
}

#[test]
fn a_gap_in_which_nothing_happened_marks_calls_and_changes_nothing_else() {
    let mut problems = Vec::new();
    for name in MASQUERADES {
        let lines = lines(name);
        let marked = |lines: &[String]| {
            let mut rows = rows(lines, 1);
            rows.0.values_mut().for_each(|row| row.incomplete = true);
            rows
        };
        let whole = marked(&lines);
        for cut in 1..lines.len() {
            let got = marked(&with_gap(&lines, cut, cut));
            if got != whole {
                problems.push(format!("{name} behind line {cut}: {:#?} {:#?}", got.0, whole.0));
            }
        }
    }
    assert!(problems.is_empty(), "{} {}", problems.len(), problems[0]);
}

/// Whether two are in a bridge.
fn together(snapshot: &str) -> bool {
    let line: Value = serde_json::from_str(snapshot).unwrap();
    line["snapshot"]["bridges"].as_array().unwrap().iter().any(|b| b["channels"].as_array().unwrap().len() > 1)
}

#[test]
fn a_masquerade_that_a_gap_hid_makes_no_channel_anew() {
    let mut problems = Vec::new();
    let mut hidden = 0;
    for name in MASQUERADES {
        let lines = lines(name);
        let whole = rows(&lines, 1).0;
        let creations = lines.iter().rposition(|line| line.contains("\"ChannelCreated\"")).unwrap();
        for (from, to) in (1..lines.len()).flat_map(|from| (from + 1..lines.len()).map(move |to| (from, to))) {
            let (calls, legs) = rows(&with_gap(&lines, from, to), 1);
            let mut channels: Vec<_> = legs.values().map(|l| (&l.channel_id, l.channel_created_at)).collect();
            channels.sort_unstable();
            channels.dedup();
            let twice = channels.windows(2).any(|pair| pair[0].0 == pair[1].0);
            let open = calls.values().filter(|row| row.ended_at.is_none()).count();
            // Where every channel was known before the gap, and who dialled it, and who talks with whom is shown
            // behind it.
            let people = |calls: &BTreeMap<String, CallRow>| {
                let row = |r: &CallRow| (r.uid.clone(), r.status, r.caller_number.clone(), r.callee_number.clone());
                calls.values().map(row).collect::<Vec<_>>()
            };
            let shown = from > creations + 1 && together(&gap_and_snapshot(&lines[..from], &lines[..to])[1]);
            if twice || open > 0 || shown && people(&calls) != people(&whole) {
                problems.push(format!("{name}, nothing heard from line {from} to {to}: {open} open, {channels:?}"));
            }
            hidden += usize::from(shown);
        }
    }
    assert!(problems.is_empty() && hidden > 100, "{} {problems:#?}", problems.len());
}

#[test]
fn a_channel_that_shows_the_birth_of_one_long_forgotten_is_no_other() {
    let mut stream = Stream::new();
    // No ids of Asterisk's own.
    let mut caller = stream.channel("a", "PJSIP/100-00000001", "Ring", "100", "600");
    stream.pass(10);
    let mut other = stream.channel("b", "PJSIP/102-00000002", "Ring", "102", "600");
    stream.pass(1_000);
    stream.up(&mut caller);
    masquerade(&mut caller, &mut other);
    stream.ends(&other, 16);
    stream.pass(100_000);
    stream.channel("c", "PJSIP/103-00000003", "Ring", "103", "600");
    stream.of("ChannelDtmfReceived", &caller);
    stream.pass(1_000);
    stream.ends(&caller, 16);
    let (calls, _) = rows(&stream.lines, 1);
    let ends: Vec<_> = calls.values().map(|r| (r.caller_number.as_deref(), r.ended_at.is_some())).collect();
    assert_eq!(ends, [(Some("100"), true), (Some("102"), true), (Some("103"), false)]);
    assert!(calls.values().all(|row| !row.incomplete), "{calls:#?}");
}
