//! Why a bundle is not trusted: one variant per cause an operator can act on.

use crate::root::RootError;
use hermetic_bounded_io::FileError;
use hermetic_clock::{UnixMillis, rfc3339};
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use std::fmt;

/// A top-level TUF role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Root,
    Targets,
    Snapshot,
    Timestamp,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Targets => "targets",
            Self::Snapshot => "snapshot",
            Self::Timestamp => "timestamp",
        })
    }
}

impl serde::Serialize for Role {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Why a bundle's metadata is not trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error("no vendor root is pinned in this enclave")]
    NotPinned,
    #[error("the bundle has no `{file}`")]
    Missing { file: String },
    #[error("cannot read `{file}` of the bundle")]
    Unreadable { file: String, source: FileError },
    #[error("expected `{file}` to be {expected}, found {found}")]
    Kind { file: String, expected: &'static str, found: &'static str },
    #[error(
        "expected `{file}` to be signed by {threshold} of the {role} keys, found {valid} valid signatures"
    )]
    TooFewSignatures { file: String, role: Role, threshold: u64, valid: u64 },
    #[error("expected `{file}` to be signed by {threshold} of the {role} keys, found only signatures by foreign keys: {}", found.join(", "))]
    WrongKeys { file: String, role: Role, threshold: u64, found: Vec<String> },
    #[error("expected `{file}` to be the file that `{named_by}` names ({expected}), found {found}")]
    Swapped { file: String, named_by: String, expected: String, found: String },
    #[error("expected {role} metadata of version {trusted} or later, found version {found} in `{file}`")]
    Rollback { file: String, role: Role, trusted: u64, found: u64 },
    #[error("`{file}` is not well-formed {role} metadata: {detail}")]
    Malformed { file: String, role: Role, detail: String },
    #[error("{role} metadata expired on {expired}, and this enclave has proof that it is {floor} or later",
        expired = rfc3339(*expired_unix_ms), floor = rfc3339(*floor_unix_ms))]
    Expired { role: Role, expired_unix_ms: UnixMillis, floor_unix_ms: UnixMillis },
    #[error(
        "the bundle carries root version {found}, correctly signed by its predecessors; version {pinned} is pinned here"
    )]
    RotationNotPinned { pinned: u64, found: u64, file: String },
    #[error("expected the targets metadata to name one release statement, found {found}")]
    StatementTargets { found: String },
    #[error(
        "expected `{file}` to be {expected_bytes} bytes with {expected}, found {found_bytes} bytes with {found}"
    )]
    StatementMismatch { file: String, expected_bytes: u64, expected: Digest, found_bytes: u64, found: Digest },
    #[error("the release statement is not well-formed: {detail}")]
    StatementMalformed { detail: String },
    #[error("the pinned root of this enclave cannot be used")]
    PinnedRoot { source: RootError },
    #[error("cannot use the trust folder of this enclave")]
    Store { source: FileError },
    #[error("the metadata could not be verified: {detail}")]
    Verifier { detail: String },
}

impl Diagnose for TrustError {
    fn code(&self) -> Code {
        match self {
            Self::NotPinned => Code::new("E0400"),
            Self::Missing { .. } | Self::Unreadable { .. } => Code::new("E0401"),
            Self::TooFewSignatures { .. } => Code::new("E0402"),
            Self::WrongKeys { .. } => Code::new("E0403"),
            Self::Swapped { .. } => Code::new("E0404"),
            Self::Rollback { .. } => Code::new("E0405"),
            Self::Malformed { .. } | Self::Verifier { .. } => Code::new("E0406"),
            Self::Expired { .. } => Code::new("E0407"),
            Self::StatementTargets { .. } | Self::StatementMismatch { .. } => Code::new("E0408"),
            Self::RotationNotPinned { .. } => Code::new("E0409"),
            Self::StatementMalformed { .. } => Code::new("E0430"),
            Self::Kind { .. } => Code::new("E0431"),
            Self::PinnedRoot { .. } | Self::Store { .. } => Code::new("E0444"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotPinned => {
                Some("compare the key ids with the vendor's over another channel, then `hermetic trust pin ROOT.json`".to_owned())
            }
            Self::RotationNotPinned { file, .. } => {
                Some(format!("review the new keys, then run `hermetic trust pin` on `{file}` of the bundle"))
            }
            Self::TooFewSignatures { .. } | Self::WrongKeys { .. } | Self::Swapped { .. } => {
                Some("do not import this disk; ask whoever made it for a complete, untouched one".to_owned())
            }
            Self::Rollback { .. } => Some("import the newest bundle the vendor has published".to_owned()),
            Self::Expired { .. } => Some("ask the vendor for a bundle with fresh metadata".to_owned()),
            _ => None,
        }
    }
}
