//! Reading the whole ledger and comparing every hash with the signed root.

use crate::error::ReadError;
use crate::snapshot::Snapshot;
use crate::tile_files;
use hermetic_ledger::tile::{TILE_LEVEL_MAX, TILE_WIDTH, TileId, TileKind, decode_hashes, perfect_root};
use hermetic_ledger::{Checkpoint, CheckpointError, Frontier, TreeHash, VerifiedCheckpoint, VerifierKey};

/// Findings after which the rest is only counted.
const FINDINGS_MAX: usize = 100;

/// Something in the ledger's files that is not as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The file, relative to the ledger's folder.
    pub file: String,
    /// Index of the first record it concerns, where that is known.
    pub index: Option<u64>,
    pub problem: &'static str,
}

/// What a full check saw.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CheckReport {
    pub checkpoint: Checkpoint,
    pub records: u64,
    pub bytes: u64,
    /// The root that the records themselves lead to.
    pub root: TreeHash,
    pub findings: Vec<Finding>,
    /// Findings beyond those listed.
    pub more: u64,
}

impl CheckReport {
    /// Every record is there and as it was signed.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, file: String, index: Option<u64>, problem: &'static str) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { file, index, problem });
        } else {
            self.more += 1;
        }
    }
}

/// Re-hashes every record of the snapshot, compares every tile with what the records lead to, and the root with the
/// signed one. `progress` hears the number of records done.
pub fn check(
    snapshot: &Snapshot,
    key: &VerifierKey,
    mut progress: impl FnMut(u64),
) -> Result<CheckReport, ReadError> {
    let size = snapshot.size();
    let mut report = CheckReport {
        checkpoint: snapshot.checkpoint().clone(),
        records: 0,
        bytes: 0,
        root: TreeHash::empty(),
        findings: Vec::new(),
        more: 0,
    };
    if let Err(error) = VerifiedCheckpoint::open(snapshot.note(), key) {
        report.find("checkpoint".to_owned(), None, describe(&error));
    }
    let mut frontier = Frontier::new();
    let mut rows: Vec<Vec<TreeHash>> = vec![Vec::new(); usize::from(TILE_LEVEL_MAX) + 1];
    for index in 0..size.div_ceil(TILE_WIDTH) {
        check_bundle(snapshot, index, &mut report, &mut rows)?;
        for leaf in rows.first().map(Vec::as_slice).unwrap_or_default() {
            frontier.push(*leaf);
        }
        climb(snapshot, index, &mut rows, &mut report);
        progress(frontier.size());
    }
    for (row, level) in rows.iter().zip(0u8..).skip(1).filter(|(row, _)| !row.is_empty()) {
        let count = size.checked_shr(8 * u32::from(level)).unwrap_or(0);
        compare(snapshot, TileKind::Hashes { level }, count / TILE_WIDTH, row, &mut report);
    }
    report.records = frontier.size();
    report.root = frontier.root();
    if report.root != report.checkpoint.root {
        report.find("checkpoint".to_owned(), None, "the records do not lead to the signed root");
    }
    Ok(report)
}

fn describe(error: &CheckpointError) -> &'static str {
    match error {
        CheckpointError::Form { .. } => "the checkpoint is malformed",
        CheckpointError::Origin { .. } => "the checkpoint is another log's",
        CheckpointError::Note(_) => "the checkpoint is not signed by this key",
    }
}

/// Hashes one entry bundle into row 0 and compares it with its tile. A bundle that cannot be read is filled from the
/// tile, so that one damaged file is one finding and not all that follow it.
fn check_bundle(
    snapshot: &Snapshot,
    index: u64,
    report: &mut CheckReport,
    rows: &mut [Vec<TreeHash>],
) -> Result<(), ReadError> {
    let Some(row) = rows.first_mut() else { return Ok(()) };
    row.clear();
    match snapshot.bundle(index) {
        Ok(records) => {
            for record in records {
                report.bytes += record.len() as u64;
                row.push(TreeHash::leaf(&record));
            }
            compare(snapshot, TileKind::Hashes { level: 0 }, index, row, report);
        }
        Err(ReadError::File(_) | ReadError::Damaged { .. }) => {
            let Some(id) = TileId::in_tree(TileKind::Entries, index, snapshot.size()) else { return Ok(()) };
            report.find(id.path(), Some(index * TILE_WIDTH), "the records are missing or cut short");
            let tile = TileId { kind: TileKind::Hashes { level: 0 }, ..id };
            let hashes = tile_files::read(snapshot.layout(), &tile).ok();
            row.extend(hashes.and_then(|bytes| decode_hashes(&bytes, tile.width)).unwrap_or_default());
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Carries full rows up a level, comparing each full tile above on the way.
fn climb(snapshot: &Snapshot, index: u64, rows: &mut [Vec<TreeHash>], report: &mut CheckReport) {
    let mut done = index;
    let mut carried =
        rows.first().filter(|row| row.len() as u64 == TILE_WIDTH).and_then(|row| perfect_root(row));
    for (row, level) in rows.iter_mut().zip(0u8..).skip(1) {
        let Some(hash) = carried.take() else { return };
        row.push(hash);
        done /= TILE_WIDTH;
        if row.len() as u64 == TILE_WIDTH {
            compare(snapshot, TileKind::Hashes { level }, done, row, report);
            carried = perfect_root(row);
            row.clear();
        }
    }
}

/// Compares one tile with the hashes it should hold.
fn compare(snapshot: &Snapshot, kind: TileKind, index: u64, row: &[TreeHash], report: &mut CheckReport) {
    let Some(id) = TileId::in_tree(kind, index, snapshot.size()) else { return };
    let span = match kind {
        TileKind::Hashes { level } => TILE_WIDTH.saturating_pow(u32::from(level)),
        TileKind::Entries => 1,
    };
    let found =
        tile_files::read(snapshot.layout(), &id).ok().and_then(|bytes| decode_hashes(&bytes, id.width));
    let Some(found) = found else {
        report.find(id.path(), Some(index * TILE_WIDTH * span), "the tile is missing or cut short");
        return;
    };
    if let Some(at) = found.iter().zip(row).position(|(found, expected)| found != expected) {
        let first = (index * TILE_WIDTH + at as u64) * span;
        report.find(id.path(), Some(first), "tile and records differ: one of the two was changed");
    }
}
