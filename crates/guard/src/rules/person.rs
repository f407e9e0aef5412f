//! What tells a person: dates, ages, places by number, documents, vehicles, devices.

use super::{all_if, last_run, stands_alone};
use crate::checks;
use crate::rule::{Candidate, Extent, Rule, as_it_looks};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        "pii.date",
        r"(?:19|20)[0-9]{2}[-/.](?:0?[1-9]|1[0-2])[-/.](?:[12][0-9]|3[01]|0?[1-9])(?:[T ][0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?:Z|[+-][0-2][0-9]:?[0-5][0-9])?)?",
        date,
    ),
    Rule::new("pii.date", r"[0-3]?[0-9]([-/. ])[0-3]?[0-9]([-/. ])(?:19|20)?[0-9]{2}", short_date),
    Rule::new(
        "pii.date",
        r"(?i:[0-3]?[0-9](?:st|nd|rd|th)?(?: of)?[ -](?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]{0,6}\.?,?(?:[ -](?:19|20)?[0-9]{2})?)",
        as_it_looks,
    ),
    Rule::new(
        "pii.date",
        r"(?i:(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)[a-z]{0,6}\.?[ -][0-3]?[0-9](?:st|nd|rd|th)?(?:,? (?:19|20)[0-9]{2})?)",
        month_first,
    ),
    Rule::new("pii.age", r"(?i:(?:9[0-9]|1[0-4][0-9])[ -]?(?:years?|yrs?|y/?o|yo)(?:[ -]old)?)", as_it_looks),
    Rule::new("pii.age", r"(?i:age[d]?:? {0,2}(?:9[0-9]|1[0-4][0-9]))", age),
    Rule::new("pii.us.zip", r"[0-9]{5}(?:-[0-9]{4})?", zip),
    Rule::new("pii.passport", r"[A-Z]{0,3}[0-9]{6,9}[A-Z]?", passport),
    Rule::new(
        "pii.driver_licence",
        r"(?i:(?:driver'?s?'?|driving) licen[cs]e|dl|fahrerlaubnis|permis)(?i: (?:no|number|num|id|is|was|nr))?[.:#]?(?: is| of)?[ :#]{1,3}[A-Z0-9][A-Z0-9*-]{4,18}",
        document,
    ),
    Rule::new(
        "pii.plate",
        r"(?i:plates?|kennzeichen)(?i: (?:no|number|num|id|is|was|nr))?[.:#]?(?: is| of)?[ :#]{1,3}[A-Z0-9]{1,4}[ -]?[A-Z0-9]{1,4}[ -]?[A-Z0-9]{0,4}",
        plate,
    ),
    Rule::new("pii.vin", r"[A-HJ-NPR-Z0-9]{17}", vin),
    Rule::new("pii.imei", r"[0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{6}[ -]?[0-9]", imei),
    Rule::new(
        "pii.serial",
        r"(?i:(?:serial|device|implant|pacemaker|udi|imsi|iccid|asset)(?: (?:no|number|num|id|serial))?\.?[ :#=]{1,3})[A-Za-z0-9-]{5,32}",
        serial,
    ),
    Rule::new(
        "pii.user_id",
        r"(?i:(?:member|employee|customer|student|badge|license|licence|certificate|cert|permit|policy)(?: (?:no|number|num|id))\.?[ :#=]{1,3}(?:is )?)[A-Za-z0-9-]{4,24}",
        serial,
    ),
];

fn date(candidate: &Candidate<'_>) -> Option<Extent> {
    let parts = numbers(candidate.matched());
    let [_, month, day, ..] = *parts.as_slice() else { return None };
    all_if(checks::is_day(month, day) && stands_alone(candidate))
}

fn short_date(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let mut signs = text.iter().filter(|b| !b.is_ascii_digit());
    let (first, second) = (signs.next()?, signs.next()?);
    let parts = numbers(text);
    let [a, b, year] = *parts.as_slice() else { return None };
    // Written with blanks, or with a year of two digits and points, it is as likely a list or a version.
    let likely = match first {
        b' ' => false,
        b'.' => year > 99,
        _ => true,
    };
    let fits = checks::is_day(a, b) || checks::is_day(b, a);
    all_if(first == second && likely && fits && stands_alone(candidate))
}

/// "may 5" and "march 10" are also what one does.
fn month_first(candidate: &Candidate<'_>) -> Option<Extent> {
    all_if(candidate.matched().first()?.is_ascii_uppercase())
}

fn numbers(text: &[u8]) -> Vec<u32> {
    text.split(|b| !b.is_ascii_digit())
        .filter_map(|part| std::str::from_utf8(part).ok()?.parse().ok())
        .collect()
}

fn age(candidate: &Candidate<'_>) -> Option<Extent> {
    last_run(candidate, |b| b.is_ascii_digit())
}

const STATES: &[&str] = &[
    "al", "ak", "az", "ar", "ca", "co", "ct", "de", "fl", "ga", "hi", "id", "il", "in", "ia", "ks", "ky",
    "la", "me", "md", "ma", "mi", "mn", "ms", "mo", "mt", "ne", "nv", "nh", "nj", "nm", "ny", "nc", "nd",
    "oh", "ok", "or", "pa", "ri", "sc", "sd", "tn", "tx", "ut", "vt", "va", "wa", "wv", "wi", "wy", "dc",
];

/// Behind the word, or behind a state: `Springfield, IL 62704`.
fn zip(candidate: &Candidate<'_>) -> Option<Extent> {
    let before = candidate.before();
    let state = before.strip_suffix(b" ").and_then(|before| before.get(before.len().checked_sub(3)?..));
    let behind_a_state = state.is_some_and(|state| {
        let (sign, letters) = state.split_at(1);
        let letters = std::str::from_utf8(letters).unwrap_or_default();
        !sign.first().is_some_and(u8::is_ascii_alphanumeric)
            && letters.bytes().all(|b| b.is_ascii_uppercase())
            && STATES.contains(&letters.to_ascii_lowercase().as_str())
    });
    all_if(
        stands_alone(candidate)
            && (behind_a_state
                || candidate.follows(&["zip", "zipcode", "zip code", "postal code", "postcode"])),
    )
}

fn passport(candidate: &Candidate<'_>) -> Option<Extent> {
    let called =
        ["passport", "reisepass", "passeport", "pasaporte", "passaporto", "pass-nr", "travel document"];
    all_if(candidate.follows(&called) && stands_alone(candidate))
}

/// The value behind its name; one without digits is a word.
fn document(candidate: &Candidate<'_>) -> Option<Extent> {
    let extent =
        last_run(candidate, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'*' || b == b'-')?;
    let Extent::From(from) = extent else { return None };
    let digits = candidate.text.get(from..candidate.end)?.iter().filter(|b| b.is_ascii_digit()).count();
    (digits >= 4).then_some(extent)
}

fn plate(candidate: &Candidate<'_>) -> Option<Extent> {
    let extent =
        last_run(candidate, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ' || b == b'-')?;
    let Extent::From(from) = extent else { return None };
    let value = candidate.text.get(from..candidate.end)?;
    let from = from + value.iter().position(u8::is_ascii_alphanumeric)?;
    let value = candidate.text.get(from..candidate.end)?;
    (value.len() >= 5 && value.iter().any(u8::is_ascii_digit)).then_some(Extent::From(from))
}

/// 49 CFR 565.15: the ninth character checks the others.
fn vin(candidate: &Candidate<'_>) -> Option<Extent> {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let text = candidate.matched();
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'H' => u32::from(byte - b'A') + 1,
        b'J'..=b'R' => u32::from(byte - b'J') + 1,
        b'S'..=b'Z' => u32::from(byte - b'S') + 2,
        _ => 0,
    };
    let values: Vec<u32> = text.iter().map(|byte| value(*byte)).collect();
    let check = match checks::weighted(&values, &WEIGHTS) % 11 {
        10 => b'X',
        rest => b"0123456789".get(usize::try_from(rest).ok()?).copied()?,
    };
    let mixed =
        text.iter().any(u8::is_ascii_uppercase) && text.iter().filter(|b| b.is_ascii_digit()).count() >= 3;
    all_if(mixed && text.get(8) == Some(&check))
}

fn imei(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    all_if(
        checks::luhn(&digits)
            && candidate.follows(&["imei", "device id", "handset"])
            && stands_alone(candidate),
    )
}

/// The value behind its name; one without a digit is a word.
fn serial(candidate: &Candidate<'_>) -> Option<Extent> {
    let extent = last_run(candidate, |b| b.is_ascii_alphanumeric() || b == b'-')?;
    let Extent::From(from) = extent else { return None };
    candidate.text.get(from..candidate.end)?.iter().any(u8::is_ascii_digit).then_some(extent)
}
