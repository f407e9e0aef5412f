//! The one engine trait, and llama.cpp as its first implementation.
//!
//! The trait speaks the vocabulary of requests and events that `hermetic-engine-llama` defines; a second engine
//! implements the same four things.

use hermetic_engine_llama::{
    ChatModel, EmbedError, EmbeddingModel, Embeddings, GenerateRequest, Generation, Load, ModelDescription,
    SubmitError, Token, Vocabulary,
};
use std::future::Future;
use std::pin::Pin;

/// What an engine is still working on.
pub type EngineFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One loaded model.
pub trait Engine: Send + Sync + 'static {
    fn describe(&self) -> &ModelDescription;
    /// Work in hand and waiting.
    fn load_now(&self) -> Load;
    /// Accepts a request for text, or refuses it now with the reason.
    fn generate(&self, request: &GenerateRequest) -> Result<Generation, SubmitError>;
    /// Embeds inputs of tokens; `truncate` cuts what is longer than the window instead of refusing it.
    fn embed<'a>(
        &'a self,
        inputs: &'a [Vec<Token>],
        truncate: bool,
    ) -> EngineFuture<'a, Result<Embeddings, EmbedError>>;
    fn vocabulary(&self) -> Vocabulary<'_>;
    /// Resolves when the engine can serve nothing any more.
    fn stopped(&self) -> EngineFuture<'_, ()>;
}

/// llama.cpp generating text.
#[derive(Debug)]
pub struct LlamaChat(pub ChatModel);

/// llama.cpp embedding text.
#[derive(Debug)]
pub struct LlamaEmbedding(pub EmbeddingModel);

impl Engine for LlamaChat {
    fn describe(&self) -> &ModelDescription {
        self.0.describe()
    }

    fn load_now(&self) -> Load {
        self.0.load_now()
    }

    fn generate(&self, request: &GenerateRequest) -> Result<Generation, SubmitError> {
        self.0.generate(request)
    }

    fn embed<'a>(&'a self, _: &'a [Vec<Token>], _: bool) -> EngineFuture<'a, Result<Embeddings, EmbedError>> {
        Box::pin(std::future::ready(Err(EmbedError::Unsupported)))
    }

    fn vocabulary(&self) -> Vocabulary<'_> {
        self.0.vocabulary()
    }

    fn stopped(&self) -> EngineFuture<'_, ()> {
        Box::pin(self.0.stopped())
    }
}

impl Engine for LlamaEmbedding {
    fn describe(&self) -> &ModelDescription {
        self.0.describe()
    }

    fn load_now(&self) -> Load {
        self.0.load_now()
    }

    fn generate(&self, _: &GenerateRequest) -> Result<Generation, SubmitError> {
        Err(SubmitError::Unsupported)
    }

    fn embed<'a>(
        &'a self,
        inputs: &'a [Vec<Token>],
        truncate: bool,
    ) -> EngineFuture<'a, Result<Embeddings, EmbedError>> {
        Box::pin(self.0.embed(inputs, truncate))
    }

    fn vocabulary(&self) -> Vocabulary<'_> {
        self.0.vocabulary()
    }

    fn stopped(&self) -> EngineFuture<'_, ()> {
        Box::pin(self.0.stopped())
    }
}
