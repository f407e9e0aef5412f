//! What the ledger's threads and handles know of each other's state.

use crate::error::AppendError;
use hermetic_bounded_io::FileError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether records are being taken.
#[derive(Debug, Clone)]
pub enum Health {
    Writing,
    /// The disk is full; taking records resumes by itself.
    Full,
    /// A write or sync failed; final until restart.
    Failed(Arc<FileError>),
}

#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Records that are durable.
    size: AtomicU64,
    /// Records that are signed for and readable in tiles.
    published: AtomicU64,
    /// The writer found no room for another segment.
    writer_full: AtomicBool,
    /// The publisher found no room for a tile.
    publisher_full: AtomicBool,
    failure: OnceLock<Arc<FileError>>,
    batches: AtomicU64,
}

impl Shared {
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }
    pub(crate) fn set_size(&self, size: u64) {
        self.size.store(size, Ordering::Release);
    }
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }
    pub(crate) fn set_published(&self, size: u64) {
        self.published.store(size, Ordering::Release);
    }
    pub(crate) fn batches(&self) -> u64 {
        self.batches.load(Ordering::Relaxed)
    }
    pub(crate) fn count_batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }
    pub(crate) fn set_writer_full(&self, full: bool) {
        self.writer_full.store(full, Ordering::Release);
    }
    pub(crate) fn set_publisher_full(&self, full: bool) {
        self.publisher_full.store(full, Ordering::Release);
    }
    pub(crate) fn publisher_is_full(&self) -> bool {
        self.publisher_full.load(Ordering::Acquire)
    }

    /// The first failure is the one that counts; it is said once, loudly.
    pub(crate) fn fail(&self, error: FileError) {
        let error = Arc::new(error);
        if self.failure.set(Arc::clone(&error)).is_ok() {
            let causes = hermetic_diagnostics::chain(&*error).join(": ");
            tracing::error!(
                code = "E0601",
                causes,
                "the ledger cannot be written; every record is refused from now on"
            );
        }
    }

    pub(crate) fn failure(&self) -> Option<AppendError> {
        self.failure.get().map(|error| AppendError::Failed(Arc::clone(error)))
    }

    pub(crate) fn health(&self) -> Health {
        match self.failure.get() {
            Some(error) => Health::Failed(Arc::clone(error)),
            None if self.writer_full.load(Ordering::Acquire) || self.publisher_is_full() => Health::Full,
            None => Health::Writing,
        }
    }
}
