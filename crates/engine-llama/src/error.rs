//! What can go wrong, by operation.

use crate::call_rules::CallRulesError;
use crate::grammar::GrammarError;
use hermetic_diagnostics::{Code, Diagnose};
use hermetic_tokenizer::TemplateError;
use std::path::PathBuf;

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot open the model file")]
    File(#[from] hermetic_bounded_io::FileError),
    #[error("cannot read the header of `{path}`", path = path.display())]
    Header { path: PathBuf, source: hermetic_gguf::ReadError },
    #[error("expected `{path}` to hold at least {expected} bytes for its tensors, found {found}", path = path.display())]
    Short { path: PathBuf, expected: u64, found: u64 },
    #[error("the inference library cannot start on this machine")]
    Backend(#[source] llama_cpp_2::LlamaCppError),
    #[error("the inference library refuses the model `{path}`", path = path.display())]
    Model { path: PathBuf, source: llama_cpp_2::LlamaModelLoadError },
    #[error("cannot reserve memory for {slots} requests of {context} tokens")]
    Context { slots: u32, context: u32, source: llama_cpp_2::LlamaContextLoadError },
    #[error("expected {expected}, found a model of architecture `{found}`")]
    Kind { expected: &'static str, found: String },
    #[error("cannot read the chat template of the model")]
    Template(#[source] TemplateError),
    #[error("expected {key} to be {expected}, found {found}")]
    Option { key: &'static str, expected: &'static str, found: u64 },
    #[error("cannot start the engine's thread")]
    Thread(#[source] std::io::Error),
}

impl Diagnose for LoadError {
    fn code(&self) -> Code {
        match self {
            Self::Header { .. } | Self::Short { .. } => Code::new("E0701"),
            _ => Code::new("E0703"),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Context { .. } => Some("give the model fewer slots or a shorter context".to_owned()),
            _ => None,
        }
    }
}

/// Why a request was refused before it was queued.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("expected a prompt of at least one token, found none")]
    EmptyPrompt,
    #[error("expected token ids below {vocabulary}, found {found}")]
    Token { found: u32, vocabulary: u32 },
    #[error(
        "expected at most {context} tokens, found {} ({prompt} in the prompt, {answer} for the answer)",
        u64::from(*prompt) + u64::from(*answer)
    )]
    ContextOverflow { prompt: u32, answer: u32, context: u32 },
    #[error("expected {key} to be {expected}, found {found}")]
    Parameter { key: &'static str, expected: &'static str, found: String },
    #[error("expected a response format this engine can enforce")]
    Grammar(#[from] GrammarError),
    #[error("expected tools whose calls this engine can hold to their schemas")]
    Calls(#[from] CallRulesError),
    #[error("this model embeds text and cannot generate it")]
    Unsupported,
    #[error("this model has no chat template")]
    NoTemplate,
    #[error("the model's chat template refuses these messages")]
    Template(#[source] TemplateError),
    #[error("all {slots} slots are busy and {waiting} of {capacity} places in the queue are taken")]
    QueueFull { slots: u32, waiting: usize, capacity: usize },
    #[error("the engine has stopped")]
    Stopped,
}

/// Why an accepted request did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    #[error("the inference library failed to decode a batch of {tokens} tokens: {reason}")]
    Decode { tokens: usize, reason: String },
    #[error("the sampler found no token it may choose")]
    NoCandidate,
    #[error("the sampler rejected the token it chose")]
    Rejected,
    #[error("the engine stopped before the answer was complete")]
    Stopped,
}

/// Why inputs were not embedded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EmbedError {
    #[error("this model generates text and cannot embed it")]
    Unsupported,
    #[error("expected each input to be at most {window} tokens, found {found} in input {index}")]
    TooLong { index: usize, found: u32, window: u32 },
    #[error("expected token ids below {vocabulary}, found {found}")]
    Token { found: u32, vocabulary: u32 },
    #[error("{waiting} of {capacity} places in the queue are taken")]
    QueueFull { waiting: usize, capacity: usize },
    #[error("the inference library failed to encode a batch of {tokens} tokens: {reason}")]
    Encode { tokens: usize, reason: String },
    #[error("the engine has stopped")]
    Stopped,
}
