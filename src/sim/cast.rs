//! Who plays in a call: phones of the company, and people outside.
//!
//! A recorded call has endpoints 100, 101 ...; another playing of it may have others in their place, each everywhere
//! where the recorded one stood.

use std::collections::HashSet;

use rand::RngExt;
use rand::rngs::StdRng;

use super::template::Template;

/// From where to where a played call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// With the numbers of the recording.
    AsRecorded,
    /// Between phones of the company.
    Internal,
    /// From outside: the caller's channel is the trunk's, what he dialled is one of the company's numbers (or, in a
    /// transfer, the phones that follow).
    Inbound,
    /// To outside: the dialled phone is the trunk.
    Outbound,
}

/// Who can play.
#[derive(Clone, Debug, PartialEq)]
pub struct People {
    /// The company's phones: endpoint and extension are the same.
    pub agents: Vec<String>,
    /// The PJSIP endpoint that is the trunk.
    pub trunk: String,
    /// The company's numbers that callers from outside dial.
    pub dids: Vec<String>,
    /// How many people outside call; each has a number of a Russian mobile network (`+79...`).
    pub callers: u32,
}

impl Default for People {
    fn default() -> Self {
        Self {
            agents: (101..=119).map(|n| n.to_string()).collect(),
            trunk: "trunk".to_owned(),
            dids: vec!["+74951234500".to_owned(), "+74951234501".to_owned(), "+78005553500".to_owned()],
            callers: 2_000,
        }
    }
}

impl People {
    /// The first thing that is wrong with it, in words.
    pub(super) fn mistake(&self) -> Option<String> {
        let plain = |text: &String| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '.'))
        };
        let all = self.agents.iter().chain(&self.dids).chain(std::iter::once(&self.trunk));
        let bad = all.filter(|text| !plain(text)).map(|text| format!("'{text}' can't be an endpoint or a number"));
        let none = || (self.agents.len() < 4).then(|| "a simulated call center has at least 4 agents".to_owned());
        let nobody =
            || (self.dids.is_empty() || self.callers == 0).then(|| "dids and callers can't be empty".to_owned());
        bad.into_iter().next().or_else(none).or_else(nobody)
    }

    /// A number of somebody outside, in the form that trunks send. The n-th caller always has the same.
    fn outside(&self, rng: &mut StdRng) -> String {
        // Codes of the four large mobile networks; the rest is spread by a multiplication, so that neighbours differ.
        const CODES: [u32; 6] = [903, 916, 925, 926, 962, 985];
        let n = rng.random_range(0..self.callers.max(1));
        let code = CODES[n as usize % CODES.len()];
        let rest = (u64::from(n) * 7_368_787 + 1_234_567) % 10_000_000;
        format!("+7{code}{rest:07}")
    }
}

/// One phone or trunk of a playing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Person {
    /// The PJSIP endpoint's name.
    pub endpoint: String,
    /// The caller number that it shows.
    pub number: String,
    /// The caller name that it shows.
    pub name: String,
    /// How Dial names it behind `PJSIP/`.
    pub dial: String,
}

impl Person {
    fn agent(number: &str) -> Self {
        let number = number.to_owned();
        Self { endpoint: number.clone(), name: format!("Agent {number}"), dial: number.clone(), number }
    }
}

/// The whole cast of a playing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cast {
    /// For each of `Template::endpoints`.
    pub people: Vec<Person>,
    /// What the caller dialled; empty when the template has nothing dialled.
    pub dialed: String,
}

impl Cast {
    /// Chooses who plays; agents who are not `busy` first.
    pub(super) fn choose(
        template: &Template,
        direction: Direction,
        people: &People,
        busy: &HashSet<String>,
        rng: &mut StdRng,
    ) -> Self {
        let recorded = template.dialed.clone().unwrap_or_default();
        let role = template.endpoints.iter().position(|e| *e == recorded);
        if direction == Direction::AsRecorded || !template.from_phone {
            let people = template.endpoints.iter().map(|e| Person::agent(e)).collect();
            return Self { people, dialed: recorded };
        }
        let mut free: Vec<&String> = people.agents.iter().filter(|a| !busy.contains(*a)).collect();
        let mut taken: Vec<&String> = people.agents.iter().filter(|a| busy.contains(*a)).collect();
        let mut agent = || {
            let from = if free.is_empty() { &mut taken } else { &mut free };
            if from.is_empty() { None } else { Some(from.swap_remove(rng.random_range(0..from.len()))) }
        };
        // More roles than agents: the recorded one plays himself.
        let mut cast: Vec<Person> =
            template.endpoints.iter().map(|e| Person::agent(agent().map_or(e.as_str(), String::as_str))).collect();
        let mut dialed = role.map_or_else(|| recorded.clone(), |r| cast[r].number.clone());
        let outside = people.outside(rng);
        let stranger = |dial: String| Person {
            endpoint: people.trunk.clone(),
            number: outside.clone(),
            name: String::new(),
            dial,
        };
        match direction {
            Direction::Inbound => {
                cast[0] = stranger(people.trunk.clone());
                dialed.clone_from(&people.dids[rng.random_range(0..people.dids.len())]);
            }
            Direction::Outbound => {
                if let Some(role) = role.filter(|r| *r != 0) {
                    cast[role] = stranger(format!("{outside}@{}", people.trunk));
                    dialed.clone_from(&outside);
                }
            }
            Direction::AsRecorded | Direction::Internal => {}
        }
        Self { people: cast, dialed }
    }

    /// The agents among them.
    pub(super) fn agents<'a>(&'a self, people: &'a People) -> impl Iterator<Item = &'a String> {
        self.people.iter().map(|p| &p.endpoint).filter(move |e| **e != people.trunk)
    }
}
