//! The built program as a process: `callcenter serve` with a configuration and a database of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::ari::http;
use super::asterisk::USER;
use super::process::Process;
use super::rows::Rows;
use super::{Asterisk, free_port, wait};

/// From the start to readiness; the machine may be busy with other tests.
const START: Duration = Duration::from_secs(20);
/// The service promises to stop in order within this time.
const STOP: Duration = Duration::from_secs(5);
/// Lines of its log shown when a test fails.
const TAIL: usize = 60;

/// A running service; ended when dropped. On a test's failure it shows the end of its log.
pub(crate) struct Service {
    folder: tempfile::TempDir,
    environment: Vec<(String, String)>,
    port: u16,
    process: Option<Process>,
}

impl Service {
    /// Beside this Asterisk.
    pub(crate) fn start(asterisk: &Asterisk) -> Self {
        Self::at(&asterisk.url())
    }

    /// Beside the Asterisk whose ARI has this root; ready when this returns.
    pub(crate) fn at(url: &str) -> Self {
        let user =
            [("ARI_URL", url), ("ARI_USERNAME", USER.0), ("ARI_PASSWORD", USER.1), ("ARI_APP_NAME", "callcenter-app")];
        Self::with("", &user)
    }

    /// With more configuration (TOML) and environment variables; ready when this returns.
    pub(crate) fn with(config: &str, environment: &[(&str, &str)]) -> Self {
        let mut service = Self::launched(config, environment);
        service.ready();
        service
    }

    /// The same, whether it becomes ready or not.
    pub(crate) fn launched(config: &str, environment: &[(&str, &str)]) -> Self {
        let mut service = Self::prepared(config, environment);
        service.launch();
        service
    }

    /// The same, not started yet.
    pub(crate) fn prepared(config: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = "[log]\nformat = \"json\"\nlevel = \"info,callcenter=debug\"\n";
        std::fs::write(folder.path().join("test.toml"), format!("{config}\n{log}")).unwrap();
        let environment = environment.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        Self { folder, environment, port: free_port(), process: None }
    }

    /// Another command of the program with the same configuration, run elsewhere.
    pub(crate) fn beside(&self, command: &mut Command) {
        let more = [("DB_PATH", self.database().display().to_string()), ("HTTP_PORT", self.port.to_string())];
        command.envs(self.environment.iter().cloned()).envs(more);
    }

    /// Its database.
    pub(crate) fn rows(&self) -> Rows {
        Rows::at(&self.database())
    }

    /// One GET: status and JSON.
    pub(crate) fn get(&self, path: &str) -> Result<(u16, Value), String> {
        http("GET", &format!("http://127.0.0.1:{}{path}", self.port), None)
    }

    /// The port of its HTTP server.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What `/api/v1/system` says.
    #[track_caller]
    pub(crate) fn system(&self) -> Value {
        let (status, body) = self.get("/api/v1/system").unwrap();
        assert_eq!(status, 200, "{body}");
        body
    }

    /// Waits until `/health/ready` says yes.
    #[track_caller]
    pub(crate) fn ready(&mut self) {
        wait::until("the service to be ready", START, || {
            if let Some(status) = self.process.as_mut().and_then(Process::ended) {
                panic!("the service ended: {status}\n{}", self.tail());
            }
            match self.get("/health/ready") {
                Ok((200, _)) => Ok(()),
                other => Err(other),
            }
        });
    }

    /// Starts it again, whether it becomes ready or not.
    #[track_caller]
    pub(crate) fn relaunch(&mut self) {
        self.launch();
    }

    /// Waits until `/health/ready` says no, with a reason.
    #[track_caller]
    pub(crate) fn unready(&self, limit: Duration) -> Value {
        wait::until("the service to say that it is not ready", limit, || match self.get("/health/ready") {
            Ok((503, body)) => Ok(body),
            other => Err(other),
        })
    }

    /// Starts it again, with the same database, after [`sigterm`](Self::sigterm) or [`sigkill`](Self::sigkill).
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.launch();
        self.ready();
    }

    /// Writes its whole configuration file anew and sends SIGHUP.
    #[track_caller]
    pub(crate) fn reconfigure(&mut self, config: &str) {
        std::fs::write(self.folder.path().join("test.toml"), config).unwrap();
        self.signal("HUP");
    }

    /// Sends a signal by name.
    #[track_caller]
    pub(crate) fn signal(&mut self, name: &str) {
        self.process.as_mut().expect("a running service").signal(name);
    }

    /// Waits until its log has a line with `words`, and gives the line.
    #[track_caller]
    pub(crate) fn says(&self, words: &str, limit: Duration) -> String {
        wait::until(&format!("'{words}' in the log"), limit, || {
            self.log_text().lines().find(|line| line.contains(words)).map(str::to_owned).ok_or_else(|| self.tail())
        })
    }

    /// Asks it to stop; it must do so in time and with exit code 0.
    #[track_caller]
    pub(crate) fn sigterm(&mut self) {
        self.signal("TERM");
        self.stops();
    }

    /// It was asked to stop and must do so in time and with exit code 0; how long that took.
    #[track_caller]
    pub(crate) fn stops(&mut self) -> Duration {
        let mut process = self.process.take().expect("a running service");
        let asked = Instant::now();
        let status = process.finish(STOP);
        assert!(status.success(), "stopped with {status} after {:?}", asked.elapsed());
        asked.elapsed()
    }

    /// Waits until it ends by itself; its exit code.
    #[track_caller]
    pub(crate) fn ends(&mut self, limit: Duration) -> Option<i32> {
        self.process.take().expect("a running service").finish(limit).code()
    }

    /// Kills it as the kernel would.
    #[track_caller]
    pub(crate) fn sigkill(&mut self) {
        let mut process = self.process.take().expect("a running service");
        process.signal("KILL");
        process.finish(wait::s(5));
    }

    /// Its journal, all segments; only once it has stopped.
    pub(crate) fn journal(&self) -> Vec<u8> {
        let folder = self.folder.path().join("journal").join("main");
        let mut segments: Vec<PathBuf> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        segments.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        segments.sort();
        segments.iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// The most memory that it held so far, MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        self.memory_kib("VmHWM:") / 1024
    }

    /// The memory that it holds now, MiB.
    pub(crate) fn resident_mib(&self) -> f64 {
        self.memory_kib("VmRSS:") as f64 / 1024.0
    }

    fn memory_kib(&self, name: &str) -> u64 {
        let id = self.process.as_ref().expect("a running service").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel's line");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Its log so far.
    pub(crate) fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// The end of its log.
    pub(crate) fn tail(&self) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL)..].join("\n")
    }

    /// Starts it.
    pub(crate) fn launch(&mut self) {
        self.process = Some(self.run("serve", &self.log()));
    }

    /// Runs a command of the program with this configuration, its output into a file.
    pub(crate) fn run(&self, what: &str, log: &Path) -> Process {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
        // Only what is named here: a developer's own ARI_URL must not leak in, nor a `.env`.
        command
            .env_clear()
            .envs(std::env::vars().filter(|(key, _)| matches!(key.as_str(), "PATH" | "HOME" | "RUST_BACKTRACE")))
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .env("DB_PATH", self.database())
            .env("HTTP_PORT", self.port.to_string())
            .current_dir(self.folder.path())
            .arg(what)
            .arg("--config")
            .arg(self.folder.path().join("test.toml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Process::spawn(&format!("callcenter {what}"), &mut command)
    }

    /// The folder of its configuration, database and log.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of its database: `DB_PATH` of its environment, or a file in its own folder.
    pub(crate) fn database(&self) -> PathBuf {
        let named = self.environment.iter().find(|(key, _)| key == "DB_PATH").map(|(_, path)| path.into());
        named.unwrap_or_else(|| self.folder.path().join("callcenter.db"))
    }

    /// Starts it where it must refuse to; what it says. Its exit code must be 1.
    #[track_caller]
    pub(crate) fn refuses(&mut self) -> String {
        let before = self.log_text().len();
        self.launch();
        let status = self.process.take().expect("a started service").finish(START);
        let said = self.log_text().split_off(before);
        assert_eq!(status.code(), Some(1), "{said}");
        said
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the end of the service's log:\n{}", self.tail());
        }
    }
}
