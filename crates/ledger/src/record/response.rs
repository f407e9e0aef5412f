//! Responses that are kept for those who asked for them.

use hermetic_ids::ResponseId;
use serde::{Deserialize, Serialize};

/// That a request's response is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    pub response: ResponseId,
    pub expires_unix_ms: u64,
}
