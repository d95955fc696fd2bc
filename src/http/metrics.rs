//! `GET /metrics` for Prometheus, in the OpenMetrics text format.
//!
//! Counts are kept where things happen and copied here: the actors' own views, and the writer's tally, which can be
//! had also while the writer waits for a disk. Names follow
//! <https://prometheus.io/docs/practices/naming/>: base units, `_total` for counters. Values of labels are bounded: nodes
//! of the configuration, event types that this program knows, our own words.

mod families;
mod node;
mod service;

use actix_web::{HttpResponse, get, web};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::State;
use crate::actors::connection::WAITING_BYTES;
use crate::actors::supervisor::{NodeView, SystemStatus, SystemView};
use crate::actors::tally::Tally;
use crate::config::Config;
use families::Families;

/// The format's name (<https://prometheus.io/docs/specs/om/open_metrics_spec/>).
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The limits of queues, which are shown beside what waits in them.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    nodes: Vec<String>,
    rest_queue: usize,
    rest_in_flight: usize,
    batches: usize,
    journal_bytes: u64,
    outbox_bytes: usize,
    min_free_bytes: u64,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            nodes: config.asterisk.iter().map(|asterisk| asterisk.name.clone()).collect(),
            rest_queue: config.ari.queue_limit,
            rest_in_flight: config.ari.max_in_flight,
            batches: config.calls.max_batches,
            journal_bytes: config.journal.max_bytes,
            outbox_bytes: WAITING_BYTES,
            min_free_bytes: config.database.min_free_bytes,
        }
    }
}

/// Everything that one scrape shows.
#[derive(Debug)]
struct Scrape {
    view: SystemView,
    tally: Tally,
    limits: Limits,
    restarts: u64,
    panics: u64,
}

impl Scrape {
    /// Each configured node by its name, with its view once it is started.
    fn nodes(&self) -> impl Iterator<Item = (&str, Option<&NodeView>)> {
        let view = |name: &str| self.view.nodes.iter().find(|node| node.name == name);
        self.limits.nodes.iter().map(move |name| (name.as_str(), view(name)))
    }
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut families = Families::new(encoder);
        service::write(self, &mut families)?;
        node::write(self, &mut families)?;
        node::write_committed(self, &mut families)
    }
}

/// How much of everything there is and was.
#[get("/metrics")]
pub(super) async fn metrics(state: web::Data<State>) -> HttpResponse {
    let view = match state.supervisor.send(SystemStatus).await {
        Ok(view) => view,
        Err(error) => {
            return HttpResponse::ServiceUnavailable().body(format!("the supervisor doesn't answer: {error}"));
        }
    };
    let scrape = Scrape {
        view,
        tally: state.counted.tally.now(),
        limits: state.limits.clone(),
        restarts: state.counted.restarts,
        panics: (state.counted.panics)(),
    };
    let mut registry = Registry::with_prefix("callcenter");
    registry.register_collector(Box::new(scrape));
    let mut text = String::with_capacity(32 * 1024);
    match encode(&mut text, &registry) {
        Ok(()) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}
