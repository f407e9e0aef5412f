//! Files, and batches of requests that are handed in as one.

use super::{Commitment, Credential, Owner};
use hermetic_digest::Digest;
use hermetic_ids::{BatchId, FileId, RequestId};
use serde::{Deserialize, Serialize};

/// A file that somebody uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCreated {
    pub request: RequestId,
    pub file: FileId,
    pub credential: Credential,
    pub owner: Owner,
    pub purpose: String,
    pub bytes: u64,
    /// Salted with the prompt salt of `request`.
    pub content: Commitment,
    pub expires_unix_ms: u64,
}

/// A batch that was accepted. Each of its lines becomes a request with records of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchCreated {
    pub request: RequestId,
    pub batch: BatchId,
    pub input: FileId,
    pub credential: Credential,
    pub owner: Owner,
    /// Surface that its lines ask.
    pub surface: String,
    /// When what is not answered is given up.
    pub expires_unix_ms: u64,
    pub policy_digest: Digest,
}

/// How a batch ended. Written before its results can be seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchEnded {
    pub batch: BatchId,
    /// `completed`, `failed`, `expired` or `cancelled`.
    pub status: String,
    pub total: u64,
    pub completed: u64,
    pub failed: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<FileId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<FileId>,
}

/// The line of a batch that a request stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLine {
    pub batch: BatchId,
    /// Line of the input file; the first is 1.
    pub line: u64,
}
