//! A leaf as a reader sees it: all it says, whether or not this version knows what it means.

use crate::record::Record;
use hermetic_clock::rfc3339;
use serde_json::Value;

/// A record for showing. Fields and events that this version does not know stay visible.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct RecordView {
    pub index: u64,
    /// RFC 3339, UTC.
    pub at: Option<String>,
    pub kind: String,
    /// The record as it was written.
    pub record: Value,
}

impl RecordView {
    /// Never fails: bytes that are no JSON object are shown as such.
    pub fn of(index: u64, leaf: &[u8]) -> Self {
        let record = serde_json::from_slice(leaf)
            .unwrap_or_else(|_| Value::String(format!("{} bytes that are not JSON", leaf.len())));
        let at = record.get("at_unix_ms").and_then(Value::as_u64).map(rfc3339);
        let kind = record.pointer("/event/kind").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        Self { index, at, kind, record }
    }

    /// The record in this version's terms, when it is of a kind this version knows.
    pub fn known(&self) -> Option<Record> {
        serde_json::from_value(self.record.clone()).ok()
    }

    /// A field of the event, as text.
    pub fn field(&self, name: &str) -> Option<String> {
        match self.record.pointer(&format!("/event/{name}"))? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        }
    }
}
