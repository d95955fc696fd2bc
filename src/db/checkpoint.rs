//! Folding the write-ahead log into the database beside the writer.
//!
//! A checkpoint copies pages and waits for the disk twice. Done by the writer it is an eighth of its work and the longest of
//! its waits; a thread of its own does it while the writer goes on (SQLite lets a PASSIVE checkpoint run beside a
//! writer). The log begins anew only when all of it is folded in, which a busy writer may never leave it time for:
//! then the writer's own checkpoint, at 48 MiB, finds little left to do.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use tracing::warn;

use super::look::{Refusal, uri};

/// Bytes of events after which it is worth a checkpoint.
const EACH_BYTES: usize = 4 * 1024 * 1024;

/// How long the last checkpoint of a run waits for readers: the whole stop has 5 s.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// The thread that checkpoints, and how much has been written since it was last asked to.
#[derive(Debug)]
pub struct Checkpointer {
    /// `None` once it shall end.
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    written: usize,
}

/// Why there is no such thread. The writer checkpoints by itself then.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The path is none that SQLite takes.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// The database can't be opened a second time.
    #[error(transparent)]
    Connect(#[from] ConnectionError),
    /// The operating system gives no thread.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

impl Checkpointer {
    /// Starts the thread for the database at `path`, which must be there.
    ///
    /// # Errors
    /// See [`CheckpointError`].
    pub fn start(path: &Path) -> Result<Self, CheckpointError> {
        let connection = SqliteConnection::establish(&uri(path, "mode=rw")?)?;
        let (ask, asked) = sync_channel(1);
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(move || run(connection, &asked))?;
        Ok(Self { ask: Some(ask), thread: Some(thread), written: 0 })
    }

    /// Tells that so many bytes of events were committed.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= EACH_BYTES {
            self.written = 0;
            // Full: one is waiting for its turn already.
            let _ = self.ask.as_ref().map(|ask| ask.try_send(()));
        }
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.ask = None;
        // The last connection that closes folds the whole log in: this one shall not be it by chance.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A checkpoint's answer.
#[derive(QueryableByName)]
struct Answer {
    /// 1 when somebody was in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
}

/// Folds the whole log in and empties it; false when a reader that is still at an older state keeps some of it.
/// (<https://sqlite.org/pragma.html#pragma_wal_checkpoint>)
///
/// # Errors
/// When the database can't be read or written.
pub fn whole(connection: &mut SqliteConnection) -> QueryResult<bool> {
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", LAST_WAIT.as_millis()))?;
    let answer: Answer = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(connection)?;
    Ok(answer.busy == 0)
}

fn run(mut connection: SqliteConnection, asked: &Receiver<()>) {
    let mut failed = false;
    while asked.recv().is_ok() {
        let done = connection.batch_execute("PRAGMA wal_checkpoint(PASSIVE)");
        if let (Err(error), false) = (&done, failed) {
            warn!(%error, "a checkpoint failed; the writer does it by itself when the write-ahead log has grown");
        }
        failed = done.is_err();
    }
}
