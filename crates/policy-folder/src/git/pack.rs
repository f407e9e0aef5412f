//! One pack: the index that finds an object, and the object, which may be a chain of differences (gitformat-pack).
//!
//! Index and pack are read in place, a few bytes at a time: a pack of gigabytes costs what the one object costs.

use super::GitError;
use super::objects::{Kind, OBJECT_BYTES_MAX, Objects, inflated};
use hermetic_bounded_io::open_regular;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Differences on top of each other. Git writes 50 by default and takes 4,095 at most.
const DELTAS_MAX: usize = 4_095;
/// `\377tOc`, version 2.
const INDEX_HEAD: [u8; 8] = [0xff, b't', b'O', b'c', 0, 0, 0, 2];
const FAN_OUT_AT: u64 = 8;
const NAMES_AT: u64 = FAN_OUT_AT + 256 * 4;

pub(super) struct Pack {
    index: File,
    pack: File,
    name_bytes: usize,
    count: u64,
}

/// An object as it stands in the pack.
enum Stored {
    Whole(Kind, Vec<u8>),
    /// A difference against the object at that offset of the same pack.
    OffsetDelta(u64, Vec<u8>),
    /// A difference against the object of that name.
    NameDelta(Vec<u8>, Vec<u8>),
}

/// A file from some offset on.
struct From<'a> {
    file: &'a File,
    at: u64,
}

impl Read for From<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Pack {
    pub(super) fn open(index: &Path, name_bytes: usize) -> Result<Self, GitError> {
        let pack = open_regular(&index.with_extension("pack"))?.0;
        let index = open_regular(index)?.0;
        let mut head = [0; 8];
        index.read_exact_at(&mut head, 0)?;
        if head != INDEX_HEAD {
            return Err(GitError::Malformed);
        }
        let mut opened = Self { index, pack, name_bytes, count: 0 };
        opened.count = opened.fan_out(255)?;
        Ok(opened)
    }

    fn u32_at(&self, at: u64) -> Result<u64, GitError> {
        let mut bytes = [0; 4];
        self.index.read_exact_at(&mut bytes, at)?;
        Ok(u32::from_be_bytes(bytes).into())
    }

    /// How many names begin with a byte up to this one.
    fn fan_out(&self, byte: u8) -> Result<u64, GitError> {
        self.u32_at(FAN_OUT_AT + u64::from(byte) * 4)
    }

    /// Where the object begins in the pack.
    pub(super) fn find(&self, id: &[u8]) -> Result<Option<u64>, GitError> {
        let first = *id.first().ok_or(GitError::Malformed)?;
        let mut low = if first == 0 { 0 } else { self.fan_out(first - 1)? };
        let mut high = self.fan_out(first)?;
        let length = self.name_bytes as u64;
        let mut name = vec![0; self.name_bytes];
        while low < high {
            let middle = low + (high - low) / 2;
            self.index.read_exact_at(&mut name, NAMES_AT + middle * length)?;
            match name.as_slice().cmp(id) {
                std::cmp::Ordering::Equal => return self.offset(middle).map(Some),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(None)
    }

    /// Behind the names stand a checksum and an offset of four bytes for each; a set top bit leads to one of eight.
    fn offset(&self, number: u64) -> Result<u64, GitError> {
        let offsets = NAMES_AT + self.count * (self.name_bytes as u64 + 4);
        let offset = self.u32_at(offsets + number * 4)?;
        if offset & 0x8000_0000 == 0 {
            return Ok(offset);
        }
        let mut bytes = [0; 8];
        let long = offsets + self.count * 4 + (offset & 0x7fff_ffff) * 8;
        self.index.read_exact_at(&mut bytes, long)?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// The object at an offset, its differences applied.
    pub(super) fn read(&self, at: u64, objects: &Objects) -> Result<(Kind, Vec<u8>), GitError> {
        let mut deltas = Vec::new();
        let mut stored = self.stored(at)?;
        let mut at = at;
        let (kind, mut content) = loop {
            match stored {
                Stored::Whole(kind, content) => break (kind, content),
                Stored::OffsetDelta(back, delta) => {
                    deltas.push(delta);
                    at = at.checked_sub(back).filter(|_| back > 0).ok_or(GitError::Malformed)?;
                    stored = self.stored(at)?;
                }
                // Only packs sent over a network name a base outside themselves; what is stored has been completed.
                Stored::NameDelta(base, delta) => {
                    deltas.push(delta);
                    match self.find(&base)? {
                        Some(found) => {
                            at = found;
                            stored = self.stored(at)?;
                        }
                        None if deltas.len() == 1 => break objects.find_loose(&base)?,
                        None => return Err(GitError::Missing),
                    }
                }
            }
            if deltas.len() > DELTAS_MAX {
                return Err(GitError::Malformed);
            }
        };
        for delta in deltas.iter().rev() {
            content = apply(&content, delta)?;
        }
        Ok((kind, content))
    }

    fn stored(&self, at: u64) -> Result<Stored, GitError> {
        let mut reader = BufReader::new(From { file: &self.pack, at });
        let first = byte(&mut reader)?;
        let mut more = first & 0x80 != 0;
        while more {
            // The length: what is unpacked says it again, so it is only stepped over.
            more = byte(&mut reader)? & 0x80 != 0;
        }
        let kind = match (first >> 4) & 7 {
            1 => Kind::Commit,
            2 => Kind::Tree,
            3 => Kind::Blob,
            4 => Kind::Tag,
            6 => {
                let back = distance(&mut reader)?;
                return Ok(Stored::OffsetDelta(back, inflated(reader, OBJECT_BYTES_MAX)?));
            }
            7 => {
                let mut base = vec![0; self.name_bytes];
                reader.read_exact(&mut base)?;
                return Ok(Stored::NameDelta(base, inflated(reader, OBJECT_BYTES_MAX)?));
            }
            _ => return Err(GitError::Malformed),
        };
        Ok(Stored::Whole(kind, inflated(reader, OBJECT_BYTES_MAX)?))
    }
}

fn byte(reader: &mut impl Read) -> Result<u8, GitError> {
    let mut byte = [0];
    reader.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// The distance back to a base: seven bits a byte, and each continuation counts one more.
fn distance(reader: &mut impl Read) -> Result<u64, GitError> {
    let mut next = byte(reader)?;
    let mut distance = u64::from(next & 0x7f);
    while next & 0x80 != 0 {
        next = byte(reader)?;
        distance =
            distance.checked_add(1).filter(|distance| *distance < 1 << 56).ok_or(GitError::Malformed)? << 7
                | u64::from(next & 0x7f);
    }
    Ok(distance)
}

/// A length as differences write it: seven bits a byte, lowest first.
fn length(delta: &mut &[u8]) -> Result<usize, GitError> {
    let mut value = 0;
    for shift in (0..usize::BITS).step_by(7) {
        let (next, rest) = delta.split_first().ok_or(GitError::Malformed)?;
        *delta = rest;
        value |= usize::from(next & 0x7f).checked_shl(shift).ok_or(GitError::Malformed)?;
        if next & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(GitError::Malformed)
}

/// Rebuilds an object from its base and a difference: pieces copied from the base, and pieces that are new.
pub(super) fn apply(base: &[u8], mut delta: &[u8]) -> Result<Vec<u8>, GitError> {
    let cap = usize::try_from(OBJECT_BYTES_MAX).unwrap_or(usize::MAX);
    let (of_base, of_result) = (length(&mut delta)?, length(&mut delta)?);
    if of_base != base.len() || of_result > cap {
        return Err(GitError::Malformed);
    }
    let mut result = Vec::with_capacity(of_result);
    while let Some((&instruction, rest)) = delta.split_first() {
        delta = rest;
        let piece = if instruction & 0x80 != 0 {
            let mut argument = |bits: std::ops::Range<u8>| {
                let mut value = 0usize;
                for (place, bit) in bits.enumerate() {
                    if instruction & (1 << bit) != 0 {
                        let (&next, rest) = delta.split_first().ok_or(GitError::Malformed)?;
                        delta = rest;
                        value |= usize::from(next) << (8 * place);
                    }
                }
                Ok::<_, GitError>(value)
            };
            let (from, count) = (argument(0..4)?, argument(4..7)?);
            let count = if count == 0 { 0x1_0000 } else { count };
            base.get(from..from.saturating_add(count)).ok_or(GitError::Malformed)?
        } else {
            // Zero is reserved.
            let count = usize::from(instruction);
            let (piece, rest) =
                delta.split_at_checked(count).filter(|_| count > 0).ok_or(GitError::Malformed)?;
            delta = rest;
            piece
        };
        if result.len() + piece.len() > of_result {
            return Err(GitError::Malformed);
        }
        result.extend_from_slice(piece);
    }
    if result.len() == of_result { Ok(result) } else { Err(GitError::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_difference_copies_from_its_base_and_adds_what_is_new() {
        // base of 11, result of 9; copy 5 from 6; insert 4.
        let delta = [11, 9, 0x91, 6, 5, 4, b'!', b'!', b'!', b'!'];
        assert_eq!(apply(b"hello world", &delta).unwrap(), b"world!!!!");
        assert!(apply(b"hello", &delta).is_err(), "another base");
        assert!(apply(b"hello world", &[11, 9, 0]).is_err(), "the reserved instruction");
        assert!(apply(b"hello world", &[11, 99, 0x91, 6, 5]).is_err(), "a result that stays short");
    }

    proptest! {
        #[test]
        fn no_difference_reads_outside_its_base_or_grows_beyond_what_it_says(
            base in proptest::collection::vec(any::<u8>(), 0..64),
            instructions in proptest::collection::vec(any::<u8>(), 0..64),
            said in 0u8..0x80,
        ) {
            let mut delta = vec![u8::try_from(base.len()).unwrap(), said];
            delta.extend(instructions);
            if let Ok(result) = apply(&base, &delta) {
                prop_assert_eq!(result.len(), usize::from(said));
            }
        }
    }
}
