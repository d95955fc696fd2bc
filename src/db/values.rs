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
        out.set_value(time_text(*self));
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

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// The same text as `Timestamp`'s `Display` (a test holds that), without chrono's general machinery: each
/// event row holds one, and this takes a tenth of the time.
pub fn time_text(time: Timestamp) -> String {
    let (day, ms) = (time.millis().div_euclid(DAY_MS), time.millis().rem_euclid(DAY_MS));
    let (year, month, day) = civil_from_days(day);
    if !(0..=9999).contains(&year) {
        return time.to_string();
    }
    let mut text = *b"0000-00-00T00:00:00.000Z";
    let mut put = |at: usize, digits: usize, number: i64| {
        let mut rest = number;
        for place in text[at..at + digits].iter_mut().rev() {
            *place = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    };
    put(0, 4, year);
    put(5, 2, month);
    put(8, 2, day);
    put(11, 2, ms / 3_600_000);
    put(14, 2, ms / 60_000 % 60);
    put(17, 2, ms / 1_000 % 60);
    put(20, 3, ms % 1_000);
    text.iter().copied().map(char::from).collect()
}

/// Year, month and day of the day that many days after 1970-01-01 in the Gregorian calendar.
///
/// The algorithm is Howard Hinnant's `civil_from_days` (howardhinnant.github.io/date_algorithms.html): years
/// begin in March there, so that the leap day is the last of its year.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_text_is_the_models_text() {
        let mut ms = -62_167_219_200_000i64; // the year 0
        while ms < 253_402_300_800_000 {
            let time = Timestamp::from_millis(ms);
            assert_eq!(time_text(time), time.to_string());
            ms += 86_399_999 * 31 + 7_654_321;
        }
        for ms in [i64::MIN, -1, 0, 951_782_399_999, 951_782_400_000, 4_107_542_400_000, i64::MAX] {
            let time = Timestamp::from_millis(ms);
            assert_eq!(time_text(time), time.to_string());
        }
    }

    #[test]
    fn texts_sort_as_the_moments_do() {
        let texts: Vec<String> = [0i64, 1, 999, 1_000, 86_399_999, 86_400_000, 1_795_352_366_307]
            .iter()
            .map(|&ms| time_text(Timestamp::from_millis(ms)))
            .collect();
        assert!(texts.is_sorted());
    }
}
