//! `batches`: how much of files and batches there may be.

use crate::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Files (`/v1/files`) and batches of requests (`/v1/batches`). Who may use them is for policies to say: the action is
/// called `batch`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Batches {
    /// Lines of one batch. 50,000: as many as OpenAI allows.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(crate) lines_max: u32,
    /// Largest file. It is never held in memory.
    pub(crate) file_bytes_max: ByteSize,
    /// All files of one project together, results included.
    pub(crate) project_bytes_max: ByteSize,
    /// Lines that are asked at the same time, over all batches. They wait for an engine in the lower class of the queue,
    /// and one that waits takes a place there.
    #[schemars(range(min = 1, max = 4_096))]
    pub(crate) in_flight: u32,
    /// Lines of one batch that are asked at the same time.
    #[schemars(range(min = 1, max = 4_096))]
    pub(crate) in_flight_per_batch: u32,
    /// How long files are kept that do not say it themselves (`expires_after`), and what is known of batches that ended.
    pub(crate) retention: HumanDuration,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            lines_max: 50_000,
            file_bytes_max: ByteSize::from_bytes(200 << 20),
            project_bytes_max: ByteSize::from_bytes(10 << 30),
            in_flight: 8,
            in_flight_per_batch: 4,
            retention: HumanDuration::from_millis(30 * 24 * 3_600_000),
        }
    }
}
