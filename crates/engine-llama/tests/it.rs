//! The engine against real models.

#[path = "it/calls.rs"]
mod calls;
#[path = "it/embeddings.rs"]
mod embeddings;
mod fixture;
#[path = "it/generation.rs"]
mod generation;
#[path = "it/tokens.rs"]
mod tokens;
