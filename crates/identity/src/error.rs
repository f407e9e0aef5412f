//! Why a request is nobody's.

use crate::certificate::{CertificateError, CertificateRefusal};
use crate::token::TokenError;
use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ids::KeyId;
use hermetic_ledger::record::Credential;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentifyError {
    #[error("expected an API key or a token in `Authorization: Bearer …`, found none")]
    Missing,
    #[error(
        "expected an API key of the form hk_<16 hexadecimal digits>_<43 characters>, or a token of an issuer configured here, found something else"
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
    #[error("expected fewer failed attempts from this address; nothing it presents is looked at for {} s", seconds(*.wait))]
    ShutOut { wait: Duration },
    #[error("{0}")]
    Token(TokenError),
    #[error("{0}")]
    Certificate(CertificateError),
}

/// Whole seconds, rounded up: waiting them is enough.
fn seconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX)
}

impl IdentifyError {
    /// What was shown, where it was proved to be genuine.
    pub fn credential(&self) -> Option<Credential> {
        match self {
            Self::Expired { key, .. } | Self::Revoked { key, .. } => Some(Credential::ApiKey { key: *key }),
            Self::Token(error) => error.credential.as_deref().cloned(),
            Self::Certificate(error) => error.credential.as_deref().cloned(),
            Self::Missing
            | Self::Malformed
            | Self::Unknown { .. }
            | Self::Stale { .. }
            | Self::ShutOut { .. } => None,
        }
    }

    /// The key somebody claimed to hold without proof.
    pub fn claimed_key(&self) -> Option<KeyId> {
        match self {
            Self::Unknown { claimed } => Some(*claimed),
            _ => None,
        }
    }

    /// Whether the operator, not the caller, has to act: such failures are nobody's guess.
    pub fn is_ours(&self) -> bool {
        match self {
            Self::Stale { .. } => true,
            Self::Token(error) => error.reason.is_ours(),
            Self::Certificate(error) => error.reason == CertificateRefusal::Unchecked,
            _ => false,
        }
    }

    /// Whether it counts against its source: something was presented, and it was not in force.
    pub fn is_failure(&self) -> bool {
        !self.is_ours() && !matches!(self, Self::Missing | Self::ShutOut { .. })
    }

    /// Seconds after which another attempt is worth making.
    pub fn retry_after(&self) -> Option<u32> {
        match self {
            Self::ShutOut { wait } => Some(u32::try_from(seconds(*wait)).unwrap_or(u32::MAX)),
            _ if self.is_ours() => Some(5),
            _ => None,
        }
    }
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
            Self::ShutOut { .. } => Code::new("E0909"),
            Self::Token(error) => error.code(),
            Self::Certificate(error) => error.code(),
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
            Self::ShutOut { .. } => Some("wait, and mend what presents the wrong key".to_owned()),
            Self::Token(error) => error.hint(),
            Self::Certificate(error) => error.hint(),
        }
    }
}
