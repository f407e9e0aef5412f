//! Inclusion and consistency paths: built from nodes, checked against roots.
//!
//! Building follows the recursive definitions of RFC 6962 §2.1.1 and §2.1.2; checking follows the loops of RFC 9162
//! §2.1.3.2 and §2.1.4.2. The two are written from different texts on purpose: the tests hold them against each other
//! and against a foreign implementation.

use crate::hash::TreeHash;

/// Longest path: one hash per bit of a 64-bit size.
pub const PATH_HASHES_MAX: usize = 64;

/// Where the roots of complete subtrees come from (tiles on disk, a test's memory).
pub trait Nodes {
    type Error;
    /// The root of the complete subtree over the leaves `index << level .. (index + 1) << level`.
    fn node(&mut self, level: u8, index: u64) -> Result<TreeHash, Self::Error>;
}

/// The largest power of two smaller than `len`, for `len` ≥ 2: where RFC 6962 splits a tree.
fn split(len: u64) -> u64 {
    1 << (63 - (len - 1).leading_zeros())
}

/// The root over `len` ≥ 1 leaves from `start`, which RFC 6962's splitting keeps aligned to the subtrees inside.
fn range_root<N: Nodes>(nodes: &mut N, start: u64, len: u64) -> Result<TreeHash, N::Error> {
    if len.is_power_of_two() {
        let level = len.trailing_zeros();
        return nodes.node(u8::try_from(level).unwrap_or(u8::MAX), start >> level);
    }
    let k = split(len);
    let left = range_root(nodes, start, k)?;
    let right = range_root(nodes, start + k, len - k)?;
    Ok(TreeHash::node(&left, &right))
}

/// The root of the tree of `size` leaves.
pub fn root<N: Nodes>(nodes: &mut N, size: u64) -> Result<TreeHash, N::Error> {
    if size == 0 { Ok(TreeHash::empty()) } else { range_root(nodes, 0, size) }
}

/// The inclusion path of leaf `index` in the tree of `size` leaves, leaf's sibling first. Empty when `index` is not in
/// the tree: such a path verifies nothing.
pub fn inclusion<N: Nodes>(nodes: &mut N, index: u64, size: u64) -> Result<Vec<TreeHash>, N::Error> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut start, mut len) = (0u64, size);
    while len > 1 {
        let k = split(len);
        if index - start < k {
            path.push(range_root(nodes, start + k, len - k)?);
            len = k;
        } else {
            path.push(range_root(nodes, start, k)?);
            start += k;
            len -= k;
        }
    }
    path.reverse();
    Ok(path)
}

/// The consistency path from the tree of `old` leaves to the tree of `new` leaves. Empty when there is nothing to show.
pub fn consistency<N: Nodes>(nodes: &mut N, old: u64, new: u64) -> Result<Vec<TreeHash>, N::Error> {
    let mut path = Vec::new();
    if old == 0 || old >= new {
        return Ok(path);
    }
    // `whole` is RFC 6962's flag b: the old tree is a complete subtree the verifier already has the root of.
    let (mut start, mut len, mut whole) = (0u64, new, true);
    while old - start != len {
        let k = split(len);
        if old - start <= k {
            path.push(range_root(nodes, start + k, len - k)?);
            len = k;
        } else {
            path.push(range_root(nodes, start, k)?);
            start += k;
            len -= k;
            whole = false;
        }
    }
    if !whole {
        path.push(range_root(nodes, start, len)?);
    }
    path.reverse();
    Ok(path)
}

/// The root that `path` leads to from `leaf`, or `None` when a path of this length cannot belong to `index` and `size`.
pub fn root_from_inclusion(leaf: TreeHash, index: u64, size: u64, path: &[TreeHash]) -> Option<TreeHash> {
    if index >= size {
        return None;
    }
    let (mut fnode, mut snode) = (index, size - 1);
    let mut root = leaf;
    for sibling in path {
        if snode == 0 {
            return None;
        }
        if fnode & 1 == 1 || fnode == snode {
            root = TreeHash::node(sibling, &root);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            root = TreeHash::node(&root, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    (snode == 0).then_some(root)
}

/// Whether `path` shows the tree (`old_size`, `old_root`) to be a prefix of the tree (`new_size`, `new_root`).
pub fn is_consistent(old: (u64, TreeHash), new: (u64, TreeHash), path: &[TreeHash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size > new_size {
        return false;
    }
    if old_size == 0 {
        return path.is_empty() && old_root == TreeHash::empty();
    }
    if old_size == new_size {
        return path.is_empty() && old_root == new_root;
    }
    let (mut fnode, mut snode) = (old_size - 1, new_size - 1);
    while fnode & 1 == 1 {
        fnode >>= 1;
        snode >>= 1;
    }
    // A power of two is its own left subtree: the path leaves out what the verifier has (RFC 9162 §2.1.4.2, step 2).
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, path)
    } else {
        let Some((first, rest)) = path.split_first() else { return false };
        (*first, rest)
    };
    let (mut from_old, mut from_new) = (first, first);
    for hash in rest {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            from_old = TreeHash::node(hash, &from_old);
            from_new = TreeHash::node(hash, &from_new);
            while fnode & 1 == 0 && fnode != 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            from_new = TreeHash::node(&from_new, hash);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    snode == 0 && from_old == old_root && from_new == new_root
}
