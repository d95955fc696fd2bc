//! The bare loop: a reader of the socket in one thread, a prepared insert with group commit in another, the columns of
//! `events`, and no logic at all.

use std::sync::mpsc::{Receiver, sync_channel};

use futures_util::StreamExt as _;
use rusqlite::{Connection, params};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// Events between reader and writer, at most.
const BETWEEN: usize = 65_536;
/// Rows of one transaction, at most.
const BATCH: usize = 4_096;
/// The table as the service has it, and its settings of SQLite.
const SCHEMA: &str = "PRAGMA page_size = 4096; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 12288; PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;
    CREATE TABLE events (seq INTEGER NOT NULL PRIMARY KEY, node TEXT NOT NULL, at TEXT NOT NULL, type TEXT NOT NULL,
        channel_id TEXT, bridge_id TEXT, prev_seq INTEGER, body TEXT NOT NULL);";
const INSERT: &str = "INSERT INTO events (seq, node, at, type, channel_id, bridge_id, prev_seq, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

/// The process: the sender's port and the database.
pub(crate) fn main(mut arguments: impl Iterator<Item = String>) {
    let port = arguments.next().expect("a port");
    let path = arguments.next().expect("a database");
    let (give, take) = sync_channel::<Utf8Bytes>(BETWEEN);
    let writer = std::thread::spawn(move || write(&path, &take));
    let runtime = actix_rt::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = format!("ws://127.0.0.1:{port}/asterisk/ari/events?app=callcenter-app&subscribeAll=true");
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if let Message::Text(text) = message {
                give.send(text).unwrap();
            }
        }
    });
    drop(give);
    writer.join().unwrap();
}

/// Whatever came while one transaction ran is the next one.
fn write(path: &str, take: &Receiver<Utf8Bytes>) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(SCHEMA).unwrap();
    let mut insert = connection.prepare(INSERT).unwrap();
    let mut seq = 0_i64;
    while let Ok(first) = take.recv() {
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        for body in std::iter::once(first).chain(take.try_iter().take(BATCH - 1)) {
            seq += 1;
            let row = params![
                seq,
                "main",
                "2026-01-01T00:00:00.000Z",
                "ChannelVarset",
                "1700000000.1234",
                None::<&str>,
                seq - 1,
                body.as_str()
            ];
            insert.execute(row).unwrap();
        }
        connection.execute_batch("COMMIT").unwrap();
    }
}
