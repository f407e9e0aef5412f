//! `index.json`: the names under which manifests can be found.

use crate::{INCOMING_FOLDER, Store, StoreError};
use hermetic_bounded_io::{self as io, FileLock, Mode};
use hermetic_bundle::layout::INDEX_FILE;
use hermetic_bundle::limits::INDEX_BYTES_MAX;
use hermetic_bundle::oci::{Descriptor, ImageIndex, ImageManifest, REF_NAME};
use hermetic_digest::Digest;
use serde::Serialize;
use std::sync::{MutexGuard, PoisonError};

/// Held while `index.json` is read, changed and replaced.
#[derive(Debug)]
pub(crate) struct IndexLock<'a> {
    _thread: MutexGuard<'a, ()>,
    _process: FileLock,
}

/// One line of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub name: Option<String>,
    pub artifact_type: Option<String>,
    pub digest: Digest,
    /// The manifest, its config and its layers together.
    pub bytes: u64,
    /// Blobs of it that are not here.
    pub missing: Vec<Digest>,
    /// The manifest this one refers to.
    pub subject: Option<Digest>,
}

impl Store {
    /// The index as it stands now.
    pub fn index(&self) -> Result<ImageIndex, StoreError> {
        let bytes =
            io::read_capped(&self.root().join(INDEX_FILE), INDEX_BYTES_MAX).map_err(StoreError::File)?;
        ImageIndex::parse(&bytes).map_err(StoreError::Index)
    }

    /// Names a manifest, durably. A name that was given to another manifest moves; that manifest's blobs stay.
    pub fn tag(&self, manifest: &Descriptor, name: &str) -> Result<(), StoreError> {
        check_name(name)?;
        let tagged = manifest.clone().with_annotation(REF_NAME, name);
        self.change_index(|entries| {
            entries.retain(|entry| entry.ref_name() != Some(name));
            entries.push(tagged);
        })
    }

    /// Lists a manifest without a name of its own: a referrer.
    pub fn list_untagged(&self, manifest: &Descriptor) -> Result<(), StoreError> {
        let mut plain = manifest.clone();
        plain.annotations.remove(REF_NAME);
        self.change_index(|entries| {
            entries.retain(|entry| entry.ref_name().is_some() || entry.digest != plain.digest);
            entries.push(plain);
        })
    }

    /// Takes a name away. The blobs stay.
    pub fn untag(&self, name: &str) -> Result<(), StoreError> {
        self.change_index(|entries| entries.retain(|entry| entry.ref_name() != Some(name)))
    }

    /// Every entry of the index with what it weighs.
    pub fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let index = self.index()?;
        Ok(index.manifests().iter().map(|descriptor| self.entry(descriptor)).collect())
    }

    fn entry(&self, descriptor: &Descriptor) -> Entry {
        let manifest =
            self.read_small(&descriptor.digest).ok().and_then(|bytes| ImageManifest::parse(&bytes).ok());
        let mut entry = Entry {
            name: descriptor.ref_name().map(str::to_owned),
            artifact_type: descriptor.artifact_type.as_ref().map(ToString::to_string),
            digest: descriptor.digest,
            bytes: descriptor.size,
            missing: Vec::new(),
            subject: manifest.as_ref().and_then(ImageManifest::subject).map(|subject| subject.digest),
        };
        if manifest.is_none() {
            entry.missing.push(descriptor.digest);
        }
        for blob in manifest.iter().flat_map(ImageManifest::blobs) {
            entry.bytes = entry.bytes.saturating_add(blob.size);
            if !self.contains(&blob.digest) {
                entry.missing.push(blob.digest);
            }
        }
        entry
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<Descriptor>)) -> Result<(), StoreError> {
        let _held = self.lock_index()?;
        let mut entries = self.index()?.manifests().to_vec();
        change(&mut entries);
        self.write_index(&ImageIndex::new(entries).map_err(StoreError::Index)?)
    }

    pub(crate) fn write_index(&self, index: &ImageIndex) -> Result<(), StoreError> {
        let bytes = index.to_bytes().map_err(StoreError::Index)?;
        io::write_atomic(&self.root().join(INDEX_FILE), &bytes, Mode::Shared).map_err(StoreError::File)
    }

    pub(crate) fn lock_index(&self) -> Result<IndexLock<'_>, StoreError> {
        // The mutex guards no data of its own, so a panic while it was held leaves nothing half-changed.
        let thread = self.index_lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Under `incoming/`, so that a layout without it (a bundle) holds OCI files only.
        let path = self.root().join(INCOMING_FOLDER).join("index.lock");
        let process = FileLock::exclusive(&path).map_err(StoreError::File)?;
        Ok(IndexLock { _thread: thread, _process: process })
    }
}

/// image-spec, "Pre-Defined Annotation Keys", `org.opencontainers.image.ref.name`: runs of letters and digits joined by
/// single separators (or `--`).
fn check_name(name: &str) -> Result<(), StoreError> {
    let separator = |c: char| "-._:@+/".contains(c);
    let mut before = None;
    let mut well_formed = name.len() <= 255;
    for c in name.chars() {
        let joined = before.is_some_and(|b: char| b.is_ascii_alphanumeric() || (b == '-' && c == '-'));
        well_formed &= c.is_ascii_alphanumeric() || (separator(c) && joined);
        before = Some(c);
    }
    if well_formed && before.is_some_and(|c| c.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err(StoreError::Name { name: name.chars().take(255).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_tools_would_refuse_are_refused() {
        for good in ["smollm2-135m", "org/model:2026.11.1", "a--b", "1"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a..b", "a b", "a/", "ü", "a\nb"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
