use super::*;
use crate::routing::rule::Rule;
use crate::routing::step::Verb;

const EXAMPLE: &str = "config/routing.example.toml";

/// What `callcenter routes` with these words prints (or says was wrong), and how it ends.
fn run(words: &[&str]) -> (String, Exit) {
    let words = ["callcenter", "routes"].iter().chain(words);
    let cli = <super::super::Cli as clap::Parser>::try_parse_from(words).unwrap();
    let Some(super::super::Command::Routes(args)) = cli.command else { panic!() };
    let done = match &args.command {
        RoutesCommand::Check(args) => check(args),
        RoutesCommand::Test(args) => trial::run(args),
        RoutesCommand::DryRun(args) => dry_run::run(args, None),
        RoutesCommand::Schema => panic!(),
    };
    done.unwrap_or_else(|failed| failed)
}

/// A file with this text; it is there as long as the folder is.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("routing.toml");
    std::fs::write(&path, text).unwrap();
    (folder, path.display().to_string())
}

#[test]
fn the_example_is_right_and_names_every_verb_and_parameter() {
    let (report, exit) = run(&["check", EXAMPLE]);
    assert_eq!(exit, Exit::Ok, "{report}");
    assert!(report.contains("7 rules, version ") && report.contains("no mistake"), "{report}");
    let text = std::fs::read_to_string(EXAMPLE).unwrap();
    let rules = file::read(&text).unwrap().rules;
    let mut used = BTreeSet::new();
    let mut all: Vec<_> = rules.written().flat_map(|rule| rule.steps.iter()).collect();
    while let Some(step) = all.pop() {
        used.insert(step.verb.name());
        all.extend(step.on.values().flatten());
    }
    let missing: Vec<_> = Verb::NAMES.iter().filter(|name| !used.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for name in Verb::NAMES {
        assert!(text.lines().any(|line| line.trim().starts_with('#') && line.contains(&format!("`{name}`"))), "{name}");
    }
    for condition in crate::routing::matching::When::PARAMETERS.iter().chain(Rule::PARAMETERS) {
        assert!(text.contains(condition), "{condition}");
    }
}

#[test]
fn mistakes_have_file_line_and_column() {
    let (_folder, path) = file("[[rule]]\nname = 'a'\nsteps = [{ dail = 'x' }]\n");
    let (report, exit) = run(&["check", &path]);
    assert_eq!(exit, Exit::Usage);
    assert!(
        report.starts_with(&format!("{path}:3:12: rule[1].steps[1]: unknown step 'dail' (did you mean 'dial'?)")),
        "{report}"
    );
    assert!(report.ends_with("\nOne mistake.\n"), "{report}");
    let (report, exit) = run(&["check", "--json", &path]);
    let json: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!((exit, &json["ok"], &json["mistakes"][0]["line"]), (Exit::Usage, &json!(false), &json!(3)));
    assert_eq!(run(&["test", &path]).1, Exit::Usage);
    let (message, exit) = run(&["check", "/nonexistent/routing.toml"]);
    assert!(exit == Exit::Failed && message.contains("routing.example.toml"), "{message}");
}

#[test]
fn sounds_are_looked_for_where_they_are() {
    let (folder, path) =
        file("[[rule]]\nname = 'a'\nsteps = [{ play = ['sound:hello', 'sound:digits/1', 'sound:bye'] }]\n");
    std::fs::create_dir_all(folder.path().join("en/digits")).unwrap();
    for sound in ["hello.gsm", "digits/1.wav"] {
        std::fs::write(folder.path().join("en").join(sound), "").unwrap();
    }
    let sounds = folder.path().join("en").display().to_string();
    let (report, exit) = run(&["check", "--sounds", &sounds, &path]);
    assert_eq!(exit, Exit::Usage);
    assert_eq!(report.lines().count(), 2, "{report}");
    assert!(report.contains("Asterisk has no sound 'bye'"), "{report}");
    assert_eq!(run(&["check", "--sounds", "/nonexistent", &path]).1, Exit::Failed);
}

#[test]
fn a_call_is_tried_with_its_answers() {
    let words =
        ["test", EXAMPLE, "--from", "100", "--to", "100", "--at", "2026-11-23 10:00", "--answers", "1,busy,no_answer"];
    let (report, exit) = run(&words);
    assert_eq!(exit, Exit::Ok, "{report}");
    for line in [
        "'main' takes the call; before it",
        "  not 'holiday': it is 10:00 on Monday 2026-11-23 (Europe/Berlin): 2026-11-23 is no holiday of 'national' or 'company'",
        "  main.steps[1]: answer -> done",
        "  main.steps[2]: set value=100 variable=CALLER -> done",
        "  main.steps[4].on.1[1]: goto sales",
        "  sales.steps[5].on.busy[1]: play sound:all-busy -> done",
        "  mailbox.steps[1]: voicemail greeting=sound:leave-a-message mailbox=sales silence=8s -> done",
        "end: hung up, cause normal",
    ] {
        assert!(report.lines().any(|found| found == line), "{line:?} is not in\n{report}");
    }
    assert!(report.contains("main.steps[4] \"main menu\": menu ") && report.contains("-> 1 (as answered)"), "{report}");
}

#[test]
fn a_call_is_tried_for_programs_too() {
    let words = [
        "test",
        EXAMPLE,
        "--json",
        "--to",
        "100",
        "--at",
        "2026-12-24T10:00:00Z",
        "--live",
        "main=3",
        "--answers",
        "done,x",
    ];
    let json: serde_json::Value = serde_json::from_str(&run(&words).0).unwrap();
    assert_eq!((&json["rule"], &json["end"]), (&json!("holiday"), &json!({ "hung_up": { "cause": "normal" } })));
    assert_eq!((&json["unused_answers"], &json["at"]), (&json!(["x"]), &json!("2026-12-24T10:00:00.000Z")));
    assert_eq!(json["steps"][0]["verb"], "answer");
    assert_eq!(json["fallback"], json!([{ "continue": {} }]));
}

#[test]
fn every_fact_of_a_call_can_be_given() {
    let rule = "when = { dialed = '1', caller_number = '2', caller_name = 'n', context = 'c', direction = 'inbound', args = ['x', 'y'], \
                variables = { v = 'w=1' }, node = 'office', max_live = 2 }";
    let (_folder, path) = file(&format!("[[rule]]\nname = 'a=b'\n{rule}\nsteps = [{{ hangup = {{}} }}]\n"));
    let words = "--to 1 --from 2 --name n --context c --direction inbound --arg x --arg y --var v=w=1 --node office --live a=b=";
    let taken = |live: &str| {
        let words = format!("test {path} {words}{live}");
        run(&words.split(' ').collect::<Vec<_>>()).0
    };
    assert!(taken("1").contains("'a=b' takes the call"), "{}", taken("1"));
    let report = taken("2");
    assert!(report.contains("not 'a=b': 2 live calls of this rule, fewer than 2 are wanted\n"), "{report}");
    assert!(
        report.contains("'default' takes the call; before it") && report.contains("end: goes on in the dialplan"),
        "{report}"
    );
}

#[test]
fn what_can_not_be_tried_is_said() {
    for (words, said) in [
        (["--at", "soon"], "'soon' is no time"),
        (["--at", "2027-03-28 02:30"], "clocks in Europe/Berlin leave this time out"),
        (["--answers", "bussy"], "unknown answer for menu"),
    ] {
        let words = [&["test", EXAMPLE, "--to", "100", "--at", "2026-11-23 10:00"][..4], &words[..]].concat();
        let words =
            if words.contains(&"--answers") { [&words[..], &["--at", "2026-11-23 10:00"]].concat() } else { words };
        let (message, exit) = run(&words);
        assert!(exit == Exit::Usage && message.contains(said), "{message}");
    }
}
