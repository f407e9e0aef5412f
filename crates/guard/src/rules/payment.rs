//! Cards, accounts, wallets.

use super::{all_if, last_run, stands_alone};
use crate::checks;
use crate::rule::{Candidate, Extent, Rule};
use sha2::{Digest, Sha256};

pub(super) const RULES: &[Rule] = &[
    Rule::new("pii.card", r"[0-6][0-9]{2,3}(?:[ -]?[0-9]){8,16}", card),
    Rule::new("pii.iban", r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}", iban),
    Rule::new(
        "pii.swift",
        r"(?i:swift|bic)(?i:[ /]?(?:code|bic))?[:#]?(?: is)?[ :]{1,3}[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?",
        swift,
    ),
    Rule::new("pii.account", r"[0-9]{6,20}", account),
    Rule::new("pii.us.aba", r"[0-9]{9}", aba),
    Rule::new("pii.crypto", r"0x[0-9A-Fa-f]{40}", crate::rule::as_it_looks),
    Rule::new("pii.crypto", r"(?:bc1|tb1)[02-9ac-hj-np-z]{11,71}", crate::rule::as_it_looks),
    Rule::new("pii.crypto", r"[13][1-9A-HJ-NP-Za-km-z]{25,34}", bitcoin),
];

/// The beginnings of numbers that networks give out, and how long those are (ISO/IEC 7812-2).
fn of_a_network(digits: &[u32]) -> bool {
    let length = digits.len();
    let two = checks::number(digits, 0, 2);
    let three = checks::number(digits, 0, 3);
    let four = checks::number(digits, 0, 4);
    match digits.first() {
        Some(4) => matches!(length, 13 | 16 | 18 | 19),
        Some(5) if (51..=55).contains(&two) => length == 16,
        Some(5 | 6) if two == 50 || (56..=58).contains(&two) || two == 67 || two == 63 => {
            (12..=19).contains(&length)
        }
        Some(2) if four == 2131 => length == 15,
        Some(2) => length == 16 && matches!(four, 2200..=2204 | 2221..=2720),
        Some(3) if two == 34 || two == 37 => length == 15,
        Some(3) if (300..=305).contains(&three) || two == 36 || two == 38 || two == 39 => {
            (14..=19).contains(&length)
        }
        Some(3) if (3528..=3589).contains(&four) => (16..=19).contains(&length),
        Some(1) => length == 15 && (four == 1800),
        Some(6) => {
            (16..=19).contains(&length) && (two == 60 || two == 62 || two == 64 || two == 65 || two == 68)
        }
        _ => false,
    }
}

fn card(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    // Networks of one country have numbers outside the great ones: those are called cards.
    let called = || {
        candidate.follows(&["card", "credit", "debit", "visa", "mastercard", "maestro", "amex", "cc", "pan"])
    };
    all_if(
        (of_a_network(&digits) || called())
            && checks::luhn(&digits)
            && !checks::is_monotone(&digits)
            && stands_alone(candidate),
    )
}

/// Lengths by country (SWIFT's IBAN registry).
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

fn iban(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let known = IBAN_LENGTHS
        .iter()
        .any(|(country, length)| compact.starts_with(*country) && compact.len() == *length);
    all_if(known && checks::mod_97(&compact))
}

fn swift(candidate: &Candidate<'_>) -> Option<Extent> {
    last_run(candidate, |b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

fn account(candidate: &Candidate<'_>) -> Option<Extent> {
    let called = [
        "account",
        "acct",
        "account number",
        "account no",
        "konto",
        "kontonummer",
        "compte",
        "cuenta",
        "bban",
    ];
    all_if(candidate.follows(&called) && stands_alone(candidate))
}

/// The weights 3, 7, 1 of the American Bankers Association.
fn aba(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let sum = checks::weighted(&digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]);
    let bank = matches!(checks::number(&digits, 0, 2), 0..=12 | 21..=32 | 61..=72 | 80);
    all_if(sum.is_multiple_of(10) && bank && candidate.follows(&["aba", "routing", "rtn", "transit"]))
}

/// Base58Check: a version, a hash, and the first four bytes of their double SHA-256.
fn bitcoin(candidate: &Candidate<'_>) -> Option<Extent> {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u32; 25];
    for letter in candidate.matched() {
        let mut carry = u32::try_from(ALPHABET.iter().position(|b| b == letter)?).ok()?;
        for byte in bytes.iter_mut().rev() {
            carry += *byte * 58;
            *byte = carry & 0xff;
            carry >>= 8;
        }
        if carry > 0 {
            return None;
        }
    }
    let bytes = bytes.map(|byte| byte.to_be_bytes()[3]);
    let (body, check) = bytes.split_at(21);
    let digest = Sha256::digest(Sha256::digest(body));
    all_if(matches!(body.first(), Some(0 | 5)) && digest.starts_with(check))
}
