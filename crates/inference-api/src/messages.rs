//! The Messages API of Anthropic (`POST /v1/messages`, `POST /v1/messages/count_tokens`), said in chat completions and
//! back: any of its SDKs reaches any engine that speaks chat completions, and callers of any surface reach engines that
//! speak Messages.
//!
//! | | a request | an answer | a stream |
//! |---|---|---|---|
//! | callers speak Messages | [`to_chat`] | [`answer_of_chat`] | [`StreamOfChat`] |
//! | the engine speaks Messages | [`of_chat`] | [`answer_to_chat`] | [`StreamToChat`] |
//!
//! What it is for: a request is translated once, whole, before the pipeline reads it as the chat request it becomes; an
//! answer or the events of a stream are translated on their way out. What it must not know: sockets, headers, which
//! engine answers.
//!
//! The shapes are those of Anthropic's own SDKs (`anthropic/types` of the Python one). What this does beyond renaming,
//! read from the left by callers of Messages and from the right on the way to an engine that speaks it:
//!
//! | in Messages | in chat completions |
//! |---|---|
//! | `system` | leading messages of the system |
//! | a turn of the role `system` (newer SDKs) | a message of the system between others |
//! | `tool_result` blocks | messages of the role `tool`, before the rest of their turn |
//! | `is_error` of a result | a text part of its own before the result's: [`TOOL_ERROR`] |
//! | `tool_use` blocks | `tool_calls`; the input's JSON text, byte for byte, is the arguments |
//! | `{"INVALID_JSON": …}` as input of a call that was answered | arguments that are no JSON object |
//! | `thinking` blocks of earlier turns | `reasoning_content` of that message, the field that engines hand to templates |
//! | a last message of the assistant | `continue_final_message`, and no new turn opened (the form of vLLM) |
//! | `output_config.format`, `output_format` | a strict `response_format` |
//! | `output_config.effort` | `reasoning_effort` |
//! | `metadata.user_id`, other pairs | `user`, `metadata` |
//! | fields that the other does not have | the same fields: extras for the engine |
//!
//! An assistant's turn is its thinking, its text and its calls, in that order; chat completions have no other. Blocks of
//! one kind keep their order.
//!
//! | | dropped: the answer is the same without | refused, with the path |
//! |---|---|---|
//! | [`to_chat`] | `cache_control`, `service_tier`, signatures (nobody here can check them), `eager_input_streaming`, `thinking` that is `disabled` or `adaptive` (the model decides, as for a chat request) | `thinking` with a budget, redacted thinking, server tools and their blocks, documents other than plain text, pictures in results, citations, containers, MCP servers, context management, regions; `logprobs`, `n` above 1, for which answers have no place |
//! | [`of_chat`] | `store`, `prompt_cache_*`, `safety_identifier`, `stream_options` (a stream tells its usage), the name of a schema, the `name` beside a `tool_call_id`, empty texts, settings in the value that asks for nothing | `n` above 1, `logprobs`, `logit_bias`, penalties, `seed`, `audio`, `prediction`, a search, `json_object`, `description` of a form, tools that are not functions, `allowed_tools`, names of speakers, the `detail` of a picture, an effort below `low`, a last message of the assistant that is not to be continued, and fields that mean something to Messages alone |
//! | [`answer_to_chat`], [`StreamToChat`] | signatures, redacted thinking, citations | blocks of tools that ran elsewhere: nobody could ask for them |
//!
//! On the way to Messages the refusal of an earlier turn becomes a text, `developer` becomes `system`, what was said on
//! several leading messages of the system is one `system`, and a schema is held to although it was not `strict`.
//!
//! Invariants:
//! - every text of a request stands in the translated request, in the bytes it was written in, and no text stands twice;
//! - `input` and `input_schema` keep the order of their keys and the spelling of their numbers;
//! - the blocks of a translated stream come one after the other, numbered from zero, each started and stopped once;
//! - what [`of_chat`] accepts [`to_chat`] accepts, and from there nothing changes any more.

mod answer;
mod answer_to_chat;
mod blocks;
mod ending;
mod error;
mod of_chat;
mod output;
mod request;
mod stream;
mod stream_to_chat;
mod tools;
mod turns;

/// Where tokens are counted without an answer.
pub const COUNT_TOKENS_PATH: &str = "/v1/messages/count_tokens";

pub use answer::{answer_of_chat, count_tokens_answer};
pub use answer_to_chat::answer_to_chat;
pub use error::{error_body, error_kind};
pub use of_chat::of_chat;
pub use request::{count_tokens_to_chat, to_chat};
pub use stream::{PING, StreamOfChat};
pub use stream_to_chat::StreamToChat;
pub use turns::TOOL_ERROR;
