//! Which commit is checked out around a folder, and whether the folder's files are those of that commit.
//!
//! Read: the repository layout (gitrepository-layout), loose objects and packs (gitformat-pack), with SHA-1 and SHA-256
//! names. Not read: reftables; such a repository counts as one without a commit.

mod objects;
mod pack;
mod refs;
mod tree;

use hermetic_policy::{Agreement, Commit, PolicyFile};
use objects::Objects;
use refs::Repository;
use std::path::Path;

/// Why something of a repository is not known. Never shown: what follows is that a commit is unverified.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GitError {
    #[error("a file of the repository cannot be read")]
    File(#[from] hermetic_bounded_io::FileError),
    #[error("a file of the repository cannot be read")]
    Io(#[from] std::io::Error),
    #[error("there is no such object")]
    Missing,
    #[error("an object or a file of the repository is not what it should be")]
    Malformed,
}

/// The commit that is checked out; `None` outside a working tree and where nothing is committed.
pub(crate) fn commit_of(folder: &Path, files: &[PolicyFile]) -> Option<Commit> {
    let folder = folder.canonicalize().ok()?;
    let repository = Repository::around(&folder)?;
    let id = repository.head()?;
    let agreement = match agree(&repository, &id, &folder, files) {
        Ok(true) => Agreement::Clean,
        Ok(false) => Agreement::Dirty,
        Err(_) => Agreement::Unverified,
    };
    Some(Commit { id, agreement })
}

/// The id of the commit that is checked out.
pub(crate) fn head_of(folder: &Path) -> Option<String> {
    Repository::around(&folder.canonicalize().ok()?)?.head()
}

/// Whether the folder's policy files are exactly those the commit has there.
fn agree(repository: &Repository, id: &str, folder: &Path, files: &[PolicyFile]) -> Result<bool, GitError> {
    let objects = Objects::of(repository)?;
    let id = hex::decode(id).map_err(|_| GitError::Malformed)?;
    let below = folder.strip_prefix(repository.work_tree()).map_err(|_| GitError::Malformed)?;
    let committed = tree::policy_files(&objects, &id, below)?;
    let on_disk =
        files.iter().map(|file| (file.name.clone(), objects.blob_id(file.text.as_bytes(), id.len())));
    Ok(committed == on_disk.collect())
}
