//! Files and batches as callers are told of them, in OpenAI's words.

use crate::batch::{Batch, Mistake};
use hermetic_ids::{BatchId, FileId};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where times are whole seconds.
const SECOND_MILLIS: u64 = 1_000;

/// A file.
#[derive(Debug, Clone, Serialize)]
pub struct FileObject<'a> {
    pub id: FileId,
    object: &'static str,
    pub bytes: u64,
    created_at: u64,
    expires_at: u64,
    pub filename: &'a str,
    pub purpose: &'a str,
    status: &'static str,
}

impl<'a> FileObject<'a> {
    pub fn new(
        id: FileId,
        bytes: u64,
        (filename, purpose): (&'a str, &'a str),
        (created_unix_ms, expires_unix_ms): (u64, u64),
    ) -> Self {
        Self {
            id,
            object: "file",
            bytes,
            created_at: created_unix_ms / SECOND_MILLIS,
            expires_at: expires_unix_ms / SECOND_MILLIS,
            filename,
            purpose,
            status: "processed",
        }
    }
}

/// A file that is gone.
#[derive(Debug, Clone, Serialize)]
pub struct DeletedFile {
    id: FileId,
    object: &'static str,
    deleted: bool,
}

impl DeletedFile {
    pub fn new(id: FileId) -> Self {
        Self { id, object: "file", deleted: true }
    }
}

/// A part of a list.
#[derive(Debug, Clone, Serialize)]
pub struct Page<T> {
    object: &'static str,
    data: Vec<T>,
    /// Empty of an empty list, for the description wants a text.
    first_id: String,
    last_id: String,
    has_more: bool,
}

impl<T> Page<T> {
    pub fn new(data: Vec<T>, id: impl Fn(&T) -> String, has_more: bool) -> Self {
        let [first_id, last_id] = [data.first(), data.last()].map(|end| end.map(&id).unwrap_or_default());
        Self { object: "list", data, first_id, last_id, has_more }
    }
}

/// A batch. What has not come about yet is left out, as the description has no `null` for it.
#[derive(Debug, Clone, Serialize)]
pub struct BatchObject {
    pub id: BatchId,
    object: &'static str,
    endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Mistakes>,
    input_file_id: FileId,
    completion_window: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_file_id: Option<FileId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_file_id: Option<FileId>,
    created_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_progress_at: Option<u64>,
    expires_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finalizing_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expired_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelling_at: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<u64>,
    request_counts: Counts,
    usage: Usage,
    metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Serialize)]
struct Mistakes {
    object: &'static str,
    data: Vec<Mistake>,
}

#[derive(Debug, Clone, Serialize)]
struct Counts {
    total: u64,
    completed: u64,
    failed: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Usage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

/// SDKs insist on them.
#[derive(Debug, Clone, Default, Serialize)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Debug, Clone, Default, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl From<&Batch> for BatchObject {
    fn from(batch: &Batch) -> Self {
        let seconds = |at: Option<u64>| at.map(|at| at / SECOND_MILLIS);
        let (times, counts, usage) = (&batch.times, batch.counts, batch.usage);
        let mistakes = || Mistakes { object: "list", data: batch.mistakes.clone() };
        Self {
            id: batch.id,
            object: "batch",
            endpoint: batch.endpoint.clone(),
            errors: (!batch.mistakes.is_empty()).then(mistakes),
            input_file_id: batch.input,
            completion_window: batch.completion_window.clone(),
            status: batch.status.as_str(),
            output_file_id: batch.output,
            error_file_id: batch.errors,
            created_at: batch.created / SECOND_MILLIS,
            in_progress_at: seconds(times.in_progress),
            expires_at: batch.expires / SECOND_MILLIS,
            finalizing_at: seconds(times.finalizing),
            completed_at: seconds(times.completed),
            failed_at: seconds(times.failed),
            expired_at: seconds(times.expired),
            cancelling_at: seconds(times.cancelling),
            cancelled_at: seconds(times.cancelled),
            request_counts: Counts {
                total: counts.total,
                completed: counts.completed,
                failed: counts.failed,
            },
            usage: Usage {
                input_tokens: usage.input_tokens,
                input_tokens_details: InputDetails::default(),
                output_tokens: usage.output_tokens,
                output_tokens_details: OutputDetails::default(),
                total_tokens: usage.input_tokens.saturating_add(usage.output_tokens),
            },
            metadata: batch.metadata.clone(),
        }
    }
}
