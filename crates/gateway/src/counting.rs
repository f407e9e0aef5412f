//! How the prompts of a route are counted: handed in with the route, used by `stage/count.rs`.

use hermetic_tokenizer::Tokenizer;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is known of a model's tokens before it is asked.
#[derive(Debug, Clone, Default)]
pub struct Counting {
    pub source: CountSource,
    /// Tokens one request may use, prompt and answer together; for an embedding model, tokens of one input. `None`: not
    /// known here.
    pub context: Option<u64>,
}

/// Who counts.
#[derive(Debug, Clone, Default)]
pub enum CountSource {
    /// Nobody: the bytes of the request stand for its tokens, which are never more.
    #[default]
    Bytes,
    /// The model's own tokenizer, in this process.
    Own {
        tokenizer: Arc<Tokenizer>,
        /// The engine lets messages spell control tokens, as vLLM and llama.cpp's server do.
        open: bool,
    },
    /// The engine, at its `/tokenize`.
    Engine(Arc<EngineCount>),
}

/// Whether an engine that is asked to count does.
#[derive(Debug, Default)]
pub struct EngineCount {
    failing: AtomicBool,
}

impl EngineCount {
    /// Notes how a question went. `true` when that is news.
    pub(crate) fn went(&self, well: bool) -> bool {
        self.failing.swap(!well, Ordering::Relaxed) == well
    }
}
