//! The thread that follows the writer: tiles, entry bundles, checkpoints, and letting go of old segments.
//!
//! ```text
//! batch      → full tiles and bundles (not synced: the segments still hold every record)
//! interval   → partial tiles → last-signed (durable) → sign → checkpoint (durable)
//! rotation   → the above, then sync the filesystem → old segments go, partial tiles that are full by now go
//! ```

use crate::edge::{Edge, Entry};
use crate::error::AppendError;
use crate::handover::{Nothing, Receiver};
use crate::last_signed::{LastSigned, Signed};
use crate::layout::Layout;
use crate::pending::Outcome;
use crate::segment;
use crate::shared::Shared;
use crate::tile_files;
use hermetic_bounded_io::{FileError, Mode, RelativePath, list_folder, remove_tree};
use hermetic_bounded_io::{sync_filesystem, write_atomic};
use hermetic_clock::Clock;
use hermetic_keys::SigningKey;
use hermetic_ledger::tile::{TileId, TileKind};
use hermetic_ledger::{Checkpoint, Frontier, VerifierKey};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Partial files that may be left lying until the next sync of the whole filesystem clears them.
const PARTIAL_FILES_MAX: u64 = 256;
/// Bytes of outdated partial entry bundles that are kept. One is written per checkpoint and repeats all before it: with
/// large records and frequent checkpoints they would fill a disk before their bundle is full.
const OUTDATED_BYTES_MAX: u64 = 16 << 20;
/// Segments a ledger folder may hold; more than a few means that something is very wrong.
pub(crate) const SEGMENTS_MAX: usize = 100_000;

#[derive(Debug)]
pub(crate) enum Message {
    /// Records that are durable, and the frontier after them.
    Batch {
        entries: Vec<Entry>,
        frontier: Frontier,
    },
    Checkpoint(oneshot::Sender<Outcome<u64>>),
    /// A new segment begins here.
    Rotated,
}

/// What the publisher is made of; fixed for its life.
#[derive(Debug)]
pub(crate) struct Means {
    pub(crate) layout: Layout,
    pub(crate) key: Arc<SigningKey>,
    pub(crate) verifier: VerifierKey,
    pub(crate) last_signed: LastSigned,
    pub(crate) segment_bytes: u64,
    pub(crate) interval: Duration,
    pub(crate) clock: Clock,
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Publisher {
    means: Means,
    edge: Edge,
    signed: Option<Signed>,
    signed_at: Duration,
    /// Partial tiles that were written last, per kind: not written again when they have not grown.
    partial: HashMap<TileKind, TileId>,
    /// Folders of partial tiles whose full tile exists, and how many files were put there.
    outgrown: Vec<String>,
    partial_files: u64,
    /// Partial entry bundles behind which a larger one exists.
    outdated: Vec<TileId>,
    outdated_bytes: u64,
    /// Recovery only: a full tile that says what it should is left alone.
    recovering: bool,
    rotated: bool,
    /// The partial entry bundle at the start of the oldest segment that is left.
    anchor: Option<TileId>,
}

impl Publisher {
    pub(crate) fn new(means: Means, edge: Edge, signed: Option<Signed>) -> Self {
        let signed_at = means.clock.monotonic();
        Self {
            means,
            edge,
            signed,
            signed_at,
            partial: HashMap::new(),
            outgrown: Vec::new(),
            partial_files: 0,
            outdated: Vec::new(),
            outdated_bytes: 0,
            recovering: true,
            rotated: false,
            anchor: None,
        }
    }

    /// Follows the writer until it hangs up, then signs for everything.
    pub(crate) fn run(mut self, messages: &Receiver) {
        self.recovering = false;
        loop {
            let outcome = match messages.receive(self.means.interval) {
                Ok(message) => self.take(message),
                Err(Nothing::Yet) => self.checkpoint(),
                Err(Nothing::Anymore) => break,
            };
            self.account_for(outcome);
        }
        let outcome = self.checkpoint();
        self.account_for(outcome);
    }

    /// A full disk is waited out: records stay in the segments, the writer takes no more. Anything else is final.
    fn account_for(&mut self, outcome: Result<(), FileError>) {
        match outcome {
            Ok(()) => self.means.shared.set_publisher_full(false),
            Err(FileError::DiskFull { .. }) => {
                self.means.shared.set_publisher_full(true);
                if let Err(error) = self.drop_outdated() {
                    self.means.shared.fail(error);
                }
            }
            Err(error) => self.means.shared.fail(error),
        }
    }

    fn take(&mut self, message: Message) -> Result<(), FileError> {
        match message {
            Message::Batch { entries, frontier } => {
                self.edge.add(entries, frontier);
                self.write_full_tiles()?;
                let due = self.signed_at + self.means.interval;
                if self.means.clock.monotonic() >= due { self.checkpoint() } else { Ok(()) }
            }
            Message::Checkpoint(done) => {
                let outcome = self.checkpoint();
                let answer = match (&outcome, self.means.shared.failure()) {
                    (_, Some(failure)) => Err(failure),
                    (Ok(()), None) => Ok(self.signed.map_or(0, |signed| signed.size)),
                    (Err(_), None) => Err(AppendError::DiskFull),
                };
                let _ = done.send(answer);
                outcome
            }
            Message::Rotated => {
                self.rotated = true;
                self.checkpoint()?;
                match segment::prepare_spare(&self.means.layout, self.means.segment_bytes) {
                    // The segment in use still has room; the writer says so when it has not.
                    Err(FileError::DiskFull { .. }) => Ok(()),
                    other => other,
                }
            }
        }
    }

    /// Recovery's way in: the records of the segments that are left, in order.
    pub(crate) fn restore(&mut self, entries: Vec<Entry>, frontier: Frontier) -> Result<(), FileError> {
        self.edge.add(entries, frontier);
        self.write_full_tiles()
    }

    fn write_full_tiles(&mut self) -> Result<(), FileError> {
        while let Some(full) = self.edge.next_full() {
            for (id, bytes) in &full.files {
                self.write_full_tile(id, bytes)?;
            }
            // Only now: a disk that was full finds the same work again.
            self.edge.settle(full);
        }
        Ok(())
    }

    /// A file is a millisecond's work that nobody waits for. Where there are few processors, those who answer requests go
    /// first.
    fn write_full_tile(&mut self, id: &TileId, bytes: &[u8]) -> Result<(), FileError> {
        let layout = &self.means.layout;
        std::thread::yield_now();
        let partials = id.partial_folder();
        // The last partial tile of a kind is of the tile that is filled next.
        let had_partials = if self.recovering {
            if !tile_files::says(layout, id, bytes) {
                tile_files::replace(layout, id, bytes)?;
            }
            layout.dir.join(&partials).is_dir()
        } else {
            tile_files::write_ahead(layout, id, bytes)?;
            self.partial.get(&id.kind).is_some_and(|last| last.index == id.index)
        };
        if had_partials {
            self.outgrown.push(partials);
        }
        Ok(())
    }

    fn write_partial_tiles(&mut self) -> Result<(), FileError> {
        for (id, bytes) in self.edge.partials() {
            if self.partial.get(&id.kind) != Some(&id) {
                tile_files::replace(&self.means.layout, &id, &bytes)?;
                self.partial_files += 1;
                let before = self.partial.insert(id.kind, id);
                if let Some(before) =
                    before.filter(|before| id.kind == TileKind::Entries && before.index == id.index)
                {
                    self.outdated.push(before);
                    self.outdated_bytes += bytes.len() as u64;
                }
            }
        }
        if self.outdated_bytes > OUTDATED_BYTES_MAX { self.drop_outdated() } else { Ok(()) }
    }

    /// Off-spec: tlog-tiles keeps every partial bundle of a published checkpoint until the full one is there. We keep the
    /// largest, and readers of an older checkpoint take that one's beginning. The one that recovery starts from stays.
    fn drop_outdated(&mut self) -> Result<(), FileError> {
        for id in std::mem::take(&mut self.outdated) {
            if self.anchor != Some(id) {
                tile_files::remove(&self.means.layout, &id)?;
            }
        }
        self.outdated_bytes = 0;
        Ok(())
    }

    /// Signs for everything so far, and clears up when there is reason to.
    pub(crate) fn checkpoint(&mut self) -> Result<(), FileError> {
        self.signed_at = self.means.clock.monotonic();
        self.write_full_tiles()?;
        if self.signed.is_none_or(|signed| signed.size != self.edge.size()) || self.recovering {
            self.write_partial_tiles()?;
            self.sign()?;
        }
        if self.rotated || self.partial_files > PARTIAL_FILES_MAX {
            self.clear_up()?;
        }
        Ok(())
    }

    fn sign(&mut self) -> Result<(), FileError> {
        let path = self.means.layout.checkpoint();
        let refuse = |why: String| FileError::new("sign for", &path, std::io::Error::other(why));
        let next = Signed { size: self.edge.size(), root: self.edge.root() };
        // Two ways to the same root, from the frontier and from the tiles: a difference is a fault in memory or code,
        // and nothing is signed then.
        if !self.edge.tiles_agree() {
            return Err(refuse(format!("tiles and frontier differ at {} records", next.size)));
        }
        if let Some(before) = self.signed
            && (before.size > next.size || (before.size == next.size && before.root != next.root))
        {
            return Err(refuse(format!(
                "{} records are signed for, asked to sign {}",
                before.size, next.size
            )));
        }
        self.means.last_signed.write(next)?;
        self.signed = Some(next);
        let checkpoint =
            Checkpoint { origin: self.means.verifier.name().to_owned(), size: next.size, root: next.root };
        let signature = self
            .means
            .key
            .sign(checkpoint.to_text().as_bytes())
            .map_err(|error| refuse(error.to_string()))?;
        let note = checkpoint.to_note(&self.means.verifier, &signature);
        write_atomic(&path, note.as_bytes(), Mode::Private)?;
        self.means.shared.set_published(next.size);
        Ok(())
    }

    /// Makes the tiles durable; then what only repeated them can go.
    fn clear_up(&mut self) -> Result<(), FileError> {
        sync_filesystem(&self.means.layout.dir)?;
        for folder in std::mem::take(&mut self.outgrown) {
            if let Ok(folder) = folder.parse::<RelativePath>() {
                remove_tree(&self.means.layout.dir, &folder)?;
            }
        }
        self.partial_files = 0;
        if self.rotated {
            self.anchor = self.partial.get(&TileKind::Entries).copied();
            self.retire_segments()?;
            self.rotated = false;
        }
        Ok(())
    }

    /// All segments but the newest hold only what is durable in tiles and signed for.
    fn retire_segments(&self) -> Result<(), FileError> {
        let layout = &self.means.layout;
        let listed = list_folder(&layout.wal(), SEGMENTS_MAX)?;
        let mut starts: Vec<u64> =
            listed.iter().filter_map(|entry| Layout::segment_start(&entry.name)).collect();
        starts.sort_unstable();
        starts.pop();
        for start in starts {
            segment::retire(layout, start)?;
        }
        Ok(())
    }
}
