//! A real Asterisk of one's own: installed once, started by `tests/asterisk/up` on ports that no
//! other test uses, also when several test runs share the machine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::process::{guard, signal};
use super::records::{self, Cdr, Cel};
use super::wait;

/// Asterisks at once on one machine, over all test runs: each has a slot of ports.
const SLOTS: u16 = 10;
/// How long to wait for a free slot.
const SLOT_WAIT: Duration = Duration::from_secs(300);

/// The ARI user of the test Asterisk and its password (`tests/asterisk/conf/ari.conf`).
pub(crate) const USER: (&str, &str) = ("asterisk_dev", "your_secure_password");

/// Where the installed Asterisk lies.
pub(crate) fn root() -> PathBuf {
    let home = std::env::var_os("HOME").unwrap_or_else(|| "/root".into());
    std::env::var_os("ROOT").map_or_else(|| Path::new(&home).join(".cache/callcenter-asterisk/root"), PathBuf::from)
}

/// The folder `tests/asterisk`.
pub(crate) fn kit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/asterisk")
}

/// A running Asterisk; stopped when dropped.
pub(crate) struct Asterisk {
    slot: u16,
    /// Settings of `up` beside the ports.
    more: Vec<(&'static str, String)>,
    /// Held locked as long as the slot's ports are ours.
    _lock: File,
}

/// Where Asterisk's own records stood at some moment; the default is their beginning.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mark {
    cdr: u64,
    cel: u64,
}

impl Asterisk {
    /// Starts one.
    pub(crate) fn start() -> Self {
        Self::with(Vec::new())
    }

    /// Starts one whose channel ids begin with `systemname`.
    pub(crate) fn named(systemname: Option<&str>) -> Self {
        Self::with(systemname.map(|name| ("SYSTEMNAME", name.to_owned())).into_iter().collect())
    }

    /// Starts one whose HTTP server has no prefix and speaks TLS beside the plain port, with these PEM files.
    pub(crate) fn secure(certificate: &Path, key: &Path) -> Self {
        let [certificate, key] = [certificate, key].map(|path| path.display().to_string());
        Self::with(vec![("ARI_PREFIX", String::new()), ("ARI_TLS_CERT", certificate), ("ARI_TLS_KEY", key)])
    }

    /// Starts one that connects out to a feed at this port of the loopback interface, for the application
    /// `callcenter-app-feed`, as the server `main` with the password `feed-password`.
    pub(crate) fn outward(port: u16) -> Self {
        let set = |name, value: &str| (name, value.to_owned());
        Self::with(vec![
            set("OUTBOUND_WS", &format!("ws://127.0.0.1:{port}/feed/main")),
            set("OUTBOUND_APP", "callcenter-app-feed"),
            set("OUTBOUND_USER", "main"),
            set("OUTBOUND_PASSWORD", "feed-password"),
        ])
    }

    fn with(more: Vec<(&'static str, String)>) -> Self {
        let (slot, lock) =
            wait::until("a free slot of ports for an Asterisk", SLOT_WAIT, || free_slot().ok_or("all are taken"));
        let asterisk = Self { slot, more, _lock: lock };
        asterisk.script("down", &[("KILL", "1".into())]);
        drop(std::fs::remove_dir_all(asterisk.dir()));
        asterisk.up();
        asterisk
    }

    /// Starts it, again after [`kill9`](Self::kill9).
    pub(crate) fn up(&self) {
        let mut more = self.more.clone();
        if self.has("ARI_TLS_CERT") {
            more.push(("ARI_TLS_PORT", self.tls_port().to_string()));
        }
        self.script("up", &more);
        guard(self.pid());
    }

    /// Ends it as a crash would: no event, no farewell on any connection.
    pub(crate) fn kill9(&self) {
        let pid = self.pid();
        signal(pid, "KILL");
        let gone = Path::new("/proc").join(pid.to_string());
        // A zombie has no command line; who adopts it reaps it when it likes.
        wait::until("Asterisk's end", wait::s(10), || match std::fs::read(gone.join("cmdline")) {
            Ok(line) if !line.is_empty() => Err("still there"),
            Ok(_) | Err(_) => Ok(()),
        });
        self.script("down", &[]);
    }

    /// Runs one command of Asterisk's own command line and gives what it printed.
    pub(crate) fn cli(&self, command: &str) -> String {
        let config = format!("/inst/{}/etc/asterisk.conf", self.ari_port());
        let output = Command::new("chroot").arg(root()).args(["asterisk", "-C", &config, "-rx", command]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
    }

    /// Asterisk's messages, the last ones, for a failed test's report.
    pub(crate) fn messages(&self, lines: usize) -> String {
        let text = std::fs::read(self.dir().join("log/messages")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// ARI's root.
    pub(crate) fn url(&self) -> String {
        let prefix = if self.has("ARI_PREFIX") { "" } else { "/asterisk" };
        format!("http://127.0.0.1:{}{prefix}/ari", self.ari_port())
    }

    /// The same over TLS, of a [`secure`](Self::secure) one; `scheme` is `https` or `wss`.
    pub(crate) fn tls_url(&self, scheme: &str) -> String {
        format!("{scheme}://127.0.0.1:{}/ari", self.tls_port())
    }

    /// Switches ARI off as its owner would: in ari.conf, while the HTTP server goes on.
    pub(crate) fn disable_ari(&self) {
        let file = self.dir().join("etc/ari.conf");
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replacen("enabled = yes", "enabled = no", 1)).unwrap();
        self.cli("module reload res_ari.so");
        wait::until("ARI to be gone", wait::s(10), || match self.rest("GET", "asterisk/ping", &[]) {
            (404, _) => Ok(()),
            other => Err(other),
        });
    }

    /// Puts these lines behind those of one of its files.
    pub(crate) fn configure(&self, file: &str, lines: &str) {
        let path = self.dir().join("etc").join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}\n{lines}")).unwrap();
    }

    fn has(&self, name: &str) -> bool {
        self.more.iter().any(|(known, _)| *known == name)
    }

    fn tls_port(&self) -> u16 {
        8300 + self.slot
    }

    /// The number of its slot of ports.
    pub(crate) fn slot(&self) -> u16 {
        self.slot
    }

    /// The HTTP port.
    pub(crate) fn ari_port(&self) -> u16 {
        8200 + self.slot
    }

    /// The SIP port.
    pub(crate) fn sip_port(&self) -> u16 {
        5400 + 10 * self.slot
    }

    /// The SIP endpoint 1xx has its contact at this port plus its number. No slot's contacts (100 to
    /// 179) fall on another's, nor on those of an Asterisk that was started by hand.
    pub(crate) fn peer_base(&self) -> u16 {
        6100 + 80 * self.slot
    }

    /// The moment for [`cdr_since`](Self::cdr_since) and [`cel_since`](Self::cel_since).
    pub(crate) fn mark(&self) -> Mark {
        let length = |name| std::fs::metadata(self.dir().join(name)).map_or(0, |file| file.len());
        Mark { cdr: length(records::CDR), cel: length(records::CEL) }
    }

    /// Asterisk's call records written since then; those that are broken JSON (a caller's name with
    /// quotes makes them so) are left out.
    pub(crate) fn cdr_since(&self, mark: Mark) -> Vec<Cdr> {
        records::lines(&self.dir().join(records::CDR), mark.cdr)
    }

    /// Asterisk's channel events written since then.
    pub(crate) fn cel_since(&self, mark: Mark) -> Vec<Cel> {
        records::lines(&self.dir().join(records::CEL), mark.cel)
    }

    /// Its call records and its channel events, as it wrote them.
    pub(crate) fn own_records(&self) -> (Vec<u8>, Vec<u8>) {
        let read = |name| std::fs::read(self.dir().join(name)).unwrap_or_default();
        (read(records::CDR), read(records::CEL))
    }

    /// Its folder.
    pub(crate) fn dir(&self) -> PathBuf {
        root().join("inst").join(self.ari_port().to_string())
    }

    fn pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.dir().join("pid")).expect("a running Asterisk has a pid file");
        text.trim().parse().expect("a pid")
    }

    fn script(&self, name: &str, more: &[(&str, String)]) {
        let mut command = Command::new(kit().join(name));
        command
            .env("ROOT", root())
            .env("ARI_PORT", self.ari_port().to_string())
            .env("SIP_PORT", self.sip_port().to_string())
            .env("PEER_BASE", self.peer_base().to_string())
            .env("RTP_START", (12_000 + 1_000 * self.slot).to_string())
            .envs(more.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/asterisk/{name} failed: {errors}");
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("Asterisk's last messages (ARI port {}):\n{}", self.ari_port(), self.messages(25));
        }
        self.script("down", &[("KILL", "1".into())]);
    }
}

/// Takes the first slot that no test process holds. The lock goes with the file's end.
fn free_slot() -> Option<(u16, File)> {
    let folder = std::env::temp_dir().join("callcenter-test-slots");
    std::fs::create_dir_all(&folder).unwrap();
    (0..SLOTS).find_map(|slot| {
        let file = File::options().create(true).append(true).open(folder.join(slot.to_string())).unwrap();
        file.try_lock().is_ok().then_some((slot, file))
    })
}
