//! Why a request is nobody's.

use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::KeyId;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifyError {
    #[error("expected an API key in `Authorization: Bearer …`, found none")]
    Missing,
    #[error(
        "expected an API key of the form hk_<16 hexadecimal digits>_<43 characters>, found something else"
    )]
    Malformed,
    /// Also when the id exists and the secret is wrong: which of the two it was is nobody's business.
    #[error("the API key is not known here")]
    Unknown { claimed: KeyId },
    #[error("the API key expired at {}", rfc3339(*.at))]
    Expired { key: KeyId, at: UnixMillis },
    #[error("the API key was revoked at {}", rfc3339(*.at))]
    Revoked { key: KeyId, at: UnixMillis },
    #[error("expected key data at most {} s old, found it {} s old", .allowed.as_secs(), .age.as_secs())]
    Stale { age: Duration, allowed: Duration },
}

impl Diagnose for IdentifyError {
    fn code(&self) -> Code {
        match self {
            Self::Missing => Code::new("E0901"),
            Self::Malformed => Code::new("E0902"),
            Self::Unknown { .. } => Code::new("E0903"),
            Self::Expired { .. } => Code::new("E0904"),
            Self::Revoked { .. } => Code::new("E0905"),
            Self::Stale { .. } => Code::new("E0906"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => Some("set the SDK's api_key, or send `Authorization: Bearer hk_…`".to_owned()),
            Self::Malformed => Some("copy the whole key as it was shown when it was created".to_owned()),
            Self::Unknown { .. } | Self::Expired { .. } | Self::Revoked { .. } => {
                Some("ask the operator for a new key (`hermetic api-key create`)".to_owned())
            }
            Self::Stale { .. } => None,
        }
    }
}
