//! How a request that changes something gets on record: its entry before it is sent, its reply after.

use std::cell::Cell;
use std::future::Future;
use std::time::Duration;

use actix::{MailboxError, Message, Recipient};

use super::ari_http::Answer;
use super::messages::wall_clock;
use crate::ari::entry;

/// Characters of an answer's body that are kept with the reply.
const BODY_CHARS: usize = 2_000;
/// How often a message to a full mailbox is tried again.
const FULL_MAILBOX_PAUSE: Duration = Duration::from_millis(10);

/// Ids of commands, unique in a journal: whose they are, when its owner began, and a number.
#[derive(Debug)]
pub(super) struct CommandIds {
    prefix: String,
    next: Cell<u64>,
}

impl CommandIds {
    pub(super) fn new(owner: &str) -> Self {
        Self { prefix: format!("{owner}{:x}", (wall_clock() * 1e6) as u64), next: Cell::new(1) }
    }

    pub(super) fn next(&self) -> String {
        let number = self.next.get();
        self.next.set(number + 1);
        format!("{}-{number}", self.prefix)
    }
}

/// The journal's entry for an answer.
pub(super) fn reply(id: String, answer: &Answer) -> entry::Reply {
    let body = answer.outcome.body().filter(|b| !b.is_empty()).map(|b| {
        let text = String::from_utf8_lossy(&b[..b.len().min(4 * BODY_CHARS)]);
        text.chars().take(BODY_CHARS).collect()
    });
    let ms = (answer.took.as_secs_f64() * 1e6).round() / 1e3;
    // A refusal's sentence says more than its JSON, and there is one also when nothing came.
    let body = body.or_else(|| (!answer.outcome.is_done()).then(|| answer.outcome.to_string()));
    entry::Reply { id, status: answer.status, outcome: answer.outcome.word().to_owned(), ms, body }
}

/// Sends a message and waits for its answer, also when the mailbox is full.
///
/// actix 0.13.5's own request to a full mailbox is never woken when there is room again (its sender is parked without
/// a waker); polling it now and then is the way around.
pub(super) fn deliver<M>(
    to: &Recipient<M>,
    message: M,
) -> impl Future<Output = Result<M::Result, MailboxError>> + use<M>
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    // Called at once, not at the first poll: the place in the mailbox is taken now.
    let mut request = Box::pin(to.send(message));
    async move {
        loop {
            tokio::select! {
                answer = &mut request => return answer,
                () = tokio::time::sleep(FULL_MAILBOX_PAUSE) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ari::outcome::Outcome;

    #[test]
    fn ids_differ_and_name_their_owner() {
        let ids = CommandIds::new("c");
        let (a, b) = (ids.next(), ids.next());
        assert!(a.starts_with('c') && a.ends_with("-1") && b.ends_with("-2"), "{a} {b}");
    }

    #[test]
    fn a_reply_holds_the_word_and_at_most_so_much_of_the_body() {
        let done = Outcome::from_answer(200, "ž".repeat(5_000).into());
        let answer = Answer { status: 200, ..Answer::without_asterisk(done, Duration::from_micros(1_250)) };
        let kept = reply("c1".into(), &answer);
        assert_eq!((kept.status, kept.outcome.as_str(), kept.ms), (200, "done", 1.25));
        assert_eq!(kept.body.map(|b| b.chars().count()), Some(BODY_CHARS));

        let refused = reply("c2".into(), &Answer::without_asterisk(Outcome::TimedOut, Duration::from_secs(5)));
        assert_eq!((refused.status, refused.outcome.as_str()), (0, "timed_out"));
        assert_eq!(refused.body.as_deref(), Some("no answer in time"));
    }
}
