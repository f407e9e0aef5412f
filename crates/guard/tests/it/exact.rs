//! A stream becomes what the whole of it becomes, however it is cut.

use crate::plans::{masking, naming, plan};
use hermetic_guard::{Action, Plan, Redactor, Scratch, View, Writing, redact};
use proptest::prelude::*;

/// What texts are made of: what rules find, what nearly is that, and what stands between.
const PIECES: &[&str] = &[
    "Please write to john.doe+tag@mail.example.org. ",
    "@",
    ".",
    " ",
    "\\n",
    "a",
    "4111 1111 1111 1111",
    "4111",
    "1111",
    "-",
    "DE89 3704 0044 0532 0130 00",
    "078-05-1121",
    "123-45-6789",
    "SSN ",
    "call +49 170 1234567, ",
    "(212) 555-0173",
    "phone: ",
    "-----BEGIN RSA PRIVATE KEY-----\\nMIIEow",
    "-----BEGIN PRIVATE KEY",
    "-----",
    "-----END RSA PRIVATE KEY-----",
    "END ",
    "-----END ",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "eyJhbGciOi",
    "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "ghp_",
    "AKIAQYLPMN5HNM4OPQ2R",
    "password = \\\"hunter2!x9Kq\\\"",
    "api_key: 8f14e45fceea167a5a36dedd4bea2543",
    "postgres://admin:s3cr3tPw@db:5432/x",
    "://u:",
    "\\u0040",
    "\\u00",
    "40",
    "\\ud83d\\ude00",
    "é",
    "４１１１",
    "\u{200b}",
    "\u{ad}",
    "東京",
    "10.0.0.1",
    "fe80::1",
    "2026-11-28",
    "March 3, 1999",
    "MRN: 00123456",
    "95 years old",
    ", CA 94110",
    "https://x.example/a?b=c.",
    "me",
    "token",
    "=",
    "'",
    "\\\\",
    "/",
    "AAAA",
    "0",
    "9",
    "Maria ",
    "John Smith",
    "Dr. Åsa Laine",
    "Hanuš",
    "my name is ",
    " lives in ",
    "New York",
    "Suite 215",
    "12 Mill Street, ",
    "Hauptstraße 7",
    "Rue de la Paix 3",
    " Boeing Co",
    "Ltd.",
    "Bank of ",
];

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop_oneof![
            8 => prop::sample::select(PIECES).prop_map(str::to_owned),
            1 => "[a-zA-Z0-9 .@+/=_-]{1,12}",
        ],
        1..14,
    )
    .prop_map(|pieces| pieces.concat())
}

fn whole(plan: &Plan, scratch: &mut Scratch, writing: Writing, text: &str) -> String {
    let view = View::of(writing, text.as_bytes());
    let redaction = redact(plan, scratch, &view);
    redaction.text.map_or_else(|| text.to_owned(), |text| String::from_utf8_lossy(&text).into_owned())
}

fn in_pieces(plan: &Plan, scratch: &mut Scratch, writing: Writing, pieces: &[&[u8]]) -> String {
    let mut redactor = Redactor::new(writing);
    let mut out = Vec::new();
    for piece in pieces {
        out.extend(redactor.push(plan, scratch, piece));
    }
    out.extend(redactor.end(plan, scratch));
    assert_eq!(redactor.held(), 0);
    String::from_utf8_lossy(&out).into_owned()
}

fn cut<'a>(text: &'a [u8], cuts: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
    places.sort_unstable();
    let mut pieces = Vec::new();
    let mut from = 0;
    for place in places {
        pieces.push(&text[from..place]);
        from = place;
    }
    pieces.push(&text[from..]);
    pieces
}

fn holds(
    plan: &Plan,
    writing: Writing,
    text: &str,
    cuts: &[prop::sample::Index],
) -> Result<(), TestCaseError> {
    let mut scratch = plan.scratch();
    let expected = whole(plan, &mut scratch, writing, text);
    let pieces = cut(text.as_bytes(), cuts);
    prop_assert_eq!(&in_pieces(plan, &mut scratch, writing, &pieces), &expected, "cut: {}", text);
    let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
    prop_assert_eq!(&in_pieces(plan, &mut scratch, writing, &bytes), &expected, "bytes: {}", text);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_pieces_as_whole(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        writing in prop::sample::select(&[Writing::Plain, Writing::Json, Writing::JsonInJson])) {
        holds(masking(), writing, &text, &cuts)?;
    }

    #[test]
    fn in_pieces_as_whole_whatever_each_rule_does(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5), seed: u64) {
        let plan = plan(|name| {
            let sum = name.as_str().bytes().fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            [None, Some(Action::Report), Some(Action::Mask), Some(Action::Hash)][usize::try_from(sum % 4).unwrap()]
        });
        holds(&plan, Writing::Json, &text, &cuts)?;
    }

    #[test]
    fn names_in_pieces_as_whole(text in text(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        writing in prop::sample::select(&[Writing::Plain, Writing::Json, Writing::JsonInJson])) {
        holds(naming(), writing, &text, &cuts)?;
    }

    /// What is not found leaves as it came.
    #[test]
    fn what_nothing_is_found_in_is_not_touched(text in "[a-z \\\\néü東\u{200b}]{0,80}") {
        let mut scratch = masking().scratch();
        let view = View::of(Writing::Plain, text.as_bytes());
        prop_assert_eq!(redact(masking(), &mut scratch, &view).text, None);
    }
}
