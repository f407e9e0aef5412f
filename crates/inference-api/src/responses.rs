//! OpenAI's Responses API (`POST /v1/responses`), said to and heard from engines that speak chat completions.
//!
//! What it is for: [`to_chat`] turns a request into one for `/v1/chat/completions`; [`answer_of_chat`] and
//! [`StreamOfChat`] turn what the engine answers into what the Responses API answers. Source of both shapes: OpenAI's
//! OpenAPI description (`CreateResponse`, `Response`, `ResponseStreamEvent`, `CreateChatCompletionRequest`,
//! `CreateChatCompletionResponse`, `CreateChatCompletionStreamResponse`). What it must not know: who asks, which engine
//! answers, what earlier responses were.
//!
//! Invariants:
//! - what a request asks and chat completions have no words for is refused with the place it stands at, never dropped.
//!   Dropped is only what asks for nothing: ids and states of items, notes about a text (annotations, log
//!   probabilities), hints to caches, padding of streams;
//! - texts, arguments, schemas and numbers of a request are copied as they were written;
//! - an answer and a stream are made by the same code, so the response that ends a stream is the one a plain answer
//!   gives, ids included;
//! - every event is one line of `data`, whatever line breaks the request had between its tokens.

mod conversation;
mod echo;
mod events;
mod items;
mod output;
mod request;
mod response;
mod stream;
mod tools;

pub use echo::Echo;
pub use request::to_chat;
pub use stream::{StreamOfChat, answer_of_chat};
