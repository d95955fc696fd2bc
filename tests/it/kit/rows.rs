//! The database as anybody sees it: by SQL, beside the running service.

use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Integer, Nullable, Text};

/// A row of `calls`, as far as tests compare it.
#[derive(Clone, Debug, QueryableByName)]
#[diesel(check_for_backend(diesel::sqlite::Sqlite))]
pub(crate) struct Call {
    #[diesel(sql_type = Text)]
    pub(crate) uid: String,
    #[diesel(sql_type = Text)]
    pub(crate) node: String,
    #[diesel(sql_type = Text)]
    pub(crate) status: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) caller_number: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) caller_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) dialed_number: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) callee_number: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) answered_kind: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) answered_at: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) ended_at: Option<String>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) talk_ms: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) ring_ms: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) hold_ms: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    pub(crate) ended_by: Option<String>,
    #[diesel(sql_type = Nullable<Integer>)]
    pub(crate) cause: Option<i32>,
    #[diesel(sql_type = Integer)]
    pub(crate) incomplete: i32,
}

impl Call {
    /// Whether it lives, by its status.
    pub(crate) fn open(&self) -> bool {
        matches!(self.status.as_str(), "ringing" | "active")
    }

    /// The id of the channel that it began with (the uid is node, channel id and creation time).
    pub(crate) fn channel(&self) -> &str {
        self.uid.split('/').nth(1).unwrap_or_default()
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = Nullable<Text>)]
    word: Option<String>,
}

/// A reader of one database file.
#[derive(Clone)]
pub(crate) struct Rows(PathBuf);

impl Rows {
    /// Of the database at this path.
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.into())
    }

    /// The calls that `condition` (SQL over `calls`) holds for, the oldest first; `Err` as long as
    /// the database can't be read.
    pub(crate) fn try_calls(&self, condition: &str) -> Result<Vec<Call>, String> {
        let query = format!(
            "SELECT uid, node, status, caller_number, caller_name, dialed_number, callee_number, answered_kind, \
             answered_at, ended_at, talk_ms, ring_ms, hold_ms, ended_by, cause, incomplete \
             FROM calls WHERE {condition} ORDER BY started_at, uid"
        );
        self.read(&query)
    }

    /// The same where it must work.
    #[track_caller]
    pub(crate) fn calls(&self, condition: &str) -> Vec<Call> {
        self.try_calls(condition).unwrap()
    }

    /// What a query with one column named `number` gives in its first row.
    #[track_caller]
    pub(crate) fn number(&self, query: &str) -> i64 {
        let rows: Vec<Number> = self.read(query).unwrap();
        rows.first().unwrap_or_else(|| panic!("no row: {query}")).number
    }

    /// What a query with one column named `word` gives, a row each; SQL's NULL is empty.
    #[track_caller]
    pub(crate) fn words(&self, query: &str) -> Vec<String> {
        let rows: Vec<Word> = self.read(query).unwrap();
        rows.into_iter().map(|row| row.word.unwrap_or_default()).collect()
    }

    /// The reasons in `gaps`, the oldest first.
    #[track_caller]
    pub(crate) fn gaps(&self) -> Vec<String> {
        self.words("SELECT reason AS word FROM gaps ORDER BY id")
    }

    fn read<T>(&self, query: &str) -> Result<Vec<T>, String>
    where
        T: QueryableByName<diesel::sqlite::Sqlite> + 'static,
    {
        if !self.0.exists() {
            return Err(format!("{} is not there yet", self.0.display()));
        }
        let mut connection =
            SqliteConnection::establish(&self.0.to_string_lossy()).map_err(|error| error.to_string())?;
        let run = |connection: &mut SqliteConnection| {
            sql_query("PRAGMA busy_timeout = 2000").execute(connection)?;
            sql_query(query).load(connection)
        };
        run(&mut connection).map_err(|error: diesel::result::Error| format!("{error}: {query}"))
    }
}
