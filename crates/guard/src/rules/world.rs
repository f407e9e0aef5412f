//! Numbers that states of Asia, Africa and Oceania give to people.

use super::{all_if, stands_alone};
use crate::checks::{is_day, is_monotone, luhn, number, verhoeff, weighted};
use crate::rule::{Candidate, Extent, Rule};

pub(super) const RULES: &[Rule] = &[
    Rule::new("pii.in.aadhaar", r"[2-9][0-9]{3}[ -]?[0-9]{4}[ -]?[0-9]{4}", aadhaar),
    Rule::new("pii.in.pan", r"[A-Z]{3}[ABCFGHLJPT][A-Z][0-9]{4}[A-Z]", crate::rule::as_it_looks),
    Rule::new("pii.cn.resident", r"[1-9][0-9]{5}(?:18|19|20)[0-9]{9}[0-9Xx]", chinese),
    Rule::new("pii.jp.my_number", r"[0-9]{4}[ -]?[0-9]{4}[ -]?[0-9]{4}", my_number),
    Rule::new("pii.kr.rrn", r"[0-9]{6}-?[1-8][0-9]{6}", korean),
    Rule::new("pii.sg.nric", r"[STFGM][0-9]{7}[A-Z]", singaporean),
    Rule::new("pii.my.nric", r"[0-9]{6}-[0-9]{2}-[0-9]{4}", malaysian),
    Rule::new("pii.th.id", r"[1-8]-?[0-9]{4}-?[0-9]{5}-?[0-9]{2}-?[0-9]", thai),
    Rule::new("pii.hk.id", r"[A-Z]{1,2}[0-9]{6}\(?[0-9A]\)?", hong_kong),
    Rule::new("pii.tw.id", r"[A-Z][12][0-9]{8}", taiwanese),
    Rule::new("pii.tr.tckn", r"[1-9][0-9]{10}", turkish),
    Rule::new("pii.il.id", r"[0-9]{9}", israeli),
    Rule::new("pii.za.id", r"[0-9]{13}", south_african),
    Rule::new("pii.au.tfn", r"[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{3}", tfn),
    Rule::new("pii.au.medicare", r"[2-6][0-9]{3}[ -]?[0-9]{5}[ -]?[0-9]", medicare),
    Rule::new("pii.au.abn", r"[1-9][0-9](?: ?[0-9]{3}){3}", abn),
    Rule::new("pii.nz.ird", r"[0-9]{2,3}-?[0-9]{3}-?[0-9]{3}", ird),
];

fn grouped(candidate: &Candidate<'_>) -> bool {
    candidate.matched().iter().any(|b| !b.is_ascii_alphanumeric())
}

fn aadhaar(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let likely = grouped(candidate) || candidate.follows(&["aadhaar", "uidai", "uid", "aadhar"]);
    all_if(verhoeff(&digits) && !is_monotone(&digits) && likely && stands_alone(candidate))
}

/// GB 11643-1999, ISO 7064 MOD 11-2.
fn chinese(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let digits = candidate.digits();
    let sum = weighted(&digits, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let expected = b"10X98765432".get(usize::try_from(sum % 11).ok()?);
    let day = is_day(number(&digits, 10, 12), number(&digits, 12, 14));
    all_if(compact.last() == expected && day && stands_alone(candidate))
}

fn my_number(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = match weighted(&digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    let called = ["my number", "mynumber", "individual number", "マイナンバー", "個人番号"];
    all_if(digits.last() == Some(&check) && candidate.follows(&called) && stands_alone(candidate))
}

fn korean(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = (11 - weighted(&digits, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10;
    let day = is_day(number(&digits, 2, 4), number(&digits, 4, 6));
    // Numbers given since October 2020 have no check digit.
    let likely = digits.last() == Some(&check) && grouped(candidate)
        || candidate.follows(&["rrn", "resident registration", "주민등록번호"]);
    all_if(day && likely && stands_alone(candidate))
}

fn singaporean(candidate: &Candidate<'_>) -> Option<Extent> {
    let text = candidate.matched();
    let offset = match text.first()? {
        b'T' | b'G' => 4,
        b'M' => 3,
        _ => 0,
    };
    let rest = usize::try_from((weighted(&candidate.digits(), &[2, 7, 6, 5, 4, 3, 2]) + offset) % 11).ok()?;
    let letters: &[u8; 11] = match text.first()? {
        b'S' | b'T' => b"JZIHGFEDCBA",
        b'M' => b"KLJNPQRTUWX",
        _ => b"XWUTRQPNMLK",
    };
    let place = if text.first() == Some(&b'M') { 10 - rest } else { rest };
    all_if(letters.get(place) == text.last())
}

fn malaysian(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    all_if(is_day(number(&digits, 2, 4), number(&digits, 4, 6)) && stands_alone(candidate))
}

fn thai(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let check = (11 - weighted(&digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 10;
    let likely = grouped(candidate) || candidate.follows(&["thai id", "national id", "citizen id"]);
    all_if(digits.last() == Some(&check) && likely && stands_alone(candidate))
}

fn hong_kong(candidate: &Candidate<'_>) -> Option<Extent> {
    let compact = candidate.compact();
    let (check, body) = compact.split_last()?;
    // A missing first letter counts as 36.
    let padding = if body.len() == 7 { 36 * 9 } else { 0 };
    let value =
        |b: u8| if b.is_ascii_digit() { u32::from(b - b'0') } else { u32::from(b.saturating_sub(b'A')) + 10 };
    let sum: u32 = body.iter().rev().zip(2..).map(|(byte, weight)| value(*byte) * weight).sum();
    let check = if *check == b'A' { 10 } else { u32::from(check.saturating_sub(b'0')) };
    let bracketed = candidate.matched().contains(&b'(');
    all_if(
        (sum + padding + check).is_multiple_of(11)
            && (bracketed || candidate.follows(&["hkid", "hong kong", "id card"])),
    )
}

fn taiwanese(candidate: &Candidate<'_>) -> Option<Extent> {
    const LETTERS: [u32; 26] = [
        10, 11, 12, 13, 14, 15, 16, 17, 34, 18, 19, 20, 21, 22, 35, 23, 24, 25, 26, 27, 28, 29, 32, 30, 31,
        33,
    ];
    let text = candidate.matched();
    let letter = LETTERS.get(usize::from(text.first()?.checked_sub(b'A')?))?;
    let sum = letter / 10 + letter % 10 * 9 + weighted(&candidate.digits(), &[8, 7, 6, 5, 4, 3, 2, 1, 1]);
    all_if(sum.is_multiple_of(10))
}

fn turkish(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let odd: u32 = digits.iter().take(9).step_by(2).sum();
    let even: u32 = digits.iter().take(8).skip(1).step_by(2).sum();
    let tenth = (odd * 7 + 100 - even) % 10;
    let eleventh = digits.iter().take(10).sum::<u32>() % 10;
    let fits = digits.get(9) == Some(&tenth) && digits.get(10) == Some(&eleventh);
    all_if(fits && stands_alone(candidate))
}

fn israeli(candidate: &Candidate<'_>) -> Option<Extent> {
    let called = ["teudat zehut", "israeli id", "id number", "mispar zehut", "תעודת זהות", "ת.ז"];
    all_if(luhn(&candidate.digits()) && candidate.follows(&called) && stands_alone(candidate))
}

fn south_african(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let day = is_day(number(&digits, 2, 4), number(&digits, 4, 6));
    let citizen = digits.get(10).is_some_and(|digit| *digit < 3);
    all_if(luhn(&digits) && day && citizen && stands_alone(candidate))
}

fn tfn(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let fits = weighted(&digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11);
    all_if(fits && candidate.follows(&["tfn", "tax file", "tax file number"]) && stands_alone(candidate))
}

fn medicare(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let fits = digits.get(8) == Some(&(weighted(&digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10));
    all_if(fits && candidate.follows(&["medicare"]) && stands_alone(candidate))
}

/// One is taken from the first digit.
fn abn(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let sum = weighted(&digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]);
    let fits = sum.checked_sub(10).is_some_and(|sum| sum % 89 == 0);
    all_if(fits && candidate.follows(&["abn", "business number"]) && stands_alone(candidate))
}

fn ird(candidate: &Candidate<'_>) -> Option<Extent> {
    let digits = candidate.digits();
    let padded: Vec<u32> = std::iter::repeat_n(0, 9usize.checked_sub(digits.len())?).chain(digits).collect();
    let check = |weights: &[u32]| (11 - weighted(&padded, weights) % 11) % 11;
    let check = match check(&[3, 2, 7, 6, 5, 4, 3, 2]) {
        10 => check(&[7, 4, 3, 2, 5, 2, 7, 6]),
        check => check,
    };
    all_if(
        padded.last() == Some(&check)
            && candidate.follows(&["ird", "inland revenue"])
            && stands_alone(candidate),
    )
}
