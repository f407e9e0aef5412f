//! llama.cpp as an engine: sequences, batches, samplers, embeddings.
//!
//! What it is for: [`ChatModel`] generates text for many requests at once on one thread (continuous batching);
//! [`EmbeddingModel`] turns texts into unit vectors. Both load one GGUF file. The types a request is made of
//! ([`GenerateRequest`], [`Event`], [`Sampling`]) are the engine vocabulary that `hermetic-worker` shows as its trait.
//!
//! What it must not know: HTTP, processes, sockets, the store, time.
//!
//! Invariants:
//! - a request that cannot be answered is refused before it is queued, with the numbers: context, queue, schema;
//! - a queue is bounded, and a full one refuses at once ([`SubmitError::QueueFull`]);
//! - every accepted choice ends in exactly one [`Event::Finished`] or [`Event::Failed`], also when a decode fails or
//!   the thread dies: never silence;
//! - dropping a [`Generation`] frees its slots at the next step;
//! - native code is reached only through the safe binding; a crash there kills the process, which is why a worker is
//!   one.
//!
//! Determinism: at temperature 0, or with a seed, the same request against the same file on the same machine gives the
//! same answer when it runs alone. Beside other requests llama.cpp may sum in another order, because its kernels
//! depend on how many rows a batch has; `docs/engines.md` states what was measured.

mod backend;
mod call_rules;
mod calls;
mod chances;
mod chat;
mod embedding;
mod error;
mod generate;
mod grammar;
mod model;
mod options;
mod sampler;
mod schedule;
mod sequence;
mod stop;
mod vocabulary;

pub use call_rules::{CallRules, CallRulesError, Function, Otherwise};
pub use chat::ChatModel;
pub use embedding::{EmbeddingModel, Embeddings};
pub use error::{EmbedError, LoadError, StepError, SubmitError};
pub use generate::{
    Event, FinishReason, GenerateRequest, Generation, Load, Prompt, Sampling, TokenChance, TokenLogprob,
    Usage,
};
pub use grammar::{Grammar, GrammarError};
pub use hermetic_tokenizer::{Conversation, FunctionCall, Message};
pub use model::{ModelDescription, Token};
pub use options::LlamaOptions;
pub use vocabulary::Vocabulary;
