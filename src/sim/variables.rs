//! `GET /channels/{id}/variable` as Asterisk 22.10.1 answers it (measured on one: each value below, and the errors).

use chrono::DateTime;

use super::rest::Answer;
use super::state::{Channel, State};
use crate::model::Timestamp;

/// The answer for a variable or function of a channel.
pub(super) fn read(state: &State, id: &str, variable: &str) -> Answer {
    let Some(channel) = state.channels.get(id) else {
        return Answer::message(404, "Provided channel was not found");
    };
    if variable.is_empty() {
        return Answer::message(400, "Variable name is required");
    }
    match value(id, channel, variable) {
        Found::Value(value) => Answer::json(200, serde_json::json!({ "value": value }).to_string()),
        Found::Nothing => Answer::message(404, "Provided variable was not found"),
        Found::BadFunction => Answer::message(500, "Unable to read provided function"),
    }
}

enum Found {
    Value(String),
    Nothing,
    BadFunction,
}

fn value(id: &str, channel: &Channel, variable: &str) -> Found {
    let text = |value: &str| Found::Value(value.to_owned());
    let dialled = channel.linkedid != id;
    match variable {
        "CHANNEL(linkedid)" => text(&channel.linkedid),
        "CHANNEL(uniqueid)" | "UNIQUEID" => text(id),
        "CHANNEL(name)" | "CHANNEL" => text(&channel.name),
        "CHANNEL(state)" => text(&channel.state),
        "CHANNEL(onhold)" => text(if channel.on_hold { "1" } else { "0" }),
        "EXTEN" | "CDR(dst)" => text(&channel.exten),
        // Only who came by himself has one.
        "CALLERID(dnid)" => text(if dialled { "" } else { &channel.exten }),
        "CDR(start,u)" => Found::Value(seconds(Some(channel.created))),
        "CDR(answer,u)" => Found::Value(seconds(channel.answered)),
        "CDR(start)" => Found::Value(words(Some(channel.created))),
        "CDR(answer)" => Found::Value(words(channel.answered)),
        "CDR(disposition)" => text(if channel.answered.is_some() { "ANSWERED" } else { "NO ANSWER" }),
        name if name.ends_with(')') => Found::BadFunction,
        name => channel.variables.get(name).map_or(Found::Nothing, |value| Found::Value(value.clone())),
    }
}

/// CDR times with option `u`: seconds with six digits; `0.000000` when there is none.
fn seconds(at: Option<Timestamp>) -> String {
    let ms = at.map_or(0, Timestamp::millis);
    format!("{}.{:03}000", ms.div_euclid(1000), ms.rem_euclid(1000))
}

/// CDR times without options; empty when there is none.
fn words(at: Option<Timestamp>) -> String {
    let moment = at.and_then(|t| DateTime::from_timestamp_millis(t.millis()));
    moment.map_or_else(String::new, |t| t.format("%Y-%m-%d %H:%M:%S").to_string())
}
