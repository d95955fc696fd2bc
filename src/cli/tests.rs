//! Tests of the command line.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::CommandFactory;

use super::*;

fn parse(words: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["callcenter"].into_iter().chain(words.split_whitespace()))
}

/// A load of these variables and no file.
fn loaded(variables: &[(&str, &str)]) -> Loaded {
    let environment: BTreeMap<_, _> =
        variables.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    let dot_env = PathBuf::from("/nonexistent/.env");
    config::load(&Inputs { config: None, default_files: Vec::new(), dot_env, environment, unreadable: Vec::new() })
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn serve_is_the_default_and_config_is_global() {
    assert!(parse("").unwrap().command.is_none());
    assert!(matches!(parse("serve").unwrap().command, Some(Command::Serve(_))));
    for words in ["--config a.toml check", "check --config a.toml"] {
        assert_eq!(parse(words).unwrap().config, Some(PathBuf::from("a.toml")));
    }
}

#[test]
fn arguments_are_read() {
    match parse("replay a.jsonl b.jsonl.gz --db x.db --node office").unwrap().command {
        Some(Command::Replay(args)) => {
            assert_eq!((args.files.len(), args.db, args.node.as_str()), (2, PathBuf::from("x.db"), "office"));
        }
        other => panic!("{other:?}"),
    }
    match parse("demo --rate 60 --for 5 --port 0").unwrap().command {
        Some(Command::Demo(args)) => assert_eq!((args.rate, args.seconds, args.port), (60, Some(5), Some(0))),
        other => panic!("{other:?}"),
    }
    match parse("doctor --wait 5 --json").unwrap().command {
        Some(Command::Doctor(args)) => assert_eq!((args.wait, args.json), (5, true)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_usage_is_refused() {
    for words in ["replay", "replay a.jsonl", "replay a --db x --node Bär", "demo --rate 0", "doctor --wait x", "what"]
    {
        assert!(parse(words).unwrap_err().use_stderr(), "{words}");
    }
    let run = |words: &[&str]| main(words.iter().map(OsString::from));
    assert_eq!(run(&["callcenter", "what"]), Exit::Usage);
    assert_eq!(run(&["callcenter", "--config", "/nonexistent/a.toml", "check", "--json"]), Exit::Usage);
    assert_eq!(run(&["callcenter", "--config", "/nonexistent/a.toml", "serve"]), Exit::Usage);
    assert_eq!(run(&["callcenter", "--version"]), Exit::Ok);
}

#[test]
fn the_help_names_every_exit_code() {
    let help = Cli::command().render_long_help().to_string();
    let line = |exit: Exit| help.lines().any(|line| line.starts_with(&format!("  {}  ", exit.code())));
    assert!([Exit::Ok, Exit::Failed, Exit::Usage, Exit::Problems].into_iter().all(line), "{help}");
}

#[test]
fn each_command_explains_itself() {
    for command in Cli::command().get_subcommands_mut() {
        let long = command.get_long_about().map(ToString::to_string).unwrap_or_default();
        assert!(long.len() > 60, "{}: {long:?}", command.get_name());
        assert!(command.get_about().is_some());
    }
}

#[test]
fn check_shows_each_key_with_its_source() {
    let loaded = loaded(&[("ARI_URL", "http://h/ari"), ("ARI_PASSWORD", "hush"), ("CALLCENTER_LINES_TRUNKS", "a,b")]);
    let report = check::text_report(&loaded);
    for line in [
        "asterisk[1].url = \"http://h/ari\"   # from environment variable ARI_URL",
        "asterisk[1].password = (set)   # from environment variable ARI_PASSWORD",
        "asterisk[1].ca_file = (not set)   # default",
        "lines.trunks = [\"a\", \"b\"]   # from environment variable CALLCENTER_LINES_TRUNKS",
        "database.busy_timeout_ms = 5000   # default",
        "# variables used: ARI_PASSWORD, ARI_URL, CALLCENTER_LINES_TRUNKS",
        "The configuration is right.",
    ] {
        assert!(report.lines().any(|found| found == line), "{line:?} is not in\n{report}");
    }
    assert!(!report.contains("hush") && !check::json_report(&loaded).contains("hush"));
    assert_eq!(check::run(CheckArgs { json: true }, &loaded), Exit::Ok);
}

#[test]
fn check_shows_each_mistake() {
    let loaded = loaded(&[("HTTP_PORT", "x"), ("CALLCENTER_LINES_COUNTRY", "ZZ")]);
    let report = check::text_report(&loaded);
    assert_eq!(report.lines().filter(|line| line.starts_with("mistake: ")).count(), 2, "{report}");
    assert!(report.contains("2 mistakes: the service would not start."), "{report}");
    assert!(report.contains("no Asterisk server is configured"), "{report}");
    let json: serde_json::Value = serde_json::from_str(&check::json_report(&loaded)).unwrap();
    assert_eq!((&json["ok"], json["mistakes"].as_array().unwrap().len()), (&false.into(), 2));
    assert_eq!(json["mistakes"][0]["key"], "http.port");
    assert_eq!(check::run(CheckArgs { json: false }, &loaded), Exit::Usage);
}

#[test]
fn completions_know_the_commands() {
    for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
        let script = String::from_utf8(completions::script(shell)).unwrap();
        assert!(script.contains("replay") && script.contains("doctor"), "{shell}");
    }
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(man::run(&ManArgs { folder: folder.path().join("man1") }), Exit::Ok);
    let page = |name: &str| std::fs::read_to_string(folder.path().join("man1").join(name)).unwrap();
    assert!(page("callcenter.1").contains("nothing was started"), "the exit codes are in it");
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        let escaped = name.replace('-', "\\-");
        assert!(page("callcenter.1").contains(&format!("callcenter\\-{escaped}(1)")), "{name}");
        assert!(page(&format!("callcenter-{name}.1")).contains(".SH OPTIONS"), "{name}");
    }
    assert_eq!(man::run(&ManArgs { folder: PathBuf::from("/proc/no/such") }), Exit::Failed);
}

#[test]
fn the_demo_needs_nothing_of_the_machine() {
    let inputs = Inputs::of_process(None).without_the_machines();
    assert_eq!(inputs.default_files, [PathBuf::from("config/default.toml")]);
}
