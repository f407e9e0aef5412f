//! Blobs by digest in an OCI image layout.
//!
//! What it is for: every byte Hermetic keeps, under the name of its digest, in a folder that stock OCI tools read
//! (image-spec, "OCI Image Layout"): `oci-layout`, `index.json`, `blobs/sha256/<hex>`, and `incoming/` for blobs that
//! are not whole yet. What it must not know: what an artifact is for, who may read it, where it came from.
//!
//! Invariants:
//! - a file under `blobs/sha256` was complete and on disk before it got its name, and is never written again;
//! - whoever seals a blob has checked its digest ([`Incoming::seal`] says how that is shown);
//! - `index.json` is replaced whole, under a lock that holds between processes;
//! - reading checks: [`Store::read_small`] hashes what it returns, [`Store::scrub`] hashes everything.

mod error;
mod incoming;
mod index;
mod scrub;

pub use error::StoreError;
pub use incoming::Incoming;
pub use index::Entry;
pub use scrub::{Damage, DamageKind, ScrubProgress, ScrubReport};

use hermetic_bounded_io::{self as io, EntryKind, FileError, Mode};
use hermetic_bundle::layout::{BLOBS_FOLDER, INDEX_FILE, OCI_LAYOUT_CONTENT, OCI_LAYOUT_FILE};
use hermetic_bundle::limits::DOCUMENT_BYTES_MAX;
use hermetic_bundle::oci::ImageIndex;
use hermetic_digest::Digest;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Blobs that are not whole yet.
const INCOMING_FOLDER: &str = "incoming";

/// Most blobs in one store: a directory of this size still lists in seconds.
const BLOBS_MAX: usize = 1_000_000;

/// Largest `oci-layout` file: it holds one short field.
const OCI_LAYOUT_BYTES_MAX: u64 = 4_096;

/// A folder of blobs. Cheap to clone; clones share the index lock.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<PathBuf>,
    index_lock: Arc<Mutex<()>>,
}

/// What stands in the blobs folder.
#[derive(Debug)]
struct Listing {
    /// With their lengths, sorted by digest.
    blobs: Vec<(Digest, u64)>,
    /// Names of files that are no blobs.
    strays: Vec<String>,
}

impl Store {
    /// Opens the store at `root`, making it if the folder is missing or empty.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        for folder in [BLOBS_FOLDER, INCOMING_FOLDER] {
            io::create_folders(&root.join(folder), Mode::Shared).map_err(StoreError::File)?;
        }
        let layout = root.join(OCI_LAYOUT_FILE);
        if !layout.exists() {
            io::write_atomic(&layout, OCI_LAYOUT_CONTENT.as_bytes(), Mode::Shared)
                .map_err(StoreError::File)?;
        }
        let store = Self::at(root);
        store.check_layout()?;
        if !root.join(INDEX_FILE).exists() {
            let _held = store.lock_index()?;
            // Looked at again under the lock: another process may have made the store and tagged something by now.
            if !root.join(INDEX_FILE).exists() {
                store.write_index(&ImageIndex::new(Vec::new()).map_err(StoreError::Index)?)?;
            }
        }
        Ok(store)
    }

    /// Opens an image layout for reading only: a bundle on a medium, a copy made by another tool. Writes nothing.
    pub fn open_existing(root: &Path) -> Result<Self, StoreError> {
        let store = Self::at(root);
        store.check_layout()?;
        Ok(store)
    }

    fn at(root: &Path) -> Self {
        Self { root: Arc::new(root.to_owned()), index_lock: Arc::new(Mutex::new(())) }
    }

    fn check_layout(&self) -> Result<(), StoreError> {
        let path = self.root.join(OCI_LAYOUT_FILE);
        let not_a_layout = |found: String| StoreError::NotALayout { path: path.clone(), found };
        let text = match io::read_text_capped(&path, OCI_LAYOUT_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Err(not_a_layout("no such file".to_owned())),
            Err(error) => return Err(StoreError::File(error)),
        };
        let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        if compact.contains(r#""imageLayoutVersion":"1.0.0""#) {
            Ok(())
        } else {
            Err(not_a_layout(text.chars().take(80).collect()))
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the blob stands, or would stand.
    pub fn path_of(&self, digest: &Digest) -> PathBuf {
        self.root.join(BLOBS_FOLDER).join(digest.hex())
    }

    /// Whether the blob is here, whole. It was checked when it was sealed; [`Store::scrub`] checks again.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.size_of(digest).is_ok()
    }

    pub fn size_of(&self, digest: &Digest) -> Result<u64, StoreError> {
        self.open_blob(digest).map(|(_, bytes)| bytes)
    }

    /// Opens a blob for reading, with its length.
    pub fn open_blob(&self, digest: &Digest) -> Result<(File, u64), StoreError> {
        io::open_regular(&self.path_of(digest)).map_err(|error| self.missing_or(digest, error))
    }

    /// Reads a document (manifest, config, custody): at most [`DOCUMENT_BYTES_MAX`] bytes, and hashed before it is returned.
    pub fn read_small(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.path_of(digest);
        let bytes =
            io::read_capped(&path, DOCUMENT_BYTES_MAX).map_err(|error| self.missing_or(digest, error))?;
        let found = Digest::of(&bytes);
        if found != *digest {
            return Err(StoreError::Damaged { path, expected: *digest, found });
        }
        Ok(bytes)
    }

    /// Keeps bytes that are in memory, durably. A blob that is already here is not written again.
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        if !self.contains(&digest) {
            io::write_atomic(&self.path_of(&digest), bytes, Mode::Shared).map_err(StoreError::File)?;
        }
        Ok(digest)
    }

    /// Lists the blobs folder.
    fn blobs(&self) -> Result<Listing, StoreError> {
        let entries = io::list_folder(&self.root.join(BLOBS_FOLDER), BLOBS_MAX).map_err(StoreError::File)?;
        let mut listing = Listing { blobs: Vec::with_capacity(entries.len()), strays: Vec::new() };
        for entry in entries {
            match Digest::from_hex(&entry.name) {
                Ok(digest) if entry.kind == EntryKind::File => listing.blobs.push((digest, entry.bytes)),
                _ => listing.strays.push(entry.name),
            }
        }
        Ok(listing)
    }

    fn missing_or(&self, digest: &Digest, error: FileError) -> StoreError {
        if error.is_not_found() {
            return StoreError::Missing { digest: *digest, store: self.root.to_path_buf() };
        }
        StoreError::File(error)
    }
}
