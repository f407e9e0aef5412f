//! Numbers that European states give to people.

use super::{all_if, stands_alone};
use crate::checks::{is_day, is_monotone, luhn, mod_11_10, modulo, number, weighted};
use crate::rule::{Candidate, Extent, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule::new(
        "pii.gb.nino",
        r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]",
        nino,
    ),
    Rule::new("pii.de.tax_id", r"[1-9][0-9]{10}|[1-9][0-9](?: [0-9]{3}){3}", german_tax),
    Rule::new(
        "pii.fr.nir",
        r"[1278][ ]?[0-9]{2}[ ]?[0-9]{2}[ ]?(?:[0-9]{2}|2[AB])[ ]?[0-9]{3}[ ]?[0-9]{3}[ ]?[0-9]{2}",
        nir,
    ),
    Rule::new("pii.es.nif", r"[0-9]{8}[ -]?[A-HJ-NP-TV-Z]|[XYZ][ -]?[0-9]{7}[ -]?[A-HJ-NP-TV-Z]", nif),
    Rule::new(
        "pii.it.fiscal_code",
        r"[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z]",
        fiscal,
    ),
    Rule::new("pii.nl.bsn", r"[0-9]{9}|[0-9]{3}\.[0-9]{3}\.[0-9]{3}|[0-9]{4}\.[0-9]{2}\.[0-9]{3}", bsn),
    Rule::new("pii.be.national", r"[0-9]{2}\.?[0-9]{2}\.?[0-9]{2}-?[0-9]{3}\.?[0-9]{2}", belgian),
    Rule::new("pii.pt.nif", r"[1-35689][0-9]{8}", portuguese),
    Rule::new("pii.pl.pesel", r"[0-9]{11}", pesel),
    Rule::new("pii.se.personnummer", r"(?:19|20)?[0-9]{6}[-+]?[0-9]{4}", swedish),
    Rule::new("pii.no.fodselsnummer", r"[0-9]{6} ?[0-9]{5}", norwegian),
    Rule::new("pii.dk.cpr", r"[0-9]{6}-?[0-9]{4}", danish),
    Rule::new("pii.fi.hetu", r"[0-9]{6}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]", hetu),
    Rule::new("pii.ch.ahv", r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", ahv),
    Rule::new("pii.at.svnr", r"[1-9][0-9]{3} ?[0-9]{6}", austrian),
    Rule::new("pii.cz.rodne_cislo", r"[0-9]{6}/[0-9]{4}", rodne),
    Rule::new("pii.ro.cnp", r"[1-8][0-9]{12}", cnp),
    Rule::new("pii.bg.egn", r"[0-9]{10}", egn),
    Rule::new("pii.hr.oib", r"[0-9]{11}", oib),
    Rule::new("pii.rs.jmbg", r"[0-9]{13}", jmbg),
    Rule::new("pii.gr.amka", r"[0-9]{11}", amka),
    Rule::new("pii.ie.pps", r"[0-9]{7}[A-W][A-IW]?", pps),
    Rule::new("pii.ee.isikukood", r"[1-8][0-9]{10}", baltic),
];

fn nino(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let given_out =
        ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].iter().any(|not| compact.starts_with(*not));
    all_if(given_out)
}

/// One digit appears twice or three times and none more often among the first ten (Bundeszentralamt für Steuern).
fn german_tax(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let mut counts = [0u8; 10];
    for digit in digits.iter().take(10) {
        if let Some(count) = counts.get_mut(usize::try_from(*digit).ok()?) {
            *count += 1;
        }
    }
    let shaped =
        counts.iter().filter(|count| **count > 1).count() == 1 && counts.iter().all(|count| *count <= 3);
    all_if(shaped && mod_11_10(&digits) && stands_alone(candidate))
}

/// INSEE: 97 less the remainder; Corsica's letters count as numbers.
fn nir(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = String::from_utf8(candidate.compact()).ok()?;
    let (body, key) = compact.split_at(compact.len().checked_sub(2)?);
    let numeral = body.replacen("2A", "19", 1).replacen("2B", "18", 1);
    let digits: Vec<u32> = numeral.chars().filter_map(|c| c.to_digit(10)).collect();
    let month = number(&digits, 3, 5);
    let fits = 97 - modulo(&digits, 97) == key.parse::<u32>().ok()?;
    all_if(fits && (matches!(month, 1..=12 | 20..=42 | 50..=99)) && stands_alone(candidate))
}

fn nif(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let (letter, body) = compact.split_last()?;
    let digits: Vec<u32> = body
        .iter()
        .map(|byte| match byte {
            b'X' => 0,
            b'Y' => 1,
            b'Z' => 2,
            digit => u32::from(digit.saturating_sub(b'0')),
        })
        .collect();
    let expected = b"TRWAGMYFPDXBNJZSQVHLCKE".get(usize::try_from(modulo(&digits, 23)).ok()?);
    all_if(expected == Some(letter) && !is_monotone(&digits))
}

/// D.M. 23 dicembre 1976: odd places by a table, even ones by value, by 26.
fn fiscal(candidate: &Candidate<'_>) -> Option<Extent> {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let text = candidate.matched();
    let (letter, body) = text.split_last()?;
    let sum: u32 = body
        .iter()
        .enumerate()
        .map(|(place, byte)| {
            let value = if byte.is_ascii_digit() { byte - b'0' } else { byte.saturating_sub(b'A') };
            match place % 2 {
                0 => ODD.get(usize::from(value)).copied().unwrap_or_default(),
                _ => u32::from(value),
            }
        })
        .sum();
    all_if(u32::from(letter - b'A') == sum % 26)
}

/// The eleven-proof; the last digit counts less one.
fn bsn(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let (last, body) = digits.split_last()?;
    let sum = weighted(body, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let called = ["bsn", "burgerservicenummer", "sofinummer", "sofi"];
    all_if(sum % 11 == *last % 11 && sum > 0 && candidate.follows(&called) && stands_alone(candidate))
}

fn belgian(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let (body, key) = (digits.get(..9)?, number(&digits, 9, 11));
    let later = [&[2][..], body].concat();
    let fits = 97 - modulo(body, 97) == key || 97 - modulo(&later, 97) == key;
    let day = is_day(number(&digits, 2, 4), number(&digits, 4, 6));
    all_if(fits && day && stands_alone(candidate))
}

fn portuguese(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = match weighted(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    all_if(
        digits.last() == Some(&check)
            && candidate.follows(&["nif", "contribuinte", "numero fiscal"])
            && stands_alone(candidate),
    )
}

/// The century is in the month.
fn pesel(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = (10 - weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    let day = is_day(number(&digits, 2, 4) % 20, number(&digits, 4, 6));
    all_if(digits.last() == Some(&check) && day && (candidate.follows(&["pesel"])) && stands_alone(candidate))
}

/// Skatteverket: Luhn over the last ten; co-ordination numbers add 60 to the day.
fn swedish(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let ten = digits.get(digits.len().checked_sub(10)?..)?;
    let day = number(ten, 4, 6);
    let day = is_day(number(ten, 2, 4), if day > 60 { day - 60 } else { day });
    let sign = candidate.matched().iter().any(|b| !b.is_ascii_digit());
    let likely = sign || candidate.follows(&["personnummer", "samordningsnummer", "personal number"]);
    all_if(luhn(ten) && day && likely && stands_alone(candidate))
}

fn norwegian(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = |weights: &[u32]| (11 - weighted(&digits, weights) % 11) % 11;
    let fits = digits.get(9) == Some(&check(&[3, 7, 6, 1, 8, 9, 4, 5, 2]))
        && digits.get(10) == Some(&check(&[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]));
    // D-numbers add 40 to the day.
    all_if(fits && is_day(number(&digits, 2, 4), number(&digits, 0, 2) % 40) && stands_alone(candidate))
}

/// Check digits are no longer given, so the name must say what it is.
fn danish(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let day = is_day(number(&digits, 2, 4), number(&digits, 0, 2));
    all_if(
        day && candidate.follows(&["cpr", "cpr-nummer", "personnummer", "cpr-nr"]) && stands_alone(candidate),
    )
}

fn hetu(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let digits: Vec<u32> = [text.get(..6)?, text.get(7..10)?]
        .concat()
        .iter()
        .map(|b| u32::from(b.saturating_sub(b'0')))
        .collect();
    let expected = b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(usize::try_from(modulo(&digits, 31)).ok()?);
    all_if(is_day(number(&digits, 2, 4), number(&digits, 0, 2)) && expected == text.last())
}

/// EAN-13.
fn ahv(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = (10 - weighted(&digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) % 10) % 10;
    all_if(digits.last() == Some(&check) && stands_alone(candidate))
}

/// The fourth digit checks the others.
fn austrian(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let sum = weighted(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    let called = ["svnr", "sv-nummer", "sozialversicherungsnummer", "versicherungsnummer", "sv-nr"];
    all_if(digits.get(3) == Some(&(sum % 11)) && candidate.follows(&called) && stands_alone(candidate))
}

/// Women's months are 50 later, and 20 where numbers ran out.
fn rodne(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let month = number(&digits, 2, 4) % 50;
    let month = if month > 20 { month - 20 } else { month };
    let fits = modulo(&digits, 11) == 0 || modulo(digits.get(..9)?, 11) == 10 && digits.last() == Some(&0);
    all_if(fits && is_day(month, number(&digits, 4, 6)) && stands_alone(candidate))
}

fn cnp(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let rest = weighted(&digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    let check = if rest == 10 { 1 } else { rest };
    let day = is_day(number(&digits, 3, 5), number(&digits, 5, 7));
    all_if(digits.last() == Some(&check) && day && stands_alone(candidate))
}

fn egn(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = weighted(&digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    let month = number(&digits, 2, 4) % 20;
    let day = is_day(month, number(&digits, 4, 6));
    all_if(
        digits.last() == Some(&check) && day && candidate.follows(&["egn", "егн"]) && stands_alone(candidate),
    )
}

fn oib(candidate: &Candidate<'_>) -> Option<Extent> {
    all_if(mod_11_10(&candidate.digits()) && candidate.follows(&["oib"]) && stands_alone(candidate))
}

/// The number of the former Yugoslavia, in use in its successors.
fn jmbg(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = match 11 - weighted(&digits, &[7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        10 | 11 => 0,
        check => check,
    };
    let day = is_day(number(&digits, 2, 4), number(&digits, 0, 2));
    all_if(digits.last() == Some(&check) && day && stands_alone(candidate))
}

fn amka(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let day = is_day(number(&digits, 2, 4), number(&digits, 0, 2));
    all_if(luhn(&digits) && day && candidate.follows(&["amka", "αμκα"]) && stands_alone(candidate))
}

/// Department of Social Protection: by 23; a second letter counts nine times.
fn pps(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let digits = candidate.digits();
    let second = match compact.get(8) {
        None | Some(b'W') => 0,
        Some(letter) => u32::from(letter - b'A') + 1,
    };
    let sum = weighted(&digits, &[8, 7, 6, 5, 4, 3, 2]) + second * 9;
    let expected = match sum % 23 {
        0 => b'W',
        rest => b"ABCDEFGHIJKLMNOPQRSTUV".get(usize::try_from(rest - 1).ok()?).copied()?,
    };
    all_if(compact.get(7) == Some(&expected))
}

/// Estonia and Lithuania.
fn baltic(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let first = weighted(&digits, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let check = match first {
        10 => weighted(&digits, &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10,
        check => check,
    };
    let day = is_day(number(&digits, 3, 5), number(&digits, 5, 7));
    let called = ["isikukood", "asmens kodas", "personal code"];
    all_if(digits.last() == Some(&check) && day && candidate.follows(&called) && stands_alone(candidate))
}
