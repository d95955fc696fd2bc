//! Which column stands where, and a line's fields made a record.

use std::fmt::Write as _;

use chrono::{DateTime, LocalResult, NaiveDateTime, TimeZone};
use chrono_tz::Tz;

use super::Record;
use crate::call::key::second_of;
use crate::model::Timestamp;

/// The columns of `cdr_csv`'s Master.csv (cdr_csv.c of Asterisk 22) before the optional ones.
const MASTER: &str = "accountcode,src,dst,dcontext,clid,channel,dstchannel,lastapp,lastdata,start,answer,end,duration,\
                      billsec,disposition,amaflags";
/// What `newcdrcolumns=yes` adds behind all others.
const NEWER: &str = ",peeraccount,linkedid,sequence";
/// A time by the clock of Asterisk's machine.
const LOCAL: &str = "%Y-%m-%d %H:%M:%S%.f";

/// Columns of one file and the zone of its times.
#[derive(Clone, Debug)]
pub struct Layout {
    names: Vec<String>,
    zone: Tz,
}

/// Why a file can't be read at all.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ColumnsError {
    /// Master.csv without ids: its records can't be told from those that were heard.
    #[error(
        "the records have no uniqueid, so they can't be told from the calls that were heard: add `loguniqueid=yes` to \
         [csv] in cdr.conf, then `asterisk -rx 'module reload cdr_csv.so'`; only records written from then on can be used"
    )]
    NoUniqueId,
    /// Columns were named and a needed one isn't among them.
    #[error(
        "the columns have no {missing}: name them all by --columns or a header line; a mapping for cdr_custom.conf that \
         does is:\n[mappings]\nreconcile.csv => {}",
        mapping()
    )]
    Missing {
        /// The names.
        missing: String,
    },
    /// The first line of Master.csv has as many fields as no setting gives.
    #[error("{0} fields in the first line, Master.csv has 16 to 21: name the columns by --columns or a header line")]
    Count(usize),
}

/// A line for `cdr_custom.conf` with all that is needed.
fn mapping() -> String {
    let mut text = String::new();
    for name in
        "clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,start,answer,end,disposition,uniqueid,linkedid"
            .split(',')
    {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a String can't fail.
        let _ = write!(text, "{comma}${{CSV_QUOTE(${{CDR({name})}})}}");
    }
    text
}

impl Layout {
    /// Of named columns: `--columns` or a header line.
    ///
    /// # Errors
    /// When one is missing that is needed.
    pub fn named(names: &[String], zone: Tz) -> Result<Self, ColumnsError> {
        let names: Vec<String> = names.iter().map(|name| name.trim().to_lowercase()).collect();
        let layout = Self { names, zone };
        let has = |name: &str| layout.names.iter().any(|n| n == name);
        let mut missing: Vec<&str> = ["src", "dst", "channel", "dstchannel", "lastapp", "disposition", "uniqueid"]
            .into_iter()
            .filter(|n| !has(n))
            .collect();
        // FreePBX's table has `calldate` with durations instead of three times.
        let told = |names: [&str; 3]| names.into_iter().all(has);
        if !told(["start", "answer", "end"]) && !told(["calldate", "duration", "billsec"]) {
            missing.push("start, answer and end (or calldate, duration and billsec)");
        }
        if missing.is_empty() { Ok(layout) } else { Err(ColumnsError::Missing { missing: missing.join(", ") }) }
    }

    /// Of Master.csv, by a first line of it.
    ///
    /// # Errors
    /// When it has no uniqueid, or is no Master.csv.
    pub fn master(first: &[String], zone: Tz) -> Result<Self, ColumnsError> {
        let unique = first.get(16).is_some_and(|field| second_of(field).is_some());
        let more = match (first.len(), unique) {
            (17, true) => ",uniqueid".to_owned(),
            (18, true) => ",uniqueid,userfield".to_owned(),
            (20, true) => format!(",uniqueid{NEWER}"),
            (21, true) => format!(",uniqueid,userfield{NEWER}"),
            (16..=21, _) => return Err(ColumnsError::NoUniqueId),
            (count, _) => return Err(ColumnsError::Count(count)),
        };
        Ok(Self { names: format!("{MASTER}{more}").split(',').map(str::to_owned).collect(), zone })
    }

    /// Whether these fields are a header: names, no values.
    pub fn is_header(fields: &[String]) -> bool {
        let has = |name: &str| fields.iter().any(|field| field.trim().eq_ignore_ascii_case(name));
        has("channel") && has("disposition")
    }

    /// The record of a line's fields.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn record(&self, fields: &[String]) -> Result<Record, String> {
        if fields.len() != self.names.len() {
            return Err(format!("{} fields where {} are expected", fields.len(), self.names.len()));
        }
        let find =
            |name: &str| self.names.iter().zip(fields).find(|(n, _)| *n == name).map(|(_, field)| field.as_str());
        let text = |name: &str| find(name).unwrap_or_default().to_owned();
        let uniqueid = text("uniqueid");
        if uniqueid.is_empty() || text("channel").is_empty() {
            return Err("it has no uniqueid or no channel".into());
        }
        let at = |name: &str, floor: Option<Timestamp>| {
            self.time(find(name).unwrap_or_default(), floor).map_err(|e| format!("{name}: {e}"))
        };
        let seconds = |name: &str| text(name).parse::<i64>().map_err(|_| format!("{name}: no number"));
        let made = second_of(&uniqueid).map(|second| Timestamp::from_millis(second.saturating_mul(1_000)));
        // Times and durations in whole seconds are cut off, each by itself.
        let about = |at: Timestamp| at.plus_millis(-2_000);
        let ((start, precise), answer, end) = match find("start") {
            Some(_) => {
                let start = at("start", made.map(about))?.ok_or("it has no start")?;
                let told =
                    seconds("duration").ok().map(|seconds| about(start.0.plus_millis(seconds.saturating_mul(1_000))));
                let end = at("end", Some(told.unwrap_or(start.0).max(start.0)))?.ok_or("it has no end")?.0;
                let told =
                    seconds("billsec").ok().map(|seconds| about(end.plus_millis(seconds.saturating_mul(-1_000))));
                let answer = at("answer", Some(told.unwrap_or(start.0).max(start.0)))?;
                (start, answer.map(|(answer, _)| answer), end)
            }
            None => {
                let start = at("calldate", made.map(about))?.ok_or("it has no calldate")?;
                let end = start.0.plus_millis(seconds("duration")?.saturating_mul(1_000));
                let talk = seconds("billsec")?;
                let answered = text("disposition") == "ANSWERED";
                (start, answered.then(|| end.plus_millis(talk.saturating_mul(-1_000))), end)
            }
        };
        if end < start {
            return Err("it ends before it begins".into());
        }
        Ok(Record {
            src: text("src"),
            dst: text("dst"),
            dcontext: text("dcontext"),
            clid: text("clid"),
            channel: text("channel"),
            dstchannel: text("dstchannel"),
            lastapp: text("lastapp"),
            lastdata: text("lastdata"),
            start,
            answer,
            end,
            disposition: text("disposition"),
            uniqueid,
            linkedid: find("linkedid").filter(|id| !matches!(*id, "" | "NULL")).map(str::to_owned),
            precision_ms: if precise { 1 } else { 1_000 },
        })
    }

    /// A moment, and whether it has fractions of seconds: seconds since 1970 or local time; `None` where it is empty or 0. Of
    /// an hour that came twice it is the first that isn't before `floor`.
    fn time(&self, text: &str, floor: Option<Timestamp>) -> Result<Option<(Timestamp, bool)>, String> {
        let text = text.trim();
        if text.is_empty() || text == "NULL" || text.starts_with("0000-00-00") {
            return Ok(None);
        }
        if let Ok(seconds) = text.parse::<f64>() {
            return Ok(
                (seconds > 0.0 && seconds < 1e11).then(|| (Timestamp::from_secs_f64(seconds), text.contains('.')))
            );
        }
        let local = NaiveDateTime::parse_from_str(text, LOCAL).map_err(|_| format!("'{text}' is no time"))?;
        let utc = |at: DateTime<Tz>| Timestamp::from_millis(at.timestamp_millis());
        let moment = match self.zone.from_local_datetime(&local) {
            LocalResult::Single(at) => utc(at),
            LocalResult::Ambiguous(a, b) if floor.is_some_and(|floor| utc(a) < floor) => utc(b),
            LocalResult::Ambiguous(a, _) => utc(a),
            LocalResult::None => {
                return Err(format!("'{text}' is a time that {} never had: is --time-zone right?", self.zone));
            }
        };
        Ok(Some((moment, text.contains('.'))))
    }
}
