//! Releases as people look at them.

use crate::{Registry, RegistryError};
use hermetic_ids::{Label, ReleaseVersion};
use hermetic_metadata::{ArtifactRow, ReleaseRow};

/// A release with the labels it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseView {
    pub release: ReleaseRow,
    pub labels: Vec<Label>,
    pub bytes: u64,
}

impl Registry {
    /// Every imported release, newest first.
    pub fn releases(&self) -> Result<Vec<ReleaseView>, RegistryError> {
        let held = self.metadata.labels_held()?;
        self.metadata
            .releases()?
            .into_iter()
            .map(|release| {
                let labels =
                    held.iter().filter(|h| h.release == release.version).map(|h| h.label.clone()).collect();
                let blobs = self.metadata.release_blobs(&release.version)?;
                let bytes = blobs.iter().fold(0, |sum: u64, (_, bytes)| sum.saturating_add(*bytes));
                Ok(ReleaseView { release, labels, bytes })
            })
            .collect()
    }

    /// One release with its artifacts.
    pub fn release(
        &self,
        version: &ReleaseVersion,
    ) -> Result<(ReleaseView, Vec<ArtifactRow>), RegistryError> {
        let unknown = || RegistryError::UnknownRelease { version: version.clone() };
        let view =
            self.releases()?.into_iter().find(|view| view.release.version == *version).ok_or_else(unknown)?;
        Ok((view, self.metadata.artifacts(version)?))
    }
}
