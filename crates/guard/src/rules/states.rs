//! Numbers that the Americas give to people and companies.

use super::{all_if, stands_alone};
use crate::checks::{self, number, weighted};
use crate::rule::{Candidate, Extent, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule::new("pii.us.ssn", r"[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}", ssn),
    Rule::new("pii.us.itin", r"9[0-9]{2}[- ]?[5-9][0-9][- ]?[0-9]{4}", itin),
    Rule::new("pii.us.ein", r"[0-9]{2}-[0-9]{7}", ein),
    Rule::new("pii.ca.sin", r"[1-79][0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}", sin),
    Rule::new("pii.mx.curp", r"[A-Z][AEIOUX][A-Z]{2}[0-9]{6}[HMX][A-Z]{5}[A-Z0-9][0-9]", curp),
    Rule::new("pii.br.cpf", r"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}", cpf),
    Rule::new("pii.br.cnpj", r"[0-9]{2}\.?[0-9]{3}\.?[0-9]{3}/?[0-9]{4}-?[0-9]{2}", cnpj),
    Rule::new("pii.ar.cuit", r"(?:2[0347]|3[034])-?[0-9]{8}-?[0-9]", cuit),
    Rule::new("pii.cl.rut", r"[0-9]{1,2}\.?[0-9]{3}\.?[0-9]{3}-[0-9Kk]", rut),
];

/// Written in groups, as those who ask for them do.
fn is_grouped(candidate: &Candidate<'_>) -> bool {
    candidate.matched().iter().any(|b| !b.is_ascii_alphanumeric())
}

/// Social Security Administration, randomization rules of 2011: no 000, 666 or 9xx, no group 00, no serial 0000; and
/// two numbers that were printed in advertisements.
fn ssn(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let (area, group, serial) = (number(&digits, 0, 3), number(&digits, 3, 5), number(&digits, 5, 9));
    let given_out = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let printed = matches!((area, group, serial), (78, 5, 1120) | (219, 9, 9999));
    let signs: Vec<u8> = candidate.matched().iter().copied().filter(|b| !b.is_ascii_digit()).collect();
    let likely = match signs.as_slice() {
        [b'-', b'-'] => true,
        [] | [b' ', b' '] => {
            candidate.follows(&["ssn", "social security", "social security number", "social", "ss#", "ssn#"])
        }
        _ => false,
    };
    all_if(given_out && !printed && likely && stands_alone(candidate))
}

fn itin(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let group = number(&digits, 3, 5);
    let given_out = matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99);
    all_if(
        given_out
            && (is_grouped(candidate) || candidate.follows(&["itin", "taxpayer", "tax id"]))
            && stands_alone(candidate),
    )
}

fn ein(candidate: &Candidate<'_>) -> Option<Extent> {
    all_if(
        candidate.follows(&["ein", "employer identification", "tax id", "fein"]) && stands_alone(candidate),
    )
}

fn sin(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    all_if(
        checks::luhn(&digits)
            && candidate.follows(&["sin", "social insurance", "nas"])
            && stands_alone(candidate),
    )
}

/// Mexico, Instructivo normativo para la asignación de la CURP: the last digit checks the others in base 37.
fn curp(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'N' => u32::from(byte - b'A') + 10,
        _ => u32::from(byte.saturating_sub(b'O')) + 25,
    };
    let sum: u32 = text.iter().take(17).zip((2..=18).rev()).map(|(byte, weight)| value(*byte) * weight).sum();
    let check = (10 - sum % 10) % 10;
    all_if(candidate.digits().last() == Some(&check))
}

/// Receita Federal: two digits by eleven.
fn cpf(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = |length: u32| {
        let weights: Vec<u32> = (2..=length + 1).rev().collect();
        weighted(&digits, &weights) * 10 % 11 % 10
    };
    let fits = digits.get(9) == Some(&check(9)) && digits.get(10) == Some(&check(10));
    let likely = is_grouped(candidate) || candidate.follows(&["cpf", "cadastro"]);
    all_if(fits && likely && !checks::is_monotone(&digits) && stands_alone(candidate))
}

fn cnpj(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = |weights: &[u32]| match weighted(&digits, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    let first = check(&[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let second = check(&[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]);
    let fits = digits.get(12) == Some(&first) && digits.get(13) == Some(&second);
    all_if(fits && !checks::is_monotone(&digits) && stands_alone(candidate))
}

fn cuit(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = match 11 - weighted(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        11 => 0,
        check => check,
    };
    let likely = is_grouped(candidate) || candidate.follows(&["cuit", "cuil"]);
    all_if(digits.get(10) == Some(&check) && likely && stands_alone(candidate))
}

fn rut(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let (check, body) = compact.split_last()?;
    let body: Vec<u32> = body.iter().rev().map(|b| u32::from(b - b'0')).collect();
    let expected = match 11 - weighted(&body, &[2, 3, 4, 5, 6, 7, 2, 3]) % 11 {
        11 => b'0',
        10 => b'K',
        digit => b"0123456789".get(usize::try_from(digit).ok()?).copied()?,
    };
    all_if(*check == expected && stands_alone(candidate))
}
