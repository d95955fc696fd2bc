//! Two Asterisks side by side, one service, one database.

use super::stage::{answered_record, close, closed_rows, same};
use crate::kit::asterisk::USER;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

/// The configuration that names both.
fn config(nodes: [(&str, &Asterisk); 2]) -> String {
    let one = |(name, asterisk): (&str, &Asterisk)| {
        format!(
            "[[asterisk]]\nname = \"{name}\"\nurl = \"{}\"\nusername = \"{}\"\npassword = \"{}\"\napp = \"callcenter-app\"\n",
            asterisk.url(),
            USER.0,
            USER.1
        )
    };
    nodes.map(one).join("\n")
}

#[test]
fn calls_on_two_asterisks_keep_apart() {
    if !live() {
        return;
    }
    let (a, b) = (Asterisk::start(), Asterisk::start());
    let mut service = Service::with(&config([("a", &a), ("b", &b)]), &[]);
    // The same numbers on both, at the same time: only the node tells them apart.
    let mut callers = Vec::new();
    let mut phones = Vec::new();
    for (asterisk, talk) in [(&a, "talk=1500"), (&b, "talk=3000")] {
        phones.push(asterisk.answerer(101, 300, 3_600_000));
        phones.push(asterisk.callee("uas_busy", 103, &[]));
        callers.push(asterisk.caller("uac", 100, &["to=101", talk]));
        callers.push(asterisk.caller("uac", 102, &["to=103"]));
    }
    for caller in &mut callers {
        caller.succeed(s(60));
    }
    for (node, asterisk) in [("a", &a), ("b", &b)] {
        let call = closed_rows(&service, &format!("node = '{node}' AND dialed_number = '101'"), 1).remove(0);
        same(&call, "100 -> 101 answered 101 caller");
        assert_eq!((call.node.as_str(), call.incomplete), (node, 0));
        let record = wait::until("Asterisk's call record", s(10), || {
            answered_record(&asterisk.cdr_since(Default::default()), &call).ok_or("none yet")
        });
        close("talk_ms", call.talk_ms, (record.end - record.answer) * 1000.0);
        same(
            &closed_rows(&service, &format!("node = '{node}' AND dialed_number = '103'"), 1)[0],
            "102 -> 103 busy - *",
        );
    }
    one_dies(&service, &a, &b);
    service.sigterm();
}

/// One Asterisk crashes in the middle of calls on both: the other's call knows nothing of it.
fn one_dies(service: &Service, a: &Asterisk, b: &Asterisk) {
    let _phones = [a.answerer(105, 100, 3_600_000), b.answerer(105, 100, 3_600_000)];
    let _callers = [a.caller("uac", 104, &["to=105", "talk=60000"]), b.caller("uac", 104, &["to=105", "talk=60000"])];
    wait::until("both calls to be active", s(20), || {
        let active = service.rows().try_calls("dialed_number = '105' AND status = 'active'")?;
        if active.len() == 2 { Ok(()) } else { Err(format!("{active:#?}")) }
    });
    b.kill9();
    b.up();
    let broken = closed_rows(service, "node = 'b' AND dialed_number = '105'", 1).remove(0);
    assert_eq!((broken.status.as_str(), broken.incomplete), ("answered", 1), "{broken:?}");
    let channel = a.channel("PJSIP/104-", s(5), |_| true);
    a.order("DELETE", &format!("channels/{channel}"), &[]);
    let whole = closed_rows(service, "node = 'a' AND dialed_number = '105'", 1).remove(0);
    assert_eq!((whole.status.as_str(), whole.incomplete), ("answered", 0), "{whole:?}");
    let nodes = service.rows().words("SELECT DISTINCT node AS word FROM gaps");
    assert_eq!(nodes, ["b"], "gaps of the Asterisk that died, of no other");
}
