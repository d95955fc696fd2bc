//! What kind of trouble a database error is: whether trying again can help, and what to tell people.

use diesel::result::Error;

/// A kind of trouble with the database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// Another program holds the lock; passes by itself.
    Locked,
    /// The disk is full; passes when somebody makes room.
    Full,
    /// The disk or the network drive failed to read or write; may pass.
    Io,
    /// The file or its folder can't be written to.
    ReadOnly,
    /// The file is damaged.
    Corrupt,
    /// Anything else: a mistake in this program or in what somebody did to the schema.
    Other,
}

/// SQLite's own texts for its result codes (`sqlite3ErrStr` in its main.c). Diesel keeps only the text.
const TEXTS: [(&str, Trouble); 9] = [
    ("database is locked", Trouble::Locked),
    ("database table is locked", Trouble::Locked),
    ("locking protocol", Trouble::Locked),
    ("database or disk is full", Trouble::Full),
    ("disk I/O error", Trouble::Io),
    ("readonly database", Trouble::ReadOnly),
    ("unable to open database file", Trouble::ReadOnly),
    ("malformed", Trouble::Corrupt),
    ("file is not a database", Trouble::Corrupt),
];

impl Trouble {
    /// The kind of a database error.
    pub fn of(error: &Error) -> Self {
        match error {
            Error::DatabaseError(_, information) => Self::of_text(information.message()),
            Error::RollbackErrorOnCommit { commit_error, .. } => Self::of(commit_error),
            _ => Self::Other,
        }
    }

    /// The kind of an error of which only SQLite's text is left.
    pub fn of_text(text: &str) -> Self {
        TEXTS.iter().find(|(part, _)| text.contains(part)).map_or(Self::Other, |(_, trouble)| *trouble)
    }

    /// Whether the same batch can succeed later.
    pub const fn may_pass(self) -> bool {
        match self {
            Self::Locked | Self::Full | Self::Io | Self::ReadOnly => true,
            Self::Corrupt | Self::Other => false,
        }
    }

    /// What people should know and do.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Locked => "another program holds the database locked: close what has a transaction open on it",
            Self::Full => "the disk is full: make room on it; lower database.events_retention_days to need less",
            Self::Io => "the disk does not read or write: look at the system's log (dmesg)",
            Self::ReadOnly => "the database or its folder can't be written to: check owner and permissions",
            Self::Corrupt => {
                "the database is damaged: stop the service and restore a copy (or move the file away); the journal \
                 gives back what it still holds"
            }
            Self::Other => "the database refused the statement: was its schema changed by hand?",
        }
    }
}
