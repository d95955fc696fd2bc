//! SIP endpoints: `tests/asterisk/sipp/run` as child processes.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use super::Asterisk;
use super::asterisk::kit;
use super::process::Process;
use super::wait;

/// Callers of this test process so far: each takes ports that no other has.
static CALLERS: AtomicU16 = AtomicU16::new(0);
/// Callers at once in one slot of ports.
const CALLER_PORTS: u16 = 300;

/// One SIP endpoint, callee or caller; it goes when dropped.
pub(crate) struct Sipp {
    what: String,
    process: Process,
    errors: tempfile::NamedTempFile,
}

impl Sipp {
    /// Waits until a caller's scenario is over; `true` if every message went as the scenario says.
    #[track_caller]
    pub(crate) fn finish(&mut self, limit: Duration) -> bool {
        self.process.finish(limit).success()
    }

    /// Waits until a caller's scenario went through as written.
    #[track_caller]
    pub(crate) fn succeed(&mut self, limit: Duration) {
        let right = self.finish(limit);
        let errors = std::fs::read_to_string(self.errors.path()).unwrap_or_default();
        assert!(right, "{} did not go as its SIP scenario says: {errors}", self.what);
    }
}

impl Asterisk {
    /// A callee at the contact of `endpoint`: `uas` (answers), `uas_busy`, `uas_noanswer`,
    /// `uas_reject`, `uas_unavailable`, `uas_forward`, `uas_refer`, with the script's settings (`ring=1000`).
    /// Ready to be called when this returns.
    #[track_caller]
    pub(crate) fn callee(&self, scenario: &str, endpoint: u16, settings: &[&str]) -> Sipp {
        let port = self.peer_base() + endpoint;
        assert!(!udp_bound(port), "something listens at {endpoint}'s port {port} already");
        let mut sipp = self.sipp(scenario, endpoint, settings);
        wait::until(&sipp.what.clone(), wait::s(20), || match sipp.process.ended() {
            Some(status) => panic!("{} ended at once: {status}", sipp.what),
            None if udp_bound(port) => Ok(()),
            None => Err("does not listen yet"),
        });
        sipp
    }

    /// A callee that rings `ring` milliseconds, answers, and hangs up after `talk` milliseconds
    /// unless the caller does before.
    #[track_caller]
    pub(crate) fn answerer(&self, endpoint: u16, ring: u32, talk: u32) -> Sipp {
        self.callee("uas", endpoint, &[&format!("ring={ring}"), &format!("talk={talk}")])
    }

    /// A caller: `uac`, `uac_cancel`, `uac_hold`, `uac_holds`, `uac_refer`, `uac_attended`, `uac_audio`,
    /// `uac_dtmf_info`, `uac_dtmf_rfc`.
    pub(crate) fn caller(&self, scenario: &str, endpoint: u16, settings: &[&str]) -> Sipp {
        self.sipp(scenario, endpoint, settings)
    }

    fn sipp(&self, scenario: &str, endpoint: u16, settings: &[&str]) -> Sipp {
        let what = format!("{scenario} {endpoint} {}", settings.join(" "));
        let errors = tempfile::NamedTempFile::new().unwrap();
        let number = CALLERS.fetch_add(1, Ordering::Relaxed) % CALLER_PORTS;
        let mut command = Command::new(kit().join("sipp/run"));
        command
            .arg(scenario)
            .arg(endpoint.to_string())
            .args(settings)
            .env("SIP_PORT", self.sip_port().to_string())
            .env("PEER_BASE", self.peer_base().to_string())
            .env("LOCAL_PORT", (50_000 + CALLER_PORTS * self.slot() + number).to_string())
            .env("MEDIA_PORT", (36_000 + 4 * (CALLER_PORTS * self.slot() + number)).to_string())
            .env("SIPP_ERR", errors.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Sipp { process: Process::spawn(&what, &mut command), what, errors }
    }
}

/// Whether a UDP socket is bound to this port (on any address).
fn udp_bound(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    let wanted = format!(":{port:04X}");
    table.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).any(|local| local.ends_with(&wanted))
}
