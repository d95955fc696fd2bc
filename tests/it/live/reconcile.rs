//! Calls that ran while the service was dead, brought back from Asterisk's own records.

use std::path::Path;
use std::process::{Command, Output};

use super::stage::{closed_rows, same};
use crate::kit::rows::Call;
use crate::kit::wait::{self, s};
use crate::kit::{Asterisk, Service, live};

const COLUMNS: &str =
    "clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,start,answer,end,disposition,uniqueid,linkedid";

#[track_caller]
pub(super) fn reconcile(service: &Service, file: &Path, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    service.beside(command.env_clear().args(["reconcile", "--time-zone", "UTC", "--cdr"]).arg(file).args(more));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// What is said last.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned()
}

/// All that anybody could see changed.
fn everything(service: &Service) -> Vec<String> {
    [
        "SELECT COUNT(*) || '/' || MAX(seq) AS word FROM changes",
        "SELECT uid || updated_at || status || legs AS word FROM calls ORDER BY uid",
        "SELECT channel_id || updated_at AS word FROM legs ORDER BY id",
    ]
    .iter()
    .flat_map(|query| service.rows().words(query))
    .collect()
}

/// The calls of the gap: caller, and the story by the records.
const STORIES: &[(u16, &str)] = &[
    (132, "132 -> 133 busy - callee"),
    (130, "130 -> 131 abandoned - caller"),
    (140, "140 -> 141 answered 141 -"),
    (161, "161 -> 231 no_answer - system"),
    (164, "164 -> 600 answered 101 -"),
    (165, "165 -> 601 abandoned - caller"),
    (160, "160 -> 500 answered 102 -"),
    (162, "162 -> 502 answered 102 -"),
    (163, "163 -> 503 answered 102 -"),
    (150, "150 -> 151 answered 152 -"),
];

/// Plays them, with what needs the same phones one after another.
fn play(asterisk: &Asterisk) {
    let mut silent = vec![asterisk.callee("uas_noanswer", 131, &[]), asterisk.callee("uas_noanswer", 104, &[])];
    let _phones = [
        asterisk.callee("uas_busy", 133, &[]),
        asterisk.callee("uas_forward", 151, &["target=152"]),
        asterisk.answerer(141, 1_500, 3_600_000),
        asterisk.answerer(152, 1_500, 3_600_000),
        asterisk.answerer(102, 1_500, 3_600_000),
    ];
    silent.push(asterisk.callee("uas_noanswer", 101, &[]));
    let at_once = [
        asterisk.caller("uac", 132, &["to=133"]),
        asterisk.caller("uac_cancel", 130, &["to=131", "talk=1500"]),
        asterisk.caller("uac", 140, &["to=141", "talk=3000"]),
        asterisk.caller("uac", 161, &["to=231"]),
        asterisk.caller("uac", 165, &["to=601", "talk=3000"]),
        asterisk.caller("uac", 150, &["to=151", "talk=1000"]),
        asterisk.caller("uac", 160, &["to=500", "talk=1000"]),
        asterisk.caller("uac", 162, &["to=502", "talk=1000"]),
        asterisk.caller("uac", 163, &["to=503", "talk=1000"]),
    ];
    at_once.into_iter().for_each(|mut caller| caller.succeed(s(30)));
    drop(silent.pop());
    let _agent = asterisk.answerer(101, 1_000, 3_600_000);
    asterisk.caller("uac", 164, &["to=600", "talk=3000"]).succeed(s(30));
}

fn row(service: &Service, caller: u16) -> Call {
    closed_rows(service, &format!("caller_number = '{caller}'"), 1).remove(0)
}

#[test]
fn calls_of_a_gap_come_back_from_asterisks_own_records_once() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let mut service = Service::start(&asterisk);
    let _phone = [asterisk.answerer(121, 100, 3_600_000), asterisk.answerer(123, 100, 3_600_000)];
    let _straddles = asterisk.caller("uac", 120, &["to=121", "talk=600000"]);
    wait::until("a call that talks", s(20), || match service.rows().try_calls("status = 'active'")?.len() {
        1 => Ok(()),
        other => Err(format!("{other} calls")),
    });
    service.sigkill();
    play(&asterisk);
    let hang_up = |caller: &str| {
        let channel = asterisk.channel(caller, s(10), |_| true);
        asterisk.order("DELETE", &format!("channels/{channel}"), &[]);
        asterisk.gone(&channel, s(10));
    };
    let _reaches_out = asterisk.caller("uac", 122, &["to=123", "talk=600000"]);
    asterisk.channel("PJSIP/123-", s(10), |_| true);
    hang_up("PJSIP/120-");
    service.restart();
    hang_up("PJSIP/122-");
    let straddling =
        || ["120", "122"].map(|n| format!("{:?}", closed_rows(&service, &format!("caller_number = '{n}'"), 1)));
    let before = straddling();

    let master = asterisk.dir().join("log/cdr-csv/Master.csv");
    wait::until("Asterisk's records", s(10), || {
        let text = std::fs::read_to_string(&master).unwrap_or_default();
        if text.lines().any(|line| line.contains("PJSIP/122-")) { Ok(()) } else { Err(text) }
    });
    let all = everything(&service);
    let dry = reconcile(&service, &master, &["--dry-run"]);
    assert!(said(&dry).contains(": 10 to be added"), "{dry:?}");
    assert_eq!(everything(&service), all, "a dry run writes nothing");
    let done = reconcile(&service, &master, &[]);
    assert!(said(&done).contains(" 0 not understood;") && said(&done).contains(": 10 added"), "{done:?}");
    for (caller, story) in STORIES {
        let call = row(&service, *caller);
        same(&call, story);
        assert_eq!(call.incomplete, 1);
    }
    // 141 rang 1.5 s, then they talked 3 s; the records count in whole seconds.
    let talk = row(&service, 140).talk_ms.unwrap();
    assert!((2_000..=4_000).contains(&talk), "{talk}");
    assert_eq!(row(&service, 164).talk_ms, None, "the dialplan answered before the agent did");
    assert_eq!(service.rows().number("SELECT COUNT(*) AS number FROM calls WHERE reconciled"), 10);
    assert_eq!(service.rows().number("SELECT COUNT(*) AS number FROM changes WHERE kind = 'call_reconciled'"), 10);
    assert_eq!(straddling(), before, "calls that were heard are not touched");

    let all = everything(&service);
    let custom = asterisk.dir().join("log/cdr-custom/reconcile.csv");
    for again in [reconcile(&service, &master, &[]), reconcile(&service, &custom, &["--columns", COLUMNS])] {
        assert!(said(&again).contains(": 0 added"), "{again:?}");
    }
    assert_eq!(everything(&service), all, "the second time changes nothing");

    let (status, body) = service.get("/api/v1/gaps").unwrap();
    let gaps = body["gaps"].as_array().unwrap();
    let gap = gaps.iter().find(|gap| gap["calls_reconciled"] == 10).unwrap_or_else(|| panic!("{status} {body}"));
    assert!(gap["calls_touched"].as_i64() >= Some(1), "{gap}");
    service.says("calls touched", s(1));

    // The service goes on beside it: its next call is numbered and recorded as ever.
    asterisk.caller("uac", 140, &["to=121", "talk=500"]).succeed(s(30));
    let next = closed_rows(&service, "dialed_number = '121' AND caller_number = '140'", 1).remove(0);
    assert_eq!((next.status.as_str(), next.incomplete), ("answered", 0));
    service.sigterm();
}
