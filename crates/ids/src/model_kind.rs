//! What a model is for.

use std::fmt;
use std::str::FromStr;

/// What a model is asked for: text, or vectors. Bundles state it, workers load by it, the gateway routes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    Chat,
    Embedding,
}

/// A text that names no kind of model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `chat` or `embedding`, found `{found}`")]
pub struct ModelKindError {
    found: String,
}

impl ModelKind {
    pub const ALL: [Self; 2] = [Self::Chat, Self::Embedding];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ModelKind {
    type Err = ModelKindError;

    fn from_str(text: &str) -> Result<Self, ModelKindError> {
        let found = || ModelKindError { found: text.chars().take(40).collect() };
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(found)
    }
}
