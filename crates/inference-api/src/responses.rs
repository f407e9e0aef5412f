//! OpenAI's Responses API (`POST /v1/responses`), said in chat completions and back: its SDKs reach engines that speak
//! chat completions, and callers of any surface reach engines that speak Responses.
//!
//! | | a request | an answer | a stream |
//! |---|---|---|---|
//! | callers speak Responses | [`to_chat`] | [`answer_of_chat`] | [`StreamOfChat`] |
//! | the engine speaks Responses | [`of_chat`] | [`answer_to_chat`] | [`StreamToChat`] |
//!
//! Source of both shapes: OpenAI's OpenAPI description (`CreateResponse`, `Response`, `ResponseStreamEvent`,
//! `CreateChatCompletionRequest`, `CreateChatCompletionResponse`, `CreateChatCompletionStreamResponse`). What it must not
//! know: who asks, which engine answers, what earlier responses were, other than what a caller hands in of them.
//!
//! | in Responses | in chat completions |
//! |---|---|
//! | `instructions` | the first message, of the system |
//! | items of reasoning, a message and calls that follow one another | one message of the assistant |
//! | `function_call_output` | a message of the role `tool` |
//! | `max_output_tokens` | `max_tokens` |
//! | `text.format`, `text.verbosity` | `response_format`, `verbosity` |
//! | `reasoning.effort` | `reasoning_effort` |
//! | `include: ["message.output_text.logprobs"]` | `logprobs` |
//! | fields that the other does not have | the same fields: extras for the engine |
//!
//! | | dropped: the answer is the same without | refused, with the path |
//! |---|---|---|
//! | [`to_chat`] | ids and states of items, annotations, log probabilities of earlier texts, `store`, `max_tool_calls`, hints to caches, padding of streams | state kept by the server, references to items, tools that are not functions, files, `truncation: "auto"`, reasoning that is encrypted or summarised |
//! | [`of_chat`] | `stream_options`, the `name` beside a `tool_call_id`, empty texts, settings in the value that asks for nothing | `stop`, `seed`, `n` above 1, `logit_bias`, penalties, `audio`, `prediction`, a search, tools that are not functions, names of speakers, an answer to be continued, and fields that mean something to Responses alone |
//! | [`answer_to_chat`], [`StreamToChat`] | annotations, ids and states of items, encrypted reasoning, the summary of reasoning that is shown | items of tools that ran elsewhere: nobody could ask for them |
//!
//! On the way to Responses what is not said is said where the other API takes it otherwise: `strict: false`,
//! `store: false`, `detail: "auto"`.
//!
//! Invariants:
//! - what one API asks and the other has no words for is refused with the place it stands at, never dropped;
//! - texts, arguments, schemas and numbers of a request are copied as they were written;
//! - an answer and a stream are made by the same code, so the response that ends a stream is the one a plain answer
//!   gives, ids included;
//! - every event is one line of `data`, whatever line breaks the request had between its tokens;
//! - a conversation that goes on from what was kept of it ([`kept_input`], [`output_items`], [`to_chat_after`]) is the one that
//!   would be had by sending all of it again;
//! - what [`of_chat`] accepts [`to_chat`] accepts, and from there nothing changes any more.

mod answer_to_chat;
mod conversation;
mod echo;
mod events;
mod items;
mod kept;
mod list;
mod of_chat;
mod output;
mod request;
mod response;
mod state;
mod stream;
mod stream_to_chat;
mod tools;

pub use answer_to_chat::answer_to_chat;
pub use echo::Echo;
pub use kept::kept_input;
pub use list::{ItemsAsked, ItemsMistake, item_page};
pub use of_chat::of_chat;
pub use request::{is_include, to_chat, to_chat_after};
pub use state::{State, StateWish, Stored, output_items};
pub use stream::{StreamOfChat, Told, answer_of_chat, told_of_chat};
pub use stream_to_chat::StreamToChat;
