//! The key itself: `hk_<16 hex digits of its id>_<43 characters of secret>`.
//!
//! The id is public: it finds the row without searching by secret, and people revoke and read records by it. The
//! secret is 32 random bytes in base64url without padding. It is at rest as one SHA-256: a slow hash (bcrypt, Argon2)
//! exists to make *guessable* secrets expensive to guess, and 256 random bits cannot be guessed at any price; what a
//! slow hash would cost is 100 ms of CPU for every request, a gift to whoever wants to keep the gateway busy. The id is
//! hashed along with the secret, so that exchanging two rows' hashes gives no working key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hermetic_digest::{Digest, Hasher};
use hermetic_ids::KeyId;
use std::fmt;

pub(crate) const SECRET_BYTES: usize = 32;
const PREFIX: &str = "hk_";
const ID_DIGITS: usize = 16;
const SECRET_CHARACTERS: usize = 43;

/// A key as presented. Never printed: `Debug` shows the id alone.
#[derive(Clone)]
pub struct ApiKey {
    id: KeyId,
    secret: [u8; SECRET_BYTES],
}

/// A text that does not have the form of a key. Carries nothing of the text: it may be a key with a typing error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a key of the form hk_<16 hexadecimal digits>_<43 characters>")]
pub struct ApiKeyForm;

impl ApiKey {
    pub(crate) fn from_parts(id: KeyId, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret }
    }

    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Takes a presented key apart, strictly: one text per key, so that a leaked one can be searched for.
    pub fn parse(text: &str) -> Result<Self, ApiKeyForm> {
        let rest = text.strip_prefix(PREFIX).ok_or(ApiKeyForm)?;
        let (digits, rest) = rest.split_at_checked(ID_DIGITS).ok_or(ApiKeyForm)?;
        let secret_text = rest.strip_prefix('_').ok_or(ApiKeyForm)?;
        if secret_text.len() != SECRET_CHARACTERS {
            return Err(ApiKeyForm);
        }
        let mut id = [0u8; 8];
        if digits.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(ApiKeyForm);
        }
        hex::decode_to_slice(digits, &mut id).map_err(|_| ApiKeyForm)?;
        let mut secret = [0u8; SECRET_BYTES];
        match URL_SAFE_NO_PAD.decode_slice(secret_text, &mut secret) {
            Ok(SECRET_BYTES) => Ok(Self { id: KeyId::from_bytes(id), secret }),
            _ => Err(ApiKeyForm),
        }
    }

    /// The text to hand over, once.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", hex::encode(self.id.as_bytes()), URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What is kept of the secret.
    pub fn secret_hash(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(b"hermetic api key v1\0");
        hasher.update(self.id.as_bytes());
        hasher.update(&self.secret);
        hasher.finish()
    }

    /// Whether this is the key whose hash is kept. Takes the same time wherever the two differ.
    pub(crate) fn matches(&self, kept: &Digest) -> bool {
        let presented = self.secret_hash();
        aws_lc_rs::constant_time::verify_slices_are_equal(presented.as_bytes(), kept.as_bytes()).is_ok()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, secret hidden)", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_key_reads_back_and_shows_no_secret(id: [u8; 8], secret: [u8; 32]) {
            let key = ApiKey::from_parts(KeyId::from_bytes(id), secret);
            let text = key.reveal();
            let read = ApiKey::parse(&text).unwrap();
            prop_assert_eq!(read.id(), key.id());
            prop_assert!(read.matches(&key.secret_hash()));
            let shown = format!("{key:?}");
            prop_assert!(!shown.contains(&text[20..]));
        }

        /// One text per key: whatever else parses is another key.
        #[test]
        fn no_second_spelling(id: [u8; 8], secret: [u8; 32], at in 0usize..63, with in "[ -~]") {
            let key = ApiKey::from_parts(KeyId::from_bytes(id), secret);
            let text = key.reveal();
            let mut other = text.clone();
            other.replace_range(at..at + 1, &with);
            if other != text && let Ok(read) = ApiKey::parse(&other) {
                prop_assert!(read.id() != key.id() || !read.matches(&key.secret_hash()));
            }
        }
    }

    #[test]
    fn exchanged_hashes_give_no_key() {
        let (a, b) = (
            ApiKey::from_parts(KeyId::from_bytes([1; 8]), [7; 32]),
            ApiKey::from_parts(KeyId::from_bytes([2; 8]), [7; 32]),
        );
        assert_ne!(a.secret_hash(), b.secret_hash());
    }

    #[test]
    fn texts_that_are_not_keys_are_refused() {
        let good = ApiKey::from_parts(KeyId::from_bytes([0xab; 8]), [0; 32]).reveal();
        assert!(ApiKey::parse(&good).is_ok());
        for bad in [
            "",
            "hk_",
            "sk-abc",
            &good[1..],
            &good[..62],
            &format!("{good}A"),
            &good.replace("hk_ab", "hk_AB"),
            &format!("hk_{}", "é".repeat(30)),
        ] {
            assert!(ApiKey::parse(bad).is_err(), "{bad}");
        }
    }
}
