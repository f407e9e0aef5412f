//! Names are found by lists, shape and what stands before them, and are a table of their own.

use crate::plans::{detectors, naming};
use hermetic_guard::{View, Writing, redact};

fn redacted(text: &str) -> String {
    let view = View::of(Writing::Plain, text.as_bytes());
    let redaction = redact(naming(), &mut naming().scratch(), &view);
    redaction.text.map_or_else(|| text.to_owned(), |text| String::from_utf8(text).unwrap())
}

#[test]
fn people_places_organisations_and_streets_are_found() {
    for (text, expected) in [
        ("Ask Maria about it.", "Ask [PERSON] about it."),
        ("a mail from Kevin Talbot, sent", "a mail from [PERSON], sent"),
        ("Mr. Xqvist has called", "Mr. [PERSON] has called"),
        ("my name is Favian Rangel", "my name is [PERSON]"),
        ("Maria's desk", "[PERSON]'s desk"),
        ("a flight to Portugal on", "a flight to [PLACE] on"),
        ("he lives in Klagenfeld now", "he lives in [PLACE] now"),
        ("shares of Argo Gold Inc. fell", "shares of [ORGANIZATION] fell"),
        ("the University of Ghent says", "the [ORGANIZATION] says"),
        ("at 12 Mill Street we met", "at [STREET_ADDRESS] we met"),
        ("send it to Hauptstraße 7.", "send it to [STREET_ADDRESS]."),
        ("Avenida Noruega 42", "[STREET_ADDRESS]"),
    ] {
        assert_eq!(redacted(text), expected);
    }
}

#[test]
fn ordinary_words_with_capitals_are_left_alone() {
    for text in [
        "The Reading list is in Chapter One.",
        "Will the May release mark a change?",
        "Please Note That This Is A Title",
        "HTTP Status Code of the Response",
        "Use Python or Java for Machine Learning",
        "Monday Morning",
    ] {
        assert_eq!(redacted(text), text);
    }
}

#[test]
fn names_are_only_looked_for_where_they_are_asked_for() {
    assert!(detectors().rules().all(|(_, rule)| rule.name.as_str() != "pii.person"));
}
