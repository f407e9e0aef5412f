//! Why content could not be kept or opened.

use hermetic_bounded_io::FileError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::RequestId;

#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    #[error("cannot use the file or folder in which content is kept")]
    File(#[source] FileError),
    #[error("the crypto library refused to {action}")]
    Crypto { action: &'static str },
    #[error("there is no memory left to hold the answer in until it is kept")]
    Memory,
    #[error("expected kept content of the request {request}, found none")]
    Missing { request: RequestId },
    #[error("expected the content of the request {request} as it was sealed, found {found}")]
    Damaged { request: RequestId, found: &'static str },
    #[error("expected `{name}` as it was sealed, found {found}")]
    DamagedFile { name: String, found: &'static str },
}

impl ContentError {
    /// Whether the disk has no room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::File(FileError::DiskFull { .. }))
    }

    /// Whether there is no such file.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::File(error) if error.is_not_found())
    }
}

impl Diagnose for ContentError {
    fn code(&self) -> Code {
        match self {
            Self::File(_) | Self::Crypto { .. } => Code::new("E0620"),
            Self::Damaged { .. } | Self::DamagedFile { .. } => Code::new("E0621"),
            Self::Missing { .. } => Code::new("E0622"),
            Self::Memory => Code::new("E0840"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) => Some("check room and owner of `content/` in the state folder".to_owned()),
            Self::Crypto { .. } | Self::Memory => None,
            Self::Damaged { .. } | Self::DamagedFile { .. } => {
                Some("compare `keys/content.pem` with the copy that was kept when capture began".to_owned())
            }
            Self::Missing { .. } => Some(
                "content is kept only while `ledger.capture` is `encrypted`, and until it is erased"
                    .to_owned(),
            ),
        }
    }
}
