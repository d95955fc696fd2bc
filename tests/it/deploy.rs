//! What lies in `deploy/` fits the program: metrics, rules, the unit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use callcenter::config::{self, Inputs};
use serde_json::Value;

use crate::kit::ari::http;
use crate::kit::process::Process;
use crate::kit::wait::{self, s};
use crate::kit::{Service, aloud, free_port};
use crate::metrics::{Scrape, beside_calls, beside_calls_with};

const RULES: &str = include_str!("../../deploy/prometheus/callcenter.rules.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/callcenter.json");
/// The units and their text.
const UNITS: [(&str, &str); 2] = [
    ("systemd/callcenter.service", include_str!("../../deploy/systemd/callcenter.service")),
    ("systemd/callcenter-feed.service", include_str!("../../deploy/systemd/callcenter-feed.service")),
];

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

/// What a tool says; `None`, aloud, where it isn't installed (or fails where `REQUIRE_ASTERISK=1`, as in CI, asks for all).
pub(crate) fn tool(name: &str, arguments: &[&str]) -> Option<Output> {
    match Command::new(name).args(arguments).output() {
        Ok(output) => Some(output),
        Err(error) => {
            missing(name, &error);
            None
        }
    }
}

fn missing(name: &str, error: &std::io::Error) {
    let required = std::env::var("REQUIRE_ASTERISK").is_ok_and(|value| value == "1");
    assert!(!required, "{name} must be here: {error}");
    aloud(&format!("SKIPPED: {name}: {error}"));
}

/// Every word that begins as our metrics do.
fn named(text: &str) -> BTreeSet<&str> {
    let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    text.split(word).filter(|word| word.starts_with("callcenter_")).collect()
}

#[test]
fn every_metric_of_the_rules_and_the_dashboard_is_in_a_scrape() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let expressions: Vec<&str> = dashboard["panels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten())
        .map(|target| target["expr"].as_str().unwrap())
        .collect();
    assert!(expressions.len() > 30, "{expressions:?}");
    let expressions = expressions.join("\n");
    let wanted: BTreeSet<&str> = named(RULES).union(&named(&expressions)).copied().collect();
    assert!(wanted.len() > 40, "{wanted:?}");
    // A channel for alarms has metrics once there is one.
    let (_sim, mut service) = beside_calls_with(10.0, "[alarms]\nwebhook_url = 'http://127.0.0.1:9/'\n");
    wait::until("every metric", s(30), || {
        let scrape = Scrape::of(&service);
        let missing: Vec<&str> = wanted.iter().filter(|name| !scrape.names().contains(*name)).copied().collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("{missing:?}")) }
    });
    service.sigterm();
}

#[test]
fn the_rules_are_right_by_prometheus_own_tool() {
    let rules = deploy("prometheus/callcenter.rules.yml");
    let Some(checked) = tool("promtool", &["check", "rules", rules.to_str().unwrap()]) else { return };
    assert!(checked.status.success(), "{checked:?}");
    let rules = deploy("prometheus/callcenter.test.yml");
    let tested = tool("promtool", &["test", "rules", rules.to_str().unwrap()]).unwrap();
    assert!(tested.status.success(), "{tested:?}");
}

#[test]
fn a_real_prometheus_scrapes_it_and_evaluates_every_rule() {
    let (_sim, mut service) = beside_calls(10.0);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files:\n  - {}\nscrape_configs:\n  - job_name: \
         callcenter\n    static_configs:\n      - targets: ['127.0.0.1:{}']\n",
        deploy("prometheus/callcenter.rules.yml").display(),
        service.port()
    );
    std::fs::write(&config, text).unwrap();
    let Some(_) = tool("prometheus", &["--version"]) else { return };
    let port = free_port();
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut prometheus = Process::spawn("prometheus", &mut command);
    let ask = |path: &str| http("GET", &format!("http://127.0.0.1:{port}/api/v1/{path}"), None).map(|(_, body)| body);
    wait::until("a scrape", s(60), || {
        let target = ask("targets")?["data"]["activeTargets"][0].clone();
        if target["health"] == "up" { Ok(()) } else { Err(target.to_string()) }
    });
    wait::until("calls in Prometheus", s(60), || {
        let found = ask("query?query=sum(callcenter_calls_total)")?;
        let calls = found["data"]["result"][0]["value"][1].as_str().and_then(|text| text.parse::<f64>().ok());
        if calls.is_some_and(|calls| calls > 0.0) { Ok(()) } else { Err(found.to_string()) }
    });
    wait::until("every rule", s(60), || {
        let groups = ask("rules")?["data"]["groups"].clone();
        let rules = groups[0]["rules"].as_array().cloned().unwrap_or_default();
        let evaluated = rules.iter().all(|rule| rule["health"] == "ok");
        if rules.len() > 10 && evaluated { Ok(()) } else { Err(groups.to_string()) }
    });
    let firing = ask("query?query=ALERTS%7Balertstate%3D%22firing%22%2Cseverity%3D%22page%22%7D").unwrap();
    assert_eq!(firing["status"], "success", "{firing}");
    assert_eq!(firing["data"]["result"], Value::Array(Vec::new()), "nothing is wrong");
    prometheus.signal("TERM");
    prometheus.finish(s(30));
    service.sigterm();
}

#[test]
fn the_unit_leaves_the_service_little_to_do_harm_with() {
    for (unit, text) in UNITS {
        assert!(text.contains("\nType=notify\n") && text.contains("\nWatchdogSec="), "{unit}");
        little_to_do_harm_with(unit);
    }
}

#[track_caller]
fn little_to_do_harm_with(unit: &str) {
    let unit = deploy(unit);
    let Some(seen) = tool("systemd-analyze", &["security", "--offline=true", unit.to_str().unwrap()]) else { return };
    let text = String::from_utf8_lossy(&seen.stdout);
    let level = text.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{seen:?}"));
    let level: f64 = level.split(": ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap();
    assert!(level < 2.0, "{text}");
}

#[test]
fn the_packages_configuration_lacks_nothing_but_the_password() {
    let file = deploy("debian/callcenter.toml");
    let loaded = config::load(&Inputs {
        config: Some(file),
        default_files: Vec::new(),
        dot_env: PathBuf::from("/nonexistent/.env"),
        environment: Default::default(),
        unreadable: Vec::new(),
    });
    let keys: Vec<&str> = loaded.mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["asterisk[1].password"]);
    // The unit may write to its state directory only.
    let folder = loaded.config.database.path.parent().unwrap();
    assert_eq!(folder, Path::new("/var/lib").join(unit("StateDirectory")), "{folder:?}");
    assert_eq!(folder, Path::new(unit("WorkingDirectory")));
}

#[test]
fn the_unit_tries_for_ever_but_not_with_a_wrong_configuration() {
    assert_eq!(unit("StartLimitIntervalSec"), "0");
    let run =
        Command::new(env!("CARGO_BIN_EXE_callcenter")).args(["--config", "/nonexistent/a.toml"]).output().unwrap();
    assert_eq!(run.status.code().map(|code| code.to_string()).as_deref(), Some(unit("RestartPreventExitStatus")));
}

/// What the unit says of a key.
fn unit(key: &str) -> &'static str {
    UNITS[0].1.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap_or_else(|| panic!("no {key}="))
}

#[test]
fn health_asks_the_service_and_says_so_in_one_line() {
    let (_sim, mut service) = beside_calls(1.0);
    let url = format!("http://127.0.0.1:{}/", service.port());
    let health = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
        let output = command.args(["health", "--url", &url]).args(more).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    assert_eq!(health(&[]), (Some(0), "ready\n".to_owned(), String::new()));
    assert_eq!(health(&["--live"]), (Some(0), "live\n".to_owned(), String::new()));
    service.sigterm();
    let (code, out, error) = health(&["--live"]);
    assert_eq!((code, out.as_str(), error.lines().count()), (Some(1), "", 1), "{error}");
    assert!(error.starts_with("no answer from http://127.0.0.1:"), "{error}");
    // Asterisk away: it lives, but records nothing.
    let nobody = format!("http://127.0.0.1:{}/ari", free_port());
    let mut service =
        Service::launched("", &[("ARI_URL", nobody.as_str()), ("ARI_USERNAME", "u"), ("ARI_PASSWORD", "p")]);
    let url = format!("http://127.0.0.1:{}", service.port());
    let ask = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
        command.args(["health", "--url", &url]).args(more).output().unwrap()
    };
    wait::until("life", s(20), || if ask(&["--live"]).status.success() { Ok(()) } else { Err("no".to_owned()) });
    let said = ask(&[]);
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).starts_with("not_ready: "), "{said:?}");
    service.sigterm();
}
