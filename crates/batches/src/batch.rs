//! The states of a batch.
//!
//! ```text
//! validating ─→ in_progress ─→ finalizing ─→ completed
//!     │              │  └──────(window over)─→ expired
//!     ├─→ failed     └─→ cancelling ─────────→ cancelled
//!     └─→ cancelling
//! ```

use hermetic_ids::{BatchId, FileId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Mistakes of an input file that are told; there may be one in each of its lines.
const MISTAKES_MAX: usize = 100;

/// Where a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Validating,
        Self::Failed,
        Self::InProgress,
        Self::Finalizing,
        Self::Completed,
        Self::Expired,
        Self::Cancelling,
        Self::Cancelled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validating => "validating",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Finalizing => "finalizing",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }

    pub fn has_ended(self) -> bool {
        matches!(self, Self::Failed | Self::Completed | Self::Expired | Self::Cancelled)
    }
}

/// A change that does not go with where the batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a batch that can still {change}, found one that is {}", .found.as_str())]
pub struct WrongStatus {
    pub change: &'static str,
    pub found: Status,
}

/// Lines that have a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub total: u64,
    /// Answered.
    pub completed: u64,
    pub failed: u64,
}

/// Tokens of all answers, as the engines counted them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
}

/// A mistake in the input file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    pub code: String,
    pub message: String,
    pub param: Option<String>,
    /// Line of the file, from 1.
    pub line: Option<u64>,
}

/// When a batch came to where it stands or stood, milliseconds since 1970.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Times {
    pub(crate) in_progress: Option<u64>,
    pub(crate) finalizing: Option<u64>,
    pub(crate) completed: Option<u64>,
    pub(crate) failed: Option<u64>,
    pub(crate) expired: Option<u64>,
    pub(crate) cancelling: Option<u64>,
    pub(crate) cancelled: Option<u64>,
}

/// A batch as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub id: BatchId,
    pub input: FileId,
    /// Path of the surface that every line asks.
    pub endpoint: String,
    /// As whoever asked wrote it.
    pub completion_window: String,
    pub window_millis: u64,
    pub metadata: Option<BTreeMap<String, String>>,
    /// Seconds after which its results are gone.
    pub output_expires_after: Option<u64>,
}

/// One batch. Serialised, it is what is kept of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    pub(crate) id: BatchId,
    pub(crate) input: FileId,
    pub(crate) endpoint: String,
    pub(crate) completion_window: String,
    pub(crate) metadata: Option<BTreeMap<String, String>>,
    pub(crate) output_expires_after: Option<u64>,
    pub(crate) created: u64,
    pub(crate) expires: u64,
    pub(crate) status: Status,
    pub(crate) times: Times,
    pub(crate) counts: Counts,
    pub(crate) usage: Usage,
    pub(crate) mistakes: Vec<Mistake>,
    pub(crate) output: Option<FileId>,
    pub(crate) errors: Option<FileId>,
}

impl Batch {
    /// A batch whose input has not been looked at.
    pub fn new(draft: Draft, now: u64) -> Self {
        Self {
            id: draft.id,
            input: draft.input,
            endpoint: draft.endpoint,
            completion_window: draft.completion_window,
            metadata: draft.metadata,
            output_expires_after: draft.output_expires_after,
            created: now,
            expires: now.saturating_add(draft.window_millis),
            status: Status::Validating,
            times: Times::default(),
            counts: Counts::default(),
            usage: Usage::default(),
            mistakes: Vec::new(),
            output: None,
            errors: None,
        }
    }

    pub fn id(&self) -> BatchId {
        self.id
    }

    pub fn input(&self) -> FileId {
        self.input
    }

    /// Path of the surface that every line asks.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn status(&self) -> Status {
        self.status
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    pub fn usage(&self) -> Usage {
        self.usage
    }

    pub fn created_unix_ms(&self) -> u64 {
        self.created
    }

    /// When lines without a result are given up.
    pub fn expires_unix_ms(&self) -> u64 {
        self.expires
    }

    /// Seconds after which its results are gone, where whoever asked said so.
    pub fn output_expires_after(&self) -> Option<u64> {
        self.output_expires_after
    }

    /// Whether the time for it is over.
    pub fn is_over(&self, now: u64) -> bool {
        now >= self.expires
    }

    /// The input is in order and has so many lines.
    pub fn begin(&mut self, total: u64, now: u64) -> Result<(), WrongStatus> {
        self.only_from(&[Status::Validating], "begin")?;
        self.status = Status::InProgress;
        self.times.in_progress = Some(now);
        self.counts.total = total;
        Ok(())
    }

    /// The input is not in order.
    pub fn fail(&mut self, mut mistakes: Vec<Mistake>, now: u64) -> Result<(), WrongStatus> {
        self.only_from(&[Status::Validating], "fail")?;
        mistakes.truncate(MISTAKES_MAX);
        self.status = Status::Failed;
        self.times.failed = Some(now);
        self.mistakes = mistakes;
        Ok(())
    }

    /// No more lines are begun. Asked again, it stays as it is. `false`: nothing changed.
    pub fn cancel(&mut self, now: u64) -> Result<bool, WrongStatus> {
        if self.status == Status::Cancelling {
            return Ok(false);
        }
        self.only_from(&[Status::Validating, Status::InProgress], "be cancelled")?;
        self.status = Status::Cancelling;
        self.times.cancelling = Some(now);
        Ok(true)
    }

    /// How far it is. Never more than there is.
    pub fn progress(&mut self, completed: u64, failed: u64, usage: Usage) {
        if !self.status.has_ended() {
            self.counts.completed = completed.min(self.counts.total);
            self.counts.failed = failed.min(self.counts.total - self.counts.completed);
            self.usage = usage;
        }
    }

    /// Every line has a result.
    pub fn finalize(&mut self, now: u64) -> Result<(), WrongStatus> {
        self.only_from(&[Status::InProgress], "be finalized")?;
        self.status = Status::Finalizing;
        self.times.finalizing = Some(now);
        Ok(())
    }

    /// Its results are written: completed, or what it came to before every line had one.
    pub fn end(
        &mut self,
        (output, errors): (Option<FileId>, Option<FileId>),
        now: u64,
    ) -> Result<(), WrongStatus> {
        let (status, time) = match self.status {
            Status::Finalizing => (Status::Completed, &mut self.times.completed),
            Status::Cancelling => (Status::Cancelled, &mut self.times.cancelled),
            Status::InProgress | Status::Validating if now >= self.expires => {
                (Status::Expired, &mut self.times.expired)
            }
            found => return Err(WrongStatus { change: "end", found }),
        };
        *time = Some(now);
        (self.status, self.output, self.errors) = (status, output, errors);
        Ok(())
    }

    fn only_from(&self, allowed: &[Status], change: &'static str) -> Result<(), WrongStatus> {
        let found = self.status;
        if allowed.contains(&found) { Ok(()) } else { Err(WrongStatus { change, found }) }
    }
}

#[cfg(test)]
mod tests;
