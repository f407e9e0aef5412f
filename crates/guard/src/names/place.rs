//! Countries, states, cities.

use super::lexicon::{is_place, known};
use super::{WORD, is_on_its_own, stands_behind, words};
use crate::rule::{Candidate, Extent};

pub(super) fn patterns() -> Vec<String> {
    vec![
        format!(r"{WORD}(?: (?:{WORD}|of|de|da|do|del|el|la|am|an der|sur|upon|and)){{0,3}}"),
        // A postcode belongs to it.
        format!(r"{WORD}(?: {WORD}){{0,2}} [0-9]{{4,5}}"),
    ]
}

/// What stands before a place, whatever it is called.
const GONE_TO: &[&str] = &[
    "lives in",
    "lived in",
    "live in",
    "living in",
    "born in",
    "based in",
    "located in",
    "moved to",
    "moved here from",
    "flew to",
    "fly to",
    "travel to",
    "travelling to",
    "traveling to",
    "travelled to",
    "originally from",
    "i'm from",
    "i am from",
    "comes from",
    "city of",
    "town of",
    "village of",
    "visit",
    "visited",
    "visiting",
    "i'm in",
    "i am in",
    "we're in",
    "trip to",
    "coming to",
    "resides in",
    "residing in",
    "street in",
    "moving to",
    "back to",
    "offices in",
    "office in",
    "branch in",
    "plant in",
    "store in",
    "hospital in",
];

pub(super) fn check(candidate: &Candidate<'_>) -> Option<Extent> {
    if !is_on_its_own(candidate) {
        return None;
    }
    let text = candidate.matched();
    if text.last().is_some_and(u8::is_ascii_digit) {
        return all_if(is_with_postcode(text));
    }
    // A place and a name at once is a place behind "in".
    let doubtful = known(text).is_name() || known(text).is_english();
    let listed = is_place(text) && (!doubtful || stands_behind(candidate, &["in", "from", "near", "to"]));
    // Any words behind "lives in", as long as they are none that begin sentences.
    let so_called = || {
        stands_behind(candidate, GONE_TO)
            && words(candidate)
                .all(|word| word.first().is_some_and(u8::is_ascii_lowercase) || !known(word).is_english())
            && words(candidate).last().is_some_and(|word| !word.first().is_some_and(u8::is_ascii_lowercase))
    };
    all_if(listed || so_called())
}

/// `Portugal 79850`, and not the year in which something was there.
fn is_with_postcode(text: &[u8]) -> bool {
    let Some(blank) = text.iter().rposition(|byte| *byte == b' ') else { return false };
    let (place, code) = text.split_at(blank);
    let is_year = code.len() == 5 && (code.starts_with(b" 19") || code.starts_with(b" 20"));
    is_place(place) && !is_year
}

fn all_if(holds: bool) -> Option<Extent> {
    holds.then_some(Extent::All)
}
