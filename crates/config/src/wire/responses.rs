//! `responses`: whether responses are kept, and how much of them.

use crate::units::{ByteSize, HumanDuration};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Responses that are kept, so that requests to `/v1/responses` can go on from them (`previous_response_id`) and they can be
/// looked at and deleted. Who may have responses kept is for policies to say: the action is called `store`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Responses {
    /// Whether responses are kept at all. Off, every answer says `store: false` and nothing can be gone on from; what was kept
    /// before is shown to nobody, and goes when its time is over.
    pub(crate) store: bool,
    /// How long a response is kept. What goes on from it does not make it stay: a conversation can be gone on with for so long
    /// after its first response.
    pub(crate) retention: HumanDuration,
    /// Largest request and response together that are kept. One that turns out larger is answered and not kept, and says so.
    pub(crate) response_bytes_max: ByteSize,
    /// Largest conversation that is gone on from, all its kept requests and responses together. So much is held in memory while a
    /// request that goes on from it is read.
    pub(crate) conversation_bytes_max: ByteSize,
    /// Most responses that a conversation is gone on from. Each is a file that is opened for it.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) turns_max: u32,
    /// All kept responses of one project together, so that nobody fills the disk for the others. What a project has beyond it is
    /// answered and not kept.
    pub(crate) project_bytes_max: ByteSize,
}

impl Default for Responses {
    fn default() -> Self {
        Self {
            store: false,
            retention: HumanDuration::from_millis(30 * 24 * 3_600_000),
            response_bytes_max: ByteSize::from_bytes(8 << 20),
            conversation_bytes_max: ByteSize::from_bytes(16 << 20),
            turns_max: 256,
            project_bytes_max: ByteSize::from_bytes(10 << 30),
        }
    }
}
