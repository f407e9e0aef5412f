//! Between SQLite's values and types that cannot lie.

use crate::MetadataError;
use std::str::FromStr;

/// A column's integer as the unsigned number it stands for.
pub(crate) fn unsigned(value: i64, column: &'static str) -> Result<u64, MetadataError> {
    u64::try_from(value).map_err(|_| MetadataError::Corrupt { column, found: value.to_string() })
}

/// An unsigned number as SQLite's 64-bit signed integer.
pub(crate) fn signed(value: u64, column: &'static str) -> Result<i64, MetadataError> {
    i64::try_from(value).map_err(|_| MetadataError::Range { column, found: value })
}

/// A column's text as the type it was written from.
pub(crate) fn parsed<T: FromStr>(text: &str, column: &'static str) -> Result<T, MetadataError> {
    text.parse().map_err(|_| MetadataError::Corrupt { column, found: text.chars().take(100).collect() })
}

/// A column's JSON as the type it was written from.
pub(crate) fn json<T: serde::de::DeserializeOwned>(
    text: &str,
    column: &'static str,
) -> Result<T, MetadataError> {
    serde_json::from_str(text)
        .map_err(|_| MetadataError::Corrupt { column, found: text.chars().take(100).collect() })
}

/// A list or a map of texts as JSON. These have no value JSON cannot say.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
