//! Where counters are kept that several gateways share, as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsStore {
    /// A Redis or Valkey server, one, not a cluster: `redis://HOST:PORT` or `redis://HOST:PORT/DATABASE`. It must not evict
    /// keys. In sealed tiers its host lies inside `network.enclave`.
    #[schemars(extend("format" = "redis-endpoint", "examples" = ["redis://redis.corp.example:6379"]))]
    pub(crate) redis: String,
    /// The user the gateways sign in as, where the server knows users. Needs `password_file`.
    /// Without it, the server's default user.
    #[serde(default)]
    #[schemars(extend("examples" = ["hermetic"]))]
    pub(crate) user: Option<String>,
    /// The file that holds the password, and nothing else but a line end. A relative path is relative to the folder of
    /// this file. Without it, nobody signs in.
    #[serde(default)]
    #[schemars(extend("format" = "path", "examples" = ["secrets/redis"]))]
    pub(crate) password_file: Option<String>,
    /// Put before every key, so that several sites can share a server. The same at all gateways of one site.
    #[serde(default = "default_namespace")]
    pub(crate) namespace: String,
    /// How many gateways share the counters. When the server has lost its data, or may have, it grants nothing in a
    /// window that was open then until so many have told it what they hold.
    #[schemars(range(min = 1, max = 1_000), extend("examples" = [2]))]
    pub(crate) replicas: u32,
    /// What happens to requests under a shared limit while the server is away.
    #[serde(default)]
    pub(crate) on_loss: OnLoss,
}

fn default_namespace() -> String {
    "hermetic".to_owned()
}

/// What happens while shared counters are away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// Requests under a shared limit are refused.
    #[default]
    FailClosed,
    /// They are served from what this gateway has leased already, and refused when that is used up.
    LastLease,
}
