//! What is remembered of tokens: those that verified, so that the next request pays a hash and a lookup, and those that
//! may not be used again. Both are bounded.

use crate::token::error::TokenRefusal;
use crate::token::verify::Verified;
use hermetic_clock::UnixMillis;
use hermetic_digest::Digest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Verified tokens remembered. A site has as many as callers with a token in force; forgetting costs a signature.
pub const VERIFIED_MAX: usize = 16_384;

/// Single-use tokens remembered until they expire. One more is refused: forgetting would let a used one in again.
pub const USED_MAX: usize = 262_144;

/// A token that verified, and under which keys.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) verified: Verified,
    /// Which issuer, by its place in the configuration.
    pub(crate) issuer: usize,
    /// Which state of the issuer's keys. A key that was withdrawn takes its tokens with it.
    pub(crate) keys: u64,
}

/// Verified tokens by the digest of their text.
#[derive(Debug, Default)]
pub(crate) struct VerifiedTokens(RwLock<HashMap<Digest, Arc<Remembered>>>);

impl VerifiedTokens {
    pub(crate) fn get(&self, token: &Digest) -> Option<Arc<Remembered>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).map(Arc::clone)
    }

    pub(crate) fn remember(&self, token: Digest, remembered: Remembered, now: UnixMillis) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= VERIFIED_MAX {
            tokens.retain(|_, remembered| remembered.verified.until > now);
        }
        if tokens.len() >= VERIFIED_MAX {
            tokens.clear();
        }
        tokens.insert(token, Arc::new(remembered));
    }
}

/// Ids of single-use tokens that were used, by issuer, each until its token expires.
#[derive(Debug, Default)]
pub(crate) struct UsedTokens(Mutex<HashMap<(usize, String), UnixMillis>>);

impl UsedTokens {
    /// Uses a token up. The second caller with the same one is refused, whichever came first by how little.
    pub(crate) fn use_up(
        &self,
        issuer: usize,
        id: &str,
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), TokenRefusal> {
        let mut used = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (issuer, id.to_owned());
        if used.get(&key).is_some_and(|&until| until > now) {
            return Err(TokenRefusal::Replayed);
        }
        if used.len() >= USED_MAX {
            used.retain(|_, until| *until > now);
        }
        if used.len() >= USED_MAX {
            return Err(TokenRefusal::NoRoom { max: USED_MAX });
        }
        used.insert(key, until);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_up_for_its_issuer_until_it_expires() {
        let used = UsedTokens::default();
        assert_eq!(used.use_up(0, "j", 100, 1), Ok(()));
        assert_eq!(used.use_up(0, "j", 100, 99), Err(TokenRefusal::Replayed));
        assert_eq!(used.use_up(1, "j", 100, 1), Ok(()), "another issuer's `j` is another token");
        assert_eq!(used.use_up(0, "j", 200, 100), Ok(()), "an expired one cannot come back by itself");
    }

    #[test]
    fn when_memory_is_full_of_tokens_in_force_one_more_is_refused_not_an_old_one_forgotten() {
        let used = UsedTokens::default();
        for number in 0..USED_MAX {
            used.use_up(0, &number.to_string(), 100, 1).unwrap();
        }
        assert_eq!(used.use_up(0, "more", 100, 1), Err(TokenRefusal::NoRoom { max: USED_MAX }));
        assert_eq!(used.use_up(0, "7", 100, 1), Err(TokenRefusal::Replayed));
        assert_eq!(used.use_up(0, "more", 200, 100), Ok(()), "expired ones make room");
    }
}
