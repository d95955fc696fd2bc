//! Recorded streams rewritten: other lines rules, an older Asterisk, other clocks, gaps, long conferences.

use super::*;

/// One trunk and one context, as an owner would name them.
struct OneTrunk(&'static str, &'static str);

impl LineRules for OneTrunk {
    fn configured(&self) -> bool {
        true
    }
    fn is_trunk(&self, endpoint: &str) -> bool {
        endpoint == self.0
    }
    fn is_inbound_context(&self, context: &str) -> bool {
        context == self.1
    }
    fn e164(&self, number: &str) -> Option<String> {
        Some(format!("+7{number}"))
    }
}

#[test]
fn direction_trunk_and_did_follow_trunks_and_contexts() {
    use crate::model::Direction;
    let row = |trunk, context| {
        let mut driver = Driver::new();
        for line in lines("answered") {
            driver.line(&line);
        }
        let folded = driver.book.fold(&OneTrunk(trunk, context));
        let row = folded.calls.into_iter().next().unwrap();
        assert_eq!(row.caller_e164.as_deref(), Some("+7100"), "kept as it came, and in E.164 beside that");
        (row.direction, row.trunk, row.did)
    };
    let text = |t: &str| Some(t.to_owned());
    assert_eq!(row("PJSIP/100", ""), (Some(Direction::Inbound), text("100"), text("101")));
    assert_eq!(row("PJSIP/101", ""), (Some(Direction::Outbound), text("101"), None));
    assert_eq!(row("PJSIP/999", "internal"), (Some(Direction::Inbound), None, text("101")));
    assert_eq!(row("PJSIP/999", "elsewhere"), (Some(Direction::Internal), None, None));
    let unnamed = play(&lines("answered"), 5);
    assert_eq!(unnamed.calls()[0].direction, None, "nothing named, nothing claimed");
}

/// Rewrites every event of a stream.
fn rewritten(name: &str, change: &dyn Fn(&mut serde_json::Value), pretty: bool) -> Vec<String> {
    lines(name)
        .iter()
        .map(|line| {
            let mut line: serde_json::Value = serde_json::from_str(line).unwrap();
            change(&mut line);
            let Some(event) = line.get("event").filter(|_| pretty) else { return line.to_string() };
            let mut out = Vec::new();
            let frame = serde_json::to_string_pretty(event).unwrap();
            crate::ari::entry::write_event(&mut out, line["at"].as_f64().unwrap(), &frame);
            String::from_utf8(out).unwrap().trim_end().to_owned()
        })
        .collect()
}

fn everywhere(value: &mut serde_json::Value, change: &dyn Fn(&str, &mut serde_json::Value) -> bool) {
    match value {
        serde_json::Value::Object(map) => {
            map.retain(|key, value| change(key, value));
            map.values_mut().for_each(|value| everywhere(value, change));
        }
        serde_json::Value::Array(list) => list.iter_mut().for_each(|value| everywhere(value, change)),
        _ => {}
    }
}

#[test]
fn an_asterisk_18_in_another_time_zone_with_pretty_json_gives_the_same_calls() {
    // What 22 has and 18 has not, by the API descriptions of both.
    let younger = ["protocol_id", "tech_cause", "caller_rdnis", "tenantid", "channelvars", "bridgevars"];
    let change = |line: &mut serde_json::Value| {
        everywhere(line, &|key, value| {
            let time = matches!(key, "timestamp" | "creationtime").then(|| value.as_str().map(str::to_owned)).flatten();
            if let Some(text) = time {
                let utc = chrono::DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.3f%z").unwrap();
                let there = utc.with_timezone(&chrono::FixedOffset::east_opt(5 * 3600).unwrap());
                *value = there.format("%Y-%m-%dT%H:%M:%S%.3f%z").to_string().into();
            }
            !younger.contains(&key)
        });
    };
    for name in ["answered", "busy", "attended_transfer", "queue_ringall", "ws_drop", "click_to_call"] {
        let mut expected = rows(&lines(name), 5);
        expected.0.values_mut().for_each(|row| (row.protocol_id, row.sip_status) = (None, None));
        expected.1.values_mut().for_each(|leg| (leg.protocol_id, leg.sip_status) = (None, None));
        let old = rewritten(name, &change, true);
        assert!(old.iter().any(|line| line.contains("+0500")) && !old.iter().any(|line| line.contains("tech_cause")));
        assert_eq!(rows(&old, 5), expected, "{name}");
    }
}

#[test]
fn a_clock_that_differs_by_minutes_harms_no_row() {
    for ahead in [-420.0, 420.0] {
        let change = |line: &mut serde_json::Value| {
            line["at"] = (line["at"].as_f64().unwrap() + ahead).into();
            if let Some(since) = line.get("gap").and_then(|gap| gap["since"].as_f64()) {
                line["gap"]["since"] = (since + ahead).into();
            }
        };
        for name in ["answered", "ws_drop", "asterisk_restart", "queue_retry_abandon"] {
            assert_eq!(rows(&rewritten(name, &change, false), 5), rows(&lines(name), 5), "{name}, {ahead} s");
        }
    }
}

#[test]
fn what_a_gap_hides_ends_at_its_beginning() {
    // The socket is lost in the middle of a call; afterwards Asterisk knows no channel.
    let all = lines("answered");
    let cut = all.iter().position(|line| line.contains("ChannelHangupRequest")).unwrap();
    let last = at(&all[cut - 1]);
    let mut lost = all[..cut].to_vec();
    lost.push(
        serde_json::json!({"at": last + 9.0, "gap": {"since": last + 2.0, "reason": "socket closed"}}).to_string(),
    );
    lost.push(serde_json::json!({"at": last + 9.1, "snapshot": {"channels": [], "bridges": []}}).to_string());
    let driver = play(&lost, 5);
    let row = driver.calls()[0];
    assert_eq!((row.status.as_str(), row.incomplete), ("answered", true));
    assert_eq!(row.ended_by, Some(crate::model::EndedBy::System));
    let talked = row.talk_ms.unwrap();
    let expected = row.ended_at.unwrap().since(row.answered_at.unwrap());
    assert!(
        (talked - expected).abs() <= 5
            && (2_000..2_200).contains(&row.ended_at.unwrap().since(crate::model::Timestamp::from_secs_f64(last))),
        "{row:?}"
    );
}

#[test]
fn a_caller_who_left_a_conference_long_ago_still_counts_in_the_others_rows() {
    // 115 and 116 talk in a bridge, then 115 hangs up; 116 stays for more than a minute, and its row is folded again
    // when 115 is long gone.
    let all = lines("recording");
    let gone = all.iter().position(|l| l.contains("ChannelDestroyed") && l.contains("PJSIP/115")).unwrap();
    let later = |line: &mut serde_json::Value| {
        line["at"] = (line["at"].as_f64().unwrap() + 90.0).into();
        let time = line["event"]["timestamp"].as_str().unwrap().to_owned();
        let moved = time.parse::<crate::model::Timestamp>().unwrap().plus_millis(90_000);
        line["event"]["timestamp"] = moved.to_string().into();
    };
    let stretched: Vec<String> = all
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
            if i > gone {
                later(&mut value);
            }
            value.to_string()
        })
        .collect();
    let talk = |lines: &[String]| {
        let driver = play(lines, 1);
        let row = driver.calls().into_iter().find(|r| r.caller_number.as_deref() == Some("116")).unwrap();
        (row.talk_ms.unwrap(), row.answered_kind, row.answered_at)
    };
    let expected = talk(&all);
    assert!(expected.0 > 2_000 && expected.1 == Some(crate::model::AnsweredKind::Person), "{expected:?}");
    assert_eq!(talk(&stretched), expected);
}

/// `ari.event_filter` keeps them away by default.
#[test]
fn variables_are_in_their_channels_chain_and_change_nothing_else() {
    let is_variable = |line: &str| {
        let line: Line<'_> = serde_json::from_str(line).unwrap();
        line.event.is_some_and(|event| &*decode(event.get()).unwrap().kind == "ChannelVarset")
    };
    // The time of the last event is another, of course.
    let timeless = |(mut calls, mut legs): Rows| {
        calls.values_mut().for_each(|row| row.updated_at = Timestamp::default());
        legs.values_mut().for_each(|row| row.updated_at = Timestamp::default());
        (calls, legs)
    };
    for name in short() {
        let all = lines(&name);
        let (variables, others): (Vec<&String>, Vec<&String>) = all.iter().partition(|line| is_variable(line));
        assert_eq!(timeless(rows(&all, 3)), timeless(rows(&others, 3)), "{name}");
        assert!(play(&variables, 3).calls().is_empty(), "{name}: none of them opens a call");
    }
    let logged = play(&lines("answered"), 3).log;
    assert!(logged.iter().any(|(_, event)| event.contains("ChannelVarset")), "{logged:?}");
}
