//! Releases, their artifacts and the blobs they are made of.

use crate::{Metadata, MetadataError, floor, row};
use hermetic_digest::Digest;
use hermetic_ids::{ModelName, ReleaseVersion};
use rusqlite::{OptionalExtension, Row, Transaction};

/// A release whose bytes are all in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseRow {
    pub version: ReleaseVersion,
    pub statement: Digest,
    pub counter: u64,
    pub created_unix_ms: u64,
    pub imported_unix_ms: u64,
    pub engineer: String,
    pub root_version: u64,
    pub signers: Vec<String>,
    /// Index of the ledger leaf that records the import.
    pub leaf: u64,
}

/// An artifact of a release. `custody` is the custody document as imported, in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactRow {
    pub name: ModelName,
    pub kind: String,
    pub manifest: Digest,
    pub manifest_bytes: u64,
    pub custody: String,
    pub files: Vec<ArtifactFile>,
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactFile {
    pub path: String,
    pub blob: Digest,
    pub bytes: u64,
    pub role: String,
}

const COLUMNS: &str =
    "version, statement, counter, created_unix_ms, imported_unix_ms, engineer, root_version, signers, leaf";

impl Metadata {
    /// Makes a release visible: the release, its artifacts and blobs, the end of its import and the raised floor, in
    /// one transaction.
    pub fn register_release(
        &self,
        release: &ReleaseRow,
        artifacts: &[ArtifactRow],
        blobs: &[(Digest, u64)],
        floor_unix_ms: u64,
    ) -> Result<(), MetadataError> {
        const ACTION: &str = "register a release";
        let raise_to = row::signed(floor_unix_ms, "floor.unix_ms")?;
        self.write(ACTION, |transaction| {
            let wrap = |source| MetadataError::Query { action: ACTION, source };
            insert_release(transaction, release)?;
            for (blob, bytes) in blobs {
                let bytes = row::signed(*bytes, "release_blobs.bytes")?;
                transaction
                    .prepare_cached("INSERT INTO release_blobs VALUES (?1, ?2, ?3)")
                    .and_then(|mut s| s.execute((release.version.as_str(), blob.to_string(), bytes)))
                    .map_err(wrap)?;
            }
            artifacts
                .iter()
                .try_for_each(|artifact| insert_artifact(transaction, &release.version, artifact))?;
            let finished = row::signed(release.imported_unix_ms, "imports.finished_unix_ms")?;
            transaction
                .execute(
                    "UPDATE imports SET state = 'imported', finished_unix_ms = ?2 WHERE statement = ?1",
                    (release.statement.to_string(), finished),
                )
                .map_err(wrap)?;
            floor::raise(transaction, raise_to).map_err(wrap)?;
            Self::bump_generation(transaction)
        })
    }

    /// Every imported release, newest counter first.
    pub fn releases(&self) -> Result<Vec<ReleaseRow>, MetadataError> {
        self.select_releases("ORDER BY counter DESC", [])
    }

    pub fn release(&self, version: &ReleaseVersion) -> Result<Option<ReleaseRow>, MetadataError> {
        Ok(self.select_releases("WHERE version = ?1", [version.as_str()])?.into_iter().next())
    }

    /// The highest counter ever imported: what an older release is measured against.
    pub fn highest_counter(&self) -> Result<Option<u64>, MetadataError> {
        let value: Option<i64> = self.read("read the release counter", |connection| {
            connection.query_row("SELECT max(counter) FROM releases", [], |r| r.get(0))
        })?;
        value.map(|v| row::unsigned(v, "releases.counter")).transpose()
    }

    pub fn release_blobs(&self, version: &ReleaseVersion) -> Result<Vec<(Digest, u64)>, MetadataError> {
        let raw: Vec<(String, i64)> = self.read("read a release's blobs", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT blob, bytes FROM release_blobs WHERE release = ?1 ORDER BY blob")?;
            statement.query_map([version.as_str()], |r| Ok((r.get(0)?, r.get(1)?)))?.collect()
        })?;
        raw.iter()
            .map(|(blob, bytes)| {
                Ok((row::parsed(blob, "release_blobs.blob")?, row::unsigned(*bytes, "release_blobs.bytes")?))
            })
            .collect()
    }

    pub fn artifacts(&self, version: &ReleaseVersion) -> Result<Vec<ArtifactRow>, MetadataError> {
        type Raw = (String, String, String, i64, String);
        let raw: Vec<Raw> = self.read("read a release's artifacts", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT name, kind, manifest, manifest_bytes, custody FROM artifacts WHERE release = ?1 ORDER BY name",
            )?;
            statement
                .query_map([version.as_str()], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
                .collect()
        })?;
        raw.into_iter()
            .map(|(name, kind, manifest, bytes, custody)| {
                Ok(ArtifactRow {
                    files: self.artifact_files(version, &name)?,
                    name: row::parsed(&name, "artifacts.name")?,
                    kind,
                    manifest: row::parsed(&manifest, "artifacts.manifest")?,
                    manifest_bytes: row::unsigned(bytes, "artifacts.manifest_bytes")?,
                    custody,
                })
            })
            .collect()
    }

    fn artifact_files(
        &self,
        version: &ReleaseVersion,
        name: &str,
    ) -> Result<Vec<ArtifactFile>, MetadataError> {
        let raw: Vec<(String, String, i64, String)> = self.read("read an artifact's files", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT path, blob, bytes, role FROM artifact_files WHERE release = ?1 AND name = ?2 ORDER BY path",
            )?;
            statement
                .query_map([version.as_str(), name], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
                .collect()
        })?;
        raw.into_iter()
            .map(|(path, blob, bytes, role)| {
                Ok(ArtifactFile {
                    path,
                    blob: row::parsed(&blob, "artifact_files.blob")?,
                    bytes: row::unsigned(bytes, "artifact_files.bytes")?,
                    role,
                })
            })
            .collect()
    }

    fn select_releases(
        &self,
        tail: &str,
        arguments: impl rusqlite::Params,
    ) -> Result<Vec<ReleaseRow>, MetadataError> {
        let raw: Vec<RawRelease> = self.read("read releases", |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM releases {tail}"))?;
            statement.query_map(arguments, RawRelease::take)?.collect()
        })?;
        raw.into_iter().map(RawRelease::checked).collect()
    }
}

struct RawRelease {
    version: String,
    statement: String,
    counter: i64,
    created: i64,
    imported: i64,
    engineer: String,
    root_version: i64,
    signers: String,
    leaf: i64,
}

impl RawRelease {
    fn take(r: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            version: r.get(0)?,
            statement: r.get(1)?,
            counter: r.get(2)?,
            created: r.get(3)?,
            imported: r.get(4)?,
            engineer: r.get(5)?,
            root_version: r.get(6)?,
            signers: r.get(7)?,
            leaf: r.get(8)?,
        })
    }

    fn checked(self) -> Result<ReleaseRow, MetadataError> {
        Ok(ReleaseRow {
            version: row::parsed(&self.version, "releases.version")?,
            statement: row::parsed(&self.statement, "releases.statement")?,
            counter: row::unsigned(self.counter, "releases.counter")?,
            created_unix_ms: row::unsigned(self.created, "releases.created_unix_ms")?,
            imported_unix_ms: row::unsigned(self.imported, "releases.imported_unix_ms")?,
            engineer: self.engineer,
            root_version: row::unsigned(self.root_version, "releases.root_version")?,
            signers: row::json(&self.signers, "releases.signers")?,
            leaf: row::unsigned(self.leaf, "releases.leaf")?,
        })
    }
}

fn insert_release(transaction: &Transaction<'_>, release: &ReleaseRow) -> Result<(), MetadataError> {
    let signers = serde_json::to_string(&release.signers)
        .map_err(|_| MetadataError::Corrupt { column: "releases.signers", found: String::new() })?;
    transaction
        .execute(
            &format!("INSERT INTO releases ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"),
            (
                release.version.as_str(),
                release.statement.to_string(),
                row::signed(release.counter, "releases.counter")?,
                row::signed(release.created_unix_ms, "releases.created_unix_ms")?,
                row::signed(release.imported_unix_ms, "releases.imported_unix_ms")?,
                &release.engineer,
                row::signed(release.root_version, "releases.root_version")?,
                signers,
                row::signed(release.leaf, "releases.leaf")?,
            ),
        )
        .map(|_| ())
        .map_err(|source| MetadataError::Query { action: "register a release", source })
}

fn insert_artifact(
    transaction: &Transaction<'_>,
    version: &ReleaseVersion,
    artifact: &ArtifactRow,
) -> Result<(), MetadataError> {
    let wrap = |source| MetadataError::Query { action: "register an artifact", source };
    transaction
        .execute(
            "INSERT INTO artifacts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                version.as_str(),
                artifact.name.as_str(),
                &artifact.kind,
                artifact.manifest.to_string(),
                row::signed(artifact.manifest_bytes, "artifacts.manifest_bytes")?,
                &artifact.custody,
            ),
        )
        .map_err(wrap)?;
    for file in &artifact.files {
        transaction
            .execute(
                "INSERT INTO artifact_files VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    version.as_str(),
                    artifact.name.as_str(),
                    &file.path,
                    file.blob.to_string(),
                    row::signed(file.bytes, "artifact_files.bytes")?,
                    &file.role,
                ),
            )
            .map_err(wrap)?;
    }
    Ok(())
}

/// Whether a release with this version exists, inside a transaction.
pub(crate) fn exists(transaction: &Transaction<'_>, version: &ReleaseVersion) -> rusqlite::Result<bool> {
    transaction
        .query_row("SELECT 1 FROM releases WHERE version = ?1", [version.as_str()], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn release(version: &str, counter: u64) -> ReleaseRow {
        ReleaseRow {
            version: version.parse().unwrap(),
            statement: Digest::of(version.as_bytes()),
            counter,
            created_unix_ms: 1_000,
            imported_unix_ms: 2_000,
            engineer: "mara".to_owned(),
            root_version: 1,
            signers: vec!["k1".to_owned(), "k2".to_owned()],
            leaf: 7,
        }
    }

    #[test]
    fn a_release_reads_back_as_it_was_written_and_bumps_the_generation() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let before = metadata.generation().unwrap();
        let row = release("2026.11.1", 3);
        let artifact = ArtifactRow {
            name: "org/model:8b".parse().unwrap(),
            kind: "chat".to_owned(),
            manifest: Digest::of(b"m"),
            manifest_bytes: 10,
            custody: "{}".to_owned(),
            files: vec![ArtifactFile {
                path: "model.gguf".to_owned(),
                blob: Digest::of(b"w"),
                bytes: 5,
                role: "weights".to_owned(),
            }],
        };
        let blobs = [(Digest::of(b"w"), 5)];
        metadata.register_release(&row, std::slice::from_ref(&artifact), &blobs, 9_000).unwrap();
        assert_eq!(metadata.release(&row.version).unwrap(), Some(row.clone()));
        assert_eq!(metadata.artifacts(&row.version).unwrap(), [artifact]);
        assert_eq!(metadata.release_blobs(&row.version).unwrap(), blobs);
        assert_eq!(metadata.highest_counter().unwrap(), Some(3));
        assert_eq!(metadata.floor_unix_ms().unwrap(), 9_000);
        assert!(metadata.generation().unwrap() > before);
    }

    #[test]
    fn a_release_that_cannot_be_registered_whole_leaves_no_row() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let blob = (Digest::of(b"w"), 5);
        assert!(metadata.register_release(&release("1", 1), &[], &[blob, blob], 9).is_err());
        assert!(metadata.releases().unwrap().is_empty());
        assert_eq!(metadata.floor_unix_ms().unwrap(), 0);
    }
}
