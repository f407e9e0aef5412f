//! A strict reader of `multipart/form-data` (RFC 7578) that remembers where things stand, as [`crate::json`] does.
//!
//! Forms are read by many parsers, and each forgives something else: bare line feeds, text before the first part, names
//! with escapes. What two of them could read differently is refused here, because the engine's is not ours: the model it
//! is asked for must be the one that was authorised. What the stock clients send passes.

use memchr::memmem;
use std::ops::Range;

/// Most parts of a form. The largest in the OpenAI API (edits of images) has about thirty.
pub(crate) const PARTS_MAX: usize = 128;

/// RFC 2046, 5.1.1.
const BOUNDARY_LENGTH_MAX: usize = 70;
const HEADERS_BYTES_MAX: usize = 4 << 10;

/// Why bytes are not the form that is expected. Offsets count bytes from zero.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormMistake {
    #[error("expected a boundary of 1 to {BOUNDARY_LENGTH_MAX} characters in the content type, found none")]
    NoBoundary,
    #[error("expected the form to begin with its boundary, found something else")]
    NoBeginning,
    #[error("expected each boundary on a line of its own, found one that is not at byte {at}")]
    Boundary { at: usize },
    #[error(
        "expected the boundary that ends the form and nothing behind it, found something else at byte {at}"
    )]
    NoEnd { at: usize },
    #[error("expected at most {PARTS_MAX} parts, found more")]
    TooManyParts,
    #[error("expected {expected} in the part at byte {at}, found something else")]
    Part { at: usize, expected: &'static str },
}

/// One field, or one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    pub(crate) name: &'a str,
    pub(crate) is_file: bool,
    pub(crate) value: Range<usize>,
}

/// The boundary that a content type names.
pub(crate) fn boundary_of(content_type: &str) -> Result<&str, FormMistake> {
    let (essence, mut rest) = content_type.split_once(';').ok_or(FormMistake::NoBoundary)?;
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(FormMistake::NoBoundary);
    }
    let mut found = None;
    while !rest.trim().is_empty() {
        let (name, value, behind) = parameter(rest).ok_or(FormMistake::NoBoundary)?;
        if name.eq_ignore_ascii_case("boundary") && found.replace(value).is_some() {
            return Err(FormMistake::NoBoundary);
        }
        rest = behind;
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
    found
        .filter(|boundary| {
            (1..=BOUNDARY_LENGTH_MAX).contains(&boundary.len()) && boundary.bytes().all(allowed)
        })
        .ok_or(FormMistake::NoBoundary)
}

/// `name=value` or `name="value"`, and what stands behind its semicolon. Quoted values without escapes: what the
/// backslash means in one depends on who reads it.
fn parameter(text: &str) -> Option<(&str, &str, &str)> {
    let (name, text) = text.split_once('=')?;
    let (value, behind) = match text.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"')?,
        None => text.split_at(text.find(';').unwrap_or(text.len())),
    };
    let behind = behind.trim_start();
    let behind = if behind.is_empty() { behind } else { behind.strip_prefix(';')? };
    let name = name.trim();
    let plain = !name.is_empty() && !value.contains(['\\', '"', '\r', '\n']);
    plain.then_some((name, value, behind))
}

/// The parts of the form that `bytes` is, in order.
pub(crate) fn parts<'a>(bytes: &'a [u8], boundary: &str) -> Result<Vec<Part<'a>>, FormMistake> {
    let delimiter = format!("--{boundary}");
    if !bytes.starts_with(delimiter.as_bytes()) {
        return Err(FormMistake::NoBeginning);
    }
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    for at in memmem::find_iter(bytes, delimiter.as_bytes()) {
        let behind = at + delimiter.len();
        let own_line = at == 0 || bytes.get(at.saturating_sub(2)..at) == Some(b"\r\n");
        if !own_line {
            return Err(FormMistake::Boundary { at });
        }
        if let Some(begun) = open.take() {
            if parts.len() >= PARTS_MAX {
                return Err(FormMistake::TooManyParts);
            }
            parts.push(part(bytes, begun..at.saturating_sub(2))?);
        }
        match bytes.get(behind..behind + 2) {
            Some(b"\r\n") => open = Some(behind + 2),
            Some(b"--") => return ended(bytes, behind + 2).map(|()| parts),
            _ => return Err(FormMistake::Boundary { at }),
        }
    }
    Err(FormMistake::NoEnd { at: bytes.len() })
}

fn ended(bytes: &[u8], at: usize) -> Result<(), FormMistake> {
    match bytes.get(at..) {
        None | Some(b"" | b"\r\n") => Ok(()),
        Some(_) => Err(FormMistake::NoEnd { at }),
    }
}

fn part(bytes: &[u8], span: Range<usize>) -> Result<Part<'_>, FormMistake> {
    let at = span.start;
    let wrong = |expected| FormMistake::Part { at, expected };
    let whole = bytes.get(span.clone()).ok_or_else(|| wrong("headers"))?;
    let head = whole.get(..whole.len().min(HEADERS_BYTES_MAX)).unwrap_or_default();
    let end = memmem::find(head, b"\r\n\r\n")
        .ok_or_else(|| wrong("headers of at most 4 KiB, and an empty line"))?;
    let head =
        std::str::from_utf8(head.get(..end).unwrap_or_default()).map_err(|_| wrong("headers in UTF-8"))?;
    let mut disposition = None;
    for line in head.split("\r\n") {
        let (name, value) = line.split_once(':').ok_or_else(|| wrong("headers, each on one line"))?;
        if line.contains(['\r', '\n', '\0']) || line.starts_with([' ', '\t']) || name.trim() != name {
            return Err(wrong("headers, each on one line"));
        }
        if name.eq_ignore_ascii_case("content-disposition") && disposition.replace(value.trim()).is_some() {
            return Err(wrong("one content-disposition"));
        }
        let plain = ["binary", "8bit", "7bit"];
        if name.eq_ignore_ascii_case("content-transfer-encoding")
            && !plain.iter().any(|plain| value.trim().eq_ignore_ascii_case(plain))
        {
            return Err(wrong("a value that is not encoded"));
        }
    }
    let (name, is_file) = named(disposition.unwrap_or_default())
        .ok_or_else(|| wrong("a content-disposition of `form-data` with a plain name"))?;
    Ok(Part { name, is_file, value: at + end + 4..span.end })
}

/// The name of a part, and whether it is a file.
fn named(disposition: &str) -> Option<(&str, bool)> {
    let (kind, mut rest) = disposition.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut found, mut is_file) = (None, false);
    while !rest.trim().is_empty() {
        let (name, value, behind) = parameter(rest)?;
        if name.eq_ignore_ascii_case("name") {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
            if value.is_empty() || !value.bytes().all(plain) || found.replace(value).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case("filename") || name.eq_ignore_ascii_case("filename*") {
            is_file = true;
        } else {
            return None;
        }
        rest = behind;
    }
    found.map(|name| (name, is_file))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Result<Vec<(String, bool, String)>, FormMistake> {
        let shown = |part: Part<'_>| {
            (part.name.to_owned(), part.is_file, body.get(part.value).unwrap_or("(not text)").to_owned())
        };
        parts(body.as_bytes(), "b").map(|parts| parts.into_iter().map(shown).collect())
    }

    fn part(head: &str, value: &str) -> String {
        format!("--b\r\ncontent-disposition: form-data; {head}\r\n\r\n{value}\r\n")
    }

    #[test]
    fn fields_and_files_are_found_where_they_stand() {
        let body = format!(
            "{}{}--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.wav\"\r\nContent-Type: audio/wav\r\n\r\nRI\r\nFF--\r\n--b--\r\n",
            part("name=\"model\"", "whisper"),
            part("name=\"timestamp_granularities[]\"", ""),
        );
        let owned = |name: &str, file, value: &str| (name.to_owned(), file, value.to_owned());
        assert_eq!(
            read(&body).unwrap(),
            [
                owned("model", false, "whisper"),
                owned("timestamp_granularities[]", false, ""),
                owned("file", true, "RI\r\nFF--")
            ]
        );
    }

    #[test]
    fn the_boundary_is_that_of_the_content_type() {
        assert_eq!(boundary_of("multipart/form-data; boundary=abc-1"), Ok("abc-1"));
        assert_eq!(boundary_of("Multipart/Form-Data; charset=utf-8; Boundary=\"a=b\""), Ok("a=b"));
        for wrong in [
            "multipart/form-data",
            "multipart/mixed; boundary=a",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=a b",
        ] {
            assert_eq!(boundary_of(wrong), Err(FormMistake::NoBoundary), "{wrong}");
        }
    }

    #[test]
    fn what_parsers_read_differently_is_refused() {
        let model = part("name=\"model\"", "cheap");
        for (body, what) in [
            (format!("preamble\r\n{model}--b--"), "text before the first part"),
            (format!("{model}--b--\r\n{model}"), "parts behind the end"),
            (model.clone(), "no end"),
            (format!("{}--b--", part("name=\"file\"", "x\n--b\ny")), "a boundary behind a bare line feed"),
            (
                format!("{}--b--", part("name=\"file\"", "x\r\n--bc\r\ny")),
                "a line that begins like the boundary",
            ),
            (format!("{}--b--", part("name=\"mod\\el\"", "dear")), "an escape in a name"),
            (format!("{}--b--", part("name=\"model\"; name=\"x\"", "dear")), "two names"),
            (
                format!("{}--b--", part("name=\"model\"; filename=\"a\\\"; name=\"x\"", "dear")),
                "an escaped quote",
            ),
            (format!("{}--b--", part("name*=utf-8''model", "dear")), "an extended name"),
            (format!("{}--b--", part("name=\"model\"\r\n folded", "dear")), "a folded header"),
            (
                format!("{}--b--", part("name=\"model\"\r\ncontent-transfer-encoding: base64", "ZGVhcg==")),
                "an encoding",
            ),
            (
                format!("{}--b--", part("name=\"model\"\r\ncontent-disposition: form-data; name=\"x\"", "d")),
                "two dispositions",
            ),
            ("--b\r\nx-y: z\r\n\r\nv\r\n--b--".to_owned(), "no disposition"),
        ] {
            assert!(read(&body).is_err(), "{what}");
        }
        let many = format!("{}--b--", model.repeat(PARTS_MAX + 1));
        assert_eq!(read(&many), Err(FormMistake::TooManyParts));
    }

    proptest! {
        /// Whatever the values are that do not hold the boundary, they are found again, byte for byte.
        #[test]
        fn values_are_what_was_put_in(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6)) {
            let boundary = "----formboundary7";
            let mut body = Vec::new();
            for (number, value) in values.iter().enumerate() {
                body.extend(format!("--{boundary}\r\nContent-Disposition: form-data; name=\"f{number}\"\r\n\r\n").bytes());
                body.extend(value);
                body.extend(b"\r\n");
            }
            body.extend(format!("--{boundary}--\r\n").bytes());
            let read = parts(&body, boundary).unwrap();
            let found: Vec<Vec<u8>> = read.iter().map(|part| body[part.value.clone()].to_vec()).collect();
            prop_assert_eq!(found, values);
        }

        #[test]
        fn bytes_that_are_no_form_are_refused_without_panicking(body in prop::collection::vec(prop_oneof![
            Just(b"--b".to_vec()), Just(b"\r\n".to_vec()), Just(b"--".to_vec()), Just(b"content-disposition: form-data; name=\"x\"".to_vec()),
            prop::collection::vec(any::<u8>(), 0..4),
        ], 0..12)) {
            let body = body.concat();
            if let Ok(parts) = parts(&body, "b") {
                prop_assert!(parts.iter().all(|part| part.value.end <= body.len() && part.value.start <= part.value.end));
            }
        }
    }
}
