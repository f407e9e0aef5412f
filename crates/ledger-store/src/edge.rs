//! The right edge of the tiles: what is in no full tile yet.

use hermetic_ledger::tile::{
    TILE_LEVEL_MAX, TILE_WIDTH, TileId, TileKind, encode_entries, encode_hashes, perfect_root,
};
use hermetic_ledger::{Frontier, TreeHash};

const WIDTH: usize = 256;
const _: () = assert!(WIDTH as u64 == TILE_WIDTH);

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) record: Vec<u8>,
    pub(crate) leaf: TreeHash,
}

/// The tree's frontier, the records behind the last full entry bundle, and per tile level from 1 up the hashes behind
/// the last full tile.
#[derive(Debug, Default)]
pub(crate) struct Edge {
    frontier: Frontier,
    entries: Vec<Entry>,
    rows: Vec<Vec<TreeHash>>,
}

/// The next entry bundle, its tile, and the tiles above that become full with it.
#[derive(Debug)]
pub(crate) struct Full {
    pub(crate) files: Vec<(TileId, Vec<u8>)>,
    rows: Vec<Vec<TreeHash>>,
}

impl Edge {
    pub(crate) fn new(frontier: Frontier, entries: Vec<Entry>, rows: Vec<Vec<TreeHash>>) -> Self {
        Self { frontier, entries, rows }
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    pub(crate) fn root(&self) -> TreeHash {
        self.frontier.root()
    }

    pub(crate) fn add(&mut self, entries: Vec<Entry>, frontier: Frontier) {
        self.entries.extend(entries);
        self.frontier = frontier;
    }

    /// Records that are in full tiles: a multiple of 256.
    fn base(&self) -> u64 {
        self.frontier.size() - self.entries.len() as u64
    }

    /// The files that the next 256 records fill, if there are so many.
    pub(crate) fn next_full(&self) -> Option<Full> {
        let entries = self.entries.get(..WIDTH)?;
        let leaves: Vec<TreeHash> = entries.iter().map(|entry| entry.leaf).collect();
        let index = self.base() / TILE_WIDTH;
        let full = |kind, index| TileId { kind, index, width: TILE_WIDTH };
        let bundle = encode_entries(entries.iter().map(|entry| entry.record.as_slice()))?;
        let mut files = vec![
            (full(TileKind::Entries, index), bundle),
            (full(TileKind::Hashes { level: 0 }, index), encode_hashes(&leaves)),
        ];
        let mut rows = self.rows.clone();
        let mut hash = perfect_root(&leaves)?;
        let mut done = index;
        for level in 1..=TILE_LEVEL_MAX {
            let at = usize::from(level) - 1;
            if rows.len() <= at {
                rows.push(Vec::new());
            }
            let row = rows.get_mut(at)?;
            row.push(hash);
            if row.len() < WIDTH {
                break;
            }
            done /= TILE_WIDTH;
            files.push((full(TileKind::Hashes { level }, done), encode_hashes(row)));
            hash = perfect_root(row)?;
            row.clear();
        }
        Some(Full { files, rows })
    }

    /// The files of `full` are written.
    pub(crate) fn settle(&mut self, full: Full) {
        self.rows = full.rows;
        self.entries.drain(..WIDTH.min(self.entries.len()));
    }

    /// The partial files of the tree as it stands.
    pub(crate) fn partials(&self) -> Vec<(TileId, Vec<u8>)> {
        let size = self.size();
        let mut files = Vec::new();
        let mut index = self.base() / TILE_WIDTH;
        if !self.entries.is_empty() {
            let leaves: Vec<TreeHash> = self.entries.iter().map(|entry| entry.leaf).collect();
            let bundle = encode_entries(self.entries.iter().map(|entry| entry.record.as_slice()));
            let hashes = TileKind::Hashes { level: 0 };
            files.extend(TileId::in_tree(TileKind::Entries, index, size).zip(bundle));
            files.extend(TileId::in_tree(hashes, index, size).map(|id| (id, encode_hashes(&leaves))));
        }
        for (row, level) in self.rows.iter().zip(1u8..) {
            index /= TILE_WIDTH;
            if !row.is_empty() {
                let id = TileId::in_tree(TileKind::Hashes { level }, index, size);
                files.extend(id.map(|id| (id, encode_hashes(row))));
            }
        }
        files
    }

    /// Whether the hashes in the tiles lead to the frontier's peaks.
    pub(crate) fn tiles_agree(&self) -> bool {
        let leaves: Vec<TreeHash> = self.entries.iter().map(|entry| entry.leaf).collect();
        let rows = self.rows.iter().rev().chain(std::iter::once(&leaves));
        let mut peaks = Vec::new();
        for row in rows {
            let mut rest = row.as_slice();
            while !rest.is_empty() {
                let (run, behind) = rest.split_at(1 << rest.len().ilog2());
                peaks.extend(perfect_root(run));
                rest = behind;
            }
        }
        peaks == self.frontier.peaks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hermetic_ledger::path::{self, Nodes};
    use std::collections::HashMap;

    /// Grows a tree through `Edge` and checks its root from its files alone at every size that matters.
    #[test]
    fn the_files_of_every_size_lead_to_the_frontiers_root() {
        let mut files: HashMap<String, Vec<u8>> = HashMap::new();
        let mut edge = Edge::default();
        let mut frontier = Frontier::new();
        for i in 0..66_000u64 {
            let record = i.to_be_bytes().to_vec();
            let leaf = TreeHash::leaf(&record);
            frontier.push(leaf);
            edge.add(vec![Entry { record, leaf }], frontier.clone());
            while let Some(full) = edge.next_full() {
                files.extend(full.files.iter().map(|(id, bytes)| (id.path(), bytes.clone())));
                edge.settle(full);
            }
            let size = i + 1;
            if size < 600 || size % 8191 == 0 || (65_530..65_540).contains(&size) {
                assert!(edge.tiles_agree(), "{size}");
                files.extend(edge.partials().into_iter().map(|(id, bytes)| (id.path(), bytes)));
                let mut nodes = hermetic_ledger::tile::TileNodes::new(size, |id: &TileId| {
                    files.get(&id.path()).cloned().ok_or(std::fmt::Error)
                });
                assert_eq!(path::root(&mut nodes, size).unwrap(), frontier.root(), "{size}");
                assert!(nodes.node(0, size).is_err());
            }
        }
    }
}
