//! What came across the gap, and which release has which label.

use hermetic_digest::Digest;
use hermetic_ids::{Label, ModelName, ReleaseVersion};
use serde::{Deserialize, Serialize};

/// A bundle whose bytes are all in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleImported {
    pub release: ReleaseVersion,
    pub release_digest: Digest,
    pub counter: u64,
    pub root_version: u64,
    /// Key ids whose signatures made the threshold over the release statement.
    pub signers: Vec<String>,
    /// The engineer who answers for the import.
    pub importer: String,
    pub artifacts: Vec<ImportedArtifact>,
    pub blobs: u64,
    pub bytes: u64,
    pub floor_unix_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedArtifact {
    pub name: ModelName,
    pub digest: Digest,
    pub source: String,
    pub published_hash: Option<String>,
    pub licence: String,
}

/// A release took, or lost, a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMoved {
    pub release: ReleaseVersion,
    pub release_digest: Digest,
    pub from: Option<Label>,
    pub to: Label,
    /// `stage`, `canary`, `promote` or `rollback`.
    pub action: String,
    /// The release that held the label before.
    pub displaced: Option<ReleaseVersion>,
    pub by: String,
}
