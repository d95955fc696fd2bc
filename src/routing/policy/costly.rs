//! Numbers that cost money, by how they begin. No list of these is ever whole: it keeps the usual frauds out (calls to
//! numbers abroad whose owner gets a share), and `dial.refuse` adds to it.

use crate::routing::read::choices;

/// Digits below which a number is one of the house's own, or an emergency.
const PUBLIC: usize = 5;
/// What may be dialled before a country's code where no country is given: the plus, most of the world's, that of North
/// America, that of Russia and its neighbours.
const ABROAD: &[&str] = &["+", "00", "011", "810"];
/// Codes of satellite networks and of the global ones that such fraud uses (ITU-T E.164: Inmarsat 870, satellites 881, networks 882 and
/// 883, premium 979).
const SATELLITE: [&str; 5] = ["870", "881", "882", "883", "979"];
/// Premium numbers as many countries have them, where no country is given.
const PREMIUM: &[&str] = &["0900", "1900"];
/// Codes of the Caribbean and the Pacific that look like numbers of the United States and Canada but cost as calls abroad.
const NANP_ABROAD: &[&str] = &[
    "242", "246", "264", "268", "284", "345", "441", "473", "649", "658", "664", "721", "758", "767", "784", "809",
    "829", "849", "868", "869", "876",
];

choices! {
    /// A country whose numbering is known.
    Country {
        /// Germany.
        De = "de",
        /// Austria.
        At = "at",
        /// Switzerland.
        Ch = "ch",
        /// The United Kingdom.
        Gb = "gb",
        /// The United States.
        Us = "us",
        /// Canada.
        Ca = "ca",
        /// France.
        Fr = "fr",
        /// Spain.
        Es = "es",
        /// Italy.
        It = "it",
        /// The Netherlands.
        Nl = "nl",
        /// Poland.
        Pl = "pl",
        /// Russia.
        Ru = "ru",
        /// Australia.
        Au = "au",
    }
}

/// How a country's numbers begin.
struct Plan {
    /// The country's code (ITU-T E.164).
    code: &'static str,
    /// What is dialled before another country's code.
    abroad: &'static [&'static str],
    /// What stands before a number within the country.
    trunk: &'static str,
    /// Premium numbers as they are dialled there.
    premium: &'static [&'static str],
}

impl Country {
    fn plan(self) -> Plan {
        const USUAL: &[&str] = &["+", "00"];
        const NORTH_AMERICA: &[&str] = &["+", "011"];
        let plan = |code, abroad, trunk, premium| Plan { code, abroad, trunk, premium };
        match self {
            Self::De => plan("49", USUAL, "0", &["0900", "0137", "0180", "0190", "118"]),
            Self::At => plan("43", USUAL, "0", &["0900", "0901", "0930", "0931", "0939", "118"]),
            Self::Ch => plan("41", USUAL, "0", &["0900", "0901", "0906", "18"]),
            Self::Gb => plan("44", USUAL, "0", &["09", "0871", "0872", "0873", "070", "118"]),
            Self::Us | Self::Ca => plan("1", NORTH_AMERICA, "1", &["1900", "900"]),
            Self::Fr => plan("33", USUAL, "0", &["081", "082", "089", "118"]),
            Self::Es => plan("34", USUAL, "", &["803", "806", "807", "905", "118"]),
            Self::It => plan("39", USUAL, "", &["892", "894", "895", "899", "199", "178"]),
            Self::Nl => plan("31", USUAL, "0", &["0900", "0906", "0909", "18"]),
            Self::Pl => plan("48", USUAL, "", &["70"]),
            Self::Ru => plan("7", &["+", "810", "00"], "8", &["8809"]),
            Self::Au => plan("61", &["+", "0011"], "0", &["0190", "190"]),
        }
    }

    fn is_north_american(self) -> bool {
        matches!(self, Self::Us | Self::Ca)
    }
}

/// What makes this number cost money; none if nothing is known of it.
pub(super) fn why(number: &str, country: Option<Country>) -> Option<&'static str> {
    if number.trim_start_matches('+').len() < PUBLIC {
        return None;
    }
    let plan = country.map(Country::plan);
    let abroad = plan.as_ref().map_or(ABROAD, |plan| plan.abroad).iter().find_map(|prefix| number.strip_prefix(prefix));
    let begins = |number: &str, with: &[&str]| with.iter().any(|prefix| number.starts_with(prefix));
    // A number of the own country, however it is written, as it is dialled there.
    let home = abroad
        .zip(plan.as_ref())
        .and_then(|(rest, plan)| Some(format!("{}{}", plan.trunk, rest.strip_prefix(plan.code)?)));
    let national = match (&home, abroad) {
        (Some(home), _) => home.as_str(),
        (None, Some(rest)) if begins(rest, &SATELLITE) => {
            return Some("a satellite or another number without a country");
        }
        (None, Some(_)) => return Some("a number abroad"),
        (None, None) => number,
    };
    let caribbean = national.strip_prefix('1').unwrap_or(national);
    if country.is_some_and(Country::is_north_american) && begins(caribbean, NANP_ABROAD) {
        return Some("a number abroad");
    }
    begins(national, plan.map_or(PREMIUM, |plan| plan.premium)).then_some("a premium number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_the_houses_own() {
        assert_eq!(
            (why("0011", None), why("+112", Some(Country::De)), why("1180", Some(Country::De))),
            (None, None, None)
        );
        assert_eq!(why("11880", Some(Country::De)), Some("a premium number"));
    }

    #[test]
    fn what_is_abroad_in_one_country_is_a_town_in_another() {
        assert_eq!(why("01134960000", None), Some("a number abroad"));
        assert_eq!(why("01134960000", Some(Country::Gb)), None, "Leeds");
        assert_eq!(why("8105550123", Some(Country::Us)), None, "Flint");
        assert_eq!(why("81049301234", Some(Country::Ru)), Some("a number abroad"));
    }

    #[test]
    fn each_country_knows_its_own_numbers_by_code() {
        for word in Country::WORDS {
            let country = Country::try_from(*word).unwrap();
            let plan = country.plan();
            for prefix in plan.abroad {
                let number = format!("{prefix}{}2125550123", plan.code);
                assert_eq!(why(&number, Some(country)), None, "{word} {number}");
            }
            let premium = format!("{}1234567", plan.premium[0]);
            assert_eq!(why(&premium, Some(country)), Some("a premium number"), "{word} {premium}");
            assert_eq!(why("+99812345678", Some(country)), Some("a number abroad"), "{word}");
        }
    }
}
