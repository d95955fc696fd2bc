use super::*;

fn when(toml: &str) -> When {
    let node = crate::routing::file::node(toml).unwrap();
    let mut reader = crate::routing::read::Reader::default();
    let read = crate::routing::read::Read::read(&node, &mut reader);
    reader.finish(read).unwrap()
}

fn call() -> CallFacts {
    CallFacts {
        node: "office".to_owned(),
        dialed: "555".to_owned(),
        context: "internal".to_owned(),
        caller_number: "100".to_owned(),
        caller_name: "Žofie".to_owned(),
        direction: Some(Direction::Inbound),
        args: vec!["sales".to_owned(), "x".to_owned()],
        variables: [("vip".to_owned(), "1".to_owned())].into(),
        // 08:12 on Monday 2026-11-23 in Berlin.
        at: "2026-11-23T07:12:00.000Z".parse().unwrap(),
        live: [("main".to_owned(), 2)].into(),
    }
}

/// The reasons why the call doesn't match.
fn misses(toml: &str) -> Vec<String> {
    let holidays = [("national", "12-24..12-26"), ("bridge", "2026-11-23")];
    let holidays = holidays
        .into_iter()
        .map(|(name, dates)| (Label::try_from(name).unwrap(), vec![Dates::try_from(dates).unwrap()]));
    let holidays = holidays.collect();
    let zone = Zone::try_from("Europe/Berlin").unwrap();
    when(toml).misses(&call(), Surroundings { rule: "main", zone, holidays: &holidays })
}

#[test]
fn conditions_that_hold() {
    for toml in [
        "",
        "dialed = '5*'",
        "dialed = ['1', '555']",
        "dialed_regex = '^5+$'",
        "caller_number = '1??'\ncaller_name = 'Ž*'",
        "caller_number_regex = '0$'",
        "direction = 'inbound'\ncontext = 'internal'\nnode = 'off*'",
        "direction = ['internal', 'inbound']",
        "args = ['sales']",
        "args = ['s*', 'x']",
        "variables = { vip = ['1', '2'], EXTEN = '555', none = '' }",
        "hours = '08:00-09:00'",
        "hours = ['01:00-02:00', '08:00-09:00']\nweekdays = 'mon-fri'\ndates = '2026-11-23'",
        "hours = '07:00-08:00'\ntime_zone = 'UTC'",
        "weekdays = 'mon'",
        "dates = ['01-01', 2026-11-23]",
        "holidays = ['national', 'bridge']",
        "max_live = 3",
        // The night from Sunday on.
        "hours = '22:00-09:00'\nweekdays = 'sun'",
    ] {
        assert_eq!(misses(toml), Vec::<String>::new(), "{toml}");
    }
}

#[test]
fn conditions_that_fail_say_what_was_found() {
    for (toml, why) in [
        ("dialed = '1*'", "the dialled number is '555', not '1*'"),
        ("dialed = ['1', '2', '3']", "the dialled number is '555', not '1', '2' or '3'"),
        ("dialed_regex = '^1'", "the dialled number is '555', in which /^1/ is not found"),
        ("caller_number = '2*'", "the caller's number is '100', not '2*'"),
        ("caller_number_regex = '^2'", "the caller's number is '100', in which /^2/ is not found"),
        ("caller_name = 'x'", "the caller's name is 'Žofie', not 'x'"),
        ("direction = ['outbound', 'internal']", "the direction is inbound, not 'outbound' or 'internal'"),
        ("context = 'public'", "the context is 'internal', not 'public'"),
        ("args = ['sales', 'y']", "Stasis argument 2 is 'x', not 'y'"),
        ("args = ['sales', 'x', 'z']", "Stasis argument 3 is '', not 'z'"),
        ("variables = { vip = '2' }", "the variable vip is '1', not '2'"),
        ("node = 'home'", "the node is 'office', not 'home'"),
        ("hours = '09:00-18:00'", "it is 08:12 on Monday 2026-11-23 (Europe/Berlin), outside of '09:00-18:00'"),
        (
            "weekdays = ['sat', 'sun']",
            "it is 08:12 on Monday 2026-11-23 (Europe/Berlin): Monday is not among 'sat' or 'sun'",
        ),
        ("dates = '12-24'", "it is 08:12 on Monday 2026-11-23 (Europe/Berlin): 2026-11-23 is not among '12-24'"),
        (
            "holidays = 'national'",
            "it is 08:12 on Monday 2026-11-23 (Europe/Berlin): 2026-11-23 is no holiday of 'national'",
        ),
        ("max_live = 2", "2 live calls of this rule, fewer than 2 are wanted"),
        // At twelve past eight the night from Sunday on is meant, which is no Monday.
        (
            "hours = '22:00-09:00'\nweekdays = 'mon'",
            "it is 08:12 on Monday 2026-11-23 (Europe/Berlin): Sunday is not among 'mon'",
        ),
    ] {
        assert_eq!(misses(toml), [why], "{toml}");
    }
}

#[test]
fn every_condition_that_fails_is_told() {
    assert_eq!(misses("dialed = '1'\nnode = 'home'\nmax_live = 1").len(), 3);
}
