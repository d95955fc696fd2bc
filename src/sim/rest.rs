//! ARI's REST as Asterisk 22.10.1 answers it, on the paths that the service uses. Statuses and bodies were measured.
//!
//! What would need a call that nobody recorded is refused with 501 and Asterisk's own words for it.

use serde_json::{Value, json};

use super::variables;
use super::world::World;

/// A request, wherever it came from (HTTP or the WebSocket).
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub method: String,
    /// The path below `/ari`, without a leading slash, still percent-encoded.
    pub path: String,
    /// The decoded parameters of the query.
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// What comes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    /// JSON text; none with 204.
    pub body: Option<String>,
    /// The methods that the path takes, for a 405.
    pub allow: Option<&'static str>,
}

impl Answer {
    pub(super) fn json(status: u16, body: String) -> Self {
        Self { status, body: Some(body), allow: None }
    }

    pub(super) fn message(status: u16, text: &str) -> Self {
        Self::json(status, json!({ "message": text }).to_string())
    }

    fn done() -> Self {
        Self { status: 204, body: None, allow: None }
    }

    fn wrong_method(allow: &'static str) -> Self {
        Self { allow: Some(allow), ..Self::message(405, "Invalid method") }
    }

    /// Asterisk's own words for an operation that it lacks.
    fn not_recorded() -> Self {
        Self::message(501, "Method not implemented")
    }
}

impl Request {
    fn parameter(&self, name: &str) -> Option<String> {
        let of_query = self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        // Asterisk takes each parameter from the body as well.
        of_query.or_else(|| self.json().ok()?.get(name)?.as_str().map(str::to_owned))
    }

    fn json(&self) -> Result<Value, Answer> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|_| Answer::message(400, "Error parsing request body"))
    }
}

/// Answers a request that has passed the authentication.
pub(super) fn answer(world: &mut World, request: &Request, now: i64) -> Answer {
    let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    let parts: Vec<String> = request.path.split('/').map(decode).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    if let Err(answer) = request.json() {
        return answer;
    }
    let method = request.method.as_str();
    match parts.as_slice() {
        ["asterisk", rest @ ..] => asterisk(world, method, rest, request, now),
        ["applications", rest @ ..] => applications(world, method, rest, request),
        ["channels"] => match method {
            "GET" => list(world.state.channels.values().map(|c| &c.json)),
            "POST" => Answer::not_recorded(),
            _ => Answer::wrong_method("OPTIONS,GET,POST"),
        },
        ["channels", id, rest @ ..] => channel(world, method, id, rest, request, now),
        ["bridges"] => match method {
            "GET" => list(world.state.bridges.values().map(|b| &b.json)),
            "POST" => Answer::not_recorded(),
            _ => Answer::wrong_method("OPTIONS,GET,POST"),
        },
        ["bridges", id, rest @ ..] => bridge(world, method, id, rest),
        _ => Answer::message(404, "Resource not found"),
    }
}

fn list<'a>(items: impl Iterator<Item = &'a String>) -> Answer {
    Answer::json(200, format!("[{}]", items.map(String::as_str).collect::<Vec<_>>().join(",")))
}

fn asterisk(world: &mut World, method: &str, rest: &[&str], request: &Request, now: i64) -> Answer {
    let time = |ms: i64| {
        let mut text = String::new();
        super::clock::push_time(&mut text, ms);
        text
    };
    match (rest, method) {
        (["ping"], "GET") => {
            let body = json!({"ping": "pong", "timestamp": time(now), "asterisk_id": super::world::ASTERISK_ID});
            Answer::json(200, body.to_string())
        }
        (["info"], "GET") => {
            let started = time(world.started_at);
            let body = json!({
                "build": {"os": "Linux", "kernel": "unknown", "machine": "unknown", "options": "OPTIONAL_API",
                    "date": "2026-07-20 21:35:32 UTC", "user": "nobody"},
                "system": {"version": world.config.version, "entity_id": super::world::ASTERISK_ID},
                "config": {"name": "", "default_language": "en", "setid": {"user": "", "group": ""},
                    "max_open_files": 16384},
                "status": {"startup_time": started, "last_reload_time": started},
            });
            Answer::json(200, body.to_string())
        }
        (["variable"], "GET" | "POST") => {
            let Some(name) = request.parameter("variable").filter(|n| !n.is_empty()) else {
                return Answer::message(400, "Variable name is required");
            };
            if method == "GET" {
                let value = world.globals.get(&name).cloned().unwrap_or_default();
                return Answer::json(200, json!({ "value": value }).to_string());
            }
            world.set_global(name, request.parameter("value").unwrap_or_default());
            Answer::done()
        }
        (["ping" | "info"], _) => Answer::wrong_method("OPTIONS,GET"),
        (["variable"], _) => Answer::wrong_method("OPTIONS,GET,POST"),
        _ => Answer::message(404, "Resource not found"),
    }
}

fn applications(world: &mut World, method: &str, rest: &[&str], request: &Request) -> Answer {
    let gone = || Answer::message(404, "Application not found");
    let shown = |world: &World, name: &str| world.app_json(name).map(|app| Answer::json(200, app.to_string()));
    match (rest, method) {
        ([], "GET") => {
            let all: Vec<String> = world.apps.keys().filter_map(|n| world.app_json(n)).map(|a| a.to_string()).collect();
            list(all.iter())
        }
        ([name], "GET") => shown(world, name).unwrap_or_else(gone),
        ([name, "eventFilter"], "PUT") => {
            let Some(app) = world.apps.get_mut(*name) else { return gone() };
            match request.json().map(|body| app.filter(&body)) {
                Ok(Ok(())) => shown(world, name).unwrap_or_else(gone),
                Ok(Err(text)) => Answer::message(400, text),
                Err(answer) => answer,
            }
        }
        ([name, "subscription"], "POST") => {
            let Some(sources) = request.parameter("eventSource") else {
                return Answer::message(400, "Missing parameter eventSource");
            };
            let exists =
                |world: &World, id: &str| world.state.channels.contains_key(id) || world.state.bridges.contains_key(id);
            for source in sources.split(',') {
                let known = source.split_once(':').is_some_and(|(_, id)| exists(world, id));
                let Some(app) = world.apps.get_mut(*name) else { return gone() };
                if let Err((status, text)) = app.subscribe(source, known) {
                    return Answer::message(status, text);
                }
            }
            shown(world, name).unwrap_or_else(gone)
        }
        ([_, "subscription"], "DELETE") => Answer::not_recorded(),
        ([], _) | ([_], _) => Answer::wrong_method("OPTIONS,GET"),
        ([_, "eventFilter"], _) => Answer::wrong_method("OPTIONS,PUT"),
        ([_, "subscription"], _) => Answer::wrong_method("OPTIONS,POST,DELETE"),
        _ => Answer::message(404, "Resource not found"),
    }
}

fn channel(world: &mut World, method: &str, id: &str, rest: &[&str], request: &Request, now: i64) -> Answer {
    // What needs a channel inside Stasis.
    const COMMANDS: &[&str] = &[
        "continue",
        "move",
        "redirect",
        "answer",
        "ring",
        "progress",
        "dtmf",
        "mute",
        "hold",
        "moh",
        "silence",
        "play",
        "record",
        "dial",
        "variables",
        "snoop",
        "rtp_statistics",
        "transfer_progress",
    ];
    if let (["variable"], "GET") = (rest, method) {
        return variables::read(&world.state, id, &request.parameter("variable").unwrap_or_default());
    }
    let known = matches!(rest, [] | ["variable"]) || matches!(rest, [c] if COMMANDS.contains(c));
    let found = world.state.channels.get(id).map(|c| (c.json.clone(), c.stasis.is_some()));
    match (rest, method, found) {
        ([] | ["continue"], "DELETE" | "POST", None) if world.obliging => Answer::done(),
        _ if !known => Answer::message(404, "Resource not found"),
        ([], "POST" | "PUT", _) => Answer::wrong_method("OPTIONS,GET,POST,DELETE"),
        (_, _, None) => Answer::message(404, "Channel not found"),
        ([], "GET", Some((json, _))) => Answer::json(200, json),
        ([], "DELETE", Some(_)) => {
            let cause = request.parameter("reason_code").and_then(|c| c.parse().ok());
            let named = request.parameter("reason").and_then(|r| reason_cause(&r));
            world.hang_up(id, cause.or(named).unwrap_or(16), now);
            Answer::done()
        }
        (["continue"], "POST", Some((_, true))) => {
            world.continue_channel(id, now);
            Answer::done()
        }
        (["continue"], method, _) if method != "POST" => Answer::wrong_method("OPTIONS,POST"),
        // A snoop is allowed outside Stasis as well.
        (["snoop"], _, _) => Answer::not_recorded(),
        (_, "POST" | "DELETE", Some((_, false))) => Answer::message(409, "Channel not in Stasis application"),
        (_, _, Some(_)) => Answer::not_recorded(),
    }
}

/// The Q.850 cause of `DELETE ?reason=`, as the API docs list them.
fn reason_cause(reason: &str) -> Option<i64> {
    let causes = [
        ("normal", 16),
        ("busy", 17),
        ("congestion", 34),
        ("no_answer", 19),
        ("timeout", 38),
        ("rejected", 21),
        ("unallocated", 1),
        ("normal_unspecified", 31),
        ("number_incomplete", 28),
        ("codec_mismatch", 58),
        ("interworking", 127),
        ("failure", 38),
        ("answered_elsewhere", 26),
    ];
    causes.iter().find(|(name, _)| *name == reason).map(|(_, cause)| *cause)
}

fn bridge(world: &World, method: &str, id: &str, rest: &[&str]) -> Answer {
    match (world.state.bridges.get(id), rest, method) {
        (None, _, _) => Answer::message(404, "Bridge not found"),
        (Some(bridge), [], "GET") => Answer::json(200, bridge.json.clone()),
        (Some(_), _, _) => Answer::not_recorded(),
    }
}
