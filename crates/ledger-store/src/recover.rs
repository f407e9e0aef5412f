//! Finding the end of the ledger after a stop of any kind.
//!
//! The segments that are left are read from the first to the end: normally one, at most a few. Each header carries the
//! frontier at its start, so nothing before it needs to be read; that the frontier is the right one shows when the
//! tree, grown from it, has the root that was signed for last. Everything before is in tiles; `audit check` reads all.

use crate::edge::{Edge, Entry};
use crate::error::OpenError;
use crate::last_signed::Signed;
use crate::layout::Layout;
use crate::publisher::{Means, Publisher, SEGMENTS_MAX};
use crate::segment::{self, ScanEnd, Segment, SegmentHead};
use crate::tile_files;
use hermetic_bounded_io::{FileError, list_folder, read_text_capped};
use hermetic_ledger::note::NOTE_BYTES_MAX;
use hermetic_ledger::tile::{TILE_LEVEL_MAX, TILE_WIDTH, TileId, TileKind, decode_entries, decode_hashes};
use hermetic_ledger::{Frontier, TreeHash, VerifiedCheckpoint};

/// What the threads start from.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) publisher: Publisher,
    pub(crate) frontier: Frontier,
    pub(crate) segment: Segment,
    pub(crate) next_batch: u64,
}

struct Recovery {
    layout: Layout,
    segment_bytes: u64,
    signed: Option<Signed>,
    /// Whether the tree that is being grown had the signed root when it had the signed size.
    signed_root_seen: bool,
    next_batch: u64,
}

pub(crate) fn recover(means: Means) -> Result<Recovered, OpenError> {
    let layout = means.layout.clone();
    let file = |source| OpenError::File { dir: layout.dir.clone(), source };
    let signed = signed_before(&means)?;
    let listed = list_folder(&layout.wal(), SEGMENTS_MAX).map_err(file)?;
    let starts: Vec<u64> = listed.iter().filter_map(|entry| Layout::segment_start(&entry.name)).collect();
    let mut recovery = Recovery {
        layout: layout.clone(),
        segment_bytes: means.segment_bytes,
        signed_root_seen: signed.is_none(),
        signed,
        next_batch: 1,
    };
    let Some(first) = starts.first() else { return recovery.begin(means) };
    let head = recovery.head_of(*first, &recovery.read(*first)?)?;
    let edge = edge_at(&layout, &head.frontier)?;
    let mut publisher = Publisher::new(means, edge, signed);
    let mut frontier = head.frontier;
    recovery.compare(&frontier)?;
    let mut end = None;
    for (position, start) in starts.iter().enumerate() {
        let scanned = recovery.replay(*start, &mut frontier, &mut publisher)?;
        if let Some(next) = starts.get(position + 1).filter(|next| **next != frontier.size()) {
            return Err(recovery.damaged(*start, frontier.size().min(*next), "an unreadable frame"));
        }
        end = Some((*start, scanned));
    }
    let found = frontier.size();
    if !recovery.signed_root_seen {
        let size = recovery.signed.map_or(0, |signed| signed.size);
        return Err(OpenError::Rewound { dir: layout.dir.clone(), signed: size, found });
    }
    let Some((start, scanned)) = end else { return Err(recovery.damaged(*first, found, "nothing")) };
    let segment = Segment::resume(&layout.segment(start), &scanned).map_err(file)?;
    publisher.checkpoint().map_err(file)?;
    Ok(Recovered { publisher, frontier, segment, next_batch: recovery.next_batch })
}

/// The most this log has put its name under: `last-signed`, or the published checkpoint if that says more.
fn signed_before(means: &Means) -> Result<Option<Signed>, OpenError> {
    let dir = &means.layout.dir;
    let kept = means.last_signed.read().map_err(|source| OpenError::File { dir: dir.clone(), source })?;
    let note = match read_text_capped(&means.layout.checkpoint(), NOTE_BYTES_MAX as u64) {
        Ok(note) => note,
        Err(error) if error.is_not_found() => return Ok(kept),
        Err(source) => return Err(OpenError::File { dir: dir.clone(), source }),
    };
    let checkpoint = VerifiedCheckpoint::open(&note, &means.verifier)
        .map_err(|source| OpenError::Checkpoint { dir: dir.clone(), source })?;
    let published = Signed { size: checkpoint.get().size, root: checkpoint.get().root };
    match kept {
        Some(kept) if kept.size > published.size => Ok(Some(kept)),
        Some(kept) if kept.size == published.size && kept.root != published.root => {
            Err(OpenError::Different {
                dir: dir.clone(),
                size: kept.size,
                signed: kept.root,
                found: published.root,
            })
        }
        Some(_) | None => Ok(Some(published)),
    }
}

impl Recovery {
    fn file(&self, source: FileError) -> OpenError {
        OpenError::File { dir: self.layout.dir.clone(), source }
    }

    fn damaged(&self, start: u64, index: u64, found: &'static str) -> OpenError {
        OpenError::Damaged { path: self.layout.segment(start), index, found }
    }

    /// A ledger without segments is new, or has lost them.
    fn begin(&self, means: Means) -> Result<Recovered, OpenError> {
        if let Some(signed) = self.signed.filter(|signed| signed.size > 0) {
            return Err(OpenError::Rewound { dir: self.layout.dir.clone(), signed: signed.size, found: 0 });
        }
        let head = SegmentHead { frontier: Frontier::new(), first_batch: 1 };
        let segment =
            Segment::start(&self.layout, &head, self.segment_bytes).map_err(|source| self.file(source))?;
        let mut publisher = Publisher::new(means, Edge::default(), self.signed);
        publisher.checkpoint().map_err(|source| self.file(source))?;
        Ok(Recovered { publisher, frontier: Frontier::new(), segment, next_batch: 1 })
    }

    fn read(&self, start: u64) -> Result<Vec<u8>, OpenError> {
        segment::read_segment(&self.layout.segment(start)).map_err(|source| self.file(source))
    }

    fn head_of(&self, start: u64, content: &[u8]) -> Result<SegmentHead, OpenError> {
        SegmentHead::decode(content)
            .filter(|head| head.frontier.size() == start)
            .ok_or_else(|| self.damaged(start, start, "an unreadable header"))
    }

    /// Compares the growing tree with what was signed, when it has that size.
    fn compare(&mut self, frontier: &Frontier) -> Result<(), OpenError> {
        let Some(signed) = self.signed.filter(|signed| signed.size == frontier.size()) else { return Ok(()) };
        let found = frontier.root();
        if found != signed.root {
            let dir = self.layout.dir.clone();
            return Err(OpenError::Different { dir, size: signed.size, signed: signed.root, found });
        }
        self.signed_root_seen = true;
        Ok(())
    }

    /// Grows the tree by the records of one segment.
    fn replay(
        &mut self,
        start: u64,
        frontier: &mut Frontier,
        publisher: &mut Publisher,
    ) -> Result<ScanEnd, OpenError> {
        let content = self.read(start)?;
        let head = self.head_of(start, &content)?;
        if head.frontier != *frontier {
            return Err(self.damaged(start, start, "a header that does not follow the segment before"));
        }
        let mut entries = Vec::new();
        let mut compared = Ok(());
        let end = segment::scan(&content, start, |frame| {
            frontier.push(frame.leaf);
            entries.push(Entry { record: frame.record.to_vec(), leaf: frame.leaf });
            if compared.is_ok() {
                compared = self.compare(frontier);
            }
        });
        compared?;
        if end.acknowledged_lost {
            return Err(self.damaged(start, frontier.size(), "an unreadable frame before readable ones"));
        }
        self.next_batch = self.next_batch.max(head.first_batch).max(end.batch_max + 1);
        publisher.restore(entries, frontier.clone()).map_err(|source| self.file(source))?;
        Ok(end)
    }
}

/// The right edge of the tiles at the start of the first segment, read back from the tiles themselves.
fn edge_at(layout: &Layout, frontier: &Frontier) -> Result<Edge, OpenError> {
    let size = frontier.size();
    let damaged = |id: TileId| OpenError::Damaged {
        path: layout.dir.join(id.path()),
        index: id.index * TILE_WIDTH,
        found: "something else, or nothing",
    };
    let read_row = |level: u8| -> Result<Vec<TreeHash>, OpenError> {
        let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        let row = TileId::in_tree(TileKind::Hashes { level }, count / TILE_WIDTH, size);
        let Some(id) = row.filter(|id| !id.is_full()) else { return Ok(Vec::new()) };
        let bytes = tile_files::read(layout, &id).map_err(|_| damaged(id))?;
        // A full tile may stand in for a partial one: only the hashes of this size count.
        decode_hashes(&bytes, id.width).ok_or_else(|| damaged(id))
    };
    let leaves = read_row(0)?;
    let mut entries = Vec::new();
    if let Some(id) = TileId::in_tree(TileKind::Entries, size / TILE_WIDTH, size) {
        let bytes = tile_files::read(layout, &id).map_err(|_| damaged(id))?;
        for record in decode_entries(&bytes, id.width).ok_or_else(|| damaged(id))? {
            entries.push(Entry { record: record.to_vec(), leaf: TreeHash::leaf(record) });
        }
        if !entries.iter().map(|entry| entry.leaf).eq(leaves) {
            return Err(damaged(id));
        }
    }
    let mut rows = Vec::new();
    for level in 1..=TILE_LEVEL_MAX {
        rows.push(read_row(level)?);
    }
    let edge = Edge::new(frontier.clone(), entries, rows);
    if edge.tiles_agree() {
        Ok(edge)
    } else {
        Err(damaged(TileId { kind: TileKind::Hashes { level: 0 }, index: 0, width: 1 }))
    }
}
