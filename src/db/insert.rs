//! Inserts that are prepared once a connection, of one row or several, with what a row with the same key makes of them.
//!
//! Diesel's own insert of several rows and its `do_update` are prepared anew each time, since in general their SQL depends
//! on their values; ours doesn't: the columns are fixed. (Preparing such a statement for a row of `calls` takes ten times as
//! long as running it.) And diesel walks each column of an insert several times, as a value of its own; here a row binds
//! its columns one after the other.

use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sqlite::Sqlite;

/// Rows of one statement: what a statement costs beside its rows is then a small part.
const AT_ONCE: usize = 16;

/// A row as it is inserted; made by [`row!`].
pub(super) trait Row {
    /// Tells the statements of this row from those of others.
    type Identity: 'static;
    /// The table's name.
    const TABLE: &'static str;
    /// Each column of the table that is written, in the order in which [`Self::bind`] binds them.
    const COLUMNS: &'static [&'static str];
    /// The columns of the unique key by which a row that is there already is known; none: there never is one.
    const KEY: &'static [&'static str];
    /// The columns that such a row takes from the new one; none: it stays as it is.
    const ANEW: &'static [&'static str];

    /// Binds the columns, with commas between them.
    ///
    /// # Errors
    /// When a value can't be bound.
    fn bind<'b>(&'b self, pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()>;
}

/// How a struct is inserted: `row! { Struct => table { columns } unique { key } anew { columns } }`. Each column has the name
/// of the struct's field, and its name and type come from the schema: one that isn't there doesn't compile.
macro_rules! row {
    ($(<$life:lifetime>)? $row:ident => $table:ident { $($column:ident),* $(,)? }
        unique { $($key:ident),* $(,)? } anew { $($anew:ident),* $(,)? }) => {
        impl $(<$life>)? $crate::db::insert::Row for $row $(<$life>)? {
            type Identity = $crate::db::insert::row!(@identity $row $(<$life>)?);
            const TABLE: &'static str = stringify!($table);
            const COLUMNS: &'static [&'static str] =
                &[$(<$crate::db::schema::$table::$column as diesel::Column>::NAME),*];
            const KEY: &'static [&'static str] = &[$(<$crate::db::schema::$table::$key as diesel::Column>::NAME),*];
            const ANEW: &'static [&'static str] = &[$(<$crate::db::schema::$table::$anew as diesel::Column>::NAME),*];

            fn bind<'b>(
                &'b self,
                mut pass: diesel::query_builder::AstPass<'_, 'b, diesel::sqlite::Sqlite>,
            ) -> diesel::QueryResult<()> {
                let mut between = "";
                $(
                    pass.push_sql(std::mem::replace(&mut between, ", "));
                    pass.push_bind_param::<
                        <$crate::db::schema::$table::$column as diesel::Expression>::SqlType, _
                    >(&self.$column)?;
                )*
                let _ = between;
                Ok(())
            }
        }
    };
    (@identity $row:ident <$life:lifetime>) => { $row<'static> };
    (@identity $row:ident) => { Self };
}
pub(super) use row;

/// Writes rows in their order.
///
/// # Errors
/// When the database refuses one; those before it are written, for the transaction to take back.
pub(super) fn insert<R: Row>(conn: &mut SqliteConnection, rows: &[R]) -> QueryResult<()> {
    let (full, rest) = rows.as_chunks::<AT_ONCE>();
    for rows in full {
        Insert(rows).execute(conn)?;
    }
    for row in rest {
        Insert(std::array::from_ref(row)).execute(conn)?;
    }
    Ok(())
}

/// An insert of so many rows.
#[derive(Debug)]
struct Insert<'r, R, const ROWS: usize>(&'r [R; ROWS]);

/// The identity of such an insert.
#[derive(Debug)]
struct Identity<I, const ROWS: usize>(std::marker::PhantomData<I>);

impl<R: Row, const ROWS: usize> QueryId for Insert<'_, R, ROWS> {
    type QueryId = Identity<R::Identity, ROWS>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<R, const ROWS: usize> RunQueryDsl<SqliteConnection> for Insert<'_, R, ROWS> {}

impl<R: Row, const ROWS: usize> QueryFragment<Sqlite> for Insert<'_, R, ROWS> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        // FAIL: a row that is refused leaves those before it, for the transaction to take back. By default SQLite would keep a
        // copy of each page for that.
        pass.push_sql("INSERT OR FAIL INTO ");
        pass.push_identifier(R::TABLE)?;
        list(&mut pass, " (", R::COLUMNS, "")?;
        for (index, row) in self.0.iter().enumerate() {
            pass.push_sql(if index == 0 { ") VALUES (" } else { "), (" });
            row.bind(pass.reborrow())?;
        }
        pass.push_sql(")");
        if R::KEY.is_empty() {
            return Ok(());
        }
        list(&mut pass, " ON CONFLICT (", R::KEY, "")?;
        if R::ANEW.is_empty() {
            pass.push_sql(") DO NOTHING");
            return Ok(());
        }
        list(&mut pass, ") DO UPDATE SET ", R::ANEW, " = excluded.")
    }
}

/// A list of columns behind `before`; where `equals` isn't empty, each set equal to itself behind that.
fn list(pass: &mut AstPass<'_, '_, Sqlite>, before: &str, columns: &[&str], equals: &str) -> QueryResult<()> {
    for (index, column) in columns.iter().enumerate() {
        pass.push_sql(if index == 0 { before } else { ", " });
        pass.push_identifier(column)?;
        if !equals.is_empty() {
            pass.push_sql(equals);
            pass.push_identifier(column)?;
        }
    }
    Ok(())
}
