//! API keys as they rest: the public id, a hash of the secret, on whose behalf, until when.

use crate::{Metadata, MetadataError, row};
use hermetic_digest::Digest;
use hermetic_ids::{KeyId, ProjectName, SubjectName, TeamName, WorkflowName};

/// One issued key. The secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    pub id: KeyId,
    pub secret_hash: Digest,
    pub subject: SubjectName,
    pub project: ProjectName,
    pub team: TeamName,
    pub workflow: WorkflowName,
    pub created_unix_ms: u64,
    pub created_by: String,
    pub expires_unix_ms: Option<u64>,
    pub revoked_unix_ms: Option<u64>,
    pub revoked_by: Option<String>,
}

type Raw = (
    (String, String, String, String, String, String),
    (i64, String, Option<i64>, Option<i64>, Option<String>),
);

impl Metadata {
    /// Adds a key. An id that exists is an error: ids are drawn at random and are never given out twice.
    pub fn insert_api_key(&self, key: &ApiKeyRow) -> Result<(), MetadataError> {
        const ACTION: &str = "add an API key";
        let created = row::signed(key.created_unix_ms, "api_keys.created_unix_ms")?;
        let expires = key.expires_unix_ms.map(|v| row::signed(v, "api_keys.expires_unix_ms")).transpose()?;
        self.write(ACTION, |transaction| {
            transaction
                .execute(
                    "INSERT INTO api_keys (id, secret_hash, subject, project, team, workflow, created_unix_ms, \
                     created_by, expires_unix_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    (
                        key.id.to_string(),
                        key.secret_hash.to_string(),
                        key.subject.as_str(),
                        key.project.as_str(),
                        key.team.as_str(),
                        key.workflow.as_str(),
                        created,
                        &key.created_by,
                        expires,
                    ),
                )
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            Self::bump_generation(transaction)
        })
    }

    /// Marks a key as revoked. `false` when there is no such key or it was revoked before: the first revocation stays.
    pub fn revoke_api_key(&self, id: &KeyId, at_unix_ms: u64, by: &str) -> Result<bool, MetadataError> {
        const ACTION: &str = "revoke an API key";
        let at = row::signed(at_unix_ms, "api_keys.revoked_unix_ms")?;
        self.write(ACTION, |transaction| {
            let changed = transaction
                .execute(
                    "UPDATE api_keys SET revoked_unix_ms = ?2, revoked_by = ?3 WHERE id = ?1 AND revoked_unix_ms IS NULL",
                    (id.to_string(), at, by),
                )
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            if changed > 0 {
                Self::bump_generation(transaction)?;
            }
            Ok(changed > 0)
        })
    }

    /// Every key ever issued, oldest first, revoked and expired ones included.
    pub fn api_keys(&self) -> Result<Vec<ApiKeyRow>, MetadataError> {
        let raw: Vec<Raw> = self.read("read the API keys", |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, secret_hash, subject, project, team, workflow, created_unix_ms, created_by, \
                 expires_unix_ms, revoked_unix_ms, revoked_by FROM api_keys ORDER BY created_unix_ms, id",
            )?;
            statement
                .query_map([], |r| {
                    Ok((
                        (r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?, r.get(5)?),
                        (r.get(6)?, r.get(7)?, r.get(8)?, r.get(9)?, r.get(10)?),
                    ))
                })?
                .collect()
        })?;
        raw.into_iter().map(from_raw).collect()
    }
}

fn from_raw(raw: Raw) -> Result<ApiKeyRow, MetadataError> {
    let ((id, hash, subject, project, team, workflow), (created, created_by, expires, revoked, revoked_by)) =
        raw;
    Ok(ApiKeyRow {
        id: row::parsed(&id, "api_keys.id")?,
        secret_hash: row::parsed(&hash, "api_keys.secret_hash")?,
        subject: row::parsed(&subject, "api_keys.subject")?,
        project: row::parsed(&project, "api_keys.project")?,
        team: row::parsed(&team, "api_keys.team")?,
        workflow: row::parsed(&workflow, "api_keys.workflow")?,
        created_unix_ms: row::unsigned(created, "api_keys.created_unix_ms")?,
        created_by,
        expires_unix_ms: expires.map(|v| row::unsigned(v, "api_keys.expires_unix_ms")).transpose()?,
        revoked_unix_ms: revoked.map(|v| row::unsigned(v, "api_keys.revoked_unix_ms")).transpose()?,
        revoked_by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u8) -> ApiKeyRow {
        ApiKeyRow {
            id: KeyId::from_bytes([id; 8]),
            secret_hash: Digest::of(&[id]),
            subject: "alice".parse().unwrap(),
            project: "demo".parse().unwrap(),
            team: "eng".parse().unwrap(),
            workflow: "docs".parse().unwrap(),
            created_unix_ms: u64::from(id),
            created_by: "root".to_owned(),
            expires_unix_ms: Some(99),
            revoked_unix_ms: None,
            revoked_by: None,
        }
    }

    #[test]
    fn keys_read_back_as_written_and_each_change_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let start = metadata.generation().unwrap();
        metadata.insert_api_key(&key(1)).unwrap();
        metadata.insert_api_key(&key(2)).unwrap();
        assert_eq!(metadata.api_keys().unwrap(), [key(1), key(2)]);
        assert_eq!(metadata.generation().unwrap(), start + 2);
        assert!(metadata.insert_api_key(&key(1)).is_err());
    }

    #[test]
    fn a_revocation_happens_once_and_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        metadata.insert_api_key(&key(1)).unwrap();
        assert!(metadata.revoke_api_key(&key(1).id, 7, "mara").unwrap());
        let generation = metadata.generation().unwrap();
        assert!(!metadata.revoke_api_key(&key(1).id, 8, "otto").unwrap());
        assert!(!metadata.revoke_api_key(&key(9).id, 8, "otto").unwrap());
        assert_eq!(metadata.generation().unwrap(), generation);
        let revoked = ApiKeyRow { revoked_unix_ms: Some(7), revoked_by: Some("mara".to_owned()), ..key(1) };
        assert_eq!(metadata.api_keys().unwrap(), [revoked]);
    }
}
