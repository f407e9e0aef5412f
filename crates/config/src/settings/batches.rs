//! `batches`, typed.

use crate::wire;
use std::time::Duration;

/// How much of files and batches there may be.
#[derive(Debug, Clone, Copy)]
pub struct BatchSettings {
    pub lines_max: u32,
    pub file_bytes_max: u64,
    pub project_bytes_max: u64,
    pub in_flight: u32,
    pub in_flight_per_batch: u32,
    pub retention: Duration,
}

pub(crate) fn batches(wire: &wire::batches::Batches) -> BatchSettings {
    BatchSettings {
        lines_max: wire.lines_max,
        file_bytes_max: wire.file_bytes_max.get(),
        project_bytes_max: wire.project_bytes_max.get(),
        in_flight: wire.in_flight,
        in_flight_per_batch: wire.in_flight_per_batch,
        retention: wire.retention.get(),
    }
}
