//! Channels that end because the simulated Asterisk restarts, or because the backend hung one up.
//!
//! No recording of the very call says how, so the events are made in the order and form of the recorded restart and
//! of the recorded `DELETE`: hangup requests, dialling given up, bridges left and gone, channels destroyed.

use serde_json::value::RawValue;

use super::clock::push_time;
use super::world::{ASTERISK_ID, World};

/// Ends these channels. `hung_up`: the channel that the backend hung up, and its cause; without it Asterisk restarts.
pub(super) fn end(world: &mut World, channels: &[String], hung_up: Option<(&str, i64)>, now: i64) {
    for id in channels {
        let Some(channel) = world.state.channels.get(id).cloned() else { continue };
        let origin = channel.linkedid == *id;
        match hung_up {
            Some((of, _)) if of == id => emit(world, "ChannelHangupRequest", r#""cause":32,"soft":true,"#, id, "", now),
            None if origin => emit(world, "ChannelHangupRequest", r#""cause":4,"soft":true,"#, id, "", now),
            Some(_) | None => {}
        }
    }
    for id in channels {
        give_up_dialing(world, id, now);
    }
    for id in channels {
        if world.state.channels.get(id).is_some_and(|c| c.stasis.is_some()) {
            emit(world, "StasisEnd", "", id, "", now);
        }
    }
    leave_bridges(world, channels, now);
    for id in channels {
        let Some(channel) = world.state.channels.get(id) else { continue };
        let asked = hung_up.filter(|(of, _)| of == id).map(|(_, cause)| cause);
        let cause = asked.unwrap_or(if channel.state == "Up" { 16 } else { 0 });
        let more = format!(r#""cause":{cause},"cause_txt":"{}","#, cause_text(cause));
        emit(world, "ChannelDestroyed", &more, id, "", now);
    }
}

/// Asterisk's words for the causes that the recordings have; others are named as it names what it does not know.
fn cause_text(cause: i64) -> &'static str {
    match cause {
        16 => "Normal Clearing",
        17 => "User busy",
        19 => "User alerting, no answer",
        21 => "Call Rejected",
        127 => "Interworking, unspecified",
        _ => "Unknown",
    }
}

fn give_up_dialing(world: &mut World, peer: &str, now: i64) {
    let Some(caller) = world.state.dialing.get(peer).cloned() else { return };
    let (Some(of_caller), Some(of_peer)) = (world.state.channels.get(&caller), world.state.channels.get(peer)) else {
        return;
    };
    let more = format!(
        r#""dialstatus":"NOANSWER","forward":"","dialstring":"","caller":{},"peer":{},"#,
        of_caller.json, of_peer.json
    );
    let names = [(caller.clone(), of_caller.name.clone()), (peer.to_owned(), of_peer.name.clone())];
    let call = of_peer.call;
    send(world, "Dial", &more, &names, &[], call, now);
}

fn leave_bridges(world: &mut World, channels: &[String], now: i64) {
    let bridges: Vec<String> = world.state.bridges.keys().cloned().collect();
    for bridge in bridges {
        let Some(members) = world.state.bridges.get(&bridge).map(|b| b.channels.clone()) else { continue };
        let leaving: Vec<&String> = members.iter().filter(|m| channels.contains(m)).collect();
        for id in &leaving {
            let Some(now_in) = world.state.bridges.get_mut(&bridge) else { break };
            now_in.channels.retain(|m| m != *id);
            now_in.json = with_channels(&now_in.json, &now_in.channels);
            let more = format!(r#""bridge":{},"#, now_in.json);
            emit(world, "ChannelLeftBridge", &more, id, &bridge, now);
        }
        let Some(left) = world.state.bridges.get(&bridge).filter(|b| !leaving.is_empty() && b.channels.is_empty())
        else {
            continue;
        };
        let (more, call) = (format!(r#""bridge":{},"#, left.json), left.call);
        send(world, "BridgeDestroyed", &more, &[], &[&bridge], call, now);
    }
}

/// A bridge's object with other channels in it.
fn with_channels(json: &str, channels: &[String]) -> String {
    let list = serde_json::json!(channels).to_string();
    let place = json.find(r#""channels":["#).map(|i| i + r#""channels":"#.len());
    let end = place.and_then(|i| json[i..].find(']').map(|n| i + n + 1));
    match place.zip(end) {
        Some((from, to)) => format!("{}{list}{}", &json[..from], &json[to..]),
        None => json.to_owned(),
    }
}

/// An event of one channel.
fn emit(world: &mut World, kind: &str, more: &str, id: &str, bridge: &str, now: i64) {
    let Some(channel) = world.state.channels.get(id) else { return };
    let (call, name) = (channel.call, channel.name.clone());
    let more = format!(r#"{more}"channel":{},"#, channel.json);
    let bridges: &[&str] = if bridge.is_empty() { &[] } else { &[bridge] };
    send(world, kind, &more, &[(id.to_owned(), name)], bridges, call, now);
}

fn send(world: &mut World, kind: &str, more: &str, of: &[(String, String)], bridges: &[&str], call: u64, now: i64) {
    let mut stamp = String::new();
    push_time(&mut stamp, now);
    let render = |app: &str| {
        format!(
            r#"{{"type":"{kind}","timestamp":"{stamp}",{more}"asterisk_id":"{ASTERISK_ID}","application":"{app}"}}"#
        )
    };
    let channels: Vec<(&str, &str)> = of.iter().map(|(id, name)| (id.as_str(), name.as_str())).collect();
    world.deliver(kind, &channels, bridges, render);
    let app = world.config.app.clone();
    let text = render(&app);
    debug_assert!(serde_json::from_str::<&RawValue>(&text).is_ok(), "{text}");
    if let Err(error) = world.state.take(kind, &text, call, &app, |_| None) {
        tracing::error!(%error, "an event of the simulated hangup could not be taken in");
    }
}
