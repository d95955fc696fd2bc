use super::*;
use crate::call::LineRules;
use crate::model::Direction;

/// Written by a real Asterisk 22 (`tests/it/live/reconcile.rs` plays the calls).
const MASTER: &str = include_str!("tests/Master.csv");

struct Rules;

impl LineRules for Rules {
    fn configured(&self) -> bool {
        true
    }
    fn is_trunk(&self, endpoint: &str) -> bool {
        matches!(endpoint, "PJSIP/152" | "PJSIP/130")
    }
    fn is_inbound_context(&self, _: &str) -> bool {
        false
    }
    fn e164(&self, _: &str) -> Option<String> {
        None
    }
}

fn master() -> Vec<Record> {
    let lines: Vec<Vec<String>> = MASTER.lines().map(|line| split(line).unwrap()).collect();
    let layout = Layout::master(&lines[0], chrono_tz::Tz::UTC).unwrap();
    lines.iter().map(|fields| layout.record(fields).unwrap()).collect()
}

fn told(call: &CdrCall) -> String {
    let row = &call.row;
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".into());
    let (from, to, callee) = (word(&row.caller_number), word(&row.dialed_number), word(&row.callee_number));
    let kind = row.answered_kind.map_or("-", |kind| kind.as_str());
    format!("{from} -> {to} {} {kind} {callee} {:?} {:?} {:?}", row.status, row.wait_ms, row.ring_ms, row.talk_ms)
}

#[test]
fn records_of_a_real_asterisk_are_one_row_a_call() {
    let mut all: Vec<String> = calls("main", &master(), &Rules).iter().map(told).collect();
    all.sort();
    let expected = [
        // Taken within the second in which it began: from when on they talked isn't told.
        "120 -> 121 answered person 121 None Some(0) None",
        "122 -> 123 answered person 123 None Some(0) None",
        "130 -> 131 abandoned - - Some(1000) Some(1000) Some(0)",
        "132 -> 133 busy - - Some(0) Some(0) Some(0)",
        "140 -> 141 answered person 141 Some(1000) Some(1000) Some(3000)",
        "150 -> 151 answered person 152 Some(1000) Some(1000) Some(2000)",
        "160 -> 500 answered person 102 Some(1000) Some(1000) Some(2000)",
        "161 -> 231 no_answer - - Some(3000) Some(3000) Some(0)",
        "162 -> 502 answered person 102 Some(6000) Some(6000) Some(1000)",
        "163 -> 503 answered person 102 Some(1000) Some(1000) Some(2000)",
        // The dialplan answered before the agent did.
        "164 -> 600 answered person 101 None Some(1000) None",
        "165 -> 601 abandoned - - Some(3000) Some(3000) Some(0)",
    ];
    assert_eq!(all, expected);
}

#[test]
fn the_order_of_records_changes_nothing() {
    let records = master();
    let straight = calls("main", &records, &Rules);
    let reversed: Vec<Record> = records.into_iter().rev().collect();
    assert_eq!(calls("main", &reversed, &Rules), straight);
}

#[test]
fn directions_follow_the_rule_of_calls_that_were_heard() {
    let all = calls("main", &master(), &Rules);
    let of = |caller: &str| all.iter().find(|c| c.row.caller_number.as_deref() == Some(caller)).unwrap().row.clone();
    assert_eq!((of("150").direction, of("150").trunk.as_deref()), (Some(Direction::Outbound), Some("152")));
    assert_eq!((of("130").direction, of("130").did.as_deref()), (Some(Direction::Inbound), Some("131")));
    assert_eq!(of("140").direction, Some(Direction::Internal));
}

#[test]
fn the_uid_names_the_callers_channel_and_legs_those_that_cdr_knows() {
    let all = calls("main", &master(), &Rules);
    let forwarded = all.iter().find(|c| c.row.caller_number.as_deref() == Some("150")).unwrap();
    assert_eq!(forwarded.row.uid, "main/1795385726.9/1795385726000");
    assert_eq!(forwarded.channels().collect::<Vec<_>>(), ["1795385726.9", "1795385726.13"]);
    assert_eq!(forwarded.row.caller_name.as_deref(), Some("Agent 150"));
}

#[test]
fn master_csv_without_ids_is_refused_with_the_line_to_add() {
    let fields = split(MASTER.lines().next().unwrap()).unwrap();
    let error = Layout::master(&fields[..16], chrono_tz::Tz::UTC).unwrap_err();
    assert!(error.to_string().contains("loguniqueid=yes"), "{error}");
    let named: Vec<String> = ["src", "dst", "channel"].map(String::from).into();
    let error = Layout::named(&named, chrono_tz::Tz::UTC).unwrap_err().to_string();
    assert!(error.contains("uniqueid") && error.contains("${CSV_QUOTE(${CDR(uniqueid)})}"), "{error}");
}

#[test]
fn broken_quotes_are_an_error_and_right_ones_are_not() {
    assert_eq!(split(r#""a ""b"" c",,"d,e",7"#).unwrap(), ["a \"b\" c", "", "d,e", "7"]);
    assert_eq!(split("").unwrap(), [""]);
    assert_eq!(split("a,").unwrap(), ["a", ""]);
    // What cdr_custom writes for "${CDR(clid)}".
    let error = split(r#"""Zed" <100>","100""#).unwrap_err();
    assert!(error.contains("field 1") && error.contains("CSV_QUOTE"), "{error}");
    assert!(split(r#"1,"never closed"#).unwrap_err().contains("field 2"));
}

#[test]
fn times_are_read_in_their_zone_and_freepbx_durations_too() {
    let names = [
        "calldate",
        "clid",
        "src",
        "dst",
        "dcontext",
        "channel",
        "dstchannel",
        "lastapp",
        "lastdata",
        "duration",
        "billsec",
        "disposition",
        "uniqueid",
    ];
    let layout = Layout::named(&names.map(String::from), chrono_tz::Tz::Europe__Moscow).unwrap();
    let fields = [
        "2026-11-23 01:15:26",
        "",
        "1",
        "2",
        "c",
        "PJSIP/1-1",
        "PJSIP/2-2",
        "Dial",
        "",
        "5",
        "3",
        "ANSWERED",
        "1795385726.1",
    ];
    let record = layout.record(&fields.map(String::from)).unwrap();
    assert_eq!(record.start.millis(), 1_795_385_726_000);
    assert_eq!(record.answer.map(|at| at.since(record.start)), Some(2_000));
    // An hour that came twice: the id tells which it was.
    let layout = Layout::named(&names.map(String::from), chrono_tz::Tz::Europe__Berlin).unwrap();
    for made in [1_792_888_200, 1_792_891_800] {
        let id = format!("{made}.5");
        let mut fields = fields.map(String::from);
        (fields[0], fields[12]) = ("2026-10-25 02:30:00".into(), id);
        assert_eq!(layout.record(&fields).unwrap().start.millis(), made * 1_000);
    }
}

/// A record of seconds from a base, which its id names too.
fn record(channel: &str, dst: &str, span: (i64, i64), id: &str, linked: Option<&str>) -> Record {
    let at = |second: i64| Timestamp::from_millis((1_795_385_000 + second) * 1_000);
    let mut record = master().remove(0);
    (record.channel, record.dstchannel) = (channel.into(), dst.into());
    (record.start, record.answer, record.end) = (at(span.0), None, at(span.1));
    (record.uniqueid, record.linkedid) = (id.into(), linked.map(str::to_owned));
    record
}

fn uids(records: &[Record]) -> Vec<String> {
    calls("main", records, &Rules).into_iter().map(|call| call.row.uid).collect()
}

#[test]
fn names_of_channels_that_come_again_after_a_restart_tie_nothing() {
    // Asterisk counts its channels from 0 again: the dialled phone of one call has the name of the next one's caller.
    let first = record("PJSIP/1-0", "PJSIP/2-1", (0, 60), "1795385000.0", None);
    let again = record("PJSIP/2-1", "PJSIP/3-2", (900, 960), "1795385900.0", None);
    let third = record("PJSIP/4-5", "PJSIP/2-1", (1_800, 1_860), "1795386800.0", None);
    assert_eq!(uids(&[first.clone(), again, third]).len(), 3);
    // While it lives, it ties: the dialled phone goes on by itself where the first record ends.
    let onward = record("PJSIP/2-1", "PJSIP/3-2", (60, 90), "1795385000.1", None);
    assert_eq!(uids(&[first.clone(), onward]).len(), 1);
    // And so it does with a pause, where linkedid says so.
    let (mut first, mut later) = (first, record("PJSIP/2-1", "", (300, 310), "1795385000.1", None));
    (first.linkedid, later.linkedid) = (Some("1795385000.0".into()), Some("1795385000.0".into()));
    assert_eq!(uids(&[first, later]).len(), 1);
}

#[test]
fn parts_of_a_call_that_began_elsewhere_are_no_calls() {
    let local = |linked| record("Local/5@q-1;2", "PJSIP/5-9", (0, 20), "1795385000.8", linked);
    assert_eq!(uids(&[local(Some("1795384000.1"))]), <[String; 0]>::default());
    assert_eq!(uids(&[local(None)]), <[String; 0]>::default());
    let mut phone = record("PJSIP/5-9", "", (0, 20), "1795385000.8", Some("1795384000.1"));
    phone.lastapp = "AppDial".into();
    assert_eq!(uids(&[phone]), <[String; 0]>::default());
    // A Local channel that began the call itself: a click to call.
    assert_eq!(uids(&[local(Some("1795385000.8"))]).len(), 1);
    // The caller's earlier records are not there, or all are of another zone.
    let late = record("PJSIP/1-0", "PJSIP/2-1", (3_600, 3_610), "1795385000.0", None);
    assert_eq!(uids(&[late]), <[String; 0]>::default());
}

#[test]
fn the_call_for_which_a_phone_was_dialled_is_asked_for_too() {
    let caller = record("PJSIP/1-0", "PJSIP/2-1", (0, 20), "1795385000.0", None);
    let mut dialed = record("PJSIP/2-1", "", (5, 20), "1795385000.1", Some("1795384000.7"));
    dialed.lastapp = "AppDial".into();
    let all = calls("main", &[caller, dialed], &Rules);
    let asked: Vec<&str> = all[0].channels().collect();
    assert_eq!(asked, ["1795385000.0", "1795385000.1", "1795384000.7"]);
}

#[test]
fn a_line_of_mysql_has_no_quotes_and_its_own_escapes() {
    let fields = split_tabs("\"Zed\" <100>\t\"open\ta\\tb\\nc\\\\n\\0\\x\t");
    assert_eq!(fields, ["\"Zed\" <100>", "\"open", "a\tb\nc\\n\0\\x", ""]);
}

#[test]
fn in_an_hour_that_came_twice_the_duration_tells_or_the_first_that_is_not_before_the_start() {
    let names = "src,dst,channel,dstchannel,lastapp,disposition,uniqueid,start,answer,end";
    let read = |more: &[&str], start: &str, answer: &str, end: &str, made: i64| {
        let (named, values) = more.split_at(more.len() / 2);
        let names: Vec<String> = names.split(',').chain(named.iter().copied()).map(str::to_owned).collect();
        let layout = Layout::named(&names, chrono_tz::Tz::Europe__Berlin).unwrap();
        let day = |time: &str| format!("2026-10-25 {time}");
        let id = format!("{made}.1");
        let mut fields: Vec<String> = ["1", "2", "PJSIP/1-1", "", "Dial", "ANSWERED", &id].map(str::to_owned).into();
        fields.extend([day(start), day(answer), day(end)]);
        fields.extend(values.iter().copied().map(str::to_owned));
        let record = layout.record(&fields).unwrap();
        let start = record.start.millis() / 1_000 - made;
        (start, record.answer.unwrap().since(record.start) / 1_000, record.end.since(record.start) / 1_000)
    };
    // 02:05 of summer, in seconds since 1970.
    let made = 1_792_886_700;
    // Two hours less a quarter by the duration, though the clock went 45 minutes.
    assert_eq!(
        read(&["duration", "billsec", "6300", "6200"], "02:05:00", "02:06:40", "02:50:00", made),
        (0, 100, 6_300)
    );
    assert_eq!(read(&[], "02:05:00", "02:06:40", "02:50:00", made), (0, 100, 2_700));
    // The clock went back during the call.
    assert_eq!(read(&[], "02:50:00", "02:51:00", "02:10:00", made + 2_700), (0, 60, 1_200));
}
