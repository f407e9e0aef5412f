//! Whose reading of a model's files is counted.

/// The two who read these models differ where characters are rare or young.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    LlamaCpp,
    /// Hugging Face's `tokenizers`, with which vLLM and its like read.
    HuggingFace,
}
