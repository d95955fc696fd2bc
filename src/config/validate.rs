//! The rules that values must keep, each with the sentence that says so.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;

use globset::Glob;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tracing_subscriber::EnvFilter;

use super::{Asterisk, Config, MAX_SERVERS, Mistake, alarms, events, feed, keys, ranges};

/// The names of log levels, `off` included.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

impl Config {
    /// Everything that is wrong with these values, not only the first. Looks at the files that are named, and
    /// changes nothing.
    pub fn validate(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        servers(&self.asterisk, &mut mistakes);
        ranges::check(self, &mut mistakes);
        relations(self, &mut mistakes);
        events::check(&self.ari.event_filter, &mut mistakes);
        guard(&self.guard.variable, &mut mistakes);
        paths(self, &mut mistakes);
        level(&self.log.level, &mut mistakes);
        lines(self, &mut mistakes);
        time_zone(&self.report.time_zone, &mut mistakes);
        alarms::check(self, &mut mistakes);
        feed::check(self, &mut mistakes);
        mistakes
    }
}

/// The guard's variable: what the dialplan can name as `${NAME}` without meaning a function or an inherited variable.
fn guard(name: &str, mistakes: &mut Vec<Mistake>) {
    let right = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 79
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !name.is_empty() && !right {
        let sentence = "Allowed: 1 to 79 of A-Z, a-z, 0-9 and _, a letter first; empty for no guard.";
        mistakes.push(Mistake::at("guard.variable", format!("{name:?}"), sentence));
    }
}

/// Every server, and that they don't stand in each other's way.
fn servers(servers: &[Asterisk], mistakes: &mut Vec<Mistake>) {
    if servers.len() > MAX_SERVERS {
        mistakes.push(Mistake::at("asterisk", servers.len(), format!("Allowed: at most {MAX_SERVERS} servers.")));
    }
    let mut names = HashMap::new();
    let mut apps = HashMap::new();
    for (index, server) in servers.iter().enumerate() {
        let mut wrong = |field: &str, found: String, allowed: &str| {
            mistakes.push(Mistake::at(keys::server_key(index, field), found, allowed));
        };
        one_server(server, &mut wrong);
        if let Some(first) = names.insert(server.name.as_str(), index) {
            let sentence = format!("Server {} has this name already; each needs its own, set `name`.", first + 1);
            wrong("name", format!("{:?}", server.name), &sentence);
        }
        if let Some(first) = apps.insert((server.url.trim_end_matches('/'), server.app.as_str()), index) {
            let sentence = format!(
                "Server {} has the same url and app, and would lose its events. Allowed: another app.",
                first + 1
            );
            wrong("app", format!("{:?}", server.app), &sentence);
        }
    }
}

/// What a node's name may be, as a sentence.
pub const NODE_NAME_RULE: &str = "Allowed: 1 to 32 of a-z, 0-9, _ and -. It is part of every row, so choose it once.";

/// Whether a node can have this name: it is part of keys in the database and the name of a folder.
pub fn is_node_name(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    (1..=32).contains(&text.len()) && text.chars().all(allowed)
}

/// One server's fields. `wrong` takes field, what was found, what is allowed.
fn one_server(server: &Asterisk, wrong: &mut impl FnMut(&str, String, &str)) {
    if !is_node_name(&server.name) {
        wrong("name", format!("{:?}", server.name), NODE_NAME_RULE);
    }
    if let Some(sentence) = url_mistake(&server.url) {
        wrong("url", format!("{:?}", server.shown_url()), &sentence);
    }
    if server.username.is_empty() || server.username.contains(|c: char| c == ':' || c.is_control()) {
        let sentence = "Allowed: a user of Asterisk's ari.conf, without a colon.";
        wrong("username", format!("{:?}", server.username), sentence);
    }
    if server.password.is_empty() {
        wrong("password", "nothing".into(), "Set the password that ari.conf gives to this user.");
    } else if server.password.expose().contains(char::is_control) {
        wrong("password", "a control character".into(), "Allowed: text on one line.");
    }
    let app_stopper = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '?' | '&' | '#' | '/' | '%');
    if server.app.is_empty() || server.app.len() > 79 || server.app.contains(app_stopper) {
        let sentence = "Allowed: 1 to 79 characters without spaces or any of , ? & # / %, as the dialplan's \
                        Stasis(app) names it.";
        wrong("app", format!("{:?}", server.app), sentence);
    }
    if let Some(sentence) = server.ca_file.as_deref().and_then(ca_mistake) {
        wrong("ca_file", format!("{:?}", server.ca_file.as_deref().unwrap_or(Path::new(""))), &sentence);
    }
}

/// Why this is no root of ARI.
fn url_mistake(text: &str) -> Option<String> {
    let why = match url::Url::parse(text) {
        Err(error) => format!("This is no URL ({error}). "),
        Ok(url) if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") => "The scheme is another. ".into(),
        Ok(url) if url.host_str().is_none_or(str::is_empty) => "The host is missing. ".into(),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "Credentials don't belong into it: use username and password. ".into()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "It ends with the path, without ? and #. ".into()
        }
        Ok(_) => return None,
    };
    Some(format!("{why}Allowed: http, https, ws or wss, host, port and path, such as http://127.0.0.1:8088/ari."))
}

/// Why this is no file of certificates.
pub(super) fn ca_mistake(path: &Path) -> Option<String> {
    let allowed = "Allowed: a file of PEM certificates (-----BEGIN CERTIFICATE-----).";
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) => return Some(format!("It can't be read: {error}. {allowed}")),
    };
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        if !certificate.is_ok_and(|certificate| roots.add(certificate).is_ok()) {
            return Some(format!("It is damaged. {allowed}"));
        }
    }
    roots.is_empty().then(|| format!("It holds no certificate. {allowed}"))
}

/// Numbers that must fit each other.
fn relations(config: &Config, mistakes: &mut Vec<Mistake>) {
    let (ari, journal) = (&config.ari, &config.journal);
    if ari.backoff_max_ms < ari.backoff_min_ms {
        let sentence = format!("Allowed: at least ari.backoff_min_ms, which is {}.", ari.backoff_min_ms);
        mistakes.push(Mistake::at("ari.backoff_max_ms", ari.backoff_max_ms, sentence));
    }
    if ari.dead_after_ms <= ari.ping_interval_ms {
        let sentence = format!("Allowed: more than ari.ping_interval_ms, which is {}.", ari.ping_interval_ms);
        mistakes.push(Mistake::at("ari.dead_after_ms", ari.dead_after_ms, sentence));
    }
    if journal.max_bytes / 2 < journal.segment_bytes {
        let sentence = format!("Allowed: at least twice journal.segment_bytes, which is {}.", journal.segment_bytes);
        mistakes.push(Mistake::at("journal.max_bytes", journal.max_bytes, sentence));
    }
}

/// Paths that can't be what they are named for.
fn paths(config: &Config, mistakes: &mut Vec<Mistake>) {
    let database = config.database.path.as_path();
    let text = database.to_string_lossy();
    let sentence = "Allowed: the path of an SQLite file; it is made where there is none.";
    // SQLite would take these two for a database in memory and for a URI.
    if text.is_empty() || text == ":memory:" || text.starts_with("file:") || database.is_dir() {
        mistakes.push(Mistake::at("database.path", format!("{text:?}"), sentence));
    } else if database.parent().is_some_and(Path::is_file) {
        mistakes.push(Mistake::at("database.path", format!("{text:?}"), "Its folder is a file. Allowed: a folder."));
    }
    let journal = config.journal_dir();
    if journal.is_file() || journal == database {
        let sentence = "This is a file. Allowed: a folder; empty is `journal` beside the database.";
        mistakes.push(Mistake::at("journal.dir", format!("{:?}", journal.to_string_lossy()), sentence));
    }
}

/// The filter of log lines.
fn level(text: &str, mistakes: &mut Vec<Mistake>) {
    if let Some(why) = level_mistake(text) {
        let sentence = format!("{why}Allowed: {}, also per module: info,callcenter::actors=debug.", LEVELS.join(", "));
        mistakes.push(Mistake::at("log.level", format!("{text:?}"), sentence));
    }
}

/// Why these are no levels. The filter takes a bare word that is no level for a module, which would silence all others.
pub(super) fn level_mistake(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("It is empty. ".into());
    }
    let bare = |part: &&str| !part.contains(['=', '[', ']', '{', '}']);
    let is_level = |part: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part));
    if let Some(word) = text.split(',').map(str::trim).filter(bare).find(|part| !is_level(part)) {
        return Some(format!("{word:?} is no level. {}", keys::suggestion(word, LEVELS)));
    }
    EnvFilter::builder().parse(text).err().map(|error| format!("It can't be read ({error}). "))
}

/// Country, trunks and contexts.
fn lines(config: &Config, mistakes: &mut Vec<Mistake>) {
    let lines = &config.lines;
    let known = phonenumber::country::Id::from_str(&lines.country).is_ok()
        && phonenumber::metadata::DATABASE.by_id(&lines.country).is_some();
    if !known {
        let sentence = "Allowed: a country with numbers of its own, two capital letters of ISO 3166: RU, DE, US.";
        mistakes.push(Mistake::at("lines.country", format!("{:?}", lines.country), sentence));
    }
    for pattern in &lines.trunks {
        let why = match Glob::new(pattern) {
            Ok(_) if !pattern.trim().is_empty() => continue,
            Ok(_) => "It is empty".to_owned(),
            Err(error) => error.kind().to_string(),
        };
        let sentence =
            format!("{why}. Allowed: globs over channel names without their last part, such as PJSIP/trunk-*.");
        mistakes.push(Mistake::at("lines.trunks", format!("{pattern:?}"), sentence));
    }
    for context in &lines.inbound_contexts {
        if context.is_empty() || context.contains(char::is_whitespace) {
            let sentence = "Allowed: names of dialplan contexts, without spaces.";
            mistakes.push(Mistake::at("lines.inbound_contexts", format!("{context:?}"), sentence));
        }
    }
}

/// The zone of reports.
fn time_zone(text: &str, mistakes: &mut Vec<Mistake>) {
    if chrono_tz::Tz::from_str(text).is_ok() {
        return;
    }
    let zones = || chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
    let city = zones().find(|zone| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(text)));
    let hint = match city.or_else(|| keys::nearest(text, zones())) {
        Some(zone) => format!("Did you mean {zone}? "),
        None => String::new(),
    };
    let sentence = format!("{hint}Allowed: a time zone of the IANA list, such as UTC or Europe/Moscow.");
    mistakes.push(Mistake::at("report.time_zone", format!("{text:?}"), sentence));
}
