//! The release statement: an in-toto Statement v1 that names everything a release is.
//!
//! It names `index.json` and `release/parts.json` by digest; whatever hangs off those is thereby named too. It travels in
//! a DSSE envelope signed by the targets role and is itself the one TUF target of the release.

use crate::document::{self, DocumentError};
use crate::layout::{INDEX_FILE, PART_TABLE_FILE};
use crate::limits::{DOCUMENT_BYTES_MAX, INDEX_ENTRIES_MAX};
use crate::oci::{Descriptor, MANIFEST};
use crate::utc::UtcTime;
use hermetic_digest::Digest;
use hermetic_ids::{ModelKind, ModelName, ReleaseVersion};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// in-toto Statement v1, `_type`: an identifier, never fetched.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
pub const PREDICATE_TYPE: &str = "urn:hermetic:release:v1";

const WHAT: &str = "the release statement";

/// A validated release statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    index: Digest,
    part_table: Digest,
    release: Release,
}

/// The predicate: what this release is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    pub version: ReleaseVersion,
    /// Grows by at least one from release to release; an enclave never goes below what it has seen.
    pub counter: u64,
    pub created: UtcTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<PreviousRelease>,
    pub artifacts: Vec<ReleaseArtifact>,
}

/// The release this one follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviousRelease {
    pub version: ReleaseVersion,
    pub counter: u64,
    /// Digest of the previous release's statement envelope.
    pub statement: Digest,
}

/// One artifact of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseArtifact {
    pub name: ModelName,
    pub kind: ModelKind,
    /// The ModelPack manifest.
    pub manifest: BlobRef,
    /// The manifest of the custody document, a referrer of `manifest`.
    pub custody: BlobRef,
}

/// A descriptor reduced to what identifies a blob.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlobRef {
    pub media_type: crate::oci::MediaType,
    pub digest: Digest,
    pub size: u64,
}

impl From<&Descriptor> for BlobRef {
    fn from(descriptor: &Descriptor) -> Self {
        Self { media_type: descriptor.media_type.clone(), digest: descriptor.digest, size: descriptor.size }
    }
}

impl From<&BlobRef> for Descriptor {
    fn from(blob: &BlobRef) -> Self {
        Self::new(blob.media_type.clone(), blob.digest, blob.size)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatementRow {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<SubjectRow>,
    predicate_type: String,
    predicate: Release,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectRow {
    name: String,
    digest: DigestSet,
}

/// in-toto DigestSet with the one algorithm this format uses.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestSet {
    sha256: String,
}

impl Statement {
    pub fn new(index: Digest, part_table: Digest, release: Release) -> Result<Self, DocumentError> {
        check_release(&release)?;
        Ok(Self { index, part_table, release })
    }

    /// Digest of `index.json`.
    pub fn index(&self) -> Digest {
        self.index
    }
    /// Digest of `release/parts.json`.
    pub fn part_table(&self) -> Digest {
        self.part_table
    }
    pub fn release(&self) -> &Release {
        &self.release
    }

    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let row: StatementRow = document::parse(WHAT, bytes, DOCUMENT_BYTES_MAX)?;
        if row.statement_type != STATEMENT_TYPE {
            return Err(DocumentError::value(WHAT, format!("`_type` {STATEMENT_TYPE}"), row.statement_type));
        }
        if row.predicate_type != PREDICATE_TYPE {
            return Err(DocumentError::value(
                WHAT,
                format!("`predicateType` {PREDICATE_TYPE}"),
                row.predicate_type,
            ));
        }
        let [index, parts] = row.subject.as_slice() else {
            return Err(DocumentError::value(WHAT, "two subjects", row.subject.len()));
        };
        Self::new(subject(index, INDEX_FILE)?, subject(parts, PART_TABLE_FILE)?, row.predicate)
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        let subject = |name: &str, digest: Digest| SubjectRow {
            name: name.to_owned(),
            digest: DigestSet { sha256: digest.hex() },
        };
        let row = StatementRow {
            statement_type: STATEMENT_TYPE.to_owned(),
            subject: vec![subject(INDEX_FILE, self.index), subject(PART_TABLE_FILE, self.part_table)],
            predicate_type: PREDICATE_TYPE.to_owned(),
            predicate: self.release.clone(),
        };
        document::write(WHAT, &row)
    }
}

fn subject(row: &SubjectRow, name: &str) -> Result<Digest, DocumentError> {
    if row.name != name {
        return Err(DocumentError::value(WHAT, format!("the subject `{name}`"), &row.name));
    }
    Digest::from_hex(&row.digest.sha256)
        .map_err(|error| DocumentError::value(WHAT, format!("the SHA-256 of `{name}`"), error))
}

fn check_release(release: &Release) -> Result<(), DocumentError> {
    if release.counter == 0 {
        return Err(DocumentError::value(WHAT, "a `counter` of at least 1", 0));
    }
    if let Some(previous) = release.previous.as_ref().filter(|previous| previous.counter >= release.counter) {
        let expected = format!("a `counter` above the previous release's {}", previous.counter);
        return Err(DocumentError::value(WHAT, expected, release.counter));
    }
    let found = release.artifacts.len();
    if found == 0 || found > INDEX_ENTRIES_MAX / 2 {
        return Err(DocumentError::value(WHAT, format!("1 to {} artifacts", INDEX_ENTRIES_MAX / 2), found));
    }
    let mut names = BTreeSet::new();
    for artifact in &release.artifacts {
        if !names.insert(&artifact.name) {
            return Err(DocumentError::value(
                WHAT,
                "each artifact once",
                format!("`{}` twice", artifact.name),
            ));
        }
        for blob in [&artifact.manifest, &artifact.custody] {
            if blob.media_type.as_str() != MANIFEST || blob.size > DOCUMENT_BYTES_MAX {
                let expected = format!(
                    "`{}` to be named by a {MANIFEST} of at most {DOCUMENT_BYTES_MAX} bytes",
                    artifact.name
                );
                return Err(DocumentError::value(
                    WHAT,
                    expected,
                    format!("{} of {} bytes", blob.media_type, blob.size),
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::MediaType;

    fn statement() -> Statement {
        let blob = |text: &[u8]| BlobRef::from(&Descriptor::of(MediaType::manifest(), text));
        let artifact = ReleaseArtifact {
            name: "m".parse().unwrap(),
            kind: ModelKind::Chat,
            manifest: blob(b"manifest"),
            custody: blob(b"custody"),
        };
        let release = Release {
            version: "2026.11.1".parse().unwrap(),
            counter: 3,
            created: "2026-11-23T00:00:00Z".parse().unwrap(),
            previous: Some(PreviousRelease {
                version: "2026.11.0".parse().unwrap(),
                counter: 2,
                statement: Digest::of(b"before"),
            }),
            artifacts: vec![artifact],
        };
        Statement::new(Digest::of(b"index"), Digest::of(b"parts"), release).unwrap()
    }

    #[test]
    fn a_statement_reads_back_and_writes_the_same_bytes() {
        let bytes = statement().to_bytes().unwrap();
        let read = Statement::parse(&bytes).unwrap();
        assert_eq!(read, statement());
        assert_eq!(read.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn a_counter_that_does_not_grow_is_refused() {
        for counter in [0, 1, 2] {
            let release = Release { counter, ..statement().release().clone() };
            assert!(Statement::new(Digest::of(b""), Digest::of(b""), release).is_err(), "{counter}");
        }
    }

    #[test]
    fn swapped_subjects_other_types_and_unknown_fields_are_refused() {
        let good = String::from_utf8(statement().to_bytes().unwrap()).unwrap();
        let swaps = [
            ("index.json", "index.jsom"),
            (PREDICATE_TYPE, "urn:hermetic:release:v2"),
            ("Statement/v1", "Statement/v0.1"),
            ("\"counter\":3", "\"counter\":3,\"extra\":1"),
            ("\"counter\":3", "\"counter\":3,\"counter\":4"),
            ("\"sha256\":\"", "\"sha512\":\""),
        ];
        for (from, to) in swaps {
            assert!(good.contains(from), "{from}");
            assert!(Statement::parse(good.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
        }
    }

    #[test]
    fn an_artifact_named_twice_is_refused() {
        let mut release = statement().release().clone();
        release.artifacts.push(release.artifacts[0].clone());
        let error = Statement::new(Digest::of(b""), Digest::of(b""), release).unwrap_err();
        assert!(error.to_string().contains("`m` twice"), "{error}");
    }
}
