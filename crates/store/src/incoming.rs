//! A blob that is not whole yet.

use crate::{INCOMING_FOLDER, Store, StoreError};
use hermetic_bounded_io::{self as io, FileError, Mode};
use hermetic_digest::Digest;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file under `incoming/` that becomes a blob when it is sealed. Parts may be written from many threads, in any
/// order, at their offsets: no byte is copied twice and the disk never holds two copies.
#[derive(Debug)]
pub struct Incoming {
    store: Store,
    file: File,
    path: PathBuf,
    /// Of unknown digest: nobody could resume it, so it goes when it is dropped unsealed.
    scratch: bool,
}

/// Numbers scratch files of this process.
static SCRATCH: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// Opens, or makes, the file for a blob of known digest and size. The space is taken now: a disk too small says so
    /// before the first byte is copied. What an earlier run wrote is still there.
    pub fn incoming(&self, digest: &Digest, bytes: u64) -> Result<Incoming, StoreError> {
        let path = self.root().join(INCOMING_FOLDER).join(digest.hex());
        let file = io::open_read_write(&path, Mode::Shared).map_err(StoreError::File)?;
        let incoming = Incoming { store: self.clone(), file, path, scratch: false };
        incoming.reserve(bytes)?;
        Ok(incoming)
    }

    /// Makes a file for a blob whose digest is not known yet. Dropped unsealed, it is removed.
    pub fn incoming_scratch(&self) -> Result<Incoming, StoreError> {
        let number = SCRATCH.fetch_add(1, Ordering::Relaxed);
        let name = format!("scratch-{}-{number}", std::process::id());
        let path = self.root().join(INCOMING_FOLDER).join(name);
        let file = io::open_read_write(&path, Mode::Shared).map_err(StoreError::File)?;
        file.set_len(0).map_err(|source| StoreError::File(FileError::new("empty", &path, source)))?;
        Ok(Incoming { store: self.clone(), file, path, scratch: true })
    }

    /// Gives up a blob of known digest that was begun.
    pub fn discard_incoming(&self, digest: &Digest) -> Result<(), StoreError> {
        io::remove_durable(&self.root().join(INCOMING_FOLDER).join(digest.hex())).map_err(StoreError::File)
    }
}

impl Incoming {
    /// Writes `bytes` at `offset`.
    pub fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        self.file.write_all_at(bytes, offset).map_err(|source| self.failed("write", source))
    }

    /// Reads back what was written: for checking what an earlier run left.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), StoreError> {
        self.file.read_exact_at(buffer, offset).map_err(|source| self.failed("read", source))
    }

    /// Makes what was written so far survive a power cut.
    pub fn flush_durable(&self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(|source| self.failed("sync", source))
    }

    /// Puts the whole file under the name of its digest, durably. `checked` is the digest the caller's own hashing of
    /// exactly these bytes gave: parts checked against chain values, or one pass from end to end.
    pub fn seal(mut self, checked: &Digest) -> Result<(), StoreError> {
        self.file.sync_all().map_err(|source| self.failed("sync", source))?;
        io::rename_durable(&self.path, &self.store.path_of(checked)).map_err(StoreError::File)?;
        self.scratch = false;
        Ok(())
    }

    fn reserve(&self, bytes: u64) -> Result<(), StoreError> {
        let now = self.file.metadata().map_err(|source| self.failed("inspect", source))?.len();
        if now > bytes {
            self.file.set_len(bytes).map_err(|source| self.failed("shorten", source))?;
        }
        if bytes == 0 {
            return Ok(());
        }
        self.refuse_what_cannot_fit(bytes)?;
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            // A filesystem that cannot reserve (some network ones): the disk-full error then comes at the write.
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {
                self.file.set_len(bytes).map_err(|source| self.failed("lengthen", source))
            }
            Err(errno) => {
                // What it did get goes back: the ledger may be waiting for it. The error that matters is the first one.
                let _ = self.file.set_len(now.min(bytes));
                Err(self.failed("reserve space for", errno.into()))
            }
        }
    }

    /// Asks before taking. A filesystem gives a reservation it cannot fill all that is left before it refuses it, and for
    /// that moment nobody else can write a byte: not the ledger either.
    fn refuse_what_cannot_fit(&self, bytes: u64) -> Result<(), StoreError> {
        let held = self
            .file
            .metadata()
            .map_err(|source| self.failed("inspect", source))?
            .blocks()
            .saturating_mul(512);
        let free = io::free_bytes(&self.path).map_err(StoreError::File)?;
        if bytes.saturating_sub(held) > free {
            return Err(self.failed("reserve space for", rustix::io::Errno::NOSPC.into()));
        }
        Ok(())
    }

    fn failed(&self, action: &'static str, source: std::io::Error) -> StoreError {
        StoreError::File(FileError::new(action, &self.path, source))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.scratch {
            // Nothing depends on it being gone; the next scrub would only list a leftover.
            let _ = io::remove_durable(&self.path);
        }
    }
}
