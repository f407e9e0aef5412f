//! The bundle a release follows: its counter and its metadata versions must be exceeded.

use super::ExportError;
use hermetic_bundle::UtcTime;
use hermetic_bundle::statement::PreviousRelease;
use hermetic_trust::{Anchor, Floor, Root, verify};
use std::path::Path;

/// What is known of the release before.
#[derive(Debug, Clone)]
pub(super) struct Previous {
    pub(super) release: PreviousRelease,
}

impl Previous {
    /// Reads a previous bundle, which must verify under the very root this release is signed by: a counter from an
    /// unsigned folder could be any number.
    pub(super) fn read(
        bundle: Option<&Path>,
        root: &Root,
        now: UtcTime,
    ) -> Result<Option<Self>, ExportError> {
        let Some(path) = bundle else { return Ok(None) };
        // Nothing is proven to have passed: a release may well follow one whose metadata has expired.
        let floor = Floor::new([], now.unix_millis());
        let verified = verify(path, &Anchor::explicit(root.clone()), floor)
            .map_err(|source| ExportError::Previous { path: path.to_owned(), source: Box::new(source) })?;
        let release = verified.release.release();
        let previous = PreviousRelease {
            version: release.version.clone(),
            counter: release.counter,
            statement: verified.release.digest(),
        };
        Ok(Some(Self { release: previous }))
    }
}
