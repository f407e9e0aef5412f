//! Why a bundle was not imported.

use hermetic_bounded_io::FileError;
use hermetic_bundle::{ContentsError, DocumentError};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use hermetic_ids::ReleaseVersion;
use hermetic_ledger_store::AppendError;
use hermetic_metadata::MetadataError;
use hermetic_store::StoreError;
use hermetic_trust::TrustError;

/// Why a bundle was not imported. Unless it says otherwise, nothing of it can be seen in the enclave.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("the bundle is not trusted")]
    Trust(#[from] TrustError),
    #[error(
        "expected the name of the engineer who answers for the import, of 1 to {bytes_max} bytes, found {found} bytes"
    )]
    Engineer { bytes_max: usize, found: usize },
    #[error("another import is running in this enclave")]
    AnotherImport,
    #[error("expected a release newer than counter {known}, found `{version}` with counter {found}")]
    OlderRelease { version: ReleaseVersion, found: u64, known: u64 },
    #[error(
        "release `{version}` was imported before as {known}, and this bundle calls {found} by the same version"
    )]
    VersionReused { version: ReleaseVersion, known: Digest, found: Digest },

    #[error("the bundle has no `{file}`")]
    Missing { file: String },
    #[error("expected `{file}` to be {expected} bytes, found {found}")]
    Size { file: String, expected: u64, found: u64 },
    #[error("expected `{file}` to be a regular file or folder, found {found}")]
    NotRegular { file: String, found: &'static str },
    #[error("`{file}` does not belong in a bundle")]
    Foreign { file: String },
    #[error("a file path in the manifest {manifest} leaves its folder: `{path}`")]
    UnsafePath { manifest: Digest, path: String },
    #[error("cannot read `{file}` of the bundle")]
    Unreadable { file: String, source: FileError },
    #[error("cannot read bytes {first} to {last} of `{file}`")]
    Read { file: String, first: u64, last: u64, source: std::io::Error },
    #[error("`{file}` is damaged between byte {first} and byte {last} (part {part})")]
    Damaged { file: String, first: u64, last: u64, part: u64 },
    #[error("expected `{file}` to be {expected}, as the signed statement says, found {found}")]
    NotNamed { file: String, expected: Digest, found: Digest },
    #[error("expected {digest} in the part table, found no such blob")]
    NotInTable { digest: Digest },
    #[error("cannot use `{file}`")]
    Document { file: String, source: DocumentError },
    #[error("expected the bundle's label to say release `{expected}`, found `{found}`")]
    Hint { expected: ReleaseVersion, found: ReleaseVersion },
    #[error("the bundle is not an OCI image layout")]
    Layout { source: StoreError },
    #[error("the documents of the bundle do not fit together")]
    Contents { source: ContentsError },

    #[error("expected {needed} bytes of free space for this import, found {free}")]
    NoRoom { needed: u64, free: u64 },
    #[error("the disk of this enclave filled up during the import")]
    DiskFull { source: StoreError },
    #[error("expected all {of} parts of {blob} in the journal, found {done}")]
    Unfinished { blob: Digest, done: u64, of: u64 },
    #[error("cannot write to the store of this enclave")]
    Store { source: StoreError },
    #[error("cannot use the state folder of this enclave")]
    State { source: FileError },
    #[error("cannot keep the books of the import")]
    Metadata(#[source] MetadataError),
    #[error("the database's disk filled up during the import")]
    MetadataDiskFull { source: MetadataError },
    #[error("the ledger did not take the record of the import")]
    Ledger { source: AppendError },
    #[error("cannot write a custody record")]
    Custody { source: serde_json::Error },
}

impl From<MetadataError> for ImportError {
    fn from(source: MetadataError) -> Self {
        if source.is_disk_full() { Self::MetadataDiskFull { source } } else { Self::Metadata(source) }
    }
}

impl ImportError {
    pub(super) fn store(source: StoreError) -> Self {
        match source.as_file() {
            Some(FileError::DiskFull { .. }) => Self::DiskFull { source },
            _ => Self::Store { source },
        }
    }
}

impl Diagnose for ImportError {
    fn code(&self) -> Code {
        match self {
            Self::Trust(error) => error.code(),
            Self::Metadata(error) => error.code(),
            Self::Store { source } => source.code(),
            Self::NotRegular { .. } | Self::Foreign { .. } => Code::new("E0431"),
            Self::UnsafePath { .. } => Code::new("E0432"),
            Self::Missing { .. } => Code::new("E0433"),
            Self::Size { .. } | Self::NotInTable { .. } => Code::new("E0434"),
            Self::Contents {
                source: ContentsError::NotInPartTable { .. } | ContentsError::TwoSizes { .. },
            } => Code::new("E0434"),
            Self::Damaged { .. } => Code::new("E0435"),
            Self::NoRoom { .. } => Code::new("E0436"),
            Self::DiskFull { .. } | Self::MetadataDiskFull { .. } => Code::new("E0437"),
            Self::OlderRelease { .. } => Code::new("E0438"),
            Self::VersionReused { .. } => Code::new("E0439"),
            Self::Unreadable { .. } | Self::Read { .. } => Code::new("E0441"),
            Self::AnotherImport => Code::new("E0442"),
            Self::Ledger { .. } => Code::new("E0443"),
            Self::State { .. } => Code::new("E0444"),
            Self::NotNamed { .. } | Self::Hint { .. } => Code::new("E0445"),
            Self::Engineer { .. } => Code::new("E0446"),
            Self::Document { .. } | Self::Layout { .. } | Self::Custody { .. } => Code::new("E0447"),
            Self::Contents { source } => source.code(),
            Self::Unfinished { .. } => Code::new("E0448"),
        }
    }

    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Trust(error) => return error.hint(),
            Self::Metadata(error) => return error.hint(),
            Self::Store { source } => return source.hint(),
            Self::Damaged { .. } | Self::Read { .. } | Self::Unreadable { .. } => {
                "copy the bundle to the disk again and import it again; parts that were good are kept"
            }
            Self::Missing { .. } | Self::Size { .. } => {
                "the copy onto the disk was not finished, or was altered; make it again"
            }
            Self::NotRegular { .. } | Self::Foreign { .. } | Self::UnsafePath { .. } => {
                "do not import this disk; ask whoever made it where the file comes from"
            }
            Self::NoRoom { .. } | Self::DiskFull { .. } | Self::MetadataDiskFull { .. } => {
                "free space on the disk of the state folder and run the import again: it goes on where it stopped"
            }
            Self::OlderRelease { .. } => "to go back to an older release, use `hermetic release rollback`",
            Self::AnotherImport => "wait for it to end, then run this again",
            Self::Engineer { .. } => "give it with `--engineer NAME`",
            Self::Ledger { .. } => {
                "run the import again once the ledger can be written: no byte is copied twice"
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}
