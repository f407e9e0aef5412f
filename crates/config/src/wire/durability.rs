//! Whether answers wait for the disk.

use crate::units::HumanDuration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether an answer waits until its records are on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// It does: what was answered is on record, whatever happens.
    #[default]
    Strict,
    /// It does not: a crash or a failing disk may lose the records of answers already given, at most
    /// `relaxed_window` of them.
    Relaxed,
}

#[derive(Debug, Clone, Copy, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct RelaxedWindow {
    /// Records that may be in line for the disk. 2,048 are about a thousand requests.
    #[schemars(range(min = 2, max = 1_000_000))]
    pub(crate) records: u32,
    /// How long the oldest of them may have been in line. A healthy disk takes a few milliseconds.
    pub(crate) age: HumanDuration,
}

impl Default for RelaxedWindow {
    fn default() -> Self {
        Self { records: 2_048, age: HumanDuration::from_millis(100) }
    }
}
