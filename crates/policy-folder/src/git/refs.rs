//! Where a repository is and what its HEAD points at.

use hermetic_bounded_io::read_text_capped;
use std::path::{Path, PathBuf};

/// HEAD, a loose reference, `commondir` and a `.git` file are one line each.
const LINE_BYTES_MAX: u64 = 4_096;
/// References of a large house: a hundred thousand branches and tags.
const PACKED_REFS_BYTES_MAX: u64 = 16 << 20;
/// A reference may point at another; Git itself stops at five.
const POINTERS_MAX: usize = 5;
/// Folders between a policy folder and the top of its working tree.
const PARENTS_MAX: usize = 64;

/// A repository with a working tree.
pub(crate) struct Repository {
    work_tree: PathBuf,
    /// Of this working tree: HEAD.
    git_dir: PathBuf,
    /// Of all working trees: objects and references.
    common_dir: PathBuf,
}

impl Repository {
    /// The innermost working tree that holds the folder, an absolute path without links.
    pub(crate) fn around(folder: &Path) -> Option<Self> {
        folder.ancestors().take(PARENTS_MAX).find_map(Self::at)
    }

    fn at(work_tree: &Path) -> Option<Self> {
        let place = work_tree.join(".git");
        let kind = std::fs::symlink_metadata(&place).ok()?.file_type();
        let git_dir = if kind.is_dir() {
            place
        } else {
            // A linked working tree or a submodule says where its repository is.
            let line = read_line(&place)?;
            work_tree.join(line.strip_prefix("gitdir: ")?)
        };
        let common_dir = match read_line(&git_dir.join("commondir")) {
            Some(common) => git_dir.join(common),
            None => git_dir.clone(),
        };
        git_dir.join("HEAD").is_file().then(|| Self { work_tree: work_tree.to_owned(), git_dir, common_dir })
    }

    pub(crate) fn work_tree(&self) -> &Path {
        &self.work_tree
    }

    pub(crate) fn objects_dir(&self) -> PathBuf {
        self.common_dir.join("objects")
    }

    /// The id HEAD leads to, in hexadecimal digits.
    pub(crate) fn head(&self) -> Option<String> {
        let mut line = read_line(&self.git_dir.join("HEAD"))?;
        for _ in 0..POINTERS_MAX {
            let Some(name) = line.strip_prefix("ref: ") else { return Some(line).filter(|line| is_id(line)) };
            line = self.reference(name.trim())?;
        }
        None
    }

    fn reference(&self, name: &str) -> Option<String> {
        // A name becomes a path: nothing in it may lead elsewhere.
        let plain = name.starts_with("refs/")
            && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && !name.chars().any(char::is_control);
        if !plain {
            return None;
        }
        let loose = [&self.git_dir, &self.common_dir].into_iter().find_map(|dir| read_line(&dir.join(name)));
        loose.or_else(|| self.packed(name))
    }

    fn packed(&self, name: &str) -> Option<String> {
        let text = read_text_capped(&self.common_dir.join("packed-refs"), PACKED_REFS_BYTES_MAX).ok()?;
        let found = text.lines().find_map(|line| {
            let (id, found) = line.split_once(' ')?;
            (found == name).then(|| id.to_owned())
        });
        found.filter(|id| is_id(id))
    }
}

fn read_line(path: &Path) -> Option<String> {
    let text = read_text_capped(path, LINE_BYTES_MAX).ok()?;
    Some(text.trim_end_matches(['\n', '\r']).to_owned()).filter(|line| !line.is_empty())
}

/// A SHA-1 or SHA-256 name.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
