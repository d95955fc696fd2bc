//! The ways to people: webhook, e-mail, Telegram. Each sends one message and says what came back; no error holds a secret.

mod email;
mod post;
mod telegram;
mod webhook;

use std::time::Duration;

use super::event::Notification;
use super::text::{self, Text};
use crate::config::{Alarms, Config, Secret};
use email::Email;
use post::Poster;
use telegram::Telegram;
use webhook::Webhook;

/// Why a message did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SendError {
    /// What happened and, where that is known, what to do; never a secret.
    pub message: String,
    /// The other side asks to wait so long.
    pub retry_after: Option<Duration>,
}

impl SendError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), retry_after: None }
    }
}

/// What is sent: a notification and its text.
#[derive(Clone, Debug)]
pub struct Message {
    /// What it tells.
    pub notification: Notification,
    /// The same for people.
    pub text: Text,
    /// `alarms.site`.
    pub site: String,
}

impl Message {
    /// A notification, written as the configuration says.
    pub fn new(notification: &Notification, config: &Config) -> Self {
        let text = text::write(notification, config);
        Self { notification: notification.clone(), text, site: config.alarms.site.clone() }
    }
}

/// One configured way.
pub struct Channel {
    /// `webhook`, `email` or `telegram`.
    pub name: &'static str,
    way: Way,
    timeout: Duration,
    secrets: Vec<Secret>,
}

enum Way {
    Webhook(Webhook),
    Email(Box<Email>),
    Telegram(Telegram),
    /// It can't be used as it is configured, and why.
    Broken(String),
}

/// The names of all ways.
pub const NAMES: [&str; 3] = ["webhook", "email", "telegram"];

impl Channel {
    /// The configured ones. One that can't be used is there too, and says so when it is used.
    pub fn all(alarms: &Alarms) -> Vec<Self> {
        let mut all = Vec::new();
        let timeout = Duration::from_millis(alarms.send_timeout_ms);
        let mut add = |name, way: Result<Way, String>, secrets: &[&Secret]| {
            let secrets = secrets.iter().filter(|secret| !secret.is_empty()).map(|secret| (*secret).clone()).collect();
            all.push(Self { name, way: way.unwrap_or_else(Way::Broken), timeout, secrets });
        };
        let poster = |address: &str| Poster::new(address, alarms.ca_file(), timeout);
        if !alarms.webhook_url.is_empty() {
            let way = poster(alarms.webhook_url.expose()).map(|post| Way::Webhook(Webhook::new(post, alarms)));
            add("webhook", way, &[&alarms.webhook_url, &alarms.webhook_secret]);
        }
        if !alarms.smtp_host.is_empty() {
            add("email", Email::new(alarms).map(|email| Way::Email(Box::new(email))), &[&alarms.smtp_password]);
        }
        if !alarms.telegram_token.is_empty() {
            let way = poster(&alarms.telegram_url).map(|post| Way::Telegram(Telegram::new(post, alarms)));
            add("telegram", way, &[&alarms.telegram_token]);
        }
        all
    }

    /// Sends it once; what came back.
    ///
    /// # Errors
    /// When it did not arrive, or not within `alarms.send_timeout_ms`.
    pub async fn send(&self, message: &Message) -> Result<String, SendError> {
        let sending = async {
            match &self.way {
                Way::Webhook(webhook) => webhook.send(message).await,
                Way::Email(email) => email.send(message).await,
                Way::Telegram(telegram) => telegram.send(message).await,
                Way::Broken(why) => Err(SendError::new(why.clone())),
            }
        };
        let answer = tokio::time::timeout(self.timeout, Box::pin(sending)).await;
        let late = || SendError::new(format!("no answer within {} ms", self.timeout.as_millis()));
        match answer.unwrap_or_else(|_| Err(late())) {
            Ok(answer) => Ok(self.without_secrets(answer)),
            Err(error) => Err(SendError { message: self.without_secrets(error.message), ..error }),
        }
    }

    /// The other side may give back what it was sent.
    fn without_secrets(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| text.replace(secret.expose(), "***"))
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
