//! The latest time this enclave has proof of.

use crate::{Metadata, MetadataError, row};
use rusqlite::OptionalExtension;

impl Metadata {
    /// The stored floor, in milliseconds since 1970; zero before anything was verified here.
    pub fn floor_unix_ms(&self) -> Result<u64, MetadataError> {
        let value: Option<i64> = self.read("read the floor", |connection| {
            connection.query_row("SELECT unix_ms FROM floor WHERE id = 1", [], |row| row.get(0)).optional()
        })?;
        value.map_or(Ok(0), |value| row::unsigned(value, "floor.unix_ms"))
    }

    /// Raises the floor. It never sinks: a lower time changes nothing.
    pub fn raise_floor(&self, unix_ms: u64) -> Result<(), MetadataError> {
        let value = row::signed(unix_ms, "floor.unix_ms")?;
        self.write("raise the floor", |transaction| {
            raise(transaction, value)
                .map_err(|source| MetadataError::Query { action: "raise the floor", source })
        })
    }
}

pub(crate) fn raise(transaction: &rusqlite::Transaction<'_>, value: i64) -> rusqlite::Result<()> {
    transaction
        .execute(
            "INSERT INTO floor VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET unix_ms = max(unix_ms, excluded.unix_ms)",
            [value],
        )
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_never_sinks() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        assert_eq!(metadata.floor_unix_ms().unwrap(), 0);
        for (raise_to, then) in [(10, 10), (5, 10), (12, 12)] {
            metadata.raise_floor(raise_to).unwrap();
            assert_eq!(metadata.floor_unix_ms().unwrap(), then);
        }
    }
}
