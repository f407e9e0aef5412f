//! Ids made of random bytes, with a prefix that says what they name.

use std::fmt;
use std::str::FromStr;

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("expected an id of the form `{expected}`, found `{found}`")]
    Form { expected: &'static str, found: String },
}

/// Longest text of an id: a prefix of six and the digits of sixteen bytes.
const TEXT_BYTES_MAX: usize = 38;

/// An id's text, made on the stack: ids are written half a dozen times for every request.
struct Text {
    bytes: [u8; TEXT_BYTES_MAX],
    length: usize,
}

impl Text {
    fn new(prefix: &str, id: &[u8]) -> Self {
        let mut text = Self { bytes: [0; TEXT_BYTES_MAX], length: prefix.len() + 2 * id.len() };
        if let Some((head, digits)) = text.bytes.split_at_mut_checked(prefix.len()) {
            head.copy_from_slice(prefix.as_bytes());
            for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(id) {
                *pair = [digit(byte >> 4), digit(byte & 0x0f)];
            }
        }
        text
    }

    fn as_str(&self) -> &str {
        // ASCII, all of it.
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

const fn digit(nibble: u8) -> u8 {
    if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
}

fn from_hex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let ascii_lower = digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if digits.len() != 2 * N || !ascii_lower {
        return None;
    }
    let mut out = [0u8; N];
    for (i, slot) in out.iter_mut().enumerate() {
        *slot = u8::from_str_radix(digits.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(out)
}

macro_rules! ids {
    ($($(#[$doc:meta])* $type:ident, $bytes:literal, $prefix:literal, $form:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type([u8; $bytes]);

        impl $type {
            /// Makes the id from bytes the caller drew.
            pub const fn from_bytes(bytes: [u8; $bytes]) -> Self {
                Self(bytes)
            }
            pub const fn as_bytes(&self) -> &[u8; $bytes] {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(Text::new($prefix, &self.0).as_str())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($type), "({})"), self)
            }
        }

        impl FromStr for $type {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix($prefix).and_then(from_hex).map(Self).ok_or_else(|| IdError::Form {
                    expected: $form,
                    found: text.chars().take(64).collect(),
                })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(Text::new($prefix, &self.0).as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ids! {
    /// One request: answered in `x-request-id`, written in both of its records.
    RequestId, 16, "req_", "req_<32 hex>";
    /// The public half of an API key: safe to show, log and revoke by.
    KeyId, 8, "key_", "key_<16 hex>";
    /// W3C Trace Context `trace-id`.
    TraceId, 16, "", "<32 hex>";
    /// A file somebody uploaded, or that a batch ended in.
    FileId, 16, "file-", "file-<32 hex>";
    /// Many requests, handed in as one file.
    BatchId, 16, "batch_", "batch_<32 hex>";
    /// A response that is kept, to be looked at and gone on from.
    ResponseId, 16, "resp_", "resp_<32 hex>";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_round_trip_and_refuse_each_others_prefix() {
        let id = RequestId::from_bytes([0xab; 16]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!(id.to_string().parse::<KeyId>().is_err());
        assert!("req_ABABABABABABABABABABABABABABABAB".parse::<RequestId>().is_err());
        assert_eq!(id.to_string(), "req_abababababababababababababababab");
        assert_eq!(BatchId::from_bytes([1; 16]).to_string(), format!("batch_{}", "01".repeat(16)));
        assert_eq!(serde_json::to_string(&KeyId::from_bytes([0x0f; 8])).unwrap(), "\"key_0f0f0f0f0f0f0f0f\"");
    }
}
