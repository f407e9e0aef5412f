//! One line of an output or an error file.

use crate::batch::Usage;
use hermetic_digest::Digest;
use hermetic_ids::{BatchId, RequestId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What became of a line.
#[derive(Debug, Clone, Copy)]
pub enum ResultLine<'a> {
    /// It was answered, or refused, as a request of its own would have been.
    Response { status: u16, request: RequestId, body: &'a [u8] },
    /// It was not asked.
    Unasked { code: &'static str, message: &'static str },
}

#[derive(Serialize)]
struct Wire<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Option<Error>,
}

#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: String,
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Error {
    code: &'static str,
    message: &'static str,
}

impl ResultLine<'_> {
    pub const EXPIRED: ResultLine<'static> = ResultLine::Unasked {
        code: "batch_expired",
        message: "This request could not be executed before the completion window expired.",
    };

    pub const CANCELLED: ResultLine<'static> = ResultLine::Unasked {
        code: "batch_cancelled",
        message: "This request was not executed: the batch was cancelled before.",
    };

    /// The line, with its end. A body keeps the bytes of the answer; one that is no JSON is written as a text, and one
    /// that is written in several lines in one.
    pub fn write(&self, batch: BatchId, number: u64, custom_id: &str) -> Vec<u8> {
        let text;
        let response = match self {
            Self::Response { status, request, body } => {
                text = one_line(body);
                text.as_deref().map(|body| Response {
                    status_code: *status,
                    request_id: request.to_string(),
                    body,
                })
            }
            Self::Unasked { .. } => None,
        };
        let error = match self {
            Self::Response { .. } => None,
            Self::Unasked { code, message } => Some(Error { code, message }),
        };
        let mut line = serde_json::to_vec(&Wire { id: id(batch, number), custom_id, response, error })
            .unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// The same each time it is asked for.
fn id(batch: BatchId, number: u64) -> String {
    let digest = Digest::of(format!("{batch} {number}").as_bytes()).hex();
    format!("batch_req_{}", digest.get(..32).unwrap_or(&digest))
}

fn one_line(body: &[u8]) -> Option<Box<RawValue>> {
    let text = std::str::from_utf8(body).ok()?.trim();
    let as_text = || serde_json::value::to_raw_value(text).ok();
    let Ok(raw) = serde_json::from_str::<Box<RawValue>>(text) else { return as_text() };
    if raw.get().contains(['\n', '\r']) {
        // Line breaks stand between tokens only: in a string they would have to be escaped.
        return RawValue::from_string(raw.get().replace(['\n', '\r'], " ")).ok();
    }
    Some(raw)
}

/// Tokens an answer says it used, on any surface.
pub fn usage_of(body: &[u8]) -> Usage {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        usage: Option<Used>,
    }
    #[derive(Deserialize)]
    struct Used {
        #[serde(default, alias = "prompt_tokens")]
        input_tokens: u64,
        #[serde(default, alias = "completion_tokens")]
        output_tokens: u64,
    }
    let answer: Option<Answer> = serde_json::from_slice(body).ok();
    answer
        .and_then(|answer| answer.usage)
        .map(|used| Usage { input_tokens: used.input_tokens, output_tokens: used.output_tokens })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    const BATCH: BatchId = BatchId::from_bytes([1; 16]);
    const REQUEST: RequestId = RequestId::from_bytes([2; 16]);

    #[test]
    fn a_result_has_the_shape_that_sdks_read() {
        let response = ResultLine::Response { status: 200, request: REQUEST, body: b"{\"a\":\n 1.50}" };
        let line = String::from_utf8(response.write(BATCH, 3, "x")).unwrap();
        assert!(line.contains("{\"a\":  1.50}"), "{line}");
        let value: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["response"]["status_code"], 200);
        assert_eq!(value["response"]["request_id"], REQUEST.to_string());
        assert_eq!((&value["custom_id"], &value["error"]), (&Value::from("x"), &Value::Null));
        let expired: Value = serde_json::from_slice(&ResultLine::EXPIRED.write(BATCH, 4, "y")).unwrap();
        assert_eq!(expired["error"]["code"], "batch_expired");
        assert_eq!(expired["response"], Value::Null);
        assert_ne!(value["id"], expired["id"]);
        assert_eq!(expired["id"], id(BATCH, 4));
    }

    #[test]
    fn tokens_are_counted_on_every_surface() {
        let of = |text: &str| usage_of(text.as_bytes());
        let used = Usage { input_tokens: 3, output_tokens: 5 };
        assert_eq!(of(r#"{"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}}"#), used);
        assert_eq!(of(r#"{"usage":{"input_tokens":3,"output_tokens":5}}"#), used);
        assert_eq!(of(r#"{"usage":null}"#), Usage::default());
        assert_eq!(of("no json"), Usage::default());
    }

    proptest! {
        #[test]
        fn whatever_was_answered_is_one_line_of_json(body: Vec<u8>, custom_id: String) {
            let line = ResultLine::Response { status: 502, request: REQUEST, body: &body }.write(BATCH, 1, &custom_id);
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let value: Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(&value["custom_id"], &Value::from(custom_id));
        }
    }
}
