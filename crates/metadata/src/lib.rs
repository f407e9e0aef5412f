//! Rows in SQLite behind the seam PostgreSQL will use.
//!
//! What it is for: everything that is looked up by more than a digest: the import journal, releases and their
//! artifacts, labels, API keys, revoked tokens, files and batches, stored responses, the monotonic floor. One module per noun, each with its row types and its queries.
//! What it must not know: what rows are for. Whether a release may be promoted is the registry's question.
//!
//! Invariants:
//! - the only crate with SQL; no SQL type leaves it;
//! - a write is one transaction: all of it or none of it, durable when the call returns (`synchronous=FULL`);
//! - every write that serving must notice bumps [`Metadata::generation`] in the same transaction;
//! - a row that does not read back as what was written is [`MetadataError::Corrupt`], never a default.

use hermetic_bounded_io::Mode;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

mod api_keys;
mod batches;
mod error;
mod files;
mod floor;
mod imports;
mod labels;
mod migrations;
mod releases;
mod responses;
mod revoked_tokens;
mod row;

pub use api_keys::ApiKeyRow;
pub use batches::{BatchChange, BatchRow};
pub use error::MetadataError;
pub use files::{FileRow, Listing};
pub use imports::{ImportRow, ImportState};
pub use labels::{HeldLabel, LabelMove};
pub use releases::{ArtifactFile, ArtifactRow, ReleaseRow};
pub use responses::ResponseRow;
pub use revoked_tokens::{RevokedToken, RevokedTokenRow};

/// How long a writer waits for another process to finish its transaction before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The database of one enclave. Cheap to clone; one connection, used by one thread at a time.
#[derive(Clone)]
pub struct Metadata {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
}

impl std::fmt::Debug for Metadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Metadata({})", self.path.display())
    }
}

impl Metadata {
    /// Opens the database, making it (0600) and bringing its schema up to date where needed.
    pub fn open(path: &Path) -> Result<Self, MetadataError> {
        // Made first by us so that its mode is ours, not the umask's.
        hermetic_bounded_io::open_read_write(path, Mode::Private)
            .map_err(|source| MetadataError::File { path: path.to_owned(), source })?;
        let wrap = |action| move |source| MetadataError::Query { action, source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let mut connection = Connection::open_with_flags(path, flags).map_err(wrap("open the database"))?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(wrap("set the busy timeout"))?;
        for (pragma, value) in [("journal_mode", "WAL"), ("synchronous", "FULL"), ("foreign_keys", "ON")] {
            connection
                .pragma_update_and_check(None, pragma, value, |_| Ok(()))
                .or_else(|error| match error {
                    // Some pragmas answer with a row, some do not.
                    rusqlite::Error::QueryReturnedNoRows => Ok(()),
                    other => Err(other),
                })
                .map_err(wrap("set a pragma"))?;
        }
        migrations::apply(&mut connection)?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: path.to_owned() })
    }

    /// A counter bumped by every write that serving must notice: promotions, keys, revocations. Any process sees it.
    pub fn generation(&self) -> Result<u64, MetadataError> {
        self.read("read the generation", |connection| {
            let value: i64 =
                connection.query_row("SELECT value FROM generation WHERE id = 1", [], |row| row.get(0))?;
            Ok(value)
        })
        .and_then(|value| row::unsigned(value, "generation.value"))
    }

    /// Runs a query. `action` completes the sentence "cannot …".
    pub(crate) fn read<T>(
        &self,
        action: &'static str,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, MetadataError> {
        // A panic in another thread left no half-done work behind: an open transaction rolls back when dropped.
        let connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        query(&connection).map_err(|source| MetadataError::Query { action, source })
    }

    /// Runs a transaction that takes the write lock at once, so that two writers queue instead of failing half-way.
    pub(crate) fn write<T, E: From<MetadataError>>(
        &self,
        action: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let wrap = |source| MetadataError::Query { action, source };
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(wrap)?;
        let result = work(&transaction)?;
        transaction.commit().map_err(wrap)?;
        Ok(result)
    }

    /// Tells serving to look again; part of the transaction that changed something.
    pub(crate) fn bump_generation(transaction: &Transaction<'_>) -> Result<(), MetadataError> {
        transaction
            .execute("UPDATE generation SET value = value + 1 WHERE id = 1", [])
            .map(|_| ())
            .map_err(|source| MetadataError::Query { action: "bump the generation", source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opening_twice_keeps_the_rows_and_a_newer_schema_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metadata.sqlite");
        let first = Metadata::open(&path).unwrap();
        first.write("bump", Metadata::bump_generation).unwrap();
        let second = Metadata::open(&path).unwrap();
        assert_eq!(second.generation().unwrap(), first.generation().unwrap());
        second.read("age", |c| c.pragma_update(None, "user_version", 9_999)).unwrap();
        assert!(matches!(Metadata::open(&path), Err(MetadataError::NewerSchema { found: 9_999, .. })));
    }

    #[test]
    fn a_failed_transaction_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&folder.path().join("m")).unwrap();
        let before = metadata.generation().unwrap();
        let result: Result<(), MetadataError> = metadata.write("try", |transaction| {
            Metadata::bump_generation(transaction)?;
            Err(MetadataError::Corrupt { column: "x", found: String::new() })
        });
        assert!(result.is_err());
        assert_eq!(metadata.generation().unwrap(), before);
    }

    #[test]
    fn the_database_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        Metadata::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
