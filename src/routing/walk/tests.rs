use super::*;

const FILE: &str = "
[dial]
refuse = 'PJSIP/9*'

[[rule]]
name = 'main'
when = { dialed = '100' }
steps = [
  { answer = {} },
  { if = { value = '${CALLERID(num)}', one_of = ['7', '8'] }, on = { yes = [{ goto = 'vip' }] } },
  { menu = { prompt = 'sound:main', keys = '12', patterns = '3X' }, name = 'main menu', on = {
    1 = [{ dial = { to = ['PJSIP/101', 'PJSIP/102'], ring = '10s' }, on = { busy = [{ voicemail = { mailbox = 'sales' } }] } }],
    2 = [{ collect = { variable = 'ext', min = 3, max = 3 } }, { dial = 'PJSIP/${ext}' }],
    3X = [{ play = 'digits:${KEY}' }, { continue = { extension = '${KEY}' } }],
    timeout = [{ hangup = 'no_answer' }],
  } },
]

[[rule]]
name = 'vip'
steps = [{ dial = 'PJSIP/1' }, { webhook = 'https://x.org' }]
";

/// The steps played out, one a line, and the end.
fn played(facts: &CallFacts, answers: &[&str]) -> Result<(Vec<String>, Walk), String> {
    let file = crate::routing::file::read(FILE).unwrap();
    let decision = file.rules.decide(facts);
    let answers: Vec<String> = answers.iter().map(|answer| (*answer).to_owned()).collect();
    let walk = walk((&file.rules, &file.dial), &decision, facts, &answers)?;
    let line = |step: &Walked| {
        let outcome = step.outcome.as_deref().map_or_else(String::new, |outcome| format!(" -> {outcome}"));
        format!("{}.{} {} {}{outcome}", step.rule, step.path, step.verb, step.does)
    };
    Ok((walk.steps.iter().map(line).collect(), walk))
}

fn call() -> CallFacts {
    CallFacts { dialed: "100".to_owned(), caller_number: "5".to_owned(), ..CallFacts::default() }
}

#[test]
fn answers_are_taken_in_order() {
    let (steps, walk) = played(&call(), &["1", "busy", "done", "more"]).unwrap();
    assert_eq!(
        steps,
        [
            "main.steps[1] answer  -> done",
            "main.steps[2] if one_of=7, 8 value=5 -> no",
            "main.steps[3] menu keys=12 patterns=3X prompt=sound:main -> 1",
            "main.steps[3].on.1[1] dial ring=10s to=PJSIP/101, PJSIP/102 -> busy",
            "main.steps[3].on.1[1].on.busy[1] voicemail sales -> done",
        ]
    );
    assert_eq!((walk.end, walk.unused), (End::HungUp { cause: "busy".to_owned() }, vec!["more".to_owned()]));
    assert_eq!((walk.steps[2].name.as_deref(), walk.steps[2].from), (Some("main menu"), Some("answers")));
}

#[test]
fn without_answers_steps_end_as_mostly() {
    let (steps, walk) = played(&call(), &[]).unwrap();
    assert_eq!(steps.last().map(String::as_str), Some("main.steps[3].on.timeout[1] hangup no_answer"));
    assert_eq!(walk.end, End::HungUp { cause: "no_answer".to_owned() });
}

#[test]
fn digits_become_variables() {
    let (steps, walk) = played(&call(), &["2", "101"]).unwrap();
    assert_eq!(steps.last().map(String::as_str), Some("main.steps[3].on.2[2] dial PJSIP/101 -> answered"));
    assert_eq!(walk.end, End::HungUp { cause: "normal".to_owned() });
    let (steps, walk) = played(&call(), &["35"]).unwrap();
    assert_eq!(steps[3..], ["main.steps[3].on.3X[1] play digits:35 -> done", "main.steps[3].on.3X[2] continue 35"]);
    assert_eq!(walk.end, End::InDialplan);
    assert_eq!(played(&call(), &["2", "10"]).unwrap().1.steps[3].outcome.as_deref(), Some("invalid"));
    assert_eq!(played(&call(), &["9"]).unwrap().1.steps[2].outcome.as_deref(), Some("invalid"));
}

#[test]
fn whom_the_policy_forbids_is_not_called() {
    let (steps, _) = played(&call(), &["2", "901"]).unwrap();
    let last = "main.steps[3].on.2[2] dial PJSIP/901 [PJSIP/901 is forbidden: `dial.refuse` has 'PJSIP/9*'] -> failed";
    assert_eq!(steps.last().map(String::as_str), Some(last));
}

#[test]
fn a_goto_goes_on_in_the_other_rule() {
    let vip = CallFacts { caller_number: "7".to_owned(), ..call() };
    let (steps, walk) = played(&vip, &["no_answer", "failed"]).unwrap();
    assert_eq!(
        steps[2..],
        [
            "main.steps[2].on.yes[1] goto vip",
            "vip.steps[1] dial PJSIP/1 -> no_answer",
            "vip.steps[2] webhook https://x.org -> failed"
        ]
    );
    assert_eq!(walk.end, End::Fallback);
    assert_eq!(played(&vip, &["abandoned"]).unwrap().1.end, End::Abandoned);
}

#[test]
fn an_answer_that_can_not_be_is_refused() {
    assert_eq!(
        played(&call(), &["1", "bussy"]).unwrap_err(),
        "unknown answer for dial at steps[3].on.1[1] of 'main' 'bussy' (did you mean 'busy'?); allowed: answered, no_answer, busy, \
         rejected, failed, unreachable, abandoned"
    );
}

#[test]
fn a_walk_in_circles_ends() {
    let file = crate::routing::file::read("[[rule]]\nname = 'a'\nsteps = [{ wait = 1 }, { goto = 'a' }]").unwrap();
    let decision = file.rules.decide(&call());
    let walk = walk((&file.rules, &file.dial), &decision, &call(), &[]).unwrap();
    assert_eq!((walk.steps.len(), walk.end), (MAX_WALK, End::TooLong));
}
