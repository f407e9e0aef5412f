//! A whole answer.

use crate::chat::answer::{ChatAnswer, Choice, Message};
use crate::messages::ending::{Ending, Usage, message_id, tool_use_id};
use serde::Serialize;
use serde_json::value::RawValue;

/// A message of the assistant, as an answer or as the beginning of a stream.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    pub(super) id: &'a str,
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) role: &'static str,
    pub(super) model: &'a str,
    pub(super) content: Vec<Block<'a>>,
    pub(super) stop_reason: Option<&'static str>,
    pub(super) stop_sequence: Option<String>,
    pub(super) usage: Usage,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Block<'a> {
    /// SDKs expect a signature. Nothing here checks one, so there is none to give.
    Thinking {
        thinking: &'a str,
        signature: &'static str,
    },
    Text {
        text: &'a str,
    },
    ToolUse {
        id: String,
        name: &'a str,
        input: Input,
    },
}

/// Arguments of a call, as an object.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Input {
    None {},
    Object(Box<RawValue>),
    /// What the model wrote is no JSON object: cut by `max_tokens`, or wrong. Messages has room for nothing else, so it
    /// is wrapped as Anthropic's documentation wraps it, and not lost.
    Invalid {
        #[serde(rename = "INVALID_JSON")]
        text: String,
    },
}

impl Input {
    fn of_arguments(text: &str) -> Self {
        let text = text.trim();
        if text.is_empty() {
            return Self::None {};
        }
        match RawValue::from_string(text.to_owned()) {
            Ok(object) if text.starts_with('{') => Self::Object(object),
            _ => Self::Invalid { text: text.to_owned() },
        }
    }
}

/// A whole chat completion as a Messages answer of the model `as_model`.
///
/// Content is the reasoning, the text, a refusal and the calls, in that order and each only where there is one.
/// `stop_reason` is `end_turn`, `stop_sequence` (where the engine says which one it met: vLLM and SGLang do),
/// `max_tokens`, `tool_use` or `refusal`. `input_tokens` leaves out those read from a cache, which
/// `cache_read_input_tokens` has, as Anthropic counts.
///
/// `None`: the bytes are not a chat completion with an answer in it.
pub fn answer_of_chat(body: &[u8], as_model: &str) -> Option<Vec<u8>> {
    let chat = ChatAnswer::read(body)?;
    let (choice, said) = chat.answer()?;
    let id = message_id(chat.id.said());
    let ending = ending(choice, said);
    let answer = Answer {
        id: &id,
        kind: "message",
        role: "assistant",
        model: as_model,
        content: content(said, &id),
        stop_reason: Some(ending.stop_reason),
        stop_sequence: ending.stop_sequence,
        usage: chat.usage.get().map(Usage::of_chat).unwrap_or_default(),
    };
    serde_json::to_vec(&answer).ok()
}

fn ending(choice: &Choice<'_>, said: &Message<'_>) -> Ending {
    let calls = !said.tool_calls.is_empty();
    let refused = !said.refusal().is_empty();
    Ending::new(choice.finish_reason.said(), choice.stop_sequence(), calls, refused)
}

fn content<'a>(said: &'a Message<'_>, id: &str) -> Vec<Block<'a>> {
    let mut blocks = Vec::new();
    if !said.reasoning().is_empty() {
        blocks.push(Block::Thinking { thinking: said.reasoning(), signature: "" });
    }
    for text in [said.content(), said.refusal()] {
        if !text.is_empty() {
            blocks.push(Block::Text { text });
        }
    }
    for (number, call) in said.tool_calls.iter().enumerate() {
        let input = Input::of_arguments(&call.arguments());
        blocks.push(Block::ToolUse { id: tool_use_id(call.id(), id, number), name: call.name(), input });
    }
    blocks
}

#[derive(Serialize)]
struct TokenCount {
    input_tokens: u64,
}

/// The answer to a request that counts tokens: `{"input_tokens":N}`.
pub fn count_tokens_answer(tokens: u64) -> Vec<u8> {
    serde_json::to_vec(&TokenCount { input_tokens: tokens }).unwrap_or_default()
}
