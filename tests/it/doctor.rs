//! `callcenter doctor` beside a real Asterisk in each state that it has advice for.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::kit::ari::{TEST_APP, TestApp};
use crate::kit::asterisk::USER;
use crate::kit::process::Process;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, free_port, live};

/// One run of doctor in a folder of its own.
pub(crate) struct Doctor {
    folder: tempfile::TempDir,
    command: Command,
}

/// What a run came to.
pub(crate) struct Found {
    code: Option<i32>,
    out: String,
}

impl Doctor {
    /// Beside the ARI at this address, with the usual user and no service.
    pub(crate) fn at(url: &str) -> Self {
        let mut doctor = Self::bare();
        let port = free_port().to_string();
        let user = [("ARI_URL", url), ("ARI_USERNAME", USER.0), ("ARI_PASSWORD", USER.1), ("HTTP_PORT", port.as_str())];
        doctor.command.envs(user);
        doctor
    }

    /// With a service's configuration.
    pub(crate) fn beside(service: &Service) -> Self {
        let mut doctor = Self::bare();
        service.beside(&mut doctor.command);
        doctor
    }

    /// Without any configuration.
    fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
        command
            .env_clear()
            .envs(std::env::vars().filter(|(key, _)| matches!(key.as_str(), "PATH" | "HOME" | "RUST_BACKTRACE")))
            // The disk of a test machine may be nearly full.
            .env("CALLCENTER_DATABASE_MIN_FREE_BYTES", "0")
            .current_dir(folder.path())
            .arg("doctor");
        Self { folder, command }
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    fn spawn(&mut self, arguments: &[&str]) -> Process {
        self.command.args(arguments);
        self.command.stdout(File::create(self.path("out")).unwrap());
        self.command.stderr(File::create(self.path("err")).unwrap());
        Process::spawn("callcenter doctor", &mut self.command)
    }

    /// Waits for its end.
    #[track_caller]
    fn finish(&self, mut process: Process) -> Found {
        let status = process.finish(s(120));
        let [out, err] = ["out", "err"].map(|name| std::fs::read_to_string(self.path(name)).unwrap());
        assert!(!format!("{out}{err}").contains(USER.1), "the password was shown: {out}{err}");
        assert!(!err.contains("panicked"), "{err}");
        Found { code: status.code(), out }
    }

    /// Runs it to its end.
    #[track_caller]
    pub(crate) fn run(mut self, arguments: &[&str]) -> Found {
        let process = self.spawn(arguments);
        self.finish(process)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Found {
    /// All steps: name, result.
    fn steps(&self) -> Vec<Value> {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}", self.out))
    }

    /// The step of this name must have this result; its words and advice.
    #[track_caller]
    pub(crate) fn step(&self, name: &str, result: &str) -> String {
        let steps = self.steps();
        let step = steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name}: {}", self.out));
        assert_eq!(step["result"], result, "{step:#}");
        format!("{} {}", step["found"].as_str().unwrap(), step["advice"].as_str().unwrap_or_default())
    }

    /// It must have found exactly these problems and say so by its exit code.
    #[track_caller]
    pub(crate) fn problems(&self, names: &[&str]) {
        let steps = self.steps();
        let problems: Vec<_> = steps.iter().filter(|s| s["result"] == "problem").map(|s| s["step"].clone()).collect();
        assert_eq!(problems, names, "{}", self.out);
        assert_eq!(self.code, Some(if names.is_empty() { 0 } else { 3 }), "{}", self.out);
    }
}

/// Everything right, and a call that doctor itself sees and sends on.
#[test]
fn all_is_well_and_a_call_goes_on() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut doctor = Doctor::at(&asterisk.url());
    let process = doctor.spawn(&["--json", "--wait", "60"]);
    wait::until("doctor's application", s(30), || match asterisk.rest("GET", "applications/callcenter-app", &[]) {
        (200, _) => Ok(()),
        other => Err(other),
    });
    let _callee = asterisk.answerer(121, 100, 60_000);
    // By the guarded dialplan, which doctor has to keep open itself.
    asterisk.caller("uac", 160, &["to=9121", "talk=500"]).succeed(s(60));
    let found = doctor.finish(process);
    found.problems(&[]);
    assert!(found.steps().iter().all(|step| step["result"] == "ok"), "{}", found.out);
    let call = found.step("test_call", "ok");
    assert!(call.contains("from 160, dialled 121 in context guarded") && call.contains("sent on"), "{call}");
    assert!(call.contains("the condition before Stasis let it in: GotoIf(0?direct)"), "{call}");
    assert_eq!(asterisk.rest("GET", "applications/callcenter-app", &[]).0, 404, "doctor left its application behind");
    let unset = asterisk.order("GET", "asterisk/variable", &[("variable", "CALLCENTER_DOCTOR")]);
    assert_eq!(unset["value"], "");
    let stale = asterisk.order("GET", "asterisk/variable", &[("variable", "CALLCENTER_ALIVE")]);
    assert_eq!(stale["value"], "", "the dialplan was left open");
}

#[test]
fn without_a_call_it_prints_the_dialplan() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let found = Doctor::at(&asterisk.url()).run(&["--wait", "1"]);
    assert_eq!(found.code, Some(3), "{}", found.out);
    for line in [
        "✗ [main] test_call",
        "same => n,GotoIf($[${EPOCH} - 0${CALLCENTER_ALIVE} > 3]?direct)",
        "asterisk -rx 'dialplan reload'",
    ] {
        assert!(found.out.contains(line), "{line} is not in\n{}", found.out);
    }
    assert!(found.out.contains("✓ [main] websocket") && !found.out.contains('\x1b'), "{}", found.out);
}

#[test]
fn a_wrong_password_a_wrong_path_and_a_reader() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let found = Doctor::at(&asterisk.url()).env("ARI_PASSWORD", "wrong").run(&["--json"]);
    found.problems(&["credentials"]);
    assert!(found.step("credentials", "problem").contains("ari.conf"));
    assert_eq!(found.step("websocket", "skipped").trim(), "'credentials' has to work first");

    let found = Doctor::at(&asterisk.url().replace("/asterisk/ari", "/ari")).run(&["--json"]);
    found.problems(&["ari"]);
    let advice = format!("Set asterisk.url (ARI_URL) to {}.", asterisk.url());
    assert!(found.step("ari", "problem").contains(&advice), "{}", found.out);

    let found = Doctor::at(&asterisk.url()).env("ARI_USERNAME", "asterisk_ro").run(&["--json"]);
    found.problems(&["write_access"]);
    assert!(found.step("write_access", "problem").contains("read_only = no"));
    found.step("version", "ok");
    found.step("websocket", "skipped");
}

/// The HTTP server is there, ARI is not: switched off in ari.conf.
#[test]
fn ari_is_switched_off() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    asterisk.disable_ari();
    let found = Doctor::at(&asterisk.url()).run(&["--json"]);
    found.problems(&["ari"]);
    let words = found.step("ari", "problem");
    assert!(words.contains("In ari.conf: enabled = yes") && words.contains("module load res_ari.so"), "{words}");
    found.step("websocket", "skipped");
}

#[test]
fn nothing_listens_and_a_name_is_unknown() {
    let found = Doctor::at(&format!("http://127.0.0.1:{}/ari", free_port())).run(&["--json"]);
    found.problems(&["reach"]);
    assert!(found.step("reach", "problem").contains("refuses: nothing listens there"));
    found.step("test_call", "skipped");

    let found = Doctor::at("http://pbx.invalid:8088/ari").run(&["--json"]);
    found.problems(&["reach"]);
    assert!(found.step("reach", "problem").contains("'pbx.invalid'"));
}

/// An application that a client without subscribeAll made, kept alive by a subscription.
#[test]
fn an_application_that_outlived_its_client() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let client = TestApp::open(&asterisk);
    let path = format!("applications/{TEST_APP}/subscription");
    asterisk.order("POST", &path, &[("eventSource", "endpoint:PJSIP/101")]);
    drop(client);
    let found = Doctor::at(&asterisk.url()).env("ARI_APP_NAME", TEST_APP).run(&["--json", "--wait", "1"]);
    found.problems(&[]);
    found.step("application", "warning");
    let words = found.step("subscribe_all", "warning");
    assert!(words.contains("not in force for: channel, bridge, endpoint, deviceState"), "{words}");
    assert!(words.contains("The service repairs that"), "{words}");
}

/// Beside a running service doctor leaves the application to it.
#[test]
fn a_running_service_is_not_disturbed() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let service = Service::start(&asterisk);
    wait::until("the guard to be fresh", s(20), || match &service.system()["nodes"][0]["guard"] {
        guard if guard["fresh"] == true => Ok(()),
        guard => Err(guard.clone()),
    });
    let mut doctor = Doctor::bare();
    service.beside(&mut doctor.command);
    let process = doctor.spawn(&["--json", "--wait", "60"]);
    wait::until("doctor to wait for a call", s(30), || {
        let text = std::fs::read_to_string(doctor.path("err")).unwrap();
        if text.contains("make one now") { Ok(()) } else { Err(text) }
    });
    let _callee = asterisk.answerer(123, 100, 60_000);
    asterisk.caller("uac", 122, &["to=123", "talk=500"]).succeed(s(60));
    let found = doctor.finish(process);
    found.problems(&[]);
    // By the dialplan without the guard.
    let call = found.step("test_call", "warning");
    assert!(call.contains("from 122, dialled 123") && call.contains("no condition stands before Stasis"), "{call}");
    assert!(call.contains("GotoIf($[${EPOCH} - 0${CALLCENTER_ALIVE} > 3]?direct)"), "{call}");
    assert!(found.step("guard", "ok").contains("the running service refreshes it"), "{}", found.out);
    assert!(found.step("application", "ok").contains("by the running service"), "{}", found.out);
    let connection = &service.system()["nodes"][0]["connection"];
    assert_eq!((&connection["state"], &connection["sessions"]), (&"connected".into(), &1.into()), "{connection:#}");
}

#[test]
fn no_asterisk_and_a_database_of_another_program() {
    use diesel::prelude::*;
    let doctor = Doctor::bare();
    let path = doctor.path("notes.db");
    let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    diesel::sql_query("CREATE TABLE notes (text TEXT)").execute(&mut other).unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let port = free_port().to_string();
    let mut doctor = doctor.env("DB_PATH", &path.to_string_lossy()).env("HTTP_PORT", &port);
    let process = doctor.spawn(&["--json"]);
    let found = doctor.finish(process);
    found.problems(&["configuration", "database"]);
    assert!(found.step("configuration", "problem").contains("ARI_URL"));
    assert!(found.step("database", "problem").contains("it holds the table 'notes'"));
    assert!(before == std::fs::read(&path).unwrap(), "the other program's database was changed");
}

/// A service whose application another client has taken says so itself; doctor passes it on.
#[test]
fn a_service_that_lost_its_application() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let url = asterisk.url();
    let user =
        [("ARI_URL", url.as_str()), ("ARI_USERNAME", USER.0), ("ARI_PASSWORD", USER.1), ("ARI_APP_NAME", TEST_APP)];
    let service = Service::with("", &user);
    let _other = TestApp::open(&asterisk);
    service.unready(s(20));
    let mut doctor = Doctor::bare();
    service.beside(&mut doctor.command);
    let found = doctor.run(&["--json", "--wait", "1"]);
    found.problems(&["application"]);
    assert!(found.step("application", "problem").contains("'yielded'"), "{}", found.out);
    found.step("websocket", "skipped");
}

/// A web server that gives every request this answer.
fn web_server(answer: &'static str) -> u16 {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the test process.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            // Doctor's first connection only looks whether the port is open: nothing is read from it.
            if stream.read(&mut [0; 4_096]).is_ok_and(|length| length > 0) {
                drop(stream.write_all(answer.as_bytes()));
            }
        }
    });
    port
}

#[test]
fn a_starting_asterisk_and_another_web_server() {
    let port = web_server("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let found = Doctor::at(&format!("http://127.0.0.1:{port}/ari")).run(&["--json"]);
    found.problems(&["ari"]);
    assert!(found.step("ari", "problem").contains("still starting"), "{}", found.out);

    let page = "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    let found = Doctor::at(&format!("http://127.0.0.1:{}/ari", web_server(page))).run(&["--json"]);
    found.problems(&["ari"]);
    assert!(found.step("ari", "problem").contains("'nginx', not Asterisk"), "{}", found.out);
}
