//! Issuing a key: from random bytes to the row that is kept and the text that is shown once.

use crate::api_key::{ApiKey, SECRET_BYTES};
use crate::keys::Owner;
use hermetic_clock::UnixMillis;
use hermetic_ids::KeyId;
use hermetic_metadata::ApiKeyRow;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRequest {
    pub owner: Owner,
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
        let mut id = [0u8; 8];
        let mut secret = [0u8; SECRET_BYTES];
        let (id_bytes, secret_bytes) = random.split_at(8);
        id.copy_from_slice(id_bytes);
        secret.copy_from_slice(secret_bytes);
        let key = ApiKey::from_parts(KeyId::from_bytes(id), secret);
        let Owner { subject, project, team, workflow } = request.owner;
        let row = ApiKeyRow {
            id: key.id(),
            secret_hash: key.secret_hash(),
            subject,
            project,
            team,
            workflow,
            created_unix_ms: now,
            created_by: request.by,
            expires_unix_ms: request.expires_unix_ms,
            revoked_unix_ms: None,
            revoked_by: None,
        };
        Self { key, row }
    }
}
