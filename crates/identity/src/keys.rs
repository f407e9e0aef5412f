//! The keys in force, in memory, following the database.

use crate::api_key::ApiKey;
use crate::authenticated::{Authenticated, Grants};
use crate::error::IdentifyError;
use crate::scopes::Scopes;
use arc_swap::ArcSwap;
use hermetic_clock::{Clock, UnixMillis};
use hermetic_digest::Digest;
use hermetic_ids::KeyId;
use hermetic_inference_api::Surface;
use hermetic_ledger::record::{Credential, Owner};
use hermetic_metadata::{ApiKeyRow, Metadata, MetadataError};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How exactly the last use of a key is known. A key used ten thousand times a minute is noted once, and the database
/// is written once a minute for all keys together.
pub const USE_GRAIN: Duration = Duration::from_secs(60);

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
    caller: Authenticated,
    expires: Option<UnixMillis>,
    revoked: Option<UnixMillis>,
    used: Arc<LastUse>,
}

/// When a key was last used, and what of that the database knows. Outlives the tables it appears in.
#[derive(Debug, Default)]
struct LastUse {
    at: AtomicU64,
    noted: AtomicU64,
}

impl Keys {
    /// Reads the keys. The table is trusted until the database has not been seen for `stale_after`.
    pub fn open(metadata: Metadata, clock: Clock, stale_after: Duration) -> Result<Self, MetadataError> {
        let table = Table::read(&metadata, None)?;
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
        let before = inner.table.load();
        let changed = inner.metadata.generation()? != before.generation;
        if changed {
            inner.table.store(Arc::new(Table::read(&inner.metadata, Some(&before))?));
        }
        inner.seen_millis.store(asked_at, Ordering::Release);
        Ok(changed)
    }

    /// Writes down which keys were used since the last time. Blocking; call it every [`USE_GRAIN`] and at the end.
    pub fn note_use(&self) -> Result<usize, MetadataError> {
        let table = self.0.table.load();
        let moved = |entry: &Arc<Entry>| {
            let at = entry.used.at.load(Ordering::Relaxed);
            (at > entry.used.noted.load(Ordering::Relaxed)).then_some((entry.id, at))
        };
        let used: Vec<(KeyId, u64)> = table.keys.values().filter_map(moved).collect();
        if used.is_empty() {
            return Ok(0);
        }
        self.0.metadata.note_api_keys_used(&used)?;
        for (id, at) in &used {
            if let Some(entry) = table.keys.get(id) {
                entry.used.noted.store(*at, Ordering::Relaxed);
            }
        }
        Ok(used.len())
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
        entry.in_force(self.0.clock.unix_millis())
    }

    /// The holder of a key that was presented before.
    pub fn holder(&self, key: KeyId) -> Result<Authenticated, IdentifyError> {
        self.fresh()?;
        let table = self.0.table.load();
        let entry = table.keys.get(&key).ok_or(IdentifyError::Unknown { claimed: key })?;
        entry.in_force(self.0.clock.unix_millis())
    }
}

impl LastUse {
    /// Rounded down to the grain, so that of many requests one writes and the others only read.
    fn touch(&self, now: UnixMillis) {
        let at = now - now % millis(USE_GRAIN);
        if self.at.load(Ordering::Relaxed) < at {
            self.at.store(at, Ordering::Relaxed);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Table {
    fn read(metadata: &Metadata, before: Option<&Self>) -> Result<Self, MetadataError> {
        // The generation first: a key that is written in between is then read again, never missed.
        let generation = metadata.generation()?;
        let mut keys = HashMap::new();
        for row in metadata.api_keys()? {
            let known = before.and_then(|table| table.keys.get(&row.id));
            let used = known.map_or_else(
                || Arc::new(LastUse::noted(row.last_used_unix_ms.unwrap_or(0))),
                |entry| Arc::clone(&entry.used),
            );
            keys.insert(row.id, Arc::new(Entry::read(row, used)?));
        }
        Ok(Self { generation, keys })
    }
}

impl LastUse {
    fn noted(at: UnixMillis) -> Self {
        Self { at: AtomicU64::new(at), noted: AtomicU64::new(at) }
    }
}

impl Entry {
    /// Whose it is, if it counts now. That is a use of it.
    fn in_force(&self, now: UnixMillis) -> Result<Authenticated, IdentifyError> {
        if let Some(at) = self.revoked {
            return Err(IdentifyError::Revoked { key: self.id, at });
        }
        if let Some(at) = self.expires.filter(|&at| at <= now) {
            return Err(IdentifyError::Expired { key: self.id, at });
        }
        self.used.touch(now);
        Ok(self.caller.clone())
    }

    fn read(row: ApiKeyRow, used: Arc<LastUse>) -> Result<Self, MetadataError> {
        let scopes = Scopes {
            surfaces: each(&row.surfaces, "api_keys.surfaces", Surface::of_name)?,
            models: each(&row.models, "api_keys.models", |text| text.parse().ok())?,
        };
        let metadata =
            row.metadata.iter().map(|(name, value)| Some((name.parse().ok()?, value.parse().ok()?)));
        let metadata = metadata.collect::<Option<_>>().ok_or(MetadataError::Corrupt {
            column: "api_keys.metadata",
            found: "a name or a value that is none".to_owned(),
        })?;
        let grants = Grants {
            owner: Owner {
                subject: row.subject,
                project: row.project,
                team: row.team,
                workflow: row.workflow,
            },
            groups: row.groups,
            clearance: row.clearance,
            scopes,
            metadata,
        };
        Ok(Self {
            id: row.id,
            hash: row.secret_hash,
            caller: Authenticated::new(Credential::ApiKey { key: row.id }, grants),
            expires: row.expires_unix_ms,
            revoked: row.revoked_unix_ms,
            used,
        })
    }
}

/// Every text as what it was written from. A limit that is not understood must not become no limit.
fn each<T>(
    texts: &[String],
    column: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, MetadataError> {
    let corrupt = |text: &String| MetadataError::Corrupt { column, found: text.chars().take(100).collect() };
    texts.iter().map(|text| read(text).ok_or_else(|| corrupt(text))).collect()
}
