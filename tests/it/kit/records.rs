//! Asterisk's own records, which the service never reads: what its rows are compared with.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The file of call records below an instance's folder.
pub(crate) const CDR: &str = "log/cdr-custom/cdr.jsonl";
/// The file of channel events.
pub(crate) const CEL: &str = "log/cel-custom/cel.jsonl";

/// A call detail record: one a leg and try, not one a call. Times are seconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cdr {
    /// The channel's name.
    pub(crate) channel: String,
    /// The other channel's name, empty if there was none.
    pub(crate) dstchannel: String,
    /// The channel's id.
    pub(crate) uniqueid: String,
    /// 0 if it was not answered.
    pub(crate) answer: f64,
    pub(crate) end: f64,
    /// `ANSWERED`, `NO ANSWER`, `BUSY`, `FAILED` ...
    pub(crate) disposition: String,
}

/// A channel event. Times are seconds since 1970.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Cel {
    /// `ANSWER`, `BRIDGE_ENTER`, `BRIDGE_EXIT`, `HANGUP` ...
    #[serde(rename = "eventtype")]
    pub(crate) event_type: String,
    #[serde(rename = "eventtime")]
    pub(crate) event_time: f64,
    /// The channel's name.
    #[serde(rename = "channame")]
    pub(crate) chan_name: String,
    /// The application that the channel runs.
    #[serde(rename = "appname", default)]
    pub(crate) app: String,
    /// More about it, as JSON: for bridges `bridge_id` and `bridge_technology`.
    #[serde(rename = "eventextra", default)]
    pub(crate) extra: String,
    /// The channel's id.
    #[serde(rename = "uniqueid", default)]
    pub(crate) unique_id: String,
    /// Equal for all channels of one conversation.
    #[serde(rename = "linkedid")]
    pub(crate) linked_id: String,
}

/// The records of `file` behind the byte `from`; lines that are no such record are left out.
pub(crate) fn lines<T: DeserializeOwned>(file: &Path, from: u64) -> Vec<T> {
    let Ok(mut file) = std::fs::File::open(file) else { return Vec::new() };
    let mut text = Vec::new();
    file.seek(SeekFrom::Start(from)).unwrap();
    file.read_to_end(&mut text).unwrap();
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

/// Milliseconds that channels of this endpoint (`PJSIP/101`) were in a bridge with somebody after
/// they had answered, in the conversation `linked_id`: the talk, by Asterisk's channel events.
pub(crate) fn talk_ms(cel: &[Cel], linked_id: &str, endpoint: &str) -> f64 {
    let prefix = format!("{endpoint}-");
    let of = |kind: &'static str| {
        let mine = move |event: &&Cel| event.linked_id == linked_id && event.event_type == kind;
        cel.iter().filter(mine).filter(|event| event.chan_name.starts_with(&prefix))
    };
    let mut sum = 0.0;
    for answer in of("ANSWER") {
        let left = of("BRIDGE_EXIT").filter(|event| event.chan_name == answer.chan_name);
        let left = left.map(|event| event.event_time).fold(f64::NAN, f64::max);
        assert!(!left.is_nan(), "{} answered and was in no bridge", answer.chan_name);
        sum += (left - answer.event_time) * 1000.0;
    }
    sum
}

/// A channel's stay in a bridge.
struct Stay<'a> {
    bridge: String,
    channel: &'a str,
    from: f64,
    to: f64,
}

/// The stays of SIP channels in bridges where people hear each other. A busy Asterisk bridges late what was answered:
/// the stay begins with the answer then.
fn stays(cel: &[Cel]) -> Vec<Stay<'_>> {
    let stays = bridged(cel);
    let answer = |stay: &Stay<'_>| {
        let there = |event: &&Cel| stays.iter().any(|s| s.bridge == stay.bridge && s.channel == event.chan_name);
        let dialled = |event: &&Cel| matches!(event.app.as_str(), "Dial" | "AppDial" | "AppQueue");
        let answers = cel.iter().filter(|event| event.event_type == "ANSWER").filter(dialled).filter(there);
        let times = answers.map(|event| event.event_time).filter(|at| (0.0..=2.0).contains(&(stay.from - at)));
        let elsewhere = |at: &f64| stays.iter().any(|s| s.channel == stay.channel && s.from < stay.from && s.to > *at);
        times.filter(|at| !elsewhere(at)).fold(f64::NEG_INFINITY, f64::max)
    };
    let begins: Vec<f64> =
        stays.iter().map(|stay| Some(answer(stay)).filter(|at| at.is_finite()).unwrap_or(stay.from)).collect();
    stays.into_iter().zip(begins).map(|(stay, from)| Stay { from, ..stay }).collect()
}

fn bridged(cel: &[Cel]) -> Vec<Stay<'_>> {
    let mut stays: Vec<Stay<'_>> = Vec::new();
    for event in cel.iter().filter(|event| event.chan_name.starts_with("PJSIP/")) {
        let extra: serde_json::Value = serde_json::from_str(&event.extra).unwrap_or_default();
        let (Some(bridge), channel, at) = (extra["bridge_id"].as_str(), &*event.chan_name, event.event_time) else {
            continue;
        };
        match event.event_type.as_str() {
            "BRIDGE_ENTER" if extra["bridge_technology"] != "holding_bridge" => {
                stays.push(Stay { bridge: bridge.to_owned(), channel, from: at, to: f64::INFINITY });
            }
            "BRIDGE_EXIT" => {
                let mine = |stay: &&mut Stay<'_>| stay.bridge == bridge && stay.channel == channel && stay.to > at;
                stays.iter_mut().rev().filter(mine).for_each(|stay| stay.to = at);
            }
            _ => {}
        }
    }
    stays
}

/// Milliseconds in which the channel of this name was in a bridge with another SIP channel.
pub(crate) fn together_ms(cel: &[Cel], channel: &str) -> f64 {
    let stays = stays(cel);
    let mut times: Vec<f64> = stays.iter().flat_map(|stay| [stay.from, stay.to]).collect();
    times.sort_by(f64::total_cmp);
    let together = |from: f64, to: f64| {
        let there = || stays.iter().filter(|stay| stay.from <= from && stay.to >= to);
        let other = |mine: &Stay<'_>| there().any(|s| s.bridge == mine.bridge && s.channel != channel);
        there().filter(|stay| stay.channel == channel).any(other)
    };
    let spans = times.windows(2).filter(|pair| together(pair[0], pair[1])).map(|pair| pair[1] - pair[0]);
    let sum: f64 = spans.sum();
    assert!(sum.is_finite(), "{channel} is still in a bridge");
    sum * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_are_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let good = r#"{"channel":"a","dstchannel":"","uniqueid":"1.0","answer":0.0,"end":2.5,"disposition":"BUSY"}"#;
        std::fs::write(file.path(), format!("{good}\n{{\"clid\":\"\"Zed\"\"}}\n\n{good}\n{{\"chan")).unwrap();
        let all: Vec<Cdr> = lines(file.path(), 0);
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].end, 2.5);
        assert_eq!(lines::<Cdr>(file.path(), good.len() as u64).len(), 1);
        assert!(lines::<Cdr>(Path::new("/nowhere"), 0).is_empty());
    }
}
