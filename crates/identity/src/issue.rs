//! Issuing a key: from random bytes to the row that is kept and the text that is shown once.

use crate::api_key::{ApiKey, SECRET_BYTES};
use crate::authenticated::Grants;
use hermetic_clock::UnixMillis;
use hermetic_ids::KeyId;
use hermetic_ledger::record::Owner;
use hermetic_metadata::ApiKeyRow;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    pub grants: Grants,
    pub expires_unix_ms: Option<UnixMillis>,
    /// Who asked.
    pub by: String,
}

/// A key that is about to take effect: write the ledger record first, then insert the row, then show the text.
#[derive(Debug)]
pub struct IssuedKey {
    pub key: ApiKey,
    pub row: ApiKeyRow,
}

/// Random bytes an issued key is made of: eight of id, the rest secret.
pub const RANDOM_BYTES: usize = 8 + SECRET_BYTES;

/// Draws them from the crypto library's generator; `None` when the system gives none.
pub fn draw() -> Option<[u8; RANDOM_BYTES]> {
    let mut random = [0u8; RANDOM_BYTES];
    aws_lc_rs::rand::fill(&mut random).ok().map(|()| random)
}

impl IssuedKey {
    /// Makes a key from random bytes the caller drew.
    pub fn new(request: KeyRequest, random: [u8; RANDOM_BYTES], now: UnixMillis) -> Self {
        let key = key_of(random);
        let extent = request.grants.extent();
        let Owner { subject, project, team, workflow } = request.grants.owner;
        let row = ApiKeyRow {
            id: key.id(),
            secret_hash: key.secret_hash(),
            subject,
            project,
            team,
            workflow,
            surfaces: extent.surfaces,
            models: extent.models,
            groups: extent.groups,
            clearance: extent.clearance,
            metadata: extent.metadata,
            created_unix_ms: now,
            created_by: request.by,
            expires_unix_ms: request.expires_unix_ms,
            revoked_unix_ms: None,
            revoked_by: None,
            rotated_from: None,
            rotated_to: None,
            last_used_unix_ms: None,
        };
        Self { key, row }
    }

    /// Makes the key that succeeds another: the same owner, limits and grants, another id and secret.
    pub fn successor(
        old: &ApiKeyRow,
        expires_unix_ms: Option<UnixMillis>,
        by: String,
        random: [u8; RANDOM_BYTES],
        now: UnixMillis,
    ) -> Self {
        let key = key_of(random);
        let row = ApiKeyRow {
            id: key.id(),
            secret_hash: key.secret_hash(),
            created_unix_ms: now,
            created_by: by,
            expires_unix_ms,
            revoked_unix_ms: None,
            revoked_by: None,
            rotated_from: Some(old.id),
            rotated_to: None,
            last_used_unix_ms: None,
            ..old.clone()
        };
        Self { key, row }
    }
}

fn key_of(random: [u8; RANDOM_BYTES]) -> ApiKey {
    let mut id = [0u8; 8];
    let mut secret = [0u8; SECRET_BYTES];
    let (id_bytes, secret_bytes) = random.split_at(8);
    id.copy_from_slice(id_bytes);
    secret.copy_from_slice(secret_bytes);
    ApiKey::from_parts(KeyId::from_bytes(id), secret)
}
