//! Files without surprises: reads are capped, writes are whole or absent, paths stay inside their root.
//!
//! What it is for: the only crate that may use raw `std::fs` (clippy.toml refuses it elsewhere). What it must not
//! know: what the bytes mean.
//!
//! Invariants:
//! - no read is longer than the cap its caller named;
//! - after [`write_atomic`] or [`rename_durable`] returns, the new name survives a power cut; if it fails, the old
//!   content is still there;
//! - [`RelativePath`] never climbs out of the folder it is joined to and never names a link's target;
//! - an error names the file and what was being done, never its content.

#![expect(clippy::disallowed_methods, reason = "the one crate that may touch std::fs")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

mod relative_path;

pub use relative_path::{RelativePath, RelativePathError};

/// What was being done to a file when it failed, with the system's own reason as its source.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot {action} `{path}`", path = path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("expected `{path}` to be at most {cap} bytes, found {found}", path = path.display())]
    TooLarge { path: PathBuf, cap: u64, found: u64 },
    #[error("expected `{path}` to be a regular file, found {found}", path = path.display())]
    NotRegular { path: PathBuf, found: &'static str },
    #[error("expected `{path}` to be UTF-8 text", path = path.display())]
    NotText { path: PathBuf },
    #[error("the disk holding `{path}` is full", path = path.display())]
    DiskFull { path: PathBuf, source: io::Error },
}

impl FileError {
    /// Wraps a system error. "Disk full" and "quota reached" get a variant of their own: they have their own cure.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            _ => Self::Io { action, path, source },
        }
    }

    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    pub fn path(&self) -> &Path {
        match self {
            Self::Io { path, .. }
            | Self::TooLarge { path, .. }
            | Self::NotRegular { path, .. }
            | Self::NotText { path }
            | Self::DiskFull { path, .. } => path,
        }
    }
}

/// Opens a regular file for reading without following a symlink at its last component. Returns it with its length.
pub fn open_regular(path: &Path) -> Result<(File, u64), FileError> {
    // Non-blocking: opening a named pipe on a hostile disk would otherwise wait for a writer for ever. Regular files
    // do not know the flag.
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|source| {
        if source.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return FileError::NotRegular { path: path.to_owned(), found: "a symbolic link" };
        }
        FileError::new("open", path, source)
    })?;
    let metadata = file.metadata().map_err(|source| FileError::new("inspect", path, source))?;
    if !metadata.is_file() {
        let found = if metadata.is_dir() { "a folder" } else { "a special file" };
        return Err(FileError::NotRegular { path: path.to_owned(), found });
    }
    Ok((file, metadata.len()))
}

/// Reads a whole regular file of at most `cap` bytes.
pub fn read_capped(path: &Path, cap: u64) -> Result<Vec<u8>, FileError> {
    let (file, len) = open_regular(path)?;
    let too_large = |found| FileError::TooLarge { path: path.to_owned(), cap, found };
    if len > cap {
        return Err(too_large(len));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    // One byte more than the cap: a file that grows while it is read is caught, not truncated in silence.
    file.take(cap.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| FileError::new("read", path, source))?;
    if bytes.len() as u64 > cap {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// [`read_capped`], as UTF-8.
pub fn read_text_capped(path: &Path, cap: u64) -> Result<String, FileError> {
    String::from_utf8(read_capped(path, cap)?).map_err(|_| FileError::NotText { path: path.to_owned() })
}

/// [`read_capped`] of a file an operator named, following links: configuration management and Kubernetes mount files as
/// links, and swap what they lead to.
pub fn read_named(path: &Path, cap: u64) -> Result<Vec<u8>, FileError> {
    let target = path.canonicalize().map_err(|source| FileError::new("find", path, source))?;
    read_capped(&target, cap)
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    modified: (i64, i64),
    inode: u64,
    bytes: u64,
}

/// The present state of a file, links followed. `None`: it is not there.
pub fn stamp(path: &Path) -> Result<Option<FileStamp>, FileError> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(FileStamp {
            modified: (found.mtime(), found.mtime_nsec()),
            inode: found.ino(),
            bytes: found.size(),
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::new("inspect", path, source)),
    }
}

/// Who may read a file that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// 0600: keys, salts, rows.
    Private,
    /// 0644: what others may read.
    Shared,
}

impl Mode {
    pub fn bits(self) -> u32 {
        match self {
            Self::Private => 0o600,
            Self::Shared => 0o644,
        }
    }
}

/// Puts `bytes` at `path` so that a reader, or a crash, sees the old content or the new, never a mixture.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let temporary = temporary_beside(path);
    let written = write_new(&temporary, bytes, mode).and_then(|()| rename_durable(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let _ = std::fs::remove_file(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode.bits())
        .open(path)
        .map_err(|source| FileError::new("create", path, source))?;
    file.write_all(bytes).map_err(|source| FileError::new("write", path, source))?;
    file.sync_all().map_err(|source| FileError::new("sync", path, source))
}

/// A name beside `path`, on the same filesystem, that no two processes share.
fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

/// Renames and makes the new name survive a power cut.
pub fn rename_durable(from: &Path, to: &Path) -> Result<(), FileError> {
    std::fs::rename(from, to).map_err(|source| FileError::new("rename to", to, source))?;
    sync_folder_of(to)
}

/// Fsyncs the folder that holds `path`, so that a name just made, renamed or removed there is durable.
pub fn sync_folder_of(path: &Path) -> Result<(), FileError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync_folder(parent)
}

/// Fsyncs a folder.
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let opened = File::open(folder).map_err(|source| FileError::new("open", folder, source))?;
    opened.sync_all().map_err(|source| FileError::new("sync", folder, source))
}

/// Puts `bytes` at `path`, whole for every reader, but durable only after [`sync_filesystem`] or a later sync of the
/// file: for what can be made again from something durable.
pub fn replace_unsynced(path: &Path, bytes: &[u8], mode: Mode) -> Result<(), FileError> {
    let temporary = temporary_beside(path);
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode.bits())
        .open(&temporary)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| FileError::new("write", path, source))
        .and_then(|()| {
            std::fs::rename(&temporary, path).map_err(|source| FileError::new("rename to", path, source))
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// What is to become of a file that was just written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    Nothing,
    /// The kernel writes it out soon: it is complete, and not soon read again. Nothing is waited for and nothing promised:
    /// that is [`sync_filesystem`]'s.
    StartWritingOut,
}

/// Writes a file in its place, without syncing it and without regard to readers: there must be none yet.
pub fn write_unsynced(path: &Path, bytes: &[u8], mode: Mode, then: Then) -> Result<(), FileError> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(mode.bits()).open(path);
    let mut file = opened.map_err(|source| FileError::new("create", path, source))?;
    file.write_all(bytes).map_err(|source| FileError::new("write", path, source))?;
    if then == Then::StartWritingOut {
        // A filesystem that does not know the advice is as good without it.
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
    Ok(())
}

/// Makes everything written so far to the filesystem that holds `folder` durable, in one call.
pub fn sync_filesystem(folder: &Path) -> Result<(), FileError> {
    let opened = File::open(folder).map_err(|source| FileError::new("open", folder, source))?;
    rustix::fs::syncfs(&opened).map_err(|errno| FileError::new("sync", folder, errno.into()))
}

/// Makes a folder and the missing ones above it, durably, with mode 0700 or 0755.
pub fn create_folders(folder: &Path, mode: Mode) -> Result<(), FileError> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.is_dir() {
        return Ok(());
    }
    let bits = if mode == Mode::Private { 0o700 } else { 0o755 };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(bits)
        .create(folder)
        .map_err(|source| FileError::new("create folder", folder, source))?;
    sync_folder_of(folder)
}

/// Opens (and makes, if missing) a file for reading and writing at any offset. The caller syncs it.
pub fn open_read_write(path: &Path, mode: Mode) -> Result<File, FileError> {
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(mode.bits())
        .custom_flags(no_follow)
        .open(path)
        .map_err(|source| FileError::new("open", path, source))
}

/// Removes a file and makes its absence durable. A file that is not there is fine.
pub fn remove_durable(path: &Path) -> Result<(), FileError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FileError::new("remove", path, source)),
    }
}

/// Removes a folder and all in it, provided it lies under `root`. Links are removed, not followed.
pub fn remove_tree(root: &Path, folder: &RelativePath) -> Result<(), FileError> {
    let path = folder.under(root);
    match std::fs::remove_dir_all(&path) {
        Ok(()) => sync_folder_of(&path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FileError::new("remove", &path, source)),
    }
}

/// One entry of a folder, as [`list_folder`] saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderEntry {
    pub name: String,
    pub kind: EntryKind,
    /// Length in bytes; zero for folders.
    pub bytes: u64,
}

/// What a folder entry is, without following links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Folder,
    Link,
    Special,
}

/// Lists a folder, sorted by name, refusing more than `entries_max` of them and names that are not UTF-8.
pub fn list_folder(folder: &Path, entries_max: usize) -> Result<Vec<FolderEntry>, FileError> {
    let wrap = |source| FileError::new("list", folder, source);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrap)? {
        let entry = entry.map_err(wrap)?;
        let found = entries.len() as u64 + 1;
        if entries.len() >= entries_max {
            return Err(FileError::TooLarge { path: folder.to_owned(), cap: entries_max as u64, found });
        }
        let kind = entry.file_type().map_err(wrap)?;
        let kind = if kind.is_symlink() {
            EntryKind::Link
        } else if kind.is_dir() {
            EntryKind::Folder
        } else if kind.is_file() {
            EntryKind::File
        } else {
            EntryKind::Special
        };
        let bytes = if kind == EntryKind::File { entry.metadata().map_err(wrap)?.size() } else { 0 };
        let name = entry.file_name().into_string().map_err(|_| FileError::NotText { path: entry.path() })?;
        entries.push(FolderEntry { name, kind, bytes });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Bytes an unprivileged writer may still use on the filesystem that holds `path`.
pub fn free_bytes(path: &Path) -> Result<u64, FileError> {
    let stat = rustix::fs::statvfs(path).map_err(|errno| FileError::new("inspect", path, errno.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// An exclusive lock on a file, held until dropped; the system lets go of it when the process dies.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock, or returns `None` at once when another process holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>, FileError> {
        let file = open_read_write(path, Mode::Private)?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(FileError::new("lock", path, errno.into())),
        }
    }

    /// Takes the lock, waiting until whoever holds it lets go. For holders that only ever hold it for a moment.
    pub fn exclusive(path: &Path) -> Result<Self, FileError> {
        let file = open_read_write(path, Mode::Private)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
            .map_err(|errno| FileError::new("lock", path, errno.into()))?;
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_over_the_cap_is_refused_with_both_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write_atomic(&path, b"12345", Mode::Shared).unwrap();
        assert_eq!(read_capped(&path, 5).unwrap(), b"12345");
        assert!(matches!(read_capped(&path, 4), Err(FileError::TooLarge { cap: 4, found: 5, .. })));
    }

    #[test]
    fn a_symlink_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("real"), b"x").unwrap();
        std::os::unix::fs::symlink("real", folder.path().join("link")).unwrap();
        let error = read_capped(&folder.path().join("link"), 10).unwrap_err();
        assert!(matches!(error, FileError::NotRegular { found: "a symbolic link", .. }), "{error}");
    }

    #[test]
    fn a_named_file_is_read_through_links_and_its_stamp_tells_when_what_they_lead_to_is_swapped() {
        let folder = tempfile::tempdir().unwrap();
        let (link, first, second) =
            (folder.path().join("link"), folder.path().join("1"), folder.path().join("2"));
        std::fs::write(&first, b"one").unwrap();
        std::fs::write(&second, b"two").unwrap();
        std::os::unix::fs::symlink(&first, &link).unwrap();
        assert_eq!(read_named(&link, 10).unwrap(), b"one");
        let before = stamp(&link).unwrap();
        assert_eq!(stamp(&link).unwrap(), before);
        std::fs::remove_file(&link).unwrap();
        assert_eq!(stamp(&link).unwrap(), None);
        std::os::unix::fs::symlink(&second, &link).unwrap();
        assert_ne!(stamp(&link).unwrap(), before);
        assert_eq!(read_named(&link, 10).unwrap(), b"two");
    }

    #[test]
    fn a_named_pipe_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let error = read_capped(&path, 10).unwrap_err();
        assert!(matches!(error, FileError::NotRegular { found: "a special file", .. }), "{error}");
    }

    #[test]
    fn replacing_a_file_leaves_no_temporary_behind_and_sets_the_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write_atomic(&path, b"old", Mode::Private).unwrap();
        write_atomic(&path, b"new", Mode::Private).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(list_folder(folder.path(), 10).unwrap().len(), 1);
    }

    #[test]
    fn a_lock_is_exclusive_until_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = FileLock::try_exclusive(&path).unwrap();
        assert!(held.is_some());
        assert!(FileLock::try_exclusive(&path).unwrap().is_none());
        drop(held);
        assert!(FileLock::try_exclusive(&path).unwrap().is_some());
    }
}
