//! What each number may be. A test holds that every number of the configuration stands here.

use serde_json::Value;

use super::{Config, Mistake, keys};

/// A number's bounds, both allowed.
pub(super) struct Range {
    /// The key.
    pub(super) key: &'static str,
    /// The least.
    pub(super) least: u64,
    /// The most.
    pub(super) most: u64,
    /// What is counted, and what a special value does.
    pub(super) unit: &'static str,
}

const fn range(key: &'static str, least: u64, most: u64, unit: &'static str) -> Range {
    Range { key, least, most, unit }
}

/// 2^40 bytes.
const TIB: u64 = 1 << 40;

/// The bounds keep every wait, buffer and file finite; the lower ones are what a test against a real Asterisk needs.
pub(super) const RANGES: &[Range] = &[
    range("ari.connect_timeout_ms", 100, 60_000, "milliseconds"),
    range("ari.ping_interval_ms", 100, 60_000, "milliseconds"),
    range("ari.dead_after_ms", 200, 300_000, "milliseconds"),
    range("ari.backoff_min_ms", 10, 60_000, "milliseconds"),
    range("ari.backoff_max_ms", 10, 600_000, "milliseconds"),
    range("ari.stable_after_ms", 0, 600_000, "milliseconds"),
    range("ari.yield_check_ms", 100, 600_000, "milliseconds"),
    range("ari.max_frame_bytes", 64 * 1024, 256 * 1024 * 1024, "bytes"),
    range("ari.request_timeout_ms", 100, 60_000, "milliseconds"),
    // Asterisk's http.conf allows 100 sessions by default, its other clients included.
    range("ari.max_in_flight", 1, 64, "requests"),
    range("ari.queue_limit", 1, 100_000, "requests"),
    // Below 3 an ordinary delay would lead calls past the application.
    range("guard.max_age_s", 3, 60, "seconds"),
    range("journal.segment_bytes", 4_096, 1024 * 1024 * 1024, "bytes"),
    range("journal.max_bytes", 8_192, TIB, "bytes"),
    range("journal.segment_age_s", 1, 604_800, "seconds"),
    range("journal.sync_interval_ms", 1, 60_000, "milliseconds"),
    range("database.busy_timeout_ms", 0, 60_000, "milliseconds"),
    range("database.batch_rows", 1, 100_000, "rows"),
    range("database.batch_wait_ms", 0, 1_000, "milliseconds; 0 waits for nothing"),
    range("database.events_retention_days", 0, 36_500, "days; 0 keeps all"),
    range("database.calls_retention_days", 0, 36_500, "days; 0 keeps all"),
    range("database.read_connections", 1, 64, "connections"),
    range("database.min_free_bytes", 0, 1024 * TIB, "bytes"),
    range("http.port", 0, 65_535, "a port; 0 takes a free one"),
    range("calls.tombstone_s", 1, 3_600, "seconds"),
    range("calls.read_bytes", 4_096, 64 * 1024 * 1024, "bytes"),
    range("calls.max_batches", 1, 256, "batches"),
    range("watchdog.stuck_after_s", 5, 3_600, "seconds"),
    range("alarms.remind_h", 0, 720, "hours; 0 sends no reminders"),
    range("alarms.burst_ms", 0, 300_000, "milliseconds"),
    range("alarms.asterisk_unreachable_s", 0, 86_400, "seconds; 0 switches the alarm off"),
    range("alarms.no_inbound_min", 0, 1_440, "minutes; 0 switches the alarm off"),
    range("alarms.gap_min_s", 0, 86_400, "seconds"),
    range("alarms.gap_every_s", 0, 86_400, "seconds"),
    range("alarms.trunk_failures_percent", 0, 100, "per cent; 0 switches the alarm off"),
    range("alarms.trunk_failures_calls", 1, 100_000, "calls"),
    range("alarms.trunk_failures_min", 1, 1_440, "minutes"),
    range("alarms.disk_free_mb", 0, 1 << 30, "MiB; 0 switches it off"),
    range("alarms.disk_free_percent", 0, 99, "per cent; 0 switches it off"),
    range("alarms.writer_behind_s", 0, 86_400, "seconds; 0 switches the alarm off"),
    range("alarms.send_timeout_ms", 100, 60_000, "milliseconds"),
    range("alarms.send_attempts", 1, 1_000, "tries"),
    range("alarms.send_retry_ms", 10, 600_000, "milliseconds"),
    range("alarms.smtp_port", 1, 65_535, "a port"),
];

/// What a number may be, as a sentence; none where the key is no number.
pub(super) fn allowed(key: &str) -> Option<String> {
    let range = RANGES.iter().find(|range| range.key == key)?;
    Some(format!("Allowed: a whole number from {} to {} ({}).", range.least, range.most, range.unit))
}

/// The numbers of `config` that are out of their bounds.
pub(super) fn check(config: &Config, mistakes: &mut Vec<Mistake>) {
    for (key, value) in keys::sections(config) {
        let (Value::Number(number), Some(range)) = (value, RANGES.iter().find(|range| range.key == key)) else {
            continue;
        };
        if !number.as_u64().is_some_and(|n| (range.least..=range.most).contains(&n)) {
            mistakes.push(Mistake::at(key.as_str(), &number, allowed(&key).unwrap_or_default()));
        }
    }
}
