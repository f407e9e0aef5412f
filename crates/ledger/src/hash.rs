//! The 32 bytes at a node of the tree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hermetic_digest::{Digest, Hasher};
use std::fmt;

/// Length of a tree hash.
pub const HASH_BYTES: usize = 32;

/// A leaf's or a node's hash. Text form: standard base64 with padding (RFC 4648 §4), as C2SP writes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreeHash([u8; HASH_BYTES]);

impl TreeHash {
    /// The hash of a leaf (RFC 6962 §2.1). The `0x00` keeps a leaf from being passed off as a node.
    pub fn leaf(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(&[0x00]);
        hasher.update(bytes);
        Self(*hasher.finish().as_bytes())
    }

    /// The hash of the node above two others (RFC 6962 §2.1).
    pub fn node(left: &Self, right: &Self) -> Self {
        let mut bytes = [0x01; 1 + 2 * HASH_BYTES];
        for (slot, byte) in bytes.iter_mut().skip(1).zip(left.0.iter().chain(&right.0)) {
            *slot = *byte;
        }
        Self(*Digest::of(&bytes).as_bytes())
    }

    /// The root of the tree without leaves: SHA-256 of nothing (RFC 6962 §2.1).
    pub fn empty() -> Self {
        Self(*Digest::of(b"").as_bytes())
    }

    pub const fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Reads the one text form. Other paddings, alphabets or stray bits are refused.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for TreeHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TreeHash({self})")
    }
}

impl serde::Serialize for TreeHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
