//! What an import will do, worked out before a byte is copied.

use super::media::Media;
use super::{ImportError, Site};
use hermetic_bounded_io::{free_bytes, open_regular};
use hermetic_digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// Room left for rows, the ledger and the filesystem's own bookkeeping.
const HEADROOM_BYTES: u64 = 32 << 20;

/// What there is to do.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Plan {
    pub blobs: u64,
    pub bytes: u64,
    /// Blobs that are in the store already and are not read at all.
    pub blobs_present: u64,
    pub bytes_present: u64,
    /// Bytes of parts that an earlier run copied, checked and journaled.
    pub bytes_journaled: u64,
    /// Bytes to read from the media now.
    pub bytes_to_copy: u64,
    /// Disk space this import still has to take.
    pub bytes_needed: u64,
    pub bytes_free: u64,
    /// Parts not to be read again, by blob.
    #[serde(skip)]
    pub(super) done: BTreeMap<Digest, BTreeSet<u64>>,
}

/// Plans the import and refuses one that cannot fit.
pub(super) fn plan(site: &Site, media: &Media) -> Result<Plan, ImportError> {
    let free = free_bytes(site.store.root()).map_err(|source| ImportError::State { source })?;
    let mut plan = Plan {
        blobs: 0,
        bytes: 0,
        blobs_present: 0,
        bytes_present: 0,
        bytes_journaled: 0,
        bytes_to_copy: 0,
        bytes_needed: 0,
        bytes_free: free,
        done: BTreeMap::new(),
    };
    for blob in media.table.blobs() {
        plan.blobs += 1;
        plan.bytes = plan.bytes.saturating_add(blob.size());
        if site.store.size_of(&blob.digest()).is_ok_and(|found| found == blob.size()) {
            plan.blobs_present += 1;
            plan.bytes_present = plan.bytes_present.saturating_add(blob.size());
            continue;
        }
        let begun = incoming_bytes(site, &blob.digest());
        // Rows without their file (somebody cleaned up by hand) prove nothing.
        let done = if begun == Some(blob.size()) {
            site.metadata.parts_done(&blob.digest(), &media.table_digest)?
        } else {
            site.metadata.forget_parts(&blob.digest())?;
            BTreeSet::new()
        };
        let journaled: u64 =
            blob.parts().filter(|part| done.contains(&part.index)).map(|part| part.bytes).sum();
        plan.bytes_journaled = plan.bytes_journaled.saturating_add(journaled);
        plan.bytes_to_copy = plan.bytes_to_copy.saturating_add(blob.size().saturating_sub(journaled));
        // The file of a begun blob was given its final size at once: its space is taken already.
        let missing = if begun == Some(blob.size()) { 0 } else { blob.size() };
        plan.bytes_needed = plan.bytes_needed.saturating_add(missing);
        plan.done.insert(blob.digest(), done);
    }
    if plan.bytes_needed > 0 && plan.bytes_needed.saturating_add(HEADROOM_BYTES) > free {
        return Err(ImportError::NoRoom { needed: plan.bytes_needed.saturating_add(HEADROOM_BYTES), free });
    }
    Ok(plan)
}

fn incoming_bytes(site: &Site, digest: &Digest) -> Option<u64> {
    let path = site.store.root().join("incoming").join(digest.hex());
    open_regular(&path).ok().map(|(_, bytes)| bytes)
}
