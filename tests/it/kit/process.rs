//! Child processes that end with the test, also with one that is killed.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::wait;

/// A child process that is killed when this is dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts it, without a standard input.
    pub(crate) fn spawn(name: &str, command: &mut Command) -> Self {
        let child =
            command.stdin(Stdio::null()).spawn().unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        guard(child.id());
        Self { name: name.into(), child, status: None }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().unwrap();
        }
        self.status
    }

    /// Sends it a signal by name (`TERM`, `KILL`); nothing if it has ended.
    pub(crate) fn signal(&mut self, name: &str) {
        if self.ended().is_none() {
            signal(self.id(), name);
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn finish(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("end of {}", self.name);
        wait::until(&what, limit, || self.ended().ok_or("still runs"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal("TERM");
        if wait::within(Duration::from_secs(2), || self.ended()).is_none() {
            self.signal("KILL");
            drop(self.child.wait());
        }
    }
}

/// Sends a signal by name.
pub(crate) fn signal(process: u32, name: &str) {
    drop(Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status());
}

/// Ends `process` once this test process is gone, however that went: a killed test runner runs no
/// destructors, and a forgotten PBX or service would hold its ports.
pub(crate) fn guard(process: u32) {
    let ends = r#"while kill -0 "$1" && kill -0 "$2"; do sleep 1; done 2>/dev/null; kill -0 "$1" || kill -s TERM "$2""#;
    let child = Command::new("setsid")
        .args(["-f", "sh", "-c", ends, "guard", &std::process::id().to_string(), &process.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(child.is_ok_and(|status| status.success()), "setsid (util-linux) is needed");
}
