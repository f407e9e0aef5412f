//! Commits and trees by name, loose or packed.

use super::GitError;
use super::pack::Pack;
use super::refs::Repository;
use aws_lc_rs::digest;
use flate2::read::ZlibDecoder;
use hermetic_bounded_io::{list_folder, open_regular, read_text_capped};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest object that is read: a tree of fifty thousand entries.
pub(super) const OBJECT_BYTES_MAX: u64 = 4 << 20;
/// Packs of one object folder. Git repacks beyond fifty.
const PACK_FILES_MAX: usize = 4_096;
/// Object folders a repository may borrow from.
const ALTERNATES_MAX: usize = 8;
const ALTERNATES_BYTES_MAX: u64 = 64 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Commit,
    Tree,
    Blob,
    Tag,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Tree => "tree",
            Self::Blob => "blob",
            Self::Tag => "tag",
        }
    }
}

/// The object folders of a repository.
pub(super) struct Objects {
    dirs: Vec<PathBuf>,
}

impl Objects {
    pub(super) fn of(repository: &Repository) -> Result<Self, GitError> {
        let mut dirs = vec![repository.objects_dir()];
        let mut at = 0;
        while let Some(dir) = dirs.get(at).cloned() {
            at += 1;
            let borrowed = match read_text_capped(&dir.join("info/alternates"), ALTERNATES_BYTES_MAX) {
                Ok(text) => text,
                Err(error) if error.is_not_found() => continue,
                Err(error) => return Err(error.into()),
            };
            let lines = borrowed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
            dirs.extend(lines.map(|line| dir.join(line)));
            if dirs.len() > ALTERNATES_MAX {
                return Err(GitError::Malformed);
            }
        }
        Ok(Self { dirs })
    }

    /// The content of an object of that kind. Its hash is its name, or it does not count.
    pub(super) fn read(&self, id: &[u8], kind: Kind) -> Result<Vec<u8>, GitError> {
        let (found, content) = self.find(id)?;
        if found != kind || name(kind, &content, id.len()).as_deref() != Some(id) {
            return Err(GitError::Malformed);
        }
        Ok(content)
    }

    fn find(&self, id: &[u8]) -> Result<(Kind, Vec<u8>), GitError> {
        match self.find_loose(id) {
            Err(GitError::Missing) => {}
            found => return found,
        }
        for dir in &self.dirs {
            if let Some(object) = self.packed(&dir.join("pack"), id)? {
                return Ok(object);
            }
        }
        Err(GitError::Missing)
    }

    pub(super) fn find_loose(&self, id: &[u8]) -> Result<(Kind, Vec<u8>), GitError> {
        for dir in &self.dirs {
            let digits = hex::encode(id);
            let (folder, file) = digits.split_at_checked(2).ok_or(GitError::Malformed)?;
            match open_regular(&dir.join(folder).join(file)) {
                Ok((file, _)) => return loose(file),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(GitError::Missing)
    }

    fn packed(&self, dir: &Path, id: &[u8]) -> Result<Option<(Kind, Vec<u8>)>, GitError> {
        let entries = match list_folder(dir, PACK_FILES_MAX) {
            Ok(entries) => entries,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        for entry in entries.iter().filter(|entry| entry.name.ends_with(".idx")) {
            let pack = Pack::open(&dir.join(&entry.name), id.len())?;
            if let Some(at) = pack.find(id)? {
                return pack.read(at, self).map(Some);
            }
        }
        Ok(None)
    }

    /// The name Git gives these bytes as a file.
    pub(super) fn blob_id(&self, bytes: &[u8], length: usize) -> Vec<u8> {
        name(Kind::Blob, bytes, length).unwrap_or_default()
    }
}

/// The name of an object: a hash over its kind, its length and its content.
fn name(kind: Kind, content: &[u8], length: usize) -> Option<Vec<u8>> {
    let algorithm = match length {
        // The name of a commit is not ours to choose: SHA-1 is what Git calls it by. That the files are those of the
        // commit rests on it; what a record vouches for rests on the SHA-256 of the folder.
        20 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        32 => &digest::SHA256,
        _ => return None,
    };
    let mut context = digest::Context::new(algorithm);
    context.update(format!("{} {}\0", kind.as_str(), content.len()).as_bytes());
    context.update(content);
    Some(context.finish().as_ref().to_vec())
}

/// `<kind> <length>\0<content>`, compressed.
fn loose(file: impl Read) -> Result<(Kind, Vec<u8>), GitError> {
    let bytes = inflated(file, OBJECT_BYTES_MAX)?;
    let end = bytes.iter().position(|&b| b == 0).ok_or(GitError::Malformed)?;
    let head = bytes.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or(GitError::Malformed)?;
    let (kind, length) = head.split_once(' ').ok_or(GitError::Malformed)?;
    let content = bytes.get(end + 1..).unwrap_or_default();
    let kinds = [Kind::Commit, Kind::Tree, Kind::Blob, Kind::Tag];
    match kinds.into_iter().find(|known| known.as_str() == kind) {
        Some(kind) if length.parse() == Ok(content.len()) => Ok((kind, content.to_vec())),
        _ => Err(GitError::Malformed),
    }
}

/// Unpacks a zlib stream of at most `cap` bytes.
pub(super) fn inflated(compressed: impl Read, cap: u64) -> Result<Vec<u8>, GitError> {
    let mut bytes = Vec::new();
    ZlibDecoder::new(compressed).take(cap + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap { Err(GitError::Malformed) } else { Ok(bytes) }
}
