//! The right edge of the tree: all that is needed to add a leaf or compute the root.
//!
//! A tree of `size` leaves is a row of perfect subtrees, one per bit of `size`, the largest first. Their roots, the
//! *peaks*, are at most 64 hashes.

use crate::hash::TreeHash;

/// The size of a tree and its peaks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<TreeHash>,
}

impl Frontier {
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// Puts a stored frontier together again; `None` when the number of peaks does not fit the size. Whether the peaks
    /// are the right ones shows only when the root is compared with a signed one.
    pub fn from_peaks(size: u64, peaks: Vec<TreeHash>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    pub const fn size(&self) -> u64 {
        self.size
    }

    pub fn peaks(&self) -> &[TreeHash] {
        &self.peaks
    }

    /// Adds the next leaf: one node hash on average.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut hash = leaf;
        let mut remaining = self.size;
        while remaining & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = TreeHash::node(&left, &hash);
            remaining >>= 1;
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The Merkle tree hash (RFC 6962 §2.1).
    pub fn root(&self) -> TreeHash {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else { return TreeHash::empty() };
        peaks.fold(*last, |right, left| TreeHash::node(left, &right))
    }
}
