//! One Asterisk, from its address to its application.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::Utc;
use tokio::net::{TcpStream, lookup_host};
use url::{Host, Url};

use super::feed;
use super::guard;
use super::report::{Outcome, Report, Step, Verdict};
use super::service::Service;
use super::stasis::{self, Entered};
use super::transport::transport;
use crate::actors::ari_http::{Answer, AriClient, AriHttp};
use crate::actors::journal::{JournalReader, folder};
use crate::ari::outcome::Outcome as Said;
use crate::ari::request::Request;
use crate::config::{Ari, Asterisk, Config};
use crate::model::NodeId;

/// The steps in their order; after one that failed the rest is skipped, each by its name.
const STEPS: [&str; 14] = [
    "address",
    "reach",
    "ari",
    "credentials",
    "write_access",
    "version",
    "transport",
    "clock",
    "guard",
    "feed",
    "application",
    "websocket",
    "subscribe_all",
    "test_call",
];
/// Where ARI usually is: http.conf without and with the `prefix` of Asterisk's own sample.
const USUAL: [&str; 2] = ["/ari", "/asterisk/ari"];
/// Supported major versions.
const VERSIONS: std::ops::RangeInclusive<u32> = 18..=22;
/// A clock that is off by more than this is told, seconds.
const CLOCK_LIMIT_S: f64 = 5.0;
/// The variable that is set and emptied to see whether the user may write.
const VARIABLE: &str = "CALLCENTER_DOCTOR";

/// Walks as far as the way goes; by what a test call can be seen, if it was reached.
pub(super) async fn walk(
    report: &mut Report,
    asterisk: &Asterisk,
    config: &Config,
    service: Option<&Service>,
    wait: u64,
) -> Option<Entered> {
    let mut walk = Walk { report, asterisk, config, next: 0, failed: None };
    let reached = walk.all(service, wait).await;
    if let (None, Some(failed)) = (&reached, walk.failed) {
        for _ in walk.next..STEPS.len() {
            walk.add("not tried", Outcome::skipped(format!("'{failed}' has to work first")));
        }
    }
    reached
}

struct Walk<'a> {
    report: &'a mut Report,
    asterisk: &'a Asterisk,
    config: &'a Config,
    /// Index of the next step.
    next: usize,
    /// The first step with a problem.
    failed: Option<&'static str>,
}

impl Walk<'_> {
    /// Notes what the next step came to.
    fn add(&mut self, tried: impl Into<String>, outcome: Outcome) {
        if let Some(step) = STEPS.get(self.next) {
            if outcome.result == Verdict::Problem {
                self.failed.get_or_insert(step);
            }
            self.report.add(Step::of(&self.asterisk.name, step, tried, outcome));
        }
        self.next += 1;
    }

    /// Notes a step that either gives something or ends the walk.
    fn need<T>(&mut self, tried: impl Into<String>, result: Result<(T, String), Outcome>) -> Option<T> {
        match result {
            Ok((value, found)) => {
                self.add(tried, Outcome::ok(found));
                Some(value)
            }
            Err(outcome) => {
                self.add(tried, outcome);
                None
            }
        }
    }

    async fn all(&mut self, service: Option<&Service>, wait: u64) -> Option<Entered> {
        let (asterisk, ari) = (self.asterisk, &self.config.ari);
        let shown = asterisk.shown_url();
        let made = AriHttp::new(asterisk, ari)
            .map(|http| (http.clone(), format!("ARI's root is {}", http.root())))
            .map_err(|e| Outcome::problem("it can't be used", e.to_string()));
        let http = self.need(format!("read asterisk.url (ARI_URL), {shown}"), made)?;
        let limit = Duration::from_millis(ari.connect_timeout_ms);
        let root = http.root().to_owned();
        let reached = reach(&root, limit).await;
        self.need(format!("connect to {root}"), reached)?;
        let client = http.client(1);
        let ping = client.ask(&Request::Ping).await;
        let answers = answers(asterisk, ari, &root, &ping).await;
        self.need(format!("GET {root}/asterisk/ping"), answers)?;
        let info = client.ask(&Request::Info).await;
        let here = Utc::now().timestamp_millis() as f64 / 1e3;
        let user = &asterisk.username;
        self.need(format!("GET /asterisk/info as '{user}'"), credentials(user, &info))?;
        let (may_write, outcome) = may_write(&client, user).await;
        self.add(format!("POST /asterisk/variable, {VARIABLE}"), outcome);
        self.add("version in /asterisk/info", version(&info));
        let running = service.and_then(|s| s.transport(&asterisk.name, http.root()));
        let outcome = transport(ari.transport, info.version().as_deref(), running);
        self.add("how requests about calls travel (ari.transport)", outcome);
        self.add("Date of Asterisk's answer against this machine's clock", clock(&info, here));
        let refreshed = service.and_then(|s| s.guard(&asterisk.name, http.root()));
        let outcome = guard::look(&client, &self.config.guard, refreshed).await;
        self.add(format!("GET /asterisk/variable, {}", self.config.guard.variable), outcome);
        let outcome = feed::look(&client, asterisk, self.config, info.version().as_deref()).await;
        self.add("who connects to whom for the feed (asterisk.feed_listen)", outcome);
        self.application(&http, &client, service, may_write, wait).await
    }

    /// The last part: whoever holds the application isn't disturbed.
    async fn application(
        &mut self,
        http: &AriHttp,
        client: &AriClient,
        service: Option<&Service>,
        may_write: bool,
        wait: u64,
    ) -> Option<Entered> {
        let app = http.app();
        let tried = format!("GET /applications/{app}");
        let held = match stasis::application(client, app).await {
            Ok(held) => held,
            Err(error) => {
                self.add(
                    tried,
                    Outcome::problem(error, "See Asterisk's own messages; is res_ari_applications.so loaded?"),
                );
                return None;
            }
        };
        let view = service.and_then(|s| s.connection(&self.asterisk.name, http.root()));
        match (held, view) {
            (None, None) => {
                self.add(tried, Outcome::ok("nobody holds it now: doctor takes it for a moment"));
                self.own_socket(http, client, may_write, wait).await
            }
            (Some(held), None) => {
                self.add(tried, held_by_another(app));
                self.add("not opened", Outcome::skipped("opening it would take the application from whoever holds it"));
                self.add("subscriptions of the application as it is", held.subscribe_all(app));
                let why = "a call can only be seen by the one who holds the application";
                self.add("not waited", Outcome::skipped(why));
                None
            }
            (held, Some(view)) => {
                let connected = view["state"] == "connected" && view["prepared"] == true;
                let outcome = if connected {
                    Outcome::ok("registered, by the running service")
                } else {
                    not_held_by_service(view)
                };
                self.add(tried, outcome);
                let held = held.filter(|_| connected)?;
                self.add("the socket is left to the running service", Outcome::ok("the service is connected by it"));
                self.add("subscriptions of the application", held.subscribe_all(app));
                self.journal(wait)
            }
        }
    }

    /// The running service's journal, in which a call can be seen that enters its application.
    fn journal(&mut self, wait: u64) -> Option<Entered> {
        if wait == 0 {
            self.add("not waited", Outcome::skipped("not asked for (--wait 0)"));
            return None;
        }
        let dir = folder(&self.config.journal, &self.config.database, &NodeId::new(self.asterisk.name.as_str()));
        let why = match JournalReader::open_at_end(&dir) {
            Ok(reader) if dir.is_dir() => return Some(Entered::Journal(reader)),
            Ok(_) => format!("the service's journal is not at '{}': give doctor its configuration", dir.display()),
            Err(error) => error.to_string(),
        };
        self.add("read the running service's journal", Outcome::skipped(why));
        None
    }

    async fn own_socket(&mut self, http: &AriHttp, client: &AriClient, may_write: bool, wait: u64) -> Option<Entered> {
        let tried = format!("WebSocket {}", http.events());
        if !may_write {
            let why = "not opened: a call that came meanwhile could not be sent on by a user who may only read";
            self.add(tried, Outcome::skipped(why));
            return None;
        }
        let held = match stasis::hold(http, &self.config.guard.variable).await {
            Ok(held) => held,
            Err(outcome) => {
                self.add(tried, outcome);
                return None;
            }
        };
        self.add(tried, Outcome::ok("opened"));
        let outcome = match stasis::application_soon(client, http.app()).await {
            Ok(Some(found)) => found.subscribe_all(http.app()),
            Ok(None) => Outcome::problem("Asterisk does not register the application", "See Asterisk's own messages."),
            Err(error) => Outcome::problem(error, "See Asterisk's own messages."),
        };
        self.add(format!("GET /applications/{} while connected", http.app()), outcome);
        if wait == 0 {
            held.release().await;
            self.add("not waited", Outcome::skipped("not asked for (--wait 0)"));
            return None;
        }
        Some(Entered::Held(held))
    }
}

/// The service runs, but its connection doesn't work: it says why.
fn not_held_by_service(view: &serde_json::Value) -> Outcome {
    let state = view["state"].as_str().unwrap_or("unknown");
    let error = view["last_error"].as_str().unwrap_or("it names no error; it may be connecting at this moment");
    Outcome::problem(
        format!("a service runs, but its connection is '{state}': {error}"),
        "Do what it says, or see the service's log; then run doctor again. 'yielded': another client has taken the \
         application, give each its own name (ARI_APP_NAME).",
    )
}

fn held_by_another(app: &str) -> Outcome {
    Outcome::warning(
        "it is there, but no callcenter with this configuration answers at http.port (HTTP_PORT)",
        format!(
            "Either another client holds '{app}' (a service elsewhere, or with another http.port): then stop it, or \
             give one of them another name (ARI_APP_NAME).\n\
             Or it has outlived its last client, by a subscription or a channel inside (`asterisk -rx 'ari show app \
             {app}'`): then the service takes it over when it starts."
        ),
    )
}

/// Name and port: the first address that takes a connection.
async fn reach(root: &str, limit: Duration) -> Result<((), String), Outcome> {
    let advice = "Check the host and port of asterisk.url (ARI_URL).";
    let url = Url::parse(root).map_err(|e| Outcome::problem(e.to_string(), advice))?;
    let port = url.port_or_known_default().unwrap_or(80);
    let addresses: Vec<SocketAddr> = match url.host() {
        Some(Host::Ipv4(ip)) => vec![(ip, port).into()],
        Some(Host::Ipv6(ip)) => vec![(ip, port).into()],
        Some(Host::Domain(name)) => match tokio::time::timeout(limit, lookup_host((name, port))).await {
            Ok(Ok(found)) => found.collect(),
            Ok(Err(error)) => {
                let advice =
                    "Check the spelling in asterisk.url (ARI_URL), /etc/hosts and DNS; an IP address works too.";
                return Err(Outcome::problem(format!("the name '{name}' is unknown: {error}"), advice));
            }
            Err(_) => {
                let found = format!("no answer about the name '{name}' in {} ms", limit.as_millis());
                return Err(Outcome::problem(found, "Check this machine's DNS; an IP address works too."));
            }
        },
        None => return Err(Outcome::problem("it names no host", advice)),
    };
    let mut last = Outcome::problem("the name has no address", advice);
    for address in addresses {
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(((), format!("{address} takes connections"))),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                last = Outcome::problem(
                    format!("{address} refuses: nothing listens there"),
                    "Is Asterisk running? In http.conf: enabled = yes, and bindaddr and bindport as in asterisk.url \
                     (ARI_URL); then `asterisk -rx 'module reload http'`. `asterisk -rx 'http show status'` shows them.",
                );
            }
            Ok(Err(error)) => last = Outcome::problem(format!("{address}: {error}"), advice),
            Err(_) => {
                last = Outcome::problem(
                    format!("{address} does not answer within {} ms", limit.as_millis()),
                    "The machine is away, or a firewall drops the packets: check the address in asterisk.url (ARI_URL), \
                     firewalls and VPN.",
                );
            }
        }
    }
    Err(last)
}

/// Whether ARI is what answers; a wrong user is the next step's matter.
async fn answers(asterisk: &Asterisk, ari: &Ari, root: &str, ping: &Answer) -> Result<((), String), Outcome> {
    let secure = root.starts_with("https:");
    match &ping.outcome {
        Said::Done { body } if body.windows(4).any(|part| part == b"pong") => Ok(((), "pong".to_owned())),
        Said::Unauthorized | Said::Refused(_) => Ok(((), format!("ARI answers ({})", ping.status))),
        Said::Unavailable => Err(Outcome::problem(
            "503: Asterisk is still starting, or it stops",
            "Wait a moment and try again; `asterisk -rx 'core waitfullybooted'`.",
        )),
        Said::Unreachable(why) if secure => Err(Outcome::problem(
            format!("TLS or the request failed: {why}"),
            "If a private authority signed Asterisk's certificate, name its PEM file as asterisk.ca_file. The name in \
             asterisk.url (ARI_URL) must be one of the certificate's. If the port speaks plain HTTP, write http://.",
        )),
        Said::TimedOut | Said::Unreachable(_) => Err(Outcome::problem(
            format!("the port takes connections but gives no HTTP answer: {}", ping.outcome),
            "Is it really Asterisk's HTTP port (bindport in http.conf)? A TLS port (tlsbindaddr) needs https://.",
        )),
        Said::Done { .. } | Said::Other { .. } | Said::Gone(_) => Err(elsewhere(asterisk, ari, root, ping).await),
        other => Err(Outcome::problem(format!("HTTP {}: {other}", ping.status), "See Asterisk's own messages.")),
    }
}

/// Something answers, but not ARI: at another path perhaps.
async fn elsewhere(asterisk: &Asterisk, ari: &Ari, root: &str, ping: &Answer) -> Outcome {
    let found = format!("HTTP {}: no ARI at this path", ping.status);
    if let Ok(mut url) = Url::parse(root) {
        let tried = url.path().to_owned();
        for path in USUAL.into_iter().filter(|path| *path != tried) {
            let mut there = asterisk.clone();
            url.set_path(path);
            there.url = url.to_string();
            let Ok(http) = AriHttp::new(&there, ari) else { continue };
            let answer = http.client(1).ask(&Request::Ping).await;
            let pong = answer.outcome.body().is_some_and(|body| body.windows(4).any(|part| part == b"pong"));
            if pong || matches!(answer.outcome, Said::Unauthorized) {
                return Outcome::problem(
                    format!("{found}, but at {url}"),
                    format!("Set asterisk.url (ARI_URL) to {url}. `prefix` in http.conf is what makes the path."),
                );
            }
        }
    }
    match server(root).await {
        Some(name) if !name.starts_with("Asterisk") => Outcome::problem(
            format!("{found}; what answers calls itself '{name}', not Asterisk"),
            "Check host and port of asterisk.url (ARI_URL) against bindport in http.conf. (`servername` in http.conf \
             can give Asterisk another name.)",
        ),
        Some(_) | None => Outcome::problem(
            format!("{found}, nor at {}", USUAL.join(" or ")),
            "In ari.conf: enabled = yes; in http.conf: enabled = yes, and `prefix` as in asterisk.url (ARI_URL). Then \
             `asterisk -rx 'module load res_ari.so'`, and for the rest `asterisk -rx 'module show like res_ari'`.",
        ),
    }
}

/// What the HTTP server calls itself. Not asked over TLS, where the certificate has told already.
async fn server(root: &str) -> Option<String> {
    let client = awc::Client::builder().timeout(Duration::from_secs(3)).disable_redirects().finish();
    let answer = client.get(root).send().await.ok().filter(|_| root.starts_with("http:"))?;
    let name = answer.headers().get("server").and_then(|name| name.to_str().ok()).unwrap_or("(no name)");
    Some(name.chars().take(80).collect())
}

fn credentials(user: &str, info: &Answer) -> Result<((), String), Outcome> {
    match &info.outcome {
        Said::Done { .. } => Ok(((), "accepted".to_owned())),
        Said::Unauthorized => Err(Outcome::problem(
            "401: wrong user name or password",
            format!(
                "Compare asterisk.username and asterisk.password (ARI_USERNAME, ARI_PASSWORD) with ari.conf:\n\
                 [{user}]\ntype = user\nread_only = no\npassword_format = plain\npassword = ...\n\
                 Then: asterisk -rx 'module reload res_ari.so'. `asterisk -rx 'ari show users'` lists them."
            ),
        )),
        Said::Refused(why) => Err(Outcome::problem(
            format!("403: {why}"),
            format!("See the section [{user}] of ari.conf, its acl, and http.conf."),
        )),
        other => Err(Outcome::problem(format!("HTTP {}: {other}", info.status), "See Asterisk's own messages.")),
    }
}

/// A harmless write: a variable that nobody reads, emptied again.
async fn may_write(client: &AriClient, user: &str) -> (bool, Outcome) {
    let set = |value: &str| Request::SetGlobalVariable { name: VARIABLE.to_owned(), value: value.to_owned() };
    let answer = client.ask(&set("1")).await;
    match answer.outcome {
        Said::Done { .. } => {
            let emptied = client.ask(&set("")).await.outcome.is_done();
            let rest = if emptied { "" } else { "; it could not be emptied again, which harms nothing" };
            (true, Outcome::ok(format!("the user may write{rest}")))
        }
        Said::Refused(why) => {
            let advice = format!(
                "The user may only read: calls could not be sent on from Stasis. In ari.conf, section [{user}]: \
                 read_only = no; then: asterisk -rx 'module reload res_ari.so'."
            );
            (false, Outcome::problem(format!("403: {why}"), advice))
        }
        other => (false, Outcome::problem(format!("HTTP {}: {other}", answer.status), "See Asterisk's own messages.")),
    }
}

fn version(info: &Answer) -> Outcome {
    let Some(version) = info.version() else {
        return Outcome::warning("Asterisk does not tell its version", "Versions 18 to 22 are supported.");
    };
    match major(&version) {
        Some(major) if VERSIONS.contains(&major) => Outcome::ok(format!("Asterisk {version}")),
        Some(major) if major < *VERSIONS.start() => Outcome::warning(
            format!("Asterisk {version} is older than what is supported, 18 to 22"),
            "It may work; upgrade Asterisk before you rely on it.",
        ),
        Some(_) => Outcome::warning(
            format!("Asterisk {version} is newer than what was tried, 18 to 22"),
            "It will likely work; see whether a newer callcenter names it.",
        ),
        None => Outcome::warning(format!("Asterisk {version}, of an unknown kind"), "Versions 18 to 22 are supported."),
    }
}

/// `22.10.1~dfsg-1`, `certified/20.7-cert1`, `GIT-21-abc`: the first number.
fn major(version: &str) -> Option<u32> {
    let digits = version.find(|c: char| c.is_ascii_digit())?;
    let rest = &version[digits..];
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

fn clock(info: &Answer, here: f64) -> Outcome {
    let Some(theirs) = info.clock() else {
        return Outcome::skipped("the answer has no Date");
    };
    let off = theirs - here;
    if off.abs() <= CLOCK_LIMIT_S {
        return Outcome::ok("the same within a second or two");
    }
    let which = if off > 0.0 { "ahead of" } else { "behind" };
    Outcome::warning(
        format!("Asterisk's clock is {:.0} s {which} this machine's", off.abs()),
        "Rows take Asterisk's times and are right by its clock. Use NTP on both machines: `timedatectl`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_in_all_their_forms() {
        for (text, wanted) in [
            ("22.10.1~dfsg+~cs6.17", Some(22)),
            ("certified/20.7-cert1", Some(20)),
            ("GIT-21-3f2e", Some(21)),
            ("unknown", None),
        ] {
            assert_eq!(major(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_clock_that_is_off_by_minutes_is_a_warning() {
        let answer = |at| Answer { asterisk_at: at, ..Answer::without_asterisk(Said::TimedOut, Duration::ZERO) };
        assert_eq!(clock(&answer(Some(1_000.0)), 1_001.2).result, Verdict::Ok);
        assert_eq!(clock(&answer(None), 1_001.2).result, Verdict::Skipped);
        let behind = clock(&answer(Some(1_000.0)), 1_300.5);
        assert_eq!(behind.result, Verdict::Warning);
        assert_eq!(behind.found, "Asterisk's clock is 300 s behind this machine's");
    }
}
