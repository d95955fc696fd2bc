//! `INSERT ... ON CONFLICT`, prepared once for each connection.
//!
//! Diesel's own `do_update` is prepared anew for each row, since in general its SQL depends on its values. Ours
//! doesn't: the columns are fixed. Preparing such a statement for a row of `calls` takes ten times as long as
//! running it, and such rows are written about as often as events.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;

/// An insert that, where a row with the same key is there, writes some columns of that row anew.
#[derive(Debug)]
pub(super) struct Upsert<Q> {
    /// The insert: every column appears in it, whatever its value.
    pub(super) insert: Q,
    /// The columns of the unique key.
    pub(super) key: &'static [&'static str],
    /// The columns that take the new values; with none, the row that is there stays as it is.
    pub(super) anew: &'static [&'static str],
}

/// The names of a table's columns, from the schema: one that isn't there doesn't compile.
macro_rules! names {
    ($table:ident: $($column:ident),* $(,)?) => {
        &[$(<$crate::db::schema::$table::$column as diesel::Column>::NAME,)*]
    };
}
pub(super) use names;

impl<Q: QueryId> QueryId for Upsert<Q> {
    // One upsert for each kind of insert, so the insert's own identity tells them apart.
    type QueryId = Upsert<Q::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: QueryFragment<Sqlite>> QueryFragment<Sqlite> for Upsert<Q> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        self.insert.walk_ast(pass.reborrow())?;
        pass.push_sql(" ON CONFLICT (");
        for (index, column) in self.key.iter().enumerate() {
            pass.push_sql(if index == 0 { "" } else { ", " });
            pass.push_identifier(column)?;
        }
        pass.push_sql(if self.anew.is_empty() { ") DO NOTHING" } else { ") DO UPDATE SET " });
        for (index, column) in self.anew.iter().enumerate() {
            pass.push_sql(if index == 0 { "" } else { ", " });
            pass.push_identifier(column)?;
            pass.push_sql(" = excluded.");
            pass.push_identifier(column)?;
        }
        Ok(())
    }
}

impl<Q> RunQueryDsl<SqliteConnection> for Upsert<Q> {}

impl<Q> Upsert<Q>
where
    Self: QueryFragment<Sqlite> + QueryId,
{
    /// Writes the row.
    pub(super) fn write(self, conn: &mut SqliteConnection) -> QueryResult<()> {
        self.execute(conn).map(drop)
    }
}
