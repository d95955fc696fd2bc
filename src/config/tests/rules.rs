//! Each rule has a wrong example whose message names the key and what is allowed.

use super::*;
use crate::config::{FeedMode, SmtpSecurity, keys, ranges};

/// A self-signed certificate of no importance.
pub(super) const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBbzCCARWgAwIBAgIUC7uQu/UXjlxUBAfIeouY+iA3/k0wCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBdDAgFw0yNjExMjIxNjE1MjRaGA8yMTI2MTAyOTE2MTUyNFow
DDEKMAgGA1UEAwwBdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFRqqOKFCH8D
pSM4Dn1/E4szeOPURBzoU62wasWGJ04qo0Ty/ltTHZZHnj4+G0pY+HlLYDGRclEa
239KxPHswgmjUzBRMB0GA1UdDgQWBBQTY9eUKXkT93I18+U8cn02QuBXSjAfBgNV
HSMEGDAWgBQTY9eUKXkT93I18+U8cn02QuBXSjAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0gAMEUCIQD/vj3OI4K6Z7Mlu0A2nZu1efjgm124s0wswIRnlfMV
GgIgcmwDSCN2Njt8hIBcXiXLKWDnDMjWDjhneiLMwSiP4wM=
-----END CERTIFICATE-----
";

/// `change` makes exactly one mistake of a right configuration, at this key, and its text has all of these.
fn wrong(key: &str, parts: &[&str], change: impl FnOnce(&mut Config)) {
    let mut config = right();
    change(&mut config);
    let mistakes = config.validate();
    assert_eq!(mistakes.len(), 1, "{mistakes:#?}");
    assert_eq!(mistakes[0].key, key);
    let text = mistakes[0].to_string();
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    assert!(text.contains("Allowed: ") || text.contains("set") || text.contains("Set"), "{text}");
}

fn accepted(change: impl FnOnce(&mut Config)) {
    let mut config = right();
    change(&mut config);
    assert_eq!(config.validate(), []);
}

#[test]
fn defaults_and_right_examples_have_no_mistake() {
    assert_eq!(Config::default().validate(), []);
    accepted(|_| ());
    for url in ["ws://h/ari", "wss://h:8089/asterisk/ari/", "https://[::1]:8089/ari", "http://pbx.example"] {
        accepted(|config| config.asterisk[0].url = url.into());
    }
    accepted(|config| config.log.level = "warn,callcenter::actors[call]=trace,hyper=off".into());
    accepted(|config| config.ari.event_filter = vec!["EventOfTomorrow".into(), "DeviceStateChanged".into()]);
    accepted(|config| config.lines.trunks = vec!["PJSIP/{a,b}-*".into()]);
}

#[test]
fn the_guard() {
    accepted(|config| config.guard.variable = String::new());
    accepted(|config| config.guard.variable = "Alive_2".into());
    for name in ["2ALIVE", "_ALIVE", "A B", "CDR(x)", "Ä", &"A".repeat(80)] {
        wrong("guard.variable", &["1 to 79 of A-Z"], |config| config.guard.variable = name.to_owned());
    }
    wrong("guard.max_age_s", &["from 3 to 60"], |config| config.guard.max_age_s = 2);
}

#[test]
fn urls() {
    for (url, part) in [
        ("ftp://h/ari", "The scheme is another"),
        ("127.0.0.1:8088/ari", "no URL"),
        ("localhost:8088/ari", "The scheme is another"),
        ("", "no URL"),
        ("http:///", "no URL"),
        ("http://me:pw@h/ari", "Credentials"),
        ("http://me@h/ari", "Credentials"),
        ("http://h/ari?api_key=me:pw", "without ?"),
        ("http://h/ari#x", "without ?"),
    ] {
        wrong("asterisk[2].url", &[part, "http, https, ws or wss"], |config| config.asterisk[1].url = url.into());
    }
}

#[test]
fn servers() {
    for name in ["", "Main", "büro", "a b", "a/b", &"x".repeat(33)] {
        wrong("asterisk[1].name", &["1 to 32 of a-z"], |config| config.asterisk[0].name = name.into());
    }
    wrong("asterisk[2].name", &["\"one\"", "Server 1"], |config| config.asterisk[1].name = "one".into());
    wrong("asterisk[2].app", &["\"app-one\"", "same url and app", "another app"], |config| {
        config.asterisk[1].app = "app-one".into()
    });
    for app in ["", "a,b", "a b", "a?b", "a&b", &"x".repeat(80)] {
        wrong("asterisk[1].app", &["1 to 79 characters"], |config| config.asterisk[0].app = app.into());
    }
    for user in ["", "a:b", "a\nb"] {
        wrong("asterisk[1].username", &["ari.conf"], |config| config.asterisk[0].username = user.into());
    }
    wrong("asterisk[1].password", &["ari.conf"], |config| config.asterisk[0].password = Secret::default());
    wrong("asterisk[1].password", &["one line"], |config| config.asterisk[0].password = Secret::new("a\nb"));
    wrong("asterisk", &["17", "at most 16"], |config| {
        config.asterisk = (0..17).map(|number| server(&format!("s{number}"))).collect();
    });
}

#[test]
fn certificate_authorities() {
    let setup = Setup::new();
    let right = setup.file("right.pem", CERTIFICATE);
    accepted(|config| config.asterisk[0].ca_file = Some(right));
    let empty = setup.file("empty.pem", "no certificate\n");
    let broken = setup.file("broken.pem", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n");
    let cut = setup.file("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIBeDCCAR+gAwIB\n-----END CERTIFICATE-----\n");
    let missing = setup.dir.path().join("missing.pem");
    for (path, part) in [(empty, "no certificate"), (broken, "damaged"), (cut, "damaged"), (missing, "can't be read")] {
        wrong("asterisk[1].ca_file", &[part, "PEM certificates"], |config| config.asterisk[0].ca_file = Some(path));
    }
}

#[test]
fn accept_mode() {
    let accepts = |config: &mut Config| {
        config.asterisk[0].feed_listen = "127.0.0.1:8091".into();
        config.asterisk[0].feed_password = Secret::new("x");
    };
    accepted(accepts);
    accepted(|config| {
        accepts(config);
        config.feed.mode = FeedMode::Process;
        config.asterisk[1].feed_listen = "[::1]:8091".into();
        config.asterisk[1].feed_password = Secret::new("y");
    });
    for listen in ["8091", "127.0.0.1", "localhost:8091", "127.0.0.1:0", "ws://127.0.0.1:8091"] {
        wrong("asterisk[1].feed_listen", &["an IP address of this machine and a port"], |config| {
            accepts(config);
            config.asterisk[0].feed_listen = listen.into();
        });
    }
    wrong("asterisk[2].feed_listen", &["Server 1", "another port"], |config| {
        accepts(config);
        config.asterisk[1].feed_listen = "127.0.0.1:8091".into();
        config.asterisk[1].feed_password = Secret::new("y");
    });
    wrong("asterisk[1].feed_listen", &["feed.mode"], |config| {
        accepts(config);
        config.feed.mode = FeedMode::Own;
    });
    for (password, part) in [("", "Set one"), ("a\nb", "one line")] {
        wrong("asterisk[1].feed_password", &[part], |config| {
            accepts(config);
            config.asterisk[0].feed_password = Secret::new(password);
        });
    }
    let setup = Setup::new();
    let [right, empty] = [("right.pem", CERTIFICATE), ("empty.pem", "")].map(|(name, text)| setup.file(name, text));
    wrong("feed.tls_key", &["both"], |config| config.feed.tls_cert = right.clone());
    wrong("feed.tls_cert", &["both"], |config| config.feed.tls_key = right.clone());
    wrong("feed.tls_key", &["can't be used", "private key"], |config| {
        config.feed.tls_cert = right.clone();
        config.feed.tls_key = empty;
    });
}

#[test]
fn every_number_has_a_range_and_keeps_it() {
    let numbers: Vec<_> = keys::defaults().into_iter().filter(|(_, value)| value.is_number()).collect();
    assert_eq!(numbers.len(), ranges::RANGES.len());
    for (key, default) in numbers {
        let range =
            ranges::RANGES.iter().find(|range| range.key == key).unwrap_or_else(|| panic!("{key} has no range"));
        assert!((range.least..=range.most).contains(&default.as_u64().unwrap()), "{key}");
        let below = range.least.checked_sub(1);
        for number in below.into_iter().chain([range.most + 1]) {
            let setup = Setup::new().var(&crate::config::environment_name(&key), &number.to_string());
            let mistakes = setup.load().mistakes;
            let bounds = format!("from {} to {} (", range.least, range.most);
            let found = mistakes.iter().find(|m| m.key == key && m.allowed.contains(&bounds)).unwrap_or_else(|| {
                panic!("{key} = {number}: {mistakes:?}");
            });
            assert_eq!(found.found.as_deref(), Some(number.to_string().as_str()));
        }
    }
}

#[test]
fn numbers_fit_each_other() {
    wrong("ari.backoff_max_ms", &["199", "ari.backoff_min_ms", "200"], |config| config.ari.backoff_max_ms = 199);
    wrong("ari.dead_after_ms", &["1000", "ari.ping_interval_ms"], |config| config.ari.dead_after_ms = 1_000);
    wrong("journal.max_bytes", &["journal.segment_bytes", "twice"], |config| {
        config.journal.max_bytes = config.journal.segment_bytes;
    });
}

#[test]
fn event_filters() {
    for needed in ["ChannelCreated", "Dial", "StasisStart", "ChannelDialplan", "BridgeAttendedTransfer", "ChannelHold"]
    {
        let part = format!("{needed} can't be filtered");
        wrong("ari.event_filter", &[&part, "recorded", "PlaybackStarted"][..1], |config| {
            config.ari.event_filter.push(needed.into());
        });
    }
    for bad in ["", "channelVarset", "ChannelVarSet", "Channel Varset", "dial", "a,b"] {
        wrong("ari.event_filter", &["ARI event types", "DeviceStateChanged"], |config| {
            config.ari.event_filter.push(bad.into());
        });
    }
    wrong("ari.event_filter", &["Did you mean ChannelVarset?"], |config| {
        config.ari.event_filter = vec!["ChannelVarSet".into()];
    });
}

#[test]
fn lines_and_time_zones() {
    for country in ["ru", "RUS", "", "XX", "7"] {
        wrong("lines.country", &["ISO 3166", "RU"], |config| config.lines.country = country.into());
    }
    for pattern in ["", "PJSIP/[a", "{a"] {
        wrong("lines.trunks", &["PJSIP/trunk-*"], |config| config.lines.trunks = vec!["ok-*".into(), pattern.into()]);
    }
    for context in ["", "a b"] {
        wrong("lines.inbound_contexts", &["dialplan"], |config| config.lines.inbound_contexts = vec![context.into()]);
    }
    for (zone, part) in [("Moscow", "Did you mean Europe/Moscow?"), ("Europe/Mosco", "Europe/Moscow?"), ("+3", "IANA")]
    {
        wrong("report.time_zone", &[part, "IANA"], |config| config.report.time_zone = zone.into());
    }
}

#[test]
fn levels() {
    for (level, part) in [
        ("", "It is empty"),
        ("inof", "Did you mean info?"),
        ("info,debgu", "Did you mean debug?"),
        ("callcenter::actors", "no level"),
        ("info,callcenter=loud", "can't be read"),
    ] {
        wrong("log.level", &[part, "off, error, warn, info, debug, trace"], |config| config.log.level = level.into());
    }
}

#[test]
fn paths() {
    let setup = Setup::new();
    let file = setup.file("a-file", "x");
    let folder = setup.dir.path().to_owned();
    for path in [PathBuf::new(), ":memory:".into(), "file:x?mode=memory".into(), folder.clone()] {
        wrong("database.path", &["SQLite file"], |config| config.database.path = path);
    }
    wrong("database.path", &["folder is a file"], |config| config.database.path = file.join("x.db"));
    wrong("journal.dir", &["a folder"], |config| config.journal.dir = file.clone());
    let config = Config::default();
    assert_eq!(config.journal_dir(), PathBuf::from("data/journal"));
    let mut other = Config::default();
    other.journal.dir = folder.clone();
    assert_eq!(other.journal_dir(), folder);
}

#[test]
fn a_rule_names_the_file_or_variable() {
    Setup::new()
        .config_file("[database]\nbatch_rows = 0\n")
        .one_mistake(&["given.toml: database.batch_rows: found 0. "]);
    Setup::new().var("CALLCENTER_LINES_COUNTRY", "ZZ").one_mistake(&["CALLCENTER_LINES_COUNTRY: lines.country: "]);
    Setup::new().dot_env("ARI_PASSWORD=x\nARI_URL=ftp://h\n").one_mistake(&["ARI_URL in .env: asterisk[1].url: "]);
}

/// A right configuration with every channel of alarms.
fn with_channels(config: &mut Config) {
    let alarms = &mut config.alarms;
    alarms.webhook_url = Secret::new("https://example.org/hook/token");
    alarms.telegram_token = Secret::new("123:AB_c-d");
    alarms.telegram_chat = "-100".into();
    alarms.smtp_host = "mail.example.org".into();
    alarms.smtp_from = "Call center <calls@example.org>".into();
    alarms.smtp_to = vec!["a@example.org".into(), "b@example.org".into()];
}

#[test]
fn alarms() {
    accepted(with_channels);
    let bad = |key: &str, parts: &[&str], change: fn(&mut Config)| {
        wrong(key, parts, |config| {
            with_channels(config);
            change(config);
        });
    };
    bad("alarms.work_days", &["\"Mo\"", "mon, tue"], |c| c.alarms.work_days = vec!["tue".into(), "Mo".into()]);
    for key in ["alarms.work_from", "alarms.work_to"] {
        for time in ["", "9", "25:00", "09:60"] {
            wrong(key, &["time of day"], |c| match key {
                "alarms.work_from" => c.alarms.work_from = time.into(),
                _ => c.alarms.work_to = time.into(),
            });
        }
    }
    accepted(|c| c.alarms.work_to = "24:00".into());
    bad("alarms.no_inbound_min", &["lines.trunks", "lines.inbound_contexts"], |c| c.alarms.no_inbound_min = 60);
    accepted(|c| {
        c.alarms.no_inbound_min = 60;
        c.lines.inbound_contexts = vec!["from-trunk".into()];
    });
    bad("alarms.ca_file", &["can't be read"], |c| c.alarms.ca_file = "/nowhere/ca.pem".into());
    bad("alarms.webhook_url", &["not shown", "http or https"], |c| c.alarms.webhook_url = Secret::new("ftp://h/tok"));
    bad("alarms.telegram_url", &["without credentials"], |c| c.alarms.telegram_url = "https://me:pw@h".into());
    bad("alarms.telegram_token", &["not shown", "BotFather"], |c| c.alarms.telegram_token = Secret::new("12/../x"));
    bad("alarms.telegram_chat", &["Set the chat"], |c| c.alarms.telegram_chat.clear());
    bad("alarms.smtp_from", &["Set the sender"], |c| c.alarms.smtp_from = "nobody".into());
    bad("alarms.smtp_to", &["Set the recipients"], |c| c.alarms.smtp_to.clear());
    bad("alarms.smtp_to", &["\"x\"", "mail addresses"], |c| c.alarms.smtp_to.push("x".into()));
    bad("alarms.smtp_security", &["on this machine"], |c| c.alarms.smtp_security = SmtpSecurity::None);
    accepted(|c| {
        with_channels(c);
        (c.alarms.smtp_security, c.alarms.smtp_host) = (SmtpSecurity::None, "localhost".into());
    });
}
