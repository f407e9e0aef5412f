//! The classification levels, and what the configuration says of a model for policies to read.

use crate::wire;
use hermetic_ids::LevelName;

/// How data is classified at this site.
#[derive(Debug, Clone)]
pub struct Classification {
    /// Lowest first; never empty, each once.
    pub levels: Vec<LevelName>,
    /// One of the levels.
    pub default: LevelName,
}

/// What policies may know of a model, besides its name.
#[derive(Debug, Clone, Default)]
pub struct ModelMarks {
    /// One of the levels; `None`: the default level.
    pub classification: Option<LevelName>,
    /// Sorted by name, each once.
    pub tags: Vec<(String, String)>,
}

pub(super) fn classification(wire: &wire::Classification) -> Result<Classification, String> {
    let parsed = |name: &str| name.parse::<LevelName>().map_err(|error| error.to_string());
    let levels = wire.levels.iter().map(|level| parsed(&level.0)).collect::<Result<Vec<_>, _>>()?;
    let lowest = levels.first().cloned().ok_or("expected at least one level, found none")?;
    let default = wire.default.as_deref().map_or(Ok(lowest), parsed)?;
    Ok(Classification { levels, default })
}

pub(super) fn marks(wire: &wire::Model) -> Result<ModelMarks, String> {
    let level = wire.classification.as_deref().map(str::parse::<LevelName>).transpose();
    Ok(ModelMarks {
        classification: level.map_err(|error| error.to_string())?,
        tags: wire.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
    })
}
