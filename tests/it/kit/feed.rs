//! `callcenter feed` beside a service, with the same configuration.

use std::path::PathBuf;

use super::process::Process;
use super::service::Service;
use super::wait::{self, s};

/// A running feed; ended when dropped. On a test's failure it shows the end of its log.
pub(crate) struct Feed {
    process: Process,
    log: PathBuf,
}

impl Feed {
    /// Starts one; it listens when this returns.
    #[track_caller]
    pub(crate) fn start(service: &Service) -> Self {
        let feed = Self::launch(service);
        wait::until("a feed that listens", s(20), || {
            let (right, words) = Self::status(service);
            if right { Ok(()) } else { Err(words) }
        });
        feed
    }

    /// The same, whether it becomes one that listens or not.
    pub(crate) fn launch(service: &Service) -> Self {
        let log = service.folder().join("feed.log");
        Self { process: service.run("feed", &log), log }
    }

    /// Another one takes over, as a usual restart does it; the one before must end by itself with exit code 0.
    #[track_caller]
    pub(crate) fn succeed(&mut self, service: &Service) {
        let mut old = std::mem::replace(self, Self::launch(service));
        let status = old.process.finish(s(20));
        assert!(status.success(), "the feed that handed over ended with {status}");
        wait::until("the successor to listen", s(20), || {
            let (right, words) = Self::status(service);
            if right { Ok(()) } else { Err(words) }
        });
    }

    /// Sends a signal by name.
    #[track_caller]
    pub(crate) fn signal(&mut self, name: &str) {
        self.process.signal(name);
    }

    /// Kills it as the kernel would.
    #[track_caller]
    pub(crate) fn sigkill(&mut self) {
        self.process.signal("KILL");
        self.process.finish(s(5));
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ends(&mut self) -> bool {
        self.process.finish(s(20)).success()
    }

    /// Its log, and those of the feeds before it.
    pub(crate) fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// Whether `callcenter feed --status` says that all is well, and what it says.
    pub(crate) fn status(service: &Service) -> (bool, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callcenter"));
        service.beside(&mut command);
        command.current_dir(service.folder()).args(["feed", "--status", "--config"]);
        let output = command.arg(service.folder().join("test.toml")).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = self.log_text();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("the end of the feeds' log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
