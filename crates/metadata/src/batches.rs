//! Batches: whose they are, and what their state machine and their runner keep.

use crate::{FileRow, Listing, Metadata, MetadataError, files, row};
use hermetic_ids::{BatchId, FileId, ProjectName};
use rusqlite::{OptionalExtension, Row};

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchRow {
    pub id: BatchId,
    pub project: ProjectName,
    pub input: FileId,
    /// JSON: the batch as its state machine has it.
    pub document: String,
    /// JSON: on whose behalf its lines are asked.
    pub holder: String,
    pub created_unix_ms: u64,
    /// `None`: it has not ended.
    pub ended_unix_ms: Option<u64>,
}

/// What a change leaves of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchChange {
    pub document: String,
    pub ended_unix_ms: Option<u64>,
    /// Files that can be seen from the same moment.
    pub files: Vec<FileRow>,
}

const COLUMNS: &str = "id, project, input, document, holder, created_unix_ms, ended_unix_ms";

impl Metadata {
    /// `false`: the file it reads is gone, or belongs to another project.
    pub fn insert_batch(&self, batch: &BatchRow) -> Result<bool, MetadataError> {
        const ACTION: &str = "add a batch";
        let created = row::signed(batch.created_unix_ms, "batches.created_unix_ms")?;
        self.write(ACTION, |transaction| {
            let added = transaction
                .execute(
                    "INSERT INTO batches (id, project, input, document, holder, created_unix_ms) \
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE EXISTS \
                     (SELECT 1 FROM files WHERE id = ?3 AND project = ?2)",
                    (
                        batch.id.to_string(),
                        batch.project.as_str(),
                        batch.input.to_string(),
                        &batch.document,
                        &batch.holder,
                        created,
                    ),
                )
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            Ok(added > 0)
        })
    }

    pub fn batch(&self, id: BatchId) -> Result<Option<BatchRow>, MetadataError> {
        let raw = self.read("read a batch", |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM batches WHERE id = ?1"))?;
            statement.query_map([id.to_string()], Raw::read)?.next().transpose()
        })?;
        raw.map(Raw::parsed).transpose()
    }

    /// Batches of a project, or of all.
    pub fn batches(
        &self,
        project: Option<&ProjectName>,
        listing: &Listing,
    ) -> Result<Vec<BatchRow>, MetadataError> {
        let query = format!(
            "SELECT {COLUMNS} FROM batches WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR true) AND {}",
            listing.clause("batches")
        );
        let raw: Vec<Raw> = self.read("list the batches", |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let project = project.map(ProjectName::as_str);
            let values = (project, None::<&str>, &listing.after, listing.rows());
            statement.query_map(values, Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }

    /// Batches that have not ended, oldest first.
    pub fn batches_that_run(&self) -> Result<Vec<BatchRow>, MetadataError> {
        let raw: Vec<Raw> = self.read("list the batches that run", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM batches WHERE ended_unix_ms IS NULL ORDER BY seq"
            ))?;
            statement.query_map([], Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }

    /// Reads a batch, lets `change` look at it, and writes what that makes of it, all in one transaction: whoever else
    /// changes it, here or in another process, comes before or after. `None` from `change`: nothing is written.
    /// `Ok(None)`: there is no such batch.
    pub fn change_batch<T, E: From<MetadataError>>(
        &self,
        id: BatchId,
        change: impl FnOnce(&str) -> Result<(Option<BatchChange>, T), E>,
    ) -> Result<Option<T>, E> {
        const ACTION: &str = "change a batch";
        let wrap = |source| MetadataError::Query { action: ACTION, source };
        self.write(ACTION, |transaction| {
            let document: Option<String> = transaction
                .query_row("SELECT document FROM batches WHERE id = ?1", [id.to_string()], |row| row.get(0))
                .optional()
                .map_err(wrap)?;
            let Some(document) = document else { return Ok(None) };
            let (changed, told) = change(&document)?;
            if let Some(BatchChange { document, ended_unix_ms, files }) = changed {
                let ended = ended_unix_ms.map(|at| row::signed(at, "batches.ended_unix_ms")).transpose()?;
                transaction
                    .execute(
                        "UPDATE batches SET document = ?2, ended_unix_ms = ?3 WHERE id = ?1",
                        (id.to_string(), document, ended),
                    )
                    .map_err(wrap)?;
                files.iter().try_for_each(|file| files::insert(transaction, file))?;
            }
            Ok(Some(told))
        })
    }

    /// Forgets batches that ended before. Returns how many.
    pub fn forget_batches(&self, ended_before_unix_ms: u64) -> Result<usize, MetadataError> {
        const ACTION: &str = "forget batches";
        let before = row::signed(ended_before_unix_ms, "batches.ended_unix_ms")?;
        self.write(ACTION, |transaction| {
            transaction
                .execute("DELETE FROM batches WHERE ended_unix_ms < ?1", [before])
                .map_err(|source| MetadataError::Query { action: ACTION, source })
        })
    }
}

/// A row as SQLite has it.
struct Raw {
    texts: [String; 5],
    created: i64,
    ended: Option<i64>,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            texts: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
            created: row.get(5)?,
            ended: row.get(6)?,
        })
    }

    fn parsed(self) -> Result<BatchRow, MetadataError> {
        let [id, project, input, document, holder] = self.texts;
        Ok(BatchRow {
            id: row::parsed(&id, "batches.id")?,
            project: row::parsed(&project, "batches.project")?,
            input: row::parsed(&input, "batches.input")?,
            document,
            holder,
            created_unix_ms: row::unsigned(self.created, "batches.created_unix_ms")?,
            ended_unix_ms: self.ended.map(|at| row::unsigned(at, "batches.ended_unix_ms")).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u8) -> FileRow {
        FileRow {
            id: FileId::from_bytes([number; 16]),
            project: "a".parse().unwrap(),
            subject: "alice".parse().unwrap(),
            name: "lines.jsonl".to_owned(),
            purpose: "batch".to_owned(),
            bytes: 1,
            created_unix_ms: 7,
            expires_unix_ms: 8,
        }
    }

    fn batch(number: u8, project: &str) -> BatchRow {
        BatchRow {
            id: BatchId::from_bytes([number; 16]),
            project: project.parse().unwrap(),
            input: file(1).id,
            document: "{}".to_owned(),
            holder: "null".to_owned(),
            created_unix_ms: 9,
            ended_unix_ms: None,
        }
    }

    fn database() -> (tempfile::TempDir, Metadata) {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        metadata.insert_file(&file(1)).unwrap();
        (folder, metadata)
    }

    #[test]
    fn a_batch_needs_a_file_of_its_project_and_holds_it_until_it_has_ended() {
        let (_folder, metadata) = database();
        assert!(!metadata.insert_batch(&batch(1, "b")).unwrap());
        assert!(metadata.insert_batch(&batch(1, "a")).unwrap());
        assert_eq!(metadata.batches_that_run().unwrap(), [batch(1, "a")]);
        assert!(metadata.file_is_read(file(1).id).unwrap() && metadata.files_due(100).unwrap().is_empty());
        let end = |_: &str| {
            let files = vec![file(2)];
            let change = BatchChange { document: "[]".to_owned(), ended_unix_ms: Some(20), files };
            Ok::<_, MetadataError>((Some(change), ()))
        };
        metadata.change_batch(batch(1, "a").id, end).unwrap().unwrap();
        assert_eq!(metadata.batch(batch(1, "a").id).unwrap().unwrap().document, "[]");
        assert_eq!(metadata.file(file(2).id).unwrap(), Some(file(2)));
        assert!(metadata.batches_that_run().unwrap().is_empty());
        assert_eq!(metadata.files_due(100).unwrap().len(), 2);
        assert_eq!(metadata.forget_batches(20).unwrap(), 0);
        assert_eq!(metadata.forget_batches(21).unwrap(), 1);
    }

    #[test]
    fn a_change_that_fails_leaves_neither_state_nor_files() {
        let (_folder, metadata) = database();
        metadata.insert_batch(&batch(1, "a")).unwrap();
        let twice = |_: &str| {
            let files = vec![file(2), file(2)];
            let change = BatchChange { document: "[]".to_owned(), ended_unix_ms: None, files };
            Ok::<_, MetadataError>((Some(change), ()))
        };
        assert!(metadata.change_batch(batch(1, "a").id, twice).is_err());
        assert_eq!(metadata.batch(batch(1, "a").id).unwrap(), Some(batch(1, "a")));
        assert_eq!(metadata.file(file(2).id).unwrap(), None);
        assert_eq!(metadata.batch(batch(2, "a").id).unwrap(), None);
    }
}
