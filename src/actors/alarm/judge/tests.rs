//! What each look says, by table.

use super::*;

fn config(change: impl FnOnce(&mut config::Alarms)) -> Config {
    let mut config = Config::default();
    change(&mut config.alarms);
    config
}

/// The verdict on the one reading of this kind.
fn verdict(judge: &mut Judge, kind: Kind, now: f64, seen: &Seen, raised: Option<f64>) -> Option<Verdict> {
    judge.judge(now, seen, raised).into_iter().find(|reading| reading.key.kind == kind).map(|reading| reading.verdict)
}

fn node(connected: bool) -> NodeSeen {
    NodeSeen { name: "main".into(), connected, since: Some(0.0), ..NodeSeen::default() }
}

#[test]
fn each_condition_can_be_switched_off() {
    let disk = Disk { holds: "database", free: 0, total: 100, ..Disk::default() };
    let trunks = vec![("main".to_owned(), "PJSIP/t".to_owned(), 0, 0)];
    let seen = Seen { nodes: vec![node(false)], disks: vec![disk], trunks, ..Seen::default() };
    let on = config(|alarms| alarms.no_inbound_min = 1);
    assert_eq!(Judge::new(&on, 0.0).judge(0.0, &seen, None).len(), 5);
    let off = config(|alarms| {
        (alarms.asterisk_unreachable_s, alarms.writer_behind_s, alarms.trunk_failures_percent) = (0, 0, 0);
        (alarms.disk_free_mb, alarms.disk_free_percent, alarms.no_inbound_min) = (0, 0, 0);
    });
    assert_eq!(Judge::new(&off, 0.0).judge(0.0, &seen, None).len(), 0);
}

#[test]
fn a_disk_is_low_below_its_limit_and_well_a_tenth_above_it() {
    let mut judge = Judge::new(&config(|a| (a.disk_free_mb, a.disk_free_percent) = (100, 10)), 0.0);
    for (free_mb, total_mb, expected) in [
        (99, 500, Verdict::Bad),
        (100, 500, Verdict::Unknown),
        (111, 500, Verdict::Good),
        (199, 2_000, Verdict::Bad),
        (210, 2_000, Verdict::Unknown),
        (221, 2_000, Verdict::Good),
    ] {
        let (free, total) = (free_mb << 20, total_mb << 20);
        let seen = Seen { disks: vec![Disk { free, total, ..Disk::default() }], ..Seen::default() };
        assert_eq!(verdict(&mut judge, Kind::DiskLow, 0.0, &seen, None), Some(expected), "{free_mb} of {total_mb}");
    }
}

#[test]
fn the_writer_is_behind_by_the_age_of_what_is_not_committed() {
    let mut judge = Judge::new(&config(|a| a.writer_behind_s = 10), 0.0);
    for (now, end, committed, expected) in [
        (0.0, Some(100), Some(100), Verdict::Good),
        (1.0, Some(200), Some(100), Verdict::Good),
        // It goes on, but the mark of second 1 (200) is not reached.
        (7.0, Some(900), Some(199), Verdict::Unknown),
        (11.0, Some(999), Some(199), Verdict::Bad),
        // Reached: a new mark begins.
        (12.0, Some(999), Some(200), Verdict::Good),
        (13.0, None, Some(999), Verdict::Good),
        // Neither journal nor registry answers: what was noted before still counts.
        (14.0, Some(1_000), Some(999), Verdict::Good),
        (24.0, None, None, Verdict::Bad),
    ] {
        let seen = Seen { nodes: vec![NodeSeen { end, committed, ..node(true) }], ..Seen::default() };
        assert_eq!(verdict(&mut judge, Kind::WriterBehind, now, &seen, None), Some(expected), "at {now}");
    }
}

/// 2026-11-20, a Friday, at this hour and minute in UTC.
fn friday(hour: u32, minute: u32) -> f64 {
    1_795_132_800.0 + f64::from(hour * 3_600 + minute * 60)
}

#[test]
fn no_inbound_call_is_bad_in_working_time_only_and_ends_with_a_call() {
    let config = config(|a| a.no_inbound_min = 60);
    for (now, connected_at, last, raised, expected) in [
        // The time counts from the beginning of the working day, the connect, the last call, whichever is last.
        (friday(9, 59), friday(0, 0), Some(friday(1, 0)), None, Verdict::Unknown),
        (friday(10, 0), friday(0, 0), Some(friday(1, 0)), None, Verdict::Bad),
        (friday(10, 0), friday(9, 30), None, None, Verdict::Unknown),
        (friday(12, 0), friday(0, 0), Some(friday(11, 1)), None, Verdict::Unknown),
        (friday(12, 1), friday(0, 0), Some(friday(11, 1)), None, Verdict::Bad),
        (friday(19, 0), friday(0, 0), Some(friday(11, 1)), None, Verdict::Unknown),
        // Raised: only a later call ends it, also after the working day.
        (friday(19, 0), friday(0, 0), Some(friday(11, 1)), Some(friday(11, 1)), Verdict::Unknown),
        (friday(19, 0), friday(0, 0), Some(friday(18, 59)), Some(friday(11, 1)), Verdict::Good),
    ] {
        let nodes = vec![NodeSeen { since: Some(connected_at), ..node(true) }];
        let seen = Seen { nodes, last_inbound: last, ..Seen::default() };
        let mut judge = Judge::new(&config, 0.0);
        assert_eq!(verdict(&mut judge, Kind::NoInbound, now, &seen, raised), Some(expected), "{now} {raised:?}");
    }
    let apart = Seen { nodes: vec![node(false)], ..Seen::default() };
    let mut judge = Judge::new(&config, 0.0);
    assert_eq!(verdict(&mut judge, Kind::NoInbound, friday(12, 0), &apart, None), Some(Verdict::Unknown));
}

#[test]
fn a_trunk_fails_by_its_share_in_the_window() {
    let mut judge = Judge::new(&config(|a| (a.trunk_failures_calls, a.trunk_failures_min) = (10, 10)), 0.0);
    for (now, ended, failed, expected) in [
        // What was counted before the first look is of another time.
        (0.0, 100, 100, Verdict::Unknown),
        (60.0, 109, 109, Verdict::Unknown),
        (120.0, 110, 109, Verdict::Bad),
        // 9 of 20, then 9 of 25: clearly below half.
        (180.0, 120, 109, Verdict::Unknown),
        (240.0, 125, 109, Verdict::Good),
        // The window has moved on: nothing in it says nothing.
        (4_000.0, 125, 109, Verdict::Unknown),
        (4_001.0, 126, 109, Verdict::Good),
    ] {
        let seen = Seen { trunks: vec![("main".into(), "PJSIP/t".into(), ended, failed)], ..Seen::default() };
        assert_eq!(verdict(&mut judge, Kind::TrunkFailures, now, &seen, None), Some(expected), "at {now}");
    }
}

#[test]
fn a_window_is_bounded_and_moves_on() {
    let mut window = Window::default();
    let mut last = (0, 0);
    for second in 0..10_000_u32 {
        last = window.add(f64::from(second), 600.0, u64::from(second), u64::from(second / 2));
        assert!(window.parts.len() <= PARTS as usize + 1, "{}", window.parts.len());
    }
    assert!((590..=600).contains(&last.0) && (295..=300).contains(&last.1), "{last:?}");
}
