//! The keys in force, in memory, following the database.

use crate::api_key::ApiKey;
use crate::error::IdentifyError;
use arc_swap::ArcSwap;
use hermetic_clock::{Clock, UnixMillis};
use hermetic_digest::Digest;
use hermetic_ids::KeyId;
use hermetic_metadata::{ApiKeyRow, Metadata, MetadataError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use hermetic_ledger::record::Owner;

/// Looks keys up. Cheap to clone; reading takes no lock.
#[derive(Debug, Clone)]
pub struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    metadata: Metadata,
    clock: Clock,
    /// Beyond this age the table is not trusted: a revocation might have been missed.
    stale_after: Duration,
    table: ArcSwap<Table>,
    /// When the database was last seen, milliseconds of the monotonic clock.
    seen_millis: AtomicU64,
}

#[derive(Debug)]
struct Table {
    generation: u64,
    keys: HashMap<KeyId, Arc<Entry>>,
}

#[derive(Debug)]
struct Entry {
    id: KeyId,
    hash: Digest,
    owner: Owner,
    expires: Option<UnixMillis>,
    revoked: Option<UnixMillis>,
}

/// Proof that a request presented a key that was in force. Minted by [`Keys::authenticate`] alone; cheap to clone.
#[derive(Debug, Clone)]
pub struct Authenticated(Arc<Entry>);

impl Authenticated {
    pub fn key(&self) -> KeyId {
        self.0.id
    }

    pub fn owner(&self) -> &Owner {
        &self.0.owner
    }
}

impl Keys {
    /// Reads the keys. The table is trusted until the database has not been seen for `stale_after`.
    pub fn open(metadata: Metadata, clock: Clock, stale_after: Duration) -> Result<Self, MetadataError> {
        let table = Table::read(&metadata)?;
        let seen_millis = AtomicU64::new(millis(clock.monotonic()));
        Ok(Self(Arc::new(Inner {
            metadata,
            clock,
            stale_after,
            table: ArcSwap::from_pointee(table),
            seen_millis,
        })))
    }

    /// Looks whether the database changed and reads the keys again if so. Blocking; call it a few times a second.
    pub fn refresh(&self) -> Result<bool, MetadataError> {
        let inner = &*self.0;
        let asked_at = millis(inner.clock.monotonic());
        let changed = inner.metadata.generation()? != inner.table.load().generation;
        if changed {
            inner.table.store(Arc::new(Table::read(&inner.metadata)?));
        }
        inner.seen_millis.store(asked_at, Ordering::Release);
        Ok(changed)
    }

    /// How long ago the database was last seen.
    pub fn age(&self) -> Duration {
        let seen = self.0.seen_millis.load(Ordering::Acquire);
        Duration::from_millis(millis(self.0.clock.monotonic()).saturating_sub(seen))
    }

    /// Fails once the table is too old to be trusted.
    pub fn fresh(&self) -> Result<(), IdentifyError> {
        let (age, allowed) = (self.age(), self.0.stale_after);
        if age > allowed { Err(IdentifyError::Stale { age, allowed }) } else { Ok(()) }
    }

    /// On whose behalf whoever presents this text asks.
    pub fn authenticate(&self, presented: &str) -> Result<Authenticated, IdentifyError> {
        let key = ApiKey::parse(presented).map_err(|_| IdentifyError::Malformed)?;
        self.fresh()?;
        let unknown = IdentifyError::Unknown { claimed: key.id() };
        let table = self.0.table.load();
        let entry = table.keys.get(&key.id()).ok_or(unknown.clone())?;
        if !key.matches(&entry.hash) {
            return Err(unknown);
        }
        if let Some(at) = entry.revoked {
            return Err(IdentifyError::Revoked { key: entry.id, at });
        }
        if let Some(at) = entry.expires.filter(|&at| at <= self.0.clock.unix_millis()) {
            return Err(IdentifyError::Expired { key: entry.id, at });
        }
        Ok(Authenticated(Arc::clone(entry)))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Table {
    fn read(metadata: &Metadata) -> Result<Self, MetadataError> {
        // The generation first: a key that is written in between is then read again, never missed.
        let generation = metadata.generation()?;
        let keys = metadata.api_keys()?.into_iter().map(|row| (row.id, Arc::new(Entry::from(row)))).collect();
        Ok(Self { generation, keys })
    }
}

impl From<ApiKeyRow> for Entry {
    fn from(row: ApiKeyRow) -> Self {
        let owner =
            Owner { subject: row.subject, project: row.project, team: row.team, workflow: row.workflow };
        Self {
            id: row.id,
            hash: row.secret_hash,
            owner,
            expires: row.expires_unix_ms,
            revoked: row.revoked_unix_ms,
        }
    }
}
