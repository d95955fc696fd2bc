//! Telegram: `sendMessage` of the Bot API (<https://core.telegram.org/bots/api#sendmessage>).

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::post::Poster;
use super::{Message, SendError};
use crate::config::{Alarms, Secret};

/// Telegram's limit for a text is 4,096 characters after parsing.
const MAX_CHARS: usize = 4_000;
/// The longest wait that is taken over from Telegram.
const MAX_WAIT_S: u64 = 600;

pub(super) struct Telegram {
    post: Poster,
    /// With the token in it, as Telegram wants it.
    url: Secret,
    chat: String,
}

/// What Telegram answers, as far as it matters.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Reply {
    ok: bool,
    description: String,
    parameters: Parameters,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Parameters {
    retry_after: Option<u64>,
}

impl Telegram {
    pub(super) fn new(post: Poster, alarms: &Alarms) -> Self {
        let root = alarms.telegram_url.trim_end_matches('/');
        let url = Secret::new(format!("{root}/bot{}/sendMessage", alarms.telegram_token.expose()));
        Self { post, url, chat: alarms.telegram_chat.clone() }
    }

    pub(super) async fn send(&self, message: &Message) -> Result<String, SendError> {
        let text = format!("{}\n\n{}", message.text.subject, message.text.body);
        let short: String = text.chars().take(MAX_CHARS).collect();
        let text = if short.len() < text.len() { format!("{short}…") } else { text };
        let body = json!({ "chat_id": self.chat, "text": text, "disable_web_page_preview": true }).to_string();
        let answer = self.post.post(self.url.expose(), &[], body).await?;
        let reply: Reply = serde_json::from_str(&answer.body).unwrap_or_default();
        if answer.status == 200 && reply.ok {
            return Ok("HTTP 200, ok".to_owned());
        }
        let hint = match answer.status {
            401 | 404 => ": check alarms.telegram_token, and alarms.telegram_url if it is another",
            400 | 403 => ": check alarms.telegram_chat, and that the bot may write there",
            _ => "",
        };
        let said: String = reply.description.chars().take(200).collect();
        let retry_after = reply.parameters.retry_after.map(|s| Duration::from_secs(s.min(MAX_WAIT_S)));
        Err(SendError { message: format!("Telegram answered HTTP {} {said}{hint}", answer.status), retry_after })
    }
}
