//! Stored responses: whose they are, how they hang together and until when. What they say lies elsewhere.

use crate::{Metadata, MetadataError, row};
use hermetic_ids::{ProjectName, ResponseId, SubjectName};
use rusqlite::Row;

/// One stored response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRow {
    pub id: ResponseId,
    pub project: ProjectName,
    pub subject: SubjectName,
    /// The response it goes on from, which may be gone by now.
    pub previous: Option<ResponseId>,
    /// Of what is kept of it.
    pub bytes: u64,
    pub created_unix_ms: u64,
    pub expires_unix_ms: u64,
}

const COLUMNS: &str = "id, project, subject, previous, bytes, created_unix_ms, expires_unix_ms";

impl Metadata {
    pub fn insert_response(&self, response: &ResponseRow) -> Result<(), MetadataError> {
        const ACTION: &str = "add a response";
        let values = (
            response.id.to_string(),
            response.project.as_str(),
            response.subject.as_str(),
            response.previous.map(|previous| previous.to_string()),
            row::signed(response.bytes, "responses.bytes")?,
            row::signed(response.created_unix_ms, "responses.created_unix_ms")?,
            row::signed(response.expires_unix_ms, "responses.expires_unix_ms")?,
        );
        self.write(ACTION, |transaction| {
            transaction
                .execute(
                    &format!("INSERT INTO responses ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"),
                    values,
                )
                .map(|_| ())
                .map_err(|source| MetadataError::Query { action: ACTION, source })
        })
    }

    /// A response of this owner and those it goes on from, the latest first, up to one that begins anew, one whose previous is
    /// gone, or `most` of them. None at all: there is no such response, or it is somebody else's.
    pub fn response_chain(
        &self,
        (project, subject): (&ProjectName, &SubjectName),
        id: ResponseId,
        most: u32,
    ) -> Result<Vec<ResponseRow>, MetadataError> {
        // A response is stored after the one it names, so a chain has an end; the bound is for a database somebody changed.
        let query = format!(
            "WITH RECURSIVE chain (depth, {COLUMNS}) AS (\
             SELECT 1, {COLUMNS} FROM responses WHERE id = ?1 AND project = ?3 AND subject = ?4 UNION ALL \
             SELECT depth + 1, {of_next} FROM chain JOIN responses AS next ON next.id = chain.previous \
             WHERE depth < ?2 AND next.project = ?3 AND next.subject = ?4) SELECT {COLUMNS} FROM chain ORDER BY depth",
            of_next =
                COLUMNS.split(", ").map(|column| format!("next.{column}")).collect::<Vec<_>>().join(", "),
        );
        let raw: Vec<Raw> = self.read("read a response and those before it", |connection| {
            let mut statement = connection.prepare_cached(&query)?;
            let values = (id.to_string(), most, project.as_str(), subject.as_str());
            statement.query_map(values, Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }

    /// Every response there is, by id: for finding what lies on the disk and belongs to none.
    pub fn response_ids(&self) -> Result<Vec<ResponseId>, MetadataError> {
        let raw: Vec<String> = self.read("list the responses", |connection| {
            let mut statement = connection.prepare_cached("SELECT id FROM responses")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })?;
        raw.iter().map(|id| row::parsed(id, "responses.id")).collect()
    }

    /// Bytes of all responses of each project.
    pub fn response_bytes(&self) -> Result<Vec<(ProjectName, u64)>, MetadataError> {
        let raw: Vec<(String, i64)> = self.read("add up the responses of projects", |connection| {
            let mut statement =
                connection.prepare_cached("SELECT project, sum(bytes) FROM responses GROUP BY project")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        })?;
        let parsed = |(project, bytes): &(String, i64)| {
            Ok((row::parsed(project, "responses.project")?, row::unsigned(*bytes, "responses.bytes")?))
        };
        raw.iter().map(parsed).collect()
    }

    /// Responses whose time is over, the longest overdue first; at most a thousand.
    pub fn responses_due(&self, now_unix_ms: u64) -> Result<Vec<ResponseRow>, MetadataError> {
        let now = row::signed(now_unix_ms, "responses.expires_unix_ms")?;
        let raw: Vec<Raw> = self.read("find the responses whose time is over", |connection| {
            let mut statement = connection.prepare_cached(&format!(
                "SELECT {COLUMNS} FROM responses WHERE expires_unix_ms <= ?1 ORDER BY expires_unix_ms LIMIT 1000"
            ))?;
            statement.query_map([now], Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }

    /// `false`: there was none.
    pub fn delete_response(&self, id: ResponseId) -> Result<bool, MetadataError> {
        const ACTION: &str = "delete a response";
        self.write(ACTION, |transaction| {
            let gone = transaction
                .execute("DELETE FROM responses WHERE id = ?1", [id.to_string()])
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            Ok(gone > 0)
        })
    }
}

/// A row as SQLite has it.
struct Raw {
    texts: [String; 3],
    previous: Option<String>,
    numbers: [i64; 3],
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            texts: [row.get(0)?, row.get(1)?, row.get(2)?],
            previous: row.get(3)?,
            numbers: [row.get(4)?, row.get(5)?, row.get(6)?],
        })
    }

    fn parsed(self) -> Result<ResponseRow, MetadataError> {
        let [id, project, subject] = self.texts;
        let [bytes, created, expires] = self.numbers;
        Ok(ResponseRow {
            id: row::parsed(&id, "responses.id")?,
            project: row::parsed(&project, "responses.project")?,
            subject: row::parsed(&subject, "responses.subject")?,
            previous: self.previous.map(|id| row::parsed(&id, "responses.previous")).transpose()?,
            bytes: row::unsigned(bytes, "responses.bytes")?,
            created_unix_ms: row::unsigned(created, "responses.created_unix_ms")?,
            expires_unix_ms: row::unsigned(expires, "responses.expires_unix_ms")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(number: u8, previous: Option<u8>) -> ResponseRow {
        ResponseRow {
            id: ResponseId::from_bytes([number; 16]),
            project: if number < 8 { "a" } else { "b" }.parse().unwrap(),
            subject: "alice".parse().unwrap(),
            previous: previous.map(|number| ResponseId::from_bytes([number; 16])),
            bytes: u64::from(number),
            created_unix_ms: 7,
            expires_unix_ms: 100 + u64::from(number),
        }
    }

    fn database() -> (tempfile::TempDir, Metadata) {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        for (number, previous) in [(1, None), (2, Some(1)), (3, Some(2)), (9, None)] {
            metadata.insert_response(&response(number, previous)).unwrap();
        }
        (folder, metadata)
    }

    fn chain(metadata: &Metadata, number: u8, most: u32) -> Vec<u64> {
        let ResponseRow { id, project, subject, .. } = response(number, None);
        let rows = metadata.response_chain((&project, &subject), id, most).unwrap();
        rows.iter().map(|row| row.bytes).collect()
    }

    #[test]
    fn a_chain_leads_back_to_where_it_began_or_to_where_a_link_is_gone() {
        let (_folder, metadata) = database();
        assert_eq!(chain(&metadata, 3, 10), [3, 2, 1]);
        assert_eq!(chain(&metadata, 3, 2), [3, 2]);
        assert_eq!((chain(&metadata, 9, 10), chain(&metadata, 7, 10)), (vec![9], Vec::new()));
        let last = response(3, Some(2));
        let mallory = "mallory".parse().unwrap();
        assert!(metadata.response_chain((&last.project, &mallory), last.id, 9).unwrap().is_empty());
        let owner = (&last.project, &last.subject);
        assert_eq!(metadata.response_chain(owner, last.id, 1).unwrap(), std::slice::from_ref(&last));
        assert!(metadata.delete_response(ResponseId::from_bytes([2; 16])).unwrap());
        assert_eq!(chain(&metadata, 3, 10), [3]);
    }

    #[test]
    fn responses_are_added_up_by_project_and_found_when_their_time_is_over() {
        let (_folder, metadata) = database();
        let held = metadata.response_bytes().unwrap();
        assert_eq!(held, [("a".parse().unwrap(), 6), ("b".parse().unwrap(), 9)]);
        assert!(metadata.responses_due(100).unwrap().is_empty());
        let due: Vec<u64> = metadata.responses_due(102).unwrap().iter().map(|row| row.bytes).collect();
        assert_eq!(due, [1, 2]);
        assert_eq!(metadata.response_ids().unwrap().len(), 4);
        let gone = response(1, None).id;
        assert!(metadata.delete_response(gone).unwrap() && !metadata.delete_response(gone).unwrap());
    }

    #[test]
    fn two_responses_never_have_one_id() {
        let (_folder, metadata) = database();
        assert!(metadata.insert_response(&response(1, None)).is_err());
    }
}
