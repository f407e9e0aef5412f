//! One line of an input file: a request, and the name its result is found by.

use crate::batch::Mistake;
use hermetic_digest::Digest;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;

/// Longest name of a line.
const CUSTOM_ID_BYTES_MAX: usize = 512;

/// A request of a batch. Its body is kept in the bytes it was written in.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// Of the input file, from 1.
    pub number: u64,
    pub custom_id: String,
    pub body: String,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({}, hidden)", self.number)
    }
}

/// Why a line is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineMistake {
    #[error("expected a JSON object, found something else")]
    NotJson,
    #[error("expected a line of at most {bytes_max} bytes, found a longer one")]
    TooLong { bytes_max: usize },
    #[error("expected a field `{field}`, found none")]
    Missing { field: &'static str },
    #[error("expected a `custom_id` of 1 to {CUSTOM_ID_BYTES_MAX} bytes")]
    CustomId,
    #[error("expected a `custom_id` that no other line has")]
    Duplicate,
    #[error("expected the method POST, found `{found}`")]
    Method { found: String },
    #[error("expected the batch's endpoint `{expected}` as `url`, found `{found}`")]
    Url { expected: String, found: String },
    #[error("expected a JSON object as `body`, found something else")]
    Body,
    #[error("expected an answer that is asked for as a whole, found `stream`")]
    Streams,
}

impl LineMistake {
    /// What SDKs know it by.
    fn code(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::NotJson => ("invalid_json_line", None),
            Self::TooLong { .. } => ("line_too_long", None),
            Self::Missing { field } => ("missing_required_parameter", Some(field)),
            Self::CustomId => ("invalid_custom_id", Some("custom_id")),
            Self::Duplicate => ("duplicate_custom_id", Some("custom_id")),
            Self::Method { .. } => ("invalid_method", Some("method")),
            Self::Url { .. } => ("mismatched_endpoint", Some("url")),
            Self::Body => ("invalid_body", Some("body")),
            Self::Streams => ("streaming_not_supported", Some("body.stream")),
        }
    }

    pub fn at(&self, number: u64) -> Mistake {
        let (code, param) = self.code();
        Mistake {
            code: code.to_owned(),
            message: self.to_string(),
            param: param.map(str::to_owned),
            line: Some(number),
        }
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow, default)]
    custom_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    stream: Option<serde_json::Value>,
}

impl Line {
    /// Reads a line of a batch that asks `endpoint`.
    pub fn read(number: u64, bytes: &[u8], endpoint: &str) -> Result<Self, LineMistake> {
        let wire: Wire<'_> = serde_json::from_slice(bytes).map_err(|_| LineMistake::NotJson)?;
        let missing = |field| LineMistake::Missing { field };
        let clipped = |text: &str| text.chars().take(80).collect::<String>();
        let custom_id = wire.custom_id.ok_or(missing("custom_id"))?;
        if custom_id.is_empty() || custom_id.len() > CUSTOM_ID_BYTES_MAX {
            return Err(LineMistake::CustomId);
        }
        let method = wire.method.ok_or(missing("method"))?;
        if method != "POST" {
            return Err(LineMistake::Method { found: clipped(&method) });
        }
        let url = wire.url.ok_or(missing("url"))?;
        if url != endpoint {
            return Err(LineMistake::Url { expected: endpoint.to_owned(), found: clipped(&url) });
        }
        let body = wire.body.ok_or(missing("body"))?.get();
        if !body.starts_with('{') {
            return Err(LineMistake::Body);
        }
        let read: Body = serde_json::from_str(body).map_err(|_| LineMistake::Body)?;
        let streams = !matches!(read.stream, None | Some(serde_json::Value::Bool(false)));
        if streams {
            return Err(LineMistake::Streams);
        }
        Ok(Self { number, custom_id: custom_id.into_owned(), body: body.to_owned() })
    }
}

/// The names that lines have, each once: by their digests, so that long names are not held.
#[derive(Debug, Default)]
pub struct Seen(HashSet<Digest>);

impl Seen {
    pub fn once(&mut self, line: &Line) -> Result<(), LineMistake> {
        let new = self.0.insert(Digest::of(line.custom_id.as_bytes()));
        if new { Ok(()) } else { Err(LineMistake::Duplicate) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHAT: &str = "/v1/chat/completions";

    fn read(text: &str) -> Result<Line, LineMistake> {
        Line::read(7, text.as_bytes(), CHAT)
    }

    #[test]
    fn a_line_keeps_its_body_in_the_bytes_it_was_written_in() {
        let line = read(
            r#"{"custom_id":"a\u0062","method":"POST","url":"/v1/chat/completions","body":{ "x" : 1.50 }}"#,
        );
        let expected = Line { number: 7, custom_id: "ab".to_owned(), body: r#"{ "x" : 1.50 }"#.to_owned() };
        assert_eq!(line.unwrap(), expected);
    }

    #[test]
    fn each_mistake_is_named_with_its_field_and_its_line() {
        let with = |id: &str, method: &str, url: &str, body: &str| {
            format!(r#"{{"custom_id":{id},"method":"{method}","url":"{url}","body":{body}}}"#)
        };
        let cases = [
            ("[1]".to_owned(), "invalid_json_line"),
            ("{".to_owned(), "invalid_json_line"),
            (r#"{"method":"POST"}"#.to_owned(), "missing_required_parameter"),
            (with("\"\"", "POST", CHAT, "{}"), "invalid_custom_id"),
            (with("\"a\"", "GET", CHAT, "{}"), "invalid_method"),
            (with("\"a\"", "POST", "/v1/embeddings", "{}"), "mismatched_endpoint"),
            (with("\"a\"", "POST", CHAT, "3"), "invalid_body"),
            (with("\"a\"", "POST", CHAT, r#"{"stream":true}"#), "streaming_not_supported"),
        ];
        for (text, code) in cases {
            let mistake = read(&text).unwrap_err().at(7);
            assert_eq!((mistake.code.as_str(), mistake.line), (code, Some(7)), "{text}");
        }
        read(&with("\"a\"", "POST", CHAT, r#"{"stream":false}"#)).unwrap();
    }

    #[test]
    fn a_name_is_taken_once() {
        let line = |id: &str| Line { number: 1, custom_id: id.to_owned(), body: String::new() };
        let mut seen = Seen::default();
        seen.once(&line("a")).unwrap();
        seen.once(&line("b")).unwrap();
        assert_eq!(seen.once(&line("a")), Err(LineMistake::Duplicate));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_line_or_a_mistake(bytes: Vec<u8>) {
            let _ = Line::read(1, &bytes, CHAT);
        }

        #[test]
        fn what_is_written_as_a_line_is_read_as_one(id in "[ -~]{1,20}", key in "[a-z]{1,9}", value: i64) {
            prop_assume!(key != "stream");
            let body = serde_json::json!({ key: value });
            let text = serde_json::json!({ "custom_id": id, "method": "POST", "url": CHAT, "body": body });
            let line = read(&text.to_string()).unwrap();
            prop_assert_eq!(line.custom_id, id);
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&line.body).unwrap(), body);
        }
    }
}
