//! What serving needs to know of the release in production.

use crate::{PRODUCTION, Registry, RegistryError, label};
use hermetic_digest::Digest;
use hermetic_ids::{Label, ModelKind, ModelKindError, ModelName, ReleaseVersion};
use hermetic_metadata::ArtifactRow;
use std::path::PathBuf;

/// A model of the release in production, with where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedModel {
    pub name: ModelName,
    pub kind: ModelKind,
    /// Digest of the manifest: what the ledger calls the model.
    pub manifest: Digest,
    pub weights: Digest,
    pub weights_path: PathBuf,
    pub files: Vec<ServedFile>,
    pub release: ReleaseVersion,
}

/// One file of a served model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFile {
    /// Its name in the model.
    pub name: String,
    pub digest: Digest,
    pub bytes: u64,
    pub path: PathBuf,
}

impl Registry {
    /// The models of the release in production, by name; none when nothing was promoted yet.
    pub fn production_models(&self) -> Result<Vec<ServedModel>, RegistryError> {
        self.models_under(&label(PRODUCTION)?)
    }

    /// The models of the release that holds `label`, by name; none when no release does.
    pub fn models_under(&self, label: &Label) -> Result<Vec<ServedModel>, RegistryError> {
        let Some(release) = self.holder(label)? else {
            return Ok(Vec::new());
        };
        let artifacts = self.metadata.artifacts(&release)?;
        artifacts.into_iter().map(|artifact| self.served(&release, artifact)).collect()
    }

    fn served(&self, release: &ReleaseVersion, artifact: ArtifactRow) -> Result<ServedModel, RegistryError> {
        let unservable = |detail: String| RegistryError::Unservable {
            version: release.clone(),
            model: artifact.name.clone(),
            detail,
        };
        let kind = artifact.kind.parse().map_err(|error: ModelKindError| unservable(error.to_string()))?;
        let weights = artifact.files.iter().find(|file| file.role == "weights");
        let weights = weights.ok_or_else(|| unservable("it has no weights".to_owned()))?.blob;
        for file in &artifact.files {
            if self.store.size_of(&file.blob).ok() != Some(file.bytes) {
                return Err(RegistryError::Incomplete { version: release.clone(), blob: file.blob });
            }
        }
        let files = artifact
            .files
            .iter()
            .map(|file| ServedFile {
                name: file.path.clone(),
                digest: file.blob,
                bytes: file.bytes,
                path: self.store.path_of(&file.blob),
            })
            .collect();
        Ok(ServedModel {
            kind,
            manifest: artifact.manifest,
            weights,
            weights_path: self.store.path_of(&weights),
            files,
            release: release.clone(),
            name: artifact.name,
        })
    }
}
