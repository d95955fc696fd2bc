//! The journal's own limits: what is shed is known to the event.

use super::{Bench, IMPATIENT, Lock, PATIENCE, many, now_ms};
use crate::kit::disk::Disk;
use crate::kit::wait::{self, s};
use callcenter::sim::PlayedCall;

/// A span in which frames were shed, by the gap's own row: since, until (milliseconds since 1970).
fn gap(bench: &Bench) -> (i64, i64) {
    let moment = |column: &str| {
        bench.rows.number(&format!(
            "SELECT CAST(ROUND((julianday({column}) - 2440587.5) * 86400000) AS INTEGER) AS number FROM gaps LIMIT 1"
        ))
    };
    (moment("since"), moment("until"))
}

/// What a gap leaves behind: what was sent is written or shed, calls are right or flagged, nobody waited.
#[track_caller]
fn accounted(bench: &mut Bench, reason: &str) {
    bench.settled();
    let gaps = bench.rows.gaps();
    assert!(!gaps.is_empty() && gaps.iter().all(|gap| gap.contains(reason)), "{gaps:?}");
    let (heard, shed) =
        (bench.by_node("callcenter_ari_frames_total"), bench.by_node("callcenter_ari_frames_shed_total"));
    assert!(shed > 0.0, "nothing was shed");
    assert_eq!(heard, bench.events() as f64 + shed, "frames heard, written and shed");
    assert!(bench.sim.truth().sent as f64 >= heard, "more heard than sent");
    bench.nobody_waited();
    let (since, _) = gap(bench);
    let until = bench
        .rows
        .number("SELECT CAST(ROUND((julianday(MAX(until)) - 2440587.5) * 86400000) AS INTEGER) AS number FROM gaps");
    let spared = |call: &PlayedCall| call.ended_at < since - 500 || call.started_at > until + 500;
    let whole = bench.right(spared);
    assert!(whole >= many(20), "only {whole} calls lie outside the gap from {since} to {until}");
    let all = crate::demo::by_channel(&bench.rows);
    for call in bench.sim.played() {
        if call.started_at < since - 500 && call.ended_at > until + 500 {
            let found = crate::demo::rows_of(&call, &all);
            assert!(!found.is_empty() && found.iter().all(|row| row.incomplete == 1), "{call:#?}\n{found:#?}");
        }
    }
    bench.service.sigterm();
}

#[test]
fn at_the_journals_limit_the_socket_is_closed_on_purpose_and_what_was_kept_is_written() {
    let journal = "[journal]\nmax_bytes = 2000000\nsegment_bytes = 65536\n[ari]\nbackoff_max_ms = 500\n";
    let small = "[calls]\nread_bytes = 4096\nmax_batches = 1\n";
    let mut bench = Bench::start(&format!("{journal}{small}{IMPATIENT}"), &[]);
    bench.calls_go_on(25);
    let lock = Lock::take(&bench.service.database());
    bench.says("another program holds the database locked");
    wait::until("the journal to be full", s(60), || match bench.by_node("callcenter_ari_connected") {
        0.0 => Ok(()),
        _ => Err(bench.by_node("callcenter_journal_size_bytes")),
    });
    let (_, health) = bench.service.get("/health/ready").unwrap();
    assert!(health["reasons"].to_string().contains("journal.max_bytes is reached"), "{health}");
    assert_eq!(bench.by_node("callcenter_journal_failing"), 1.0);
    let sessions = bench.by_node("callcenter_ari_connects_total");
    let closed = now_ms();
    // Callers go on without the application meanwhile, and those who were in it are sent on.
    wait::until("who waited to be sent on", PATIENCE * 3, || if now_ms() > closed + 5_000 { Ok(()) } else { Err(()) });
    assert_eq!(bench.by_node("callcenter_ari_connects_total"), sessions, "no socket while the journal is full");
    lock.release();
    bench.service.ready();
    bench.calls_go_on(40);
    accounted(&mut bench, "journal.max_bytes is reached");
}

#[test]
fn a_full_disk_below_the_journal_is_a_gap_to_the_event() {
    let Some(disk) = Disk::of_mib(48) else { return };
    let folder = disk.path().to_string_lossy().into_owned();
    let mut bench = Bench::start("[ari]\nbackoff_max_ms = 500\n", &[("CALLCENTER_JOURNAL_DIR", &folder)]);
    bench.calls_go_on(40);
    disk.fill();
    let reasons = bench.service.unready(s(30));
    assert!(reasons.to_string().contains("the journal takes nothing"), "{reasons}");
    assert_eq!(bench.by_node("callcenter_journal_failing"), 1.0);
    bench.calls_go_on(40);
    disk.free();
    bench.service.ready();
    bench.calls_go_on(40);
    accounted(&mut bench, "o space left");
}
