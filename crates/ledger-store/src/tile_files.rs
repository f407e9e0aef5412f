//! Tiles and entry bundles as files.

use crate::layout::Layout;
use hermetic_bounded_io::{
    FileError, Mode, Then, create_folders, list_folder, read_capped, remove_durable, replace_unsynced,
    write_unsynced,
};
use hermetic_ledger::RECORD_BYTES_MAX;
use hermetic_ledger::tile::{TILE_WIDTH, TileId, TileKind};

/// Largest entry bundle: 256 records of the greatest length. Tiles are 8 KiB.
const FILE_BYTES_MAX: u64 = TILE_WIDTH * (RECORD_BYTES_MAX as u64 + 2);

/// Writes a tile, whole for every reader but not yet durable.
pub(crate) fn replace(layout: &Layout, id: &TileId, bytes: &[u8]) -> Result<(), FileError> {
    let path = layout.dir.join(id.path());
    if let Some(folder) = path.parent() {
        create_folders(folder, Mode::Private)?;
    }
    replace_unsynced(&path, bytes, Mode::Private)
}

/// Writes a tile that no checkpoint speaks of yet, so that nobody reads it: straight to its place, at half the cost. What a
/// crash leaves of it is replaced by recovery.
///
/// A full bundle is large and there are many: what would otherwise gather for the next sync of the whole filesystem, and
/// hold up the syncs that requests wait for, goes out as it comes.
pub(crate) fn write_ahead(layout: &Layout, id: &TileId, bytes: &[u8]) -> Result<(), FileError> {
    let path = layout.dir.join(id.path());
    let then = if id.kind == TileKind::Entries { Then::StartWritingOut } else { Then::Nothing };
    match write_unsynced(&path, bytes, Mode::Private, then) {
        Err(error) if error.is_not_found() => {
            if let Some(folder) = path.parent() {
                create_folders(folder, Mode::Private)?;
            }
            write_unsynced(&path, bytes, Mode::Private, then)
        }
        written => written,
    }
}

/// Whether the file is there and says exactly this.
pub(crate) fn says(layout: &Layout, id: &TileId, bytes: &[u8]) -> bool {
    read_capped(&layout.dir.join(id.path()), FILE_BYTES_MAX).is_ok_and(|found| found == bytes)
}

/// Reads a tile. A partial one may have been replaced by a larger or the full one since its checkpoint was signed: that
/// begins with the same bytes.
pub(crate) fn read(layout: &Layout, id: &TileId) -> Result<Vec<u8>, FileError> {
    let mut wanted = *id;
    loop {
        match read_capped(&layout.dir.join(wanted.path()), FILE_BYTES_MAX) {
            // A stand-in can be replaced before it is read: each one looked for is larger than the one before.
            Err(error) if error.is_not_found() && !wanted.is_full() => {
                let next = TileId { width: wanted.width + 1, ..wanted };
                wanted = larger_partial(layout, &next).unwrap_or(id.full());
            }
            other => return other,
        }
    }
}

/// The smallest partial version that holds at least as much: it begins with the same bytes too.
fn larger_partial(layout: &Layout, id: &TileId) -> Option<TileId> {
    let folder = layout.dir.join(id.partial_folder());
    let listed = list_folder(&folder, usize::try_from(TILE_WIDTH).unwrap_or(usize::MAX) * 2).ok()?;
    let widths = listed.iter().filter_map(|entry| entry.name.parse::<u64>().ok());
    let width = widths.filter(|width| (id.width..TILE_WIDTH).contains(width)).min()?;
    Some(TileId { width, ..*id })
}

/// Removes a tile; one that is not there is fine.
pub(crate) fn remove(layout: &Layout, id: &TileId) -> Result<(), FileError> {
    remove_durable(&layout.dir.join(id.path()))
}
