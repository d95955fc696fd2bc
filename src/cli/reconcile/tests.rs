use super::*;
use crate::call::cdr::Layout;

const NAMES: &str = "src,dst,channel,dstchannel,lastapp,disposition,start,answer,end,uniqueid,linkedid";

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

/// What is kept of one record that ran from `start` to `end`, beside a gap from 1795385700 to 1795385800.
fn kept(start: i64, end: i64, id: &str) -> Found {
    let names: Vec<String> = NAMES.split(',').map(str::to_owned).collect();
    let layout = Layout::named(&names, Tz::UTC).unwrap();
    let line = format!("1,2,PJSIP/1-1,PJSIP/2-2,Dial,ANSWERED,{start},{start},{end},{id},{id}");
    let record = layout.record(&cdr::split(&line).unwrap()).unwrap();
    let mut found = Found::default();
    assert!(found.take(1, record, &[(at(1_795_385_700), at(1_795_385_800))]).is_ok());
    found
}

#[test]
fn a_record_that_reaches_into_a_gap_is_kept_so_that_its_call_is_seen_whole() {
    assert_eq!(kept(1_795_385_600, 1_795_385_750, "1795385600.1").records.len(), 1);
    assert_eq!(kept(1_795_385_600, 1_795_385_690, "1795385600.1").records.len(), 0);
    assert_eq!(kept(1_795_385_810, 1_795_385_890, "1795385810.1").records.len(), 0);
}

#[test]
fn a_record_that_begins_before_its_channel_was_made_is_refused() {
    let found = kept(1_795_385_710, 1_795_385_750, "1795389310.1");
    assert_eq!((found.records.len(), found.bad, found.count, found.elsewhere), (0, 1, 1, 1));
    // A late try of a long call.
    let found = kept(1_795_385_710, 1_795_385_750, "1795382000.1");
    assert_eq!((found.records.len(), found.bad), (1, 0));
}
