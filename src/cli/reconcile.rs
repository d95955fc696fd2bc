//! `callcenter reconcile`: calls that ran wholly inside a gap, from Asterisk's own CDR.

mod mysql;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use clap::Args;

use super::Exit;
use crate::actors::db_writer::Lines;
use crate::actors::db_writer::rows::reconciled;
use crate::actors::messages::wall_clock;
use crate::call::cdr::{self, ColumnsError, Layout, Record};
use crate::config::{Database, Loaded};
use crate::db::calls::CallRow;
use crate::db::legs::LegRow;
use crate::db::reconcile::{self as db, Missed};
use crate::model::{NodeId, Timestamp};

/// What it does, for its long help.
pub(super) const ABOUT: &str = "\
    Reads Asterisk's own call detail records and adds the calls that began and ended inside a gap (a row of `gaps`), of \
    which the database knows nothing. Their rows have `reconciled` and `incomplete` set; what CDR doesn't tell (hold, cause, who hung \
    up an answered call) stays empty. No row that is there is touched, and running it again changes nothing. It may run \
    beside the service.\n\nFILE is cdr_csv's Master.csv with `loguniqueid=yes` (cdr.conf), or any CSV with the names of the columns \
    in its first line or in --columns: cdr_custom's, or an export of FreePBX's table asteriskcdrdb.cdr. --mysql reads that table \
    itself, only around the gaps and without writing. The connection has no encryption: to another machine take a tunnel. Leave the \
    password out of URL, where others could see it: MYSQL_PWD or --password-file gives it.";

/// `callcenter reconcile`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  callcenter reconcile --cdr /var/log/asterisk/cdr-csv/Master.csv --dry-run
  callcenter reconcile --cdr calls.csv --columns clid,src,dst,channel,dstchannel,lastapp,lastdata,start,answer,end,disposition,uniqueid
  MYSQL_PWD=... callcenter reconcile --mysql mysql://freepbxuser@localhost/asteriskcdrdb
  mysql --batch -e 'SELECT * FROM asteriskcdrdb.cdr' | callcenter reconcile --cdr -")]
pub struct ReconcileArgs {
    /// The records; `-` reads standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "mysql", conflicts_with = "mysql")]
    pub cdr: Option<PathBuf>,
    /// The table instead of a file: `mysql://USER@HOST:3306/asteriskcdrdb?table=cdr`.
    #[arg(long, value_name = "URL", conflicts_with = "columns")]
    pub mysql: Option<String>,
    /// A file with the password for --mysql; the variable MYSQL_PWD when not given.
    #[arg(long, value_name = "FILE", requires = "mysql")]
    pub password_file: Option<PathBuf>,
    /// The names of the columns, where FILE has no header and isn't Master.csv.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub columns: Vec<String>,
    /// The time zone of the times in FILE or table (`UTC` with `usegmtime=yes`); `report.time_zone` when not given.
    #[arg(long, value_name = "ZONE")]
    pub time_zone: Option<Tz>,
    /// The Asterisk server that wrote the records; needed where several are configured.
    #[arg(long, value_name = "NAME", value_parser = super::node_name)]
    pub node: Option<String>,
    /// The database; `database.path` when not given.
    #[arg(long, value_name = "PATH")]
    pub db: Option<PathBuf>,
    /// Only say what would be added.
    #[arg(long)]
    pub dry_run: bool,
}

/// Longest line that is read.
const MAX_LINE_BYTES: u64 = 64 * 1024;
/// Records inside gaps that are held at once, at most: some 500 bytes each.
const MAX_RECORDS: usize = 1_000_000;
/// Lines that can't be understood and are shown.
const MAX_SHOWN: usize = 20;
/// A gap, or several that meet.
type Span = (Timestamp, Timestamp);

/// Reads, compares, adds.
pub(super) fn run(args: &ReconcileArgs, loaded: &Loaded) -> Exit {
    match reconcile(args, loaded) {
        Ok(()) => Exit::Ok,
        Err(Failed { text, exit }) => {
            eprintln!("{text}");
            exit
        }
    }
}

/// Why it ended early.
struct Failed {
    text: String,
    exit: Exit,
}

fn failed(error: impl ToString) -> Failed {
    Failed { text: error.to_string(), exit: Exit::Failed }
}

fn reconcile(args: &ReconcileArgs, loaded: &Loaded) -> Result<(), Failed> {
    let node = NodeId::new(&node_of(args, loaded)?);
    let (zone, source) = match args.time_zone {
        Some(zone) => (zone, "--time-zone"),
        None => {
            (loaded.config.report.time_zone.parse().unwrap_or(Tz::UTC), "report.time_zone; --time-zone names another")
        }
    };
    let lines = Lines::new(&loaded.config.lines).map_err(failed)?;
    let mut database: Database = loaded.config.database.clone();
    database.path = args.db.clone().unwrap_or(database.path);
    let mut conn = db::open(&database).map_err(failed)?;
    let spans = db::spans(&mut conn, &node).map_err(failed)?;
    println!("{} spans of gaps of '{node}'; times without a zone are read as {zone} ({source})", spans.len());
    let read = match (&args.cdr, &args.mysql) {
        (_, Some(url)) => mysql::read(args, url, zone, &spans)?,
        (Some(file), None) => read(args, file, zone, &spans)?,
        (None, None) => Found::default(),
    };
    let inside: Vec<_> = cdr::calls(node.as_str(), &read.records, &lines)
        .into_iter()
        .filter(|call| within(&spans, call, read.precision_ms))
        .collect();
    let (mut missed, mut known) = (Vec::new(), 0);
    let now = Timestamp::from_secs_f64(wall_clock());
    for call in inside {
        if db::is_known(&mut conn, &node, call.channels()).map_err(failed)? {
            known += 1;
            continue;
        }
        let change = reconciled(&node, &call.row, now);
        let leg = |leg: cdr::LegRow| {
            LegRow::of(&node, &call.row.uid, leg.number.as_deref().and_then(|n| e164(&lines, n)), leg)
        };
        let legs = call.legs.into_iter().map(leg).collect();
        missed.push(Missed { call: CallRow { reconciled: true, ..CallRow::of(&node, call.row) }, legs, change });
    }
    let found = missed.len() + known;
    let (added, word) = if args.dry_run {
        (missed.len(), "to be added")
    } else {
        (db::add(&mut conn, &missed).map_err(failed)?, "added")
    };
    let known = found - added;
    println!(
        "{} records read, {} not understood; {found} calls inside gaps: {added} {word}, {known} already there",
        read.count, read.bad
    );
    Ok(())
}

fn e164(lines: &Lines, number: &str) -> Option<String> {
    use crate::call::LineRules as _;
    lines.e164(number)
}

fn node_of(args: &ReconcileArgs, loaded: &Loaded) -> Result<String, Failed> {
    if let Some(node) = &args.node {
        return Ok(node.clone());
    }
    match loaded.config.asterisk.as_slice() {
        [] => Ok(crate::config::Asterisk::default().name),
        [one] => Ok(one.name.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|a| a.name.as_str()).collect();
            let text = format!("which server wrote the file? Name it by --node: {}", names.join(", "));
            Err(Failed { text, exit: Exit::Usage })
        }
    }
}

/// Whether a call began and ended inside one gap.
fn within(spans: &[Span], call: &cdr::CdrCall, precision_ms: i64) -> bool {
    let row = &call.row;
    // Times in whole seconds are cut off: what began in the gap's first second is told a little early.
    let begins = row.started_at.plus_millis(precision_ms - 1);
    spans.iter().any(|(since, until)| begins >= *since && row.ended_at.is_some_and(|end| end <= *until))
}

/// What a file held.
#[derive(Default)]
struct Found {
    /// Records that touch a gap.
    records: Vec<Record>,
    /// All records that were read, also those of another zone.
    count: usize,
    /// Lines that were not.
    bad: usize,
    /// Of them by the clock of another zone, as it seems.
    elsewhere: usize,
    precision_ms: i64,
}

impl Found {
    fn refuse(&mut self, number: usize, why: &str) {
        self.bad += 1;
        if self.bad <= MAX_SHOWN {
            eprintln!("line {number}: {why}");
        }
    }

    fn take(&mut self, number: usize, record: Record, spans: &[Span]) -> Result<(), Failed> {
        self.count += 1;
        self.precision_ms = self.precision_ms.max(record.precision_ms);
        let late = record.made().map_or(0, |made| record.start.since(made));
        self.elsewhere += usize::from(late.abs() > cdr::ZONE_MS);
        if late < -cdr::ZONE_MS {
            // A zone that changed within the file is the smaller part of it.
            self.refuse(number, "it begins before the second in its uniqueid: its times are of another time zone");
            return Ok(());
        }
        let ends = record.end.plus_millis(record.precision_ms);
        if spans.iter().any(|(since, until)| ends >= *since && record.start <= *until) {
            self.records.push(record);
        }
        if self.records.len() > MAX_RECORDS {
            return Err(failed(format!(
                "more than {MAX_RECORDS} records inside gaps: give them as files in parts, a day each"
            )));
        }
        Ok(())
    }
}

fn read(args: &ReconcileArgs, file: &Path, zone: Tz, spans: &[Span]) -> Result<Found, Failed> {
    let shown = file.display();
    let cannot = |error: io::Error| failed(format!("'{shown}' can't be read: {error}"));
    let mut input: Box<dyn BufRead> = if file.as_os_str() == "-" {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(file).map_err(cannot)?))
    };
    let refused = |error: ColumnsError| Failed { text: format!("'{shown}': {error}"), exit: Exit::Usage };
    let mut layout = match args.columns.as_slice() {
        [] => None,
        names => Some(Layout::named(names, zone).map_err(refused)?),
    };
    let (mut found, mut number, mut tabs, mut no_layout) = (Found::default(), 0, false, None);
    let mut line = Vec::new();
    loop {
        line.clear();
        if (&mut input).take(MAX_LINE_BYTES).read_until(b'\n', &mut line).map_err(cannot)? == 0 {
            break;
        }
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        tabs |= number == 1 && text.contains('\t');
        let fields = match if tabs { Ok(cdr::split_tabs(text)) } else { cdr::split(text) } {
            Ok(fields) if fields == [""] => continue,
            Ok(fields) => fields,
            Err(why) => {
                found.refuse(number, &why);
                continue;
            }
        };
        if number == 1 && Layout::is_header(&fields) {
            layout = Some(Layout::named(&fields, zone).map_err(refused)?);
            continue;
        }
        if layout.is_none() {
            // Older lines of Master.csv may be without ids: the first that has one tells the columns.
            match Layout::master(&fields, zone) {
                Ok(master) => layout = Some(master),
                Err(error) => {
                    found.refuse(number, "it has no uniqueid, or other columns than Master.csv");
                    no_layout.get_or_insert(error);
                    continue;
                }
            }
        }
        let Some(layout) = &layout else { continue };
        match layout.record(&fields) {
            Ok(record) => found.take(number, record, spans)?,
            Err(why) => found.refuse(number, &why),
        }
    }
    if let (None, Some(error)) = (&layout, no_layout) {
        return Err(refused(error));
    }
    outcome(found, zone, &format!("'{shown}'"))
}

/// Refuses records by the clock of another zone.
fn outcome(found: Found, zone: Tz, shown: &str) -> Result<Found, Failed> {
    if found.elsewhere * 2 > found.count {
        let text = format!(
            "{shown}: most records begin at another time than the second in their uniqueid: name the time zone of \
             Asterisk's machine by --time-zone (UTC with usegmtime=yes); {zone} is not it"
        );
        return Err(Failed { text, exit: Exit::Usage });
    }
    Ok(found)
}
