//! What a leaf says. One record is one JSON object of at most [`RECORD_BYTES_MAX`] bytes.
//!
//! Records are append-only in meaning as well: a field is added, never removed or given another meaning, and a reader
//! keeps what it does not know. No prompt, answer, key or retrieved text is ever a field: content stands as a
//! [`Commitment`].

use hermetic_diagnostics::{Code, Diagnose};
use hermetic_digest::Digest;
use hermetic_ids::{
    ClearanceName, GroupName, KeyId, Label, ModelName, ProjectName, ReleaseVersion, RequestId, SubjectName,
    TeamName, TraceId, WorkflowName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod decision;

pub use decision::{Facts, ModelFacts, PolicyChanged, PolicyCommit};

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
}

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

/// On whose behalf a request is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub subject: SubjectName,
    pub project: ProjectName,
    pub team: TeamName,
    pub workflow: WorkflowName,
}

/// Written before the answer's first byte may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestAdmitted {
    pub request: RequestId,
    pub trace: TraceId,
    pub credential: Credential,
    pub owner: Owner,
    /// API surface: `chat.completions`, `completions`, `embeddings`.
    pub surface: String,
    pub model: ModelName,
    /// Digest of the served weights' manifest; absent for engines outside the registry.
    pub model_digest: Option<Digest>,
    pub policy_digest: Digest,
    /// Ids of the policies that decided.
    pub policies: Vec<String>,
    pub stream: bool,
    pub prompt: Commitment,
    pub prompt_bytes: u64,
    /// What limits hold for the request until it is settled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<LimitHold>,
    /// The model that was asked for, where a limit was exhausted and `model` answers instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub downgraded_from: Option<ModelName>,
    /// Tokens of the prompt, counted before the engine was asked. Absent in records of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_tokens: Option<PromptTokens>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_commit: Option<PolicyCommit>,
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
}

/// How many tokens a prompt is, and who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptTokens {
    pub count: u64,
    pub by: CountedBy,
}

/// Who counted the tokens of a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CountedBy {
    /// The model's own tokenizer, in the gateway: what the engine will count.
    Tokenizer,
    /// The engine, asked beforehand.
    Engine,
    /// Nobody: the bytes, which the tokens do not exceed.
    Bytes,
}

/// What is held on one counter: the most the request may use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitHold {
    pub rule: String,
    /// `tokens`, `requests`, …: in the smallest part of the unit (money in millionths, time in milliseconds).
    pub unit: String,
    /// `hour`, `hour/sliding`; `now` for what is counted while it lasts.
    pub window: String,
    /// The counter among those of the rule: `project=demo,model=chat`; empty for the whole site.
    pub scope: String,
    /// The slot of the window, counted from 1970.
    pub slot: u64,
    pub amount: u64,
}

/// What one counter was charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitCharge {
    pub rule: String,
    pub amount: u64,
}

/// The limit that turned a request away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitRefusal {
    pub rule: String,
    pub unit: String,
    pub window: String,
    pub scope: String,
    pub limit: u64,
    /// Charged and held when the request came.
    pub taken: u64,
    pub asked: u64,
}

/// A soft threshold that was crossed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitThreshold {
    /// The request that crossed it, and what that request holds.
    pub request: RequestId,
    pub hold: LimitHold,
    /// Thousandths of the limit.
    pub threshold: u16,
    /// How many of the rule's thresholds are crossed by now.
    pub crossed: u8,
    pub taken: u64,
    pub limit: u64,
}

/// Written, and durable, before the answer's last byte may leave.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestSettled {
    pub request: RequestId,
    /// Leaf index of the matching `request.admitted`.
    pub admitted: u64,
    pub outcome: Outcome,
    /// HTTP status the client was given.
    pub status: u16,
    pub usage: Usage,
    pub verdicts: Vec<Verdict>,
    pub answer: Commitment,
    pub answer_bytes: u64,
    pub finish_reason: Option<String>,
    pub first_byte_ms: Option<u64>,
    pub total_ms: u64,
    /// Prompt and answer were durably kept, sealed, before this record. Absent when not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub content_kept: bool,
    /// What limits were charged, in the order of the admitting record's `limits`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<LimitCharge>,
    /// The answer was cut where its reservation ended.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// Every try at a target, in the order in which they began; at most [`ATTEMPTS_MAX`]. The answer, if there was one,
    /// came from the last that is `answered`; before it, a resumed stream has parts of those that broke off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
}

/// Most attempts a record holds: as many as a plan may have targets.
pub const ATTEMPTS_MAX: usize = 32;

/// One try at one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The target, as the configuration calls it.
    pub target: String,
    /// Digest of the weights' manifest that target serves; absent for engines outside the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_digest: Option<Digest>,
    pub outcome: AttemptOutcome,
    /// HTTP status of the engine, when it came to that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// From the beginning of the attempt to the first event of a stream, or to the whole of a plain answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<u64>,
    /// It was begun beside another that was slow to begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hedged: bool,
    /// It went on with an answer another target had begun.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumed: bool,
    /// What this attempt used. Absent when the engine did not say, and when it is the only attempt: then it is the
    /// request's own usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptOutcome {
    /// The engine answered, and its answer was handed on.
    Answered,
    /// The engine found the request wrong.
    Rejected,
    /// The engine was too busy (429, or 503 with `Retry-After`).
    Busy,
    /// The engine said that it failed: a 5xx status, or an error inside its stream.
    Failed,
    /// No connection.
    Unreachable,
    /// Nothing came within the time for it.
    Silent,
    /// The connection ended before the answer did.
    BrokenOff,
    /// What came was not an answer.
    Malformed,
    /// The other of two attempts began to answer first.
    Overtaken,
    /// It was given up for a reason that was not its own: the client left, the service stopped.
    Abandoned,
}

/// How a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Completed,
    ClientLeft,
    EngineFailed,
    Rejected,
    /// The engine answered, but there was no memory to hold the answer in, or content was to be kept and could not be:
    /// what had not left yet was not given. Or a plain answer was longer than it was allowed to be.
    Withheld,
    /// The process died in the middle; the next one settled the request, at all it held.
    Interrupted,
}

/// Tokens, as the engine counted them. `None` when it did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
}

/// What a guardrail said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub guardrail: String,
    pub action: String,
}

/// Why an authenticated request was turned away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestRefused {
    pub request: RequestId,
    pub trace: TraceId,
    pub credential: Credential,
    pub owner: Owner,
    pub surface: String,
    pub model: String,
    /// Error code the client was given.
    pub code: String,
    pub status: u16,
    pub policy_digest: Digest,
    pub policies: Vec<String>,
    /// The limit that left no room, when it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<LimitRefusal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_commit: Option<PolicyCommit>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_digest: Option<Digest>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stream: bool,
    #[serde(default, skip_serializing_if = "Facts::is_empty")]
    pub facts: Facts,
}

/// A bundle whose bytes are all in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleImported {
    pub release: ReleaseVersion,
    pub release_digest: Digest,
    pub counter: u64,
    pub root_version: u64,
    /// Key ids whose signatures made the threshold over the release statement.
    pub signers: Vec<String>,
    /// The engineer who answers for the import.
    pub importer: String,
    pub artifacts: Vec<ImportedArtifact>,
    pub blobs: u64,
    pub bytes: u64,
    pub floor_unix_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedArtifact {
    pub name: ModelName,
    pub digest: Digest,
    pub source: String,
    pub published_hash: Option<String>,
    pub licence: String,
}

/// A release took, or lost, a label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseMoved {
    pub release: ReleaseVersion,
    pub release_digest: Digest,
    pub from: Option<Label>,
    pub to: Label,
    /// `stage`, `canary`, `promote` or `rollback`.
    pub action: String,
    /// The release that held the label before.
    pub displaced: Option<ReleaseVersion>,
    pub by: String,
}
