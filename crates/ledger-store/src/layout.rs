//! Which file is where in the ledger's folder.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folder of one ledger. `checkpoint` and `tile/` are C2SP tlog-tiles and may be served or copied as they are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) dir: PathBuf,
    /// Held while the spare segment is made, taken or replaced: writer and publisher both do, and a file that changes
    /// its name between open and rename would put a header in front of the wrong frames.
    spare_lock: Arc<Mutex<()>>,
}

impl Layout {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), spare_lock: Arc::default() }
    }
    pub(crate) fn lock_spare(&self) -> MutexGuard<'_, ()> {
        self.spare_lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join("lock")
    }
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.join("append.sock")
    }
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.dir.join("checkpoint")
    }
    pub(crate) fn wal(&self) -> PathBuf {
        self.dir.join("wal")
    }
    /// A segment file that is already laid out on the disk and waits to be used.
    pub(crate) fn spare(&self) -> PathBuf {
        self.wal().join("spare")
    }
    /// A spare that is still being filled with zeros.
    pub(crate) fn spare_new(&self) -> PathBuf {
        self.wal().join("spare.new")
    }
    /// Twenty digits: any 64-bit index, and the order of names is the order of indices.
    pub(crate) fn segment(&self, start: u64) -> PathBuf {
        self.wal().join(format!("{start:020}.seg"))
    }
    /// The start of a segment, from its file name.
    pub(crate) fn segment_start(name: &str) -> Option<u64> {
        let digits = name.strip_suffix(".seg")?;
        (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
    }
}
