//! The write transaction.

use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use diesel::result::Error;

/// Runs `work` in one IMMEDIATE transaction: committed when it succeeds, rolled back when anything fails.
///
/// Diesel's own `immediate_transaction` is not for a service that must outlive a full disk: SQLite rolls back by
/// itself then (and on some failures to read or write), diesel's ROLLBACK fails after that, its error hides the
/// first one, and the connection counts as broken from then on. Here such a ROLLBACK has nothing left to do.
///
/// # Errors
/// The first one that occurred, be it of `work` or of the commit.
pub(super) fn immediate<T, E: From<Error>>(
    conn: &mut SqliteConnection,
    work: impl FnOnce(&mut SqliteConnection) -> Result<T, E>,
) -> Result<T, E> {
    conn.batch_execute("BEGIN IMMEDIATE")?;
    let worked = work(conn).and_then(|done| {
        conn.batch_execute("COMMIT")?;
        Ok(done)
    });
    if worked.is_err() {
        // See above; and should it fail with the transaction still open, the next BEGIN says so.
        let _ = conn.batch_execute("ROLLBACK");
    }
    worked
}
