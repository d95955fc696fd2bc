//! What `callcenter demo` plays: a small call center's day, for as long as one likes.

use std::time::Duration;

use super::{Direction, MixEntry, SimConfig};

/// A steady mix, like the day of a small call center: most calls come from outside and are answered, some wait in a
/// queue and give up, some are transferred or held, some find the phone busy or nobody there.
///
/// Twelve calls a minute, each lasting from seconds to a few minutes (talking, not dialling, is made longer); set
/// `calls_per_second` for another rate. The trunk is `PJSIP/trunk` (to be named in `lines.trunks`, so that calls get
/// their direction); the phones are 101 to 119.
pub fn demo_mix() -> SimConfig {
    use Direction::{AsRecorded, Inbound, Internal, Outbound};
    let entry = |name: &str, weight: u32, direction: Direction| MixEntry::new(name, weight).going(direction);
    let mix = vec![
        entry("answered", 26, Inbound).stretched(2.0, 20.0),
        entry("callee_hangs_up", 10, Inbound).stretched(2.0, 20.0),
        entry("answered", 10, Outbound).stretched(2.0, 12.0),
        entry("plain_dial", 5, Internal).stretched(1.0, 10.0),
        entry("hold", 5, Inbound).stretched(1.0, 8.0),
        entry("queue_ringall", 12, Inbound).stretched(2.0, 15.0),
        entry("queue_retry_abandon", 4, Inbound).stretched(1.0, 1.5),
        entry("blind_transfer", 4, Inbound).stretched(2.0, 10.0),
        entry("attended_transfer", 3, Internal).stretched(1.0, 6.0),
        entry("dtmf", 2, Outbound).stretched(1.0, 4.0),
        entry("abandoned", 6, Inbound).stretched(1.0, 4.0),
        entry("busy", 5, Internal),
        entry("busy", 2, Outbound),
        // Dial's own limit of 30 seconds is part of the call: not longer.
        entry("noanswer", 4, Inbound),
        entry("rejected", 2, Inbound),
        entry("nonexistent", 1, AsRecorded),
    ];
    SimConfig { mix, calls_per_second: 0.2, continue_timeout: Duration::from_secs(10), ..SimConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::Sim;

    #[test]
    fn the_demo_starts_and_most_of_it_is_answered() {
        let config = demo_mix();
        let all: u32 = config.mix.iter().map(|e| e.weight).sum();
        let taken = ["answered", "callee_hangs_up", "plain_dial", "hold", "queue_ringall", "blind_transfer"];
        let answered: u32 = config.mix.iter().filter(|e| taken.contains(&e.recording.as_str())).map(|e| e.weight).sum();
        assert!(answered * 2 > all && answered < all, "{answered} of {all}");
        Sim::start(config).unwrap().stop();
    }
}
