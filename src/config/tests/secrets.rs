//! No secret is ever shown, wherever it stands and whatever else is wrong.

use super::*;

const SECRET: &str = "hush-4711-x";

/// Everything that can be shown of a load.
fn everything(setup: &Setup) -> String {
    let loaded = setup.load();
    let settings: Vec<String> = loaded.settings().iter().map(ToString::to_string).collect();
    let refused = loaded.clone().accept().err().map(|refused| format!("{refused} {refused:?}"));
    let json = serde_json::to_string(&(loaded.settings(), &loaded.mistakes, &loaded.config)).unwrap_or_default();
    let mistakes: Vec<String> = loaded.mistakes.iter().map(Mistake::to_string).collect();
    format!("{loaded:?} {:?} {settings:?} {mistakes:?} {refused:?} {json}", setup.inputs)
}

#[test]
fn a_password_is_hidden_in_every_form() {
    for setup in [
        Setup::new().var("ARI_PASSWORD", SECRET),
        Setup::new().dot_env(&format!("ARI_PASSWORD='{SECRET}'\n")),
        Setup::new().config_file(&format!("[[asterisk]]\npassword = '{SECRET}'\n")),
    ] {
        assert_eq!(setup.load().config.asterisk[0].password.expose(), SECRET);
        let shown = everything(&setup);
        assert!(!shown.contains(SECRET), "{shown}");
        assert!(shown.contains("asterisk[1].password = (set)"), "{shown}");
        let password = &setup.load().config.asterisk[0].password;
        assert_eq!(format!("{password} {password:?}"), "*** ***");
    }
    let unset = Setup::new().var("ARI_URL", "http://h/ari");
    assert!(everything(&unset).contains("asterisk[1].password = (not set)"));
}

#[test]
fn the_feeds_password_is_hidden_and_its_change_is_seen() {
    let load = |password: &str| {
        let setup = Setup::new().var("ARI_FEED_LISTEN", "127.0.0.1:8091").var("ARI_FEED_PASSWORD", password);
        let shown = everything(&setup);
        assert!(!shown.contains(password), "{shown}");
        assert!(shown.contains("asterisk[1].feed_password = (set)"), "{shown}");
        setup.load().config
    };
    let changes = Config::diff_reloadable(&load(SECRET), &load("hush-4712-y"));
    assert_eq!((changes.restart, changes.reloadable), (vec!["asterisk[1].feed_password".to_owned()], vec![]));
}

#[test]
fn a_password_in_something_wrong_is_hidden_too() {
    let digits = "471147114711";
    for setup in [
        Setup::new().config_file(&format!("[[asterisk]]\npassword = '{SECRET}\n")),
        Setup::new().config_file(&format!("[[asterisk]]\npassword = \"{SECRET}\\q\"\n")),
        Setup::new().config_file(&format!("[[asterisk]]\npassword = {SECRET}\n")),
        Setup::new().config_file(&format!("[[asterisk]]\npassword = {digits}\n")),
        Setup::new().config_file(&format!("[[asterisk]]\npassword = ['{SECRET}']\n")),
        Setup::new().config_file(&format!("[[asterisk]]\npasswort = '{SECRET}'\n")),
        Setup::new().dot_env(&format!("ARI_PASSWORD='{SECRET}\n")),
        Setup::new().dot_env(&format!("ARI PASSWORD={SECRET}\n")),
        Setup::new().var("ARI_PASSWORD", &format!("{SECRET}\n")),
        Setup::new().var("CALLCENTER_ARI_PASSWORD", SECRET),
        Setup::new().var("ARI_URL", &format!("http://me:{SECRET}@h/ari")),
        Setup::new().var("ARI_URL", &format!("http://h/ari?api_key=me:{SECRET}")),
        Setup::new().var("ARI_URL", &format!("htp//me:{SECRET}@h/ari")),
    ] {
        let shown = everything(&setup);
        assert!(!setup.load().mistakes.is_empty());
        // The serialised configuration of a URL with credentials is not for showing; settings are.
        let shown = shown.replace(&setup.inputs.environment.get("ARI_URL").cloned().unwrap_or("(none)".into()), "");
        assert!(!shown.contains(SECRET) && !shown.contains(digits), "{shown}");
    }
}

#[test]
fn credentials_in_a_url_are_hidden_from_debug_and_settings() {
    let loaded = Setup::new().var("ARI_URL", &format!("http://me:{SECRET}@h/ari")).var("ARI_PASSWORD", "x").load();
    let settings: Vec<String> = loaded.settings().iter().map(ToString::to_string).collect();
    let shown = format!("{loaded:?} {settings:?} {:?}", loaded.mistakes);
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(shown.contains("it may hold credentials"), "{shown}");
}

#[test]
fn secrets_of_alarms_are_hidden_and_their_change_is_seen() {
    for key in ["webhook_url", "webhook_secret", "smtp_password", "telegram_token"] {
        let variable = format!("CALLCENTER_ALARMS_{}", key.to_uppercase());
        let value = if key == "webhook_url" { format!("https://h/{SECRET}") } else { SECRET.to_owned() };
        for setup in [
            Setup::new().var(&variable, &value),
            Setup::new().dot_env(&format!("{variable}='{value}'\n")),
            Setup::new().config_file(&format!("[alarms]\n{key} = '{value}'\n")),
            // Wrong in one way or another.
            Setup::new().var(&variable, &format!("{value} \n@")),
            Setup::new().config_file(&format!("[alarms]\n{key} = ['{value}']\n")),
            Setup::new().config_file(&format!("[alarms]\n{key} = '{value}\n")),
        ] {
            let shown = everything(&setup);
            assert!(!shown.contains(SECRET), "{key}: {shown}");
        }
        let setup = Setup::new().var(&variable, &value);
        assert!(everything(&setup).contains(&format!("alarms.{key} = (set)")), "{key}");
        assert!(everything(&Setup::new()).contains(&format!("alarms.{key} = (not set)")), "{key}");
        let other = Setup::new().var(&variable, &format!("{value}2")).load().config;
        let changes = Config::diff_reloadable(&setup.load().config, &other);
        assert_eq!(changes.reloadable, [format!("alarms.{key}")]);
    }
}
