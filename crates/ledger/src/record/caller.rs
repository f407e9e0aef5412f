//! Who asks: what was shown, on whose behalf, and who was not let in.

use hermetic_digest::Digest;
use hermetic_ids::{
    ClearanceName, GroupName, KeyId, ProjectName, RequestId, SubjectName, TeamName, WorkflowName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a caller showed to be let in. Never the secret of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Credential {
    ApiKey {
        key: KeyId,
    },
    /// A JSON Web Token whose signature verified.
    Token {
        /// The `iss` claim.
        issuer: String,
        /// The `sub` claim, as the issuer wrote it.
        subject: String,
        /// The `jti` claim, where there is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<String>,
    },
    /// An X.509 client certificate whose chain verified.
    Certificate {
        /// SHA-256 of the certificate's DER.
        fingerprint: Digest,
        /// The distinguished name (RFC 4514).
        subject: String,
        /// The serial number, hexadecimal.
        serial: String,
    },
}

impl Credential {
    /// What limits count by: the key, the holder of tokens (of whom each is another), the certificate.
    pub fn name(&self) -> String {
        match self {
            Self::ApiKey { key } => key.to_string(),
            Self::Token { issuer, subject, .. } => format!("{issuer} {subject}"),
            Self::Certificate { fingerprint, .. } => fingerprint.to_string(),
        }
    }
}

/// What a key may be used for, and what else is known of its owner. Empty: everything, nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extent {
    /// API surfaces the key is limited to; none: no limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub surfaces: Vec<String>,
    /// Models the key is limited to, a trailing `*` standing for any rest; none: no limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clearance: Option<ClearanceName>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Extent {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Somebody from one address was not let in, for one reason. The first time stands by itself; what follows within an
/// interval is counted in one more record, so that whoever knocks cannot fill the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityRefused {
    /// The request, when this is about one: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// The address, or for IPv6 the /64, the attempts came from.
    pub source: String,
    /// Error code the caller was given.
    pub code: String,
    /// What was shown, where it was proved to be genuine: a key that expired, a token that was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<Credential>,
    /// The key somebody claimed to hold, where that was not proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_key: Option<KeyId>,
    pub attempts: u64,
    pub first_unix_ms: u64,
    pub last_unix_ms: u64,
}

/// On whose behalf a request is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub subject: SubjectName,
    pub project: ProjectName,
    pub team: TeamName,
    pub workflow: WorkflowName,
}
