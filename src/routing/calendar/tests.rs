use super::*;

fn local(zone: &str, at: &str) -> Local {
    Zone::try_from(zone).unwrap().local(at.parse().unwrap())
}

#[test]
fn the_clock_is_that_of_the_zone_summer_and_winter() {
    assert_eq!(
        local("Europe/Berlin", "2026-11-23T07:12:00.000Z").to_string(),
        "08:12 on Monday 2026-11-23 (Europe/Berlin)"
    );
    assert_eq!(
        local("Europe/Berlin", "2026-07-01T22:30:00.000Z").to_string(),
        "00:30 on Thursday 2026-07-02 (Europe/Berlin)"
    );
    // The hour that comes twice: both are half past two.
    for at in ["2026-10-25T00:30:00.000Z", "2026-10-25T01:30:00.000Z"] {
        assert_eq!(local("Europe/Berlin", at).minute, 150);
    }
    assert!(Zone::try_from("Berlin").unwrap_err().contains("Europe/Berlin"));
}

#[test]
fn a_moment_is_found_from_what_a_clock_shows() {
    let berlin = Zone::try_from("Europe/Berlin").unwrap();
    let at = |text: &str| chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    assert_eq!(berlin.moment(at("2026-11-23 08:12")), Some("2026-11-23T07:12:00.000Z".parse().unwrap()));
    assert_eq!(berlin.moment(at("2026-10-25 02:30")), Some("2026-10-25T00:30:00.000Z".parse().unwrap()));
    assert_eq!(berlin.moment(at("2026-03-29 02:30")), None);
}

#[test]
fn hours_over_midnight_belong_to_the_day_on_which_they_begin() {
    let day = |hours: &str, at: &str| {
        let day = Hours::try_from(hours).unwrap().day_of(&local("UTC", at));
        day.map(|day| day.to_string())
    };
    assert_eq!(day("09:00-18:00", "2026-11-23T09:00:00.000Z").as_deref(), Some("2026-11-23"));
    assert_eq!(day("09:00-18:00", "2026-11-23T08:59:59.999Z"), None);
    assert_eq!(day("09:00-18:00", "2026-11-23T18:00:00.000Z"), None);
    assert_eq!(day("22:00-06:00", "2026-11-23T23:00:00.000Z").as_deref(), Some("2026-11-23"));
    assert_eq!(day("22:00-06:00", "2026-11-23T05:59:00.000Z").as_deref(), Some("2026-11-22"));
    assert_eq!(day("22:00-06:00", "2026-11-23T06:00:00.000Z"), None);
    assert_eq!(day("18:00-24:00", "2026-11-23T23:59:00.000Z").as_deref(), Some("2026-11-23"));
    for text in ["", "9-18", "09:00-09:00", "25:00-26:00", "24:00-06:00", "09:00"] {
        assert!(Hours::try_from(text).unwrap_err().contains("09:00-18:00"), "{text}");
    }
}

#[test]
fn hours_contain_hours() {
    let contains = |a: &str, b: &str| Hours::try_from(a).unwrap().contains(Hours::try_from(b).unwrap());
    assert!(contains("09:00-18:00", "10:00-18:00") && contains("22:00-06:00", "22:00-24:00"));
    assert!(contains("22:00-06:00", "23:00-05:00") && !contains("09:00-18:00", "08:00-10:00"));
    assert!(!contains("22:00-06:00", "01:00-02:00"), "those belong to another day");
}

#[test]
fn weekdays_run_over_the_weekend() {
    let has = |text: &str, day| Weekdays::try_from(text).unwrap().contains(day);
    assert!(has("mon-fri", Weekday::Fri) && !has("mon-fri", Weekday::Sat));
    assert!(has("sat-mon", Weekday::Sun) && has("sat-mon", Weekday::Mon) && !has("sat-mon", Weekday::Tue));
    assert!(has("sun", Weekday::Sun) && !has("sun", Weekday::Mon));
    assert_eq!(Weekdays::try_from("sat-mon").unwrap().days().count(), 3);
    for text in ["mon-fri", "sun"] {
        assert_eq!(Weekdays::try_from(text).unwrap().to_string(), text);
    }
    assert!(Weekdays::try_from("monday").unwrap_err().contains("mon, tue"));
}

#[test]
fn dates_are_of_a_year_or_of_every_year() {
    let has = |text: &str, date: &str| Dates::try_from(text).unwrap().contains(date.parse().unwrap());
    assert!(has("2026-12-24", "2026-12-24") && !has("2026-12-24", "2027-12-24"));
    assert!(has("05-09", "2026-05-09") && has("05-09", "2031-05-09") && !has("05-09", "2026-05-10"));
    assert!(
        has("12-24..01-02", "2026-12-31") && has("12-24..01-02", "2027-01-02") && !has("12-24..01-02", "2027-01-03")
    );
    assert!(has("2026-12-24..2027-01-02", "2027-01-01") && !has("2026-12-24..2027-01-02", "2028-01-01"));
    assert!(has("02-29", "2028-02-29") && !has("02-29", "2027-02-28"));
    for text in ["12-24..01-02", "2026-12-24", "02-29"] {
        assert_eq!(Dates::try_from(text).unwrap().to_string(), text);
    }
    for text in ["", "24.12.", "2027-02-29", "13-01", "12-24..2027-01-01"] {
        assert!(Dates::try_from(text).unwrap_err().contains("'12-24..12-26'"), "{text}");
    }
    assert!(Dates::try_from("2027-01-02..2026-12-24").unwrap_err().contains("ends before"));
}
