//! Recorded calls over a socket at full speed into the real service, beside a bare loop that only stores: events a
//! second, processor time, memory, latency. `cargo bench`; `BENCH_SECONDS` says about how long it may take, `BENCH_LIVE`
//! beside how many live calls an event's cost is measured (10,000; 100,000 take some minutes and 20 GB of disk);
//! `cargo bench --bench throughput -- --live` measures that alone.
//!
//! Three processes: this one looks on and measures from outside, a second sends (`--send`), a third is measured:
//! `callcenter serve` as it is shipped, or the bare loop (`--bare`).
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a bench that can't go on ends by panicking"
)]

mod bare;
mod measure;
mod process;
mod sender;
mod watch;

use measure::{Round, Side};
use sender::Plan;

/// Half of the bare loop's events a second must be reached.
const WANTED_RATIO: f64 = 0.5;
/// Bytes that a live channel may cost.
const WANTED_BYTES: f64 = 4096.0;
/// What an event may cost beside many live calls, by what it costs beside a hundred.
const WANTED_COST: f64 = 1.3;
/// Events a second of the latency run.
const PACE: f64 = 5_000.0;
/// Interleaved rounds.
const ROUNDS: usize = 3;

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    match arguments.peek().map(String::as_str) {
        Some("--send") => sender::main(arguments.skip(1)),
        Some("--bare") => bare::main(arguments.skip(1)),
        Some("--live") => beside(duration() * 25),
        Some(_) | None => bench(),
    }
}

/// About how long it may take, seconds.
fn duration() -> u64 {
    std::env::var("BENCH_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(120)
}

fn bench() {
    let seconds = duration();
    let calls = (seconds * 50).max(500);
    println!("{calls} recorded calls a round, 1,000 at once, every event stored; {ROUNDS} interleaved rounds");
    let plan = Plan::Full { calls, concurrency: 1_000 };
    let rounds: Vec<(Round, Round)> = (0..ROUNDS)
        .map(|_| (measure::round(Side::Service, &plan), measure::round(Side::Bare, &plan)))
        .inspect(|(ours, bare)| println!("  ours: {ours}\n  bare: {bare}\n  {}", ours.check))
        .collect();
    let median = |of: fn(&Round) -> f64, which: fn(&(Round, Round)) -> &Round| {
        middle(rounds.iter().map(|pair| of(which(pair))).collect())
    };
    let ratio = middle(rounds.iter().map(|(ours, bare)| ours.rate / bare.rate).collect());
    let cpu = middle(rounds.iter().map(|(ours, bare)| ours.cpu / bare.cpu).collect());
    println!(
        "events a second (median): ours {:.0}, bare {:.0}; ratio {ratio:.2} (wanted: {WANTED_RATIO})",
        median(|r| r.rate, |p| &p.0),
        median(|r| r.rate, |p| &p.1)
    );
    println!(
        "processor seconds per 100,000 events: ours {:.2}; {cpu:.2} times the bare loop's",
        median(|r| r.cpu, |p| &p.0)
    );
    println!("peak memory: ours {:.0} MiB, bare {:.0} MiB", median(|r| r.peak, |p| &p.0), median(|r| r.peak, |p| &p.1));
    let paced = Plan::Paced { rate: PACE, seconds: (seconds / 10).max(2) };
    for side in [Side::Service, Side::Bare] {
        let round = measure::round(side, &paced);
        println!("event to visible at {PACE} events a second, {side:?}: {}", round.latency);
    }
    memory(seconds);
    beside(seconds * 25);
    if ratio < WANTED_RATIO {
        println!("BELOW the wanted ratio of {WANTED_RATIO}");
    }
}

/// What a live channel costs, from two runs of which one has many more of them.
fn memory(seconds: u64) {
    let few = seconds.clamp(10, 120) * 10;
    let (few, many) = (measure::live(few), measure::live(few * 5));
    let bytes = (many.resident - few.resident) / (many.channels - few.channels);
    println!(
        "memory per live channel: {bytes:.0} bytes ({:.0} MiB with {}, {:.0} MiB with {}; wanted: {WANTED_BYTES})",
        few.resident / 1_048_576.0,
        few.channels,
        many.resident / 1_048_576.0,
        many.channels
    );
}

/// What an event costs beside a hundred live calls and beside many.
fn beside(calls: u64) {
    let many = std::env::var("BENCH_LIVE").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000);
    let rounds: Vec<_> = (0..ROUNDS).map(|_| (measure::beside(100, calls), measure::beside(many, calls))).collect();
    for ((few, few_channels), (cost, channels)) in &rounds {
        println!(
            "processor seconds per 100,000 events: {few:.2} beside {few_channels} live channels, {cost:.2} beside {channels}"
        );
    }
    let ratio = middle(rounds.iter().map(|(few, many)| many.0 / few.0).collect());
    println!(
        "an event's cost beside {many} live calls to that beside 100: {ratio:.2} (wanted: {WANTED_COST} at 100,000)"
    );
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
