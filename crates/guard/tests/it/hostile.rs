//! Texts that are meant to harm.

use crate::plans::masking;
use hermetic_guard::{MATCH_BYTES_MAX, Redactor, View, Writing, redact};

#[test]
fn what_a_stream_holds_back_is_bounded() {
    for unit in ["a", "a.", "1 ", "4", "a@b.", "-", "eyJ", "key=", "x:", "\\", "\u{200b}", "é"] {
        let mut redactor = Redactor::new(Writing::Plain);
        let mut scratch = masking().scratch();
        let mut most = 0;
        for _ in 0..4_000 {
            redactor.push(masking(), &mut scratch, unit.as_bytes());
            most = most.max(redactor.held());
        }
        // Characters that nobody sees take no place in what is matched, but stand before what is.
        let slack = if unit == "\u{200b}" { usize::MAX } else { 2 * MATCH_BYTES_MAX };
        assert!(most <= slack, "{unit}: {most}");
    }
}

#[test]
fn megabytes_of_beginnings_that_never_end_come_through() {
    for unit in [
        "a.a.",
        "1 1 1 ",
        "a@a.",
        "key = ",
        "-----BEGIN ",
        "://a:",
        "eyJeyJ",
        "::::",
        "0x0x",
        "é.",
        "{\"a\":",
        "password is ",
    ] {
        let text = unit.repeat((1 << 20) / unit.len());
        let view = View::of(Writing::Plain, text.as_bytes());
        let mut scratch = masking().scratch();
        let redaction = redact(masking(), &mut scratch, &view);
        assert!(redaction.text.is_none_or(|text| text.len() < 4 << 20), "{unit}");
    }
}

#[test]
fn bytes_that_are_no_text_are_read_as_bytes() {
    let mut scratch = masking().scratch();
    for writing in [Writing::Plain, Writing::Json, Writing::JsonInJson] {
        for bytes in
            [&b"\xff\xfe4111 1111 1111 1111\xf0\x9f"[..], b"\\ud83d 4111 1111 1111 1111 \\u12", b"\xc3"]
        {
            let view = View::of(writing, bytes);
            let text = redact(masking(), &mut scratch, &view).text;
            assert_eq!(text.is_some(), bytes.len() > 2, "{writing:?} {bytes:?}");
        }
    }
}

#[test]
fn what_looks_different_and_is_the_same_is_found() {
    let mut scratch = masking().scratch();
    for (writing, text) in [
        (Writing::Plain, "4111\u{200b}1111\u{ad}1111 1111"),
        (Writing::Plain, "４１１１ １１１１ １１１１ １１１１"),
        (Writing::Plain, "٤١١١ ١١١١ ١١١١ ١١١١"),
        (Writing::Plain, "4111\u{2011}1111\u{2011}1111\u{2011}1111"),
        (Writing::Plain, "4111\u{a0}1111\u{a0}1111\u{a0}1111"),
        (Writing::Json, "\\u0034111\\u00201111 1111 1111"),
        (Writing::JsonInJson, "{\\\"card\\\": \\\"\\\\u0034111 1111 1111 1111\\\"}"),
        (Writing::Plain, "𝐣𝐨𝐡𝐧@example.org"),
    ] {
        let view = View::of(writing, text.as_bytes());
        let found = redact(masking(), &mut scratch, &view);
        assert_eq!(found.verdicts.len(), 1, "{text}: {:?}", String::from_utf8_lossy(view.seen()));
    }
}

#[test]
fn a_number_in_arguments_becomes_a_text() {
    let mut scratch = masking().scratch();
    let arguments = r#"{\"card\":4111111111111111,\"to\":\"4111111111111111\"}"#;
    let view = View::of(Writing::JsonInJson, arguments.as_bytes());
    let text = String::from_utf8(redact(masking(), &mut scratch, &view).text.unwrap()).unwrap();
    assert_eq!(text, r#"{\"card\":\"[CARD]\",\"to\":\"[CARD]\"}"#);
}

#[test]
fn what_blocks_is_told_with_the_piece_that_completes_it() {
    let plan = crate::plans::plan(|name| name.is_in("secret").then_some(hermetic_guard::Action::Block));
    let mut scratch = plan.scratch();
    let mut redactor = Redactor::new(Writing::Json);
    assert_eq!(redactor.push(&plan, &mut scratch, b"here: "), b"here: ");
    redactor.push(&plan, &mut scratch, b"ghp_16C7e42F292c6912E7710c838347Ae178B4a ");
    let verdicts = redactor.take_verdicts();
    assert_eq!(verdicts.len(), 1);
    assert_eq!((verdicts[0].at, verdicts[0].length), (6, 40));
}
