//! The Messages API of Anthropic (`POST /v1/messages`, `POST /v1/messages/count_tokens`), said in chat completions and
//! back, so that any of its SDKs reaches any engine that speaks chat completions.
//!
//! What it is for: a request is translated once, whole, before the pipeline reads it as the chat request it becomes; an
//! answer or the events of a stream are translated on their way out. What it must not know: sockets, headers, which
//! engine answers.
//!
//! The shapes are those of Anthropic's own SDKs (`anthropic/types` of the Python one). What this does beyond renaming:
//!
//! | in Messages | in chat completions |
//! |---|---|
//! | `system` | a leading message of the system |
//! | `tool_result` blocks | messages of the role `tool`, before the rest of their turn |
//! | `is_error` of a result | a text part of its own before the result's: [`TOOL_ERROR`] |
//! | `tool_use` blocks | `tool_calls`; the input's JSON text, byte for byte, is the arguments |
//! | `thinking` blocks of earlier turns | `reasoning_content` of that message, the field that engines hand to templates |
//! | a last message of the assistant | `continue_final_message`, and no new turn opened (the form of vLLM) |
//! | `output_config.format`, `output_format` | a strict `response_format` |
//! | `output_config.effort` | `reasoning_effort` |
//! | `metadata.user_id`, other pairs | `user`, `metadata` |
//! | fields that Messages does not have | the same fields: extras for the engine |
//!
//! An assistant's turn is its thinking, its text and its calls, in that order; chat completions have no other. Blocks of
//! one kind keep their order.
//!
//! Dropped, because the answer is the same without: `cache_control` (a hint to a cache), `service_tier` (there is one),
//! signatures of thinking (nobody here can check them), `eager_input_streaming`, and `thinking` when it is `disabled` or
//! `adaptive` (the model's own default decides, as it does for a chat request). Everything else that has no words is
//! refused with its path ([`crate::RequestMistake::Untranslatable`]): `thinking` with a budget, redacted thinking (only
//! who wrote it can read it), server tools and their blocks, documents other than plain text, pictures in tool results,
//! citations, containers, MCP servers, context management, regions, reports on a cache, and fields of chat completions
//! whose answer Messages has no place for (`logprobs`, `n` above 1).
//!
//! Invariants:
//! - every text of a request stands in the translated request, in the bytes it was written in, and no text stands twice;
//! - `input` and `input_schema` keep the order of their keys and the spelling of their numbers;
//! - the blocks of a translated stream come one after the other, numbered from zero, each started and stopped once.

mod answer;
mod blocks;
mod ending;
mod error;
mod output;
mod request;
mod stream;
mod tools;
mod turns;

/// Where tokens are counted without an answer.
pub const COUNT_TOKENS_PATH: &str = "/v1/messages/count_tokens";

pub use answer::{answer_of_chat, count_tokens_answer};
pub use error::{error_body, error_kind};
pub use request::{count_tokens_to_chat, to_chat};
pub use stream::{PING, StreamOfChat};
pub use turns::TOOL_ERROR;
