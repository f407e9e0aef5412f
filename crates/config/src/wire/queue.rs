//! `gateway.queue`: who waits for an engine, and in which order.

use crate::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who waits for an engine that has no room, and in which order: fair between projects, by their shares.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Queue {
    /// Requests that may wait for one model. When all places are taken, the project that holds most of them gives up its
    /// newest, which is answered 429. 256: at a second each that is more than anybody waits for.
    #[schemars(range(min = 0, max = 65_536))]
    pub(crate) places: u32,
    /// How long a request may wait; one that would wait longer is answered 503 at once. 60 s: what waits longer has
    /// usually been given up by its caller.
    pub(crate) wait_max: HumanDuration,
    /// Projects whose share of an engine is not 1.
    pub(crate) shares: Vec<Share>,
    /// Projects whose requests come before batch work, unless a request asks to be batch (`x-hermetic-priority: batch`).
    /// When empty, all projects are. The others' requests are batch, whatever they ask for.
    #[schemars(extend("examples" = [["assistant"]]))]
    pub(crate) interactive: Vec<ProjectEntry>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Share {
    /// The project.
    #[schemars(extend("format" = "project-name", "examples" = ["claims"]))]
    pub(crate) project: String,
    /// Its share in proportion to the others', which have 1.
    #[schemars(range(min = 1, max = 1_000), extend("examples" = [4]))]
    pub(crate) weight: u32,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "project-name"))]
pub(crate) struct ProjectEntry(pub(crate) String);

impl Default for Queue {
    fn default() -> Self {
        Self {
            places: 256,
            wait_max: HumanDuration::from_millis(60_000),
            shares: Vec::new(),
            interactive: Vec::new(),
        }
    }
}
