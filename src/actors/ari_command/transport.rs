//! How a request travels: over the event socket where that takes requests, else over HTTP. The outcomes are the same.

use std::time::{Duration, Instant};

use crate::actors::ari_http::{Answer, AriClient};
use crate::actors::ari_socket::{Fate, SocketRest};
use crate::ari::outcome::Outcome;
use crate::ari::request::Request;

pub(super) struct Transport {
    pub(super) http: AriClient,
    pub(super) socket: SocketRest,
    /// `request_timeout_ms`.
    pub(super) limit: Duration,
}

impl Transport {
    /// Sends it and waits for the answer, within the limit. As over HTTP, only a request that changes nothing is sent a
    /// second time when its connection turns out to be closed; for others nobody knows whether they were done.
    pub(super) async fn ask(&self, request: &Request, id: &str) -> Answer {
        let began = Instant::now();
        let over_socket = |outcome, status| {
            let answer = Answer::without_asterisk(outcome, began.elapsed());
            Answer { status, over_socket: true, ..answer }
        };
        match tokio::time::timeout(self.limit, self.socket.ask(request, id)).await {
            Ok(Fate::Answered { status, body }) => over_socket(Outcome::from_answer(status, body), status),
            Ok(Fate::NotSent) => self.over_http(request, began).await,
            Ok(Fate::Full) => Answer::without_asterisk(Outcome::QueueFull, began.elapsed()),
            Ok(Fate::Lost) if request.changes_something() => {
                over_socket(Outcome::Unreachable("the connection was closed before the answer".into()), 0)
            }
            Ok(Fate::Lost) => Answer { retried: true, ..self.over_http(request, began).await },
            Err(_) => {
                self.socket.doubt();
                over_socket(Outcome::TimedOut, 0)
            }
        }
    }

    /// Over HTTP, in what is left of the time.
    async fn over_http(&self, request: &Request, began: Instant) -> Answer {
        let left = self.limit.saturating_sub(began.elapsed());
        let answer = tokio::time::timeout(left, self.http.ask(request)).await;
        let answer = answer.unwrap_or_else(|_| Answer::without_asterisk(Outcome::TimedOut, Duration::ZERO));
        Answer { took: began.elapsed(), ..answer }
    }
}
