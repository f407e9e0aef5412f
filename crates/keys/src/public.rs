//! The public half: what strangers hold.

use crate::error::KeyError;
use crate::pem;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use hermetic_bounded_io::{Mode, read_text_capped, write_atomic};
use std::fmt;
use std::path::Path;

/// Length of an Ed25519 public key (RFC 8032 §5.1.5).
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Length of an Ed25519 signature (RFC 8032 §5.1.6).
pub const SIGNATURE_BYTES: usize = 64;

const LABEL: &str = "PUBLIC KEY";
/// What stands before the 32 key bytes in an Ed25519 SubjectPublicKeyInfo (RFC 8410 §4): it never varies.
const SPKI_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A PEM public key is 113 bytes; the rest is room for white space.
const FILE_BYTES_MAX: u64 = 4096;

/// An Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

/// The signature does not belong to this message and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a signature by the key {key}, found one that does not verify")]
pub struct SignatureMismatch {
    key: PublicKey,
}

impl PublicKey {
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }

    /// Checks a signature over exactly `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureMismatch> {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .map_err(|_| SignatureMismatch { key: *self })
    }

    /// DER SubjectPublicKeyInfo.
    pub fn to_spki(&self) -> Vec<u8> {
        [SPKI_PREFIX.as_slice(), self.0.as_slice()].concat()
    }

    /// Reads DER SubjectPublicKeyInfo of an Ed25519 key; `None` for anything else.
    pub fn from_spki(der: &[u8]) -> Option<Self> {
        der.strip_prefix(SPKI_PREFIX.as_slice())?.try_into().ok().map(Self)
    }

    pub fn to_pem(&self) -> String {
        pem::encode(LABEL, &self.to_spki()).to_string()
    }

    pub fn from_pem(text: &str) -> Option<Self> {
        Self::from_spki(&pem::decode(LABEL, text)?)
    }

    /// Reads a PEM file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = read_text_capped(path, FILE_BYTES_MAX)
            .map_err(|source| KeyError::File { path: path.to_owned(), source })?;
        Self::from_pem(&text).ok_or_else(|| KeyError::Form {
            path: path.to_owned(),
            expected: "an Ed25519 public key in PEM",
            found: "something else",
        })
    }

    /// Writes a PEM file that everybody may read.
    pub fn save(&self, path: &Path) -> Result<(), KeyError> {
        write_atomic(path, self.to_pem().as_bytes(), Mode::Shared)
            .map_err(|source| KeyError::File { path: path.to_owned(), source })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}
