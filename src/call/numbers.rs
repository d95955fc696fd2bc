//! Phone numbers: kept as they came, and in E.164 beside that where they are whole numbers of a country.

use phonenumber::country::Id;

/// Normalises numbers by the rules of one country.
#[derive(Clone, Debug)]
pub struct Numbers {
    country: Option<Id>,
}

/// Shorter ones are extensions and service numbers.
const MIN_DIGITS: usize = 7;

impl Numbers {
    /// `country`: ISO 3166, two letters. `None` when that is no country; only numbers with `+` are whole then.
    pub fn new(country: &str) -> Self {
        Self { country: country.to_uppercase().parse().ok() }
    }

    /// Whether the country is known.
    pub fn knows_country(&self) -> bool {
        self.country.is_some()
    }

    /// `+79161234567` of `8 (916) 123-45-67` in Russia; `None` for extensions and what is no number.
    pub fn e164(&self, number: &str) -> Option<String> {
        if number.bytes().filter(u8::is_ascii_digit).count() < MIN_DIGITS {
            return None;
        }
        let parsed = phonenumber::parse(self.country, number).ok()?;
        parsed.is_valid().then(|| parsed.format().mode(phonenumber::Mode::E164).to_string())
    }
}

/// The number in a dial string: `79161234567` of `PJSIP/79161234567@trunk`, `101` of `PJSIP/101`.
pub(super) fn dialed_number(dialstring: &str) -> (&str, bool) {
    let tail = dialstring.rsplit_once('/').map_or(dialstring, |(head, tail)| {
        // `PJSIP/trunk/sip:7916...@host` and `SIP/trunk/7916...` name the number last, `PJSIP/101` the endpoint.
        if head.contains('/') { tail } else { dialstring.split_once('/').map_or(tail, |(_, t)| t) }
    });
    let tail = tail.strip_prefix("sip:").unwrap_or(tail);
    match tail.split_once('@') {
        Some((number, _)) => (number, true),
        None => (tail, dialstring.matches('/').count() > 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_and_plus_seven_are_one_number_in_russia() {
        let ru = Numbers::new("ru");
        for text in ["89161234567", "+79161234567", "8 (916) 123-45-67", "79161234567", "9161234567"] {
            assert_eq!(ru.e164(text).as_deref(), Some("+79161234567"), "{text}");
        }
        for text in ["101", "", "s", "anonymous", "00000000000"] {
            assert_eq!(ru.e164(text), None, "{text}");
        }
        assert_eq!(Numbers::new("DE").e164("030 901820").as_deref(), Some("+4930901820"));
        assert!(!Numbers::new("XX").knows_country());
        assert_eq!(Numbers::new("XX").e164("+79161234567").as_deref(), Some("+79161234567"));
    }

    proptest::proptest! {
        #![proptest_config(crate::cases(500))]
        /// Whatever a stranger's phone says its number is.
        #[test]
        fn no_text_makes_it_fail(text in "[-+0-9a-zA-Z();=,*#. ~/:;x\u{0660}\u{ff11}é]{0,40}") {
            for (country, text) in [("RU", text.clone()), ("XX", text.clone()), ("DE", format!("+49{text}"))] {
                let found = Numbers::new(country).e164(&text);
                proptest::prop_assert!(found.is_none_or(|number| number.starts_with('+')));
            }
        }
    }

    #[test]
    fn dial_strings_name_an_endpoint_or_a_number() {
        for (text, expected) in [
            ("101", ("101", false)),
            ("PJSIP/101", ("101", false)),
            ("79161234567@trunk", ("79161234567", true)),
            ("PJSIP/79161234567@trunk", ("79161234567", true)),
            ("SIP/trunk/79161234567", ("79161234567", true)),
            ("PJSIP/trunk/sip:79161234567@10.0.0.1", ("79161234567", true)),
            ("Local/w-5@loads", ("w-5", true)),
        ] {
            assert_eq!(dialed_number(text), expected, "{text}");
        }
    }
}
