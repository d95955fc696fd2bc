//! The database: the schema, one file a table, the batch that becomes one transaction, the read pool.
//!
//! Everything here is synchronous and knows no actors. [`open::open_write`] gives the one write connection,
//! [`batch::write`] makes one transaction of a [`batch::Batch`], [`pool::ReadPool`] and [`read`] answer
//! questions. All queries go through diesel's query builder, so that another database stays one place to
//! change; SQL text stands only in migrations, pragmas and the recursive walk of [`read::call_events`].

pub mod backup;
pub mod batch;
pub mod calls;
pub mod changes;
pub mod checkpoint;
pub mod commands;
pub mod compact;
pub mod endpoints;
pub mod events;
pub mod gaps;
pub mod heads;
mod insert;
pub mod legs;
pub mod look;
pub mod open;
pub mod past;
pub mod pool;
pub mod positions;
pub mod read;
pub mod reconcile;
pub mod recordings;
pub mod retention;
pub mod schema;
pub mod space;
mod transaction;
pub mod trouble;
pub mod unfinished;
mod values;

#[cfg(test)]
mod tests;
