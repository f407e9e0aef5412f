//! Tiles and entry bundles: the tree cut into files (C2SP tlog-tiles).
//!
//! A tile at level `L` holds up to 256 hashes of complete subtrees of `256^L` leaves; an entry bundle holds up to 256
//! records, each behind a 16-bit big-endian length. A file with fewer than 256 is *partial* and says so in its name.

use crate::hash::{HASH_BYTES, TreeHash};
use crate::path::Nodes;
use std::collections::HashMap;

/// Hashes in a full tile, entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Tree levels that one tile level spans: 256 = 2^8.
const LEVELS_PER_TILE: u8 = 8;
/// Highest tile level a 64-bit tree can have.
pub const TILE_LEVEL_MAX: u8 = 7;

/// Which file: a tile of hashes at a level, or a bundle of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TileKind {
    Hashes { level: u8 },
    Entries,
}

/// One tile or entry bundle, with how many of its places are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TileId {
    pub kind: TileKind,
    pub index: u64,
    /// 1 to 256.
    pub width: u64,
}

impl TileId {
    /// The tile `index` of a kind as it stands in a tree of `size` leaves; `None` when the tree does not reach it.
    pub fn in_tree(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let count = match kind {
            TileKind::Entries => size,
            TileKind::Hashes { level } => size.checked_shr(u32::from(level * LEVELS_PER_TILE)).unwrap_or(0),
        };
        let before = index.checked_mul(TILE_WIDTH)?;
        let width = count.checked_sub(before).filter(|&n| n > 0)?.min(TILE_WIDTH);
        Some(Self { kind, index, width })
    }

    pub const fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// The same tile with all 256 places filled.
    pub const fn full(self) -> Self {
        Self { width: TILE_WIDTH, ..self }
    }

    /// `tile/<L>/<N>[.p/<W>]`: N in groups of three digits, all but the last with an `x` in front.
    pub fn path(&self) -> String {
        if self.is_full() { self.path_of_full() } else { format!("{}/{}", self.partial_folder(), self.width) }
    }

    /// The folder that holds this tile's partial versions.
    pub fn partial_folder(&self) -> String {
        format!("{}.p", self.path_of_full())
    }

    fn path_of_full(&self) -> String {
        let mut groups = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            groups = format!("x{:03}/{groups}", rest % 1000);
            rest /= 1000;
        }
        match self.kind {
            TileKind::Hashes { level } => format!("tile/{level}/{groups}"),
            TileKind::Entries => format!("tile/entries/{groups}"),
        }
    }
}

/// The bytes of a tile.
pub fn encode_hashes(hashes: &[TreeHash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The first `width` hashes of a tile's bytes; `None` when there are fewer or the length is not whole.
pub fn decode_hashes(bytes: &[u8], width: u64) -> Option<Vec<TreeHash>> {
    let (chunks, rest) = bytes.as_chunks::<HASH_BYTES>();
    let width = usize::try_from(width).ok()?;
    let wanted = chunks.get(..width)?;
    rest.is_empty().then(|| wanted.iter().map(|chunk| TreeHash::from_bytes(*chunk)).collect())
}

/// The bytes of an entry bundle; `None` when a record is longer than a 16-bit length can say.
pub fn encode_entries<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for entry in entries {
        out.extend(u16::try_from(entry.len()).ok()?.to_be_bytes());
        out.extend(entry);
    }
    Some(out)
}

/// The first `width` entries of a bundle; `None` when it is cut short.
pub fn decode_entries(mut bytes: &[u8], width: u64) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    for _ in 0..width {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bytes = rest;
    }
    Some(entries)
}

/// The root over a power-of-two number of hashes; `None` for any other number.
pub fn perfect_root(hashes: &[TreeHash]) -> Option<TreeHash> {
    if !hashes.len().is_power_of_two() {
        return None;
    }
    let mut row = hashes.to_vec();
    while row.len() > 1 {
        row = row.as_chunks::<2>().0.iter().map(|[left, right]| TreeHash::node(left, right)).collect();
    }
    row.first().copied()
}

/// Why a node could not be had from tiles.
#[derive(Debug, thiserror::Error)]
pub enum TileError<E: std::error::Error + 'static> {
    #[error(
        "expected the tree of {size} leaves to hold node {index} of level {level}, found that it does not"
    )]
    Outside { level: u8, index: u64, size: u64 },
    #[error("cannot read the tile `{tile}`")]
    Read { tile: String, source: E },
    #[error("expected the tile `{tile}` to hold {width} hashes, found {found} bytes")]
    Form { tile: String, width: u64, found: usize },
}

/// Nodes of the tree of `size` leaves, read from its tiles through `read`, each tile once.
pub struct TileNodes<F> {
    size: u64,
    read: F,
    tiles: HashMap<TileId, Vec<TreeHash>>,
}

impl<F> std::fmt::Debug for TileNodes<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TileNodes {{ size: {}, tiles: {} }}", self.size, self.tiles.len())
    }
}

impl<F> TileNodes<F> {
    pub fn new(size: u64, read: F) -> Self {
        Self { size, read, tiles: HashMap::new() }
    }
}

impl<E: std::error::Error + 'static, F: FnMut(&TileId) -> Result<Vec<u8>, E>> Nodes for TileNodes<F> {
    type Error = TileError<E>;

    fn node(&mut self, level: u8, index: u64) -> Result<TreeHash, TileError<E>> {
        let outside = || TileError::Outside { level, index, size: self.size };
        let kind = TileKind::Hashes { level: level / LEVELS_PER_TILE };
        // A node inside a tile is the root over a run of the tile's hashes.
        let run = 1u64 << (level % LEVELS_PER_TILE);
        let first = index.checked_mul(run).ok_or_else(outside)?;
        let id = TileId::in_tree(kind, first / TILE_WIDTH, self.size).ok_or_else(outside)?;
        let hashes = match self.tiles.entry(id) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let bytes = (self.read)(&id).map_err(|source| TileError::Read { tile: id.path(), source })?;
                let hashes = decode_hashes(&bytes, id.width).ok_or_else(|| TileError::Form {
                    tile: id.path(),
                    width: id.width,
                    found: bytes.len(),
                })?;
                place.insert(hashes)
            }
        };
        let from = usize::try_from(first % TILE_WIDTH).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(run).unwrap_or(usize::MAX));
        let size = self.size;
        hashes.get(from..to).and_then(perfect_root).ok_or(TileError::Outside { level, index, size })
    }
}
