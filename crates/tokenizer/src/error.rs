//! Why a tokenizer cannot be had, and why something was not counted.

use crate::template::TemplateError;
use hermetic_diagnostics::{Code, Diagnose};

/// Why no tokenizer was made of a model's files. Counting then falls back, and says so.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    #[error(
        "expected a vocabulary that is counted exactly here (byte-level BPE, WordPiece), found {what} `{found}`"
    )]
    Unsupported { what: &'static str, found: String },
    #[error("expected `{key}` in the model's tokenizer, found nothing")]
    Missing { key: &'static str },
    #[error("expected `{key}` to be {expected}")]
    Malformed { key: &'static str, expected: &'static str },
    #[error("cannot read `{file}` of the model")]
    Json { file: &'static str, source: serde_json::Error },
    #[error("cannot read the chat template of the model")]
    Template(#[source] TemplateError),
}

impl Diagnose for TokenizerError {
    fn code(&self) -> Code {
        match self {
            Self::Unsupported { .. } => Code::new("E0710"),
            _ => Code::new("E0711"),
        }
    }

    fn hint(&self) -> Option<String> {
        Some("its prompts are counted by their bytes until it has one; for an endpoint, `tokenize: engine` asks the engine instead".to_owned())
    }
}

/// Why a conversation was not counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    #[error("this model has no chat template")]
    NoTemplate,
    #[error("the model's chat template refuses these messages")]
    Template(#[source] TemplateError),
}
