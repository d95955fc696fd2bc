//! `endpoints`: the latest known state of each endpoint.

use diesel::prelude::*;

use super::schema::endpoints;
use super::upsert::{Upsert, names};
use crate::model::{NodeId, Timestamp};

/// An endpoint's state. `node`, `tech` and `resource` are its identity.
#[derive(Clone, Debug, PartialEq, Insertable, Queryable, Selectable)]
#[diesel(table_name = endpoints, check_for_backend(diesel::sqlite::Sqlite))]
pub struct EndpointRow {
    /// The Asterisk server.
    pub node: NodeId,
    /// The channel technology: `PJSIP`.
    pub tech: String,
    /// The endpoint's name within it: `101`.
    pub resource: String,
    /// Asterisk's word for its state: `online`, `offline`, `NOT_INUSE` ...
    pub state: String,
    /// When it took that state.
    pub updated_at: Timestamp,
}

/// Writes an endpoint's state over the one before. The last one written stands, whatever its time, since
/// Asterisk's clock may be set back.
pub(super) fn upsert(conn: &mut SqliteConnection, row: &EndpointRow) -> QueryResult<()> {
    let (key, anew) = (names!(endpoints: node, tech, resource), names!(endpoints: state, updated_at));
    Upsert { insert: diesel::insert_into(endpoints::table).values(row), key, anew }.write(conn)
}
