//! Retention of a large backlog beside calls.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::{Bench, many, now_ms};
use crate::kit::wait::{self, s};
use crate::metrics::Scrape;

/// Old events, about the size of real ones.
const BACKLOG: u64 = 60_000;

/// How often a transaction was slower than a bound (seconds) and how many there were.
fn transactions(scrape: &Scrape, bound: &str) -> (f64, f64) {
    let all = scrape.value("callcenter_transaction_duration_seconds_count");
    (all - scrape.value(&format!("callcenter_transaction_duration_seconds_bucket{{le=\"{bound}\"}}")), all)
}

#[test]
fn a_large_backlog_goes_while_calls_are_recorded_and_no_commit_waits_for_it() {
    let mut bench = Bench::start("[database]\nevents_retention_days = 0\n", &[]);
    bench.calls_go_on(10);
    bench.service.sigterm();
    let backlog = many(BACKLOG);
    // The oldest first: what is there gets numbers behind it.
    SqliteConnection::establish(&bench.service.database().to_string_lossy())
        .unwrap()
        .batch_execute(&format!(
            "UPDATE events SET seq = seq + {backlog}, prev_seq = prev_seq + {backlog};
             UPDATE legs SET last_event_seq = last_event_seq + {backlog};
             INSERT INTO events (seq, node, at, type, body)
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {backlog})
             SELECT i, 'main', '2020-01-01T00:00:00.000Z', 'Dial',
                    printf('{{\"type\":\"Dial\",\"filler\":\"%.500c\"}}', 'x') FROM n"
        ))
        .unwrap();
    bench.service.restart();
    let restarted = now_ms() + 1_000;
    let before = Scrape::of(&bench.service);
    bench.calls_go_on(40);
    let without = Scrape::of(&bench.service);
    bench.service.reconfigure("[database]\nevents_retention_days = 1\n[log]\nlevel = \"info\"\n");
    wait::until("the backlog to go", s(90), || {
        let retired = bench.metric("callcenter_retired_rows_total") as u64;
        if retired >= backlog { Ok(()) } else { Err(format!("{retired} of {backlog}")) }
    });
    let with = Scrape::of(&bench.service);
    let slow = |from: &Scrape, to: &Scrape| {
        let ((slow, all), (slow_then, all_then)) = (transactions(from, "0.1"), transactions(to, "0.1"));
        ((slow_then - slow) / (all_then - all).max(1.0), all_then - all)
    };
    let ((share_without, _), (share_with, count)) = (slow(&before, &without), slow(&without, &with));
    assert!(count > 20.0, "{count} transactions while the backlog went");
    assert!(share_with <= share_without + 0.05, "slow commits: {share_with} with retention, {share_without} without");
    let longest = bench.service.system()["writer"]["longest_step_ms"].as_f64().unwrap();
    assert!(longest < 500.0, "the longest step took {longest} ms");
    bench.settled();
    bench.nobody_waited();
    assert!(bench.right(|call| call.started_at > restarted) > 20);
    assert_eq!(bench.rows.gaps(), ["the service was not running"]);
    bench.service.sigterm();
}
