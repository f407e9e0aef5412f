//! What a model is for.

use std::fmt;
use std::str::FromStr;

/// What a model is asked for. Bundles state it, workers load by it, the gateway routes by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Answers conversations and completes text.
    Chat,
    /// Turns text into vectors.
    Embedding,
    /// Says how well documents answer a query.
    Rerank,
    /// Turns speech into text.
    Transcription,
    /// Makes pictures, or edits them.
    Image,
}

/// A text that names no kind of model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `chat`, `embedding`, `rerank`, `transcription` or `image`, found `{found}`")]
pub struct ModelKindError {
    found: String,
}

impl ModelKind {
    pub const ALL: [Self; 5] = [Self::Chat, Self::Embedding, Self::Rerank, Self::Transcription, Self::Image];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Embedding => "embedding",
            Self::Rerank => "rerank",
            Self::Transcription => "transcription",
            Self::Image => "image",
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
