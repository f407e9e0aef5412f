//! Where things stand in a bundle folder.

use crate::document::{self, DocumentError};
use crate::limits::DOCUMENT_BYTES_MAX;
use hermetic_digest::Digest;
use hermetic_ids::ReleaseVersion;
use serde::{Deserialize, Serialize};

/// The unsigned hint that says "this folder is a bundle". Nothing may be decided by it.
pub const HINT_FILE: &str = "hermetic-bundle.json";
/// TUF metadata: `1.root.json` …, `timestamp.json`, `<S>.snapshot.json`, `<T>.targets.json`.
pub const METADATA_FOLDER: &str = "metadata";
pub const TIMESTAMP_FILE: &str = "metadata/timestamp.json";
/// The signed release statement and what it names.
pub const RELEASE_FOLDER: &str = "release";
pub const STATEMENT_FILE: &str = "release/statement.dsse.json";
pub const PART_TABLE_FILE: &str = "release/parts.json";
/// The OCI image layout (image-spec, "OCI Image Layout").
pub const OCI_LAYOUT_FILE: &str = "oci-layout";
pub const INDEX_FILE: &str = "index.json";
pub const BLOBS_FOLDER: &str = "blobs/sha256";

/// Content of `oci-layout`: the only version image-spec 1.1 knows.
pub const OCI_LAYOUT_CONTENT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Version of this format.
pub const FORMAT: u32 = 1;

/// Where a blob stands, relative to the bundle.
pub fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS_FOLDER}/{}", digest.hex())
}

/// The name of the one TUF target of a release: its statement.
pub fn target_name(version: &ReleaseVersion) -> String {
    format!("releases/{version}/statement.dsse.json")
}

/// The unsigned hint: enough to name the disk on a screen and to say which volume is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hint {
    pub format: u32,
    pub release: ReleaseVersion,
    /// The same on every volume of one bundle: the digest of the release statement's envelope.
    pub set_id: Digest,
    pub volume: u32,
    pub of: u32,
}

const WHAT: &str = "the bundle hint";

impl Hint {
    /// The hint of a bundle that fits one volume.
    pub fn single_volume(release: ReleaseVersion, set_id: Digest) -> Self {
        Self { format: FORMAT, release, set_id, volume: 1, of: 1 }
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let hint: Self = document::parse(WHAT, bytes, DOCUMENT_BYTES_MAX)?;
        if hint.format != FORMAT {
            return Err(DocumentError::value(WHAT, format!("`format` {FORMAT}"), hint.format));
        }
        if hint.volume == 0 || hint.volume > hint.of {
            return Err(DocumentError::value(WHAT, format!("`volume` from 1 to {}", hint.of), hint.volume));
        }
        // Volumes come later; until then a second one would be silently missing.
        if hint.of != 1 {
            return Err(DocumentError::value(WHAT, "a bundle of one volume", format!("`of` {}", hint.of)));
        }
        Ok(hint)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        document::write(WHAT, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint() -> Hint {
        Hint::single_volume("2026.11.1".parse().unwrap(), Digest::of(b"statement"))
    }

    #[test]
    fn the_hint_reads_back() {
        assert_eq!(Hint::parse(&hint().to_bytes().unwrap()).unwrap(), hint());
    }

    #[test]
    fn a_hint_of_another_format_or_of_several_volumes_is_refused() {
        for bad in
            [Hint { format: 2, ..hint() }, Hint { volume: 0, ..hint() }, Hint { volume: 2, of: 2, ..hint() }]
        {
            assert!(Hint::parse(&bad.to_bytes().unwrap()).is_err(), "{bad:?}");
        }
        assert!(Hint::parse(br#"{"format":1,"release":"1","volume":1,"of":1,"extra":1}"#).is_err());
    }
}
