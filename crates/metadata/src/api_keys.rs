//! API keys as they rest: the public id, a hash of the secret, on whose behalf, for what, until when.

use crate::{Metadata, MetadataError, row};
use hermetic_digest::Digest;
use hermetic_ids::{ClearanceName, GroupName, KeyId, ProjectName, SubjectName, TeamName, WorkflowName};
use rusqlite::types::Value;
use rusqlite::{Row, Transaction};
use std::collections::BTreeMap;

/// One issued key. The secret itself is nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKeyRow {
    pub id: KeyId,
    pub secret_hash: Digest,
    pub subject: SubjectName,
    pub project: ProjectName,
    pub team: TeamName,
    pub workflow: WorkflowName,
    /// What the key is limited to, as `hermetic-identity` reads it; none: no limit.
    pub surfaces: Vec<String>,
    pub models: Vec<String>,
    pub groups: Vec<GroupName>,
    pub clearance: Option<ClearanceName>,
    pub metadata: BTreeMap<String, String>,
    pub created_unix_ms: u64,
    pub created_by: String,
    pub expires_unix_ms: Option<u64>,
    pub revoked_unix_ms: Option<u64>,
    pub revoked_by: Option<String>,
    /// The key this one succeeds.
    pub rotated_from: Option<KeyId>,
    /// The key that succeeds this one.
    pub rotated_to: Option<KeyId>,
    /// Coarse: written now and then, not for every request.
    pub last_used_unix_ms: Option<u64>,
}

const COLUMNS: &str = "id, secret_hash, subject, project, team, workflow, surfaces, models, groups, clearance, \
     metadata, created_unix_ms, created_by, expires_unix_ms, revoked_unix_ms, revoked_by, rotated_from, \
     rotated_to, last_used_unix_ms";

impl Metadata {
    /// Adds a key. An id that exists is an error: ids are drawn at random and are never given out twice.
    pub fn insert_api_key(&self, key: &ApiKeyRow) -> Result<(), MetadataError> {
        self.write("add an API key", |transaction| {
            insert(transaction, key)?;
            Self::bump_generation(transaction)
        })
    }

    /// Adds the successor of a key and lets the old one end at `until_unix_ms`, or earlier where it ends earlier. All
    /// of it or none. `false`, and nothing done, when the old key is revoked or has a successor.
    pub fn rotate_api_key(
        &self,
        old: &KeyId,
        successor: &ApiKeyRow,
        until_unix_ms: u64,
    ) -> Result<bool, MetadataError> {
        const ACTION: &str = "rotate an API key";
        let until = row::signed(until_unix_ms, "api_keys.expires_unix_ms")?;
        self.write(ACTION, |transaction| {
            let rotatable = transaction
                .query_row(
                    "SELECT count(*) FROM api_keys WHERE id = ?1 AND revoked_unix_ms IS NULL AND rotated_to IS NULL",
                    [old.to_string()],
                    |row| row.get::<_, i64>(0),
                )
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            if rotatable == 0 {
                return Ok(false);
            }
            insert(transaction, successor)?;
            transaction
                .execute(
                    "UPDATE api_keys SET rotated_to = ?2, expires_unix_ms = min(coalesce(expires_unix_ms, ?3), ?3) \
                     WHERE id = ?1",
                    (old.to_string(), successor.id.to_string(), until),
                )
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            Self::bump_generation(transaction)?;
            Ok(true)
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

    /// Notes when keys were last used, many at once. Serving need not notice: the generation stays.
    pub fn note_api_keys_used(&self, used: &[(KeyId, u64)]) -> Result<(), MetadataError> {
        const ACTION: &str = "note the use of API keys";
        self.write(ACTION, |transaction| {
            for (id, at_unix_ms) in used {
                let at = row::signed(*at_unix_ms, "api_keys.last_used_unix_ms")?;
                transaction
                    .execute(
                        "UPDATE api_keys SET last_used_unix_ms = max(coalesce(last_used_unix_ms, 0), ?2) WHERE id = ?1",
                        (id.to_string(), at),
                    )
                    .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            }
            Ok(())
        })
    }

    /// Every key ever issued, oldest first, revoked and expired ones included.
    pub fn api_keys(&self) -> Result<Vec<ApiKeyRow>, MetadataError> {
        let raw: Vec<Raw> = self.read("read the API keys", |connection| {
            let mut statement = connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM api_keys ORDER BY created_unix_ms, id"))?;
            statement.query_map([], Raw::read)?.collect()
        })?;
        raw.into_iter().map(Raw::parsed).collect()
    }
}

fn insert(transaction: &Transaction<'_>, key: &ApiKeyRow) -> Result<(), MetadataError> {
    let integer = |value: Option<u64>, column| -> Result<Value, MetadataError> {
        Ok(value.map(|v| row::signed(v, column)).transpose()?.map_or(Value::Null, Value::Integer))
    };
    let text = |text: &str| Value::Text(text.to_owned());
    let optional = |text: Option<String>| text.map_or(Value::Null, Value::Text);
    let values = [
        text(&key.id.to_string()),
        text(&key.secret_hash.to_string()),
        text(key.subject.as_str()),
        text(key.project.as_str()),
        text(key.team.as_str()),
        text(key.workflow.as_str()),
        Value::Text(row::to_json(&key.surfaces)),
        Value::Text(row::to_json(&key.models)),
        Value::Text(row::to_json(&key.groups)),
        optional(key.clearance.as_ref().map(ToString::to_string)),
        Value::Text(row::to_json(&key.metadata)),
        integer(Some(key.created_unix_ms), "api_keys.created_unix_ms")?,
        text(&key.created_by),
        integer(key.expires_unix_ms, "api_keys.expires_unix_ms")?,
        integer(key.revoked_unix_ms, "api_keys.revoked_unix_ms")?,
        optional(key.revoked_by.clone()),
        optional(key.rotated_from.map(|id| id.to_string())),
        optional(key.rotated_to.map(|id| id.to_string())),
        integer(key.last_used_unix_ms, "api_keys.last_used_unix_ms")?,
    ];
    let places: Vec<String> = (1..=values.len()).map(|n| format!("?{n}")).collect();
    transaction
        .execute(
            &format!("INSERT INTO api_keys ({COLUMNS}) VALUES ({})", places.join(", ")),
            rusqlite::params_from_iter(values),
        )
        .map(|_| ())
        .map_err(|source| MetadataError::Query { action: "add an API key", source })
}

/// A row as SQLite has it.
struct Raw {
    texts: [String; 6],
    lists: [String; 3],
    clearance: Option<String>,
    metadata: String,
    created: (i64, String),
    expires: Option<i64>,
    revoked: (Option<i64>, Option<String>),
    rotated: (Option<String>, Option<String>),
    last_used: Option<i64>,
}

impl Raw {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            texts: [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?],
            lists: [row.get(6)?, row.get(7)?, row.get(8)?],
            clearance: row.get(9)?,
            metadata: row.get(10)?,
            created: (row.get(11)?, row.get(12)?),
            expires: row.get(13)?,
            revoked: (row.get(14)?, row.get(15)?),
            rotated: (row.get(16)?, row.get(17)?),
            last_used: row.get(18)?,
        })
    }

    fn parsed(self) -> Result<ApiKeyRow, MetadataError> {
        let unsigned = |value: Option<i64>, column| value.map(|v| row::unsigned(v, column)).transpose();
        let id = |text: Option<String>, column| text.map(|t| row::parsed(&t, column)).transpose();
        let [key, hash, subject, project, team, workflow] = &self.texts;
        let [surfaces, models, groups] = &self.lists;
        Ok(ApiKeyRow {
            id: row::parsed(key, "api_keys.id")?,
            secret_hash: row::parsed(hash, "api_keys.secret_hash")?,
            subject: row::parsed(subject, "api_keys.subject")?,
            project: row::parsed(project, "api_keys.project")?,
            team: row::parsed(team, "api_keys.team")?,
            workflow: row::parsed(workflow, "api_keys.workflow")?,
            surfaces: row::json(surfaces, "api_keys.surfaces")?,
            models: row::json(models, "api_keys.models")?,
            groups: row::json(groups, "api_keys.groups")?,
            clearance: self.clearance.map(|t| row::parsed(&t, "api_keys.clearance")).transpose()?,
            metadata: row::json(&self.metadata, "api_keys.metadata")?,
            created_unix_ms: row::unsigned(self.created.0, "api_keys.created_unix_ms")?,
            created_by: self.created.1,
            expires_unix_ms: unsigned(self.expires, "api_keys.expires_unix_ms")?,
            revoked_unix_ms: unsigned(self.revoked.0, "api_keys.revoked_unix_ms")?,
            revoked_by: self.revoked.1,
            rotated_from: id(self.rotated.0, "api_keys.rotated_from")?,
            rotated_to: id(self.rotated.1, "api_keys.rotated_to")?,
            last_used_unix_ms: unsigned(self.last_used, "api_keys.last_used_unix_ms")?,
        })
    }
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
            surfaces: vec!["embeddings".to_owned()],
            models: vec!["llama-*".to_owned()],
            groups: vec!["analysts".parse().unwrap()],
            clearance: Some("secret".parse().unwrap()),
            metadata: BTreeMap::from([("cost-centre".to_owned(), "42".to_owned())]),
            created_unix_ms: u64::from(id),
            created_by: "root".to_owned(),
            expires_unix_ms: Some(99),
            revoked_unix_ms: None,
            revoked_by: None,
            rotated_from: None,
            rotated_to: None,
            last_used_unix_ms: None,
        }
    }

    fn database() -> (tempfile::TempDir, Metadata) {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        (folder, metadata)
    }

    #[test]
    fn keys_read_back_as_written_and_each_change_is_seen() {
        let (_folder, metadata) = database();
        let start = metadata.generation().unwrap();
        metadata.insert_api_key(&key(1)).unwrap();
        metadata.insert_api_key(&key(2)).unwrap();
        assert_eq!(metadata.api_keys().unwrap(), [key(1), key(2)]);
        assert_eq!(metadata.generation().unwrap(), start + 2);
        assert!(metadata.insert_api_key(&key(1)).is_err());
    }

    #[test]
    fn a_revocation_happens_once_and_keeps_its_time() {
        let (_folder, metadata) = database();
        metadata.insert_api_key(&key(1)).unwrap();
        assert!(metadata.revoke_api_key(&key(1).id, 7, "mara").unwrap());
        let generation = metadata.generation().unwrap();
        assert!(!metadata.revoke_api_key(&key(1).id, 8, "otto").unwrap());
        assert!(!metadata.revoke_api_key(&key(9).id, 8, "otto").unwrap());
        assert_eq!(metadata.generation().unwrap(), generation);
        let revoked = ApiKeyRow { revoked_unix_ms: Some(7), revoked_by: Some("mara".to_owned()), ..key(1) };
        assert_eq!(metadata.api_keys().unwrap(), [revoked]);
    }

    #[test]
    fn a_rotation_links_both_keys_and_never_lengthens_the_old_one() {
        let (_folder, metadata) = database();
        metadata.insert_api_key(&key(1)).unwrap();
        let successor = ApiKeyRow { rotated_from: Some(key(1).id), ..key(2) };
        assert!(metadata.rotate_api_key(&key(1).id, &successor, 500).unwrap());
        let old = ApiKeyRow { rotated_to: Some(key(2).id), expires_unix_ms: Some(99), ..key(1) };
        assert_eq!(metadata.api_keys().unwrap(), [old, successor.clone()]);
        let third = ApiKeyRow { rotated_from: Some(key(2).id), ..key(3) };
        assert!(!metadata.rotate_api_key(&key(1).id, &third, 500).unwrap(), "it has a successor");
        assert!(metadata.rotate_api_key(&key(2).id, &third, 50).unwrap());
        assert_eq!(metadata.api_keys().unwrap()[1].expires_unix_ms, Some(50));
        metadata.revoke_api_key(&key(3).id, 7, "mara").unwrap();
        assert!(!metadata.rotate_api_key(&key(3).id, &key(4), 500).unwrap(), "it is revoked");
        assert_eq!(metadata.api_keys().unwrap().len(), 3);
    }

    #[test]
    fn noting_a_use_never_goes_back_and_is_no_change_that_serving_must_notice() {
        let (_folder, metadata) = database();
        metadata.insert_api_key(&key(1)).unwrap();
        let generation = metadata.generation().unwrap();
        metadata.note_api_keys_used(&[(key(1).id, 60_000), (key(9).id, 1)]).unwrap();
        metadata.note_api_keys_used(&[(key(1).id, 30_000)]).unwrap();
        assert_eq!(metadata.api_keys().unwrap()[0].last_used_unix_ms, Some(60_000));
        assert_eq!(metadata.generation().unwrap(), generation);
    }
}
