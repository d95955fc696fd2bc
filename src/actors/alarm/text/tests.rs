//! Each event in each language.

use super::*;
use crate::actors::alarm::event::{Detail, Key, Kind};

fn alarm(kind: Kind) -> Alarm {
    let detail = match kind {
        Kind::AsteriskUnreachable => Detail::Error("nothing listens".into()),
        Kind::NoInbound => Detail::Minutes(65),
        Kind::TrunkFailures => Detail::Calls { ended: 20, failed: 15 },
        Kind::DiskLow => Detail::Free { mb: 77, folder: "/var".into() },
        Kind::WriterBehind => Detail::Behind { seconds: 65, error: Some("locked".into()) },
    };
    let key = Key { kind, node: "office".into(), subject: "PJSIP/t".into() };
    // 2026-11-20T20:59:50Z
    Alarm { key, since: 1_795_208_390.0, detail }
}

fn write_one(language: Language, events: Vec<Event>) -> Text {
    let mut config = Config::default();
    (config.alarms.language, config.alarms.site) = (language, "Офис".into());
    config.report.time_zone = "Europe/Moscow".into();
    write(&Notification { id: "1".into(), at: 0.0, events }, &config)
}

#[test]
fn an_alarm_says_what_since_when_what_it_means_and_what_to_do() {
    for kind in Kind::ALL {
        let en = write_one(Language::En, vec![Event::Raised(alarm(kind))]);
        let ru = write_one(Language::Ru, vec![Event::Raised(alarm(kind))]);
        assert!(
            en.subject.starts_with("[Офис] ALARM: ") && ru.subject.starts_with("[Офис] ТРЕВОГА: "),
            "{en:?} {ru:?}"
        );
        for part in ["Since 2026-11-20 23:59:50 (Europe/Moscow)", "For calls: ", "First: "] {
            assert!(en.body.contains(part), "{part} in {}", en.body);
        }
        for part in ["С 20.11.2026 23:59:50 (Europe/Moscow)", "Для звонков: ", "Сначала: "] {
            assert!(ru.body.contains(part), "{part} in {}", ru.body);
        }
        let figure = match kind {
            Kind::AsteriskUnreachable => "nothing listens",
            Kind::NoInbound => "65",
            Kind::TrunkFailures => "15",
            Kind::DiskLow => "77",
            Kind::WriterBehind => "locked",
        };
        assert!(en.body.contains(figure) && ru.body.contains(figure), "{figure}");
    }
}

#[test]
fn an_end_says_how_long_it_was() {
    let alarm = alarm(Kind::AsteriskUnreachable);
    let cleared = Event::Cleared { until: alarm.since + 3_725.0, alarm };
    let en = write_one(Language::En, vec![cleared.clone()]);
    assert!(en.subject.contains("OVER") && en.body.contains("It lasted 1 h 2 min."), "{en:?}");
    let ru = write_one(Language::Ru, vec![cleared]);
    assert!(ru.subject.contains("КОНЕЦ") && ru.body.contains("Длилось 1 ч 2 мин."), "{ru:?}");
}

#[test]
fn gaps_are_summed_up() {
    let mut gaps = Gaps::default();
    for step in 0..3 {
        gaps.add("office", 1_795_208_390.0 + f64::from(step), 1_795_208_391.0 + f64::from(step), "socket closed", 2);
    }
    let en = write_one(Language::En, vec![Event::Gaps(gaps.clone())]);
    assert!(en.subject.contains("3 gaps"), "{en:?}");
    for part in ["From 2026-11-20 23:59:50 to 2026-11-20 23:59:53", "3 s altogether", "socket closed", "6 known calls"]
    {
        assert!(en.body.contains(part), "{part} in {}", en.body);
    }
    let ru = write_one(Language::Ru, vec![Event::Gaps(gaps)]);
    assert!(ru.body.contains("всего 3 с") && ru.body.contains("звонков: 6"), "{ru:?}");
}

#[test]
fn a_flood_is_cut_and_a_subject_is_one_line() {
    let mut broken = alarm(Kind::AsteriskUnreachable);
    broken.key.node = "a\r\nBcc: x".into();
    let text = write_one(Language::En, vec![Event::Raised(broken); 50]);
    assert!(text.subject.contains("(and 49 more)") && !text.subject.contains(char::is_control), "{}", text.subject);
    assert_eq!(text.body.matches("ALARM").count(), MAX_WRITTEN);
    assert!(text.body.ends_with("(and 30 more)"), "{}", text.body);
}

#[test]
fn spans() {
    for (seconds, expected) in
        [(0.4, "0 s"), (59.0, "59 s"), (60.0, "1 min"), (3_661.0, "1 h 1 min"), (90_000.0, "1 d 1 h"), (-5.0, "0 s")]
    {
        assert_eq!(en::En::span(seconds), expected);
    }
}
