//! The policy files a commit has in a folder.

use super::GitError;
use super::objects::{Kind, Objects};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Name and blob of every regular `*.cedar` file the commit has in `below`, a path from the top of the working tree.
/// None when the commit has no such folder.
pub(super) fn policy_files(
    objects: &Objects,
    commit: &[u8],
    below: &Path,
) -> Result<BTreeMap<String, Vec<u8>>, GitError> {
    let mut tree = tree_of(&objects.read(commit, Kind::Commit)?, commit.len())?;
    for component in below.components() {
        let Component::Normal(name) = component else { return Err(GitError::Malformed) };
        let entries = entries(&objects.read(&tree, Kind::Tree)?, commit.len())?;
        let found = entries
            .into_iter()
            .find(|entry| entry.mode == b"40000" && entry.name.as_slice() == name.as_encoded_bytes());
        match found {
            Some(entry) => tree = entry.id,
            None => return Ok(BTreeMap::new()),
        }
    }
    let entries = entries(&objects.read(&tree, Kind::Tree)?, commit.len())?;
    let files = entries.into_iter().filter(|entry| entry.mode.starts_with(b"100"));
    let named = files.filter_map(|entry| Some((String::from_utf8(entry.name).ok()?, entry.id)));
    Ok(named.filter(|(name, _)| name.ends_with(".cedar")).collect())
}

/// A commit begins with `tree <id>`.
fn tree_of(commit: &[u8], name_bytes: usize) -> Result<Vec<u8>, GitError> {
    let digits = commit.strip_prefix(b"tree ").and_then(|rest| rest.get(..2 * name_bytes));
    hex::decode(digits.ok_or(GitError::Malformed)?).map_err(|_| GitError::Malformed)
}

struct Entry {
    /// Octal digits: `40000` is a folder, `100644` and `100755` are files, `120000` is a link.
    mode: Vec<u8>,
    name: Vec<u8>,
    id: Vec<u8>,
}

/// A tree is `<mode> <name>\0<id>`, again and again.
fn entries(mut tree: &[u8], name_bytes: usize) -> Result<Vec<Entry>, GitError> {
    let mut found = Vec::new();
    while !tree.is_empty() {
        let end = tree.iter().position(|&b| b == 0).ok_or(GitError::Malformed)?;
        let (head, rest) = tree.split_at_checked(end).ok_or(GitError::Malformed)?;
        let space = head.iter().position(|&b| b == b' ').ok_or(GitError::Malformed)?;
        let (mode, name) = head.split_at_checked(space).ok_or(GitError::Malformed)?;
        let (id, rest) =
            rest.get(1..).and_then(|rest| rest.split_at_checked(name_bytes)).ok_or(GitError::Malformed)?;
        let name = name.get(1..).unwrap_or_default();
        found.push(Entry { mode: mode.to_vec(), name: name.to_vec(), id: id.to_vec() });
        tree = rest;
    }
    Ok(found)
}
