//! The read pool: a bounded number of connections that can't write.

use std::path::PathBuf;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error as R2d2Error, Pool};

use super::look::{Refusal, uri};
use crate::config::Database;

/// How long a reader waits for a free connection.
const WAIT: Duration = Duration::from_secs(5);

/// KiB of each connection's page cache.
const CACHE_KIB: u32 = 4 * 1024;

/// Connections that read. They see what is committed, never hold up the writer and are never held up by it.
/// A clone shares the connections.
#[derive(Clone)]
pub struct ReadPool(Pool<ConnectionManager<SqliteConnection>>);

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// No connection was free in time, or none could be made.
    #[error("no read connection to the database in {} s ({detail}): raise database.read_connections", WAIT.as_secs())]
    NoConnection {
        /// The pool's words.
        detail: String,
    },
    /// The query failed.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
}

/// Why there is no pool.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The path is none that SQLite takes.
    #[error(transparent)]
    Path(#[from] Refusal),
    /// No connection could be made.
    #[error("'{path}' can't be opened for reading: {detail}")]
    Connect {
        /// The database.
        path: PathBuf,
        /// The reason.
        detail: String,
    },
}

impl ReadPool {
    /// The pool of the configured size. The database must be there already ([`super::open::open_write`]); connections are
    /// made when they are needed.
    ///
    /// # Errors
    /// When the path is none that SQLite takes, or the first connection can't be made.
    pub fn open(config: &Database) -> Result<Self, PoolError> {
        let uri = uri(&config.path, "mode=ro")?;
        let connect = |detail: String| PoolError::Connect { path: config.path.clone(), detail };
        let pool = Pool::builder()
            .max_size(config.read_connections.max(1))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(WAIT)
            .connection_customizer(Box::new(Setup { busy_timeout_ms: config.busy_timeout_ms }))
            .build(ConnectionManager::new(uri.as_str()))
            .map_err(|error| connect(error.to_string()))?;
        // One made here says at once what the pool would only say after its wait.
        SqliteConnection::establish(&uri).map_err(|error| connect(error.to_string()))?;
        Ok(Self(pool))
    }

    /// Runs a query on a free connection, waiting for one if need be. Blocks: not for an actor's thread.
    ///
    /// # Errors
    /// When no connection is free in time, or the query fails.
    pub fn read<T>(&self, query: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>) -> Result<T, ReadError> {
        let mut conn = self.0.get().map_err(|error| ReadError::NoConnection { detail: error.to_string() })?;
        Ok(query(&mut conn)?)
    }

    /// Runs several queries that all see the same state of the database.
    ///
    /// # Errors
    /// When no connection is free in time, or a query fails.
    pub fn read_at_once<T>(
        &self,
        queries: impl FnOnce(&mut SqliteConnection) -> QueryResult<T>,
    ) -> Result<T, ReadError> {
        self.read(|conn| conn.transaction(queries))
    }
}

/// What each new connection is told.
#[derive(Debug)]
struct Setup {
    busy_timeout_ms: u64,
}

impl CustomizeConnection<SqliteConnection, R2d2Error> for Setup {
    fn on_acquire(&self, conn: &mut SqliteConnection) -> Result<(), R2d2Error> {
        conn.batch_execute(&format!(
            "PRAGMA busy_timeout = {}; PRAGMA query_only = ON; PRAGMA cache_size = -{CACHE_KIB};",
            self.busy_timeout_ms
        ))
        .map_err(R2d2Error::QueryError)
    }
}
