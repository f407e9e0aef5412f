//! Why a file or a batch is not made, shown or changed.

use crate::multipart::FormError;
use hermetic_batches::{CreateMistake, WrongStatus};
use hermetic_content_store::ContentError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_metadata::MetadataError;
use http::StatusCode;

#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchRefusal {
    #[error("{0}")]
    Form(FormError),
    #[error("expected {expected} as `{field}` of the form, found {found}")]
    Field { field: &'static str, expected: &'static str, found: String },
    #[error("{0}")]
    Create(CreateMistake),
    #[error("expected {expected} in the query, found `{found}`")]
    Query { expected: &'static str, found: String },
    #[error("there is no {what} of this id, or it belongs to another project")]
    Missing { what: &'static str },
    #[error("{0}")]
    Status(WrongStatus),
    #[error("expected a file that no batch reads, found one whose batch has not ended")]
    InUse,
    #[error("expected a file of at most {max} bytes, found more")]
    FileTooLarge { max: u64 },
    #[error(
        "expected the files of the project to be at most {max} bytes together, found {held} before this one"
    )]
    ProjectFull { max: u64, held: u64 },
    #[error("no policy permits this subject to have requests of any model answered in batches")]
    NotPermitted,
    #[error("expected an API key or a token: a batch goes on when the connection of a certificate has ended")]
    Certificate,
    #[error("the disk has no room for the file")]
    DiskFull,
    #[error("the file cannot be kept or read")]
    Content(#[source] ContentError),
    #[error("files and batches cannot be looked up")]
    Metadata(#[source] MetadataError),
    #[error("the work on a file ended before it was done")]
    Lost,
}

impl From<ContentError> for BatchRefusal {
    fn from(error: ContentError) -> Self {
        if error.is_disk_full() { Self::DiskFull } else { Self::Content(error) }
    }
}

impl From<MetadataError> for BatchRefusal {
    fn from(error: MetadataError) -> Self {
        if error.is_disk_full() { Self::DiskFull } else { Self::Metadata(error) }
    }
}

impl BatchRefusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Form(FormError::TooLarge { .. }) | Self::FileTooLarge { .. } | Self::ProjectFull { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::Form(FormError::Silent { .. } | FormError::BrokenOff) => StatusCode::REQUEST_TIMEOUT,
            Self::Form(FormError::NotAForm { .. }) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Form(_) | Self::Field { .. } | Self::Create(_) | Self::Query { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::Missing { .. } => StatusCode::NOT_FOUND,
            Self::Status(_) | Self::InUse => StatusCode::CONFLICT,
            Self::NotPermitted | Self::Certificate => StatusCode::FORBIDDEN,
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Content(_) | Self::Metadata(_) | Self::Lost => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// OpenAI's `type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotPermitted | Self::Certificate => "permission_error",
            refusal if refusal.is_ours() => "service_unavailable_error",
            _ => "invalid_request_error",
        }
    }

    /// Whether the operator, not the caller, has to act.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Content(_) | Self::Metadata(_) | Self::Lost)
    }

    /// The field that is to be mended.
    pub(crate) fn field(&self) -> Option<&'static str> {
        match self {
            Self::Field { field, .. } => Some(field),
            Self::Create(mistake) => mistake.field(),
            _ => None,
        }
    }
}

impl Diagnose for BatchRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Form(_) | Self::Field { .. } => Code::new("E0860"),
            Self::Create(_) | Self::Query { .. } => Code::new("E0861"),
            Self::Missing { .. } => Code::new("E0862"),
            Self::Status(_) | Self::InUse => Code::new("E0863"),
            Self::FileTooLarge { .. } | Self::ProjectFull { .. } => Code::new("E0864"),
            Self::NotPermitted | Self::Certificate => Code::new("E0865"),
            Self::DiskFull | Self::Lost => Code::new("E0866"),
            Self::Content(error) => error.code(),
            Self::Metadata(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Form(_) => Some("the SDKs of OpenAI send such forms: `client.files.create(…)`".to_owned()),
            Self::ProjectFull { .. } => Some("delete files that are no longer needed".to_owned()),
            Self::NotPermitted => {
                Some("ask whoever keeps the policies: the action is called `batch`".to_owned())
            }
            Self::DiskFull => Some("make room on the disk of the state directory".to_owned()),
            _ => None,
        }
    }
}
