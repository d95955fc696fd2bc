//! Folding the write-ahead log into the database beside the writer.
//!
//! A checkpoint copies pages and waits for the disk twice. Done by the writer it is an eighth of its work and the longest of
//! its waits; a thread of its own does it while the writer goes on (SQLite lets a PASSIVE checkpoint run beside a
//! writer). The log begins anew only when all of it is folded in, which a busy writer may never leave it time for: beyond
//! 48 MiB this thread stands back, since two can't checkpoint at once, and the writer does it after its next commit. That
//! finds little left to do, and nothing is added meanwhile. (Without standing back the log grew to 2 GB on a slow disk.)

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use tracing::warn;

use super::look::{Refusal, uri};
use super::open::CHECKPOINT_PAGES;

/// Bytes of events after which it is worth a checkpoint.
const EACH_BYTES: usize = 8 * 1024 * 1024;

/// How long the last checkpoint of a run waits for readers: the whole stop has 5 s.
const LAST_WAIT: Duration = Duration::from_millis(300);

/// The thread that checkpoints, and how much has been written since it was last asked to.
#[derive(Debug)]
pub struct Checkpointer {
    /// `None` once it shall end.
    ask: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    written: usize,
    /// The log is so long that the writer shall checkpoint.
    long: Arc<AtomicBool>,
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
        let long = Arc::new(AtomicBool::new(false));
        let told = long.clone();
        let work = move || run(connection, &asked, &told);
        let thread = std::thread::Builder::new().name("checkpoint".into()).spawn(work)?;
        Ok(Self { ask: Some(ask), thread: Some(thread), written: 0, long })
    }

    /// Tells that so many bytes of events were committed.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= EACH_BYTES {
            self.written = 0;
            // For one turn the writer is alone with it.
            if self.long.swap(false, Ordering::Relaxed) {
                return;
            }
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

/// A checkpoint's answer (<https://sqlite.org/pragma.html#pragma_wal_checkpoint>).
#[derive(QueryableByName)]
struct Answer {
    /// 1 when somebody was in the way.
    #[diesel(sql_type = Integer)]
    busy: i32,
    /// Pages in the log.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// How many of them are folded in.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// Folds the whole log in and empties it; false when a reader that is still at an older state keeps some of it.
///
/// # Errors
/// When the database can't be read or written.
pub fn whole(connection: &mut SqliteConnection) -> QueryResult<bool> {
    connection.batch_execute(&format!("PRAGMA busy_timeout = {}", LAST_WAIT.as_millis()))?;
    let answer: Answer = diesel::sql_query("PRAGMA wal_checkpoint(TRUNCATE)").get_result(connection)?;
    Ok(answer.busy == 0)
}

fn run(mut connection: SqliteConnection, asked: &Receiver<()>, long: &AtomicBool) {
    let mut failed = false;
    while asked.recv().is_ok() {
        let done: QueryResult<Answer> = diesel::sql_query("PRAGMA wal_checkpoint(PASSIVE)").get_result(&mut connection);
        match done {
            Ok(Answer { log, checkpointed, .. }) => {
                failed = false;
                if log > CHECKPOINT_PAGES.cast_signed() && checkpointed < log {
                    long.store(true, Ordering::Relaxed);
                    // What was asked meanwhile is the writer's now.
                    let _ = asked.try_recv();
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failed, true) {
                    warn!(%error, "a checkpoint failed; the writer does it by itself when the write-ahead log has grown");
                }
            }
        }
    }
}
