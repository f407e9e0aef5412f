//! Checking a bundle where it lies: everything an import checks, nothing written, every damage reported.

use super::error::ImportError;
use super::media::Media;
use super::parallel::{self, Job};
use super::progress::{Progress, Stage};
use hermetic_clock::UnixMillis;
use hermetic_digest::Digest;
use hermetic_ids::ReleaseVersion;
use hermetic_trust::{Anchor, Floor, Role, Warning};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// What is wrong with one blob, or nothing.
#[derive(Debug, Clone, serde::Serialize)]
pub struct BlobFinding {
    pub digest: Digest,
    pub bytes: u64,
    /// Damaged ranges: first byte, and the one past the last.
    pub damaged: Vec<(u64, u64)>,
}

/// What a bundle is, checked down to its last byte.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Examination {
    pub release: ReleaseVersion,
    pub release_digest: Digest,
    pub counter: u64,
    pub created_unix_ms: UnixMillis,
    pub root_version: u64,
    pub signers: Vec<String>,
    pub expiries: Vec<(Role, UnixMillis)>,
    pub warnings: Vec<Warning>,
    pub artifacts: Vec<String>,
    pub bytes: u64,
    pub part_bytes: u64,
    pub blobs: Vec<BlobFinding>,
}

impl Examination {
    /// The first damaged range, as the error that an import would have stopped with.
    pub fn damage(&self) -> Option<ImportError> {
        let blob = self.blobs.iter().find(|blob| !blob.damaged.is_empty())?;
        let &(first, last) = blob.damaged.first()?;
        let file = hermetic_bundle::layout::blob_path(&blob.digest);
        let part = first.checked_div(self.part_bytes).unwrap_or(0);
        Some(ImportError::Damaged { file, first, last, part })
    }
}

/// Verifies metadata, then reads and hashes every byte.
pub fn examine(
    bundle: &Path,
    anchor: &Anchor,
    floor: Floor,
    progress: &dyn Progress,
) -> Result<Examination, ImportError> {
    progress.stage(Stage::VerifyMetadata);
    let verification = hermetic_trust::verify(bundle, anchor, floor)?;
    let release = &verification.release;
    let media = Media::open(bundle, release)?;
    progress.stage(Stage::Check);
    progress.total(media.table.total_bytes());
    let jobs: Vec<Job<'_>> = media.jobs().collect();
    let damaged: Mutex<Vec<(Digest, (u64, u64))>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    parallel::run(&jobs, threads, |job, buffer| {
        let read = media.read_part(job, buffer, |piece, _| {
            progress.copied(piece.len() as u64);
            Ok(())
        });
        match read {
            Err(ImportError::Damaged { first, last, .. }) => {
                let found = (job.blob.digest(), (first, last));
                damaged.lock().unwrap_or_else(PoisonError::into_inner).push(found);
                Ok(())
            }
            other => other,
        }
    })?;
    let mut damaged = damaged.into_inner().unwrap_or_else(PoisonError::into_inner);
    damaged.sort_unstable();
    let of = |digest: Digest| damaged.iter().filter(|(d, _)| *d == digest).map(|(_, range)| *range).collect();
    let blobs = media
        .table
        .blobs()
        .map(|blob| BlobFinding { digest: blob.digest(), bytes: blob.size(), damaged: of(blob.digest()) })
        .collect();
    Ok(Examination {
        release: release.release().version.clone(),
        release_digest: release.digest(),
        counter: release.release().counter,
        created_unix_ms: release.created_unix_ms(),
        root_version: release.root_version(),
        signers: release.signers().to_vec(),
        expiries: release.expiries().to_vec(),
        warnings: release.warnings().to_vec(),
        artifacts: release.release().artifacts.iter().map(|artifact| artifact.name.to_string()).collect(),
        bytes: media.table.total_bytes(),
        part_bytes: media.table.part_bytes(),
        blobs,
    })
}
