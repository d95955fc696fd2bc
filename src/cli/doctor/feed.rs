//! Who connects to whom for the feed; where Asterisk connects to us, whether it does, and what was seen of that.

use super::report::Outcome;
use super::stasis;
use crate::actors::ari_http::AriClient;
use crate::actors::feed::wire::FeedStatus;
use crate::actors::feed::{FeedClient, FeedError, app_beside};
use crate::actors::journal::folder;
use crate::config::{Asterisk, Config};
use crate::model::NodeId;

/// What was measured beside Asterisk 22.10.1 (`asterisk/README.md`, 5 and 13).
const SEEN: &str = "What was seen of Asterisk 22.10.1 in this mode: at 12 calls a second it crashed in 3 of 5 runs of 20 \
    disconnects of the feed, at 3 calls a second never; while the feed is away it keeps all events in memory (190 MB for \
    600 calls), without a limit; connections that broke off lost events (a gap). Stop the feed with SIGTERM or SIGHUP only.";

/// Tries it.
pub(super) async fn look(client: &AriClient, asterisk: &Asterisk, config: &Config, version: Option<&str>) -> Outcome {
    if !asterisk.accepts() {
        return Outcome::ok("this program connects to Asterisk");
    }
    let app = app_beside(&asterisk.app, None);
    let held = stasis::application(client, &app).await;
    let dir = folder(&config.journal, &config.database, &NodeId::new(asterisk.name.as_str()));
    let status = async { FeedClient::connect(&dir).await?.status().await };
    let lacking = held.map(|held| held.map(|held| held.missing()));
    told((&app, version.unwrap_or("of unknown version")), lacking, &status.await)
}

/// What all that means: the subscriptions that the application lacks, where it is registered, and the feed's word.
fn told(
    (app, version): (&str, &str),
    lacking: Result<Option<Vec<&'static str>>, String>,
    status: &Result<FeedStatus, FeedError>,
) -> Outcome {
    let lacking = match lacking {
        Err(error) => return Outcome::problem(error, "See Asterisk's own messages."),
        Ok(None) => {
            let advice = "Put what `callcenter asterisk-config` prints into ari.conf and websocket_client.conf, then \
                          `asterisk -rx 'module reload res_websocket_client.so'` and `asterisk -rx 'module reload \
                          res_ari.so'`. It needs 22.5 or later; with an older one leave asterisk.feed_listen \
                          (ARI_FEED_LISTEN) empty.";
            return Outcome::problem(format!("Asterisk {version} has no outbound WebSocket for '{app}'"), advice);
        }
        Ok(Some(lacking)) => lacking,
    };
    // `subscribe_all = yes` leaves device states out; the feed asks for them after each connect.
    if lacking.iter().any(|kind| *kind != "deviceState") {
        let found = format!("Asterisk keeps for '{app}' nothing of: {}", lacking.join(", "));
        return Outcome::problem(found, "Its section of ari.conf needs: subscribe_all = yes. Then restart Asterisk.");
    }
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            let advice = "Start `callcenter feed`: meanwhile Asterisk keeps every event in its memory.";
            return Outcome::problem(format!("Asterisk waits with '{app}', and no feed answers: {error}"), advice);
        }
    };
    if !status.connected {
        let error = status.last_error.as_deref().unwrap_or("it may be connecting at this moment");
        let advice = "Compare websocket_client.conf with what `callcenter asterisk-config --show-secrets` prints; \
                      Asterisk's messages name each failed try.";
        return Outcome::problem(
            format!("the feed process runs, and Asterisk is not connected to it: {error}"),
            advice,
        );
    }
    Outcome::warning(format!("Asterisk is connected to the feed process ({}), with '{app}'", status.pid), SEEN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::report::Verdict;

    #[track_caller]
    fn check(lacking: Result<Option<Vec<&'static str>>, String>, part: &str) {
        let outcome = told(("cc-feed", "22.10.1"), lacking, &Err(FeedError::None));
        assert_eq!(outcome.result, Verdict::Problem, "{outcome:?}");
        let words = format!("{} {}", outcome.found, outcome.advice.unwrap_or_default());
        assert!(words.contains(part), "{words}");
    }

    #[test]
    fn what_asterisk_lacks_is_said_before_what_the_feed_lacks() {
        check(Err("503".into()), "503");
        check(Ok(None), "Asterisk 22.10.1 has no outbound WebSocket for 'cc-feed'");
        let lacks = Ok(Some(vec!["channel", "bridge", "endpoint", "deviceState"]));
        check(lacks, "nothing of: channel, bridge, endpoint, deviceState Its section of ari.conf needs");
        check(Ok(Some(vec!["deviceState"])), "no feed answers");
    }
}
