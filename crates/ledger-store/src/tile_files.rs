//! Tiles and entry bundles as files.

use crate::layout::Layout;
use hermetic_bounded_io::{FileError, Mode, create_folders, read_capped, replace_unsynced};
use hermetic_ledger::RECORD_BYTES_MAX;
use hermetic_ledger::tile::{TILE_WIDTH, TileId};

/// Largest entry bundle: 256 records of the greatest length. Tiles are 8 KiB.
const FILE_BYTES_MAX: u64 = TILE_WIDTH * (RECORD_BYTES_MAX as u64 + 2);

/// Writes a tile, whole for every reader but not yet durable. Nothing is written when the file says the same already.
pub(crate) fn write(layout: &Layout, id: &TileId, bytes: &[u8]) -> Result<(), FileError> {
    let path = layout.dir.join(id.path());
    if let Some(folder) = path.parent() {
        create_folders(folder, Mode::Private)?;
    }
    replace_unsynced(&path, bytes, Mode::Private)
}

/// Whether the file is there and says exactly this.
pub(crate) fn says(layout: &Layout, id: &TileId, bytes: &[u8]) -> bool {
    read_capped(&layout.dir.join(id.path()), FILE_BYTES_MAX).is_ok_and(|found| found == bytes)
}

/// Reads a tile. A partial one may have been replaced by the full one since its checkpoint was signed: the full one
/// begins with the same bytes.
pub(crate) fn read(layout: &Layout, id: &TileId) -> Result<Vec<u8>, FileError> {
    match read_capped(&layout.dir.join(id.path()), FILE_BYTES_MAX) {
        Err(error) if error.is_not_found() && !id.is_full() => {
            read_capped(&layout.dir.join(id.full().path()), FILE_BYTES_MAX)
        }
        other => other,
    }
}
