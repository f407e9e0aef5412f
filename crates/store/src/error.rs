//! What can go wrong with a store, each with its own code.

use hermetic_bounded_io::FileError;
use hermetic_bundle::DocumentError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot use the store's files")]
    File(#[source] FileError),
    #[error("expected {digest} in the store `{store}`, found no such blob", store = store.display())]
    Missing { digest: Digest, store: PathBuf },
    #[error("expected `{path}` to hold {expected}, found {found}", path = path.display())]
    Damaged { path: PathBuf, expected: Digest, found: Digest },
    #[error("expected an OCI image layout of version 1.0.0 by `{path}`, found {found}", path = path.display())]
    NotALayout { path: PathBuf, found: String },
    #[error("cannot read the store's index")]
    Index(#[source] DocumentError),
    #[error("expected `{name}` to be a name of letters, digits and -._:@+/ between them", name = name.escape_debug())]
    Name { name: String },
}

impl StoreError {
    /// The file error inside, when that is what it is.
    pub fn as_file(&self) -> Option<&FileError> {
        match self {
            Self::File(error) => Some(error),
            _ => None,
        }
    }
}

impl Diagnose for StoreError {
    fn code(&self) -> Code {
        match self {
            Self::File(FileError::DiskFull { .. }) => Code::new("E0302"),
            Self::File(_) => Code::new("E0301"),
            Self::Missing { .. } => Code::new("E0303"),
            Self::Damaged { .. } => Code::new("E0304"),
            Self::NotALayout { .. } => Code::new("E0305"),
            Self::Index(_) => Code::new("E0306"),
            Self::Name { .. } => Code::new("E0307"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(FileError::DiskFull { .. }) => Some(
                "free space on that disk, then run the same command again: it goes on where it stopped"
                    .to_owned(),
            ),
            Self::Missing { .. } | Self::Damaged { .. } => Some(
                "import the bundle that holds it again: whole blobs are kept, missing ones are copied"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}
