//! A measured process, and what the kernel knows of it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Clock ticks a second in `/proc/PID/stat`: Linux has had 100 on every architecture for twenty years.
const TICKS: f64 = 100.0;

/// A process that ends with this value.
pub(crate) struct Measured(Child);

impl Measured {
    /// The bare loop.
    pub(crate) fn bare(port: u16, database: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--bare", &port.to_string()]).arg(database);
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// The service as it is shipped, but that no event is filtered, and that the journal may keep what 100,000 live calls hold.
    pub(crate) fn service(port: u16, folder: &Path, database: &Path, http: u16) -> Self {
        let config = folder.join("bench.toml");
        std::fs::write(&config, "[ari]\nevent_filter = []\n[journal]\nmax_bytes = 17179869184\n").unwrap();
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
        command
            .env_clear()
            .env("ARI_URL", format!("http://127.0.0.1:{port}/asterisk/ari"))
            .env("ARI_USERNAME", "demo")
            .env("ARI_PASSWORD", "demo-password")
            .env("ARI_APP_NAME", "callcenter-app")
            .env("DB_PATH", database)
            .env("HTTP_PORT", http.to_string())
            .current_dir(folder)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Self(command.spawn().unwrap())
    }

    /// Processor seconds used so far.
    pub(crate) fn cpu(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // The fields after the program's name, which may hold anything: utime and stime are the 12th and 13th.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = [11, 12].iter().map(|at: &usize| fields[*at].parse::<f64>().unwrap()).sum();
        ticks / TICKS
    }

    /// A number of `/proc/PID/status` in bytes: `VmHWM` (the most ever resident), `VmRSS` (now).
    pub(crate) fn memory(&self, name: &str) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).expect("memory in /proc");
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }

    /// Must still run.
    pub(crate) fn check(&mut self) {
        let ended = self.0.try_wait().unwrap();
        assert!(ended.is_none(), "the measured process ended: {ended:?}");
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
