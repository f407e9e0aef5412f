//! Reading the ledger as it was signed: from any process, while another writes.

use crate::error::ReadError;
use crate::layout::Layout;
use crate::tile_files;
use hermetic_bounded_io::{FileError, read_text_capped};
use hermetic_ids::RequestId;
use hermetic_ledger::note::NOTE_BYTES_MAX;
use hermetic_ledger::path;
use hermetic_ledger::tile::{TILE_WIDTH, TileId, TileKind, TileNodes, decode_entries};
use hermetic_ledger::{Checkpoint, ProofFile, TreeHash};
use std::path::Path;

/// The ledger up to one checkpoint. What is appended later is not seen; what was there stays readable.
#[derive(Debug, Clone)]
pub struct Snapshot {
    layout: Layout,
    note: String,
    checkpoint: Checkpoint,
}

impl Snapshot {
    /// The ledger as its newest checkpoint has it. The signature is not checked: this is for reading one's own log.
    pub fn latest(dir: &Path) -> Result<Self, ReadError> {
        let layout = Layout::new(dir);
        let note = read_text_capped(&layout.checkpoint(), NOTE_BYTES_MAX as u64).map_err(|error| {
            if error.is_not_found() {
                ReadError::Empty { dir: dir.to_owned() }
            } else {
                ReadError::File(error)
            }
        })?;
        let checkpoint = Checkpoint::read_unverified(&note).map_err(ReadError::Checkpoint)?;
        Ok(Self { layout, note, checkpoint })
    }

    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The signed note, verbatim.
    pub fn note(&self) -> &str {
        &self.note
    }

    pub fn size(&self) -> u64 {
        self.checkpoint.size
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    fn inside(&self, index: u64) -> Result<(), ReadError> {
        let size = self.size();
        if index < size { Ok(()) } else { Err(ReadError::Outside { index, size }) }
    }

    /// The records of entry bundle `index` (records `256 × index` and on).
    pub fn bundle(&self, index: u64) -> Result<Vec<Vec<u8>>, ReadError> {
        let size = self.size();
        let outside = ReadError::Outside { index: index.saturating_mul(TILE_WIDTH), size };
        let id = TileId::in_tree(TileKind::Entries, index, size).ok_or(outside)?;
        let bytes = tile_files::read(&self.layout, &id).map_err(ReadError::File)?;
        let entries = decode_entries(&bytes, id.width)
            .ok_or_else(|| ReadError::Damaged { tile: id.path(), width: id.width })?;
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// The bytes of one record.
    pub fn read(&self, index: u64) -> Result<Vec<u8>, ReadError> {
        self.inside(index)?;
        let at = usize::try_from(index % TILE_WIDTH).unwrap_or(usize::MAX);
        let mut bundle = self.bundle(index / TILE_WIDTH)?;
        if at < bundle.len() {
            Ok(bundle.swap_remove(at))
        } else {
            Err(ReadError::Outside { index, size: self.size() })
        }
    }

    fn nodes(&self) -> TileNodes<impl FnMut(&TileId) -> Result<Vec<u8>, FileError> + '_> {
        TileNodes::new(self.size(), |id: &TileId| tile_files::read(&self.layout, id))
    }

    /// The proof of one record, checked before it is handed out: a damaged file is found here and not by a stranger.
    pub fn prove(&self, index: u64) -> Result<ProofFile, ReadError> {
        let record = self.read(index)?;
        let path = path::inclusion(&mut self.nodes(), index, self.size()).map_err(ReadError::Tile)?;
        let root = path::root_from_inclusion(TreeHash::leaf(&record), index, self.size(), &path);
        if root != Some(self.checkpoint.root) {
            return Err(ReadError::Inconsistent { index });
        }
        Ok(ProofFile { record, index, path, checkpoint: self.note.clone() })
    }

    /// The path that shows this tree to continue the one of `old_size` records.
    pub fn consistency(&self, old_size: u64) -> Result<Vec<TreeHash>, ReadError> {
        if old_size > self.size() {
            return Err(ReadError::Outside { index: old_size, size: self.size() });
        }
        path::consistency(&mut self.nodes(), old_size, self.size()).map_err(ReadError::Tile)
    }

    /// The indices of the records about a request, in order. Reads from the newest backwards and stops at the record
    /// that opened the request: what is looked up is mostly recent.
    pub fn find_request(&self, request: RequestId) -> Result<Vec<u64>, ReadError> {
        let needle = format!("\"request\":\"{request}\"");
        let finder = memchr::memmem::Finder::new(needle.as_bytes());
        let mut found = Vec::new();
        for index in (0..self.size().div_ceil(TILE_WIDTH)).rev() {
            let bundle = self.bundle(index)?;
            let mut opened = false;
            for (at, record) in bundle.iter().enumerate().rev() {
                if finder.find(record).is_some() {
                    found.push(index * TILE_WIDTH + at as u64);
                    opened |= opens(record);
                }
            }
            if opened {
                break;
            }
        }
        found.reverse();
        Ok(found)
    }
}

/// Whether this record is the first of its request.
fn opens(record: &[u8]) -> bool {
    ["\"request.admitted\"", "\"request.refused\""]
        .iter()
        .any(|kind| memchr::memmem::find(record, kind.as_bytes()).is_some())
}
