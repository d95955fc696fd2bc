//! `callcenter reconcile --mysql` against a real MariaDB, with a table as FreePBX makes it.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::deploy::tool;
use crate::kit::free_port;
use crate::kit::process::Process;
use crate::kit::rows::Rows;
use crate::kit::wait::{self, s};

/// The table of FreePBX 15 and later, and one of old, without ids.
const TABLES: &str = "CREATE DATABASE asteriskcdrdb; USE asteriskcdrdb;
CREATE TABLE cdr (calldate datetime NOT NULL DEFAULT '0000-00-00 00:00:00', clid varchar(80) NOT NULL DEFAULT '',
 src varchar(80) NOT NULL DEFAULT '', dst varchar(80) NOT NULL DEFAULT '', dcontext varchar(80) NOT NULL DEFAULT '',
 channel varchar(80) NOT NULL DEFAULT '', dstchannel varchar(80) NOT NULL DEFAULT '', lastapp varchar(80) NOT NULL DEFAULT '',
 lastdata varchar(80) NOT NULL DEFAULT '', duration int(11) NOT NULL DEFAULT 0, billsec int(11) NOT NULL DEFAULT 0,
 disposition varchar(45) NOT NULL DEFAULT '', amaflags int(11) NOT NULL DEFAULT 0, accountcode varchar(20) NOT NULL DEFAULT '',
 uniqueid varchar(32) NOT NULL DEFAULT '', userfield varchar(255) NOT NULL DEFAULT '', did varchar(50) NOT NULL DEFAULT '',
 recordingfile varchar(255) NOT NULL DEFAULT '', cnum varchar(80) NOT NULL DEFAULT '', cnam varchar(80) NOT NULL DEFAULT '',
 outbound_cnum varchar(80) NOT NULL DEFAULT '', outbound_cnam varchar(80) NOT NULL DEFAULT '',
 dst_cnam varchar(80) NOT NULL DEFAULT '', linkedid varchar(32) NOT NULL DEFAULT '', peeraccount varchar(80) NOT NULL DEFAULT '',
 sequence int(11) NOT NULL DEFAULT 0, KEY calldate (calldate), KEY dst (dst), KEY uniqueid (uniqueid)) CHARSET=utf8mb4;
CREATE TABLE old AS SELECT calldate, clid, src, dst, dcontext, channel, dstchannel, lastapp, lastdata, duration, billsec, disposition
 FROM cdr;
CREATE USER freepbxuser@'%' IDENTIFIED BY 'p@ss/w'; GRANT SELECT ON asteriskcdrdb.* TO freepbxuser@'%';
INSERT INTO cdr (calldate, clid, src, dst, channel, dstchannel, lastapp, duration, billsec, disposition, uniqueid, linkedid) VALUES
 ('2026-11-23 01:15:26', '\"Юля \\\"Z\\\"\" <130>', '130', '131', 'PJSIP/130-1', 'PJSIP/131-2', 'Dial', 9, 7, 'ANSWERED', '1795385726.1', '1795385726.1'),
 ('2026-11-23 01:14:50', '', '140', '141', 'PJSIP/140-1', 'PJSIP/141-2', 'Dial', 30, 7, 'ANSWERED', '1795385690.1', '1795385690.1'),
 ('2026-11-20 01:14:50', '', '150', '151', 'PJSIP/150-1', 'PJSIP/151-2', 'Dial', 30, 7, 'ANSWERED', '1795126490.1', '1795126490.1');";

/// A gap of 100 s, from 01:15:00 of Moscow.
const STREAM: &str = r#"{"at": 1795385800.0, "gap": {"since": 1795385700.0, "reason": "socket closed"}}
{"at": 1795385800.1, "snapshot": {"channels": [], "bridges": [], "variables": {}}}
"#;

fn callcenter(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_callcenter"));
    command.current_dir(folder).env_remove("MYSQL_PWD").args(arguments).output().unwrap()
}

fn reconcile(folder: &Path, url: &str, more: &[&str]) -> Output {
    let all = ["reconcile", "--db", "test.db", "--node", "t", "--time-zone", "Europe/Moscow", "--mysql", url];
    callcenter(folder, &[&all, more].concat())
}

/// A server of this test alone, in `folder`.
fn server(folder: &Path) -> Option<(Process, u16)> {
    let data = format!("--datadir={}", folder.join("data").display());
    let made = ["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db", "--user=root"];
    let made = tool("mariadb-install-db", &made)?;
    assert!(made.status.success(), "{made:?}");
    let port = free_port();
    let socket = folder.join("s");
    let mut command = Command::new("mariadbd");
    command.args(["--no-defaults", &data, "--user=root", "--bind-address=127.0.0.1", "--skip-name-resolve"]);
    command.arg(format!("--port={port}")).arg(format!("--socket={}", socket.display()));
    let process = Process::spawn("mariadbd", command.stdout(Stdio::null()).stderr(Stdio::null()));
    let mut client = Command::new("mariadb");
    client.args(["--no-defaults", "--default-character-set=utf8mb4", "-uroot"]);
    client.arg(format!("--socket={}", socket.display())).args(["-e", TABLES]);
    wait::until("MariaDB with FreePBX's table", s(60), || {
        let said = client.output().map_err(|error| error.to_string())?;
        if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).into_owned()) }
    });
    Some((process, port))
}

#[test]
fn calls_of_a_gap_come_back_from_freepbxs_table_once() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let Some((_server, port)) = server(folder) else { return };
    std::fs::write(folder.join("gap.jsonl"), STREAM).unwrap();
    let done = callcenter(folder, &["replay", "gap.jsonl", "--db", "test.db", "--node", "t"]);
    assert!(done.status.success(), "{done:?}");
    std::fs::write(folder.join("password"), "p@ss/w\n").unwrap();
    let url = format!("mysql://freepbxuser@127.0.0.1:{port}/asteriskcdrdb");
    let secret = ["--password-file", "password"];
    for word in [": 1 added", ": 0 added"] {
        let done = reconcile(folder, &url, &secret);
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        // The one of days before isn't read.
        assert!(done.status.success() && said.contains("2 records read, 0 not") && said.contains(word), "{done:?}");
    }
    let told = "SELECT uid || caller_name || callee_number || talk_ms AS word FROM calls";
    assert_eq!(Rows::at(&folder.join("test.db")).words(told), ["t/1795385726.1/1795385726000Юля \"Z\"1317000"]);

    let with = format!("mysql://freepbxuser:p%40ss%2Fw@127.0.0.1:{port}/asteriskcdrdb?table=old");
    let none = format!("mysql://freepbxuser:p%40ss%2Fw@127.0.0.1:{port}/asteriskcdrdb?table=calls");
    let nobody = format!("mysql://freepbxuser:secret-word@127.0.0.1:{}/asteriskcdrdb", free_port());
    let wrong = format!("mysql://freepbxuser:secret-word@127.0.0.1:{port}/asteriskcdrdb");
    for (url, what) in [
        (with, "no uniqueid"),
        (none, "there is no table 'calls'"),
        (nobody, "is the server running"),
        (wrong, "refuses this user and password"),
        ("mysql://127.0.0.1/asteriskcdrdb".into(), "lacks a user"),
        ("mysql://u@h/asteriskcdrdb?tables=cdr".into(), "takes no 'tables'"),
    ] {
        let refused = reconcile(folder, &url, &[]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(what), "{url}: {refused:?}");
        assert!(!said.contains("secret-word") && !said.contains("ss/w"), "{said}");
    }
}
