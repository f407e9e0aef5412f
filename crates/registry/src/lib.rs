//! Versions, labels, custody: stage, promote, roll back.
//!
//! What it is for: which release serves, which one waits, and how one becomes the other. What it must not know:
//! inference, where a release came from, how a bundle looks.
//!
//! Invariants:
//! - a label is moved by [`Registry::stage`], [`Registry::canary`], [`Registry::promote`] and [`Registry::rollback`] alone;
//! - every move is a ledger leaf before it takes effect: no leaf, no move;
//! - production is reached through `staged`, and left backwards only by a rollback, within [`ROLLBACK_WINDOW`];
//! - a release that is not complete in the store takes no label.

mod error;
mod moves;
mod releases;
mod served;

pub use error::RegistryError;
pub use moves::{Move, Mover, ROLLBACK_WINDOW};
pub use releases::ReleaseView;
pub use served::{ServedFile, ServedModel};

use hermetic_ids::{Label, ReleaseVersion};
use hermetic_metadata::{Metadata, ReleaseRow};
use hermetic_store::Store;

/// The label a release waits under until it is promoted.
pub const STAGED: &str = "staged";
/// The label whose release answers the share of requests that virtual models give their canaries.
pub const CANARY: &str = "canary";
/// The label whose release serves.
pub const PRODUCTION: &str = "production";

/// Releases and labels over rows and blobs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Registry {
    metadata: Metadata,
    store: Store,
}

impl Registry {
    pub fn new(metadata: Metadata, store: Store) -> Self {
        Self { metadata, store }
    }

    /// A counter that changes with every move and import: serving looks again when it does.
    pub fn generation(&self) -> Result<u64, RegistryError> {
        Ok(self.metadata.generation()?)
    }

    fn known(&self, version: &ReleaseVersion) -> Result<ReleaseRow, RegistryError> {
        self.metadata
            .release(version)?
            .ok_or_else(|| RegistryError::UnknownRelease { version: version.clone() })
    }

    /// The release that holds `label` now.
    pub fn holder(&self, label: &Label) -> Result<Option<ReleaseVersion>, RegistryError> {
        let held = self.metadata.label_history(label)?;
        Ok(held.into_iter().find(|tenure| tenure.until_unix_ms.is_none()).map(|tenure| tenure.release))
    }

    /// Every blob of the release is in the store at its size. Their bytes were checked when they were sealed.
    fn check_complete(&self, version: &ReleaseVersion) -> Result<(), RegistryError> {
        for (blob, bytes) in self.metadata.release_blobs(version)? {
            match self.store.size_of(&blob) {
                Ok(found) if found == bytes => {}
                _ => return Err(RegistryError::Incomplete { version: version.clone(), blob }),
            }
        }
        Ok(())
    }
}

fn label(name: &'static str) -> Result<Label, RegistryError> {
    name.parse().map_err(|_| RegistryError::Label { found: name.to_owned() })
}
