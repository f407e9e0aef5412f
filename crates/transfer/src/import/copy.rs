//! Copying: each part is read once, hashed on the way, written at its place, synced, then journaled.
//!
//! Peak disk is the bundle once: a blob grows at its final size under `incoming/` and gets its name by a rename.

use super::media::Media;
use super::parallel::{self, Job};
use super::preflight::Plan;
use super::progress::Progress;
use super::{ImportError, Order, Site};
use hermetic_bounded_io::{EntryKind, list_folder};
use hermetic_digest::Digest;
use hermetic_store::Incoming;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Unsynced parts at most: each holds a file open.
const UNSYNCED_PARTS_MAX: usize = 128;

/// Copies every part that is not in the store or the journal.
pub(super) fn copy(
    site: &Site,
    media: &Media,
    plan: &Plan,
    (order, progress): (&Order, &dyn Progress),
) -> Result<(), ImportError> {
    let wanted =
        |job: &Job<'_>| plan.done.get(&job.blob.digest()).is_some_and(|done| !done.contains(&job.part.index));
    let jobs: Vec<Job<'_>> = media.jobs().filter(wanted).collect();
    reserve(site, media, plan)?;
    let journal = Journal { site, media, progress, order, unsynced: Mutex::default() };
    let copied = parallel::run(&jobs, order.threads, |job, buffer| copy_part(&journal, job, buffer));
    // Also after a failure: what was copied well need not be copied again.
    let flushed = journal.flush();
    copied.and(flushed)
}

/// Takes the space of every blob before the first byte is read: a disk that cannot hold the bundle says so now.
fn reserve(site: &Site, media: &Media, plan: &Plan) -> Result<(), ImportError> {
    let missing = media.table.blobs().filter(|blob| plan.done.contains_key(&blob.digest()));
    for blob in missing {
        site.store.incoming(&blob.digest(), blob.size()).map_err(ImportError::store)?;
    }
    Ok(())
}

fn copy_part(journal: &Journal<'_>, job: &Job<'_>, buffer: &mut [u8]) -> Result<(), ImportError> {
    let incoming =
        journal.site.store.incoming(&job.blob.digest(), job.blob.size()).map_err(ImportError::store)?;
    journal.media.read_part(job, buffer, |piece, at| {
        incoming.write_at(piece, at).map_err(ImportError::store)?;
        journal.progress.copied(piece.len() as u64);
        Ok(())
    })?;
    journal.add(Unsynced { blob: job.blob.digest(), part: job.part.index, bytes: job.part.bytes, incoming })
}

/// Parts that are written and checked, on their way to being durable and known.
struct Journal<'a> {
    site: &'a Site,
    media: &'a Media,
    progress: &'a dyn Progress,
    order: &'a Order,
    unsynced: Mutex<Vec<Unsynced>>,
}

struct Unsynced {
    blob: Digest,
    part: u64,
    bytes: u64,
    incoming: Incoming,
}

impl Journal<'_> {
    fn add(&self, part: Unsynced) -> Result<(), ImportError> {
        let due = {
            let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
            unsynced.push(part);
            let bytes: u64 = unsynced.iter().map(|part| part.bytes).sum();
            let full = bytes >= self.order.journal_bytes || unsynced.len() >= UNSYNCED_PARTS_MAX;
            if full { std::mem::take(&mut *unsynced) } else { Vec::new() }
        };
        self.make_durable(&due)
    }

    fn flush(&self) -> Result<(), ImportError> {
        let due = std::mem::take(&mut *self.unsynced.lock().unwrap_or_else(PoisonError::into_inner));
        self.make_durable(&due)
    }

    /// Data first, then the row that says so: a row is never ahead of its bytes.
    fn make_durable(&self, parts: &[Unsynced]) -> Result<(), ImportError> {
        if parts.is_empty() {
            return Ok(());
        }
        let one_per_blob: BTreeMap<Digest, &Incoming> = parts.iter().map(|p| (p.blob, &p.incoming)).collect();
        one_per_blob
            .values()
            .try_for_each(|incoming| incoming.flush_durable().map_err(ImportError::store))?;
        let rows: Vec<(Digest, u64)> = parts.iter().map(|part| (part.blob, part.part)).collect();
        self.site.metadata.record_parts(&self.media.table_digest, &rows)?;
        self.progress.journaled(rows.len());
        Ok(())
    }
}

/// Gives every blob its name. All parts of all blobs are checked by now, and the last part of each ended in its digest.
pub(super) fn seal(site: &Site, media: &Media) -> Result<(), ImportError> {
    for blob in media.table.blobs() {
        if site.store.size_of(&blob.digest()).is_ok_and(|found| found == blob.size()) {
            continue;
        }
        let done = site.metadata.parts_done(&blob.digest(), &media.table_digest)?;
        if done.len() as u64 != blob.count() {
            return Err(ImportError::Unfinished {
                blob: blob.digest(),
                done: done.len() as u64,
                of: blob.count(),
            });
        }
        let incoming = site.store.incoming(&blob.digest(), blob.size()).map_err(ImportError::store)?;
        incoming.seal(&blob.digest()).map_err(ImportError::store)?;
    }
    Ok(())
}

/// Drops what earlier, abandoned imports left under `incoming/`. Runs after a release is registered, under the import
/// lock: nobody else is copying.
pub(super) fn forget_leftovers(site: &Site) -> Result<(), ImportError> {
    let entries = list_folder(&site.store.root().join("incoming"), 1_000_000)
        .map_err(|source| ImportError::State { source })?;
    for entry in entries.iter().filter(|entry| entry.kind == EntryKind::File) {
        if let Ok(digest) = Digest::from_hex(&entry.name) {
            site.store.discard_incoming(&digest).map_err(ImportError::store)?;
        }
    }
    site.metadata.forget_all_parts()?;
    Ok(())
}
