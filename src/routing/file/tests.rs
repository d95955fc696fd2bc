use super::*;

/// The flaws of a text, one a line.
fn flaws(text: &str) -> String {
    let flaws = read(text).map(|file| format!("{:?}", file.rules)).unwrap_err();
    flaws.iter().map(Flaw::to_string).collect::<Vec<_>>().join("\n")
}

const GOOD: &str = "
time_zone = 'Europe/Berlin'

[holidays]
national = ['01-01', '12-24..12-26', 2027-03-26]

[dial]
allow = 'PJSIP/1??'

[[rule]]
name = 'main'
when.dialed = '100'
when.holidays = 'national'
steps = [
  { play = 'sound:closed' },
  { hangup = {} },
]
";

#[test]
fn a_file_becomes_rules() {
    let file = read(GOOD).unwrap();
    assert_eq!(file.rules.written().map(|rule| rule.name.as_str()).collect::<Vec<_>>(), ["main"]);
    assert_eq!(file.rules.version(), version(GOOD));
    assert_eq!(file.dial.allow.len(), 1);
    assert_eq!(read("").unwrap().rules.written().count(), 0);
}

#[test]
fn a_version_is_that_of_the_text() {
    // As `sha256sum` says.
    assert_eq!(version(""), "e3b0c44298fc");
    assert_ne!(version("a"), version("b"));
}

#[test]
fn every_mistake_has_its_line_and_column() {
    let text = "time_zone = 'Berlin'
dail = {}

[[rule]]
name = 'a'
when = { dialled = '1', hours = '9-18' }
steps = [
  { dial = { to = 'PJSIP/101', rnig = 5 } },
  { play = 'hello' },
]

[[rule]]
name = 'a'
steps = []
fallback = [{ wait = 5 }]
";
    let expected = "\
1:13: time_zone: 'Berlin' is no time zone of the IANA database such as 'Europe/Berlin'
2:1: unknown parameter 'dail' (did you mean 'dial'?); allowed: time_zone, holidays, dial, rule
6:10: rule[1].when: unknown parameter 'dialled' (did you mean 'dialed'?); allowed: dialed, dialed_regex, caller_number, \
caller_number_regex, caller_name, direction, context, args, variables, node, hours, weekdays, dates, holidays, time_zone, max_live
6:33: rule[1].when.hours: '9-18' are no hours such as '09:00-18:00' or '22:00-06:00'
8:32: rule[1].steps[1].dial: unknown parameter 'rnig' (did you mean 'ring'?); allowed: to, strategy, ring, ring_total, hear, \
music_class, caller_number, caller_name, headers, whisper, accept_key, accept_prompt, accept_timeout, limit, warn_at, warn
9:12: rule[1].steps[2].play.media: 'hello' has no kind; for a sound of Asterisk write 'sound:hello'
13:8: rule[2].name: rule 1 has the name 'a' too
14:9: rule[2].steps: a rule needs a step; { continue = {} } hands the call back to the dialplan
15:12: rule[2].fallback: a fallback is at most 5 steps: answer, play (without `on`), and as the last one hangup or continue";
    assert_eq!(flaws(text), expected);
}

#[test]
fn what_is_no_toml_says_where() {
    let said = flaws("[[rule]]\nname = 'a\nsteps = [\n");
    assert!(said.starts_with("2:10: this is no TOML: "), "{said}");
    assert!(flaws("a = 1\na = 2").contains("2:1: this is no TOML: duplicate key"), "{}", flaws("a = 1\na = 2"));
    assert!(flaws(&"#".repeat(MAX_BYTES + 1)).starts_with("1:1: 2097153 bytes"));
}

#[test]
fn columns_count_characters() {
    assert_eq!(flaws("x = 'Žofie' # Žž\n[holidays]\n'Ž' = ['x']"), "\
1:1: unknown parameter 'x'; allowed: time_zone, holidays, dial, rule
3:8: holidays.Ž[1]: 'x' are no days; expected '2026-12-24', each year's '12-24', or from one to another of the same form, '12-24..12-26'");
}

#[test]
fn holidays_that_are_not_listed_are_named() {
    let text = GOOD.replace("when.holidays = 'national'", "when.holidays = ['natoinal']");
    assert_eq!(
        flaws(&text),
        "13:17: rule[1].when.holidays: unknown list of [holidays] 'natoinal' (did you mean 'national'?); allowed: national"
    );
}

#[test]
fn a_found_mistake_is_placed_at_what_is_written() {
    let file = read(GOOD).unwrap();
    let at = |path: &str| {
        let flaw = file.flaw(Mistake { path: path.to_owned(), at: None, message: String::new() });
        (flaw.line, flaw.column)
    };
    assert_eq!(at("rule[1].steps[2]"), (16, 3));
    assert_eq!(at("rule[1].steps[1].play.media[1]"), (15, 12));
    assert_eq!(at("rule[1].steps[1].play.media"), (15, 12));
    assert_eq!(at("dial.allow[1]"), (8, 9));
    assert_eq!(at("rule[1].when.dialed"), (12, 15));
    assert_eq!(at("rule[7]"), at("rule"));
}

#[test]
fn patterns_are_bounded_in_all() {
    let list = |glob: &str| vec![format!("'{glob}'"); 500].join(", ");
    let rule = |index: usize, glob: &str| {
        format!("[[rule]]\nname = 'r{index}'\nwhen.dialed = [{}]\nsteps = [{{ hangup = {{}} }}]\n", list(glob))
    };
    let text = |rules: usize, glob: &str| (0..rules).map(|index| rule(index, glob)).collect::<String>();
    assert!(read(&text(10, "1*")).is_ok());
    let said = flaws(&text(11, "1*"));
    assert_eq!(said, "43:16: rule[11].when.dialed[1]: more than 5000 patterns and regular expressions");
    assert!(read(&text(30, "123")).is_ok(), "numbers without wildcards are no patterns");
}

#[test]
fn nothing_that_is_written_breaks_the_reading() {
    for text in [
        "a = ".to_owned() + &"[".repeat(100_000),
        "a.".repeat(50_000) + "a = 1",
        "[a".repeat(100_000),
        "=\n".repeat(100_000),
    ] {
        assert!((1..=100).contains(&read(&text).unwrap_err().len()));
    }
}

proptest::proptest! {
    /// The example with a few stretches taken out, doubled or swapped: it is read or every mistake has a place in the text.
    #[test]
    fn a_damaged_file_is_read_or_has_mistakes_with_places(cuts in proptest::collection::vec((0usize..8_000, 0usize..40, 0u8..3), 1..4)) {
        let mut text = include_str!("../../../config/routing.example.toml").to_owned();
        for (at, length, how) in cuts {
            let from = text.floor_char_boundary(at.min(text.len()));
            let to = text.floor_char_boundary((from + length).min(text.len()));
            let part = text[from..to].to_owned();
            match how {
                0 => text.replace_range(from..to, ""),
                1 => text.insert_str(from, &part),
                _ => text.replace_range(from..to, &part.chars().rev().collect::<String>()),
            }
        }
        let lines = text.lines().count() + 1;
        let found = match read(&text) {
            Ok(file) => crate::routing::check::check(&file, Some(&Default::default())),
            Err(flaws) => {
                assert!(!flaws.is_empty());
                flaws
            }
        };
        assert!(found.iter().all(|flaw| (1..=lines).contains(&flaw.line) && flaw.column >= 1));
    }
}
