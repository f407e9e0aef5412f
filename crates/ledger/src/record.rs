//! What a leaf says. One record is one JSON object of at most [`RECORD_BYTES_MAX`] bytes.
//!
//! Records are append-only in meaning as well: a field is added, never removed or given another meaning, and a reader
//! keeps what it does not know. No prompt, answer, key or retrieved text is ever a field: content stands as a
//! [`Commitment`].

use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use hermetic_ids::{BatchId, FileId, KeyId, ModelName, RequestId, ResponseId};
use serde::{Deserialize, Serialize};

mod batch;
mod caller;
mod decision;
mod limit;
mod release;
mod request;
mod response;

pub use batch::{BatchCreated, BatchEnded, BatchLine, FileCreated};
pub use caller::{Credential, Extent, IdentityRefused, Owner};
pub use decision::{Facts, ModelFacts, PolicyChanged, PolicyCommit};
pub use limit::{LimitCharge, LimitHold, LimitRefusal, LimitThreshold};
pub use release::{BundleImported, ImportedArtifact, ReleaseMoved};
pub use request::{
    ATTEMPTS_MAX, Attempt, AttemptOutcome, CountedBy, Outcome, PromptTokens, RequestAdmitted, RequestRefused,
    RequestSettled, Usage, Verdict,
};
pub use response::StoredResponse;

/// Largest leaf in bytes: entry bundles prefix each entry with a 16-bit length (C2SP tlog-tiles, "Log entries").
pub const RECORD_BYTES_MAX: usize = 65_535;

/// Room that most records fit in: of a request, five to seven hundred bytes.
const RECORD_BYTES_USUAL: usize = 1024;

/// One leaf of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Schema version; 1.
    pub v: u8,
    /// When it happened by this machine's wall clock, milliseconds since 1970, UTC.
    pub at_unix_ms: u64,
    pub event: Event,
}

/// Why something is not a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("expected a record of at most {RECORD_BYTES_MAX} bytes, found {found}")]
    TooLarge { found: usize },
    #[error("expected a record of a kind and version this release knows, found another")]
    Unknown(#[source] serde_json::Error),
}

impl Diagnose for RecordError {
    fn code(&self) -> Code {
        match self {
            Self::TooLarge { .. } => Code::new("E0606"),
            Self::Unknown(_) => Code::new("E0612"),
        }
    }
}

impl Record {
    pub fn new(at_unix_ms: u64, event: Event) -> Self {
        Self { v: 1, at_unix_ms, event }
    }

    /// The leaf's bytes.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
        serde_json::to_writer(&mut bytes, self).map_err(RecordError::Unknown)?;
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge { found: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads a leaf. One written by a later release may be of an unknown kind; [`crate::RecordView`] shows it anyway.
    pub fn decode(leaf: &[u8]) -> Result<Self, RecordError> {
        if leaf.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge { found: leaf.len() });
        }
        serde_json::from_slice(leaf).map_err(RecordError::Unknown)
    }

    /// The request this record is about, if it is about one.
    pub fn request(&self) -> Option<RequestId> {
        match &self.event {
            Event::RequestAdmitted(event) => Some(event.request),
            Event::RequestSettled(event) => Some(event.request),
            Event::RequestRefused(event) => Some(event.request),
            Event::IdentityRefused(event) => event.request,
            Event::FileCreated(event) => Some(event.request),
            Event::BatchCreated(event) => Some(event.request),
            _ => None,
        }
    }
}

/// HMAC-SHA256 of some content under a per-record salt: proves later that *this* was the content, tells nothing now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Commitment(pub Digest);

impl Commitment {
    /// Commits to `content`. Whoever holds `salt` and content can show later that they belong together.
    pub fn of(salt: &[u8; 32], content: &[u8]) -> Self {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, salt);
        let tag = aws_lc_rs::hmac::sign(&key, content);
        let mut bytes = [0u8; 32];
        bytes.iter_mut().zip(tag.as_ref()).for_each(|(slot, byte)| *slot = *byte);
        Self(Digest::from_bytes(bytes))
    }
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Event {
    #[serde(rename = "request.admitted")]
    RequestAdmitted(RequestAdmitted),
    #[serde(rename = "request.settled")]
    RequestSettled(RequestSettled),
    /// An authenticated request that policy or a limit turned away.
    #[serde(rename = "request.refused")]
    RequestRefused(RequestRefused),
    #[serde(rename = "bundle.imported")]
    BundleImported(BundleImported),
    #[serde(rename = "release.moved")]
    ReleaseMoved(ReleaseMoved),
    #[serde(rename = "api-key.created")]
    ApiKeyCreated {
        key: KeyId,
        owner: Owner,
        expires_unix_ms: Option<u64>,
        by: String,
        #[serde(default, skip_serializing_if = "Extent::is_empty")]
        extent: Extent,
    },
    /// A key was given a successor and works beside it until the overlap ends.
    #[serde(rename = "api-key.rotated")]
    ApiKeyRotated {
        key: KeyId,
        successor: KeyId,
        /// When the old key stops working.
        overlap_until_unix_ms: u64,
        /// When the new one does.
        expires_unix_ms: Option<u64>,
        by: String,
    },
    #[serde(rename = "api-key.revoked")]
    ApiKeyRevoked { key: KeyId, by: String },
    /// Tokens that verify are refused all the same: the one with this id, or all of this subject.
    #[serde(rename = "token.revoked")]
    TokenRevoked { issuer: String, id: Option<String>, subject: Option<String>, by: String },
    #[serde(rename = "identity.refused")]
    IdentityRefused(IdentityRefused),
    #[serde(rename = "trust-root.pinned")]
    TrustRootPinned { root_version: u64, root_digest: Digest, key_ids: Vec<String>, by: String },
    #[serde(rename = "service.started")]
    ServiceStarted {
        version: String,
        tier: String,
        config_digest: Digest,
        policy_digest: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        policy_commit: Option<PolicyCommit>,
    },
    #[serde(rename = "service.stopped")]
    ServiceStopped { reason: String },
    /// Another configuration, or other policies, came into force while the service ran.
    #[serde(rename = "config.changed")]
    ConfigChanged(ConfigChanged),
    /// A configuration was refused as a whole; the former stays in force.
    #[serde(rename = "config.rejected")]
    ConfigRejected { in_force: Digest, rejected: Digest, code: String },
    #[serde(rename = "policy.changed")]
    PolicyChanged(PolicyChanged),
    #[serde(rename = "worker.started")]
    WorkerStarted { model: ModelName, model_digest: Digest, engine: String },
    #[serde(rename = "worker.failed")]
    WorkerFailed { model: ModelName, model_digest: Digest, detail: String, restarts: u32 },
    /// The disk had no room for the next records; everything was refused until it had.
    #[serde(rename = "ledger.full")]
    LedgerFull { size: u64 },
    #[serde(rename = "ledger.resumed")]
    LedgerResumed { size: u64 },
    #[serde(rename = "store.scrubbed")]
    StoreScrubbed { blobs: u64, bytes: u64, damaged: Vec<Digest>, by: String },
    /// Somebody opened the kept prompt and answer of a request. Written before they were shown.
    #[serde(rename = "content.read")]
    ContentRead { request: RequestId, by: String },
    /// A soft threshold of a limit was crossed, for the first time in its window.
    #[serde(rename = "limit.threshold")]
    LimitThreshold(LimitThreshold),
    /// Somebody uploaded a file. Written before it can be seen.
    #[serde(rename = "file.created")]
    FileCreated(FileCreated),
    /// A file was deleted by its project, or because its time was over. Written before it is.
    #[serde(rename = "file.deleted")]
    FileDeleted {
        file: FileId,
        /// Who asked for it; absent when its time was over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Credential>,
    },
    /// A stored response was deleted by whom it belongs to, or because its time was over. Written before it is.
    #[serde(rename = "response.deleted")]
    ResponseDeleted {
        response: ResponseId,
        /// Who asked for it; absent when its time was over.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<Credential>,
    },
    #[serde(rename = "batch.created")]
    BatchCreated(BatchCreated),
    /// No more lines of a batch are begun.
    #[serde(rename = "batch.cancelled")]
    BatchCancelled { batch: BatchId, by: String },
    #[serde(rename = "batch.ended")]
    BatchEnded(BatchEnded),
}

/// Written before what it says is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChanged {
    /// Digests of the file.
    pub from: Digest,
    pub to: Digest,
    /// Keys whose new values come into force.
    pub keys: Vec<String>,
    /// Keys whose new values wait for a restart.
    pub restart_keys: Vec<String>,
    pub policy_digest: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_commit: Option<PolicyCommit>,
}
