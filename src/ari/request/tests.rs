//! Each request against the line that goes over the wire.

use serde_json::{Value, json};

use super::*;

fn check(request: &Request, expect: &str) {
    let wire = format!("{} {}", request.method().as_str(), request.path_and_query());
    assert_eq!(wire, expect);
    assert_eq!(request.changes_something(), !expect.starts_with("GET "), "{expect}");
}

#[test]
fn a_heartbeat_sets_a_variable_and_is_not_on_record() {
    let heartbeat = Request::Heartbeat { name: "ALIVE".into(), at: 1_795_352_366 };
    assert_eq!(heartbeat.path_and_query(), "/asterisk/variable?variable=ALIVE&value=1795352366");
    assert_eq!((heartbeat.method(), heartbeat.about()), (Method::Post, None));
    assert!(!heartbeat.changes_something() && heartbeat.is_pulse() && Request::Ping.is_pulse());
    assert!(!Request::SetGlobalVariable { name: "ALIVE".into(), value: "1".into() }.is_pulse());
}

fn channel(action: ChannelAction) -> Request {
    Request::channel("1.5", action)
}

#[test]
fn ids_are_one_path_segment_whatever_is_in_them() {
    let awkward = "a/b?c%#ž";
    let encoded = "a%2Fb%3Fc%25%23%C5%BE";
    check(&Request::channel(awkward, ChannelAction::Get), &format!("GET /channels/{encoded}"));
    check(&Request::bridge(awkward, BridgeAction::Destroy), &format!("DELETE /bridges/{encoded}"));
    check(
        &Request::Playback { id: awkward.into(), action: PlaybackAction::Control(PlaybackControl::Pause) },
        &format!("POST /playbacks/{encoded}/control?operation=pause"),
    );
    check(
        &Request::LiveRecording { name: awkward.into(), action: LiveRecordingAction::Unpause },
        &format!("DELETE /recordings/live/{encoded}/pause"),
    );
    check(
        &Request::application(awkward, ApplicationAction::Subscribe(vec!["channel:".into(), "bridge:".into()])),
        &format!("POST /applications/{encoded}/subscription?eventSource=channel%3A%2Cbridge%3A"),
    );
    check(
        &Request::DeviceState { name: "PJSIP/101".into(), action: DeviceStateAction::Get },
        "GET /deviceStates/PJSIP%2F101",
    );
    check(&Request::channel("..", ChannelAction::Get), "GET /channels/%2E%2E");
    check(&Request::channel("pbx2-1795354818.0", ChannelAction::Get), "GET /channels/pbx2-1795354818.0");
}

#[test]
fn channels() {
    check(&Request::ListChannels, "GET /channels");
    check(&channel(ChannelAction::Hangup(HangupReason::Normal)), "DELETE /channels/1.5");
    check(&channel(ChannelAction::Hangup(HangupReason::Reason("busy".into()))), "DELETE /channels/1.5?reason=busy");
    check(&channel(ChannelAction::Hangup(HangupReason::Code("34".into()))), "DELETE /channels/1.5?reason_code=34");
    check(&channel(ChannelAction::Continue(ContinueAt::default())), "POST /channels/1.5/continue");
    let to = ContinueAt {
        context: Some("internal".into()),
        exten: Some("*8 1".into()),
        priority: Some(2),
        label: Some("vm".into()),
    };
    check(
        &channel(ChannelAction::Continue(to)),
        "POST /channels/1.5/continue?context=internal&extension=%2A8%201&priority=2&label=vm",
    );
    check(&channel(ChannelAction::Answer), "POST /channels/1.5/answer");
    check(&channel(ChannelAction::StopRing), "DELETE /channels/1.5/ring");
    let dtmf = Dtmf { digits: "12#".into(), between_ms: Some(50), ..Dtmf::default() };
    check(&channel(ChannelAction::Dtmf(dtmf)), "POST /channels/1.5/dtmf?dtmf=12%23&between=50");
    check(&channel(ChannelAction::Unmute(MuteDirection::In)), "DELETE /channels/1.5/mute?direction=in");
    check(&channel(ChannelAction::StartMoh(Some("jazz".into()))), "POST /channels/1.5/moh?mohClass=jazz");
    check(&channel(ChannelAction::StopSilence), "DELETE /channels/1.5/silence");
    check(
        &channel(ChannelAction::GetVariable("CDR(answer,u)".into())),
        "GET /channels/1.5/variable?variable=CDR%28answer%2Cu%29",
    );
    check(
        &channel(ChannelAction::SetVariable { name: "X".into(), value: "a=b&c+d".into() }),
        "POST /channels/1.5/variable?variable=X&value=a%3Db%26c%2Bd",
    );
    check(
        &channel(ChannelAction::Dial { caller: Some("1.4".into()), timeout_s: Some(30) }),
        "POST /channels/1.5/dial?caller=1.4&timeout=30",
    );
    check(
        &channel(ChannelAction::Redirect { endpoint: "PJSIP/102".into() }),
        "POST /channels/1.5/redirect?endpoint=PJSIP%2F102",
    );
    check(
        &channel(ChannelAction::Move { app: "other".into(), args: Some("a,b".into()) }),
        "POST /channels/1.5/move?app=other&appArgs=a%2Cb",
    );
}

#[test]
fn media_and_recordings() {
    let media = Media {
        media: vec!["sound:hello".into(), "number:7".into()],
        playback_id: Some("p/1".into()),
        ..Media::default()
    };
    check(
        &channel(ChannelAction::Play(media.clone())),
        "POST /channels/1.5/play/p%2F1?media=sound%3Ahello%2Cnumber%3A7",
    );
    check(
        &Request::bridge("b", BridgeAction::Play(BridgePlay { media, announcer_format: None })),
        "POST /bridges/b/play/p%2F1?media=sound%3Ahello%2Cnumber%3A7",
    );
    let recording = Recording {
        name: "r".into(),
        format: "wav".into(),
        beep: true,
        max_silence_s: Some(3),
        ..Recording::default()
    };
    check(
        &channel(ChannelAction::Record(recording)),
        "POST /channels/1.5/record?name=r&format=wav&maxSilenceSeconds=3&beep=true",
    );
    check(
        &Request::StoredRecording { name: "a/b".into(), action: StoredRecordingAction::File },
        "GET /recordings/stored/a%2Fb/file",
    );
    let snoop = Snoop {
        spy: Some(MuteDirection::Both),
        whisper: None,
        app: "cc".into(),
        app_args: None,
        snoop_id: Some("s1".into()),
    };
    check(&channel(ChannelAction::Snoop(snoop)), "POST /channels/1.5/snoop/s1?spy=both&whisper=none&app=cc");
}

#[test]
fn originating_with_and_without_an_id_of_ours() {
    let mut originate = Originate {
        endpoint: "PJSIP/101".into(),
        app: Some("cc".into()),
        variables: vec![("A".into(), "1".into())],
        ..Originate::default()
    };
    let anonymous = Request::Originate(Box::new(originate.clone()));
    check(&anonymous, "POST /channels?endpoint=PJSIP%2F101&app=cc");
    assert_eq!(anonymous.body(), Some(json!({"variables": {"A": "1"}})));
    assert_eq!(anonymous.about(), None);

    originate.channel_id = Some("mine".into());
    let named = Request::Originate(Box::new(originate));
    check(&named, "POST /channels/mine?endpoint=PJSIP%2F101&app=cc");
    assert_eq!(named.about(), Some(Subject::Channel("mine".into())));

    let create = CreateChannel {
        endpoint: "PJSIP/101".into(),
        app: "cc".into(),
        channel_id: Some("c2".into()),
        ..CreateChannel::default()
    };
    let create = Request::CreateChannel(Box::new(create));
    check(&create, "POST /channels/create?endpoint=PJSIP%2F101&app=cc&channelId=c2");
    assert_eq!(create.about(), Some(Subject::Channel("c2".into())));
    assert_eq!(create.body(), None);
}

#[test]
fn bridges() {
    check(&Request::ListBridges, "GET /bridges");
    let make = CreateBridge { kind: Some("mixing".into()), bridge_id: Some("b1".into()), name: None };
    let make = Request::CreateBridge(make);
    check(&make, "POST /bridges/b1?type=mixing");
    assert_eq!(make.about(), Some(Subject::Bridge("b1".into())));
    let add =
        BridgeAction::Add { channels: vec!["1.5".into(), "1.6".into()], role: None, absorb_dtmf: false, mute: true };
    check(&Request::bridge("b1", add), "POST /bridges/b1/addChannel?channel=1.5%2C1.6&mute=true");
    check(
        &Request::bridge("b1", BridgeAction::Remove { channels: vec!["1.5".into()] }),
        "POST /bridges/b1/removeChannel?channel=1.5",
    );
    assert_eq!(Request::bridge("b1", BridgeAction::Get).about(), Some(Subject::Bridge("b1".into())));
}

#[test]
fn the_event_filter_names_what_shall_not_come() {
    let filter = Request::application("cc", ApplicationAction::Filter(vec!["ChannelVarset".into()]));
    check(&filter, "PUT /applications/cc/eventFilter");
    assert_eq!(filter.body(), Some(json!({"disallowed": [{"type": "ChannelVarset"}]})));
    let all = Request::application("cc", ApplicationAction::Filter(Vec::new()));
    assert_eq!(all.body(), Some(json!({"disallowed": []})));
}

#[test]
fn the_rest_of_the_resources() {
    check(&Request::GetEndpoint { tech: "PJSIP".into(), resource: "a b".into() }, "GET /endpoints/PJSIP/a%20b");
    check(
        &Request::DeviceState { name: "Stasis:x".into(), action: DeviceStateAction::Set("INUSE".into()) },
        "PUT /deviceStates/Stasis%3Ax?deviceState=INUSE",
    );
    check(&Request::ListSounds { lang: Some("en".into()), format: None }, "GET /sounds?lang=en");
    check(&Request::GetSound { id: "demo-congrats".into() }, "GET /sounds/demo-congrats");
    check(&Request::Info, "GET /asterisk/info");
    check(&Request::Ping, "GET /asterisk/ping");
    check(
        &Request::SetGlobalVariable { name: "Q".into(), value: "ž".into() },
        "POST /asterisk/variable?variable=Q&value=%C5%BE",
    );
    check(
        &Request::StoredRecording { name: "r".into(), action: StoredRecordingAction::Copy("s".into()) },
        "POST /recordings/stored/r/copy?destinationRecordingName=s",
    );
}

#[test]
fn the_journal_entry_holds_everything_but_never_a_credential() {
    let command = channel(ChannelAction::Continue(ContinueAt { context: Some("x".into()), ..ContinueAt::default() }))
        .to_command("c-1", "rule:continue");
    let text: Value = serde_json::to_value(&command).unwrap();
    assert_eq!(
        text,
        json!({"id": "c-1", "method": "POST", "path": "/channels/1.5/continue", "query": [["context", "x"]],
               "about": "1.5", "who": "rule:continue"})
    );
}
