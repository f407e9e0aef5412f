//! Tokens that were revoked, in memory, following the database.

use arc_swap::ArcSwap;
use hermetic_metadata::{Metadata, MetadataError, RevokedToken};
use std::collections::HashSet;
use std::sync::Arc;

/// The revocations in force. Reading takes no lock.
#[derive(Debug)]
pub(crate) struct Revoked {
    metadata: Metadata,
    table: ArcSwap<Table>,
}

#[derive(Debug, Default)]
struct Table {
    generation: u64,
    /// By issuer and what is revoked.
    tokens: HashSet<(String, RevokedToken)>,
}

impl Revoked {
    pub(crate) fn open(metadata: Metadata) -> Result<Self, MetadataError> {
        let table = Table::read(&metadata)?;
        Ok(Self { metadata, table: ArcSwap::from_pointee(table) })
    }

    /// Looks whether the database changed and reads it again if so. Blocking.
    pub(crate) fn refresh(&self) -> Result<(), MetadataError> {
        if self.metadata.generation()? != self.table.load().generation {
            self.table.store(Arc::new(Table::read(&self.metadata)?));
        }
        Ok(())
    }

    pub(crate) fn holds(&self, issuer: &str, subject: &str, id: Option<&str>) -> bool {
        let table = self.table.load();
        // Most sites revoke nothing, and then nothing is copied to ask.
        if table.tokens.is_empty() {
            return false;
        }
        let named = |token| table.tokens.contains(&(issuer.to_owned(), token));
        named(RevokedToken::Subject(subject.to_owned()))
            || id.is_some_and(|id| named(RevokedToken::Id(id.to_owned())))
    }
}

impl Table {
    fn read(metadata: &Metadata) -> Result<Self, MetadataError> {
        // The generation first: a revocation written in between is then read again, never missed.
        let generation = metadata.generation()?;
        let tokens = metadata.revoked_tokens()?.into_iter().map(|row| (row.issuer, row.token)).collect();
        Ok(Self { generation, tokens })
    }
}
