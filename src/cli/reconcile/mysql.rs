//! The records of a table in MySQL or MariaDB: FreePBX's `asteriskcdrdb.cdr`.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, TimeDelta};
use chrono_tz::Tz;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, OptsBuilder, Row, Value};
use url::Url;

use super::{Exit, Failed, Found, ReconcileArgs, Span, failed, outcome};
use crate::call::cdr::Layout;

/// The columns that are read, of those that the table has.
const WANTED: &str = "calldate,start,answer,end,clid,src,dst,dcontext,channel,dstchannel,lastapp,lastdata,duration,\
                      billsec,disposition,uniqueid,linkedid";
/// Longest wait for the server: to connect, and for each next row.
const PATIENCE: Duration = Duration::from_secs(60);
/// A clock that was put back or forward moves local times against each other by no more.
const CLOCK: TimeDelta = TimeDelta::hours(2);
/// How long before a gap a call may have begun whose part in the gap is still known for what it is.
const LONGEST: TimeDelta = TimeDelta::days(1);
const FORMAT: &str = "%Y-%m-%d %H:%M:%S";

/// What `--mysql` names. Nothing of it is shown but server and table: it may hold a password.
struct Source {
    options: OptsBuilder,
    table: String,
    /// Server and database, for people.
    shown: String,
}

/// The records around `spans`.
pub(super) fn read(args: &ReconcileArgs, url: &str, zone: Tz, spans: &[Span]) -> Result<Found, Failed> {
    let source = source(args, url)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let found = runtime.block_on(rows(&source, zone, spans))?;
    outcome(found, zone, &format!("{}, table {}", source.shown, source.table))
}

fn usage(text: impl Into<String>) -> Failed {
    Failed { text: text.into(), exit: Exit::Usage }
}

/// The URL's parts, its password from elsewhere where it has none.
fn source(args: &ReconcileArgs, url: &str) -> Result<Source, Failed> {
    let form = "write --mysql as mysql://USER@HOST:3306/asteriskcdrdb?table=cdr";
    let url = Url::parse(url).map_err(|error| usage(format!("--mysql is no URL ({error}): {form}")))?;
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let database = decoded(url.path().trim_start_matches('/'));
    if url.scheme() != "mysql" || host.is_empty() || database.is_empty() || url.username().is_empty() {
        return Err(usage(format!("--mysql lacks a user, a host or a database: {form}")));
    }
    let mut table = "cdr".to_owned();
    for (name, value) in url.query_pairs() {
        if name != "table" || value.is_empty() {
            return Err(usage(format!("--mysql takes no '{name}' but table=NAME: {form}")));
        }
        table = value.into_owned();
    }
    let port = url.port().unwrap_or(3306);
    let shown = format!("MySQL at {host}:{port}, database {database}");
    let options = OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port)
        .prefer_socket(false)
        .user(Some(decoded(url.username())))
        .pass(password(args, url.password().map(decoded))?)
        .db_name(Some(database));
    Ok(Source { options, table, shown })
}

/// The URL's, else the file's, else the one in MySQL's own variable.
fn password(args: &ReconcileArgs, of_url: Option<String>) -> Result<Option<String>, Failed> {
    match (of_url, &args.password_file) {
        (Some(password), _) => Ok(Some(password)),
        (None, Some(file)) => match std::fs::read_to_string(file) {
            Ok(text) => Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned())),
            Err(error) => Err(failed(format!("--password-file '{}' can't be read: {error}", file.display()))),
        },
        (None, None) => Ok(std::env::var("MYSQL_PWD").ok()),
    }
}

/// What to do about an error, in one sentence.
fn explained(error: &Error, source: &Source) -> Failed {
    let Source { table, shown, .. } = source;
    failed(match error {
        Error::Server(error) => match error.code {
            1044 | 1045 | 1698 => format!(
                "{shown}: the server refuses this user and password: see FreePBX's /etc/freepbx.conf or /etc/asterisk/res_odbc*.conf \
                 for those that work, and give the password in MYSQL_PWD or by --password-file"
            ),
            1049 => format!("{shown}: there is no such database: FreePBX's is asteriskcdrdb"),
            1142 | 1143 => format!("{shown}: the user may not read '{table}': GRANT SELECT on it"),
            1146 => format!("{shown}: there is no table '{table}': name the right one by ?table= in --mysql"),
            code => format!("{shown}: error {code}, {}", error.message),
        },
        Error::Io(error) => format!(
            "{shown}: no connection ({error}): is the server running, does it listen on that address (bind-address, skip-networking), \
             and is host and port in --mysql right?"
        ),
        other => format!("{shown}: {other}"),
    })
}

fn slow(source: &Source) -> Failed {
    failed(format!(
        "{}: no answer within {} s: check host and port in --mysql, and the server's load",
        source.shown,
        PATIENCE.as_secs()
    ))
}

/// `within` the patience, errors explained.
async fn waited<T>(source: &Source, what: impl Future<Output = Result<T, Error>>) -> Result<T, Failed> {
    match tokio::time::timeout(PATIENCE, what).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(explained(&error, source)),
        Err(_) => Err(slow(source)),
    }
}

async fn rows(source: &Source, zone: Tz, spans: &[Span]) -> Result<Found, Failed> {
    let mut conn = waited(source, Conn::new(source.options.clone())).await?;
    waited(source, conn.query_drop("SET SESSION TRANSACTION READ ONLY")).await?;
    let table = format!("`{}`", source.table.replace('`', "``"));
    let names = columns(source, &mut conn, &table).await?;
    let layout = Layout::named(&names, zone).map_err(|error| {
        usage(format!(
            "{}, table {}: {error}\nFor a table: add what is missing as a column and to cdr_adaptive_odbc.conf or cdr_odbc.conf \
             (there `loguniqueid=yes`); only records written from then on can be used",
            source.shown, source.table
        ))
    })?;
    let date = if names.iter().any(|name| name == "calldate") { "calldate" } else { "start" };
    let ends = if names.iter().any(|name| name == "duration") {
        format!("`{date}` + INTERVAL duration SECOND")
    } else {
        "`end`".to_owned()
    };
    let list: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    let (mut found, mut number, mut read_to) = (Found::default(), 0, None);
    for (from, to) in windows(zone, spans) {
        // What began before the last window's end and goes on was read with it.
        let first =
            read_to.map_or(from - LONGEST, |read: NaiveDateTime| (from - LONGEST).max(read + TimeDelta::seconds(1)));
        read_to = Some(to);
        let query = format!(
            "SELECT {} FROM {table} WHERE `{date}` BETWEEN '{}' AND '{}' AND {ends} >= '{}'",
            list.join(","),
            first.format(FORMAT),
            to.format(FORMAT),
            from.format(FORMAT),
        );
        let mut result = waited(source, conn.query_iter(query)).await?;
        while let Some(row) = waited(source, result.next()).await? {
            number += 1;
            match layout.record(&fields(row)) {
                Ok(record) => found.take(number, record, spans)?,
                Err(why) => found.refuse(number, &why),
            }
        }
    }
    waited(source, conn.disconnect()).await?;
    Ok(found)
}

/// The names of the table's columns that are of use.
async fn columns(source: &Source, conn: &mut Conn, table: &str) -> Result<Vec<String>, Failed> {
    let result = waited(source, conn.query_iter(format!("SELECT * FROM {table} LIMIT 0"))).await?;
    let all: Vec<String> = result.columns_ref().iter().map(|column| column.name_str().to_lowercase()).collect();
    waited(source, result.drop_result()).await?;
    Ok(WANTED.split(',').filter(|name| all.iter().any(|n| n == name)).map(str::to_owned).collect())
}

/// A row's values as text, in which MySQL sends them; NULL is empty.
fn fields(row: Row) -> Vec<String> {
    let text = |value| match value {
        Value::NULL => String::new(),
        Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => other.as_sql(true).trim_matches('\'').to_owned(),
    };
    row.unwrap_raw().into_iter().map(|value| text(value.unwrap_or(Value::NULL))).collect()
}

/// The spans by the table's clock, a little wider; those that meet are one.
fn windows(zone: Tz, spans: &[Span]) -> Vec<(NaiveDateTime, NaiveDateTime)> {
    let local = |at: crate::model::Timestamp| {
        DateTime::from_timestamp_millis(at.millis()).map(|at| at.with_timezone(&zone).naive_local())
    };
    let mut windows: Vec<(NaiveDateTime, NaiveDateTime)> = Vec::new();
    for (since, until) in spans {
        let Some((from, to)) = local(*since).zip(local(*until)).map(|(from, to)| (from - CLOCK, to + CLOCK)) else {
            continue;
        };
        match windows.last_mut().filter(|(_, end)| from <= *end) {
            Some((_, end)) => *end = to.max(*end),
            None => windows.push((from, to)),
        }
    }
    windows
}
