//! What becomes of a request: admitted and settled, or refused.

use super::{
    BatchLine, Commitment, Credential, Facts, LimitCharge, LimitHold, LimitRefusal, Owner, PolicyCommit,
    StoredResponse,
};
use hermetic_digest::Digest;
use hermetic_ids::{ModelName, RequestId, ResponseId, TraceId};
use serde::{Deserialize, Serialize};

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
    /// The line of a batch that asked. Absent when nobody's batch did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchLine>,
    /// The stored response that the request goes on from: what it and those before it say was part of the prompt, beside
    /// what `prompt` commits to. Absent when it begins anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<ResponseId>,
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
    /// The response was durably stored, sealed, before this record. Absent when it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<StoredResponse>,
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
    /// The rule that found something: `pii.email`.
    pub guardrail: String,
    /// What it did: `report`, `mask`, `hash`, `block`.
    pub action: String,
    /// `input` or `output`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub direction: String,
    /// What the text is: `user`, `tool`, `arguments`, …
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub span: String,
    /// Where it stands in that text as it is seen, in bytes, and how long it is. Never what it is.
    #[serde(default)]
    pub at: u64,
    #[serde(default)]
    pub length: u64,
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
    /// The line of a batch that asked. Absent when nobody's batch did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchLine>,
    /// What guardrails found in it, where one of them turned it away.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub verdicts: Vec<Verdict>,
    /// The stored response that the request would have gone on from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<ResponseId>,
}
