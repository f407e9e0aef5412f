//! Why a response is not kept, shown, gone on from or deleted.

use hermetic_content_store::ContentError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_metadata::MetadataError;
use hermetic_policy::Refusal;
use http::StatusCode;

/// The word OpenAI has for it, which clients look for to send the whole conversation instead.
const PREVIOUS_NOT_FOUND: &str = "previous_response_not_found";

#[derive(Debug, thiserror::Error)]
pub(crate) enum StateRefusal {
    #[error("there is no response of this id, or it belongs to somebody else")]
    Missing,
    /// Also where one that it goes on from is gone.
    #[error(
        "expected `previous_response_id` to name a response that is kept, with all it goes on from, found none of this id"
    )]
    PreviousMissing,
    #[error("no policy permits this subject to have responses of any model kept")]
    NotPermitted,
    #[error("expected `store` to be permitted, found that no policy permits to keep responses of this model")]
    StoreNotPermitted(#[source] Refusal),
    #[error("expected a conversation of at most {max} responses, found more")]
    TooManyTurns { max: u32 },
    #[error("expected a conversation of at most {max} bytes, found {found}")]
    ConversationTooLarge { max: u64, found: u64 },
    #[error("expected a request of at most {max} bytes to be kept with its response, found {found}")]
    ResponseTooLarge { max: usize, found: usize },
    #[error("expected the responses kept for the project to be at most {max} bytes together, found {held}")]
    ProjectFull { max: u64, held: u64 },
    #[error("expected {expected} in the query, found `{found}`")]
    Query { expected: &'static str, found: String },
    #[error("the disk has no room for the response")]
    DiskFull,
    #[error("the response cannot be kept or read")]
    Content(#[source] ContentError),
    #[error("responses cannot be looked up")]
    Metadata(#[source] MetadataError),
    #[error("expected the response as it was kept, found {found}")]
    Damaged { found: &'static str },
    #[error("the work on a response ended before it was done")]
    Lost,
}

impl From<ContentError> for StateRefusal {
    fn from(error: ContentError) -> Self {
        if error.is_disk_full() { Self::DiskFull } else { Self::Content(error) }
    }
}

impl From<MetadataError> for StateRefusal {
    fn from(error: MetadataError) -> Self {
        if error.is_disk_full() { Self::DiskFull } else { Self::Metadata(error) }
    }
}

impl StateRefusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Missing => StatusCode::NOT_FOUND,
            // As OpenAI answers it.
            Self::PreviousMissing | Self::TooManyTurns { .. } | Self::Query { .. } => StatusCode::BAD_REQUEST,
            Self::NotPermitted | Self::StoreNotPermitted(_) => StatusCode::FORBIDDEN,
            Self::ConversationTooLarge { .. } | Self::ResponseTooLarge { .. } | Self::ProjectFull { .. } => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::DiskFull => StatusCode::INSUFFICIENT_STORAGE,
            Self::Content(_) | Self::Metadata(_) | Self::Damaged { .. } | Self::Lost => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    /// OpenAI's `type`.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotPermitted | Self::StoreNotPermitted(_) => "permission_error",
            refusal if refusal.is_ours() => "service_unavailable_error",
            _ => "invalid_request_error",
        }
    }

    /// The word clients branch on, where OpenAI has one; else our code is it.
    pub(crate) fn word(&self) -> Option<&'static str> {
        matches!(self, Self::PreviousMissing).then_some(PREVIOUS_NOT_FOUND)
    }

    /// Whether the operator, not the caller, has to act.
    pub(crate) fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::DiskFull | Self::Content(_) | Self::Metadata(_) | Self::Damaged { .. } | Self::Lost
        )
    }

    /// The field that is to be mended.
    pub(crate) fn field(&self) -> Option<&'static str> {
        match self {
            Self::PreviousMissing | Self::TooManyTurns { .. } | Self::ConversationTooLarge { .. } => {
                Some("previous_response_id")
            }
            Self::StoreNotPermitted(_) | Self::ResponseTooLarge { .. } | Self::ProjectFull { .. } => {
                Some("store")
            }
            _ => None,
        }
    }
}

impl Diagnose for StateRefusal {
    fn code(&self) -> Code {
        match self {
            Self::Missing => Code::new("E0870"),
            Self::PreviousMissing => Code::new("E0871"),
            Self::NotPermitted | Self::StoreNotPermitted(_) => Code::new("E0872"),
            Self::TooManyTurns { .. } | Self::ConversationTooLarge { .. } => Code::new("E0873"),
            Self::ResponseTooLarge { .. } | Self::ProjectFull { .. } => Code::new("E0874"),
            Self::Query { .. } => Code::new("E0875"),
            Self::DiskFull | Self::Damaged { .. } | Self::Lost => Code::new("E0876"),
            Self::Content(error) => error.code(),
            Self::Metadata(error) => error.code(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::PreviousMissing => Some("send the conversation itself, as items of `input`".to_owned()),
            Self::NotPermitted | Self::StoreNotPermitted(_) => {
                Some("ask whoever keeps the policies: the action is called `store`".to_owned())
            }
            Self::TooManyTurns { .. } | Self::ConversationTooLarge { .. } => {
                Some("begin anew with what matters of the conversation".to_owned())
            }
            Self::ProjectFull { .. } => Some("delete responses that are no longer needed".to_owned()),
            Self::DiskFull => Some("make room on the disk of the state directory".to_owned()),
            _ => None,
        }
    }
}
