//! `endpoints`: the latest known state of each endpoint.

use diesel::prelude::*;

use super::insert::row;
use super::schema::endpoints;
use crate::model::{NodeId, Timestamp};

/// An endpoint's state. `node`, `tech` and `resource` are its identity.
#[derive(Clone, Debug, PartialEq, Queryable, Selectable)]
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

// Written over the one before. The last one written stands, whatever its time, since Asterisk's clock may be set back.
row! {
    EndpointRow => endpoints { node, tech, resource, state, updated_at }
    unique { node, tech, resource }
    anew { state, updated_at }
}
