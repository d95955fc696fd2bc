//! What concerns the whole service: actors, the writer, the database.

use std::fmt;

use super::Scrape;
use super::families::{Families, Labels, bytes, plain, seconds};
use crate::actors::alarm::event::Kind;
use crate::actors::supervisor::{ActorView, PartState};

fn alone<'a>(value: f64) -> [(Labels<'a>, f64); 1] {
    [(Vec::new(), value)]
}

/// Nothing where the value isn't known.
fn known<'a>(value: Option<u64>) -> Option<(Labels<'a>, f64)> {
    value.map(|value| (Vec::new(), value as f64))
}

pub(super) fn write(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let view = &scrape.view;
    to.gauge(plain("build_info", "The program's version"), [(vec![("version", view.version)], 1.0)])?;
    to.gauge(seconds("start_time", "When the actor tree was started, since 1970"), alone(view.started_at.secs_f64()))?;
    to.counter(plain("restarts", "Restarts of the whole actor tree in this process"), alone(scrape.restarts as f64))?;
    to.counter(
        plain("panics", "Panics in this process, also those that stayed in one call"),
        alone(scrape.panics as f64),
    )?;
    actors(scrape, to)?;
    writer(scrape, to)?;
    alarms(scrape, to)?;
    let database = &view.database;
    to.gauge(bytes("database_size", "The database file"), known(database.bytes))?;
    to.gauge(bytes("database_wal_size", "The database's write-ahead log"), known(database.wal_bytes))?;
    to.gauge(bytes("database_disk_free", "Free on the database's disk"), known(database.free_bytes))?;
    to.gauge(
        bytes("database_disk_free_min", "Below this free space the service warns: database.min_free_bytes"),
        alone(scrape.limits.min_free_bytes as f64),
    )
}

/// The writer serves all nodes: its node is empty.
fn labels_of(actor: &ActorView) -> Labels<'_> {
    vec![("actor", actor.name), ("node", actor.node.as_deref().unwrap_or_default())]
}

fn actors(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let actors = &scrape.view.actors;
    let up = |actor: &ActorView| actor.state == PartState::Running && actor.mailbox.is_some();
    to.gauge(
        plain("actor_up", "Whether an actor runs and answers within a second"),
        actors.iter().map(|actor| (labels_of(actor), f64::from(up(actor)))),
    )?;
    to.counter(
        plain("actor_restarts", "Restarts of an actor since the tree was started"),
        actors.iter().map(|actor| (labels_of(actor), actor.restarts as f64)),
    )?;
    let nodes = || scrape.view.nodes.iter().filter_map(|node| node.registry.as_ref());
    let failures = [
        ("call", nodes().map(|registry| registry.call_panics).sum::<u64>()),
        ("graph", nodes().map(|registry| registry.graph_panics).sum()),
        ("fold", scrape.view.writer.as_ref().map_or(0, |writer| writer.fold_panics)),
    ];
    to.counter(
        plain("logic_failures", "Failures of the logic that were kept to their call or event; mistakes in the program"),
        failures.map(|(part, failures)| (vec![("part", part)], failures as f64)),
    )
}

fn writer(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let tally = &scrape.tally;
    to.histogram(
        plain("transaction_events", "Events in a transaction, of those that had any"),
        [(Vec::new(), &tally.batch)],
    )?;
    to.histogram(seconds("transaction_duration", "How long a transaction took"), [(Vec::new(), &tally.commit)])?;
    let writer = scrape.view.writer.as_ref();
    let of = |value: Option<f64>| value.map(|value| (Labels::new(), value));
    to.gauge(
        plain("writer_queue_batches", "Batches that wait for the writer"),
        of(writer.map(|writer| writer.queue as f64)),
    )?;
    to.gauge(
        plain("writer_queue_batches_limit", "Batches that can wait for it: calls.max_batches for each node"),
        alone((scrape.limits.batches * scrape.limits.nodes.len()) as f64),
    )?;
    to.gauge(
        plain("writer_failing", "Whether the database takes nothing at present"),
        of(writer.map(|writer| f64::from(writer.failing.is_some()))),
    )?;
    to.counter(
        plain("writer_failures", "Transactions that failed and were kept for another try"),
        of(writer.map(|writer| writer.failures as f64)),
    )?;
    to.counter(
        plain("retired_rows", "Rows that retention deleted"),
        of(writer.map(|writer| writer.retired_rows as f64)),
    )
}

fn alarms(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let Some(view) = &scrape.view.alarms else { return Ok(()) };
    let raised = |kind: Kind| view.raised.iter().filter(|raised| raised.alarm == kind).count() as f64;
    to.gauge(
        plain("alarm_raised", "How many alarms of this kind are raised"),
        Kind::ALL.map(|kind| (vec![("alarm", kind.as_str())], raised(kind))),
    )?;
    let outcomes = view.channels.iter().flat_map(|view| {
        let of = |outcome, count: u64| (vec![("channel", view.channel), ("outcome", outcome)], count as f64);
        [of("sent", view.sent), of("failed", view.failed), of("failed_try", view.failed_tries)]
    });
    to.counter(
        plain("alarm_notifications", "Messages by channel: sent, given up (failed), and single tries that failed"),
        outcomes,
    )
}
