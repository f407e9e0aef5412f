//! `responses`, typed.

use crate::wire;
use std::time::Duration;

/// Whether responses are kept, and how much of them.
#[derive(Debug, Clone, Copy)]
pub struct ResponseSettings {
    pub store: bool,
    pub retention: Duration,
    pub response_bytes_max: u64,
    pub conversation_bytes_max: u64,
    pub turns_max: u32,
    pub project_bytes_max: u64,
}

pub(crate) fn responses(wire: &wire::responses::Responses) -> ResponseSettings {
    ResponseSettings {
        store: wire.store,
        retention: wire.retention.get(),
        response_bytes_max: wire.response_bytes_max.get(),
        conversation_bytes_max: wire.conversation_bytes_max.get(),
        turns_max: wire.turns_max,
        project_bytes_max: wire.project_bytes_max.get(),
    }
}
