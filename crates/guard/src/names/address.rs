//! Where somebody lives: streets with a number, units, post boxes, and the town behind them.

use super::WORD;
use super::lexicon::known;
use super::person::is_no_name;
use crate::rule::{Candidate, Extent};

/// What English streets are called, at the end.
const ENGLISH: &str = r"(?i:street|st|avenue|ave|road|rd|drive|dr|lane|ln|boulevard|blvd|court|ct|place|pl|terrace|way|circle|cir|square|sq|parkway|pkwy|highway|hwy|crescent|close|alley|trail|row|mews|plain|park|garden|gardens|grove|falls|hill|ridge|view|walk|path|station|islands?|shore|creek|village|club|center|fort|land|port)";
/// What streets are called elsewhere, at the end of the word.
const JOINED: &str = r"(?:stra(?:ss|\xC3\x9F)e|str\.?|gasse|weg|allee|platz|ring|laan|straat|plein|gracht|dreef|gata|gatan|gate|vegen|veien|vej|gade|stien|katu|tie|kuja|polku|utca|ulica|ul\.|trg|pfad|ufer|damm|hof|kade|singel|v\xC3\xA4gen|allén)";
/// And before their name.
const BEFORE: &str = r"(?i:rue|avenue|avenida|av\.|avda\.|calle|c/|cl|via|viale|piazza|rua|boulevard|chemin|route|quai|impasse|plaza|ul\.|ulica|travessa|strada|rambla|urbaniza\w{0,6}|carrer|largo|estrada|p\xC5\x82|al\.|alameda|camino|ronda|corso|vicolo)";
const UNIT: &str = r"(?i:apt\.?|apartment|suite|ste\.?|unit|flat|floor|room|box) ?#?[A-Za-z0-9-]{1,6}";

pub(super) fn patterns() -> Vec<String> {
    let part = r"[A-Z0-9\xC3-\xC5][A-Za-z0-9'.\x80-\xC9-]{0,22}";
    let town = format!(
        r"(?:[ ,\n]{{1,3}}{UNIT}){{0,2}}(?:[ ,\n]{{1,3}}{WORD}(?: {WORD}){{0,2}})?(?:[ ,\n]{{1,3}}[A-Z]{{2}})?(?:[ ,\n]{{1,3}}{WORD})?(?:[ ,\n]{{1,3}}[0-9]{{3,6}}(?:-[0-9]{{3,4}})?)?"
    );
    vec![
        // 123 Nelson Mandela Drive Apt. 7, Springfield, IL 62704
        format!(r"[0-9]{{1,5}}[A-Za-z]?,? (?:{part} ){{1,4}}{ENGLISH}\.?{town}"),
        // 215 Rua Seringueira 1527, 78 rue Descartes
        format!(
            r"(?:[0-9]{{1,5}},? )?{BEFORE} (?:(?:{part}|de|la|du|des|del|di|da|do|dos|d'|al) ){{0,4}}{part}(?:,? [0-9]{{1,5}})?{town}"
        ),
        // Hauptstraße 12, 067 Brogade 68
        format!(
            r"(?:[0-9]{{1,5}} )?(?:{part}[ -]){{0,2}}[A-Z\xC3-\xC5][A-Za-z\x80-\xC9-]{{1,24}}{JOINED} [0-9]{{1,4}}[a-z]?{town}"
        ),
        // Freistädter Strasse 61
        format!(
            r"(?:[0-9]{{1,5}} )?(?:{part} ){{1,3}}(?:Stra(?:ss|\xC3\x9F)e|Str\.|Weg|Platz|Allee|Ring|Ufer|Gasse) [0-9]{{1,4}}[a-z]?{town}"
        ),
        // A name between two numbers, or before one, behind a word that says what it is.
        format!(r"(?:[0-9]{{1,5}} )?{WORD}(?: {WORD}){{0,3}} [0-9]{{1,4}}[a-z]?{town}"),
        format!(r"(?:[0-9]{{1,5}} )?{UNIT}(?: (?i:box) [0-9]{{1,5}})?{town}"),
        format!(r"(?i:p\.?o\.? ?box) [0-9]{{1,6}}{town}"),
        r"(?:PSC|Unit|CMR) [0-9]{1,5},? Box [0-9]{1,5}[ ,\n]{1,3}(?:APO|FPO|DPO) (?:AA|AE|AP) [0-9]{5}"
            .to_owned(),
    ]
}

/// What stands before an address.
const CALLED: &[&str] = &[
    "address",
    "lives at",
    "lived at",
    "located at",
    "lives in",
    "lived in",
    "meet me at",
    "meet you at",
    "sent to",
    "send it to",
    "taxi to",
    "deliver to",
    "delivered to",
    "shipping",
    "billing",
    "residence",
    "home",
    "ship to",
    "street",
    "corner of",
    "address is",
    "it's in",
    "happened at",
    "refers to",
    "where",
    "living at",
    "resides at",
];

/// A street is one by its kind; a name between numbers is one only where an address is spoken of.
pub(super) fn check(candidate: &Candidate<'_>) -> Option<Extent> {
    let joins = |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii();
    let edge = candidate.previous().is_none_or(|byte| !joins(byte) && !b"_-/\\.@$".contains(&byte))
        && candidate.text.get(candidate.end).is_none_or(|byte| !joins(*byte));
    let text = candidate.matched();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    (edge
        && digits > 0
        && (has_kind(text) || stands_between_numbers(text) || super::stands_behind(candidate, CALLED)))
    .then_some(Extent::All)
}

/// `804 Letališka 72`: words that are no English ones, with a number on both sides.
fn stands_between_numbers(text: &[u8]) -> bool {
    let ends = [text.first(), text.last()].iter().all(|byte| byte.is_some_and(u8::is_ascii_digit));
    let mut words = text.split(|byte| b" ,\n".contains(byte)).filter(|word| !word.is_empty()).peekable();
    let strange = |word: &[u8]| {
        word.iter().all(u8::is_ascii_digit)
            || !known(word).is_english() && !is_no_name(word) && !is_month(word)
    };
    ends && words.peek().is_some() && words.all(strange)
}

fn is_month(word: &[u8]) -> bool {
    const MONTHS: [&[u8]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    word.get(..3).is_some_and(|start| MONTHS.iter().any(|month| month.eq_ignore_ascii_case(start)))
}

/// What kinds of streets there are.
const KINDS: &[&[u8]] = &[
    b"street",
    b"st",
    b"st.",
    b"avenue",
    b"ave",
    b"ave.",
    b"road",
    b"rd",
    b"rd.",
    b"drive",
    b"lane",
    b"boulevard",
    b"blvd",
    b"court",
    b"place",
    b"terrace",
    b"circle",
    b"square",
    b"parkway",
    b"highway",
    b"crescent",
    b"rue",
    b"avenida",
    b"av.",
    b"avda.",
    b"calle",
    b"c/",
    b"via",
    b"viale",
    b"piazza",
    b"rua",
    b"chemin",
    b"plaza",
    b"ul.",
    b"ulica",
    b"strasse",
    b"weg",
    b"platz",
    b"allee",
    b"carrer",
    b"largo",
    b"strada",
    b"estrada",
    b"cl",
    b"ln",
    b"dr",
    b"quai",
    b"route",
    b"plain",
    b"grove",
    b"gardens",
    b"mews",
    b"camino",
    b"corso",
];

/// Parts of a house, and post boxes.
const UNITS: &[&[u8]] =
    &[b"suite", b"apt", b"apt.", b"apartment", b"box", b"ste", b"ste.", b"unit", b"po", b"p.o."];

/// How the names of streets end that are one word with their kind.
const ENDINGS: &[&str] = &[
    "strasse", "straße", "str.", "gasse", "weg", "allee", "platz", "laan", "straat", "plein", "gracht",
    "gata", "gatan", "gate", "vegen", "veien", "vej", "gade", "katu", "tie", "kuja", "polku", "utca",
    "vägen", "dreef", "pfad", "kade", "stien",
];

/// Whether it says what kind of a street, or what part of a house, it is.
fn has_kind(text: &[u8]) -> bool {
    // A unit says it only where it stands first: before it may stand who lives there.
    let is_unit = |word: &[u8]| UNITS.iter().any(|unit| unit.eq_ignore_ascii_case(word));
    let words = || text.split(|byte| b" ,\n".contains(byte)).filter(|word| !word.is_empty());
    let begins_with_unit =
        words().take(3).find(|word| !word.iter().all(u8::is_ascii_digit)).is_some_and(is_unit);
    let unit_follows =
        || words().any(is_unit) && words().next().is_some_and(|word| word.iter().all(u8::is_ascii_digit));
    begins_with_unit
        || unit_follows()
        || words().any(|word| {
            KINDS.iter().any(|kind| kind.eq_ignore_ascii_case(word))
                || word.len() > 6
                    && word.first().is_some_and(|first| !first.is_ascii_lowercase())
                    && ENDINGS.iter().any(|ending| word.ends_with(ending.as_bytes()))
        })
}
