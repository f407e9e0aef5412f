//! The folder a bundle is built in: beside the output, on the same disk, renamed at the end.

use super::ExportError;
use hermetic_bounded_io::{
    FileLock, Mode, RelativePath, create_folders, free_bytes, remove_durable, remove_tree, rename_durable,
    sync_folder, write_atomic,
};
use hermetic_store::Store;
use std::path::{Path, PathBuf};

/// A build under way. Dropped before [`Staging::publish`], it takes everything it wrote with it.
#[derive(Debug)]
pub(super) struct Staging {
    out: PathBuf,
    parent: PathBuf,
    name: RelativePath,
    store: Store,
    lock_path: PathBuf,
    _lock: FileLock,
    published: bool,
}

impl Staging {
    /// Begins a build of about `bytes`. What a build that was killed left behind is removed first; the lock says that
    /// it is not one that still runs.
    pub(super) fn begin(out: &Path, bytes: u64) -> Result<Self, ExportError> {
        if out.symlink_metadata().is_ok() {
            return Err(ExportError::OutputExists { path: out.to_owned() });
        }
        let parent =
            out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let unnamed = || ExportError::OutputExists { path: out.to_owned() };
        let file_name = out.file_name().and_then(|name| name.to_str()).ok_or_else(unnamed)?;
        let name: RelativePath = format!(".{file_name}.building").parse().map_err(|_| unnamed())?;
        create_folders(&parent, Mode::Shared).map_err(ExportError::Output)?;
        let lock_path = parent.join(format!(".{file_name}.lock"));
        let lock = FileLock::try_exclusive(&lock_path).map_err(ExportError::Output)?;
        let lock = lock.ok_or_else(|| ExportError::Busy { path: out.to_owned() })?;
        remove_tree(&parent, &name).map_err(ExportError::Output)?;
        let free = free_bytes(&parent).map_err(ExportError::Output)?;
        if free < bytes {
            let _ = remove_durable(&lock_path);
            return Err(ExportError::NoRoom { path: out.to_owned(), needed: bytes, free });
        }
        let store = Store::open(&name.under(&parent)).map_err(ExportError::Store)?;
        Ok(Self { out: out.to_owned(), parent, name, store, lock_path, _lock: lock, published: false })
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn folder(&self) -> &Path {
        self.store.root()
    }

    /// Writes a file of the bundle, durably.
    pub(super) fn write(&self, path: &str, bytes: &[u8]) -> Result<(), ExportError> {
        let path = self.folder().join(path);
        if let Some(folder) = path.parent() {
            create_folders(folder, Mode::Shared).map_err(ExportError::Output)?;
        }
        write_atomic(&path, bytes, Mode::Shared).map_err(ExportError::Output)
    }

    /// Gives the finished bundle its name.
    pub(super) fn publish(mut self) -> Result<(), ExportError> {
        let incoming: RelativePath =
            "incoming".parse().map_err(|_| ExportError::OutputExists { path: self.out.clone() })?;
        remove_tree(self.folder(), &incoming).map_err(ExportError::Output)?;
        sync_folder(self.folder()).map_err(ExportError::Output)?;
        if self.out.symlink_metadata().is_ok() {
            return Err(ExportError::OutputExists { path: self.out.clone() });
        }
        rename_durable(self.folder(), &self.out).map_err(ExportError::Output)?;
        self.published = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.published {
            // Best effort on the way out of a failure: what stays is removed by the next build.
            let _ = remove_tree(&self.parent, &self.name);
        }
        let _ = remove_durable(&self.lock_path);
    }
}
