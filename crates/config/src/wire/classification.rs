//! How data is classified.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Classification {
    /// The levels of this site, lowest first, at most 16. Callers mark requests with one of them
    /// (`x-hermetic-classification`), identities are cleared up to one, models may see up to one; policies compare them.
    #[schemars(extend("examples" = [["public", "internal", "confidential", "secret"]]))]
    pub(crate) levels: Vec<LevelName>,
    /// What counts where nothing is said: of a request, of a caller's clearance, of a model. Default: the lowest level.
    #[schemars(extend("format" = "level", "examples" = ["internal"]))]
    pub(crate) default: Option<String>,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
#[schemars(extend("format" = "level"))]
pub(crate) struct LevelName(pub(crate) String);

impl Default for Classification {
    fn default() -> Self {
        let levels = ["public", "internal", "confidential", "secret"];
        Self { levels: levels.map(|name| LevelName(name.to_owned())).into(), default: None }
    }
}
