//! What people are told by themselves, and how: `[alarms]`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use chrono::{NaiveTime, Weekday};
use serde::{Deserialize, Serialize};

use super::validate::ca_mistake;
use super::{Config, Mistake, Secret};

/// Alarms: `[alarms]`. Nothing is sent while no channel (webhook, SMTP, Telegram) is configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Alarms {
    /// The language of messages.
    pub language: Language,
    /// The name of this place in messages, for those who look after several.
    pub site: String,
    /// Hours between reminders of an alarm that lasts; 0 sends none.
    pub remind_h: u64,
    /// Milliseconds in which what happens goes into one message.
    pub burst_ms: u64,
    /// Seconds without a connection to an Asterisk; 0 switches this alarm off.
    pub asterisk_unreachable_s: u64,
    /// Minutes of working time without an inbound call; 0 switches it off.
    pub no_inbound_min: u64,
    /// Working days: `mon` to `sun`.
    pub work_days: Vec<String>,
    /// When the working day begins, `HH:MM` by `report.time_zone`.
    pub work_from: String,
    /// When it ends; not later than it begins is on the next day.
    pub work_to: String,
    /// Whether gaps are told.
    pub gaps: bool,
    /// Seconds: shorter gaps are not told.
    pub gap_min_s: u64,
    /// Seconds between two messages about gaps; those in between are summed up in the next.
    pub gap_every_s: u64,
    /// Per cent of a trunk's outbound calls that fail; 0 switches it off.
    pub trunk_failures_percent: u64,
    /// Calls that a trunk must have had for that.
    pub trunk_failures_calls: u64,
    /// The minutes over which they are counted.
    pub trunk_failures_min: u64,
    /// MiB free on the disk of the database or of the journal, below which it is low; 0 switches it off.
    pub disk_free_mb: u64,
    /// The same in per cent of the disk; 0 switches it off.
    pub disk_free_percent: u64,
    /// Seconds that the database is behind the journal; 0 switches it off.
    pub writer_behind_s: u64,
    /// Milliseconds that one try to send may take.
    pub send_timeout_ms: u64,
    /// Tries to send one message through one channel.
    pub send_attempts: u64,
    /// The wait before the second try, milliseconds; doubles each time, up to ten minutes.
    pub send_retry_ms: u64,
    /// A PEM file with a private certificate authority of webhook, mail server or Telegram's stand-in; empty: none.
    pub ca_file: PathBuf,
    /// Where alarms are posted as JSON. Services put tokens into such addresses, so it is treated as a secret.
    pub webhook_url: Secret,
    /// The key of the signature; empty: posts are not signed.
    pub webhook_secret: Secret,
    /// The mail server; empty: no mail.
    pub smtp_host: String,
    /// Its port.
    pub smtp_port: u16,
    /// How the way to it is protected.
    pub smtp_security: SmtpSecurity,
    /// The user at the mail server; empty: without a login.
    pub smtp_username: String,
    /// That user's password.
    pub smtp_password: Secret,
    /// The sender.
    pub smtp_from: String,
    /// The recipients.
    pub smtp_to: Vec<String>,
    /// The bot's token, from BotFather; empty: no Telegram.
    pub telegram_token: Secret,
    /// The chat: a number (negative for groups) or `@channel`.
    pub telegram_chat: String,
    /// Telegram's API, or a proxy of it.
    pub telegram_url: String,
}

/// The language of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// Russian.
    Ru,
}

/// How the way to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpSecurity {
    /// Begins plain and must go over to TLS before anything else (usually port 587).
    Starttls,
    /// TLS from the first byte (usually port 465).
    Tls,
    /// Not at all: only to a mail server on this machine.
    None,
}

impl Default for Alarms {
    fn default() -> Self {
        Self {
            language: Language::En,
            site: String::new(),
            remind_h: 4,
            burst_ms: 5_000,
            asterisk_unreachable_s: 30,
            no_inbound_min: 0,
            work_days: ["mon", "tue", "wed", "thu", "fri"].map(str::to_owned).to_vec(),
            work_from: "09:00".into(),
            work_to: "18:00".into(),
            gaps: true,
            gap_min_s: 5,
            gap_every_s: 300,
            trunk_failures_percent: 50,
            trunk_failures_calls: 10,
            trunk_failures_min: 15,
            disk_free_mb: 1_024,
            disk_free_percent: 0,
            writer_behind_s: 60,
            send_timeout_ms: 10_000,
            send_attempts: 150,
            send_retry_ms: 5_000,
            ca_file: PathBuf::new(),
            webhook_url: Secret::default(),
            webhook_secret: Secret::default(),
            smtp_host: String::new(),
            smtp_port: 587,
            smtp_security: SmtpSecurity::Starttls,
            smtp_username: String::new(),
            smtp_password: Secret::default(),
            smtp_from: String::new(),
            smtp_to: Vec::new(),
            telegram_token: Secret::default(),
            telegram_chat: String::new(),
            telegram_url: "https://api.telegram.org".into(),
        }
    }
}

impl Alarms {
    /// The secret of this field of the section, if it is one.
    pub(super) fn secret(&self, field: &str) -> Option<&Secret> {
        match field {
            "webhook_url" => Some(&self.webhook_url),
            "webhook_secret" => Some(&self.webhook_secret),
            "smtp_password" => Some(&self.smtp_password),
            "telegram_token" => Some(&self.telegram_token),
            _ => None,
        }
    }

    /// The private certificate authority, if one is named.
    pub fn ca_file(&self) -> Option<&Path> {
        Some(self.ca_file.as_path()).filter(|path| !path.as_os_str().is_empty())
    }

    /// The working days; a word that is none (which validation refuses) is left out.
    pub fn days(&self) -> Vec<Weekday> {
        self.work_days.iter().filter_map(|day| weekday(day)).collect()
    }
}

/// `mon` to `sun`.
fn weekday(text: &str) -> Option<Weekday> {
    let known = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    known.contains(&text).then(|| Weekday::from_str(text).ok()).flatten()
}

/// `HH:MM`; `24:00`, the day's end, is the next day's beginning.
pub fn time_of_day(text: &str) -> Option<NaiveTime> {
    if text == "24:00" { Some(NaiveTime::MIN) } else { NaiveTime::parse_from_str(text, "%H:%M").ok() }
}

/// What is wrong in the section.
pub(super) fn check(config: &Config, mistakes: &mut Vec<Mistake>) {
    let alarms = &config.alarms;
    let mut wrong = |key: &str, found: String, allowed: &str| {
        mistakes.push(Mistake::at(format!("alarms.{key}"), found, allowed));
    };
    for day in alarms.work_days.iter().filter(|day| weekday(day).is_none()) {
        wrong("work_days", format!("{day:?}"), "Allowed: mon, tue, wed, thu, fri, sat, sun.");
    }
    for (key, text) in [("work_from", &alarms.work_from), ("work_to", &alarms.work_to)] {
        if time_of_day(text).is_none() {
            wrong(key, format!("{text:?}"), "Allowed: a time of day from 00:00 to 24:00, such as 09:00.");
        }
    }
    if alarms.no_inbound_min > 0 && config.lines.trunks.is_empty() && config.lines.inbound_contexts.is_empty() {
        let sentence = "No call is known to be inbound, as neither lines.trunks nor lines.inbound_contexts is set. Set \
                        one of them, or 0 here.";
        wrong("no_inbound_min", alarms.no_inbound_min.to_string(), sentence);
    }
    if let Some(sentence) = alarms.ca_file().and_then(ca_mistake) {
        wrong("ca_file", format!("{:?}", alarms.ca_file), &sentence);
    }
    check_channels(alarms, &mut wrong);
}

fn check_channels(alarms: &Alarms, wrong: &mut impl FnMut(&str, String, &str)) {
    let hidden = || "something else (not shown)".to_owned();
    if !alarms.webhook_url.is_empty() && !is_http(alarms.webhook_url.expose()) {
        wrong("webhook_url", hidden(), "Allowed: an http or https address, such as https://example.org/hook.");
    }
    if !is_http(&alarms.telegram_url) || alarms.telegram_url.contains(['@', '?', '#']) {
        let sentence = "Allowed: an http or https address without credentials, such as https://api.telegram.org.";
        wrong("telegram_url", hidden(), sentence);
    }
    let in_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '-');
    if !alarms.telegram_token.expose().chars().all(in_path) {
        wrong("telegram_token", hidden(), "Allowed: the token as BotFather gave it: digits, a colon, letters.");
    }
    if !alarms.telegram_token.is_empty() && alarms.telegram_chat.is_empty() {
        let sentence = "Set the chat that gets the alarms: its number, such as \"-1001234567890\", or \"@channel\".";
        wrong("telegram_chat", "nothing".into(), sentence);
    }
    if alarms.smtp_host.is_empty() {
        return;
    }
    let is_address = |text: &str| text.parse::<lettre::message::Mailbox>().is_ok();
    if !is_address(&alarms.smtp_from) {
        wrong("smtp_from", format!("{:?}", alarms.smtp_from), "Set the sender's address: \"callcenter@example.org\".");
    }
    if alarms.smtp_to.is_empty() {
        wrong("smtp_to", "nothing".into(), "Set the recipients: [\"admin@example.org\"].");
    }
    for address in alarms.smtp_to.iter().filter(|address| !is_address(address)) {
        wrong("smtp_to", format!("{address:?}"), "Allowed: mail addresses: [\"admin@example.org\"].");
    }
    let local = matches!(alarms.smtp_host.as_str(), "localhost" | "127.0.0.1" | "::1");
    if alarms.smtp_security == SmtpSecurity::None && !local {
        let sentence = "Only a mail server on this machine may be spoken to without TLS. Allowed: starttls or tls.";
        wrong("smtp_security", "\"none\"".into(), sentence);
    }
}

fn is_http(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
}
