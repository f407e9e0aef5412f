//! What this log has put its name under: kept before every signature, so that a crash, a restored backup or a bug can
//! never make it sign two different trees.

use hermetic_bounded_io::{FileError, Mode, create_folders, read_text_capped, write_atomic};
use hermetic_ledger::TreeHash;
use std::path::{Path, PathBuf};

/// Three short lines.
const FILE_BYTES_MAX: u64 = 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) size: u64,
    pub(crate) root: TreeHash,
}

#[derive(Debug, Clone)]
pub(crate) struct LastSigned {
    path: PathBuf,
    origin: String,
}

impl LastSigned {
    pub(crate) fn new(path: &Path, origin: &str) -> Self {
        Self { path: path.to_owned(), origin: origin.to_owned() }
    }

    /// What was signed last; `None` when nothing was. A file that says anything else than it should is an error: it is
    /// written whole or not at all.
    pub(crate) fn read(&self) -> Result<Option<Signed>, FileError> {
        let text = match read_text_capped(&self.path, FILE_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let malformed = || {
            let message = "expected origin, size and root of this ledger, found something else";
            FileError::new("understand", &self.path, std::io::Error::other(message))
        };
        let mut lines = text.lines();
        if lines.next() != Some(self.origin.as_str()) {
            return Err(malformed());
        }
        let size = lines.next().and_then(|line| line.parse().ok()).ok_or_else(malformed)?;
        let root = lines.next().and_then(TreeHash::from_base64).ok_or_else(malformed)?;
        Ok(Some(Signed { size, root }))
    }

    pub(crate) fn write(&self, signed: Signed) -> Result<(), FileError> {
        if let Some(folder) = self.path.parent() {
            create_folders(folder, Mode::Private)?;
        }
        let text = format!("{}\n{}\n{}\n", self.origin, signed.size, signed.root);
        write_atomic(&self.path, text.as_bytes(), Mode::Private)
    }
}
