//! Files as callers see them: whose, how large, until when. What is in them lies elsewhere.

use crate::{Metadata, MetadataError, row};
use hermetic_ids::{FileId, ProjectName, SubjectName};
use rusqlite::{Row, Transaction};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    pub id: FileId,
    pub project: ProjectName,
    pub subject: SubjectName,
    /// As whoever made it calls it.
    pub name: String,
    pub purpose: String,
    pub bytes: u64,
    pub created_unix_ms: u64,
    pub expires_unix_ms: u64,
}

/// Which part of a list is asked for. Lists are in the order in which things were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The last one that is known already, by its id.
    pub after: Option<String>,
    pub limit: usize,
    pub oldest_first: bool,
}

const COLUMNS: &str = "id, project, subject, name, purpose, bytes, created_unix_ms, expires_unix_ms";

impl Metadata {
    pub fn insert_file(&self, file: &FileRow) -> Result<(), MetadataError> {
        self.write("add a file", |transaction| insert(transaction, file))
    }

    pub fn file(&self, id: FileId) -> Result<Option<FileRow>, MetadataError> {
        let raw = self.read("read a file", |connection| {
            let mut statement =
                connection.prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE id = ?1"))?;
            statement.query_map([id.to_string()], Raw::read)?.next().transpose()
        })?;
        raw.map(Raw::parsed).transpose()
    }

    /// Files of a project, of one purpose where one is named.
    pub fn files(
        &self,
        project: &ProjectName,
        purpose: Option<&str>,
        listing: &Listing,
    ) -> Result<Vec<FileRow>, MetadataError> {
        let query = format!(
            "SELECT {COLUMNS} FROM files WHERE project = ?1 AND (?2 IS NULL OR purpose = ?2) AND {}",
            listing.clause("files")
        );
        let raw: Vec<Raw> = self.read("list the files", |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let values = (project.as_str(), purpose, &listing.after, listing.rows());
            statement.query_map(values, Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }

    /// Every file there is, by id: for finding what lies on the disk and belongs to none.
    pub fn file_ids(&self) -> Result<Vec<FileId>, MetadataError> {
        let raw: Vec<String> = self.read("list the files", |connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM files")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })?;
        raw.iter().map(|id| row::parsed(id, "files.id")).collect()
    }

    /// Bytes of all files of a project.
    pub fn file_bytes(&self, project: &ProjectName) -> Result<u64, MetadataError> {
        let bytes = self.read("add up the files of a project", |connection| {
            connection.query_row(
                "SELECT coalesce(sum(bytes), 0) FROM files WHERE project = ?1",
                [project.as_str()],
                |row| row.get::<_, i64>(0),
            )
        })?;
        row::unsigned(bytes, "files.bytes")
    }

    /// Files whose time is over, but for those that a batch which has not ended reads.
    pub fn files_due(&self, now_unix_ms: u64) -> Result<Vec<FileRow>, MetadataError> {
        let now = row::signed(now_unix_ms, "files.expires_unix_ms")?;
        let raw: Vec<Raw> = self.read("find the files whose time is over", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM files WHERE expires_unix_ms <= ?1 AND NOT EXISTS \
                 (SELECT 1 FROM batches WHERE input = files.id AND ended_unix_ms IS NULL) LIMIT 1000"
            ))?;
            statement.query_map([now], Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }

    /// Whether a batch that has not ended reads the file.
    pub fn file_is_read(&self, id: FileId) -> Result<bool, MetadataError> {
        self.read("look for batches that read a file", |connection| {
            connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM batches WHERE input = ?1 AND ended_unix_ms IS NULL)",
                [id.to_string()],
                |row| row.get(0),
            )
        })
    }

    /// `false`: there was none.
    pub fn delete_file(&self, id: FileId) -> Result<bool, MetadataError> {
        const ACTION: &str = "delete a file";
        self.write(ACTION, |transaction| {
            let gone = transaction
                .execute("DELETE FROM files WHERE id = ?1", [id.to_string()])
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            Ok(gone > 0)
        })
    }
}

impl Listing {
    /// What follows `WHERE … AND`; `?3` is the last one known, `?4` the number of rows.
    pub(crate) fn clause(&self, table: &str) -> String {
        let (than, order) = if self.oldest_first { (">", "ASC") } else { ("<", "DESC") };
        format!(
            "(?3 IS NULL OR seq {than} (SELECT seq FROM {table} WHERE id = ?3)) ORDER BY seq {order} LIMIT ?4"
        )
    }

    pub(crate) fn rows(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }
}

pub(crate) fn insert(transaction: &Transaction<'_>, file: &FileRow) -> Result<(), MetadataError> {
    let values = (
        file.id.to_string(),
        file.project.as_str(),
        file.subject.as_str(),
        &file.name,
        &file.purpose,
        row::signed(file.bytes, "files.bytes")?,
        row::signed(file.created_unix_ms, "files.created_unix_ms")?,
        row::signed(file.expires_unix_ms, "files.expires_unix_ms")?,
    );
    transaction
        .execute(&format!("INSERT INTO files ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"), values)
        .map(|_| ())
        .map_err(|source| MetadataError::Query { action: "add a file", source })
}

/// A row as SQLite has it.
struct Raw {
    texts: [String; 5],
    numbers: [i64; 3],
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            texts: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
            numbers: [row.get(5)?, row.get(6)?, row.get(7)?],
        })
    }

    fn parsed(self) -> Result<FileRow, MetadataError> {
        let [id, project, subject, name, purpose] = self.texts;
        let [bytes, created, expires] = self.numbers;
        Ok(FileRow {
            id: row::parsed(&id, "files.id")?,
            project: row::parsed(&project, "files.project")?,
            subject: row::parsed(&subject, "files.subject")?,
            name,
            purpose,
            bytes: row::unsigned(bytes, "files.bytes")?,
            created_unix_ms: row::unsigned(created, "files.created_unix_ms")?,
            expires_unix_ms: row::unsigned(expires, "files.expires_unix_ms")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: u8, project: &str, purpose: &str) -> FileRow {
        FileRow {
            id: FileId::from_bytes([number; 16]),
            project: project.parse().unwrap(),
            subject: "alice".parse().unwrap(),
            name: "lines.jsonl".to_owned(),
            purpose: purpose.to_owned(),
            bytes: u64::from(number),
            created_unix_ms: 7,
            expires_unix_ms: 100 + u64::from(number),
        }
    }

    #[test]
    fn files_are_listed_by_project_in_the_order_they_were_made_and_page_by_page() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let files = [
            file(3, "a", "batch"),
            file(1, "a", "batch_output"),
            file(2, "b", "batch"),
            file(9, "a", "batch"),
        ];
        files.iter().for_each(|file| metadata.insert_file(file).unwrap());
        let project = "a".parse().unwrap();
        let list = |purpose, after: Option<&FileRow>, limit, oldest_first| {
            let after = after.map(|file| file.id.to_string());
            metadata.files(&project, purpose, &Listing { after, limit, oldest_first }).unwrap()
        };
        let [first, second, _, last] = &files;
        assert_eq!(list(None, None, 10, false), [last.clone(), second.clone(), first.clone()]);
        assert_eq!(list(None, None, 2, true), [first.clone(), second.clone()]);
        assert_eq!(list(None, Some(second), 10, true), std::slice::from_ref(last));
        assert_eq!(list(Some("batch"), Some(last), 10, false), std::slice::from_ref(first));
        assert_eq!(metadata.file_bytes(&project).unwrap(), 13);
        assert!(metadata.delete_file(first.id).unwrap() && !metadata.delete_file(first.id).unwrap());
        assert_eq!(metadata.file(first.id).unwrap(), None);
        assert_eq!(metadata.files_due(102).unwrap().len(), 2);
    }
}
