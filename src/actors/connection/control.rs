//! The control socket's part: where a feed process listens to everything, this one only holds the application that
//! channels enter.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::actors::ari_http::{Answer, AriClient};
use crate::actors::audit::{self, CommandIds};
use crate::actors::messages::EntryBody;
use crate::ari::objects::Channel;
use crate::ari::outcome::Outcome;
use crate::ari::request::{ChannelAction, ContinueAt, Request};
use crate::model::NodeId;
use crate::routing::{self, Step};

/// How long looking for callers who wait, and letting them go on, may take.
pub(in crate::actors) const RELEASE_LIMIT: Duration = Duration::from_secs(2);
/// Callers who are let go side by side; a client for that has as many connections.
pub(in crate::actors) const AT_ONCE: usize = 4;
/// How long letting one of them go may take: one whose channel hangs in Asterisk must not take the time of all others.
const ONE_LIMIT: Duration = Duration::from_secs(1);

/// Whether the feed process takes entries. While it doesn't, the control socket stays closed, so that Stasis() fails
/// and callers go on: nobody could see that they wait.
#[derive(Clone, Debug, Default)]
pub struct FeedGate(Option<watch::Receiver<bool>>);

impl FeedGate {
    /// Of a connection that is the control beside a feed process; `feed` tells whether that takes entries.
    pub fn control(feed: watch::Receiver<bool>) -> Self {
        Self(Some(feed))
    }

    /// Whether this connection is only the control.
    pub(super) fn is_control(&self) -> bool {
        self.0.is_some()
    }

    /// Whether it may connect now.
    pub(super) fn is_open(&self) -> bool {
        self.0.as_ref().is_none_or(|feed| *feed.borrow())
    }

    /// Returns when it may connect.
    pub(super) async fn opened(&self) {
        let Some(mut feed) = self.0.clone() else { return };
        if feed.wait_for(|there| *there).await.is_err() {
            // Who would tell has ended: so does this one, by its supervisor.
            std::future::pending().await
        }
    }

    /// Returns when the feed has gone; never where there is none.
    pub(super) async fn closed(&self) {
        match self.0.clone() {
            Some(mut feed) => drop(feed.wait_for(|there| !*there).await),
            None => std::future::pending().await,
        }
    }
}

/// Whether the control keeps this event. An application without `subscribeAll` also hears what happens to a channel
/// while that is inside, which the feed hears as well; what is sent to the application itself only it hears
/// (`asterisk/README.md`, 12; user events: `stasis_app_user_event` in Asterisk's source).
pub(super) fn is_for_control(text: &str) -> bool {
    const OWN: [&str; 5] =
        ["StasisStart", "StasisEnd", "ApplicationReplaced", "ApplicationMoveFailed", "ChannelUserevent"];
    // What can't be read is kept: it becomes a note that something unreadable came.
    kind_of(text).is_none_or(|kind| OWN.contains(&kind.as_str()))
}

/// An event's type; `None` for what is no event.
pub(in crate::actors) fn kind_of(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "type")]
        kind: String,
    }
    serde_json::from_str::<Head>(text).ok().map(|head| head.kind)
}

/// Between two looks at who still waits, after the first, second and every further one.
const PAUSES: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// What came of letting callers go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::actors) struct Released {
    /// Callers who waited.
    pub(in crate::actors) waited: usize,
    /// Whether it is known that none of them waits any more.
    pub(in crate::actors) all: bool,
}

/// [`release`], with pauses, until it is known that nobody waits any more.
pub(super) async fn release_until_none_waits(
    whose: (&NodeId, &AriClient, &str),
    ids: &CommandIds,
    record: impl Fn(EntryBody),
) {
    let mut pauses = PAUSES.into_iter();
    loop {
        tokio::time::sleep(pauses.next().unwrap_or(PAUSES[2])).await;
        if within_limit(release(whose, ids, &record)).await.all {
            return;
        }
    }
}

/// Lets every caller who waits in the application go on in the dialplan. For moments at which nobody else would: the
/// service is gone, has just come, or can't see who waits.
pub(in crate::actors) async fn release(
    (node, client, app): (&NodeId, &AriClient, &str),
    ids: &CommandIds,
    record: impl Fn(EntryBody),
) -> Released {
    let answer = client.ask(&Request::ListChannels).await;
    let Some(Waiting { ids: waiting, unreadable }) = answer.outcome.body().and_then(|body| waiting_in(app, body))
    else {
        return Released::default();
    };
    if unreadable > 0 {
        warn!(%node, "{unreadable} channels could not be read, so callers among them who wait in '{app}' are not seen");
    }
    let route = routing::route(&routing::CallFacts::default());
    let waited = waiting.len();
    let asks = waiting.into_iter().map(async |channel| {
        let request = match route.fallback {
            Step::Continue => Request::channel(channel.as_str(), ChannelAction::Continue(ContinueAt::default())),
        };
        let id = ids.next();
        record(EntryBody::Command(request.to_command(id.as_str(), "rule:release")));
        let answer = tokio::time::timeout(ONE_LIMIT, client.ask(&request)).await;
        let answer = answer.unwrap_or_else(|_| Answer::without_asterisk(Outcome::TimedOut, ONE_LIMIT));
        info!(%node, channel, "a caller waited in the application while nobody watched it: {}", answer.outcome);
        record(EntryBody::Reply(audit::reply(id, &answer)));
        answer.outcome.is_final()
    });
    let over: Vec<bool> = futures_util::stream::iter(asks).buffer_unordered(AT_ONCE).collect().await;
    Released { waited, all: !over.contains(&false) }
}

/// Who waits in the application.
#[derive(Debug, PartialEq, Eq)]
struct Waiting {
    ids: Vec<String>,
    /// Channels of which nothing can be told.
    unreadable: usize,
}

/// From the body of `GET /channels`; `None` where that is none.
fn waiting_in(app: &str, body: &[u8]) -> Option<Waiting> {
    let channels: Vec<&RawValue> = serde_json::from_slice(body).ok()?;
    let mut waiting = Waiting { ids: Vec::new(), unreadable: 0 };
    for raw in channels {
        match serde_json::from_str::<Channel<'_>>(raw.get()) {
            Ok(channel) if channel.waits_in(app) => waiting.ids.push(channel.id.to_string()),
            Ok(_) => {}
            Err(_) => waiting.unreadable += 1,
        }
    }
    Some(waiting)
}

/// Gives up after [`RELEASE_LIMIT`].
pub(in crate::actors) async fn within_limit(work: impl Future<Output = Released>) -> Released {
    tokio::time::timeout(RELEASE_LIMIT, work).await.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::fake_ari::{FakeAri, quick, until, waiting};

    #[test]
    fn the_control_keeps_what_only_it_hears() {
        assert!(is_for_control(r#"{"type":"StasisStart","application":"cc","channel":{"id":"1.0"}}"#));
        assert!(is_for_control(r#"{"application":"cc","type":"ChannelUserevent"}"#));
        assert!(is_for_control("no JSON at all"));
        assert!(!is_for_control(r#"{"type":"ChannelHangupRequest","application":"cc"}"#));
        assert!(!is_for_control(r#"{"type":"X","caller":"StasisStart"}"#));
    }

    #[test]
    fn only_who_waits_in_our_application_is_let_go() {
        let channel = |id: &str, app: &str, data: &str| {
            serde_json::json!({"id": id, "name": "PJSIP/1-0", "state": "Ring", "creationtime": "2026-11-22T12:55:43.350+0000",
                "caller": {"name": "", "number": ""}, "connected": {"name": "", "number": ""}, "accountcode": "",
                "dialplan": {"context": "c", "exten": "e", "priority": 2, "app_name": app, "app_data": data}})
        };
        let body = serde_json::json!([
            channel("1.0", "Stasis", "cc,101"),
            channel("1.1", "Dial", "cc"),
            channel("1.2", "Stasis", "other,cc"),
            channel("1.3", "Stasis", "cc")
        ]);
        let waiting = waiting_in("cc", body.to_string().as_bytes()).unwrap();
        assert_eq!((waiting.ids, waiting.unreadable), (vec!["1.0".to_owned(), "1.3".to_owned()], 0));
        assert_eq!(waiting_in("cc", b"[]"), Some(Waiting { ids: Vec::new(), unreadable: 0 }));
        assert_eq!(waiting_in("cc", b"nonsense"), None);
    }

    #[actix::test]
    async fn a_caller_who_can_not_be_let_go_is_tried_again_until_none_waits() {
        let fake = FakeAri::start(vec![]).await;
        let waiting = serde_json::json!([waiting("1.0")]);
        fake.server.channels.replace(Some(waiting));
        fake.server.broken.set(Some(("continue", 500)));
        let (ari, password) = quick();
        let (node, client) = (NodeId::new("test"), fake.http(password, &ari).client(1));
        let replies = std::rc::Rc::new(std::cell::RefCell::new(Vec::new()));
        let (kept, record) = (replies.clone(), replies.clone());
        let ids = CommandIds::new("t");
        let releasing = actix::spawn(async move {
            release_until_none_waits((&node, &client, "cc"), &ids, |entry| {
                if let EntryBody::Reply(reply) = entry {
                    record.borrow_mut().push(reply.outcome.to_string());
                }
            })
            .await;
        });
        until("two tries failed", || fake.seen("POST /ari/channels/1.0/continue") == 2).await;
        assert!(!releasing.is_finished());
        fake.server.broken.set(None);
        tokio::time::timeout(Duration::from_secs(10), releasing).await.expect("it ends").unwrap();
        assert_eq!(kept.borrow().join(" "), "other other done");
    }

    #[actix::test]
    async fn one_request_that_hangs_and_one_channel_that_can_not_be_read_hold_up_nobody_else() {
        let fake = FakeAri::start(vec![]).await;
        let mut channels = vec![waiting("slow.0"), serde_json::json!({"id": "odd", "name": 7})];
        channels.extend((1..=20).map(|n| waiting(&format!("1.{n}"))));
        fake.server.channels.replace(Some(channels.into()));
        let (ari, password) = quick();
        let (node, client) = (NodeId::new("test"), fake.http(password, &ari).client(AT_ONCE));
        let ids = CommandIds::new("t");
        let released = within_limit(release((&node, &client, "cc"), &ids, |_| {})).await;
        assert_eq!(released, Released { waited: 21, all: false });
        for n in 1..=20 {
            assert_eq!(fake.seen(&format!("POST /ari/channels/1.{n}/continue")), 1, "{n}");
        }
        assert_eq!(fake.seen("POST /ari/channels/odd/continue"), 0);
    }
}
