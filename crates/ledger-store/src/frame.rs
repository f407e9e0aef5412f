//! One record in a write-ahead segment.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the record; the top bit marks the last frame of a batch |
//! | 8 | index of the record |
//! | 8 | number of the batch |
//! | 12 | first bytes of `SHA-256(the 20 bytes above ‖ leaf hash)` |
//! | length | the record |
//!
//! Recovery needs the leaf hash of every record anyway, so a check made from it costs one more SHA-256 block and needs
//! no second algorithm. The index makes a frame left over from a recycled segment impossible to mistake for a new one;
//! batch number and end mark tell a torn last batch (never acknowledged, cut off) from damage to older frames
//! (acknowledged, refused): a batch is written only after the one before it was synced.

use hermetic_digest::Hasher;
use hermetic_ledger::{RECORD_BYTES_MAX, TreeHash};

pub(crate) const HEADER_BYTES: usize = 32;
const CHECKED_BYTES: usize = 20;
const END_OF_BATCH: u32 = 1 << 31;

/// What stands before a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub(crate) index: u64,
    pub(crate) batch: u64,
    pub(crate) ends_batch: bool,
}

/// A frame that was read and whose check holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) head: FrameHead,
    pub(crate) record: &'a [u8],
    pub(crate) leaf: TreeHash,
}

impl Frame<'_> {
    pub(crate) fn bytes(&self) -> usize {
        HEADER_BYTES + self.record.len()
    }
}

fn check(checked: &[u8], leaf: &TreeHash) -> [u8; HEADER_BYTES - CHECKED_BYTES] {
    let mut hasher = Hasher::new();
    hasher.update(checked);
    hasher.update(leaf.as_bytes());
    let mut out = [0; HEADER_BYTES - CHECKED_BYTES];
    out.iter_mut().zip(hasher.finish().as_bytes()).for_each(|(slot, byte)| *slot = *byte);
    out
}

/// Adds a frame to `out`. `record` is at most [`RECORD_BYTES_MAX`] bytes: the queue takes no other.
pub(crate) fn encode(out: &mut Vec<u8>, head: FrameHead, record: &[u8], leaf: &TreeHash) {
    let length = u32::try_from(record.len()).unwrap_or(0) | if head.ends_batch { END_OF_BATCH } else { 0 };
    let from = out.len();
    out.extend(length.to_be_bytes());
    out.extend(head.index.to_be_bytes());
    out.extend(head.batch.to_be_bytes());
    let tag = check(out.get(from..).unwrap_or_default(), leaf);
    out.extend(tag);
    out.extend(record);
}

/// Reads the frame at the start of `bytes`; `None` when there is none or its check fails.
pub(crate) fn decode(bytes: &[u8]) -> Option<Frame<'_>> {
    let (head, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (checked, tag) = head.split_at_checked(CHECKED_BYTES)?;
    let (length, numbers) = checked.split_first_chunk::<4>()?;
    let (index, batch) = numbers.split_first_chunk::<8>()?;
    let length = u32::from_be_bytes(*length);
    let bytes = usize::try_from(length & !END_OF_BATCH).ok()?;
    if bytes == 0 || bytes > RECORD_BYTES_MAX {
        return None;
    }
    let record = rest.get(..bytes)?;
    let leaf = TreeHash::leaf(record);
    if check(checked, &leaf) != tag {
        return None;
    }
    let head = FrameHead {
        index: u64::from_be_bytes(*index),
        batch: u64::from_be_bytes(batch.try_into().ok()?),
        ends_batch: length & END_OF_BATCH != 0,
    };
    Some(Frame { head, record, leaf })
}

/// The index a frame at the start of `bytes` would have: cheap, unchecked, to pass over what cannot be a frame.
pub(crate) fn peek_index(bytes: &[u8]) -> Option<u64> {
    let length = u32::from_be_bytes(*bytes.first_chunk::<4>()?) & !END_OF_BATCH;
    if length == 0 || length as usize > RECORD_BYTES_MAX {
        return None;
    }
    Some(u64::from_be_bytes(*bytes.get(4..12)?.first_chunk::<8>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_frame_reads_back_and_any_flipped_bit_is_noticed(record in proptest::collection::vec(any::<u8>(), 1..300),
                index: u64, batch: u64, ends_batch: bool, flip in 0usize..2656) {
            let head = FrameHead { index, batch, ends_batch };
            let mut bytes = Vec::new();
            encode(&mut bytes, head, &record, &TreeHash::leaf(&record));
            let frame = decode(&bytes).unwrap();
            prop_assert_eq!((frame.head, frame.record, frame.bytes()), (head, record.as_slice(), bytes.len()));
            let at = flip % (bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(decode(&bytes).is_none());
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = peek_index(&bytes);
        }
    }
}
