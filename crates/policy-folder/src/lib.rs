//! The policy folder on disk: its files, whether they changed, and the Git commit they were checked out from.
//!
//! What it is for: [`read`] hands the policy crate the files of a folder and says which commit is checked out there and
//! whether the files are that commit's; [`Stamp`] tells cheaply that something changed. What it must not know: what the
//! policies say, who asks, HTTP.
//!
//! No Git program is run and nothing is written: the few files of a repository that answer the question are read here,
//! each capped. Invariants: a folder that cannot be read is an error, a repository that cannot be read is a commit that
//! is [`hermetic_policy::Agreement::Unverified`] or none at all, never a wrong one; an object counts only when its
//! content has the hash it is called by.

mod error;
mod git;
mod stamp;

pub use error::FolderError;
pub use stamp::Stamp;

use hermetic_bounded_io::{EntryKind, list_folder, read_text_capped};
use hermetic_policy::{Commit, PolicyFile};
use std::path::Path;

/// Most entries in a policy folder: one file per team of a large house, with its tests beside it.
pub const ENTRIES_MAX: usize = 2_000;
/// Largest policy file: thousands of policies.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// What is in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// The `*.cedar` files, sorted by name.
    pub files: Vec<PolicyFile>,
    /// What is checked out, where the folder lies in a Git working tree with a commit.
    pub commit: Option<Commit>,
}

/// Reads every `*.cedar` file of the folder itself; folders below it and links are passed over.
pub fn read(folder: &Path) -> Result<Folder, FolderError> {
    let fail = |source| FolderError::Unreadable { folder: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in list_folder(folder, ENTRIES_MAX).map_err(fail)? {
        if entry.kind == EntryKind::File && entry.name.ends_with(".cedar") {
            let text = read_text_capped(&folder.join(&entry.name), FILE_BYTES_MAX).map_err(fail)?;
            files.push(PolicyFile { name: entry.name, text });
        }
    }
    let commit = git::commit_of(folder, &files);
    Ok(Folder { files, commit })
}
