use super::*;
use crate::routing::step::verb::Hangup;
use crate::routing::step::words::Cause;

fn rules(toml: &str) -> Rules {
    crate::routing::file::read(toml).unwrap_or_else(|flaws| panic!("{flaws:?}")).rules
}

fn call(dialed: &str) -> CallFacts {
    CallFacts { dialed: dialed.to_owned(), ..CallFacts::default() }
}

const THREE: &str = "
    [[rule]]
    name = 'one'
    when = { dialed = '1*', max_live = 2 }
    steps = [{ dial = 'PJSIP/101' }]
    fallback = [{ answer = {} }, { play = 'sound:sorry' }, { hangup = 'congestion' }]

    [[rule]]
    name = 'ten'
    when = { dialed = '10' }
    steps = [{ goto = 'one' }]
";

#[test]
fn the_first_rule_whose_conditions_hold_takes_the_call() {
    let rules = rules(THREE);
    let decision = rules.decide(&call("10"));
    assert_eq!((decision.rule.as_str(), decision.steps.len(), decision.fallback.len()), ("one", 1, 3));
    assert_eq!(decision.passed_over, []);
    let full = CallFacts { live: [("one".to_owned(), 2)].into(), ..call("10") };
    let decision = rules.decide(&full);
    assert_eq!(decision.rule, "ten");
    let why = vec!["2 live calls of this rule, fewer than 2 are wanted".to_owned()];
    assert_eq!(decision.passed_over, [Passed { rule: "one".to_owned(), why }]);
    assert_eq!(rules.steps("one").as_deref(), rules.decide(&call("1")).steps.get(..));
    assert_eq!(rules.steps("two"), None);
}

#[test]
fn a_call_that_no_rule_takes_goes_on_in_the_dialplan() {
    for (rules, passed) in [(Rules::default(), 0), (rules(THREE), 2)] {
        let decision = rules.decide(&call("2"));
        assert_eq!(decision.rule, DEFAULT);
        assert_eq!((&*decision.steps, &*decision.fallback), (&[to_dialplan()][..], &[to_dialplan()][..]));
        assert_eq!(decision.passed_over.len(), passed);
    }
}

struct Vip;

impl Logic for Vip {
    fn name(&self) -> &str {
        "vip"
    }

    fn steps(&self, facts: &CallFacts) -> Option<Vec<Step>> {
        (facts.caller_number == "1").then(|| vec![Step::new(Hangup { cause: Cause::NORMAL })])
    }
}

#[test]
fn a_rule_in_rust_stands_among_the_others() {
    let vip = CallFacts { caller_number: "1".to_owned(), ..call("10") };
    assert_eq!(rules(THREE).with(Place::First, Vip).decide(&vip).rule, "vip");
    assert_eq!(rules(THREE).with(Place::Last, Vip).decide(&vip).rule, "one");
    let decision = rules(THREE).with(Place::First, Vip).decide(&call("10"));
    assert_eq!(decision.passed_over[0].rule, "vip");
    assert!(format!("{:?}", rules(THREE).with(Place::First, Vip)).contains("[\"vip\", \"one\", \"ten\"]"));
}

#[test]
fn the_variables_that_rules_ask_for_are_known_beforehand() {
    let rules = rules(
        "[[rule]]\nname = 'a'\nwhen = { variables = { x = '1', 'CHANNEL(language)' = 'de' } }\nsteps = [{ answer = {} }]",
    );
    assert_eq!(rules.variables().into_iter().collect::<Vec<_>>(), ["CHANNEL(language)", "x"]);
}

#[test]
fn a_rule_to_which_only_goto_leads_takes_no_call() {
    let rules = rules("[[rule]]\nname = 'sub'\nby_goto = true\nsteps = [{ answer = {} }]");
    let decision = rules.decide(&call("1"));
    assert_eq!((decision.rule.as_str(), decision.passed_over[0].why[0].as_str()), (DEFAULT, "only `goto` leads to it"));
    assert!(rules.steps("sub").is_some());
    let both = "[[rule]]\nname = 'sub'\nby_goto = true\nwhen.dialed = '1'\nsteps = [{ answer = {} }]";
    assert!(crate::routing::file::read(both).unwrap_err()[0].message.contains("so it has no `when`"));
}

#[test]
fn rules_are_written_and_read_back() {
    let rules = rules(include_str!("../../../config/routing.example.toml"));
    for rule in rules.written() {
        let json = serde_json::to_string(rule).unwrap();
        let mut reader = crate::routing::read::Reader::default();
        let read = crate::routing::read::Read::read(&serde_json::from_str(&json).unwrap(), &mut reader);
        assert_eq!(reader.finish(read).as_ref(), Ok(rule), "{json}");
    }
}
