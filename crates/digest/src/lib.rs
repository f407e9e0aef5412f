//! SHA-256 digests: the name of every byte Hermetic keeps.
//!
//! What it is for: [`Digest`], a value that is always a well-formed `sha256:<64 hex>`; [`HashingReader`], which
//! hashes while somebody else reads; and [`chain`], which lets the parts of one blob be checked alone, in any order
//! and on any core, while every byte is still hashed exactly once.
//!
//! What it must not know: where blobs live, what they mean, any wire format beyond the OCI digest string.
//!
//! Invariants: a `Digest` is only made by hashing or by parsing; comparison is over the 32 bytes.

use sha2::Digest as _;
use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

pub mod chain;

/// A SHA-256 digest. Text form `sha256:<64 lower-case hex>` (OCI image-spec, descriptor, "Digests").
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    #[error("expected a digest of the form `sha256:<64 hex>`, found `{found}`")]
    Prefix { found: String },
    #[error("expected 64 lower-case hexadecimal digits after `sha256:`, found `{found}`")]
    Hex { found: String },
}

impl Digest {
    /// Hashes bytes that are already in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// Takes 32 bytes that came out of a SHA-256 elsewhere (a tree node, a database row).
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits without the algorithm, as used for file names in an OCI layout.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        self.hex().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Text::new(self).as_str())
    }
}

const PREFIX: &[u8; 7] = b"sha256:";

/// A digest's text, made on the stack: a request's records hold five of them.
struct Text([u8; 7 + 64]);

impl Text {
    fn new(digest: &Digest) -> Self {
        let mut text = [0; 7 + 64];
        let (prefix, digits) = text.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX);
        // It fits: twice thirty-two.
        let _ = hex::encode_to_slice(digest.0, digits);
        Self(text)
    }

    fn as_str(&self) -> &str {
        // ASCII, all of it.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let clipped = || text.chars().take(100).collect::<String>();
        let digits =
            text.strip_prefix("sha256:").ok_or_else(|| ParseDigestError::Prefix { found: clipped() })?;
        Self::from_hex(digits).map_err(|_| ParseDigestError::Hex { found: clipped() })
    }
}

impl Digest {
    /// Parses 64 lower-case hexadecimal digits without the `sha256:` in front.
    pub fn from_hex(digits: &str) -> Result<Self, ParseDigestError> {
        let malformed = || ParseDigestError::Hex { found: digits.chars().take(100).collect() };
        if digits.len() != 64 || digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(malformed());
        }
        let mut bytes = [0u8; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| malformed())?;
        Ok(Self(bytes))
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Text::new(self).as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Hashes in steps: the same result as [`Digest::of`] over everything fed to it.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl Hasher {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A reader that hashes and counts what passes through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    bytes: u64,
}

impl<R: Read> HashingReader<R> {
    pub fn new(inner: R) -> Self {
        Self { inner, hasher: Hasher::new(), bytes: 0 }
    }

    /// The digest of, and the number of, the bytes read so far.
    pub fn finish(self) -> (Digest, u64) {
        (self.hasher.finish(), self.bytes)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if let Some(read) = buffer.get(..n) {
            self.hasher.update(read);
        }
        self.bytes = self.bytes.saturating_add(n as u64);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn digest_of_nothing_is_the_known_vector() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
    }

    #[test]
    fn rejects_upper_case_short_and_foreign_algorithms() {
        let good = Digest::of(b"x").hex();
        for bad in [
            good.clone(),
            format!("sha256:{}", good.to_uppercase()),
            "sha256:abc".into(),
            format!("sha512:{good}"),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn text_form_round_trips(bytes: [u8; 32]) {
            let digest = Digest::from_bytes(bytes);
            prop_assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        }

        #[test]
        fn reading_hashes_the_same_as_hashing(data: Vec<u8>) {
            let mut reader = HashingReader::new(data.as_slice());
            io::copy(&mut reader, &mut io::sink()).unwrap();
            prop_assert_eq!(reader.finish(), (Digest::of(&data), data.len() as u64));
        }
    }
}
