//! Why a token lets nobody in.

use crate::grants::GrantError;
use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_ledger::record::Credential;
use std::time::Duration;

/// A refusal, and whose token it was where its signature verified: what an unsigned text claims is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TokenError {
    pub reason: TokenRefusal,
    pub credential: Option<Box<Credential>>,
}

/// Messages name what was expected and, of the token, only what its holder may know anyway.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("expected a signed JSON Web Token in compact form, found something else ({what})")]
    Malformed { what: &'static str },
    #[error("expected a token of at most {cap} bytes, found {found}")]
    TooLarge { cap: usize, found: usize },
    #[error("expected a token signed by one of {allowed}, found {found}")]
    Algorithm { allowed: String, found: String },
    #[error("expected a token of an issuer that is configured here, found another")]
    UnknownIssuer,
    #[error("expected a token signed with one of the issuer's keys, found one with another key's name")]
    UnknownKey,
    #[error("the signature of the token does not verify")]
    Signature,
    #[error("the token expired at {}", rfc3339(*.at))]
    Expired { at: UnixMillis },
    #[error("expected a token issued at most {} s ago, found one issued at {}", .max.as_secs(), rfc3339(*.issued))]
    TooOld { issued: UnixMillis, max: Duration },
    #[error("the token is not valid before {}", rfc3339(*.at))]
    NotYet { at: UnixMillis },
    #[error("expected a token for one of the audiences {expected}, found one for another")]
    Audience { expected: String },
    #[error("expected the claim `{name}` in the token, found none that can be used")]
    Claim { name: String },
    #[error("{0}")]
    Grants(GrantError),
    #[error("expected a token of type {expected}, found another")]
    Type { expected: String },
    #[error("the token was revoked")]
    Revoked,
    #[error("the token may be used once and was used before")]
    Replayed,
    #[error(
        "expected a token issued since the service started, because earlier ones may have been used before"
    )]
    BeforeStart,
    #[error("expected room to remember another single-use token, found {max} remembered")]
    NoRoom { max: usize },
    #[error("the issuer's keys have not been read yet")]
    NoKeys,
}

impl TokenRefusal {
    pub(crate) fn unproved(self) -> TokenError {
        TokenError { reason: self, credential: None }
    }

    pub(crate) fn of(self, credential: &Credential) -> TokenError {
        TokenError { reason: self, credential: Some(Box::new(credential.clone())) }
    }

    /// Whether somebody other than the caller has to act before the same token is let in.
    pub fn is_ours(&self) -> bool {
        matches!(self, Self::NoKeys | Self::NoRoom { .. })
    }
}

impl Diagnose for TokenError {
    fn code(&self) -> Code {
        match self.reason {
            TokenRefusal::Malformed { .. } => Code::new("E0960"),
            TokenRefusal::TooLarge { .. } => Code::new("E0961"),
            TokenRefusal::Algorithm { .. } => Code::new("E0962"),
            TokenRefusal::UnknownIssuer => Code::new("E0963"),
            TokenRefusal::UnknownKey => Code::new("E0964"),
            TokenRefusal::Signature => Code::new("E0965"),
            TokenRefusal::Expired { .. } | TokenRefusal::TooOld { .. } => Code::new("E0966"),
            TokenRefusal::NotYet { .. } => Code::new("E0967"),
            TokenRefusal::Audience { .. } => Code::new("E0968"),
            TokenRefusal::Claim { .. } | TokenRefusal::Grants(_) => Code::new("E0969"),
            TokenRefusal::Type { .. } => Code::new("E0970"),
            TokenRefusal::Revoked => Code::new("E0971"),
            TokenRefusal::Replayed | TokenRefusal::BeforeStart => Code::new("E0972"),
            TokenRefusal::NoRoom { .. } | TokenRefusal::NoKeys => Code::new("E0973"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self.reason {
            TokenRefusal::Expired { .. } | TokenRefusal::TooOld { .. } => Some(
                "ask the issuer for a new token; if that one is refused as well, compare clocks".to_owned(),
            ),
            TokenRefusal::NotYet { .. } => {
                Some("compare the clocks of the issuer and of this service".to_owned())
            }
            TokenRefusal::Replayed | TokenRefusal::BeforeStart => {
                Some("ask the issuer for a token for each request".to_owned())
            }
            TokenRefusal::UnknownIssuer | TokenRefusal::Audience { .. } | TokenRefusal::Type { .. } => Some(
                "the operator compares the token with `identity.issuers` of the configuration".to_owned(),
            ),
            TokenRefusal::NoKeys | TokenRefusal::NoRoom { .. } => Some("try again shortly".to_owned()),
            _ => None,
        }
    }
}
