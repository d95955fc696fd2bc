//! What concerns one Asterisk: its connection, journal, calls, requests.

use std::fmt;

use super::Scrape;
use super::families::{Families, Labels, Name, bytes, plain, seconds};
use crate::actors::ari_command::CommandView;
use crate::actors::ari_socket::InUse;
use crate::actors::connection::{ConnectionView, State};
use crate::actors::feed::FollowView;
use crate::actors::journal::JournalStatus;
use crate::actors::registry::RegistryView;
use crate::actors::supervisor::{GuardView, NodeView};
use crate::actors::tally::NodeTally;
use crate::model::Status;

/// A number of each node that can say it.
fn each<'a>(scrape: &'a Scrape, of: impl Fn(&'a NodeView) -> Option<f64>) -> impl Iterator<Item = (Labels<'a>, f64)> {
    scrape.nodes().filter_map(move |(name, view)| Some((vec![("node", name)], of(view?)?)))
}

/// The same limit for each configured node.
fn limit(scrape: &Scrape, limit: f64) -> impl Iterator<Item = (Labels<'_>, f64)> {
    scrape.nodes().map(move |(name, _)| (vec![("node", name)], limit))
}

pub(super) fn write(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    connection(scrape, to)?;
    feed(scrape, to)?;
    journal(scrape, to)?;
    calls(scrape, to)?;
    requests(scrape, to)?;
    guard(scrape, to)
}

fn guard(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let of = |of: fn(&GuardView) -> f64| each(scrape, move |node| node.guard.as_ref().map(of));
    to.gauge(
        plain("guard_fresh", "Whether the dialplan leads calls into the application: guard.variable is fresh"),
        of(|guard| f64::from(guard.fresh)),
    )?;
    to.counter(plain("guard_refreshes", "Refreshes of guard.variable"), of(|guard| guard.refreshes as f64))?;
    to.counter(
        plain("guard_withheld", "Times it was not refreshed, since a call that entered would have waited"),
        of(|guard| guard.withheld as f64),
    )?;
    to.counter(
        plain("guard_failures", "Times that Asterisk did not take the refresh"),
        of(|guard| guard.failures as f64),
    )
}

fn connection(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let prepared = |view: &ConnectionView| view.state == State::Connected && view.prepared;
    to.gauge(
        plain("ari_connected", "Whether Asterisk is connected and what it sends is recorded completely"),
        scrape.nodes().map(|(name, view)| {
            let connected = view.and_then(|view| view.connection.as_ref()).is_some_and(prepared);
            (vec![("node", name)], f64::from(connected))
        }),
    )?;
    let mut counter = |name: Name, of: fn(&ConnectionView) -> u64| {
        to.counter(name, each(scrape, |node| node.connection.as_ref().map(|view| of(view) as f64)))
    };
    counter(plain("ari_connects", "Sessions with Asterisk, the first one included"), |view| view.sessions)?;
    counter(plain("ari_dead_links", "Sessions that ended because nothing came any more"), |view| view.dead_links)?;
    counter(plain("ari_frames", "Frames received from Asterisk"), |view| view.frames)?;
    to.counter(
        plain("ari_frames_shed", "Frames received that could not be kept, the journal being full; a gap says when"),
        each(scrape, |node| {
            let (connection, journal) = (node.connection.as_ref()?, node.journal.as_ref()?);
            Some((connection.shed_frames + journal.refused_frames) as f64)
        }),
    )?;
    to.counter(
        bytes("ari_received", "Payload of the frames received from Asterisk"),
        each(scrape, |node| node.connection.as_ref().map(|view| view.bytes as f64)),
    )?;
    to.gauge(
        seconds("asterisk_clock_offset", "Asterisk's clock minus this machine's"),
        each(scrape, |node| Some(node.connection.as_ref()?.clock_offset_ms? as f64 / 1e3)),
    )?;
    to.gauge(
        bytes("outbox", "What was received and waits for the journal"),
        each(scrape, |node| Some(node.connection.as_ref()?.waiting_bytes as f64)),
    )?;
    to.gauge(
        bytes("outbox_limit", "At this limit the socket is closed on purpose"),
        limit(scrape, scrape.limits.outbox_bytes as f64),
    )
}

fn feed(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let of = |of: fn(&FollowView) -> f64| each(scrape, move |node| node.feed.process.as_ref().map(of));
    to.gauge(
        plain(
            "feed_connected",
            "Whether the feed process is followed, and hears everything; absent where there is none",
        ),
        of(|feed| f64::from(feed.connected && feed.feed_connected)),
    )?;
    to.gauge(
        seconds("feed_lag", "Age of the oldest entry of the feed process that is not committed yet"),
        of(|feed| feed.behind_ms as f64 / 1e3),
    )?;
    to.counter(plain("feed_connects", "Connections to the feed process"), of(|feed| feed.connects as f64))
}

fn journal(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let of = |of: fn(&JournalStatus) -> f64| each(scrape, move |node| node.journal.as_ref().map(of));
    to.gauge(bytes("journal_size", "All segments of the journal"), of(|journal| journal.bytes as f64))?;
    to.gauge(
        bytes("journal_size_limit", "At this limit the socket is closed on purpose: journal.max_bytes"),
        limit(scrape, scrape.limits.journal_bytes as f64),
    )?;
    to.gauge(
        bytes("journal_lag", "What stands in the journal and is not committed to the database yet"),
        each(scrape, |node| {
            let (journal, registry) = (node.journal.as_ref()?, node.registry.as_ref()?);
            Some(journal.end.offset().saturating_sub(registry.committed) as f64)
        }),
    )?;
    to.gauge(
        plain("journal_failing", "Whether the journal takes nothing at present: it is full, or the disk refuses"),
        of(|journal| f64::from(journal.full || journal.failing)),
    )?;
    to.counter(
        plain("journal_refused_entries", "Entries that the journal could not keep; each time a gap is recorded"),
        of(|journal| journal.refused_entries as f64),
    )
}

fn calls(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let of = |of: fn(&RegistryView) -> f64| each(scrape, move |node| node.registry.as_ref().map(of));
    to.gauge(plain("live_channels", "Channels alive"), of(|registry| registry.live_channels as f64))?;
    to.gauge(plain("call_actors", "Actors of channels"), of(|registry| registry.call_actors as f64))?;
    to.gauge(
        plain("registry_batches", "Batches between the registry and the commit"),
        of(|registry| registry.batches as f64),
    )?;
    to.gauge(
        plain("registry_batches_limit", "The most of them: calls.max_batches"),
        limit(scrape, scrape.limits.batches as f64),
    )?;
    let open = |name: &str| {
        let by_node = &scrape.view.writer.as_ref()?.open_by_node;
        Some(by_node.iter().find(|(node, _)| node.as_str() == name).map_or(0.0, |(_, open)| *open as f64))
    };
    to.gauge(
        plain("live_calls", "Calls that are not over"),
        scrape.nodes().filter_map(|(name, _)| Some((vec![("node", name)], open(name)?))),
    )
}

fn requests(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    let views = || scrape.nodes().filter_map(|(name, view)| Some((name, view?.commands.as_ref()?)));
    let outcomes = |view: &CommandView| {
        let failed: Vec<(&'static str, u64)> = view.failed.iter().map(|(word, count)| (*word, *count)).collect();
        [("done", view.done)].into_iter().chain(failed)
    };
    to.counter(
        plain("rest_requests", "Requests to Asterisk about calls, by outcome"),
        views().flat_map(|(name, view)| {
            outcomes(view).map(move |(word, count)| (vec![("node", name), ("outcome", word)], count as f64))
        }),
    )?;
    to.counter(
        plain("rest_requests_sent", "Requests to Asterisk about calls that were sent, by transport"),
        views().flat_map(|(name, view)| {
            [("http", view.over_http), ("websocket", view.over_websocket)]
                .map(|(transport, count)| (vec![("node", name), ("transport", transport)], count as f64))
        }),
    )?;
    to.gauge(
        plain("rest_over_websocket", "Whether requests travel over the event socket now: ari.transport"),
        each(scrape, |node| Some(f64::from(node.commands.as_ref()?.transport.in_use == InUse::Websocket))),
    )?;
    to.histogram(
        seconds("rest_request_duration", "How long the requests took that were sent"),
        views().map(|(name, view)| (vec![("node", name)], &view.took)),
    )?;
    let of = |of: fn(&CommandView) -> f64| each(scrape, move |node| node.commands.as_ref().map(of));
    to.gauge(plain("rest_requests_in_flight", "Requests under way"), of(|view| view.in_flight as f64))?;
    to.gauge(
        plain("rest_requests_in_flight_limit", "The most of them: ari.max_in_flight"),
        limit(scrape, scrape.limits.rest_in_flight as f64),
    )?;
    to.gauge(plain("rest_queue_requests", "Requests that wait for their turn"), of(|view| view.waiting as f64))?;
    to.gauge(
        plain("rest_queue_requests_limit", "One more is refused: ari.queue_limit"),
        limit(scrape, scrape.limits.rest_queue as f64),
    )
}

/// What becomes of a call that is over.
const OUTCOMES: [Status; 6] =
    [Status::Answered, Status::NoAnswer, Status::Busy, Status::Abandoned, Status::Rejected, Status::Failed];

/// What the writer counted.
pub(super) fn write_committed(scrape: &Scrape, to: &mut Families<'_>) -> fmt::Result {
    // A node of which nothing is committed yet shows zeros: Prometheus can't see a counter's first step from nothing.
    let none = NodeTally::default();
    let tally = |name: &str| scrape.tally.nodes.iter().find(|(node, _)| node.as_str() == name).map(|(_, tally)| tally);
    let nodes = || scrape.nodes().map(|(name, _)| (name, tally(name).unwrap_or(&none)));
    to.counter(
        plain("events", "Events committed, by type; types that this version doesn't know are 'other'"),
        nodes().flat_map(|(node, tally)| {
            tally.events.iter().map(move |(kind, count)| (vec![("node", node), ("type", *kind)], *count as f64))
        }),
    )?;
    to.counter(
        plain("calls", "Calls ended, by outcome"),
        nodes().flat_map(|(node, tally)| {
            OUTCOMES.iter().map(move |status| {
                let count = tally.ended.get(status).copied().unwrap_or(0);
                (vec![("node", node), ("status", status.as_str())], count as f64)
            })
        }),
    )?;
    let lag = |of: fn(&NodeTally) -> &crate::actors::tally::Histogram| {
        nodes().map(move |(node, tally)| (vec![("node", node)], of(tally)))
    };
    to.histogram(
        seconds("event_commit_lag", "From the receipt of an event to its commit; the clock ticks in milliseconds"),
        lag(|tally| &tally.received),
    )?;
    to.histogram(
        seconds(
            "asterisk_commit_lag",
            "From an event's time by Asterisk's clock to its commit by ours: see the clock's offset",
        ),
        lag(|tally| &tally.happened),
    )?;
    let mut counter = |name: Name, of: fn(&NodeTally) -> f64| {
        to.counter(name, nodes().map(move |(node, tally)| (vec![("node", node)], of(tally))))
    };
    counter(plain("calls_started", "Calls begun"), |tally| tally.started as f64)?;
    counter(plain("gaps", "Spans in which nothing could be heard"), |tally| tally.gaps as f64)?;
    counter(seconds("gap", "Their length"), |tally| tally.gap_seconds)?;
    counter(plain("bad_frames", "Frames that could not be read"), |tally| tally.bad_frames as f64)
}
