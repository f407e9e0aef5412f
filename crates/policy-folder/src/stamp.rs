//! Whether a folder changed, without reading its files.

use crate::{ENTRIES_MAX, FolderError, git};
use hermetic_bounded_io::{EntryKind, FileError, list_folder};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What the system says of each policy file and of what Git has checked out. Two equal stamps are taken for an
/// unchanged folder: a change that keeps length, inode and every nanosecond of both times goes unseen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    files: Vec<FileStamp>,
    head: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    name: String,
    bytes: u64,
    inode: u64,
    /// Modification and change, in seconds and nanoseconds.
    times: [i64; 4],
}

impl Stamp {
    pub fn of(folder: &Path) -> Result<Self, FolderError> {
        let fail = |source| FolderError::Unreadable { folder: folder.to_owned(), source };
        let mut files = Vec::new();
        for entry in list_folder(folder, ENTRIES_MAX).map_err(fail)? {
            if entry.kind != EntryKind::File || !entry.name.ends_with(".cedar") {
                continue;
            }
            let path = folder.join(&entry.name);
            let file = std::fs::symlink_metadata(&path)
                .map_err(|source| fail(FileError::new("inspect", &path, source)))?;
            let times = [file.mtime(), file.mtime_nsec(), file.ctime(), file.ctime_nsec()];
            files.push(FileStamp { name: entry.name, bytes: file.size(), inode: file.ino(), times });
        }
        Ok(Self { files, head: git::head_of(folder) })
    }
}
