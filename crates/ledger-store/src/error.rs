//! What can go wrong: opening, appending, reading.

use hermetic_bounded_io::FileError;
use hermetic_connector::ConnectError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ledger::note::VerifierKeyError;
use hermetic_ledger::tile::TileError;
use hermetic_ledger::{CheckpointError, RecordError, TreeHash};
use std::path::PathBuf;
use std::sync::Arc;

/// Why a ledger could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("cannot open the ledger in `{dir}`", dir = dir.display())]
    File { dir: PathBuf, source: FileError },
    #[error("the ledger's origin cannot name a key")]
    Origin(#[source] VerifierKeyError),
    #[error(
        "expected the ledger in `{dir}` to hold the {signed} records it has signed for, found {found}: it was rewound",
        dir = dir.display()
    )]
    Rewound { dir: PathBuf, signed: u64, found: u64 },
    #[error(
        "expected the first {size} records of the ledger in `{dir}` to lead to the signed root {signed}, found {found}",
        dir = dir.display()
    )]
    Different { dir: PathBuf, size: u64, signed: TreeHash, found: TreeHash },
    #[error("expected the checkpoint of the ledger in `{dir}` to be signed by its own key", dir = dir.display())]
    Checkpoint { dir: PathBuf, source: CheckpointError },
    #[error("expected `{path}` to hold what was written, found {found} at record {index}", path = path.display())]
    Damaged { path: PathBuf, index: u64, found: &'static str },
    #[error("expected the process that writes the ledger in `{dir}` to answer", dir = dir.display())]
    WriterSilent { dir: PathBuf, source: ConnectError },
    #[error("cannot start the ledger's threads")]
    Thread(#[source] std::io::Error),
}

impl Diagnose for OpenError {
    fn code(&self) -> Code {
        match self {
            Self::File { .. } | Self::Origin(_) | Self::Thread(_) => Code::new("E0613"),
            Self::Rewound { .. } => Code::new("E0603"),
            Self::Different { .. } | Self::Checkpoint { .. } => Code::new("E0614"),
            Self::Damaged { .. } => Code::new("E0605"),
            Self::WriterSilent { .. } => Code::new("E0611"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Rewound { .. } | Self::Different { .. } => Some(
                "was the state directory restored from a backup? put back the newer one; do not delete files"
                    .into(),
            ),
            Self::Checkpoint { .. } => {
                Some("is this the key the ledger was started with? see `hermetic audit key`".into())
            }
            Self::Damaged { .. } => {
                Some("copy the folder before anything else, then run `hermetic audit check`".into())
            }
            Self::WriterSilent { .. } => {
                Some("the serving process holds the ledger; is it running as this user?".into())
            }
            Self::File { .. } | Self::Origin(_) | Self::Thread(_) => None,
        }
    }
}

/// Why a record was not appended. Whoever promised a record must not go on.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    #[error("the ledger cannot be written; every record is refused until the service starts again")]
    Failed(#[source] Arc<FileError>),
    #[error("the disk that holds the ledger is full; records are refused until there is room")]
    DiskFull,
    #[error("expected at most {records} records to wait for the ledger, found that so many do")]
    QueueFull { records: usize },
    #[error("the ledger is closed")]
    Closed,
    #[error("the record cannot be written")]
    Record(#[source] Arc<RecordError>),
    #[error("the process that writes the ledger is gone or did not answer")]
    WriterGone(#[source] Arc<std::io::Error>),
    #[error("the process that writes the ledger refused: {reason}")]
    Forwarded { code: Code, reason: String },
}

impl Diagnose for AppendError {
    fn code(&self) -> Code {
        match self {
            Self::Failed(_) => Code::new("E0601"),
            Self::DiskFull => Code::new("E0602"),
            Self::QueueFull { .. } => Code::new("E0604"),
            Self::Closed => Code::new("E0617"),
            Self::Record(source) => source.code(),
            Self::WriterGone(_) => Code::new("E0611"),
            Self::Forwarded { code, .. } => *code,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(_) => {
                Some("look at the kernel log for the disk, then restart the service".to_owned())
            }
            Self::DiskFull => {
                Some("free space on the disk of the state directory; service resumes by itself".to_owned())
            }
            Self::QueueFull { .. } => Some("the disk is slower than the requests; try again".to_owned()),
            Self::Closed | Self::Record(_) | Self::WriterGone(_) | Self::Forwarded { .. } => None,
        }
    }
}

/// Why something could not be read from the ledger.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read the ledger")]
    File(#[source] FileError),
    #[error("expected a signed checkpoint in `{dir}`, found none: nothing was recorded yet", dir = dir.display())]
    Empty { dir: PathBuf },
    #[error("expected a checkpoint in the ledger's folder, found something else")]
    Checkpoint(#[source] CheckpointError),
    #[error("expected an index below {size}, the number of signed records, found {index}")]
    Outside { index: u64, size: u64 },
    #[error("expected the tile `{tile}` to hold {width} places, found it damaged")]
    Damaged { tile: String, width: u64 },
    #[error("cannot walk the ledger's tiles")]
    Tile(#[source] TileError<FileError>),
    #[error("expected record {index} to lead to the signed root, found that it does not: a file was changed")]
    Inconsistent { index: u64 },
    #[error("expected the ledger to sign what is new, found that it could not")]
    Append(#[source] AppendError),
}

impl Diagnose for ReadError {
    fn code(&self) -> Code {
        match self {
            Self::File(_) => Code::new("E0613"),
            Self::Empty { .. } => Code::new("E0618"),
            Self::Outside { .. } => Code::new("E0615"),
            Self::Checkpoint(_) | Self::Damaged { .. } | Self::Tile(_) | Self::Inconsistent { .. } => {
                Code::new("E0616")
            }
            Self::Append(source) => source.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Checkpoint(_) | Self::Damaged { .. } | Self::Tile(_) | Self::Inconsistent { .. } => {
                Some("copy the folder before anything else, then run `hermetic audit check`".to_owned())
            }
            Self::Append(source) => source.hint(),
            Self::File(_) | Self::Empty { .. } | Self::Outside { .. } => None,
        }
    }
}
