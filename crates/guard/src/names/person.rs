//! People.

use super::lexicon::known;
use super::{WORD, is_on_its_own, stands_behind, words};
use crate::rule::{Candidate, Extent};

/// Small words inside a name.
const PARTICLES: &[&[u8]] = &[
    b"de", b"da", b"van", b"von", b"der", b"den", b"bin", b"al", b"el", b"la", b"di", b"del", b"du", b"le",
    b"dos", b"ter",
];

pub(super) fn patterns() -> Vec<String> {
    let particles = r"de|da|van|von|der|den|bin|al|el|la|di|del|du|le|dos|ter";
    vec![format!(r"{WORD}(?: (?:[A-Z]\.?|{particles}|{WORD})){{0,4}}")]
}

/// What stands before a name and nothing else.
const TITLES: &[&str] = &[
    "mr",
    "mr.",
    "mrs",
    "mrs.",
    "ms",
    "ms.",
    "miss",
    "dr",
    "dr.",
    "prof",
    "prof.",
    "professor",
    "sir",
    "madam",
    "herr",
    "frau",
    "monsieur",
    "madame",
    "señor",
    "señora",
    "signor",
    "signora",
    "doctor",
    "nurse",
    "officer",
    "patient",
];
const INTRODUCTIONS: &[&str] = &[
    "my name is",
    "name is",
    "name's",
    "name",
    "first name",
    "last name",
    "surname",
    "maiden name is",
    "last name?",
    "your name?",
    "named",
    "called",
    "call me",
    "calls me",
    "dear",
    "hi",
    "hello",
    "signed",
    "sincerely",
    "regards",
    "attn",
    "attention",
    "contact person",
    "directed by",
    "written by",
    "on behalf of",
    "patient name",
    "customer name",
    "this is",
    "in case of",
    "child of",
    "kid",
    "partner",
    "guardian",
    "husband",
    "wife",
    "son",
    "daughter",
    "brother",
    "sister",
    "mother",
    "father",
    "colleague",
    "friend",
    "boss",
    "said",
    "asked",
    "told",
    "thanks",
    "ask for",
];

/// Words that begin a sentence or name something else, with a capital.
const NO_NAMES: &[&[u8]] = &[
    b"i",
    b"i'm",
    b"it's",
    b"my",
    b"iban",
    b"the",
    b"this",
    b"that",
    b"bot",
    b"user",
    b"street",
    b"avenue",
    b"road",
    b"drive",
    b"lane",
    b"suite",
    b"apt",
    b"box",
    b"inc",
    b"ltd",
    b"llc",
    b"plc",
    b"corp",
    b"gmbh",
    b"bank",
    b"group",
    b"company",
    b"university",
    b"hospital",
    b"school",
    b"monday",
    b"tuesday",
    b"wednesday",
    b"thursday",
    b"friday",
    b"saturday",
    b"sunday",
    b"january",
    b"february",
    b"march",
    b"april",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
    b"city",
    b"etf",
    b"limited",
    b"north",
    b"south",
    b"east",
    b"west",
    b"saint",
    b"new",
    b"united",
    b"mobile",
    b"phone",
    b"fax",
    b"desk",
    b"address",
    b"zip",
    b"jan",
    b"feb",
    b"apr",
    b"jun",
    b"jul",
    b"aug",
    b"sep",
    b"oct",
    b"nov",
    b"dec",
    b"english",
    b"french",
    b"german",
    b"spanish",
    b"russian",
    b"chinese",
    b"japanese",
    b"italian",
    b"website",
    b"email",
    b"hi",
    b"hello",
    b"dear",
    b"mr",
    b"mrs",
    b"ms",
    b"dr",
    b"visa",
    b"mastercard",
];

pub(super) fn is_no_name(word: &[u8]) -> bool {
    NO_NAMES.iter().any(|no| no.eq_ignore_ascii_case(word))
}

/// How sure a word makes that a person is named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    Last,
    /// A first name or surname that is an English word as well.
    Doubtful,
    Unknown,
    /// An initial or a particle.
    Small,
    No,
}

fn part(word: &[u8]) -> Part {
    let known = known(word);
    if is_no_name(word) || word.len() > 2 && super::lexicon::is_place(word) && !known.is_first_name() {
        return Part::No;
    }
    if word.len() <= 2 && (word.len() == 1 || word.ends_with(b".")) || PARTICLES.contains(&word) {
        return Part::Small;
    }
    match (known.is_name(), known.is_english()) {
        (true, true) => Part::Doubtful,
        (true, false) if known.is_first_name() => Part::First,
        (true, false) => Part::Last,
        (false, true) => Part::No,
        (false, false) => Part::Unknown,
    }
}

pub(super) fn check(candidate: &Candidate<'_>) -> Option<Extent> {
    if !is_on_its_own(candidate) {
        return None;
    }
    let text = candidate.matched();
    let owned = text
        .strip_suffix(b"'s")
        .or_else(|| text.strip_suffix(b"'"))
        .map_or(candidate.end, |name| candidate.start + name.len());
    let named = Candidate { end: owned, ..*candidate };
    let mut parts = [Part::No; 5];
    let mut count = 0;
    for word in words(&named) {
        *parts.get_mut(count)? = part(word);
        count += 1;
    }
    let parts = parts.get(..count)?;
    let introduced = || stands_behind(&named, TITLES) || stands_behind(&named, INTRODUCTIONS);
    let named_so = match parts {
        [] => false,
        [Part::First | Part::Last]
            if named.matched().len() > 3 && !super::lexicon::is_place(named.matched()) =>
        {
            true
        }
        [Part::First | Part::Last | Part::Doubtful | Part::Unknown] => introduced(),
        [.., Part::Small | Part::No] | [Part::Small, ..] => false,
        [_, middle @ .., _] if middle.contains(&Part::No) => false,
        [Part::First, ..] => true,
        [Part::Doubtful, .., last] => matches!(last, Part::Last | Part::First) || introduced(),
        [Part::Unknown, .., last] => matches!(last, Part::Last | Part::First) || introduced(),
        [Part::Last, .., last] => *last != Part::Unknown || introduced() || parts.contains(&Part::Small),
        [Part::No, ..] => false,
    };
    named_so.then_some(Extent::Between(named.start, named.end))
}
