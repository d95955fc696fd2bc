//! How the model's values stand in the database: each as text.
//!
//! The model is pure and knows nothing of diesel, so what diesel's derives would write stands here.

use diesel::deserialize::{self, FromSql, Queryable};
use diesel::expression::AsExpression;
use diesel::internal::derives::as_expression::Bound;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{Nullable, Text};
use diesel::sqlite::{Sqlite, SqliteValue};

use crate::model::{AnsweredKind, CallUid, Direction, EndedBy, NodeId, Status, Timestamp};

/// Lets a type of the model stand for a text column, in values and in conditions.
macro_rules! as_text {
    ($($type:ty),+ $(,)?) => { $(
        impl AsExpression<Text> for $type {
            type Expression = Bound<Text, Self>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl AsExpression<Nullable<Text>> for $type {
            type Expression = Bound<Nullable<Text>, Self>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl<'a> AsExpression<Text> for &'a $type {
            type Expression = Bound<Text, &'a $type>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl<'a> AsExpression<Nullable<Text>> for &'a $type {
            type Expression = Bound<Nullable<Text>, &'a $type>;
            fn as_expression(self) -> Self::Expression { Bound::new(self) }
        }
        impl ToSql<Nullable<Text>, Sqlite> for $type {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                <Self as ToSql<Text, Sqlite>>::to_sql(self, out)
            }
        }
        impl Queryable<Text, Sqlite> for $type {
            type Row = Self;
            fn build(row: Self) -> deserialize::Result<Self> { Ok(row) }
        }
    )+ };
}

as_text!(Timestamp, NodeId, CallUid, Status, Direction, AnsweredKind, EndedBy);

/// A type that is always the same words or holds its text: bound without a copy.
macro_rules! bound_as_str {
    ($($type:ty),+ $(,)?) => { $(
        impl ToSql<Text, Sqlite> for $type {
            fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
                out.set_value(self.as_str());
                Ok(IsNull::No)
            }
        }
    )+ };
}

bound_as_str!(NodeId, CallUid, Status, Direction, AnsweredKind, EndedBy);

/// An enum of the model: read by its words.
macro_rules! read_by_words {
    ($($type:ty),+ $(,)?) => { $(
        impl FromSql<Text, Sqlite> for $type {
            fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
                let text = <String as FromSql<Text, Sqlite>>::from_sql(value)?;
                let known = <$type>::ALL.iter().find(|known| known.as_str() == text);
                known.copied().ok_or_else(|| {
                    format!("the database holds '{text}' where one of {:?} is expected", <$type>::ALL).into()
                })
            }
        }
    )+ };
}

read_by_words!(Status, Direction, AnsweredKind, EndedBy);

impl ToSql<Text, Sqlite> for Timestamp {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.text());
        Ok(IsNull::No)
    }
}

impl FromSql<Text, Sqlite> for Timestamp {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(<String as FromSql<Text, Sqlite>>::from_sql(value)?.parse()?)
    }
}

impl FromSql<Text, Sqlite> for NodeId {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self::new(&<String as FromSql<Text, Sqlite>>::from_sql(value)?))
    }
}

impl FromSql<Text, Sqlite> for CallUid {
    fn from_sql(value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self::from_stored(&<String as FromSql<Text, Sqlite>>::from_sql(value)?))
    }
}
