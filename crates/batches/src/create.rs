//! What is asked for when a batch is made.

use hermetic_ids::FileId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Seconds a file may be asked to be kept: OpenAI's bounds.
pub const EXPIRES_AFTER: RangeInclusive<u64> = 3_600..=2_592_000;

/// OpenAI's bounds of `metadata`.
const METADATA_PAIRS_MAX: usize = 16;
const METADATA_NAME_MAX: usize = 64;
const METADATA_VALUE_MAX: usize = 512;

const MINUTE_MILLIS: u64 = 60_000;
/// Longest window: what is not answered in a week is not waited for.
const WINDOW_MILLIS: RangeInclusive<u64> = MINUTE_MILLIS..=7 * 24 * 60 * MINUTE_MILLIS;

/// A batch as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    pub input: FileId,
    pub endpoint: String,
    pub completion_window: String,
    pub window_millis: u64,
    pub metadata: Option<BTreeMap<String, String>>,
    pub output_expires_after: Option<u64>,
}

/// Why a batch cannot be made of what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateMistake {
    #[error("expected a JSON object with `input_file_id`, `endpoint` and `completion_window`")]
    Form,
    #[error("expected `input_file_id` to be the id of a file, such as `file-…`")]
    Input,
    #[error("expected one of the endpoints {known}")]
    Endpoint { known: String },
    #[error("expected a `completion_window` from `1m` to `7d`, such as `24h`, found `{found}`")]
    Window { found: String },
    #[error(
        "expected `metadata` of at most {METADATA_PAIRS_MAX} pairs of texts, names of at most {METADATA_NAME_MAX} and values of at most {METADATA_VALUE_MAX} bytes"
    )]
    Metadata,
    #[error(
        "expected the anchor `created_at` and {} to {} seconds as `{field}`", EXPIRES_AFTER.start(), EXPIRES_AFTER.end()
    )]
    ExpiresAfter { field: &'static str },
}

impl CreateMistake {
    /// The field that is to be mended.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Form => None,
            Self::Input => Some("input_file_id"),
            Self::Endpoint { .. } => Some("endpoint"),
            Self::Window { .. } => Some("completion_window"),
            Self::Metadata => Some("metadata"),
            Self::ExpiresAfter { field } => Some(field),
        }
    }
}

#[derive(Deserialize)]
struct Wire {
    input_file_id: String,
    endpoint: String,
    completion_window: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    output_expires_after: Option<Expiry>,
}

#[derive(Deserialize)]
struct Expiry {
    anchor: String,
    seconds: u64,
}

impl Create {
    /// `endpoints`: the paths that lines may ask.
    pub fn read(bytes: &[u8], endpoints: &[&str]) -> Result<Self, CreateMistake> {
        let wire: Wire = serde_json::from_slice(bytes).map_err(|_| CreateMistake::Form)?;
        if !endpoints.contains(&wire.endpoint.as_str()) {
            return Err(CreateMistake::Endpoint { known: endpoints.join(", ") });
        }
        let window_millis = window_millis(&wire.completion_window).ok_or_else(|| CreateMistake::Window {
            found: wire.completion_window.chars().take(40).collect(),
        })?;
        if !wire.metadata.as_ref().is_none_or(within_bounds) {
            return Err(CreateMistake::Metadata);
        }
        let expiry = wire.output_expires_after;
        let output_expires_after = expiry
            .map(|expiry| {
                let fits = expiry.anchor == "created_at" && EXPIRES_AFTER.contains(&expiry.seconds);
                let field = "output_expires_after";
                fits.then_some(expiry.seconds).ok_or(CreateMistake::ExpiresAfter { field })
            })
            .transpose()?;
        Ok(Self {
            input: wire.input_file_id.parse().map_err(|_| CreateMistake::Input)?,
            endpoint: wire.endpoint,
            completion_window: wire.completion_window,
            window_millis,
            metadata: wire.metadata,
            output_expires_after,
        })
    }
}

fn within_bounds(metadata: &BTreeMap<String, String>) -> bool {
    let fits = |(name, value): (&String, &String)| {
        name.len() <= METADATA_NAME_MAX && value.len() <= METADATA_VALUE_MAX
    };
    metadata.len() <= METADATA_PAIRS_MAX && metadata.iter().all(fits)
}

/// A number and `m`, `h` or `d`, in milliseconds.
pub fn window_millis(text: &str) -> Option<u64> {
    let (number, minutes) = [("m", 1), ("h", 60), ("d", 24 * 60)]
        .into_iter()
        .find_map(|(unit, minutes)| Some((text.strip_suffix(unit)?, minutes)))?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let millis =
        digits.then(|| number.parse::<u64>().ok()).flatten()?.checked_mul(minutes * MINUTE_MILLIS)?;
    WINDOW_MILLIS.contains(&millis).then_some(millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn asked() -> Value {
        json!({
            "input_file_id": FileId::from_bytes([1; 16]),
            "endpoint": "/v1/embeddings",
            "completion_window": "24h",
        })
    }

    fn read(asked: &Value) -> Result<Create, CreateMistake> {
        Create::read(asked.to_string().as_bytes(), &["/v1/embeddings"])
    }

    #[test]
    fn what_sdks_send_is_a_batch() {
        let mut all = asked();
        all["metadata"] = json!({ "a": "b" });
        all["output_expires_after"] = json!({ "anchor": "created_at", "seconds": 3_600 });
        let create = read(&all).unwrap();
        assert_eq!((create.window_millis, create.output_expires_after), (86_400_000, Some(3_600)));
        assert_eq!(read(&asked()).unwrap().metadata, None);
    }

    #[test]
    fn each_mistake_names_its_field() {
        let cases = [
            ("input_file_id", json!("file-1")),
            ("endpoint", json!("/v1/rerank")),
            ("completion_window", json!("1 fortnight")),
            ("completion_window", json!("0h")),
            ("completion_window", json!("8d")),
            ("metadata", json!({ "a": "x".repeat(513) })),
            ("output_expires_after", json!({ "anchor": "created_at", "seconds": 60 })),
        ];
        for (field, value) in cases {
            let mut all = asked();
            all[field] = value;
            assert_eq!(read(&all).unwrap_err().field(), Some(field), "{all}");
        }
        assert_eq!(read(&json!([])), Err(CreateMistake::Form));
    }
}
