//! Which layer wins, and how what can't be read is named.

use super::*;
use crate::config::{MAX_SERVERS, Origin, environment_name, keys};

#[test]
fn without_anything_the_defaults_are_in_force() {
    let loaded = Setup::new().load();
    assert_eq!((loaded.config.clone(), loaded.mistakes.len(), loaded.is_configured()), (Config::default(), 0, false));
    assert!(loaded.origins.values().all(|origin| *origin == Origin::Default));
    assert_eq!(loaded.origins.len(), keys::defaults().len());
}

#[test]
fn later_layers_win_and_are_named() {
    let mut setup = Setup::new()
        .default_file("[http]\nport = 1001\n[calls]\ntombstone_s = 61\n[report]\ntime_zone = 'Asia/Omsk'\n")
        .config_file("[http]\nport = 1002\n[calls]\nmax_batches = 5\n");
    let port = |setup: &Setup| (setup.load().config.http.port, setup.load().origins["http.port"].clone());
    assert_eq!(port(&setup), (1002, Origin::File(setup.inputs.config.clone().unwrap())));
    setup = setup.dot_env("HTTP_PORT=1003\n");
    assert_eq!(port(&setup), (1003, Origin::DotEnv("HTTP_PORT".into())));
    setup = setup.var("HTTP_PORT", "1004");
    assert_eq!(port(&setup), (1004, Origin::Environment("HTTP_PORT".into())));
    let loaded = setup.load();
    assert_eq!((loaded.config.calls.tombstone_s, loaded.config.calls.max_batches), (61, 5));
    assert_eq!(loaded.origins["report.time_zone"], Origin::File(setup.inputs.default_files[0].clone()));
    assert_eq!(loaded.files.len(), 3);
    assert_eq!((loaded.variables, loaded.mistakes), (vec!["HTTP_PORT".to_owned()], vec![]));
}

#[test]
fn dot_env_does_not_override_the_environment() {
    let setup = Setup::new().dot_env("DB_PATH=of-file.db\nCALLCENTER_LINES_COUNTRY=DE\n").var("DB_PATH", "of-env.db");
    let config = setup.load().config;
    assert_eq!((config.database.path, config.lines.country), (PathBuf::from("of-env.db"), "DE".to_owned()));
}

#[test]
fn every_key_has_an_environment_name() {
    let keys = keys::defaults();
    assert!(keys.len() > 30, "{}", keys.len());
    for (key, default) in keys {
        let (text, expected) = match default {
            serde_json::Value::Number(number) => {
                // One more, so that the value is another and still in its range, or one less where that is the last.
                let number = number.as_u64().unwrap();
                ((number + 1).to_string(), serde_json::Value::from(number + 1))
            }
            serde_json::Value::Array(_) => ("One, Two".to_owned(), serde_json::json!(["One", "Two"])),
            serde_json::Value::String(_) => {
                let text = match key.as_str() {
                    "database.synchronous" => "normal",
                    "feed.mode" => "process",
                    "ari.transport" => "http",
                    "log.format" => "json",
                    "log.level" => "debug",
                    "lines.country" => "DE",
                    "report.time_zone" => "Europe/Berlin",
                    "alarms.language" => "ru",
                    "alarms.smtp_security" => "tls",
                    "guard.variable" => "OFFICE_ALIVE",
                    _ => "some/path",
                };
                (text.to_owned(), serde_json::Value::from(if keys::is_secret(&key) { "(set)" } else { text }))
            }
            serde_json::Value::Bool(value) => ((!value).to_string(), serde_json::Value::from(!value)),
            other => panic!("{key} is {other}: say how it is written in the environment"),
        };
        let name = environment_name(&key);
        let loaded = Setup::new().var(&name, &text).load();
        // What texts of alarms and certificates may be is tested with the rules.
        let ruled = |key: &str| ["alarms.", "feed.tls_"].into_iter().find(|part| key.starts_with(part));
        let own = |mistake: &&Mistake| ruled(&key).is_none() || ruled(&key) != ruled(&mistake.key);
        assert_eq!(loaded.mistakes.iter().filter(own).collect::<Vec<_>>(), Vec::<&Mistake>::new(), "{name}");
        let in_force = loaded.settings().into_iter().find(|setting| setting.key == key).unwrap();
        assert_eq!(
            (in_force.value, in_force.origin, in_force.variable),
            (expected, Origin::Environment(name.clone()), name)
        );
    }
}

#[test]
fn the_ari_names_describe_the_first_server() {
    let setup = Setup::new();
    let ca = setup.file("ca.pem", rules::CERTIFICATE);
    let setup = setup
        .var("ARI_NAME", "office")
        .var("ARI_URL", "https://pbx:8089/asterisk/ari")
        .var("ARI_USERNAME", "me")
        .var("ARI_PASSWORD", "12345")
        .var("ARI_APP_NAME", "desk")
        .var("ARI_CA_FILE", ca.to_str().unwrap())
        .var("ARI_FEED_LISTEN", "127.0.0.1:8091")
        .var("ARI_FEED_PASSWORD", "67890");
    let loaded = setup.load();
    assert_eq!(loaded.mistakes, []);
    let expected = Asterisk {
        name: "office".into(),
        url: "https://pbx:8089/asterisk/ari".into(),
        username: "me".into(),
        password: Secret::new("12345"),
        app: "desk".into(),
        ca_file: Some(ca),
        feed_listen: "127.0.0.1:8091".into(),
        feed_password: Secret::new("67890"),
    };
    assert_eq!(loaded.config.asterisk, [expected]);
    for setting in loaded.settings().iter().filter(|setting| setting.key.starts_with("asterisk")) {
        assert_eq!(setting.origin, Origin::Environment(setting.variable.clone()), "{}", setting.key);
    }
}

#[test]
fn the_ari_names_change_servers_of_a_file() {
    let file = "[[asterisk]]\nname = 'a'\nurl = 'http://a/ari'\npassword = 'x'\n\
                [[asterisk]]\nname = 'b'\nurl = 'http://b/ari'\npassword = 'y'\n";
    let setup = Setup::new()
        .config_file(file)
        .var("ARI_PASSWORD", "new")
        .var("ARI_2_URL", "ws://c/ari")
        .var("ARI_3_NAME", "third")
        .var("ARI_3_PASSWORD", "z");
    let loaded = setup.load();
    assert_eq!(loaded.mistakes, []);
    let shown: Vec<_> = loaded.config.asterisk.iter().map(|s| (&*s.name, &*s.url, s.password.expose())).collect();
    let third = Asterisk::default().url;
    assert_eq!(shown, [("a", "http://a/ari", "new"), ("b", "ws://c/ari", "y"), ("third", &third, "z")]);
    assert_eq!(loaded.origins["asterisk[2].url"], Origin::Environment("ARI_2_URL".into()));
    assert_eq!(loaded.origins["asterisk[2].name"], Origin::File(setup.inputs.config.clone().unwrap()));
    assert_eq!(loaded.origins["asterisk[3].url"], Origin::Default);
}

#[test]
fn servers_are_numbered_without_holes_and_up_to_a_bound() {
    Setup::new().var("ARI_2_NAME", "b").one_mistake(&["ARI_2_NAME", "ARI_URL"]);
    let last = format!("ARI_{MAX_SERVERS}_URL");
    for name in ["ARI_1_URL", "ARI_17_URL", "ARI_0_URL", "ARI_99999999999999999999_URL"] {
        Setup::new().var(name, "http://x/ari").one_mistake(&[name, "ARI_2_URL", &last]);
    }
}

#[test]
fn lists_are_written_both_ways() {
    let filter = |text: &str| Setup::new().var("CALLCENTER_ARI_EVENT_FILTER", text).load().config.ari.event_filter;
    assert_eq!(filter("ChannelVarset,PlaybackStarted"), ["ChannelVarset", "PlaybackStarted"]);
    assert_eq!(filter("[\"PlaybackStarted\"]"), ["PlaybackStarted"]);
    assert!(filter("[]").is_empty());
    assert_eq!(filter(""), Config::default().ari.event_filter, "an empty variable counts as not given");
    let name = "CALLCENTER_ARI_EVENT_FILTER";
    for bad in ["[1]", "[\"a\"", "[\"a\"]\nx = 1"] {
        let loaded = Setup::new().var(name, bad).load();
        assert!(bad.contains('\n') || loaded.mistakes[0].to_string().contains("a,b"), "{bad}: {:?}", loaded.mistakes);
    }
}

#[test]
fn unknown_variables_are_refused_with_the_nearest() {
    for (wrong, meant) in [
        ("CALLCENTER_DATABASE_BATCH_ROW", "CALLCENTER_DATABASE_BATCH_ROWS"),
        ("CALLCENTER_DATABASE_PATH", "Did you mean DB_PATH?"),
        ("CALLCENTER_HTTP_PORT", "Did you mean HTTP_PORT?"),
        ("CALLCENTER_ARI_URL", "Did you mean ARI_URL?"),
        ("CALLCENTER_ASTERISK_PASSWORD", "Did you mean ARI_PASSWORD?"),
        ("CALLCENTER_XYZ", "CALLCENTER_<SECTION>_<KEY>"),
    ] {
        Setup::new().var(wrong, "1").one_mistake(&[wrong, meant]);
        Setup::new().dot_env(&format!("{wrong}=1\n")).one_mistake(&[wrong, meant, ".env"]);
    }
    assert!(!Setup::new().var("CALLCENTER_XYZ", "1").mistakes()[0].contains("Did you mean"));
    assert_eq!(Setup::new().var("CALLCENTER_TEST_ROOT", "/x").mistakes(), [""; 0]);
}

#[test]
fn near_misses_of_the_ari_names_are_noted_and_others_left_alone() {
    let loaded = Setup::new().var("ARI_PASWORD", "hush").var("ARI_USER", "x").var("ARI_PORT", "8088").load();
    assert!(loaded.mistakes.is_empty() && !loaded.is_configured());
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    assert!(loaded.notes[0].contains("ARI_PASSWORD") && loaded.notes[1].contains("ARI_USERNAME"), "{:?}", loaded.notes);
    assert!(!loaded.notes.concat().contains("hush"));
}

#[test]
fn unknown_keys_in_files_are_refused_with_the_nearest() {
    for (text, key, meant) in [
        ("[database]\nbatch_row = 1\n", "database.batch_row:", "Did you mean batch_rows?"),
        ("[databse]\npath = 'x'\n", "databse:", "Did you mean database?"),
        ("port = 8080\n", "port:", "Did you mean http.port?"),
        ("[http]\nbatch_rows = 1\n", "http.batch_rows:", "Did you mean database.batch_rows?"),
        ("[[asterisk]]\npasswort = 'x'\npassword = 'y'\n", "asterisk[1].passwort:", "Did you mean password?"),
    ] {
        Setup::new().config_file(text).one_mistake(&["given.toml: ", key, meant, "Allowed here: "]);
        Setup::new().default_file(text).one_mistake(&["default.toml: ", key, meant]);
    }
}

#[test]
fn wrong_types_are_named_with_what_is_allowed() {
    for (text, parts) in [
        ("[database]\nbatch_rows = 'many'\n", ["database.batch_rows: ", "\"many\"", "from 1 to 100000 (rows)"]),
        ("[database]\nbatch_rows = -1\n", ["database.batch_rows: ", "-1", "from 1 to 100000 (rows)"]),
        ("[database]\nbatch_rows = 1.5\n", ["database.batch_rows: ", "1.5", "from 1 to 100000 (rows)"]),
        ("[http]\nport = 65536\n", ["http.port: ", "65536", "from 0 to 65535"]),
        ("[database]\nsynchronous = 'off'\n", ["database.synchronous: ", "\"off\"", "normal or full"]),
        ("[database]\nsynchronous = 0\n", ["database.synchronous: ", "0", "a text in quotes"]),
        ("[log]\nformat = 'xml'\n", ["log.format: ", "\"xml\"", "human or json"]),
        ("[lines]\ntrunks = 'PJSIP/x'\n", ["lines.trunks: ", "\"PJSIP/x\"", "a list of texts"]),
        ("[lines]\ntrunks = [1]\n", ["lines.trunks: ", "1", "a text in quotes"]),
        ("http = 8080\n", ["http: ", "8080", "a table: [http]"]),
        ("asterisk = [1]\n", ["asterisk[1]: ", "1", "[[asterisk]]"]),
        ("[asterisk]\nname = 'x'\n", ["asterisk: ", "no list", "[[asterisk]]"]),
        ("[[asterisk]]\npassword = 'x'\nurl = 5\n", ["asterisk[1].url: ", "5", "a text in quotes"]),
    ] {
        Setup::new().config_file(text).one_mistake(&[&["given.toml: "], &parts[..]].concat());
    }
    for (name, text, key) in [
        ("CALLCENTER_DATABASE_BATCH_ROWS", "many", "database.batch_rows"),
        ("HTTP_PORT", "80a", "http.port"),
        ("HTTP_PORT", "65536", "http.port"),
        ("CALLCENTER_LOG_FORMAT", "xml", "log.format"),
    ] {
        Setup::new().var(name, text).one_mistake(&[name, key, text, "Allowed: "]);
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let setup = Setup::new()
        .default_file("[http]\nport = 'a'\n[nosuch]\n")
        .config_file("[calls]\nread_bytes = 'b'\nmax_batches = 0\n")
        .var("CALLCENTER_LOG_LEVEL", "loud")
        .var("CALLCENTER_NOSUCH", "1");
    let text = setup.load().accept().unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 6 mistakes:\n"), "{text}");
    for part in ["http.port", "nosuch", "calls.read_bytes", "calls.max_batches", "log.level", "CALLCENTER_NOSUCH"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_value_that_a_later_layer_replaces_is_no_mistake() {
    let setup =
        Setup::new().config_file("[database]\nbatch_rows = 'many'\n").var("CALLCENTER_DATABASE_BATCH_ROWS", "9");
    assert_eq!((setup.mistakes(), setup.load().config.database.batch_rows), (vec![], 9));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let mut setup = Setup::new();
    setup.inputs.config = Some(setup.dir.path().join("missing.toml"));
    setup.one_mistake(&["missing.toml", "can't be read", "No such file"]);
    Setup::new().config_file("[http]\n\nport = = 1\n").one_mistake(&["given.toml:3: ", "No TOML"]);
    Setup::new().dot_env("HTTP_PORT=80\nwhat is this\n").one_mistake(&[".env:2: ", "NAME=value"]);
    let mut setup = Setup::new();
    setup.inputs.unreadable = vec!["DB_PATH".into()];
    setup.one_mistake(&["DB_PATH", "UTF-8"]);
}

#[test]
fn only_the_first_default_file_is_read() {
    let mut setup = Setup::new().default_file("[http]\nport = 1\n");
    setup.inputs.default_files.push(setup.file("second.toml", "[http]\nport = 2\n[calls]\nmax_batches = 9\n"));
    let config = setup.load().config;
    assert_eq!((config.http.port, config.calls.max_batches), (1, crate::config::Calls::default().max_batches));
    std::fs::remove_file(&setup.inputs.default_files[0]).unwrap();
    assert_eq!(setup.load().config.http.port, 2);
}

#[test]
fn rust_log_is_taken_from_dot_env_too() {
    let loaded = Setup::new().dot_env("RUST_LOG=debug\n").load();
    assert_eq!((loaded.rust_log.as_deref(), loaded.mistakes.len()), (Some("debug"), 0));
    Setup::new().var("RUST_LOG", "a=b=loud").one_mistake(&["RUST_LOG", "Allowed"]);
}
