//! Reading and writing one JSON document: capped, validated, deterministic.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why bytes are not the document they should be.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    #[error("expected {what} of at most {cap} bytes, found {found} bytes")]
    TooLarge { what: &'static str, cap: u64, found: u64 },
    #[error("cannot read {what} at line {line}, column {column}")]
    Syntax { what: &'static str, line: usize, column: usize, source: serde_json::Error },
    #[error("in {what}, expected {expected}, found {found}")]
    Value { what: &'static str, expected: String, found: String },
    #[error("cannot write {what}")]
    Write { what: &'static str, source: serde_json::Error },
}

impl DocumentError {
    pub(crate) fn value(what: &'static str, expected: impl Into<String>, found: impl ToString) -> Self {
        let found: String = found.to_string().chars().take(200).collect();
        Self::Value { what, expected: expected.into(), found }
    }
}

/// Parses a document of at most `cap` bytes. Duplicate fields and trailing bytes are refused by serde.
pub(crate) fn parse<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    cap: u64,
) -> Result<T, DocumentError> {
    let found = bytes.len() as u64;
    if found > cap {
        return Err(DocumentError::TooLarge { what, cap, found });
    }
    serde_json::from_slice(bytes).map_err(|source| DocumentError::Syntax {
        what,
        line: source.line(),
        column: source.column(),
        source,
    })
}

/// Writes a document on one line. Field order is the type's own and maps are sorted, so equal values give equal bytes.
pub(crate) fn write<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, DocumentError> {
    serde_json::to_vec(value).map_err(|source| DocumentError::Write { what, source })
}

/// Checks a free-text field: printable, not empty, not longer than [`crate::limits::TEXT_BYTES_MAX`].
pub(crate) fn check_text(what: &'static str, field: &str, text: &str) -> Result<(), DocumentError> {
    let bytes_max = crate::limits::TEXT_BYTES_MAX;
    if text.trim().is_empty() || text.len() > bytes_max {
        let expected = format!("`{field}` of 1 to {bytes_max} bytes");
        return Err(DocumentError::value(what, expected, format!("{} bytes", text.len())));
    }
    if text.chars().any(|c| c.is_control() && c != '\n') || text.chars().any(is_direction_control) {
        return Err(DocumentError::value(
            what,
            format!("`{field}` without control characters"),
            text.escape_debug(),
        ));
    }
    Ok(())
}

/// Characters that make a line read in another order than it is written (Unicode TR36, bidirectional text spoofing).
fn is_direction_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
