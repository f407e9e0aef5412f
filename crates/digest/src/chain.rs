//! The SHA-256 of a blob, cut at part boundaries.
//!
//! SHA-256 walks a file in 64-byte blocks and carries 32 bytes of state from each block to the next. A part table that
//! records this state at every part boundary (the *chain value*) buys three things for the price of one hash:
//!
//! - each part can be checked by itself, on any core, in any order, from any disk: start from the chain value before
//!   it, hash the part, compare with the chain value after it;
//! - the last part ends in the digest of the whole blob, so the very same pass proves the OCI digest;
//! - an import that was cut off resumes at a part without any saved hasher.
//!
//! It is sound because it *is* SHA-256 (FIPS 180-4 §6.2.2): the first part starts from the initial value H(0), every
//! link is checked, the end is the padded digest. Two different parts between the same two chain values would be a
//! SHA-256 collision after a common prefix.

use crate::Digest;
use std::fmt;

/// SHA-256's block length in bytes: parts but the last are multiples of it.
pub const BLOCK_BYTES: usize = 64;

/// The 32 bytes SHA-256 carries over a block boundary. Text form: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainValue([u32; 8]);

impl ChainValue {
    /// H(0) of FIPS 180-4 §5.3.3: the state before the first byte.
    pub const START: Self = Self([
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ]);

    pub fn to_bytes(self) -> [u8; 32] {
        let mut out = [0u8; 32];
        for (slot, word) in out.chunks_exact_mut(4).zip(self.0) {
            slot.copy_from_slice(&word.to_be_bytes());
        }
        out
    }

    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let mut words = [0u32; 8];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            *word = chunk.iter().fold(0, |acc, &b| (acc << 8) | u32::from(b));
        }
        Self(words)
    }
}

impl fmt::Debug for ChainValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainValue({})", hex::encode(self.to_bytes()))
    }
}

impl serde::Serialize for ChainValue {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.to_bytes()))
    }
}

impl<'de> serde::Deserialize<'de> for ChainValue {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Digest::from_hex(&text).map(|d| Self::from_bytes(*d.as_bytes())).map_err(serde::de::Error::custom)
    }
}

/// Hashes one part, fed in pieces of any length, from the chain value before it.
#[derive(Clone)]
pub struct PartHasher {
    state: [u32; 8],
    pending: [u8; BLOCK_BYTES],
    pending_len: usize,
}

impl fmt::Debug for PartHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartHasher")
    }
}

impl PartHasher {
    pub fn starting_at(before: ChainValue) -> Self {
        Self { state: before.0, pending: [0; BLOCK_BYTES], pending_len: 0 }
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        if self.pending_len > 0 {
            let take = bytes.len().min(BLOCK_BYTES - self.pending_len);
            let (head, rest) = bytes.split_at(take);
            if let Some(slot) = self.pending.get_mut(self.pending_len..self.pending_len + take) {
                slot.copy_from_slice(head);
            }
            self.pending_len += take;
            bytes = rest;
            if self.pending_len < BLOCK_BYTES {
                return;
            }
            sha2::block_api::compress256(&mut self.state, &[self.pending]);
            self.pending_len = 0;
        }
        let (blocks, tail) = bytes.as_chunks::<BLOCK_BYTES>();
        sha2::block_api::compress256(&mut self.state, blocks);
        if let Some(slot) = self.pending.get_mut(..tail.len()) {
            slot.copy_from_slice(tail);
        }
        self.pending_len = tail.len();
    }

    /// The chain value after an inner part; `None` when the bytes fed did not end on a block boundary.
    pub fn chain_value(&self) -> Option<ChainValue> {
        (self.pending_len == 0).then_some(ChainValue(self.state))
    }

    /// The digest of the whole blob, when this was its last part. `blob_bytes` is the length of the whole blob:
    /// SHA-256 ends with the length in bits (FIPS 180-4 §5.1.1).
    pub fn finish(mut self, blob_bytes: u64) -> Digest {
        let mut padding = [0u8; 2 * BLOCK_BYTES];
        padding[0] = 0x80;
        let room_for_length = BLOCK_BYTES - 8;
        let zeros_to =
            if self.pending_len < room_for_length { room_for_length } else { BLOCK_BYTES + room_for_length };
        let pad_len = zeros_to - self.pending_len;
        let bits = blob_bytes.wrapping_mul(8).to_be_bytes();
        if let Some(slot) = padding.get_mut(pad_len..pad_len + 8) {
            slot.copy_from_slice(&bits);
        }
        let tail = padding;
        self.update(tail.get(..pad_len + 8).unwrap_or_default());
        Digest::from_bytes(ChainValue(self.state).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hashes `data` in parts of `part_bytes`, each from its own chain value, and returns the whole digest.
    fn by_parts(data: &[u8], part_bytes: usize, feed: usize) -> Digest {
        let parts: Vec<&[u8]> = if data.is_empty() { vec![&[]] } else { data.chunks(part_bytes).collect() };
        let mut before = ChainValue::START;
        for (i, part) in parts.iter().enumerate() {
            let mut hasher = PartHasher::starting_at(before);
            part.chunks(feed).for_each(|piece| hasher.update(piece));
            if i + 1 == parts.len() {
                return hasher.finish(data.len() as u64);
            }
            before = hasher.chain_value().expect("inner parts are whole blocks");
        }
        unreachable!("there is always a last part")
    }

    proptest! {
        #[test]
        fn parts_end_in_the_digest_of_the_whole(data in proptest::collection::vec(any::<u8>(), 0..2000), blocks in 1usize..8, feed in 1usize..200) {
            prop_assert_eq!(by_parts(&data, blocks * BLOCK_BYTES, feed), Digest::of(&data));
        }

        #[test]
        fn a_changed_part_breaks_its_own_link(data in proptest::collection::vec(any::<u8>(), 128..512), at in 0usize..64, bit in 0u8..8) {
            let honest = { let mut h = PartHasher::starting_at(ChainValue::START); h.update(&data[..64]); h.chain_value() };
            let mut bad = data.clone();
            bad[at] ^= 1 << bit;
            let forged = { let mut h = PartHasher::starting_at(ChainValue::START); h.update(&bad[..64]); h.chain_value() };
            prop_assert_ne!(honest, forged);
        }
    }

    #[test]
    fn every_length_around_the_padding_boundary_agrees() {
        for len in 0..=200usize {
            let data = vec![0x61; len];
            assert_eq!(by_parts(&data, 64, 7), Digest::of(&data), "length {len}");
        }
    }

    #[test]
    fn an_unaligned_inner_part_has_no_chain_value() {
        let mut hasher = PartHasher::starting_at(ChainValue::START);
        hasher.update(b"abc");
        assert_eq!(hasher.chain_value(), None);
    }
}
