//! The service beside a real Asterisk: SIP phones call, then the database is compared with what
//! happened and with Asterisk's own records.

mod accept;
mod api_docs;
mod ari_made;
mod basic;
mod faults;
mod features;
mod feed;
mod guard;
mod load;
mod panic;
mod queues;
mod reconcile;
mod recording;
mod scenarios;
mod stage;
mod to_queues;
mod transfers;
mod transport;
mod two_nodes;

pub(crate) use stage::answered;
