//! What can go wrong with the database.

use hermetic_bounded_io::FileError;
use hermetic_diagnostics::{Code, Diagnose};
use std::path::PathBuf;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MetadataError {
    #[error("cannot open the database `{path}`", path = path.display())]
    File { path: PathBuf, source: FileError },
    #[error("cannot {action} in the database")]
    Query { action: &'static str, source: rusqlite::Error },
    #[error("expected a database of at most schema version {known}, found version {found}")]
    NewerSchema { known: u32, found: u32 },
    #[error("expected a well-formed value in `{column}`, found `{found}`")]
    Corrupt { column: &'static str, found: String },
    #[error("expected a number below 2^63 for `{column}`, found {found}")]
    Range { column: &'static str, found: u64 },
}

impl MetadataError {
    /// Whether the disk that holds the database is full.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Query { source: rusqlite::Error::SqliteFailure(failure, _), .. } => {
                failure.code == rusqlite::ErrorCode::DiskFull
            }
            Self::File { source, .. } => matches!(source, FileError::DiskFull { .. }),
            _ => false,
        }
    }
}

impl Diagnose for MetadataError {
    fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::Query { .. } | Self::Range { .. } => Code::new("E0501"),
            Self::NewerSchema { .. } => Code::new("E0502"),
            Self::Corrupt { .. } => Code::new("E0503"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NewerSchema { .. } => Some("run the newer hermetic that wrote this database".to_owned()),
            Self::Corrupt { .. } => {
                Some("restore the state folder from its backup, or run `hermetic store scrub`".to_owned())
            }
            _ => None,
        }
    }
}
