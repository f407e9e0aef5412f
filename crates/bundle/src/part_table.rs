//! The part table: for every blob, the SHA-256 chain value after each part but the last.
//!
//! With it a part can be checked by itself, on any core, in any order, and an import resumes at a part; the last part
//! ends in the blob's own digest, so the table adds no second hash (see `hermetic_digest::chain`). The table is named by
//! digest in the signed release statement: until that is verified, nothing in it may be believed.

use crate::document::{self, DocumentError};
use crate::limits::{BLOB_BYTES_MAX, BLOBS_MAX, PART_BYTES_MAX, PART_BYTES_MIN, PART_TABLE_BYTES_MAX};
use hermetic_digest::Digest;
use hermetic_digest::chain::{BLOCK_BYTES, ChainValue, PartHasher};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const WHAT: &str = "the part table";

/// How each blob of a bundle is cut, by digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartTable {
    part_bytes: u64,
    blobs: BTreeMap<Digest, BlobParts>,
}

/// One blob's length and chain values. The number of chain values always fits the length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobParts {
    digest: Digest,
    size: u64,
    part_bytes: u64,
    chain: Vec<ChainValue>,
}

/// One part of one blob: where it lies and between which two states its bytes must lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    pub index: u64,
    pub offset: u64,
    pub bytes: u64,
    before: ChainValue,
    after: After,
    blob_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum After {
    Inner(ChainValue),
    Last(Digest),
}

impl Part {
    /// A hasher in the state before this part. Feed it the part's bytes, then ask [`Part::accepts`].
    pub fn hasher(&self) -> PartHasher {
        PartHasher::starting_at(self.before)
    }

    /// Whether the bytes fed to `hasher` were this part.
    pub fn accepts(&self, hasher: PartHasher) -> bool {
        match self.after {
            After::Inner(expected) => hasher.chain_value() == Some(expected),
            After::Last(expected) => hasher.finish(self.blob_bytes) == expected,
        }
    }
}

impl BlobParts {
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of parts; an empty blob has one, empty.
    pub fn count(&self) -> u64 {
        self.chain.len() as u64 + 1
    }

    /// The part at `index`, counted from 0.
    pub fn part(&self, index: u64) -> Option<Part> {
        let at = usize::try_from(index).ok()?;
        let before = match at.checked_sub(1) {
            None => ChainValue::START,
            Some(previous) => *self.chain.get(previous)?,
        };
        let offset = index.checked_mul(self.part_bytes)?;
        let after = match self.chain.get(at) {
            Some(value) => After::Inner(*value),
            None => After::Last(self.digest),
        };
        let bytes = self.part_bytes.min(self.size.checked_sub(offset)?);
        Some(Part { index, offset, bytes, before, after, blob_bytes: self.size })
    }

    pub fn parts(&self) -> impl Iterator<Item = Part> + '_ {
        (0..self.count()).filter_map(|index| self.part(index))
    }
}

/// How many chain values a blob of `size` bytes has in parts of `part_bytes`: one less than it has parts.
fn chain_len(size: u64, part_bytes: u64) -> u64 {
    size.div_ceil(part_bytes).saturating_sub(1)
}

fn check_part_bytes(part_bytes: u64) -> Result<(), DocumentError> {
    // SHA-256 carries its state over block boundaries only, so a part must end on one.
    if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&part_bytes)
        || !part_bytes.is_multiple_of(BLOCK_BYTES as u64)
    {
        let expected =
            format!("`part_bytes` from {PART_BYTES_MIN} to {PART_BYTES_MAX}, a multiple of {BLOCK_BYTES}");
        return Err(DocumentError::value(WHAT, expected, part_bytes));
    }
    Ok(())
}

/// Hashes a blob in one pass, noting the chain values on the way.
#[derive(Debug, Clone)]
pub struct ChainBuilder {
    part_bytes: u64,
    hasher: PartHasher,
    /// Bytes of the current part that were fed already.
    in_part: u64,
    size: u64,
    chain: Vec<ChainValue>,
}

impl ChainBuilder {
    pub fn new(part_bytes: u64) -> Result<Self, DocumentError> {
        check_part_bytes(part_bytes)?;
        let hasher = PartHasher::starting_at(ChainValue::START);
        Ok(Self { part_bytes, hasher, in_part: 0, size: 0, chain: Vec::new() })
    }

    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // The value is taken when more follows: a blob that ends on a boundary has its digest there, not a link.
            if self.in_part == self.part_bytes {
                self.chain.extend(self.hasher.chain_value());
                self.in_part = 0;
            }
            let room = usize::try_from(self.part_bytes - self.in_part).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.hasher.update(now);
            self.in_part += now.len() as u64;
            self.size += now.len() as u64;
            bytes = rest;
        }
    }

    pub fn finish(self) -> BlobParts {
        let digest = self.hasher.finish(self.size);
        BlobParts { digest, size: self.size, part_bytes: self.part_bytes, chain: self.chain }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TableRow {
    part_bytes: u64,
    blobs: Vec<BlobRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BlobRow {
    digest: Digest,
    size: u64,
    chain: Vec<ChainValue>,
}

impl PartTable {
    /// Makes a table. The same blob twice is one entry; a blob cut at another part size is refused.
    pub fn new(part_bytes: u64, blobs: impl IntoIterator<Item = BlobParts>) -> Result<Self, DocumentError> {
        check_part_bytes(part_bytes)?;
        let blobs: BTreeMap<_, _> = blobs.into_iter().map(|blob| (blob.digest, blob)).collect();
        if let Some(other) = blobs.values().find(|blob| blob.part_bytes != part_bytes) {
            return Err(DocumentError::value(WHAT, format!("parts of {part_bytes} bytes"), other.part_bytes));
        }
        if blobs.len() > BLOBS_MAX {
            return Err(DocumentError::value(WHAT, format!("at most {BLOBS_MAX} blobs"), blobs.len()));
        }
        Ok(Self { part_bytes, blobs })
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let table: TableRow = document::parse(WHAT, bytes, PART_TABLE_BYTES_MAX)?;
        check_part_bytes(table.part_bytes)?;
        if table.blobs.len() > BLOBS_MAX {
            return Err(DocumentError::value(WHAT, format!("at most {BLOBS_MAX} blobs"), table.blobs.len()));
        }
        let mut blobs = BTreeMap::new();
        for BlobRow { digest, size, chain } in table.blobs {
            if size > BLOB_BYTES_MAX {
                return Err(DocumentError::value(
                    WHAT,
                    format!("blobs of at most {BLOB_BYTES_MAX} bytes"),
                    size,
                ));
            }
            let wanted = chain_len(size, table.part_bytes);
            if chain.len() as u64 != wanted {
                let expected = format!("{wanted} chain values for the {size} bytes of {digest}");
                return Err(DocumentError::value(WHAT, expected, chain.len()));
            }
            let parts = BlobParts { digest, size, part_bytes: table.part_bytes, chain };
            if blobs.insert(digest, parts).is_some() {
                return Err(DocumentError::value(WHAT, "each blob once", format!("{digest} twice")));
            }
        }
        Ok(Self { part_bytes: table.part_bytes, blobs })
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        let blobs = self.blobs.values();
        let blobs = blobs
            .map(|blob| BlobRow { digest: blob.digest, size: blob.size, chain: blob.chain.clone() })
            .collect();
        document::write(WHAT, &TableRow { part_bytes: self.part_bytes, blobs })
    }

    pub fn part_bytes(&self) -> u64 {
        self.part_bytes
    }

    pub fn blob(&self, digest: &Digest) -> Option<&BlobParts> {
        self.blobs.get(digest)
    }

    /// All blobs, sorted by digest.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = &BlobParts> {
        self.blobs.values()
    }

    /// The sum of all blobs; saturating, because sizes come from a document.
    pub fn total_bytes(&self) -> u64 {
        self.blobs.values().fold(0, |sum, blob| sum.saturating_add(blob.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PART: u64 = PART_BYTES_MIN;

    fn cut(data: &[u8], feed: usize) -> BlobParts {
        let mut builder = ChainBuilder::new(PART).unwrap();
        data.chunks(feed).for_each(|piece| builder.update(piece));
        builder.finish()
    }

    fn part_of<'a>(data: &'a [u8], part: &Part) -> &'a [u8] {
        let start = usize::try_from(part.offset).unwrap();
        &data[start..start + usize::try_from(part.bytes).unwrap()]
    }

    fn accepts(part: &Part, bytes: &[u8]) -> bool {
        let mut hasher = part.hasher();
        hasher.update(bytes);
        part.accepts(hasher)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn one_pass_gives_the_digest_and_parts_that_accept_their_own_bytes(
            size in 0usize..(4 * PART_BYTES_MIN as usize + 2), seed: u8, feed in 1usize..9_000,
        ) {
            let data: Vec<u8> = (0..size).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect();
            let blob = cut(&data, feed);
            prop_assert_eq!(blob.digest(), Digest::of(&data));
            prop_assert_eq!(blob.parts().map(|p| p.bytes).sum::<u64>(), size as u64);
            prop_assert_eq!(blob.count(), (size as u64).div_ceil(PART).max(1));
            for part in blob.parts() {
                prop_assert!(accepts(&part, part_of(&data, &part)));
            }
        }

        #[test]
        fn a_flipped_bit_is_refused_by_its_part_and_by_no_other(size in 1usize..20_000, at: prop::sample::Index, bit in 0u8..8) {
            let data = vec![7u8; size];
            let blob = cut(&data, 1000);
            let at = at.index(size);
            let mut bad = data;
            bad[at] ^= 1 << bit;
            for part in blob.parts() {
                let hit = part.offset <= at as u64 && (at as u64) < part.offset + part.bytes;
                prop_assert_eq!(accepts(&part, part_of(&bad, &part)), !hit);
            }
        }

        #[test]
        fn a_table_reads_back_and_writes_the_same_bytes(sizes in prop::collection::vec(0usize..20_000, 0..6)) {
            let table = PartTable::new(PART, sizes.iter().map(|n| cut(&vec![1; *n], 500))).unwrap();
            let bytes = table.to_bytes().unwrap();
            let read = PartTable::parse(&bytes).unwrap();
            prop_assert_eq!(read.to_bytes().unwrap(), bytes);
            prop_assert_eq!(read, table);
        }

        #[test]
        fn a_size_that_does_not_fit_its_chain_is_refused(size in 0u64..1_000_000, lie in 0u64..1_000_000) {
            prop_assume!(chain_len(size, PART) != chain_len(lie, PART));
            let chain = vec![ChainValue::START; usize::try_from(chain_len(size, PART)).unwrap()];
            let row = TableRow { part_bytes: PART, blobs: vec![BlobRow { digest: Digest::of(b""), size: lie, chain }] };
            prop_assert!(PartTable::parse(&serde_json::to_vec(&row).unwrap()).is_err());
        }

        #[test]
        fn parsing_any_text_never_panics(text in ".{0,200}") {
            let _ = PartTable::parse(text.as_bytes());
        }
    }

    #[test]
    fn parts_that_are_not_whole_blocks_or_out_of_range_are_refused() {
        for bad in [0, 64, PART + 1, PART_BYTES_MAX + 64, u64::MAX] {
            assert!(ChainBuilder::new(bad).is_err(), "{bad}");
            assert!(
                PartTable::parse(format!(r#"{{"part_bytes":{bad},"blobs":[]}}"#).as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_same_blob_twice_in_a_document_is_refused() {
        let row = || BlobRow { digest: Digest::of(b""), size: 0, chain: vec![] };
        let table = TableRow { part_bytes: PART, blobs: vec![row(), row()] };
        let error = PartTable::parse(&serde_json::to_vec(&table).unwrap()).unwrap_err();
        assert!(error.to_string().contains("each blob once"), "{error}");
    }
}
