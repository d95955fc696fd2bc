//! How requests about calls travel, or will.

use serde_json::Value;

use super::report::Outcome;
use crate::ari::socket_rest::is_in_version;
use crate::config::Transport;

/// The running service's word, else what the server's version says.
pub(super) fn transport(configured: Transport, version: Option<&str>, running: Option<&Value>) -> Outcome {
    if configured == Transport::Http {
        return Outcome::ok("over HTTP: ari.transport is \"http\"");
    }
    if let Some(view) = running {
        let why = view["why"].as_str().unwrap_or("the service says no more");
        let refused = view["refused"] == true;
        let over = if view["in_use"] == "websocket" { "the event socket" } else { "HTTP" };
        return told(configured, refused, format!("the running service sends over {over}: {why}"));
    }
    let name = version.unwrap_or("of unknown version");
    match version.and_then(is_in_version) {
        Some(true) => Outcome::ok(format!("over the event socket: Asterisk {name} takes requests there")),
        Some(false) => {
            told(configured, true, format!("over HTTP: Asterisk {name} takes no requests on the event socket"))
        }
        None => Outcome::ok(format!("Asterisk {name} will be asked at each connect; until then over HTTP")),
    }
}

fn told(configured: Transport, refused: bool, found: String) -> Outcome {
    if refused && configured == Transport::Websocket {
        let advice = "Calls are served all the same. Asterisk 20.14, 21.9 and 22.4 take requests on the event socket: upgrade \
                      it, or set ari.transport (CALLCENTER_ARI_TRANSPORT) to \"auto\".";
        Outcome::warning(found, advice)
    } else {
        Outcome::ok(found)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::doctor::report::Verdict;

    #[track_caller]
    fn check(configured: Transport, version: &str, running: Option<Value>, verdict: Verdict, part: &str) {
        let outcome = transport(configured, Some(version), running.as_ref());
        assert_eq!(outcome.result, verdict, "{}", outcome.found);
        assert!(outcome.found.contains(part), "{}", outcome.found);
    }

    #[test]
    fn only_a_wish_that_cannot_be_fulfilled_is_a_warning() {
        use Transport::{Auto, Http, Websocket};
        check(Http, "22.10.1", None, Verdict::Ok, "over HTTP");
        check(Auto, "22.10.1", None, Verdict::Ok, "over the event socket");
        check(Auto, "18.26.4", None, Verdict::Ok, "over HTTP: Asterisk 18.26.4 takes no requests");
        check(Websocket, "18.26.4", None, Verdict::Warning, "over HTTP: Asterisk 18.26.4 takes no requests");
        check(Websocket, "GIT-master", None, Verdict::Ok, "will be asked");
        let silent = || Some(json!({"in_use": "http", "refused": true, "why": "the server didn't answer"}));
        check(Auto, "22.10.1", silent(), Verdict::Ok, "sends over HTTP: the server didn't answer");
        check(Websocket, "22.10.1", silent(), Verdict::Warning, "sends over HTTP: the server didn't answer");
        let works = Some(json!({"in_use": "websocket", "refused": false, "why": "it takes them"}));
        check(Websocket, "22.10.1", works, Verdict::Ok, "sends over the event socket");
    }
}
