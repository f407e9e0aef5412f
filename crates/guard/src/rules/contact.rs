//! How somebody, or a machine of theirs, is reached.

use super::{all_if, is_local, stands_alone};
use crate::detectors::REACH_BACK;
use crate::rule::{Candidate, Extent, Rule};

pub(super) const RULES: &[Rule] = &[
    // Found by its sign, so that not every word is the beginning of an address.
    Rule::new("pii.email", r"@(?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,6}[A-Za-z][A-Za-z0-9-]{1,23}", email),
    Rule::new("pii.phone", r"\+[1-9][0-9]{0,2}(?:[ .()/-]{0,2}[0-9]){6,13}", international),
    Rule::new(
        "pii.phone",
        r"\(?[0-9]{2,5}\)?(?:[ .()/-]{0,2}[0-9]){4,11}(?:(?i: ?(?:x|ext\.?) ?)[0-9]{1,5})?",
        national,
    ),
    Rule::new("pii.ip", r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", ipv4),
    Rule::new("pii.ip", r"(?:[0-9A-Fa-f]{1,4}:){1,7}(?::|(?::?[0-9A-Fa-f]{1,4}){1,7})", ipv6),
    Rule::new("pii.mac", r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}", mac),
    Rule::new("pii.url", r#"https?://[^\s<>"'\x60\x00-\x20]{3,400}"#, url),
    Rule::new("pii.coordinates", r"-?[0-9]{1,2}\.[0-9]{4,15}, {0,2}-?[0-9]{1,3}\.[0-9]{4,15}", coordinates),
    Rule::new(
        "pii.coordinates",
        r#"[0-9]{1,2}(?:°|º)[ ]?[0-9]{1,2}(?:'|′)[ ]?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?(?:"|″))?[ ]?[NS],? ?[0-9]{1,3}(?:°|º)[ ]?[0-9]{1,2}(?:'|′)[ ]?(?:[0-9]{1,2}(?:\.[0-9]{1,6})?(?:"|″))?[ ]?[EW]"#,
        crate::rule::as_it_looks,
    ),
];

fn email(candidate: &Candidate<'_>) -> Option<Extent> {
    let before = candidate.text.get(..candidate.start)?;
    let local = before.iter().rev().take(REACH_BACK).take_while(|byte| is_local(**byte)).count();
    // A quote or a dash that stands before an address is no part of it.
    let from = before.get(before.len() - local..)?.iter().position(u8::is_ascii_alphanumeric)?;
    let start = candidate.start - local + from;
    (start < candidate.start).then_some(Extent::Between(start, candidate.end))
}

/// What a number without a country must be called to be taken for one.
const CALLED: &[&str] = &[
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "cellphone",
    "call",
    "fax",
    "text",
    "whatsapp",
    "ring",
    "dial",
    "contact",
    "reach",
    "number",
    "telefon",
    "handy",
    "mobil",
    "rufnummer",
    "portable",
    "telefono",
    "movil",
    "celular",
    "tlf",
    "hotline",
    "pager",
    "sms",
    "registered",
    "messages to",
    "answering",
    "extension",
    "desk",
    "hung up",
];

fn international(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits().len();
    // ITU-T E.164: fifteen digits at most.
    all_if((8..=15).contains(&digits) && !ends_with_sign(candidate))
}

fn national(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let text = candidate.matched();
    let count = digits.len();
    if !(6..=15).contains(&count)
        || ends_with_sign(candidate)
        || !stands_alone(candidate)
        || dotted_quad(text)
    {
        return None;
    }
    let groups: Vec<usize> =
        text.split(|b| !b.is_ascii_digit()).map(<[u8]>::len).filter(|length| *length > 0).collect();
    // ATIS-0300051: neither area nor exchange begins with 0 or 1.
    let area = |at: usize| digits.get(at).is_some_and(|digit| *digit > 1);
    let american = match *groups.as_slice() {
        [3, 3, 4] | [3, 3, 4, _] => area(0) && area(3),
        [1, 3, 3, 4] | [1, 3, 3, 4, _] => digits.first() == Some(&1) && area(1) && area(4),
        _ => false,
    };
    let with_extension = text.iter().any(u8::is_ascii_alphabetic);
    let trunk = digits.first() == Some(&0) && (9..=12).contains(&count) && (2..=6).contains(&groups.len());
    // An area in brackets, or a trunk zero with an area behind it and groups of one sign.
    let bracketed =
        text.starts_with(b"(") && text.contains(&b')') && (8..=12).contains(&count) && groups.len() >= 2;
    let signs: Vec<u8> = text.iter().copied().filter(|b| !b.is_ascii_digit()).collect();
    let evenly = signs.windows(2).all(|pair| pair.first() == pair.last()) && !signs.is_empty();
    let grouped = digits.first() == Some(&0)
        && digits.get(1).is_some_and(|digit| *digit > 0)
        && (9..=11).contains(&count)
        && evenly
        && groups.len() >= 3
        && groups.iter().all(|length| *length >= 2);
    let short = count == 6 && groups.len() == 3;
    all_if(
        american
            || bracketed
            || grouped
            || with_extension && count >= 10
            || (trunk || short || count >= 7) && candidate.follows(CALLED),
    )
}

fn ends_with_sign(candidate: &Candidate<'_>) -> bool {
    !candidate.matched().last().is_some_and(u8::is_ascii_digit)
}

fn dotted_quad(text: &[u8]) -> bool {
    text.iter().filter(|b| **b == b'.').count() == 3 && text.iter().all(|b| b.is_ascii_digit() || *b == b'.')
}

fn ipv4(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = std::str::from_utf8(candidate.matched()).ok()?;
    // A version, not an address, where more numbers follow or stand before.
    all_if(
        stands_alone(candidate)
            && text.parse::<std::net::Ipv4Addr>().is_ok()
            && !candidate.follows(&["version"]),
    )
}

fn ipv6(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = std::str::from_utf8(candidate.matched()).ok()?;
    // A time of day looks like the beginning of one.
    let groups = text.split(':').filter(|group| !group.is_empty()).count();
    all_if(groups >= 3 && candidate.previous() != Some(b':') && text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn mac(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let separator = text.get(2)?;
    let one_kind = text.iter().skip(2).step_by(3).all(|byte| byte == separator);
    let next = candidate.text.get(candidate.end);
    all_if(one_kind && next != Some(separator) && candidate.previous() != Some(*separator))
}

fn url(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let tail = text.iter().rev().take_while(|b| b".,;:!?)]}'\"".contains(b)).count();
    Some(Extent::Between(candidate.start, candidate.end - tail))
}

fn coordinates(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = std::str::from_utf8(candidate.matched()).ok()?;
    let (latitude, longitude) = text.split_once(',')?;
    let within =
        |text: &str, most: f64| text.trim().parse::<f64>().is_ok_and(|degrees| degrees.abs() <= most);
    all_if(within(latitude, 90.0) && within(longitude, 180.0))
}
