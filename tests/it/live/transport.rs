//! Requests over the event socket of a real Asterisk: the same outcomes as over HTTP, and calls that go on.

use std::time::{Duration, Instant};

use actix::prelude::*;
use callcenter::actors::ari_command::{Answer, AriCommand, Ask, CommandSetup};
use callcenter::actors::ari_http::AriHttp;
use callcenter::actors::ari_socket::{InUse, SocketRest};
use callcenter::actors::connection::{AriConnection, ConnectionSetup, FeedGate};
use callcenter::actors::messages::{Alive, AppendEntry, AppendFrames, Exited, JournalFull};
use callcenter::ari::request::{ChannelAction, ContinueAt, CreateChannel, HangupReason, Originate, Request};
use callcenter::config;
use callcenter::model::NodeId;
use serde_json::Value;

use super::stage::{closed_rows, same};
use crate::kit::asterisk::USER;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

/// A journal that takes everything and keeps nothing.
struct Nowhere;

impl Actor for Nowhere {
    type Context = Context<Self>;
}

impl Handler<AppendFrames> for Nowhere {
    type Result = Result<(), JournalFull>;
    fn handle(&mut self, _: AppendFrames, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<AppendEntry> for Nowhere {
    type Result = Result<(), JournalFull>;
    fn handle(&mut self, _: AppendEntry, _: &mut Self::Context) -> Self::Result {
        Ok(())
    }
}

impl Handler<Alive> for Nowhere {
    type Result = ();
    fn handle(&mut self, _: Alive, _: &mut Self::Context) {}
}

impl Handler<Exited> for Nowhere {
    type Result = ();
    fn handle(&mut self, _: Exited, _: &mut Self::Context) {}
}

/// The command actor of one user, over this transport.
async fn commands(asterisk: &Asterisk, user: &str, transport: config::Transport) -> Addr<AriCommand> {
    let ari = config::Ari { transport, ..config::Ari::default() };
    let server = config::Asterisk {
        url: asterisk.url(),
        username: user.into(),
        password: config::Secret::new(USER.1),
        app: format!("cc-{user}"),
        ..config::Asterisk::default()
    };
    let (node, http, nowhere) = (NodeId::new("test"), AriHttp::new(&server, &ari).unwrap(), Nowhere.start());
    let socket = SocketRest::new(node.clone(), transport);
    if transport != config::Transport::Http {
        AriConnection::start_with(ConnectionSetup {
            node: node.clone(),
            http: http.clone(),
            rest: socket.clone(),
            ari: ari.clone(),
            frames: nowhere.clone().recipient(),
            entries: nowhere.clone().recipient(),
            alive: nowhere.clone().recipient(),
            heard: None,
            gate: FeedGate::default(),
            accept: None,
            exited: nowhere.clone().recipient(),
        });
        let deadline = Instant::now() + s(10);
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while socket.view().in_use != InUse::Websocket {
            assert!(Instant::now() < deadline, "{:?}", socket.view());
            look.tick().await;
        }
    }
    let journal = nowhere.clone().recipient();
    AriCommand::start_with(CommandSetup { node, http, socket, ari, journal, exited: nowhere.recipient() })
}

async fn ask(commands: &Addr<AriCommand>, request: &Request) -> Answer {
    commands.send(Ask { request: request.clone(), who: "test".into() }).await.unwrap()
}

/// What must be the same over both: everything but moments.
fn shown(answer: &Answer) -> (u16, &'static str, String, Value) {
    let body = answer.outcome.body().and_then(|body| serde_json::from_slice::<Value>(body).ok());
    (answer.status, answer.outcome.word(), answer.outcome.to_string(), body.unwrap_or_default())
}

fn channel(id: &str, action: ChannelAction) -> Request {
    Request::channel(id, action)
}

/// Requests and their words.
fn requests(elsewhere: &str, odd: &str) -> Vec<(Request, &'static str)> {
    let go_on = || ChannelAction::Continue(ContinueAt::default());
    let nobody = Originate { endpoint: "PJSIP/nobody".into(), app: Some("cc".into()), ..Originate::default() };
    let set = |value: &str| Request::SetGlobalVariable { name: "RESTWS".into(), value: value.into() };
    let value = Request::GetGlobalVariable { name: "RESTWS".into() };
    vec![
        (channel("none", ChannelAction::Get), "gone"),
        (channel("none", go_on()), "gone"),
        (channel("none", ChannelAction::Hangup(HangupReason::Normal)), "gone"),
        (channel("none", ChannelAction::GetVariable("X".into())), "gone"),
        (channel(elsewhere, go_on()), "not_in_stasis"),
        (channel(elsewhere, ChannelAction::Answer), "not_in_stasis"),
        (channel(elsewhere, ChannelAction::GetVariable("NONE".into())), "unset"),
        (channel(odd, ChannelAction::Get), "done"),
        (Request::Originate(Box::new(nobody)), "allocation_failed"),
        (set("a b+c&d=%20é\"\\"), "done"),
        (value.clone(), "done"),
        (set(""), "done"),
        (value, "done"),
        (Request::GetGlobalVariable { name: String::new() }, "bad_request"),
        (Request::Info, "done"),
    ]
}

#[test]
fn every_outcome_is_the_same_over_both() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    asterisk.cli("channel originate Local/sd-20@loads application Wait 20");
    let elsewhere = asterisk.channel("Local/sd-20@loads", s(10), |_| true);
    actix_rt::System::new().block_on(async {
        Box::pin(outcomes(&asterisk, &elsewhere)).await;
        Box::pin(a_readers_outcome(&asterisk)).await;
    });
}

/// `elsewhere` is a channel that is in no application.
async fn outcomes(asterisk: &Asterisk, elsewhere: &str) {
    let over_http = commands(asterisk, USER.0, config::Transport::Http).await;
    let over_socket = commands(asterisk, USER.0, config::Transport::Auto).await;
    // An id that has to be encoded in a path.
    let odd = "restws 1;é%2F";
    let made = CreateChannel {
        endpoint: "Local/sd-21@loads".into(),
        app: format!("cc-{}", USER.0),
        channel_id: Some(odd.into()),
        variables: vec![("A".into(), "b c".into())],
        ..CreateChannel::default()
    };
    let made = ask(&over_socket, &Request::CreateChannel(Box::new(made))).await;
    assert!(made.outcome.is_done() && made.over_socket, "with a body: {made:?}");
    for (request, word) in requests(elsewhere, odd) {
        let (one, other) = (ask(&over_http, &request).await, ask(&over_socket, &request).await);
        assert_eq!((one.over_socket, other.over_socket), (false, true), "{request:?}");
        assert_eq!(shown(&one), shown(&other), "{request:?}");
        assert_eq!(one.outcome.word(), word, "{request:?}: {one:?}");
    }
    let variable = ask(&over_socket, &channel(odd, ChannelAction::GetVariable("A".into()))).await;
    assert_eq!(shown(&variable).3["value"], "b c");
    assert!(ask(&over_socket, &channel(odd, ChannelAction::Hangup(HangupReason::Normal))).await.outcome.is_done());
    let long = Request::SetGlobalVariable { name: "RESTWS".into(), value: "x".repeat(70_000) };
    assert!(!ask(&over_socket, &long).await.over_socket, "Asterisk would close the socket");
}

async fn a_readers_outcome(asterisk: &Asterisk) {
    let reader = commands(asterisk, "asterisk_ro", config::Transport::Http).await;
    let on_socket = commands(asterisk, "asterisk_ro", config::Transport::Auto).await;
    let set = Request::SetGlobalVariable { name: "RESTWS".into(), value: "1".into() };
    let (one, other) = (ask(&reader, &set).await, ask(&on_socket, &set).await);
    assert_eq!((shown(&one), one.outcome.word(), other.over_socket), (shown(&other), "refused", true));
}

/// Waits until requests travel this way; how many did so far.
#[track_caller]
fn travels(service: &Service, over: &str) -> u64 {
    wait::until(&format!("requests to travel over {over}"), s(15), || {
        let commands = &service.system()["nodes"][0]["commands"];
        let found = commands["transport"]["in_use"] == over;
        if found { Ok(commands[&format!("over_{over}")].as_u64().unwrap()) } else { Err(commands["transport"].clone()) }
    })
}

/// A call from start to end, sent on over this transport.
#[track_caller]
fn a_call(asterisk: &Asterisk, service: &Service, caller: u16, over: &str) {
    let before = travels(service, over);
    let callee = caller + 1;
    let _phone = asterisk.answerer(callee, 100, 3_600_000);
    asterisk.caller("uac", caller, &[&format!("to={callee}"), "talk=500"]).succeed(s(30));
    let call = closed_rows(service, &format!("dialed_number = '{callee}'"), 1).remove(0);
    same(&call, &format!("{caller} -> {callee} answered {callee} caller"));
    assert_eq!(call.incomplete, 0, "{call:#?}");
    assert!(travels(service, over) > before, "the call was sent on over {over}");
}

fn service(asterisk: &Asterisk, transport: &str) -> Service {
    let url = asterisk.url();
    let user =
        [("ARI_URL", &*url), ("ARI_USERNAME", USER.0), ("ARI_PASSWORD", USER.1), ("ARI_APP_NAME", "callcenter-app")];
    Service::with(&format!("[ari]\ntransport = \"{transport}\"\n"), &user)
}

#[test]
fn calls_go_on_over_the_socket_also_after_asterisk_was_killed() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut wished = service(&asterisk, "websocket");
    a_call(&asterisk, &wished, 120, "websocket");
    asterisk.kill9();
    wished.unready(s(15));
    assert_eq!(wished.system()["nodes"][0]["commands"]["transport"]["in_use"], "http");
    asterisk.up();
    wished.ready();
    a_call(&asterisk, &wished, 122, "websocket");
    let rows = wished.rows();
    let outcomes = rows.words("SELECT DISTINCT outcome AS word FROM commands WHERE path LIKE '%/continue'");
    assert_eq!(outcomes, ["done"]);
    assert_eq!(rows.number("SELECT COUNT(*) AS number FROM events WHERE type = 'RESTResponse'"), 0);
    // The guard is refreshed once a second: just after the restart it may still be stale.
    let view = wait::until("no warning", s(10), || {
        let view = wished.system();
        if view["warnings"] == serde_json::json!([]) { Ok(view) } else { Err(view["warnings"].to_string()) }
    });
    assert_eq!(view["nodes"][0]["commands"]["transport"]["stray_answers"], 0, "{view:#}");
    wished.sigterm();
    for (transport, over, caller) in [("auto", "websocket", 124), ("http", "http", 126)] {
        let mut other = service(&asterisk, transport);
        a_call(&asterisk, &other, caller, over);
        other.sigterm();
    }
}
