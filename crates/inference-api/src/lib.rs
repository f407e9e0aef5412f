//! What is said on the wire: surfaces, facts of a request, minimal edits of its bytes, events of a stream, errors.
//!
//! What it is for: reading just what the pipeline decides by. Where caller and engine speak alike, a request or an answer
//! is not taken apart and put together again: bytes that nothing changed are forwarded as they came. Where they do not, it
//! is translated ([`messages`], [`responses`], told by [`Teller`]): all of them to and from chat completions, so that two
//! that are not chat reach one another through it. What it must not know: sockets, retries, policy.
//!
//! Invariants:
//! - [`RequestFacts::read`] accepts exactly the JSON texts of RFC 8259 that are an object, nest at most
//!   [`DEPTH_MAX`] deep and hold no key twice at the top: what two parsers could read differently is refused, because
//!   the one behind us could then be asked for another model than the one that was authorised;
//! - an edit changes the bytes it names and no other;
//! - what is translated between surfaces is said whole or refused with the place it stands at, never dropped unsaid;
//! - [`EventScanner`] yields the same events, byte for byte, however the stream was cut.

mod answer;
mod chat;
mod continuation;
mod dialect;
mod edit;
mod error_body;
mod facts;
mod form;
mod json;
mod lenient;
pub mod messages;
mod models;
mod output;
mod prefix;
mod prompt;
mod reading;
pub mod responses;
mod sse;
mod surface;
mod teller;
mod text_walk;
mod tokens;
mod writing;

pub use answer::{AnswerFacts, EventFacts, transcript_bytes};
pub use chat::completion::AnswerMistake;
pub use continuation::{Rewritten, StreamSoFar, may_continue};
pub use dialect::{Dialect, EngineEvents};
pub use edit::{ask_for_usage, cap_output, replace_model};
pub use error_body::ErrorBody;
pub use facts::{RequestFacts, RequestMistake};
pub use form::FormMistake;
pub use json::{DEPTH_MAX, JsonMistake, TOP_LEVEL_KEYS_MAX};
pub use models::{ModelList, ModelObject};
pub use output::{CutChunk, each_output};
pub use prefix::prompt_prefix;
pub use prompt::{CalledFunction, ChatInput, PromptInput, TextInput, Turn, each_text};
pub use sse::{Event, EventScanner, EventTooLarge};
pub use surface::{Call, Form, Output, Surface};
pub use teller::Teller;
pub use text_walk::{
    AnswerText, EventText, Lane, LaneSpan, RequestText, Span, SpanKind, Written, answer_text, lane_event,
    replace_places, request_text,
};
pub use tokens::{TokenQuestion, TokenTask, token_answer};
