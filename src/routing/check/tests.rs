use super::*;

/// What is found, one a line; sounds that there are: `hello`.
fn found(text: &str) -> Vec<String> {
    let file = crate::routing::file::read(text).unwrap_or_else(|flaws| panic!("{flaws:#?}"));
    let sounds = BTreeSet::from(["hello".to_owned()]);
    check(&file, Some(&sounds)).iter().map(Flaw::to_string).collect()
}

/// What is found in one rule `a` with these steps, beside a rule `b`.
fn in_steps(steps: &str) -> Vec<String> {
    found(&format!(
        "[[rule]]\nname = 'a'\nwhen = {{ dialed = '1' }}\nsteps = [{steps}]\n[[rule]]\nname = 'b'\nsteps = [{{ hangup = {{}} }}]"
    ))
}

#[test]
fn a_rule_behind_one_that_takes_all_its_calls_is_named() {
    let text = "
[[rule]]
name = 'tens'
when = { dialed = '10*' }
steps = [{ hangup = {} }]

[[rule]]
name = 'hundred'
when = { dialed = '100', hours = '09:00-18:00' }
steps = [{ hangup = {} }]

[[rule]]
name = 'all'
steps = [{ hangup = {} }]

[[rule]]
name = 'late'
steps = [{ hangup = {} }]
";
    assert_eq!(
        found(text),
        [
            "7:1: rule[2]: no call reaches this rule: 'tens' before it takes them all",
            "16:1: rule[4]: no call reaches this rule: 'all' before it takes them all",
        ]
    );
}

#[test]
fn a_rule_to_which_only_goto_leads_takes_no_call_and_needs_one() {
    let text = |goto: &str| {
        format!(
            "[[rule]]\nname = 'sub'\nby_goto = true\nsteps = [{{ hangup = {{}} }}]\n[[rule]]\nname = 'all'\nsteps = [{{ goto = \
             '{goto}' }}]\n[[rule]]\nname = 'late'\nsteps = [{{ hangup = {{}} }}]\n"
        )
    };
    assert_eq!(found(&text("sub")), ["8:1: rule[3]: no call reaches this rule: 'all' before it takes them all"]);
    assert_eq!(found(&text("late")), ["1:1: rule[1]: no call reaches this rule: no `goto` leads to it"]);
}

#[test]
fn a_goto_leads_to_a_rule() {
    assert_eq!(in_steps("{ goto = 'b' }"), Vec::<String>::new());
    assert_eq!(in_steps("{ goto = 'c' }"), ["4:19: rule[1].steps[1].goto.rule: unknown rule 'c'; allowed: a, b"]);
}

#[test]
fn a_loop_without_a_way_out_is_named() {
    let endless = "4:9: rule[1].steps: endless loop: every way through 'a' leads back by goto, and no step on it waits for the \
                   caller or ends the call";
    for steps in [
        "{ goto = 'a' }",
        "{ answer = {} }, { set = { variable = 'x', value = '1' } }, { goto = 'a' }",
        "{ if = { value = '${x}', equals = '1' }, on = { yes = [{ goto = 'a' }] } }, { goto = 'a' }",
        "{ record = { kind = 'call' } }, { music = {} }, { goto = 'a' }",
    ] {
        assert_eq!(in_steps(steps), [endless], "{steps}");
    }
    for steps in [
        "{ wait = 1 }, { goto = 'a' }",
        "{ menu = { prompt = [], keys = '1' }, on = { 1 = { hangup = {} } } }, { goto = 'a' }",
        "{ if = { value = '${x}', equals = '1' }, on = { yes = [{ goto = 'a' }] } }",
        "{ if = { value = '${x}', equals = '1' }, on = { yes = [{ goto = 'b' }] } }, { goto = 'a' }",
        "{ music = { time = 5 } }, { goto = 'a' }",
    ] {
        assert_eq!(in_steps(steps), Vec::<String>::new(), "{steps}");
    }
}

#[test]
fn a_loop_over_two_rules_is_named_in_both() {
    let text = "[[rule]]\nname = 'a'\nwhen.dialed = '1'\nsteps = [{ goto = 'b' }]\n[[rule]]\nname = 'b'\nsteps = [{ ring = {} }, { goto = 'a' }]";
    let found = found(text);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("4:9: ") && found[1].starts_with("7:9: "), "{found:#?}");
}

#[test]
fn steps_behind_the_end_are_named() {
    for (steps, line) in [
        (
            "{ hangup = {} }, { answer = {} }, { ring = {} }",
            "4:27: rule[1].steps[2]: this step is never run: 'hangup' before it always ends the flow",
        ),
        (
            "{ if = { value = 'x', equals = 'x' }, on = { yes = { goto = 'b' }, no = { hangup = {} } } }, { answer = {} }",
            "4:103: rule[1].steps[2]: this step is never run: 'if' before it always ends the flow",
        ),
        (
            "{ answer = {}, on = { failed = [{ continue = {} }, { ring = {} }] } }",
            "4:61: rule[1].steps[1].on.failed[2]: this step is never run: 'continue' before it always ends the flow",
        ),
    ] {
        assert_eq!(in_steps(steps), [line], "{steps}");
    }
    let all_end = "{ dial = 'PJSIP/1', on = { no_answer = { goto = 'b' }, busy = { goto = 'b' }, rejected = { goto = 'b' }, failed = \
                   { goto = 'b' }, unreachable = { goto = 'b' }, abandoned = [] } }, { hangup = {} }";
    assert!(in_steps(all_end).concat().contains("'dial' before it always ends the flow"), "{:?}", in_steps(all_end));
    for steps in [
        "{ dial = 'PJSIP/1' }, { hangup = {} }",
        "{ if = { value = 'x', equals = 'x' }, on = { yes = { goto = 'b' } } }, { answer = {} }",
        "{ menu = { prompt = [], keys = '1' }, on = { 1 = { hangup = {} }, timeout = { hangup = {} } } }, { answer = {} }",
    ] {
        assert_eq!(in_steps(steps), Vec::<String>::new(), "{steps}");
    }
}

#[test]
fn sounds_that_are_not_there_are_named() {
    assert_eq!(
        in_steps("{ play = ['sound:hello', 'sound:${x}', 'tone:busy', 'sound:bye'] }"),
        ["4:62: rule[1].steps[1].play.media[4]: Asterisk has no sound 'bye'"]
    );
    let steps = "{ dial = { to = 'PJSIP/1', whisper = 'sound:w', accept_key = '1', accept_prompt = 'sound:p', limit = 60, warn_at = 5, \
                 warn = 'sound:x' } }, { collect = { variable = 'x', prompt = 'sound:c', invalid = 'sound:i' } }, \
                 { voicemail = { mailbox = 'm', greeting = 'sound:g' } }, \
                 { menu = { prompt = 'sound:m', keys = '1', invalid = 'sound:n' }, on = { 1 = { play = 'sound:o' } } }";
    assert_eq!(in_steps(steps).len(), 9, "{:#?}", in_steps(steps));
    let file = crate::routing::file::read("[[rule]]\nname = 'a'\nsteps = [{ play = 'sound:x' }]").unwrap();
    assert_eq!(check(&file, None), []);
}

#[test]
fn whom_the_policy_forbids_is_named() {
    assert_eq!(
        in_steps("{ dial = ['PJSIP/101', 'PJSIP/+88161234567@trunk', 'PJSIP/${x}@trunk'] }"),
        [
            "4:33: rule[1].steps[1].dial.to[2]: 'PJSIP/+88161234567@trunk' is forbidden: +88161234567 is a satellite or another \
          number without a country, which costs money; `dial.allow` would have to name it"
        ]
    );
}

#[test]
fn a_menu_that_leads_nowhere_is_named() {
    assert_eq!(
        in_steps(
            "{ menu = { prompt = 'sound:hello', keys = '12', patterns = '3X' }, on = { timeout = { hangup = {} } } }"
        ),
        ["4:19: rule[1].steps[1].menu: no choice leads anywhere: `on` has none of 1, 2, 3X"]
    );
}

#[test]
fn what_needs_a_caller_who_has_gone_is_named() {
    assert_eq!(
        in_steps(
            "{ dial = 'PJSIP/1', on = { abandoned = [{ set = { variable = 'x', value = '1' } }, { play = 'sound:hello' }] } }"
        ),
        ["4:93: rule[1].steps[1].on.abandoned[2]: the caller has gone, so 'play' can do nothing"]
    );
}

#[test]
fn a_fallback_is_looked_at_too() {
    let text =
        "[[rule]]\nname = 'a'\nsteps = [{ hangup = {} }]\nfallback = [{ play = 'sound:sorry' }, { hangup = {} }]";
    assert_eq!(found(text), ["4:22: rule[1].fallback[1].play.media[1]: Asterisk has no sound 'sorry'"]);
}
