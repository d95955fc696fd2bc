//! The connection to the feed: for ever, with a short pause after each end.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::super::client::{FeedClient, FeedError};
use super::super::wire::{self, Answer, Request, WireError};
use super::{FollowedJournal, Gone, Pending, Said};
use crate::actors::journal::Position;

/// Between two tries: a feed that hands over is away for some ten milliseconds.
const RETRY: Duration = Duration::from_millis(50);
/// A feed that says nothing for so long is taken to have gone: it says each second how it is.
const SILENCE_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Link {
    pub(super) dir: PathBuf,
    /// Where the database was at the start.
    pub(super) committed: Position,
    pub(super) pending: Rc<RefCell<Pending>>,
    pub(super) filled: Rc<Notify>,
    pub(super) actor: Addr<FollowedJournal>,
}

impl Link {
    /// Ends when the actor has.
    pub(super) async fn run(self) {
        while self.actor.connected() {
            let reason = match self.follow().await {
                Ok(()) => return,
                Err(error) => error.to_string(),
            };
            if self.actor.send(Gone(reason)).await.is_err() {
                return;
            }
            sleep(RETRY).await;
        }
    }

    /// One connection, until it ends; `Ok` when the actor has ended.
    async fn follow(&self) -> Result<(), FeedError> {
        let mut client = FeedClient::connect(&self.dir).await?;
        let committed = self.pending.borrow().committed.unwrap_or(self.committed);
        client.send(&Request::Follow { pid: std::process::id(), committed }).await?;
        // What had no answer in the last connection is sent again.
        self.pending.borrow_mut().sent = 0;
        self.filled.notify_one();
        let (reader, writer) = client.split();
        let talk = async { tokio::try_join!(self.hear(reader), self.say(writer)).map(drop) };
        Ok(talk.await?)
    }

    async fn hear(&self, mut reader: BufReader<OwnedReadHalf>) -> Result<(), WireError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            timeout(SILENCE_LIMIT, wire::read_line(&mut reader, &mut line)).await.unwrap_or(Err(WireError::Closed))?;
            let answer: Answer = wire::parse(&line)?;
            let refused = if let Answer::Error { reason } = &answer { Some(reason.clone()) } else { None };
            if self.actor.send(Said(answer)).await.is_err() {
                return Err(WireError::Closed);
            }
            if let Some(reason) = refused {
                return Err(WireError::Garbage(reason));
            }
        }
    }

    async fn say(&self, mut writer: OwnedWriteHalf) -> Result<(), WireError> {
        loop {
            self.filled.notified().await;
            while let Some(line) = self.next() {
                writer.write_all(&line).await?;
            }
        }
    }

    /// What is to be said next.
    fn next(&self) -> Option<Rc<Vec<u8>>> {
        let mut pending = self.pending.borrow_mut();
        if let Some(item) = pending.items.get(pending.sent) {
            let line = item.line.clone();
            pending.sent += 1;
            return Some(line);
        }
        let request = if let Some(position) = pending.told.take() {
            Request::Committed { position }
        } else {
            Request::Trim { before: pending.trim.take()? }
        };
        wire::line(&request).ok().map(Rc::new)
    }
}
