//! Tokens that are refused although they verify.

use crate::{Metadata, MetadataError, row};

/// What a revocation of tokens names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RevokedToken {
    /// The one token with this id (`jti`).
    Id(String),
    /// Every token of this subject (`sub`).
    Subject(String),
}

/// One revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedTokenRow {
    pub issuer: String,
    pub token: RevokedToken,
    pub revoked_unix_ms: u64,
    pub revoked_by: String,
}

impl RevokedToken {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Id(id) => ("id", id),
            Self::Subject(subject) => ("subject", subject),
        }
    }
}

impl Metadata {
    /// Adds a revocation. `false` when it stands already: the first one stays.
    pub fn revoke_token(&self, revoked: &RevokedTokenRow) -> Result<bool, MetadataError> {
        const ACTION: &str = "revoke a token";
        let at = row::signed(revoked.revoked_unix_ms, "revoked_tokens.revoked_unix_ms")?;
        let (by_what, value) = revoked.token.columns();
        self.write(ACTION, |transaction| {
            let added = transaction
                .execute(
                    "INSERT INTO revoked_tokens (issuer, by_what, value, revoked_unix_ms, revoked_by) \
                     VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING",
                    (&revoked.issuer, by_what, value, at, &revoked.revoked_by),
                )
                .map_err(|source| MetadataError::Query { action: ACTION, source })?;
            if added > 0 {
                Self::bump_generation(transaction)?;
            }
            Ok(added > 0)
        })
    }

    /// Every revocation, oldest first.
    pub fn revoked_tokens(&self) -> Result<Vec<RevokedTokenRow>, MetadataError> {
        let raw: Vec<(String, String, String, i64, String)> =
            self.read("read the revoked tokens", |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT issuer, by_what, value, revoked_unix_ms, revoked_by FROM revoked_tokens \
                     ORDER BY revoked_unix_ms, issuer, value",
                )?;
                statement
                    .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?)))?
                    .collect()
            })?;
        raw.into_iter()
            .map(|(issuer, by_what, value, at, revoked_by)| {
                let token = match by_what.as_str() {
                    "id" => RevokedToken::Id(value),
                    "subject" => RevokedToken::Subject(value),
                    _ => {
                        return Err(MetadataError::Corrupt {
                            column: "revoked_tokens.by_what",
                            found: by_what,
                        });
                    }
                };
                let revoked_unix_ms = row::unsigned(at, "revoked_tokens.revoked_unix_ms")?;
                Ok(RevokedTokenRow { issuer, token, revoked_unix_ms, revoked_by })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_reads_back_stands_once_and_is_seen_by_serving() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let row = |token, at| RevokedTokenRow {
            issuer: "https://idp.example".to_owned(),
            token,
            revoked_unix_ms: at,
            revoked_by: "mara".to_owned(),
        };
        let (id, subject) =
            (row(RevokedToken::Id("j".to_owned()), 1), row(RevokedToken::Subject("j".to_owned()), 2));
        let before = metadata.generation().unwrap();
        assert!(metadata.revoke_token(&id).unwrap() && metadata.revoke_token(&subject).unwrap());
        assert!(!metadata.revoke_token(&row(RevokedToken::Id("j".to_owned()), 9)).unwrap());
        assert_eq!(metadata.generation().unwrap(), before + 2);
        assert_eq!(metadata.revoked_tokens().unwrap(), [id, subject]);
    }
}
