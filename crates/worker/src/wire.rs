//! OpenAI's wire types as a worker needs them: requests read in full, answers written in full.
//!
//! What a request asks for and this engine does not do is refused, never ignored: an application that sent pictures and
//! got an answer would look for its mistake in the wrong place.

mod answer;
mod request;
mod tokens;
mod tools;

pub(crate) use answer::{
    CallDelta, CalledFunction, ChatCall, ChatChoice, ChatChunk, ChatChunkChoice, ChatCompletion, ChatMessage,
    Completion, CompletionChoice, Delta, EmbeddingList, EmbeddingRow, EmbeddingUsage, Encoded,
    LegacyLogprobs, ModelList, ModelRow, UsageObject, chat_logprobs, finish_word,
};
pub(crate) use request::{ChatRequest, CompletionRequest, EmbeddingInput, EmbeddingRequest, Encoding};
pub(crate) use tokens::{DetokenizeRequest, Detokenized, ToTokenize, TokenizeRequest, Tokenized};
