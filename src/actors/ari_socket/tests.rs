//! The way over the socket, with the session played by hand.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use serde_json::{Value, json};

use super::*;
use crate::ari::request::{ChannelAction, ContinueAt};

const VERSION: Option<&str> = Some("22.10.1");

fn rest() -> SocketRest {
    SocketRest::new(NodeId::new("test"), config::Transport::Auto)
}

async fn sent(serving: &mut Serving) -> Value {
    serde_json::from_str(&serving.next().await).unwrap()
}

fn answer(request: &Value, status: u16) -> String {
    json!({"type": "RESTResponse", "request_id": request["request_id"], "transaction_id": request["transaction_id"],
        "status_code": status, "message_body": format!("{{\"n\":{status}}}")})
    .to_string()
}

/// A session whose server takes requests.
async fn open(rest: &SocketRest) -> Serving {
    let mut serving = rest.begin();
    serving.prepared(VERSION);
    let probe = sent(&mut serving).await;
    assert_eq!((&probe["method"], &probe["uri"]), (&json!("GET"), &json!("asterisk/ping")));
    assert_eq!(rest.view().in_use, InUse::Http, "nothing is known yet");
    assert!(serving.takes(&answer(&probe, 200)));
    assert_eq!((rest.view().in_use, rest.view().refused), (InUse::Websocket, false));
    serving
}

fn go_on(channel: &str) -> Request {
    Request::channel(channel, ChannelAction::Continue(ContinueAt::default()))
}

/// Asks as far as it gets without an answer.
async fn begun<F: Future<Output = Fate>>(mut asking: Pin<&mut F>) {
    poll_fn(|cx| match asking.as_mut().poll(cx) {
        Poll::Pending => Poll::Ready(()),
        Poll::Ready(fate) => panic!("{fate:?}"),
    })
    .await;
}

#[actix::test]
async fn answers_find_who_asked_in_any_order() {
    let rest = rest();
    let mut serving = open(&rest).await;
    let (one, two) = (go_on("1"), go_on("2"));
    let (mut first, mut second) = (pin!(rest.ask(&one, "c1")), pin!(rest.ask(&two, "c2")));
    begun(first.as_mut()).await;
    begun(second.as_mut()).await;
    let (a, b) = (sent(&mut serving).await, sent(&mut serving).await);
    assert_eq!((&a["transaction_id"], &a["uri"]), (&json!("c1"), &json!("channels/1/continue")));
    assert_ne!(a["request_id"], b["request_id"]);
    assert!(serving.takes(&answer(&b, 409)) && serving.takes(&answer(&a, 204)));
    assert!(matches!(first.await, Fate::Answered { status: 204, .. }));
    let Fate::Answered { status: 409, body } = second.await else { panic!() };
    assert_eq!(body, r#"{"n":409}"#);
}

#[actix::test]
async fn answers_that_nobody_waits_for_are_counted_and_events_pass() {
    let rest = rest();
    let mut serving = open(&rest).await;
    let one = go_on("1");
    let request = {
        let mut asking = pin!(rest.ask(&one, "c1"));
        begun(asking.as_mut()).await;
        let request = sent(&mut serving).await;
        assert!(serving.takes(&answer(&request, 204)));
        assert!(matches!(asking.await, Fate::Answered { .. }));
        request
    };
    // Once more, of a request that never was, of none, of another client's, unreadable.
    assert!(serving.takes(&answer(&request, 204)));
    for id in ["r999", "", "x1", "r"] {
        assert!(serving.takes(&answer(&json!({ "request_id": id }), 200)), "{id}");
    }
    assert!(serving.takes(r#"{"type":"RESTResponse","request_id":"r1"}"#));
    assert_eq!(rest.view().stray_answers, 6);
    assert!(!serving.takes(r#"{"type":"StasisStart"}"#));
    assert!(!serving.takes(r#"{"type":"ChannelUserevent","eventname":"RESTResponse"}"#));
    assert_eq!(rest.view().stray_answers, 6);
}

#[actix::test]
async fn who_gives_up_is_not_sent_and_a_late_answer_harms_nobody() {
    let rest = rest();
    let mut serving = open(&rest).await;
    let (one, two, three) = (go_on("1"), go_on("2"), go_on("3"));
    let late = {
        let mut asking = pin!(rest.ask(&one, "c1"));
        begun(asking.as_mut()).await;
        sent(&mut serving).await
    };
    {
        let mut unsent = pin!(rest.ask(&two, "c2"));
        begun(unsent.as_mut()).await;
    }
    let mut asking = pin!(rest.ask(&three, "c3"));
    begun(asking.as_mut()).await;
    let request = sent(&mut serving).await;
    assert_eq!(request["uri"], "channels/3/continue", "the second was taken back");
    assert!(serving.takes(&answer(&late, 404)));
    assert!(serving.takes(&answer(&request, 204)));
    assert!(matches!(asking.await, Fate::Answered { status: 204, .. }));
    assert_eq!(rest.view().stray_answers, 1);
}

#[actix::test]
async fn what_was_sent_is_lost_with_the_socket_and_what_was_not_is_not() {
    let rest = rest();
    let mut serving = open(&rest).await;
    let (one, two) = (go_on("1"), go_on("2"));
    let (mut first, mut second) = (pin!(rest.ask(&one, "c1")), pin!(rest.ask(&two, "c2")));
    begun(first.as_mut()).await;
    begun(second.as_mut()).await;
    sent(&mut serving).await;
    drop(serving);
    assert!(matches!(first.await, Fate::Lost));
    assert!(matches!(second.await, Fate::NotSent));
    assert!(matches!(rest.ask(&one, "c3").await, Fate::NotSent));
    assert_eq!(rest.view().in_use, InUse::Http);
    // The next session is asked anew.
    drop(open(&rest).await);
}

#[actix::test]
async fn a_session_that_ends_late_takes_nothing_from_its_successor() {
    let rest = rest();
    let old = open(&rest).await;
    let mut new = open(&rest).await;
    drop(old);
    assert_eq!(rest.view().in_use, InUse::Websocket);
    let one = go_on("1");
    let mut asking = pin!(rest.ask(&one, "c1"));
    begun(asking.as_mut()).await;
    let request = sent(&mut new).await;
    assert!(new.takes(&answer(&request, 204)));
    assert!(matches!(asking.await, Fate::Answered { .. }));
}

#[actix::test]
async fn a_socket_that_takes_no_bytes_fills_the_queue_and_no_more() {
    let rest = rest();
    let serving = open(&rest).await;
    let one = go_on("1");
    let mut waiting: Vec<_> = (0..QUEUE).map(|_| Box::pin(rest.ask(&one, "c"))).collect();
    for asking in &mut waiting {
        begun(asking.as_mut()).await;
    }
    assert!(matches!(rest.ask(&one, "c").await, Fate::Full));
    drop(serving);
    for asking in waiting {
        assert!(matches!(asking.await, Fate::NotSent));
    }
}

#[actix::test]
async fn long_lists_and_long_requests_are_not_for_the_socket() {
    let rest = rest();
    let _serving = open(&rest).await;
    assert!(matches!(rest.ask(&Request::ListChannels, "c").await, Fate::NotSent));
    let long = Request::SetGlobalVariable { name: "A".into(), value: "x".repeat(socket_rest::MAX_REQUEST_BYTES) };
    assert!(matches!(rest.ask(&long, "c").await, Fate::NotSent));
}

#[actix::test]
async fn a_refusal_and_a_version_without_it_are_known_until_the_next_connect() {
    let rest = rest();
    let mut serving = rest.begin();
    serving.prepared(VERSION);
    let probe = sent(&mut serving).await;
    assert!(serving.takes(&answer(&probe, 404)));
    let view = rest.view();
    assert!(view.refused && view.in_use == InUse::Http && view.why.contains("404"), "{view:?}");
    serving = rest.begin();
    assert!(!rest.view().refused);
    serving.prepared(Some("18.26.4"));
    assert!(serving.probe.is_none(), "a frame that it doesn't know is never sent");
    assert!(rest.view().why.contains("Asterisk 18.26.4 takes none"), "{:?}", rest.view());
    drop(serving);
    drop(open(&rest).await);
}

#[actix::test]
async fn a_server_that_closes_over_the_question_is_not_asked_for_ever() {
    let rest = rest();
    let lose = async |version| {
        let mut serving = rest.begin();
        serving.prepared(version);
        let asked = serving.probe.is_some();
        if asked {
            sent(&mut serving).await;
        }
        (asked, rest.view().refused)
    };
    let odd = Some("GIT-master");
    assert_eq!(lose(odd).await, (true, false));
    assert_eq!(lose(odd).await, (true, false));
    assert_eq!(lose(odd).await, (false, true));
    assert_eq!(lose(odd).await, (false, true));
    // Another version is another server.
    assert_eq!(lose(VERSION).await, (true, false));
    drop(open(&rest).await);
    assert_eq!(lose(VERSION).await, (true, false));
}

#[actix::test]
async fn over_http_nothing_is_asked_and_no_frame_is_looked_into() {
    let rest = SocketRest::new(NodeId::new("test"), config::Transport::Http);
    let mut serving = rest.begin();
    serving.prepared(VERSION);
    assert!(serving.probe.is_none());
    assert!(!serving.takes(&answer(&json!({"request_id": "r1"}), 200)));
    let view = rest.view();
    assert_eq!((view.in_use, view.refused, view.why.as_str()), (InUse::Http, false, "ari.transport is \"http\""));
}

#[actix::test]
async fn without_an_answer_in_time_requests_go_over_http_until_the_next_connect() {
    let rest = rest();
    let mut serving = open(&rest).await;
    rest.doubt();
    let one = go_on("1");
    assert!(matches!(rest.ask(&one, "c").await, Fate::NotSent));
    assert!(rest.view().why.contains("got no answer in time"), "{:?}", rest.view());
    serving = {
        drop(serving);
        open(&rest).await
    };
    drop(serving);
}
