//! The import journal: which releases are on their way in, and which parts of which blobs are already safe on disk.

use crate::{Metadata, MetadataError, row};
use hermetic_digest::Digest;
use hermetic_ids::ReleaseVersion;
use rusqlite::OptionalExtension;
use std::collections::BTreeSet;

/// One import run, named by the digest of its release statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    pub statement: Digest,
    pub release: ReleaseVersion,
    pub counter: u64,
    pub engineer: String,
    pub state: ImportState,
    pub started_unix_ms: u64,
    pub finished_unix_ms: Option<u64>,
}

/// How far an import has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportState {
    /// Begun; nothing of it can be seen outside the journal.
    Copying,
    /// Registered, all of it.
    Imported,
}

impl Metadata {
    /// Opens the journal of an import, or carries on with the one that was cut off.
    pub fn begin_import(&self, import: &ImportRow) -> Result<(), MetadataError> {
        let counter = row::signed(import.counter, "imports.counter")?;
        let started = row::signed(import.started_unix_ms, "imports.started_unix_ms")?;
        self.write("begin an import", |transaction| {
            transaction
                .execute(
                    "INSERT INTO imports VALUES (?1, ?2, ?3, ?4, 'copying', ?5, NULL) \
                     ON CONFLICT (statement) DO UPDATE SET engineer = excluded.engineer WHERE state = 'copying'",
                    (import.statement.to_string(), import.release.as_str(), counter, &import.engineer, started),
                )
                .map(|_| ())
                .map_err(|source| MetadataError::Query { action: "begin an import", source })
        })
    }

    /// The journal of one release statement.
    pub fn import(&self, statement: &Digest) -> Result<Option<ImportRow>, MetadataError> {
        type Raw = (String, i64, String, String, i64, Option<i64>);
        let raw: Option<Raw> = self.read("read an import", |connection| {
            connection
                .query_row(
                    "SELECT release, counter, engineer, state, started_unix_ms, finished_unix_ms FROM imports \
                     WHERE statement = ?1",
                    [statement.to_string()],
                    |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?)),
                )
                .optional()
        })?;
        let Some((release, counter, engineer, state, started, finished)) = raw else {
            return Ok(None);
        };
        Ok(Some(ImportRow {
            statement: *statement,
            release: row::parsed(&release, "imports.release")?,
            counter: row::unsigned(counter, "imports.counter")?,
            engineer,
            state: if state == "imported" { ImportState::Imported } else { ImportState::Copying },
            started_unix_ms: row::unsigned(started, "imports.started_unix_ms")?,
            finished_unix_ms: finished.map(|v| row::unsigned(v, "imports.finished_unix_ms")).transpose()?,
        }))
    }

    /// The parts of `blob` that are synced and were checked against `part_table`.
    pub fn parts_done(&self, blob: &Digest, part_table: &Digest) -> Result<BTreeSet<u64>, MetadataError> {
        let parts: Vec<i64> = self.read("read the journal", |connection| {
            let mut statement = connection
                .prepare_cached("SELECT part FROM incoming_parts WHERE blob = ?1 AND part_table = ?2")?;
            let rows = statement.query_map((blob.to_string(), part_table.to_string()), |r| r.get(0))?;
            rows.collect()
        })?;
        parts.into_iter().map(|part| row::unsigned(part, "incoming_parts.part")).collect()
    }

    /// Notes that parts of blobs are on this disk, checked against `part_table`. The caller has synced them first.
    pub fn record_parts(&self, part_table: &Digest, parts: &[(Digest, u64)]) -> Result<(), MetadataError> {
        const ACTION: &str = "journal parts";
        let table = part_table.to_string();
        self.write(ACTION, |transaction| {
            let wrap = |source| MetadataError::Query { action: ACTION, source };
            let mut insert = transaction
                .prepare_cached("INSERT OR IGNORE INTO incoming_parts VALUES (?1, ?2, ?3)")
                .map_err(wrap)?;
            for (blob, part) in parts {
                let part = row::signed(*part, "incoming_parts.part")?;
                insert.execute((blob.to_string(), &table, part)).map_err(wrap)?;
            }
            Ok(())
        })
    }

    /// Forgets every part: no blob is on its way in any more.
    pub fn forget_all_parts(&self) -> Result<(), MetadataError> {
        self.write("forget parts", |transaction| {
            transaction
                .execute("DELETE FROM incoming_parts", [])
                .map(|_| ())
                .map_err(|source| MetadataError::Query { action: "forget parts", source })
        })
    }

    /// Forgets the parts of a blob: its unfinished file is gone.
    pub fn forget_parts(&self, blob: &Digest) -> Result<(), MetadataError> {
        self.write("forget parts", |transaction| {
            transaction
                .execute("DELETE FROM incoming_parts WHERE blob = ?1", [blob.to_string()])
                .map(|_| ())
                .map_err(|source| MetadataError::Query { action: "forget parts", source })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_believed_only_under_the_table_they_were_checked_against() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let (blob, table, other) = (Digest::of(b"blob"), Digest::of(b"table"), Digest::of(b"other"));
        metadata.record_parts(&table, &[(blob, 0), (blob, 2)]).unwrap();
        metadata.record_parts(&table, &[(blob, 2)]).unwrap();
        assert_eq!(metadata.parts_done(&blob, &table).unwrap().into_iter().collect::<Vec<_>>(), [0, 2]);
        assert!(metadata.parts_done(&blob, &other).unwrap().is_empty());
        metadata.forget_parts(&blob).unwrap();
        assert!(metadata.parts_done(&blob, &table).unwrap().is_empty());
    }
}
