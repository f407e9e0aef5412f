//! Thirty-two random bytes on disk, for keyed hashes and for wrapping other keys.

use crate::error::KeyError;
use crate::pem;
use hermetic_bounded_io::{Mode, create_folders, read_text_capped, write_atomic};
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

const LABEL: &str = "HERMETIC SECRET";
/// A secret in PEM is about a hundred bytes; a kilobyte leaves room for a comment.
const FILE_BYTES_MAX: u64 = 1024;

/// A secret that never prints itself.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0u8; 32]);
        aws_lc_rs::rand::fill(bytes.as_mut())
            .map_err(|_| KeyError::Crypto { action: "draw random bytes" })?;
        Ok(Self(bytes))
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads the secret or, when there is no file, makes one and keeps it there with mode 0600. A file that others may
    /// read is refused.
    pub fn load_or_generate(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File { path: path.to_owned(), source };
        if path.symlink_metadata().is_err() {
            let secret = Self::generate()?;
            if let Some(folder) = path.parent() {
                create_folders(folder, Mode::Private).map_err(file)?;
            }
            let text = pem::encode(LABEL, secret.bytes());
            write_atomic(path, text.as_bytes(), Mode::Private).map_err(file)?;
            return Ok(secret);
        }
        crate::signing::refuse_exposed(path)?;
        let text = Zeroizing::new(read_text_capped(path, FILE_BYTES_MAX).map_err(file)?);
        let bytes = pem::decode(LABEL, &text).and_then(|bytes| <[u8; 32]>::try_from(bytes.as_slice()).ok());
        bytes.map(|bytes| Self(Zeroizing::new(bytes))).ok_or_else(|| KeyError::Form {
            path: path.to_owned(),
            expected: "a secret of 32 bytes in PEM",
            found: "something else",
        })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_made_once_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/commitments.pem");
        let made = Secret::load_or_generate(&path).unwrap();
        assert_eq!(Secret::load_or_generate(&path).unwrap().bytes(), made.bytes());
        assert_eq!(format!("{made:?}"), "Secret(hidden)");
    }

    #[test]
    fn a_damaged_secret_is_refused_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        write_atomic(
            &path,
            b"-----BEGIN HERMETIC SECRET-----\nAAAA\n-----END HERMETIC SECRET-----\n",
            Mode::Private,
        )
        .unwrap();
        assert!(matches!(Secret::load_or_generate(&path), Err(KeyError::Form { .. })));
    }
}
