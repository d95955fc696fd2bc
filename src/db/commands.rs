//! `commands`: the audit. Each request of ours that changes something: who asked, when, what Asterisk answered.

use diesel::prelude::*;

use super::insert::row;
use super::schema::commands;
use crate::model::{NodeId, Timestamp};

/// A request of ours, before its answer. `node` and `id` are its identity.
#[derive(Clone, Debug, PartialEq)]
pub struct NewCommand {
    /// The Asterisk server.
    pub node: NodeId,
    /// Ties the reply to it; unique in a node's journal.
    pub id: String,
    /// When it was sent.
    pub at: Timestamp,
    /// Who asked: `rule:continue`, `connection`, a user.
    pub who: String,
    /// HTTP method.
    pub method: String,
    /// Path below the ARI root with its query.
    pub path: String,
    /// JSON body, if any.
    pub body: Option<String>,
    /// The channel or bridge that it is about.
    pub about: Option<String>,
}

/// What came back for a command.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyRow {
    /// The Asterisk server.
    pub node: NodeId,
    /// The command's id.
    pub id: String,
    /// The outcome in one word, as `ari::outcome` names them.
    pub outcome: String,
    /// HTTP status; 0 when none came.
    pub status: i32,
    /// When the answer came.
    pub answered_at: Timestamp,
    /// Milliseconds from sending to the answer.
    pub ms: f64,
}

/// A command as it stands in the database.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
#[diesel(table_name = commands, check_for_backend(diesel::sqlite::Sqlite))]
pub struct StoredCommand {
    /// Its number in this database.
    pub seq: i64,
    /// The Asterisk server.
    pub node: NodeId,
    /// Its id in the node's journal.
    pub id: String,
    /// When it was sent.
    pub at: Timestamp,
    /// Who asked.
    pub who: String,
    /// HTTP method.
    pub method: String,
    /// Path below the ARI root with its query.
    pub path: String,
    /// JSON body, if any.
    pub body: Option<String>,
    /// The channel or bridge that it is about.
    pub about: Option<String>,
    /// The outcome in one word; `None` while no answer is known.
    pub outcome: Option<String>,
    /// HTTP status; 0 when none came.
    pub status: Option<i32>,
    /// When the answer came.
    pub answered_at: Option<Timestamp>,
    /// Milliseconds from sending to the answer.
    pub ms: Option<f64>,
}

// One that is there already stays as it is, its reply included.
row! { NewCommand => commands { node, id, at, who, method, path, body, about } unique { node, id } anew {} }

/// Adds the answer to its command. The reply to a command that retention took already changes nothing.
pub(super) fn reply(conn: &mut SqliteConnection, reply: &ReplyRow) -> QueryResult<()> {
    diesel::update(commands::table.filter(commands::node.eq(&reply.node)).filter(commands::id.eq(&reply.id)))
        .set((
            commands::outcome.eq(&reply.outcome),
            commands::status.eq(reply.status),
            commands::answered_at.eq(reply.answered_at),
            commands::ms.eq(reply.ms),
        ))
        .execute(conn)
        .map(drop)
}
