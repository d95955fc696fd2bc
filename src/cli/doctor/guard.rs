//! The guard: whether the variable that the dialplan looks at is refreshed.

use serde::Deserialize;
use serde_json::Value;

use super::report::Outcome;
use crate::actors::ari_http::AriClient;
use crate::ari::request::Request;
use crate::config::Guard;

/// Compares the variable with Asterisk's own clock; `service` is the running service's view of it, if one runs.
pub(super) async fn look(client: &AriClient, guard: &Guard, service: Option<&Value>) -> Outcome {
    #[derive(Deserialize)]
    struct Variable {
        value: String,
    }
    if guard.variable.is_empty() {
        return Outcome::skipped("switched off: guard.variable is empty, so callers wait for a service that hangs");
    }
    let read = client.ask(&Request::GetGlobalVariable { name: guard.variable.clone() }).await;
    let value = read.outcome.body().and_then(|body| serde_json::from_slice::<Variable>(body).ok());
    let now = client.ask(&Request::Ping).await.epoch_second();
    let (Some(Variable { value }), Some(now)) = (value, now) else {
        return Outcome::problem(
            format!("it can't be read: {}", read.outcome),
            "See Asterisk's own messages; is res_ari_asterisk.so loaded? `asterisk -rx 'module show like res_ari'`.",
        );
    };
    let age = value.parse::<u64>().ok().map(|at| now.saturating_sub(at));
    judge(guard, age, service)
}

/// What an age in seconds means; no age: it is not set.
fn judge(guard: &Guard, age: Option<u64>, service: Option<&Value>) -> Outcome {
    let fresh = age.is_some_and(|age| age <= guard.max_age_s);
    let shown = age.map_or_else(|| "not set".to_owned(), |age| format!("{age} s old"));
    match (service, fresh) {
        (Some(_), true) => Outcome::ok("the running service refreshes it: calls may enter the application"),
        (None, false) => {
            Outcome::ok(format!("{shown}, as no service runs: a guarded dialplan leads calls past the application"))
        }
        (None, true) => Outcome::warning(
            "it is fresh, but no callcenter with this configuration answers at http.port (HTTP_PORT)",
            "A service elsewhere refreshes it. Two services on one Asterisk need two names: guard.variable \
             (CALLCENTER_GUARD_VARIABLE).",
        ),
        (Some(view), false) => {
            let own = view["variable"].as_str().unwrap_or("none");
            if own != guard.variable {
                return Outcome::warning(
                    format!("{shown}: the running service refreshes another: {own}"),
                    "Give doctor the service's configuration (--config), or start the service again with this one.",
                );
            }
            let why = view["reason"].as_str().unwrap_or("it was refreshed just now; run doctor again");
            Outcome::warning(
                format!("{shown}, so calls go past the application; the running service says: {why}"),
                "While it connects or catches up that is right and passes. Else see the service's log.",
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;

    #[test]
    fn an_age_means_another_thing_with_and_without_a_service() {
        let guard = Guard::default();
        let own = serde_json::json!({"variable": "CALLCENTER_ALIVE", "reason": "the journal takes nothing"});
        let other = serde_json::json!({"variable": "OFFICE"});
        for (age, service, wanted, words) in [
            (Some(3), Some(&own), Verdict::Ok, "refreshes it"),
            (
                Some(4),
                Some(&own),
                Verdict::Warning,
                "4 s old, so calls go past the application; the running service says: the journal",
            ),
            (None, Some(&other), Verdict::Warning, "not set: the running service refreshes another: OFFICE"),
            (None, None, Verdict::Ok, "not set, as no service runs"),
            (Some(0), None, Verdict::Warning, "it is fresh"),
        ] {
            let outcome = judge(&guard, age, service);
            assert_eq!(outcome.result, wanted, "{}", outcome.found);
            assert!(outcome.found.contains(words), "{}", outcome.found);
        }
    }
}
