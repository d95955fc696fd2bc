use super::verb::{Dial, Goto, Hangup, Menu, Play};
use super::*;

fn read(toml: &str) -> Result<Step, String> {
    let table: toml::Table = format!("step = {toml}").parse().unwrap();
    table["step"].clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// One of each verb, with every parameter that has no default and some that have.
const EACH: &[&str] = &[
    "{ answer = {} }",
    "{ ring = {} }",
    "{ hangup = { cause = 'busy' } }",
    "{ hangup = 88 }",
    "{ continue = { context = 'internal', extension = '${x}', priority = 2 } }",
    "{ play = 'sound:hello' }",
    "{ play = { media = ['sound:a', 'number:12', 'digits:34', 'tone:busy', 'https://x.org/a.wav'], stop_on = '#*' }, on = { stopped = [{ ring = {} }] } }",
    "{ say = { text = '${x}', how = 'number' } }",
    "{ menu = { prompt = ['sound:main'], keys = '123', patterns = '2XX', timeout = '5s', retries = 3, invalid = ['sound:bad'] }, on = { 1 = [{ goto = 'sales' }], 2XX = [], timeout = [{ hangup = {} }] } }",
    "{ collect = { variable = 'pin', min = 4, max = 4, end_key = '#', timeout = 7.5 } }",
    "{ dial = { to = ['PJSIP/101', 'PJSIP/${x}'], strategy = 'in_order', ring = '20s', ring_total = 60, hear = 'music', music_class = 'default', \
     caller_number = '100', headers = { X-From = '${CALLERID(num)}' }, whisper = 'sound:sales', accept_key = '1', accept_prompt = 'sound:press-1', \
     limit = '1h', warn_at = ['1m', '30s'], warn = 'tone:beep' }, name = 'sales', on = { busy = [{ ring = {} }], no_answer = { hangup = {} } } }",
    "{ record = { kind = 'call', name = 'x', format = 'gsm' } }",
    "{ voicemail = { mailbox = 'sales', greeting = 'sound:away', limit = '2m' } }",
    "{ set = { variable = 'x', value = '1' } }",
    "{ if = { value = '${x}', matches = '^1' }, on = { yes = [], no = [{ answer = {} }] } }",
    "{ goto = 'sales' }",
    "{ wait = '1m30s' }",
    "{ music = { class = 'default', time = 10 } }",
    "{ webhook = { url = 'https://x.org/route', secret = 'crm', events = ['answered', 'ended'] }, on = { failed = [] } }",
];

#[test]
fn each_verb_is_read_and_written_back_in_both_forms() {
    let mut seen = std::collections::BTreeSet::new();
    for text in EACH {
        let step = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        seen.insert(step.verb.name());
        let json = serde_json::to_string(&step).unwrap();
        assert_eq!(
            serde_json::from_str::<Step>(&json).unwrap_or_else(|error| panic!("{json}: {error}")),
            step,
            "{json}"
        );
        let toml = toml::to_string(&step).unwrap();
        assert_eq!(toml::from_str::<Step>(&toml).unwrap_or_else(|error| panic!("{toml}: {error}")), step, "{toml}");
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), {
        let mut names = Verb::NAMES.to_vec();
        names.sort_unstable();
        names
    });
}

#[test]
fn what_is_at_its_default_is_not_written() {
    let step = read("{ dial = { to = 'PJSIP/101', ring = '20s', strategy = 'all' } }").unwrap();
    assert_eq!(serde_json::to_string(&step).unwrap(), r#"{"dial":{"to":["PJSIP/101"]}}"#);
}

#[test]
fn parameters_mean_what_they_say() {
    let Step { verb: Verb::Dial(dial), on, name } = read(EACH[10]).unwrap() else { panic!() };
    assert_eq!((dial.to.len(), dial.ring, dial.ring_total), (2, Period::seconds(20), Some(Period::seconds(60))));
    assert_eq!(dial.headers.iter().count(), 1);
    assert_eq!(name.as_ref().map(Label::as_str), Some("sales"));
    assert_eq!(on.keys().cloned().collect::<Vec<_>>(), [Outcome::NoAnswer, Outcome::Busy]);
    assert_eq!(on[&Outcome::NoAnswer], [Step::new(Hangup::new())]);
}

#[test]
fn steps_are_made_in_rust_too() {
    let play = Play::new(vec![Media::try_from("sound:a").unwrap()]);
    let step = Step::new(play).on(Outcome::Failed, vec![Step::new(Goto::new(Label::try_from("b").unwrap()))]);
    assert_eq!(step, read("{ play = 'sound:a', on = { failed = { goto = 'b' } } }").unwrap());
}

#[test]
fn null_is_what_is_left_out() {
    let json = r#"{"dial": {"to": "PJSIP/1", "limit": null}, "name": null, "on": null}"#;
    assert_eq!(serde_json::from_str::<Step>(json).unwrap(), read("{ dial = 'PJSIP/1' }").unwrap());
    let error = serde_json::from_str::<Step>(r#"{"dial": {"to": null}}"#).unwrap_err().to_string();
    assert!(error.contains("parameter 'to' is missing"), "{error}");
}

#[test]
fn each_mistake_is_named_with_what_is_allowed() {
    for (text, expected) in [
        ("{ dail = 'PJSIP/1' }", "unknown step 'dail' (did you mean 'dial'?); allowed: answer, ring, hangup"),
        (
            "{ dial = { to = 'PJSIP/1', rings = 5 } }",
            "dial: unknown parameter 'rings' (did you mean 'ring'?); allowed: to, ",
        ),
        (
            "{ dial = 'PJSIP/1', on = { bussy = [] } }",
            "on: unknown outcome of dial 'bussy' (did you mean 'busy'?); allowed: answered, no_answer, busy,",
        ),
        (
            "{ menu = { prompt = [], keys = '12' }, on = { 3 = [] } }",
            "unknown outcome of menu '3'; allowed: 1, 2, timeout",
        ),
        ("{ hangup = {}, on = { done = [] } }", "unknown outcome of hangup 'done'; allowed: none"),
        ("{ play = 'sound:a', on = { stopped = [] } }", "unknown outcome of play 'stopped'; allowed: done, failed"),
        ("{ }", "this step does nothing"),
        ("'answer'", "expected a step such as { answer = {} }, found a text"),
        ("{ answer = {}, ring = {} }", "each is a step of its own"),
        ("{ answer = true }", "answer: this step has no parameters: write {}"),
        ("{ dial = {} }", "dial: parameter 'to' is missing"),
        ("{ dial = [] }", "dial.to: nobody to call"),
        ("{ menu = { prompt = 'sound:a' } }", "menu.keys: a menu needs"),
        ("{ menu = { prompt = 'sound:a', keys = '1', retries = 11 } }", "menu.retries: 11 further tries; at most 10"),
        ("{ menu = { prompt = 'sound:a', keys = '1', timeout = 'soon' } }", "menu.timeout: 'soon' is no time"),
        ("{ play = ['sound:a', 'b'] }", "play.media[2]: 'b' has no kind"),
        ("{ if = '${x}' }", "if.value: no condition"),
        ("{ collect = { variable = 'x', min = 5, max = 4 } }", "collect.min: 5 digits"),
        ("{ record = { kind = 'call', silence = 5 } }", "record.silence: `silence` is for"),
        ("{ dial = { to = 'PJSIP/1', warn_at = 5 } }", "dial.warn_at: needs `limit`"),
        ("{ dial = { to = 'PJSIP/1', headers = { From = 'x' } } }", "dial.headers: 'From' is no name of a SIP header"),
        ("{ dial = { to = 'PJSIP/1', hear = 'misic' } }", "dial.hear: unknown value 'misic' (did you mean 'music'?)"),
        ("{ webhook = { url = 'https://x.org', timeout = '31s' } }", "webhook.timeout: 31s; at most 30s"),
        ("{ continue = { priority = 0 } }", "continue.priority: a priority counts from 1"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn all_mistakes_of_a_list_are_found_at_once() {
    let node: Node = serde_json::from_str(
        r#"[{"dial": {"to": [], "ring": "x", "hear": 5}}, {"answer": {}, "on": {"done": [{"pley": 1}, {"wait": 0}]}}]"#,
    )
    .unwrap();
    let mistakes = steps_from(&node).unwrap_err();
    let paths: Vec<_> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
    assert_eq!(paths, ["[1].dial.ring", "[1].dial.hear", "[2].on.done[1]", "[2].on.done[2].wait.time"]);
}

#[test]
fn steps_are_bounded_in_number_and_depth() {
    let nested = |depth: usize| {
        let inner = "{\"answer\":{},\"on\":{\"done\":[".repeat(depth);
        format!("[{inner}{{\"answer\":{{}}}}{}]", "]}}".repeat(depth))
    };
    let read = |json: &str| steps_from(&serde_json::from_str::<Node>(json).unwrap());
    assert!(read(&nested(MAX_DEPTH)).is_ok());
    assert!(read(&nested(MAX_DEPTH + 1)).unwrap_err()[0].message.contains("deep"));
    let list = |count: usize| vec!["{\"answer\":{}}"; count].join(",");
    assert!(read(&format!("[{}]", list(MAX_LIST))).is_ok());
    assert!(read(&format!("[{}]", list(MAX_LIST + 1))).unwrap_err()[0].message.contains("at most 100"));
    let wide = format!("{{\"answer\":{{}},\"on\":{{\"done\":[{}]}}}}", list(MAX_LIST));
    let mistakes = read(&format!("[{}]", [wide.as_str(); 5].join(","))).unwrap_err();
    assert_eq!((mistakes.len(), mistakes[0].message.as_str()), (1, "more than 500 steps"));
}

#[test]
fn each_verb_says_what_comes_after_an_outcome() {
    let dial = Verb::from(Dial::new(Vec::new()));
    let after: Vec<_> = dial.outcomes().iter().map(|outcome| dial.then(outcome)).collect();
    assert_eq!(after, [Then::End, Then::Next, Then::Next, Then::Next, Then::Next, Then::Next, Then::End]);
    let webhook = read("{ webhook = 'https://x.org' }").unwrap().verb;
    assert_eq!((webhook.then(&Outcome::Done), webhook.then(&Outcome::Failed)), (Then::Next, Then::Fallback));
    assert!(Verb::from(Menu::new(Vec::new())).outcomes().contains(&Outcome::Timeout));
}
