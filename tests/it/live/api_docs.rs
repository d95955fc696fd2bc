//! Every event type that the running Asterisk describes is one that the program knows.

use callcenter::ari::event::KINDS;

use crate::kit::{Asterisk, live};

/// Models of the description that are no events: parents, and parts of events.
const PARTS: &[&str] = &[
    "Message",
    "MissingParams",
    "Event",
    "ContactInfo",
    "Peer",
    "ReferTo",
    "ReferredBy",
    "RequiredDestination",
    "AdditionalParam",
    "RESTHeader",
    "RESTQueryStringParameter",
    "RESTRequest",
];

#[test]
fn every_event_type_of_the_api_description_is_typed() {
    if !live() {
        return;
    }
    let asterisk = Asterisk::start();
    let (status, description) = asterisk.rest("GET", "api-docs/events.json", &[]);
    assert_eq!(status, 200);
    let models = description["models"].as_object().unwrap();
    assert!(models.len() > 40, "{} models", models.len());
    let unknown: Vec<&String> =
        models.keys().filter(|name| !PARTS.contains(&name.as_str()) && !KINDS.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "not typed: {unknown:?}");
}
